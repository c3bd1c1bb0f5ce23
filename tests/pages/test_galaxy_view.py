"""GalaxyView: a galaxy with any stretch, its neighbours, and what the network is shown."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from PIL import Image

import galmorph
from galmorph.errors import CatalogError
from galmorph.pages.display_stretch import DisplayStretch

ROW = 2
"""The galaxy in the middle of the small sky."""


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def view(sky):
    image = small_sky.field()
    yy, xx = np.indices(image.shape)
    x, y = small_sky.XY[ROW]
    # A neighbour above the galaxy, inside its field: FITS rows run upwards.
    image += 4.0 * np.exp(-((xx - x) ** 2 + (yy - y - 14) ** 2) / 4.0).astype(np.float32)
    view = galmorph.view(sky.catalog, (image, small_sky.header()), row=ROW, side=96)
    assert view is not None
    return view


def levels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert("L"), float)


def test_a_lower_white_makes_it_brighter_and_a_higher_black_darker(view):
    usual = levels(view.png()).mean()
    assert levels(view.png(replace(view.stretch, white=view.stretch.white / 4))).mean() > usual + 2
    assert levels(view.png(replace(view.stretch, black=3.0))).mean() < usual - 2


def test_softening_changes_the_middle_and_not_the_ends():
    flux = np.array([-1.5, 10.0, 100.0], np.float32)
    hard, soft = (DisplayStretch(-1.5, 100.0, s).brightness(flux) for s in (1.0, 1000.0))
    assert hard[[0, 2]] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert soft[[0, 2]] == pytest.approx([0.0, 1.0], abs=1e-6)
    assert soft[1] == pytest.approx(11.5 / 101.5, abs=1e-3)  # linear
    assert hard[1] > 0.5


@pytest.mark.parametrize(
    "stretch", [DisplayStretch(5, 5, 0), DisplayStretch(9, -9, -1), DisplayStretch(0, 1e30, 1e-30)]
)
def test_an_impossible_stretch_still_gives_a_picture(view, stretch):
    shown = replace(stretch, unit=view.stretch.unit)
    assert np.isfinite(shown.brightness(view.planes)).all()
    assert levels(view.png(shown)).shape == (96, 96)


def test_the_mask_marks_the_neighbour_and_not_the_galaxy(view):
    mask = np.asarray(Image.open(io.BytesIO(view.mask_png())))[..., 3]
    assert mask.shape == (96, 96)
    # Above the galaxy on the picture, since its rows are shown upwards.
    assert mask[:40].any()
    assert not mask[44:52, 44:52].any()
    assert len(np.unique(mask)) == 3  # none, and two stripes: told by pattern, not by colour


def test_the_network_is_shown_no_neighbour(view):
    small = levels(view.network_png())
    assert small.shape == (64, 64)
    above, below = small[:20].mean(), small[-20:].mean()
    assert abs(above - below) < 25


def test_a_picture_is_left_as_it_is(tmp_path):
    pixels = (np.hypot(*(np.indices((64, 64)) - 31.5)) < 12).astype(np.uint8)[..., None] * np.array(
        [200, 120, 60], "u1"
    )
    Image.fromarray(pixels + np.uint8(10)).save(tmp_path / "a.png")
    view = galmorph.view(Table({"file": ["a.png"]}), [tmp_path], survey="sdss", band="RGB", side=64)
    assert view is not None
    assert not view.is_linear
    assert view.stretch == DisplayStretch.of_pictures()
    plain, stretched = (
        np.asarray(Image.open(io.BytesIO(p)).convert("RGB"), float) for p in (view.png(), view.png(view.stretch))
    )
    assert abs(plain - stretched).mean() < 3
    assert levels(view.png(replace(view.stretch, white=40.0))).mean() > levels(view.png()).mean() + 10


@pytest.mark.parametrize("side", [0, -3, 10_000_000])
def test_a_picture_without_pixels_or_with_too_many_is_refused(sky, side):
    with pytest.raises(CatalogError, match=f"a side of {side} pixels: expected 1 to 8192"):
        galmorph.view(sky.catalog, (small_sky.field(), small_sky.header()), row=ROW, side=side)


def test_a_row_that_is_not_there_is_refused(sky):
    with pytest.raises(CatalogError, match="expected 0 to"):
        galmorph.view(sky.catalog, (small_sky.field(), small_sky.header()), row=99)
