"""Columns added to VOTables leave the document around them as it was, and the documents are valid."""

from __future__ import annotations

import gzip
import re
import shutil
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from astropy.io import votable
from astropy.table import MaskedColumn, Table
from catalog_samples import LONG, PROVENANCE, ROWS, assert_same_values, columns, fits_with_everything, table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import catalog_from, read_catalog, write_catalog

DOCUMENT = """<?xml version="1.0" encoding="UTF-8"?>
<!-- made by hand -->
<vot:VOTABLE version="1.3" xmlns:vot="http://www.ivoa.net/xml/VOTable/v1.3">
 <vot:DESCRIPTION>All of it</vot:DESCRIPTION>
 <vot:RESOURCE type="meta">
  <vot:TABLE name="empty"><vot:FIELD name="a" datatype="int"/></vot:TABLE>
 </vot:RESOURCE>
 <vot:RESOURCE type="results" name="hand">
  <vot:INFO name="QUERY_STATUS" value="OK"/>
  <vot:COOSYS ID="sys" system="ICRS"/>
  <vot:PARAM name="radius" datatype="float" value="2.5" unit="arcmin"/>
  <vot:TABLE name="galaxies" ID="gm_ra">
   <vot:DESCRIPTION>Those   of <![CDATA[</TR>]]> the field</vot:DESCRIPTION>
   <vot:PARAM name="epoch" datatype="double" value="2016.0"/>
   <vot:FIELD name="source" ID="s" datatype="long" ucd="meta.id;meta.main"/>
   <vot:FIELD name="ra" datatype="double" unit="deg" ucd="pos.eq.ra;meta.main" ref="sys" precision="2"/>
   <vot:FIELD name="dec" datatype="double" unit="deg" ucd="pos.eq.dec;meta.main" ref="sys"/>
   <vot:FIELD name="odd" datatype="float" unit="furlongs/fortnight^2"><vot:VALUES null="-9"/></vot:FIELD>
   <vot:FIELD name="name" datatype="unicodeChar" arraysize="*"/>
   <vot:GROUP name="position"><vot:FIELDref ref="s"/></vot:GROUP>
   <vot:LINK href="http://example.org/"/>
   <vot:DATA><vot:TABLEDATA>
%s
   </vot:TABLEDATA></vot:DATA>
  </vot:TABLE>
 </vot:RESOURCE>
</vot:VOTABLE>
"""
ROW = (
    "    <vot:TR><vot:TD>{0}</vot:TD><vot:TD>1{0}.123456789</vot:TD><vot:TD>-{0}.50</vot:TD><vot:TD/>"
    "<vot:TD>&#233;t&lt;&#x2605; {0}</vot:TD>\n      </vot:TR>"
)


@pytest.fixture
def by_hand(tmp_path):
    path = tmp_path / "hand.vot"
    path.write_text(DOCUMENT % "\n".join(ROW.format(i) for i in range(ROWS)), encoding="utf-8")
    return path


def _linted(path: Path) -> str:
    """Return what votlint says about a document."""
    if shutil.which("stilts") is None:
        pytest.skip("stilts is not installed")
    told = subprocess.run(["stilts", "votlint", path], capture_output=True, text=True, check=False)
    return told.stdout + told.stderr


def test_the_first_table_with_rows_is_read_with_all_that_is_said_about_it(by_hand):
    got = read_catalog(by_hand)
    assert (got.hdu, got.ra_column, got.id_column) == (1, "ra", "source")
    assert got.ra_deg[1] == 11.123456789
    assert got.table["name"][2] == "ét<★ 2"
    assert got.table.meta["QUERY_STATUS"] == "OK"
    assert got.table.meta["radius"] == 2.5
    assert got.table.meta["description"] == "All of it Those of </TR> the field"


