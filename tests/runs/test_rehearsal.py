"""What the output's format cannot hold is refused before the first galaxy is measured."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph.errors import GalmorphError
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

    monkeypatch.setattr(module, "classify_part", refuse)


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
