"""Laws of catalogues: what is written is what is read, whatever is in it."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from galmorph.sky.angles import dec_degrees, ra_degrees
from galmorph.sky.catalog import Column, Provenance, catalog_from, read_catalog, write_catalog

QUICK = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
WORDS = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=12).map(str.strip)
UNITS = st.sampled_from(["", "deg", "arcsec", "mag", "Jy", "km / s"])
TEXTS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=90)
FORMATS = ("fits", "fits.gz", "vot", "ecsv", "csv", "tsv", "parquet", "hats")


def _values(kind: str, rows: int) -> st.SearchStrategy:
    if kind == "text":  # a letter first: a CSV file cannot tell the text "1" from a number
        return st.lists(WORDS.map(lambda w: f"t{w}"), min_size=rows, max_size=rows).map(
            lambda v: np.array(v, dtype="U")
        )
    if kind == "bool":
        return hnp.arrays(bool, rows)
    if kind.startswith("i"):
        low, high = np.iinfo(kind).min, np.iinfo(kind).max
        return hnp.arrays(kind, rows, elements=st.integers(int(low), int(high)))
    width = 8 * int(kind[1])
    return hnp.arrays(kind, rows, elements=st.floats(width=width, allow_nan=True, allow_infinity=True))


@st.composite
def tables(draw: st.DrawFn) -> Table:
    rows = draw(st.integers(0, 6))
    out = Table({"ra": np.linspace(0, 1, rows), "dec": np.linspace(0, 1, rows)})
    kinds = draw(st.lists(st.sampled_from(["text", "bool", "i2", "i4", "i8", "f4", "f8"]), max_size=5))
    for number, kind in enumerate(kinds):
        values, name = draw(_values(kind, rows)), f"c{number}_{kind}"
        masked = kind in ("bool", "i2", "i4", "i8") and draw(st.booleans())
        out[name] = MaskedColumn(values, mask=draw(hnp.arrays(bool, rows))) if masked else values
        out[name].unit = draw(UNITS) or None
        out[name].description = draw(TEXTS) or None
    return out


def _appended(rows: int) -> list[Column]:
    return [
        Column("gm_class", np.array(["disk", "", "a,b"] * rows, dtype="U9")[:rows]),
        Column("gm_p", np.linspace(0, 1, rows, dtype="f4"), "arcsec", "a radius", "phys.angSize"),
        Column("gm_n", np.arange(rows, dtype="i4")),
    ]


def _same(one, two, *, exact: bool) -> None:
    first, second = np.ma.asarray(one), np.ma.asarray(two)
    assert first.shape == second.shape
    if first.dtype.kind == "f":
        values = [np.ma.filled(a.astype("f8"), np.nan) for a in (first, second.astype("f8"))]
        if not exact:  # a text file holds the shortest digits of the type
            values = [a.astype(first.dtype) for a in values]
        np.testing.assert_array_equal(*values)
        return
    if first.size and not (np.ma.getmaskarray(first).all() and second.dtype.kind == "U"):
        np.testing.assert_array_equal(np.ma.getmaskarray(first), np.ma.getmaskarray(second))
        assert first.compressed().tolist() == second.compressed().tolist()


@pytest.mark.parametrize("ending", FORMATS)
@QUICK
@given(table=tables())
def test_written_and_read_is_the_same(ending, table):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"a.{ending}"
        write_catalog(catalog_from(table), _appended(len(table)), path, provenance=Provenance())
        got = read_catalog(path).table
    exact = ending not in ("csv", "tsv")
    assert got.colnames == [*table.colnames, "gm_class", "gm_p", "gm_n"]
    for name in table.colnames:
        _same(table[name], got[name], exact=exact)
        if exact:
            assert str(got[name].unit or "") == str(table[name].unit or "")
            assert (got[name].description or "") == (table[name].description or "")


@pytest.mark.parametrize("ending", FORMATS)
@QUICK
@given(table=tables())
def test_appending_to_a_file_is_appending_to_what_it_holds(ending, table):
    with tempfile.TemporaryDirectory() as folder:
        first, second = Path(folder) / f"a.{ending}", Path(folder) / f"b.{ending}"
        write_catalog(catalog_from(table), [], first, provenance=Provenance())
        before = read_catalog(first)
        write_catalog(before, _appended(len(table)), second, provenance=Provenance())
        got = read_catalog(second).table
    for name in before.table.colnames:
        _same(before.table[name], got[name], exact=True)
        assert str(got[name].unit) == str(before.table[name].unit)
        assert got[name].description == before.table[name].description
    for column in _appended(len(table)):
        _same(column.values, got[column.name], exact=False)


@given(hnp.arrays("f8", st.integers(0, 20)))
def test_positions_are_on_the_sphere_or_nan(values):
    ra, dec = ra_degrees(values), dec_degrees(values)
    assert ra.shape == dec.shape == values.shape
    assert np.all(np.isnan(ra) | ((ra >= 0) & (ra < 360)))
    assert np.all(np.isnan(dec) | (np.abs(dec) <= 90))


@given(st.integers(0, 23), st.integers(0, 59), st.integers(0, 59999))
def test_sexagesimal_text_in_any_style_is_the_same_angle(hours, minutes, thousandths):
    seconds = f"{thousandths / 1000:06.3f}"
    styles = [f"{hours:02d}{a}{minutes:02d}{b}{seconds}{c}" for a, b, c in ("::?", "hms", "   ")]
    got = ra_degrees([s.rstrip("? ") for s in styles])
    np.testing.assert_allclose(got, 15 * hours + minutes / 4 + thousandths / 240000, rtol=0, atol=1e-10)