def test_only_insertions_are_made_in_a_document(by_hand, tmp_path):
    path = tmp_path / "out.vot"
    write_catalog(read_catalog(by_hand), columns(), path, provenance=PROVENANCE)
    text = path.read_text(encoding="utf-8")
    assert 'ref="sys"' in re.search(r'<vot:FIELD name="gm_ra"[^>]*', text)[0]
    assert 'ID="gm_ra_2"' in text
    for pattern in (
        r'<vot:FIELD name="gm_(?!class)[^/]*?<vot:DESCRIPTION>[^<]*</vot:DESCRIPTION></vot:FIELD>\n',
        r'<vot:FIELD name="gm_class".*?</vot:FIELD>\n',
        r'<vot:INFO name="(GM\w+|HISTORY)"[^>]*?(/>|>[^<]*</vot:INFO>)\n',
    ):
        text, count = re.subn(pattern, "", text)
        assert count > 0
    text = re.sub(r"(?<=\n      )(<vot:TD>[^<]*</vot:TD>|<vot:TD/>)+(?=</vot:TR>)", "", text)
    assert text == by_hand.read_text(encoding="utf-8")


def test_new_fields_carry_values_units_ucds_and_descriptions(by_hand, tmp_path):
    path = tmp_path / "out.vot"
    write_catalog(read_catalog(by_hand), columns(), path, provenance=PROVENANCE)
    got = read_catalog(path)
    assert got.table.meta["GMMODEL"] == "nircam-f200w"
    assert got.table.meta["HISTORY"] == list(PROVENANCE.history)
    for column in columns():
        assert_same_values(got.table[column.name], column.values)
        assert got.table[column.name].description == column.description
        assert got.table[column.name].info.meta["ucd"] == column.ucd
        assert str(got.table[column.name].unit or "") == column.unit


@pytest.mark.parametrize("serialisation", ["binary", "binary2"])
def test_binary_rows_are_written_out_with_all_their_digits(tmp_path, serialisation):
    given = table()
    tree = votable.from_table(given)
    tree.resources[0].infos.append(votable.tree.Info(name="QUERY", value="all"))
    field = tree.resources[0].tables[0].fields[1]
    field.precision = "1"
    tree.to_xml(str(tmp_path / "in.vot"), tabledata_format=serialisation)
    source = read_catalog(tmp_path / "in.vot")
    write_catalog(source, columns(), tmp_path / "out.vot", provenance=PROVENANCE)
    text = (tmp_path / "out.vot").read_text()
    assert "BINARY" not in text
    assert 'precision="1"' in text
    assert '<INFO ID="QUERY" name="QUERY" value="all"/>' in text
    got = read_catalog(tmp_path / "out.vot")
    for name in given.colnames:
        assert_same_values(got.table[name], source.table[name])
    assert_same_values(got.table["gm_p_smooth"], columns()[1].values)


def test_documents_made_from_memory_and_from_fits_are_valid(tmp_path):
    fits_with_everything().writeto(tmp_path / "in.fits")
    given = read_catalog(tmp_path / "in.fits")
    write_catalog(given, columns(), tmp_path / "out.vot", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "out.vot")
    for name in given.table.colnames:
        assert_same_values(got.table[name], given.table[name])
        assert got.table[name].description == given.table[name].description
    text = (tmp_path / "out.vot").read_text()
    assert '<COOSYS ID="icrs" system="ICRS"/>' in text
    assert 'unit="furlongs/fortnight^2"' in text
    assert got.table.meta["OBS"] == "3.5"
    assert _linted(tmp_path / "out.vot") == ""


def test_votlint_and_stilts_accept_an_extended_document_with_null_booleans(tmp_path):
    given = table()
    given["good"] = MaskedColumn(given["good"], mask=[False, True, False, False, False])
    write_catalog(catalog_from(given), columns(), tmp_path / "one.vot", provenance=PROVENANCE)
    second = [type(c)(c.name.replace("gm_", "g2_"), c.values, c.unit, c.description, c.ucd) for c in columns()]
    write_catalog(read_catalog(tmp_path / "one.vot"), second, tmp_path / "two.vot", provenance=PROVENANCE)
    assert _linted(tmp_path / "two.vot") == ""
    asked = [
        "stilts",
        "tpipe",
        f"in={tmp_path / 'two.vot'}",
        "cmd=meta name units description ucd",
        "ofmt=csv",
    ]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert f'g2_p_smooth,,"{LONG}",stat.probability;src.morph.type' in told.splitlines()
    asked = ["stilts", "tpipe", f"in={tmp_path / 'two.vot'}", "cmd=keepcols 'good g2_class'", "ofmt=csv"]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    assert told.splitlines()[:4] == ["good,g2_class", "true,disk", ",", "true,spheroid <&>"]


