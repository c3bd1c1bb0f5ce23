"""Pictures of galaxies: what they show of the pixels, and where they draw the radius."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
import small_sky
from PIL import Image

from galmorph.pages.pictures import Picture, picture_of
from galmorph.runs.gather import Gathering, gather
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import open_images
from galmorph.stamps.recipe import Recipe

ROW = 2
"""The galaxy in the middle of the small sky; its nearest neighbour is 85 pixels away."""
STAR_PX = 22
"""How far to its right a star is put."""


def picture(folder, recipe: Recipe, star: float = 0.0) -> Picture:
    """Draw a galaxy, with a star of some brightness inside its field but outside its radius."""
    sky = small_sky.write_sky(folder)
    image = small_sky.field()
    yy, xx = np.indices(image.shape)
    x, y = small_sky.XY[ROW]
    image += star * np.exp(-((xx - x - STAR_PX) ** 2 + (yy - y) ** 2) / 4.0).astype(np.float32)
    images = open_images((image, small_sky.header()))
    (galaxy,) = gather(Gathering(read_catalog(sky.catalog), images), np.array([ROW]))
    shown = picture_of(galaxy, images, recipe)
    assert shown is not None
    return shown


def pixels(shown: Picture) -> np.ndarray:
    """Return the picture's pixels, rows downwards, (S, S) of 0 to 255."""
    _, data = shown.uri.split(",", 1)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"), float)


@pytest.mark.parametrize("recipe", [Recipe(half_width_rpet=4.0), Recipe(half_width_rpet=1.2, half_width_arcsec=1.8)])
def test_a_neighbour_does_not_darken_the_galaxy(tmp_path, recipe):
    """White is the galaxy's brightest whichever way the field was chosen, with a star of ten times that beside it."""
    (tmp_path / "alone").mkdir()
    (tmp_path / "beside").mkdir()
    alone, beside = (picture(tmp_path / name, recipe, star) for name, star in (("alone", 0.0), ("beside", 10.0)))
    assert pixels(beside)[60:68, 60:68].mean() == pytest.approx(pixels(alone)[60:68, 60:68].mean(), abs=12)
    assert pixels(alone)[60:68, 60:68].mean() > 180


def test_the_radius_is_drawn_in_parts_of_the_half_width(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    scaled = picture(tmp_path / "a", Recipe(half_width_rpet=4.0))
    fixed = picture(tmp_path / "b", Recipe(half_width_rpet=4.0, half_width_arcsec=1.8))
    assert scaled.sketch.radius == pytest.approx(25.0, abs=0.01)
    # 1.8 arcsec are 30 pixels of .06 arcsec.
    assert fixed.sketch.radius is not None
    assert 20 < fixed.sketch.radius < 60
