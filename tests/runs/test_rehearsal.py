"""What the output's format cannot hold is refused before the first galaxy is measured."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph.errors import GalmorphError, OutputError
from galmorph.runs import classify as module


class MeasuredError(Exception):
    """Says that work began."""


@pytest.fixture
def sky(tmp_path):
    return small_sky.write_sky(tmp_path)


@pytest.fixture(autouse=True)
def no_work(monkeypatch):
    def refuse(*_, **__):
        raise MeasuredError

    monkeypatch.setattr(module, "_carried_out", refuse)


def wide(sky, extra: int) -> Table:
    table = Table.read(sky.catalog)
    for n in range(extra - len(table.colnames)):
        table[f"c{n:03d}"] = np.zeros(len(table), np.float32)
    return table


@pytest.mark.parametrize("columns", [985, 999])
def test_too_many_columns_for_fits_are_refused_before_work(sky, tmp_path, columns):
    with pytest.raises(GalmorphError, match="999"):
        galmorph.measure(wide(sky, columns), sky.image, survey="candels", band="H", output=tmp_path / "out.fits")
    assert not (tmp_path / "out.fits").exists()


def test_too_many_columns_for_a_copy_of_a_fits_file_are_refused_before_work(sky, tmp_path):
    wide(sky, 985).write(tmp_path / "wide.fits")
    with pytest.raises(GalmorphError, match="999"):
        galmorph.measure(tmp_path / "wide.fits", sky.image, survey="candels", band="H", output=tmp_path / "out.fits")


def test_what_can_be_written_goes_to_work(sky, tmp_path):
    with pytest.raises(MeasuredError):
        galmorph.measure(wide(sky, 900), sky.image, survey="candels", band="H", output=tmp_path / "out.fits")
    assert not (tmp_path / "out.fits").exists()


def with_column(sky, values) -> Table:
    table = Table.read(sky.catalog)
    table["odd"] = values
    return table


LATE = ["a"] * 6
CANNOT = {
    "half a character": (np.array([*LATE, "\udcff"]), ("vot", "ecsv", "csv", "parquet")),
    "an end inside a text": (np.array([*LATE, "a\0b"]), ("fits",)),
    "an object without a text": (np.array([*LATE, object()], dtype=object), ("fits", "vot", "ecsv", "csv", "parquet")),
}


@pytest.mark.parametrize(("what", "ending"), [(what, e) for what, (_, endings) in CANNOT.items() for e in endings])
def test_what_only_a_late_row_has_is_refused_before_work(sky, tmp_path, what, ending):
    table, output = with_column(sky, CANNOT[what][0]), tmp_path / f"out.{ending}"
    with pytest.raises(GalmorphError) as caught:
        galmorph.measure(table, sky.image, survey="candels", band="H", output=output)
    assert isinstance(caught.value, OutputError)
    assert not output.exists()


CAN = {
    "nothing but NaN": np.full(7, np.nan),
    "masked integers": np.ma.masked_array(np.arange(7), mask=[1, 0, 1, 0, 1, 0, 1]),
    "the largest integer": np.full(7, 2**64 - 1, np.uint64),
    "complex numbers": np.full(7, 1j),
    "dates": np.array(["2020-01-01", "NaT"] * 3 + ["2020-01-01"], "M8[s]"),
    "accents": np.array(["\u03b1", "\u65e5\u672c", "e\u0301", "\U0001f44d", "", "#", '"']),
    "numbers among nothing": np.array([1, 2.5, None, 4, 5, 6, 7], dtype=object),
}


@pytest.mark.parametrize("ending", ["fits", "vot", "ecsv", "csv", "parquet"])
def test_what_formats_hold_goes_to_work(sky, tmp_path, ending):
    table = Table.read(sky.catalog)
    for name, values in CAN.items():
        table[name] = values
    for rows in (table, table[:1]):
        with pytest.raises(MeasuredError):
            galmorph.measure(rows, sky.image, survey="candels", band="H", output=tmp_path / f"out.{ending}")