@pytest.mark.parametrize("name", ["galaxies", "gm_ra", "Galaxies", 1, "1"])
def test_a_table_is_chosen_by_number_id_or_name(by_hand, name):
    assert read_catalog(by_hand, hdu=name).hdu == 1


def of_service(path: Path, info: str, rows: int) -> Path:
    """Write what a service answers, beside a table that is not its result."""
    fields = '<FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>'
    cells = "".join(f"<TR><TD>{row}</TD><TD>{row}</TD></TR>" for row in range(rows))
    table = f"<TABLE>{fields}<DATA><TABLEDATA>{{}}</TABLEDATA></DATA></TABLE>"
    path.write_text(
        '<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE type="meta">'
        f"{table.format('<TR><TD>9</TD><TD>9</TD></TR>')}</RESOURCE>"
        f'<RESOURCE type="results">{table.format(cells)}{info}</RESOURCE></VOTABLE>',
        encoding="utf-8",
    )
    return path


STATUS = '<INFO name="QUERY_STATUS" value="{}">{}</INFO>'


@pytest.mark.parametrize(
    "info", [STATUS.format("ERROR", "no such\n column"), '<INFO name="Error" value="no such column"/>']
)
def test_what_a_service_says_of_a_query_that_failed_is_no_table(info, tmp_path, caplog):
    """Section 4.4 of DALI 1.1; it was a table without rows."""
    with pytest.raises(CatalogError, match=r"query that failed \(no such column\): expected rows"):
        read_catalog(of_service(tmp_path / "a.vot", info, 0), hdu=1)
    assert len(read_catalog(of_service(tmp_path / "b.vot", info, 2))) == 2
    assert "rows may be missing" in caplog.text


def test_a_result_that_a_service_has_cut_is_read_with_a_warning(tmp_path, caplog):
    cut = of_service(tmp_path / "a.vot", STATUS.format("OVERFLOW", ""), 2)
    assert read_catalog(cut).ra_deg.tolist() == [0.0, 1.0]
    assert "more rows than the service gives" in caplog.text
    caplog.clear()
    assert read_catalog(of_service(tmp_path / "b.vot", STATUS.format("OK", ""), 2)).hdu == 1
    assert caplog.text == ""


def test_a_wrong_table_lists_those_that_exist(by_hand):
    with pytest.raises(CatalogError, match=r"unknown table 'stars': known are 0 \(empty\), 1 \(galaxies\)"):
        read_catalog(by_hand, hdu="stars")


def test_a_zipped_document_is_read_and_written(by_hand, tmp_path):
    packed = tmp_path / "hand.vot.gz"
    packed.write_bytes(gzip.compress(by_hand.read_bytes()))
    write_catalog(read_catalog(packed), columns(), tmp_path / "out.vot.gz", provenance=PROVENANCE)
    assert read_catalog(tmp_path / "out.vot.gz").table["gm_flags"].tolist() == list(range(ROWS))


def test_a_document_in_a_wide_encoding_is_written_anew(by_hand, tmp_path):
    wide = tmp_path / "wide.vot"
    wide.write_bytes(by_hand.read_text(encoding="utf-8").replace("UTF-8", "UTF-16").encode("utf-16"))
    write_catalog(read_catalog(wide), columns(), tmp_path / "out.vot", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "out.vot").table
    assert got["name"][2] == "ét<★ 2"
    assert got["gm_flags"].tolist() == list(range(ROWS))


def test_no_rows_can_be_extended(tmp_path):
    write_catalog(catalog_from(table()[:0]), columns(0), tmp_path / "a.vot", provenance=PROVENANCE)
    second = [type(c)(f"x{c.name}", c.values) for c in columns(0)]
    write_catalog(read_catalog(tmp_path / "a.vot"), second, tmp_path / "b.vot", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "b.vot")
    assert len(got) == 0
    assert got.table.colnames == [*table().colnames, *(c.name for c in columns(0)), *(c.name for c in second)]


