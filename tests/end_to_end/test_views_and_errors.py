"""Views and the spread over them, from the command line."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io.votable.ucd import check_ucd
from astropy.table import Table

from galmorph.sky.catalog import read_catalog


def test_errors_stand_beside_their_probabilities(classified, tmp_path):
    """One column each, float32, described, with a UCD of the vocabulary; positive where there are several views."""
    done = classified(tmp_path / "out.fits", "--views", "turns4", "--errors")
    assert done.status == 0, done.err
    table = read_catalog(tmp_path / "out.fits").table
    names = table.colnames
    answers = [n for n in names if n.startswith("gm_p_") and not n.endswith("_err")]
    for name in answers:
        assert names[names.index(name) + 1] == f"{name}_err"
        column = table[f"{name}_err"]
        assert column.dtype.newbyteorder("=") == np.float32
        assert "Standard deviation over networks and views" in column.description
        assert np.all((column > 0) & (column < 0.5))
    assert check_ucd("stat.error;stat.probability;src.morph.type", check_controlled_vocabulary=True)
    assert "GMVIEWS" in str(table.meta)


def test_without_the_option_the_columns_are_as_before(classified, tmp_path):
    """Columns follow from the options, never from values."""
    classified(tmp_path / "out.fits", "--views", "turns4")
    assert not [n for n in Table.read(tmp_path / "out.fits").colnames if n.startswith("gm_p_") and n.endswith("_err")]


def test_views_change_the_probabilities_and_one_view_does_not(classified, tmp_path):
    """'one' is the default; averaging over eight angles moves random networks a little."""
    for name, more in {"plain": (), "one": ("--views", "one"), "eight": ("--views", "angles = [0, 30, 60]")}.items():
        assert classified(tmp_path / f"{name}.fits", *more).status == 0
    plain, one, eight = (Table.read(tmp_path / f"{n}.fits") for n in ("plain", "one", "eight"))
    np.testing.assert_array_equal(plain["gm_p_disk"], one["gm_p_disk"])
    change = np.abs(plain["gm_p_disk"] - eight["gm_p_disk"])
    assert 0 < change.max() < 0.2


def test_normalised_fractions_have_normalised_errors(classified, tmp_path):
    """The spread of fractions that are scaled to a sum of 1 is less than that of the fractions."""
    for name, more in {"plain": (), "scaled": ("--normalise",)}.items():
        classified(tmp_path / f"{name}.fits", "--views", "turns2", "--errors", *more)
    plain, scaled = (Table.read(tmp_path / f"{n}.fits") for n in ("plain", "scaled"))
    assert not np.allclose(plain["gm_p_disk_err"], scaled["gm_p_disk_err"])


@pytest.mark.parametrize("text", ["turns9", "angles = 8, zoom = [1]"])
def test_wrong_views_are_refused_before_work_starts(classified, tmp_path, text):
    """One line names what is known, and nothing is written."""
    done = classified(tmp_path / "out.fits", "--views", text)
    assert done.status == 1
    assert "views" in done.err
    assert "known are" in done.err
    assert not (tmp_path / "out.fits").exists()
