"""Parquet and ECSV: metadata of columns and schema survive, in our own words and in those of others."""

from __future__ import annotations

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from catalog_samples import PROVENANCE, ROWS, assert_same_values, columns, fits_with_everything, table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import catalog_from, read_catalog, write_catalog


def _arrow():
    fields = [
        pa.field("id", pa.int64(), metadata={"ucd": "meta.id;meta.main", "PARQUET:field_id": "1"}),
        pa.field("ra", pa.float64(), metadata={"unit": "deg", "description": "right ascension"}),
        pa.field("dec", pa.float64()),
        pa.field("small", pa.uint16()),
        pa.field("nulls", pa.int32()),
        pa.field("yes", pa.bool_()),
        pa.field("day", pa.timestamp("us")),
        pa.field("kind", pa.dictionary(pa.int8(), pa.string())),
        pa.field("price", pa.decimal128(8, 2)),
        pa.field("list", pa.list_(pa.float32())),
    ]
    arrays = [
        [1, 2, 3],
        [10.0, None, 30.0],
        [1.0, 2.0, 3.0],
        [0, 1, 65535],
        [None, 2, 3],
        [True, None, False],
        [pd.Timestamp("2020-01-02"), None, pd.Timestamp("2021-01-02")],
        ["a", "b", None],
        [1, 2, None],
        [[1.0], [], None],
    ]
    schema = pa.schema(fields, metadata={"survey": "EGS", "GMMODEL": "older"})
    arrays[8] = [Decimal("1.25"), Decimal("2.50"), None]
    return pa.Table.from_arrays([pa.array(a, type=f.type) for a, f in zip(arrays, fields, strict=True)], schema=schema)


def test_arrow_types_become_columns(tmp_path):
    pq.write_table(_arrow(), tmp_path / "in.parquet")
    got = read_catalog(tmp_path / "in.parquet")
    assert (got.id_column, got.ra_column, got.format) == ("id", "ra", "parquet")
    assert (str(got.table["ra"].unit), got.table["ra"].description) == ("deg", "right ascension")
    np.testing.assert_array_equal(got.ra_deg, [10.0, np.nan, 30.0])
    assert got.table["nulls"].tolist() == [None, 2, 3]
    assert got.table["yes"].tolist() == [True, None, False]
    assert got.table["day"].tolist() == ["2020-01-02 00:00:00", "", "2021-01-02 00:00:00"]
    assert got.table["kind"].tolist() == ["a", "b", ""]
    np.testing.assert_array_equal(got.table["price"], [1.25, 2.5, np.nan])
    assert got.table.meta["survey"] == "EGS"
    for ending in ("fits", "vot", "ecsv", "csv"):
        write_catalog(got, columns(3), tmp_path / f"o.{ending}", provenance=PROVENANCE)
        again = read_catalog(tmp_path / f"o.{ending}").table
        assert again["nulls"].tolist() == [None, 2, 3]
        assert again["yes"].tolist() == [True, None, False]


def test_columns_metadata_and_row_groups_survive_and_ours_are_added(tmp_path):
    pq.write_table(_arrow(), tmp_path / "in.parquet", row_group_size=2, compression="gzip")
    write_catalog(read_catalog(tmp_path / "in.parquet"), columns(3), tmp_path / "o.parquet", provenance=PROVENANCE)
    with pq.ParquetFile(tmp_path / "o.parquet") as file:
        assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [2, 1]
        assert file.metadata.row_group(0).column(0).compression == "GZIP"
        got = file.read()
    # As the input is read back: pyarrow before 20 widens the indices of dictionaries.
    assert got.select(_arrow().column_names).equals(pq.ParquetFile(tmp_path / "in.parquet").read())
    for name in _arrow().column_names:
        told = _arrow().schema.field(name).metadata or {}
        assert told.items() <= (got.schema.field(name).metadata or {}).items()
    assert got.schema.field("gm_rpet").metadata == {
        b"unit": b"arcsec",
        b"description": b"Petrosian radius",
        b"ucd": b"phys.angSize;src.morph",
    }
    assert got.schema.metadata[b"survey"] == b"EGS"
    assert (got.schema.metadata[b"GMMODEL"], got.schema.metadata[b"GMMODEL2"]) == (b"older", b"nircam-f200w")
    assert got.schema.metadata[b"HISTORY"].decode().split("\n") == list(PROVENANCE.history)


def test_a_pandas_file_stays_one(tmp_path):
    frame = pd.DataFrame({"ra": [1.0, 2.0], "dec": [3.0, 4.0]}, index=pd.Index(["p", "q"], name="key"))
    frame.to_parquet(tmp_path / "in.parquet")
    write_catalog(read_catalog(tmp_path / "in.parquet"), columns(2), tmp_path / "o.parquet", provenance=PROVENANCE)
    got = pd.read_parquet(tmp_path / "o.parquet")
    assert got.index.tolist() == ["p", "q"]
    pd.testing.assert_frame_equal(got[["ra", "dec"]], frame)
    assert got["gm_flags"].tolist() == [0, 1]


