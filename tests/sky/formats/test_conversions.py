"""What one format has and others lack comes through all of them, or is said to be text."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy.io import fits
from astropy.io import votable as astropy_votable
from astropy.table import MaskedColumn, Table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Catalog, Column, Provenance, catalog_from, read_catalog, write_catalog
from galmorph.sky.formats import stored_parquet
from galmorph.sky.formats.plain import python_value
from galmorph.sky.formats.registry import FORMATS

ENDINGS = [form.endings[0] for form in FORMATS]
ROWS = 4


def converted(catalog: Catalog, ending: str, folder) -> Any:
    """Return the column v of a catalogue that was written in a format and read again."""
    write_catalog(catalog, [], folder / f"out{ending}", provenance=Provenance())
    return read_catalog(folder / f"out{ending}").table["v"]


def cells(column: Any) -> list[Any]:
    """Return cells as Python has them: None for null, lists for arrays, also for those that are text of JSON."""
    return [_cell(each) for each in column]


def _cell(value: Any) -> Any:
    value = python_value(value)
    if isinstance(value, str) and value[:1] in ("[", "{"):
        value = json.loads(value)
    if isinstance(value, list) and value:
        return [_cell(each) for each in value]
    if isinstance(value, dict):
        return {key: _cell(each) for key, each in value.items()}
    return None if value in ("", []) or value != value else value  # noqa: PLR0124 - NaN


def parquet(folder, values: Any) -> Catalog:
    table = {"ra": np.arange(1.0, ROWS + 1), "dec": np.arange(1.0, ROWS + 1), "v": values}
    pq.write_table(pa.table(table), folder / "in.parquet")
    return read_catalog(folder / "in.parquet")


def binary_table(folder, column: fits.Column) -> Catalog:
    numbers = np.arange(1.0, ROWS + 1)
    made = [fits.Column("ra", "D", array=numbers), fits.Column("dec", "D", array=numbers), column]
    fits.BinTableHDU.from_columns(made).writeto(folder / "in.fits")
    return read_catalog(folder / "in.fits")


def held(values: Any) -> Catalog:
    return catalog_from(Table({"ra": np.arange(1.0, ROWS + 1), "dec": np.arange(1.0, ROWS + 1), "v": values}))


def boxed(values: list[Any]) -> Any:
    out = np.empty(len(values), dtype=object)
    out[:] = values
    return out


@pytest.mark.parametrize("ending", ENDINGS)
def test_unsigned_integers_of_fits_keep_all_their_digits(ending, tmp_path):
    values = np.array([0, 2**53 + 1, 2**63 + 3, 2**64 - 1], dtype="u8")
    after = converted(binary_table(tmp_path, fits.Column("v", "K", bzero=2**63, array=values)), ending, tmp_path)
    assert [int(each) for each in after] == values.tolist()


def test_signed_bytes_of_fits_are_integers(tmp_path):
    values = np.array([-128, -1, 0, 127], dtype="i1")
    read = binary_table(tmp_path, fits.Column("v", "B", bzero=-128, array=values)).table["v"]
    assert (read.dtype, read.tolist()) == (np.int8, values.tolist())


def raw_table(folder, form: str, cells: list[bytes], cards: str = "", heap: bytes = b"") -> Catalog:
    """Write a table of ra, dec and a column v, whose cells and heap are these bytes."""
    lines = [*f"XTENSION= 'BINTABLE'\nBITPIX  = 8\nNAXIS   = 2\nNAXIS1  = {16 + len(cells[0])}".split("\n")]
    lines += f"NAXIS2  = {len(cells)}\nPCOUNT  = {len(heap)}\nGCOUNT  = 1\nTFIELDS = 3".split("\n")
    lines += f"TTYPE1  = 'ra'\nTFORM1  = 'D'\nTTYPE2  = 'dec'\nTFORM2  = 'D'\nTTYPE3  = 'v'\nTFORM3  = '{form}'".split(
        "\n"
    )
    header = "".join(line.ljust(80) for line in [*lines, *cards.split("\n"), "END"]).encode()
    rows = b"".join(np.array([1.0, 2.0], ">f8").tobytes() + cell for cell in cells)
    fits.PrimaryHDU().writeto(folder / "in.fits")
    with (folder / "in.fits").open("ab") as stream:
        for piece, filling in ((header, b" "), (rows + heap, b"\0")):
            stream.write(piece.ljust(-(-len(piece) // 2880) * 2880, filling))
    return read_catalog(folder / "in.fits")


@pytest.mark.parametrize("form", ["PL(3)", "1PL(3)", "QL"])
@pytest.mark.parametrize("ending", ENDINGS)
def test_nulls_among_logicals_in_the_heap_are_null(form, ending, tmp_path):
    """Zero bytes (FITS standard 4.0, section 7.3.3), of which astropy makes false."""
    kind = ">i8" if form.startswith("Q") else ">i4"
    pointers = [np.array(pair, kind).tobytes() for pair in ([3, 0], [2, 3], [0, 5], [1, 4])]
    read = raw_table(tmp_path, form, pointers, heap=b"T\0FTF")
    expected = [[True, None, False], [True, False], None, [False]]
    assert cells(read.table["v"]) == expected
    assert cells(converted(read, ending, tmp_path)) == expected


@pytest.mark.parametrize(
    ("kind", "cards", "given", "expected"),
    [
        (">i8", "TZERO3  = 1", [2**53, -7], [2**53 + 1, -6]),
        (">i8", "TZERO3  = 9.223372036854775808E18", [2**63 - 1, -7], [2**64 - 1, 2**63 - 7]),
        (">i4", "TZERO3  = 2147483648.0\nTSCAL3  = 1.0\nTNULL3  = -7", [2**31 - 1, -7], [2**32 - 1, None]),
        (">i2", "TSCAL3  = 0.1\nTZERO3  = 3\nTNULL3  = -7", [5, -7], [3.5, None]),
        (">i2", "TSCAL3  = 1D1", [5, -7], [50.0, -70.0]),
        (">i8", f"TZERO3  = {2**62}", [2**63 - 1, 0], [float(2**63 + 2**62), float(2**62)]),
        (">f4", "TSCAL3  = 2", [0.25, np.nan], [0.5, None]),
    ],
)
def test_scaled_cells_are_what_the_standard_says(kind, cards, given, expected, tmp_path):
    letter = {"i2": "I", "i4": "J", "i8": "K", "f4": "E"}[kind[1:]]
    read = raw_table(tmp_path, letter, [np.array(v, kind).tobytes() for v in given], cards).table["v"]
    assert cells(read) == expected
    assert {type(each) for each in expected if each is not None} == {
        type(each) for each in cells(read) if each is not None
    }


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending != ".fits"])
@pytest.mark.parametrize(
    ("letter", "cards", "expected"),
    [
        ("I", "TNULL3  = -7", [[1, None], [5]]),
        ("I", "TSCAL3  = 0.5\nTZERO3  = 1", [[1.5, -2.5], [3.5]]),
        ("I", "TZERO3  = 32768", [[32769, 32761], [32773]]),
        ("B", "TZERO3  = -128", [[-128, -127], [-1]]),
        ("J", "", [[1, -7], [5]]),
    ],
)
def test_arrays_in_the_heap_are_scaled_and_have_nulls(letter, cards, expected, ending, tmp_path):
    kind = {"I": ">i2", "J": ">i4", "B": "u1"}[letter]
    stored = np.array([0, 1, 127] if letter == "B" else [1, -7, 5]).astype(kind)
    pointers = [np.array(pair, ">i4").tobytes() for pair in ((2, 0), (1, 2 * stored.itemsize))]
    read = raw_table(tmp_path, f"P{letter}(2)", pointers, cards, stored.tobytes())
    assert cells(converted(read, ending, tmp_path)) == expected


def test_nulls_of_ascii_tables_are_null(tmp_path):
    made = [fits.Column(name, "F8.3", array=[1.5, 2.5]) for name in ("ra", "dec")]
    made.append(fits.Column("v", "I5", array=np.array([7, -999])))
    fits.HDUList([fits.PrimaryHDU(), fits.TableHDU.from_columns(made)]).writeto(tmp_path / "in.fits")
    raw = (tmp_path / "in.fits").read_bytes()
    end, null = b"END".ljust(80), b"TNULL3  = '-999'".ljust(80)
    at = raw.rindex(end)
    changed = raw[:at] + null + end + raw[at + 160 :]
    (tmp_path / "in.fits").write_bytes(changed)
    for ending in (".fits", ".csv"):
        assert cells(converted(read_catalog(tmp_path / "in.fits"), ending, tmp_path)) == [7, None]


def test_letters_outside_ascii_of_a_fits_table_are_copied(tmp_path):
    texts = [text.encode().ljust(10) for text in ("é α", "a", "NGC 1", "中")]
    column = Column("gm_x", np.arange(4.0))
    write_catalog(raw_table(tmp_path, "10A", texts), [column], tmp_path / "out.fits", provenance=Provenance())
    assert read_catalog(tmp_path / "out.fits").table["v"].tolist() == ["é α", "a", "NGC 1", "中"]
    assert all(text in (tmp_path / "out.fits").read_bytes() for text in texts)


@pytest.mark.parametrize("highest", [5, 2**64 - 1])
def test_null_unsigned_integers_are_null_in_fits(highest, tmp_path):
    before = MaskedColumn(np.array([0, 7, 2**63, highest] if highest > 5 else [0, 7, 3, 5], "u8"), mask=[0, 1, 0, 0])
    after = converted(held(before), ".fits", tmp_path)
    assert cells(after) == cells(before)
    with fits.open(tmp_path / "out.fits") as hdus:  # as the standard has it: what stands in the file
        raw = np.asarray(hdus[1].data)["v"]
        assert (raw == hdus[1].header["TNULL3"]).tolist() == [False, True, False, False]


@pytest.mark.parametrize("ending", ENDINGS)
def test_null_numbers_in_arrays_stay_null(ending, tmp_path):
    mask = np.array([[0, 1], [0, 0], [1, 1], [1, 0]], dtype=bool)
    for values in (np.arange(8).reshape(ROWS, 2), np.arange(8.0).reshape(ROWS, 2)):
        before = MaskedColumn(values, mask=mask)
        folder = tmp_path / values.dtype.kind
        folder.mkdir()
        assert cells(converted(held(before), ending, folder)) == cells(before)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", ["i8", "f4"])
def test_null_numbers_in_arrays_of_different_lengths_stay_null(kind, ending, tmp_path):
    arrays = [np.ma.array(np.arange(n), kind, mask=np.arange(n) % 2) for n in range(ROWS)]
    assert cells(converted(held(boxed(arrays)), ending, tmp_path)) == [None, [0], [0, None], [0, None, 2]]


@pytest.mark.parametrize("ending", ENDINGS)
def test_integers_among_reals_of_different_lengths_keep_their_digits(ending, tmp_path):
    arrays = [np.array([2**53 + 1]), np.array([0.5, 1.5]), None, np.array([], float)]
    after = cells(converted(held(boxed(arrays)), ending, tmp_path))
    assert [str(each) for each in after[0]] == ["9007199254740993"] or ending in (".parquet", ".hats")


@pytest.mark.parametrize("ending", ENDINGS)
def test_text_of_different_lengths_in_the_heap_of_fits_is_text(ending, tmp_path):
    column = fits.Column("v", "PA()", array=np.array(["abc", "", "x y", "NGC 1"], dtype=object))
    assert converted(binary_table(tmp_path, column), ending, tmp_path).tolist() == ["abc", "", "x y", "NGC 1"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(
    "values",
    [
        pa.array([[True, None], [], None, [False]]),
        pa.array([[[1, 2], [3]], None, [], [[4]]]),
        pa.array([{"a": 2**53 + 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 1, "b": ""}]),
        pa.array([[1, None], [2, 3], [4, 5], [6, 7]]),
        pa.array(["a", "\u03b1", None, "b"], pa.string_view()),
        pa.array([[(1.0)], [0.5, 2.5], None, []], pa.large_list(pa.float64())),
    ],
    ids=lambda values: str(values.type).replace(" ", ""),
)
def test_nested_cells_of_parquet_are_arrays_or_text_of_json(values, ending, tmp_path):
    expected = [_cell(each) for each in values.to_pylist()]
    after = cells(converted(parquet(tmp_path, values), ending, tmp_path))
    # FITS has escapes for letters outside ASCII; a text that is none is one of no letters.
    assert json.loads(json.dumps(after).replace("\\\\u", "\\u")) == expected


@pytest.mark.parametrize(
    ("kind", "values", "expected"),
    [
        (pa.decimal128(18, 0), ["12345678901234567", None, "-1", "0"], [12345678901234567, None, -1, 0]),
        (pa.decimal128(20, 0), ["18446744073709551615", None, "-1", "0"], ["18446744073709551615", None, "-1", "0"]),
        (pa.decimal128(15, 4), ["0.1", None, "-2.5", "12345678901.2345"], [0.1, None, -2.5, 12345678901.2345]),
        (pa.decimal128(20, 18), ["0.123456789012345678", None, "1", "2"], ["0.123456789012345678", None]),
    ],
    ids=str,
)
def test_decimals_keep_their_digits(kind, values, expected, tmp_path):
    decimals = pa.array([None if v is None else Decimal(v) for v in values], kind)
    after = cells(parquet(tmp_path, decimals).table["v"])
    assert after[: len(expected)] == expected


def test_times_keep_nanoseconds(tmp_path):
    read = parquet(tmp_path, pa.array([1, None, 0, 86399 * 10**9], pa.time64("ns"))).table["v"]
    assert read.tolist() == ["00:00:00.000000001", "", "00:00:00.000000000", "23:59:59.000000000"]


@pytest.mark.parametrize("kind", [pa.binary(), pa.binary(3), pa.large_binary()])
def test_bytes_are_text_where_they_are_some_and_escapes_elsewhere(kind, tmp_path):
    values = pa.array([b"abc", "a\u00e9".encode(), b"\x00\x01a", None], kind)
    assert parquet(tmp_path, values).table["v"].tolist() == ["abc", "a\u00e9", "\\x00\\x01a", ""]


@pytest.mark.parametrize("ending", ENDINGS)
def test_arrays_of_complex_numbers_are_arrays_or_text(ending, tmp_path):
    values = np.arange(8).reshape(ROWS, 2) + 0.5j
    after = cells(converted(held(values), ending, tmp_path))
    assert [[complex(each) for each in row] for row in after] == values.tolist()


def test_blanks_at_the_ends_of_text_beside_arrays_are_kept_in_ecsv(tmp_path):
    table = Table({"v": [" a", "b ", "#c", ""], "ra": np.arange(4.0), "dec": np.arange(4.0), "w": np.ones((4, 2))})
    table["w"][0] = 3.0, 1 / 3
    write_catalog(catalog_from(table), [], tmp_path / "out.ecsv", provenance=Provenance())
    got = read_catalog(tmp_path / "out.ecsv").table
    assert got["v"].tolist() == table["v"].tolist()
    assert got["w"].tolist() == table["w"].tolist()


@pytest.mark.parametrize("serialisation", ["binary", "binary2"])
def test_binary_cells_whose_length_is_read_in_two_ways_are_refused(serialisation, tmp_path):
    tree = astropy_votable.from_table(Table({"ra": [1.0], "dec": [1.0], "v": [[[1, 2], [3, 4]]]}))
    tree.to_xml(str(tmp_path / "in.vot"), tabledata_format=serialisation)
    text = (tmp_path / "in.vot").read_text()
    (tmp_path / "in.vot").write_text(text.replace('arraysize="2x2"', 'arraysize="2x*"'))
    with pytest.raises(CatalogError, match=r"arraysize '2x\*'.*expected TABLEDATA"):
        read_catalog(tmp_path / "in.vot")


@pytest.mark.parametrize("ending", [".parquet", ".hats", ".vot"])
@pytest.mark.parametrize(
    "values",
    [
        pa.array([[], [], [[1, 2], [3]], [[4]]], pa.list_(pa.list_(pa.int64()))),
        pa.array([[], [], [("a", 1)], None], pa.map_(pa.string(), pa.int64())),
        pa.array([[1, 2], [3, None], [4, 5], [6, 7]]),
        pa.array([[True], [True], [None], [False]]),
    ],
    ids=["lists", "map", "nulls", "truth"],
)
def test_nested_cells_are_written_in_pieces_as_at_once(values, ending, tmp_path, monkeypatch):
    table = pa.table({"ra": np.arange(1.0, 5.0), "dec": np.arange(1.0, 5.0), "v": values, "id": np.arange(4)})
    pq.write_table(table.select(["ra", "dec", "id", "v"]), tmp_path / "in.parquet", row_group_size=2)
    results = []
    for size, rows in ((1 << 25, 1 << 15), (0, 2)):
        monkeypatch.setattr(stored_parquet, "SMALL_BYTES", size)
        monkeypatch.setattr(stored_parquet, "ROWS_AT_ONCE", rows)
        source = read_catalog(tmp_path / "in.parquet")
        assert source.is_held == bool(size)
        target = tmp_path / f"out{size}{ending}"
        write_catalog(source, [], target, provenance=Provenance())
        results.append(cells(read_catalog(target).table["v"]))
    assert results[0] == results[1]
    assert results[0] == [_cell(each) for each in values.to_pylist()] or "map" in str(values.type)


def test_several_infos_of_one_name_are_all_told(tmp_path):
    tree = astropy_votable.from_table(Table({"ra": [1.0], "dec": [1.0], "v": [2.0]}))
    for value in ("first", "second", "third"):
        tree.resources[0].infos.append(astropy_votable.tree.Info(name="STEP", value=value))
    tree.to_xml(str(tmp_path / "in.vot"))
    source = read_catalog(tmp_path / "in.vot")
    assert source.table.meta["STEP"] == ["first", "second", "third"]
    converted(source, ".ecsv", tmp_path)
    assert read_catalog(tmp_path / "out.ecsv").table.meta["STEP"] == ["first", "second", "third"]
