"""Rows that are cut and cells that point elsewhere: refused by name, where readers lose or mix them in silence."""

from __future__ import annotations

import base64
import struct
import time

import numpy as np
import pytest
from astropy.io import fits, votable
from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import catalog_from, read_catalog
from galmorph.sky.formats.binary_rows import BinaryField, bytes_left_over

RA, DEC = [150.1, 150.2, 150.3], [2.1, 2.2, 2.3]


def refusal(path) -> str:
    with pytest.raises(CatalogError) as caught:
        read_catalog(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


# Pointers into the heap of a FITS table


def ragged(path):
    """Write a table with a column of arrays of 1, 2 and 0 values."""
    values = np.array([np.array([1, 2], np.int32), np.array([3], np.int32), np.array([], np.int32)], dtype=object)
    columns = [fits.Column("ra", "D", array=RA), fits.Column("dec", "D", array=DEC)]
    hdu = fits.BinTableHDU.from_columns([*columns, fits.Column("list", "PJ()", array=values)])
    hdu.writeto(path, overwrite=True)
    return path


def pointed(path, row: int, count: int, place: int):
    """Change the pointer of a row."""
    content = bytearray(path.read_bytes())
    with fits.open(path) as hdus:
        start, width = hdus.fileinfo(1)["datLoc"], hdus[1].header["NAXIS1"]
    struct.pack_into(">ii", content, start + row * width + 16, count, place)
    path.write_bytes(bytes(content))
    return path


def test_pointers_into_the_heap_are_followed(tmp_path):
    assert [list(v) for v in read_catalog(ragged(tmp_path / "in.fits")).table["list"]] == [[1, 2], [3], []]


@pytest.mark.parametrize(
    ("row", "count", "place"), [(1, 1, 12), (1, 4, 0), (0, 2**31 - 1, 0), (2, -1, 0), (0, 1, -4), (1, 1, 2**31 - 1)]
)
def test_a_pointer_past_the_heap_is_refused(row, count, place, tmp_path):
    said = refusal(pointed(ragged(tmp_path / "in.fits"), row, count, place))
    assert f"row {row} of 'list' points to {count} values at byte {place} of a heap of 12 bytes" in said


def test_where_no_values_are_the_place_does_not_matter(tmp_path):
    """Writers leave there what they like."""
    assert len(read_catalog(pointed(ragged(tmp_path / "in.fits"), 2, 0, 9999)).table) == 3


# Binary rows of a VOTable


def binary(path, kind: str, *, text: bool):
    table = Table({"ra": RA, "dec": DEC, **({"name": ["a", "bcd", "ef"]} if text else {"n": [1, 2, 3]})})
    tree = votable.from_table(table)
    for field in tree.get_first_table().fields:
        field.arraysize = "*" if field.datatype in ("char", "unicodeChar") else None
    tree.to_xml(str(path), tabledata_format=kind)
    path.write_text(path.read_text().replace("<TABLE", '<TABLE nrows="3"', 1))
    return path


def cut(path, keep: int):
    """Leave out bytes at the end of the stream."""
    text = path.read_text()
    begin = text.index(">", text.index("<STREAM")) + 1
    end = text.index("</STREAM>")
    data = base64.b64decode(text[begin:end])[:keep]
    path.write_text(text[:begin] + base64.b64encode(data).decode() + text[end:])
    return path


@pytest.mark.parametrize("kind", ["binary", "binary2"])
@pytest.mark.parametrize("text", [False, True])
def test_a_stream_that_ends_inside_a_row_is_refused(kind, text, tmp_path, caplog):
    path = binary(tmp_path / "in.vot", kind, text=text)
    assert read_catalog(path).ra_deg.tolist() == RA
    assert "nrows" not in caplog.text
    said = refusal(cut(path, -1))
    assert "binary rows end inside row 2" in said


@pytest.mark.parametrize("keep", range(1, 75))
def test_wherever_a_stream_is_cut_no_row_is_lost_in_silence(keep, tmp_path, caplog):
    """Where rows end the number that the document says tells."""
    path = cut(binary(tmp_path / "in.vot", "binary2", text=False), keep)
    if keep % 25:
        assert f"binary rows end inside row {keep // 25}, {keep % 25} bytes" in refusal(path)
    else:
        assert len(read_catalog(path)) == keep // 25
        assert f"says that its table has 3 rows (nrows), and holds {keep // 25}" in caplog.text


@pytest.mark.parametrize(
    ("fields", "data", "rows", "left"),
    [
        ([("double", ""), ("bit", "9")], bytes(20), 2, 0),
        ([("short", "2x3")], bytes(25), 2, 1),
        ([("char", "*")], b"\0\0\0\3abc\0\0\0\0", 2, 0),
        ([("char", "5*")], b"\0\0\0\3ab", 0, 6),
        ([("unicodeChar", "*")], b"\0\0\0\1ab\0\0", 1, 2),
        ([("double", "3x*")], bytes(7), 0, 0),
        ([("surprise", "")], bytes(7), 0, 0),
        ([], bytes(7), 0, 0),
    ],
)
def test_rows_are_counted_by_their_lengths(fields, data, rows, left):
    assert bytes_left_over(data, [BinaryField(*each) for each in fields], null_bits=False) == (rows, left)


# YAML in front of a table


def aliased(levels: int, width: int) -> str:
    lines = [
        "# %ECSV 1.0",
        "# ---",
        "# datatype:",
        "# - {name: ra, datatype: float64}",
        "# - {name: dec, datatype: float64}",
    ]
    lines += ["# meta:", "#   l0: &l0 [x, x]"]
    lines += [f"#   l{n}: &l{n} [{', '.join([f'*l{n - 1}'] * width)}]" for n in range(1, levels)]
    return "\n".join([*lines, "ra dec", "1.0 2.0", "3.0 4.0", ""])


@pytest.mark.parametrize(("levels", "width"), [(9, 9), (20, 2), (3, 1000)])
def test_aliases_that_stand_for_too_much_are_refused(levels, width, tmp_path):
    path = tmp_path / "in.ecsv"
    path.write_text(aliased(levels, width))
    started = time.process_time()
    assert "aliases of its YAML header stand for more values than 200000 (--limit yaml_values=N" in refusal(path)
    assert time.process_time() - started < 5.0


def test_a_few_aliases_and_stars_are_read(tmp_path):
    path = tmp_path / "in.ecsv"
    path.write_text(aliased(3, 3).replace("name: ra,", "name: ra, description: 'of *a star',"))
    catalog = read_catalog(path)
    assert catalog.ra_deg.tolist() == [1.0, 3.0]
    assert catalog.table.meta["l1"] == [["x", "x"]] * 3


def test_an_anchor_inside_itself_is_refused(tmp_path):
    path = tmp_path / "in.ecsv"
    path.write_text(aliased(1, 1).replace("[x, x]", "[x, *l0]"))
    assert "aliases" in refusal(path)


# Tables in memory


def test_the_first_table_of_an_hdu_list_with_positions_is_the_catalogue():
    """As that of a file."""
    headers = fits.BinTableHDU(Table({"Field Header Card": ["SIMPLE = T"]}), name="LDAC_IMHEAD")
    sources = fits.BinTableHDU(Table({"ALPHA_J2000": RA, "DELTA_J2000": DEC}), name="LDAC_OBJECTS")
    hdus = fits.HDUList([fits.PrimaryHDU(), headers, sources])
    assert catalog_from(hdus).ra_deg.tolist() == RA
    with pytest.raises(CatalogError, match="no columns for positions"):
        catalog_from(hdus, hdu=1)
    with pytest.raises(CatalogError, match="no columns for positions"):
        catalog_from(fits.HDUList([fits.PrimaryHDU(), headers]))