def test_units_that_astropy_noted_are_found(tmp_path):
    table().write(tmp_path / "in.parquet")
    got = read_catalog(tmp_path / "in.parquet")
    assert (str(got.table["mag"].unit), got.table["mag"].description) == ("mag", "total magnitude")
    assert got.id_column == "source"
    write_catalog(got, columns(), tmp_path / "o.parquet", provenance=PROVENANCE)
    again = Table.read(tmp_path / "o.parquet")
    assert (str(again["mag"].unit), str(again["gm_rpet"].unit)) == ("mag", "arcsec")
    assert again["gm_rpet"].meta["ucd"] == "phys.angSize;src.morph"
    assert again["gm_class"].tolist() == columns()[0].values.tolist()


def test_a_file_made_here_is_a_voparquet_that_astropy_reads_also_after_appending(tmp_path):
    write_catalog(catalog_from(table()), columns(), tmp_path / "a.parquet", provenance=PROVENANCE)
    second = [type(c)(c.name.replace("gm_", "g2_"), c.values, c.unit, c.description, c.ucd) for c in columns()]
    write_catalog(read_catalog(tmp_path / "a.parquet"), second, tmp_path / "b.parquet", provenance=PROVENANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        got = Table.read(tmp_path / "b.parquet", format="parquet.votable")
    assert len(got) == ROWS
    for column in (*columns(), *second):
        assert got[column.name].info.meta["ucd"] == column.ucd
        assert str(got[column.name].unit or "") == column.unit
        assert " ".join(got[column.name].description.split()) == column.description
        assert_same_values(got[column.name], column.values)


STILTS = b"""<?xml version='1.0'?>
<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3">
<RESOURCE>
<TABLE name="deep">
<DESCRIPTION>A deep field</DESCRIPTION>
<PARAM arraysize="*" datatype="char" name="SURVEY" value="EGS"/>
<PARAM datatype="double" name="ZEROPOINT" unit="mag" value="25.5"/>
<INFO name="HISTORY" value="first step"/>
<FIELD datatype="long" name="obj" ucd="meta.id;meta.main"/>
<FIELD datatype="double" name="alpha" ucd="pos.eq.ra;meta.main" unit="deg"/>
<FIELD datatype="double" name="delta" ucd="pos.eq.dec;meta.main" unit="deg"/>
<FIELD datatype="float" name="mag" ucd="phot.mag" unit="mag"><DESCRIPTION>total
 magnitude</DESCRIPTION></FIELD>
<FIELD arraysize="2" datatype="float" name="aper" unit="uJy"/>
</TABLE>
</RESOURCE>
</VOTABLE>"""


def test_a_voparquet_of_stilts_tells_units_ucds_and_parameters_and_keeps_them(tmp_path):
    """Nothing but the document says what the columns are, as STILTS and TOPCAT write it."""
    cells = {"obj": [1, 2], "alpha": [10.0, 20.0], "delta": [-5.0, 5.0], "mag": [20.5, 21.5], "aper": [[1.0, 2.0]] * 2}
    told = {b"IVOA.VOTable-Parquet.version": b"1.0", b"IVOA.VOTable-Parquet.content": STILTS}
    pq.write_table(pa.table(cells).replace_schema_metadata(told), tmp_path / "in.parquet")
    first = read_catalog(tmp_path / "in.parquet")
    write_catalog(first, columns(2), tmp_path / "extended.parquet", provenance=PROVENANCE)
    write_catalog(catalog_from(first.table), columns(2), tmp_path / "anew.parquet", provenance=PROVENANCE)
    write_catalog(first, columns(2), tmp_path / "anew.vot", provenance=PROVENANCE)
    for name in ("in.parquet", "extended.parquet", "anew.parquet", "anew.vot"):
        got = read_catalog(tmp_path / name)
        assert (got.id_column, got.ra_column, got.dec_column) == ("obj", "alpha", "delta")
        assert (str(got.table["mag"].unit), got.table["mag"].meta["ucd"]) == ("mag", "phot.mag")
        assert got.table["mag"].description == "total magnitude"
        assert str(got.table["aper"].unit) == "uJy"
        assert (got.table.meta["SURVEY"], float(got.table.meta["ZEROPOINT"])) == ("EGS", 25.5)
        assert got.table.meta["HISTORY"][0] == "first step"
        assert got.table.meta["description"] == "A deep field"


@pytest.mark.parametrize("form", ["parquet", "parquet.votable"])
def test_astropy_reads_what_is_said_of_a_table_in_both_of_its_ways(tmp_path, form):
    given = table()
    given["aper"] = np.arange(2.0 * ROWS).reshape(ROWS, 2)
    given["aper"].unit = "uJy"
    write_catalog(catalog_from(given), columns(), tmp_path / "a.parquet", provenance=PROVENANCE)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore" if form == "parquet.votable" else "error")
        got = Table.read(tmp_path / "a.parquet", format=form)
    assert (str(got["mag"].unit), got["mag"].description) == ("mag", "total magnitude")
    assert got["source"].meta["ucd"] == "meta.id;meta.main"
    assert (got["aper"].shape, str(got["aper"].unit)) == ((ROWS, 2), "uJy")
    for column in columns():
        assert (str(got[column.name].unit or ""), got[column.name].meta["ucd"]) == (column.unit, column.ucd)
    if form == "parquet":
        assert (got.meta["SURVEY"], got.meta["GMMODEL"]) == ("EGS", "nircam-f200w")
        assert got.meta["HISTORY"] == list(PROVENANCE.history)


def test_the_header_that_astropy_noted_comes_back_and_gets_ours(tmp_path):
    given = table()
    given.meta["nested"] = {"a": {"b": 1}}
    given.write(tmp_path / "in.parquet")
    first = read_catalog(tmp_path / "in.parquet")
    assert (first.table.meta["SURVEY"], first.table.meta["YEAR"]) == ("EGS", 2000.0)
    write_catalog(first, columns(), tmp_path / "o.parquet", provenance=PROVENANCE)
    got = Table.read(tmp_path / "o.parquet")
    assert (got.meta["SURVEY"], got.meta["nested"]) == ("EGS", {"a": {"b": 1}})
    assert (got.meta["GMMODEL"], got.meta["HISTORY"]) == ("nircam-f200w", list(PROVENANCE.history))


def test_big_endian_and_array_columns_of_fits_are_written(tmp_path):
    fits_with_everything().writeto(tmp_path / "in.fits")
    given = read_catalog(tmp_path / "in.fits")
    for ending in ("parquet", "ecsv"):
        write_catalog(given, columns(), tmp_path / f"o.{ending}", provenance=PROVENANCE)
        got = read_catalog(tmp_path / f"o.{ending}").table
        for name in given.table.colnames:
            assert_same_values(got[name], given.table[name])
            assert str(got[name].unit or "") == str(given.table[name].unit or "")
            assert got[name].description == given.table[name].description
            assert got[name].info.meta == given.table[name].info.meta
        assert got.meta["HISTORY"][0] == "first step"
        assert got.meta["comments"] == ["a comment"]


def test_damaged_files_are_errors_of_one_line(tmp_path):
    pq.write_table(_arrow(), tmp_path / "in.parquet")
    (tmp_path / "cut.parquet").write_bytes((tmp_path / "in.parquet").read_bytes()[:-100])
    with pytest.raises(CatalogError, match="no readable Parquet file") as caught:
        read_catalog(tmp_path / "cut.parquet")
    assert "\n" not in str(caught.value)
    (tmp_path / "cut.ecsv").write_text("# %ECSV 1.0\n# ---\n# datatype: [broken\nra dec\n1 2\n")
    with pytest.raises(CatalogError, match="no readable ECSV file") as caught:
        read_catalog(tmp_path / "cut.ecsv")
    assert "\n" not in str(caught.value)


def test_ecsv_keeps_mixins_meta_and_masks(tmp_path):
    given = QTable({"id": [1, 2], "where": SkyCoord([1, 2] * u.deg, [3, 4] * u.deg), "r": [1.0, 2.0] * u.arcsec})
    given["n"] = MaskedColumn([1, 2], mask=[True, False])
    given.meta = {"nested": {"a": [1, 2]}, "GMMODEL": "older"}
    given.write(tmp_path / "in.ecsv")
    source = read_catalog(tmp_path / "in.ecsv")
    np.testing.assert_allclose(source.dec_deg, [3.0, 4.0])
    write_catalog(source, columns(2), tmp_path / "o.ecsv", provenance=PROVENANCE)
    got = QTable.read(tmp_path / "o.ecsv")
    assert isinstance(got["where"], SkyCoord)
    assert got["r"].unit == u.arcsec
    assert got["n"].tolist() == [None, 2]
    assert got.meta["nested"] == {"a": [1, 2]}
    assert (got.meta["GMMODEL"], got.meta["GMMODEL2"]) == ("older", "nircam-f200w")
    assert got["gm_rpet"].info.meta["ucd"] == "phys.angSize;src.morph"
    for ending in ("fits", "vot", "csv", "parquet"):
        write_catalog(source, columns(2), tmp_path / f"o.{ending}", provenance=PROVENANCE)
        flat = read_catalog(tmp_path / f"o.{ending}", ra="where.ra", dec="where.dec")
        np.testing.assert_allclose(flat.ra_deg, [1.0, 2.0])


def test_one_table_only_is_said_of_formats_without_hdus(tmp_path):
    for ending in ("parquet", "ecsv", "csv"):
        write_catalog(catalog_from(table()), columns(), tmp_path / f"a.{ending}", provenance=PROVENANCE)
        with pytest.raises(CatalogError, match="leave --hdu away"):
            read_catalog(tmp_path / f"a.{ending}", hdu=1)
