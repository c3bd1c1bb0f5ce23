"""Atlas: pictures from all over a map, on sheets."""

from __future__ import annotations

import io

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from PIL import Image

from galmorph.pages.maps.atlas import drawn, side_for, spread
from galmorph.progress import silent
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageInput


def test_pictures_come_from_all_over_the_map():
    rng = np.random.default_rng(0)
    crowd, few = rng.normal(0, 0.01, (5000, 2)), rng.uniform(-5, 5, (50, 2))
    places = np.concatenate([crowd, few]).astype(np.float32)
    rows = np.arange(100, 5150)
    chosen = spread(places, rows, 80)
    assert len(chosen) == len(np.unique(chosen)) == 80
    assert (chosen >= 5100).sum() >= 25
    assert np.array_equal(chosen, spread(places, rows, 80))
    assert np.array_equal(spread(places, rows, 6000), rows)


def test_many_pictures_are_small():
    assert [side_for(count) for count in (100, 2000, 10_000, 20_000, 100_000)] == [64, 64, 48, 32, 32]


def test_sheets_hold_the_galaxies_in_the_order_of_their_rows(tmp_path):
    folder = tmp_path / "stamps"
    folder.mkdir()
    for number in range(20):
        (folder / f"g{number}.jpg").write_bytes(small_sky.picture(number, 80))
    table = Table({"id": [f"g{i}" for i in range(21)], "file": [f"g{i}.jpg" for i in range(20)] + ["none.jpg"]})
    places = np.random.default_rng(0).normal(size=(21, 2)).astype(np.float32)
    places[4] = np.nan
    atlas = drawn(catalog_from(table), ImageInput(str(folder), survey="sdss", band="RGB"), places, 100, silent)
    assert atlas.rows.tolist() == [row for row in range(20) if row != 4]
    (sheet,) = atlas.sheets
    picture = Image.open(io.BytesIO(sheet))
    assert picture.format == "JPEG"
    assert picture.size == (16 * 64, 2 * 64)
    levels = np.asarray(picture.convert("L"), float)
    assert levels[24:40, 24:40].mean() > levels[:8, :8].mean() + 10
    assert levels[64:, 3 * 64 :].mean() == pytest.approx(0.0, abs=2.0)
