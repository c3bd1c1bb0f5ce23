"""CatalogInput: what may stand for a catalogue, and what is refused rather than ignored."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
import small_sky

from galmorph.errors import CatalogError
from galmorph.sky.catalog import catalog_from, read_catalog
from galmorph.sky.catalog_input import CatalogInput, ColumnNames


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    """Write the files of a small sky."""
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


def test_files_tables_and_frames_are_the_same_catalogue(sky):
    table = small_sky.table()
    for catalog in (sky.catalog, str(sky.catalog), table, table.to_pandas(), catalog_from(table)):
        opened = CatalogInput(catalog).open()
        np.testing.assert_allclose(opened.ra_deg, table["ra"], rtol=1e-15)
        assert opened.ids.tolist() == [str(i) for i in table["id"]]


def test_an_input_is_opened_in_another_process_as_here(sky):
    asked = CatalogInput(sky.catalog, hdu=1, columns=ColumnNames(id="mag"))
    assert pickle.loads(pickle.dumps(asked)) == asked
    assert pickle.loads(pickle.dumps(asked)).open().ids.tolist() == asked.open().ids.tolist()


def test_columns_are_named(sky):
    table = small_sky.table()
    table.rename_columns(["ra", "dec"], ["alpha1", "delta1"])
    opened = CatalogInput(table, columns=ColumnNames(ra="alpha1", dec="delta1")).open()
    assert (opened.ra_column, opened.dec_column) == ("alpha1", "delta1")
    assert CatalogInput(sky.catalog, hdu=1, columns=ColumnNames(id="mag")).open().id_column == "mag"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hdu": 1}, "hdu = 1 was given for a catalogue that was read before"),
        ({"columns": ColumnNames(dec="dec")}, "column dec = 'dec' was given for a catalogue that was read before"),
    ],
)
def test_what_does_not_apply_to_an_open_catalogue_is_refused(sky, change, message):
    with pytest.raises(CatalogError, match=message):
        CatalogInput(read_catalog(sky.catalog), **change).open()


@pytest.mark.parametrize("table", [small_sky.table(), pd.DataFrame({"ra": [1.0], "dec": [2.0]})])
def test_tables_in_memory_have_no_hdu(table):
    with pytest.raises(CatalogError, match="hdu 'stars' was given for a catalogue that is in memory"):
        CatalogInput(table, hdu="stars").open()


def test_other_things_are_no_catalogue():
    with pytest.raises(CatalogError, match="catalog of type dict: expected a path, an astropy table"):
        CatalogInput({"ra": [1.0], "dec": [2.0]}).open()


def test_a_position_has_one_value_in_each_row():
    table = small_sky.table()
    table["x"] = np.zeros((len(table), 2))
    with pytest.raises(CatalogError, match="column 'x' has several values"):
        CatalogInput(table, columns=ColumnNames(x="x", y="mag")).open()
