"""The smooth sky of a large image is followed, its galaxies are not."""

from __future__ import annotations

import numpy as np
import pytest
import sep
from galaxies import noise, sersic

from galmorph.stamps.mesh import flattened

SHAPE = (641, 641)


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, np.bool_)


def hill(shape: tuple[int, int]) -> np.ndarray:
    """A sky that varies by some two sigma in all, and by a fifth of one from cell to cell."""
    y, x = np.mgrid[: shape[0], : shape[1]] / 300.0
    return (np.sin(x) + 0.2 * y * y + 100.0).astype(np.float32)


def test_a_smooth_sky_is_subtracted():
    """4 000 pixels of a cell fix its mode to .03 of the noise, nine cells to .02; the outermost lag by half of one."""
    image = noise(SHAPE, seed=1)
    rest = flattened(image + hill(SHAPE), everywhere(image), 64) - image
    assert abs(float(rest.mean())) < 0.01
    assert rest.std() < 0.08
    assert rest[64:-64, 64:-64].std() < 0.03


def test_a_constant_sky_changes_nothing():
    image = noise(SHAPE, seed=2)
    raised = flattened(image + np.float32(8.0), everywhere(image), 64)
    assert raised == pytest.approx(flattened(image, everywhere(image), 64), abs=2e-3)


def test_it_is_as_near_to_the_sky_as_seps():
    """Beside sixty galaxies, away from the edges, where both are worse."""
    rng = np.random.default_rng(3)
    image, truth = noise((640, 640), seed=4) + hill((640, 640)), hill((640, 640))
    for x, y, size, light in zip(
        *rng.uniform(20, 620, (2, 60)), rng.uniform(1.5, 8, 60), 10 ** rng.uniform(2.5, 4.5, 60), strict=True
    ):
        image += sersic(image.shape, x, y, re=size, flux=light)
    ours = image - flattened(image, everywhere(image), 64) - truth
    theirs = sep.Background(image, bw=64, bh=64).back(dtype=np.float32) - truth
    assert np.abs(np.median(ours)) < np.abs(np.median(theirs)) + 0.03
    inner = np.s_[64:-64, 64:-64]
    assert np.std(ours[inner]) < 1.1 * np.std(theirs[inner])


def test_what_is_not_usable_is_zero_and_says_nothing():
    image = noise(SHAPE, seed=5)
    usable = everywhere(image)
    usable[100:300, 200:420] = False
    holed = np.where(usable, image, np.float32(np.nan))
    flat = flattened(holed, usable, 64)
    assert (flat[~usable] == 0.0).all()
    assert np.isfinite(flat).all()
    away = np.s_[450:, :]
    assert flat[away] == pytest.approx(flattened(image, everywhere(image), 64)[away], abs=0.05)


@pytest.mark.parametrize("shape", [(1, 1), (1, 90), (90, 1), (40, 40), (64, 200), (130, 97)])
def test_images_of_any_shape_have_a_sky(shape):
    image = noise(shape, seed=6) + np.float32(50.0)
    assert abs(float(np.median(flattened(image, everywhere(image), 64)))) < 1.0


def test_nothing_usable_leaves_nothing():
    image = np.full((70, 70), np.nan, np.float32)
    assert (flattened(image, np.zeros(image.shape, np.bool_), 64) == 0.0).all()


def test_an_image_of_one_value_has_that_as_its_sky():
    assert (flattened(np.full((100, 100), 3.0, np.float32), np.ones((100, 100), np.bool_), 64) == 0.0).all()
