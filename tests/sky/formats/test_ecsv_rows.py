"""Rows of ECSV tables with too few cells are said, not filled up."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import read_catalog


@pytest.mark.parametrize("delimiter", [" ", ","])
@pytest.mark.parametrize("row", [1, 2])
def test_a_row_with_too_few_cells_is_an_error(tmp_path, delimiter, row):
    path = tmp_path / "cat.ecsv"
    Table({"id": [1, 2, 3], "ra": [10.0, 11.0, 12.0], "dec": [1.0, 2.0, 3.0]}).write(path, delimiter=delimiter)
    assert read_catalog(path).dec_deg.tolist() == [1.0, 2.0, 3.0]
    lines = path.read_text().splitlines()
    first = next(n for n, line in enumerate(lines) if not line.startswith("#"))
    lines[first + 1 + row] = lines[first + 1 + row].rpartition(delimiter)[0]
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(CatalogError, match=r"cat\.ecsv"):
        read_catalog(path)


@pytest.mark.parametrize("cells", [["t#", "u#v", "w"], ["a", "# b", "c"], ["#", "x", "y"]])
def test_a_hash_within_a_row_is_text(cells, tmp_path):
    """One reader that we use takes what follows it for a comment."""
    table = Table({"ra": [1.0, 2.0, 3.0], "dec": [4.0, 5.0, 6.0], "note": cells})
    table.write(tmp_path / "cat.ecsv", format="ascii.ecsv")
    assert read_catalog(tmp_path / "cat.ecsv").table["note"].tolist() == cells


def test_numbers_keep_all_their_digits(tmp_path):
    values = np.random.default_rng(4).uniform(0, 360, 400)
    Table({"ra": values, "dec": values / 7}).write(tmp_path / "cat.ecsv", format="ascii.ecsv")
    read = read_catalog(tmp_path / "cat.ecsv").table
    np.testing.assert_array_equal(read["ra"], values)
    np.testing.assert_array_equal(read["dec"], values / 7)