def test_a_damaged_document_is_an_error_of_one_line(by_hand, tmp_path):
    path = tmp_path / "cut.vot"
    path.write_bytes(by_hand.read_bytes()[:-500])
    with pytest.raises(CatalogError, match="no readable VOTable") as caught:
        read_catalog(path)
    assert "\n" not in str(caught.value)
    path.write_text("<?xml version='1.0'?><VOTABLE version='1.4'></VOTABLE>")
    with pytest.raises(CatalogError, match="no TABLE element"):
        read_catalog(path)


def test_infinite_values_are_spelt_as_votable_wants(tmp_path):
    made = [type(columns()[0])("gm_v", np.array([np.inf, -np.inf, np.nan, 0.0, 1e-300]))]
    write_catalog(catalog_from(table()), columns(), tmp_path / "a.vot", provenance=PROVENANCE)
    write_catalog(read_catalog(tmp_path / "a.vot"), made, tmp_path / "b.vot", provenance=PROVENANCE)
    assert_same_values(read_catalog(tmp_path / "b.vot").table["gm_v"], made[0].values)


def test_fields_of_one_name_are_numbered_in_no_time(tmp_path):
    names = ["ra", "dec", *["mag"] * 1000, "mag2"]
    fields = "".join(f'<FIELD name="{name}" datatype="float"/>' for name in names)
    row = "".join(f"<TD>{n}</TD>" for n in range(len(names)))
    text = f"<TABLE>{fields}<DATA><TABLEDATA><TR>{row}</TR></TABLEDATA></DATA></TABLE>"
    path = tmp_path / "in.vot"
    path.write_text(f'<VOTABLE version="1.4"><RESOURCE>{text}</RESOURCE></VOTABLE>')
    start = time.process_time()
    read = read_catalog(path).table
    assert time.process_time() - start < 7.5
    assert read.colnames[:4] == ["ra", "dec", "mag", "mag2"]
    assert [read[name][0] for name in ("mag", "mag2", "mag1000", "mag2100")] == [2, 3, 1001, 1002]


def test_thousands_of_columns_are_written_in_no_time(tmp_path):
    wide = Table({"ra": [1.0, 2.0], "dec": [3.0, 4.0]} | {f"m{n}": [n, -n] for n in range(2000)})
    start = time.process_time()
    write_catalog(catalog_from(wide), columns(2), tmp_path / "out.vot", provenance=PROVENANCE)
    assert time.process_time() - start < 20
    read = read_catalog(tmp_path / "out.vot").table
    assert read.colnames[: len(wide.columns)] == wide.colnames
    assert [read[name][1] for name in ("m0", "m1", "m1999")] == [0, -1, -1999]


def with_arrays(path, arraysize, rows=3):
    fields = '<FIELD name="ra" datatype="double"/><FIELD name="dec" datatype="double"/>'
    fields += f'<FIELD name="m" datatype="long" arraysize="{arraysize}"/>'
    row = "<TR><TD>1</TD><TD>2</TD><TD>3 4</TD></TR>"
    text = f"<TABLE>{fields}<DATA><TABLEDATA>{row * rows}</TABLEDATA></DATA></TABLE>"
    path.write_text(f'<VOTABLE version="1.4"><RESOURCE>{text}</RESOURCE></VOTABLE>')
    return path


@pytest.mark.parametrize("arraysize", ["100000", "99999999999999", "1000x1000", "2x3x99999999"])
def test_arrays_larger_than_their_document_are_refused_before_there_is_room_for_them(arraysize, tmp_path):
    with pytest.raises(CatalogError, match="by their arraysize, expected at most"):
        read_catalog(with_arrays(tmp_path / "in.vot", arraysize))


@pytest.mark.parametrize("arraysize", ["2", "*", "2x*", "1000*", "1000"])
def test_arrays_of_usual_sizes_are_read(arraysize, tmp_path):
    assert len(read_catalog(with_arrays(tmp_path / "in.vot", arraysize))) == 3
