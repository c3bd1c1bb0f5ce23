"""The sky's level, noise and correlation come from the image's own pixels."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, noise
from scipy import ndimage

from galmorph.stamps.background import Sky, clipped_sky, correlation_px, power_of_two


def everywhere(image: np.ndarray) -> np.ndarray:
    return np.ones(image.shape, dtype=np.bool_)


def test_the_level_and_noise_of_blank_sky_are_recovered():
    image = noise((128, 128), 3.0) + np.float32(50.0)
    sky = clipped_sky(image, everywhere(image))
    # Four errors of 16 384 pixels, of the level and of the width.
    assert sky.level == pytest.approx(50.0, abs=4 * 3.0 / 128)
    assert sky.sigma == pytest.approx(3.0, rel=4 / (np.sqrt(2.0) * 128))
    assert sky.n_pixels == pytest.approx(0.9973 * image.size, rel=0.002)


@pytest.mark.parametrize("side", [40, 128, 512])
def test_level_and_noise_are_unbiased(side):
    """On average over a hundred images, whether all of their pixels are used or a part.

    Clipping takes 1.4 % of the width, which is put back: the mean is known to a fifth of that on the smallest.
    """
    skies = [clipped_sky(noise((side, side), 3.0, seed) + np.float32(50.0), None) for seed in range(100)]
    sigma, level = np.array([s.sigma / 3.0 for s in skies]), np.array([(s.level - 50.0) / 3.0 for s in skies])
    # Measured: .4, .1 and .1 % too small, with errors of .2, .07 and .06 %.
    assert sigma.mean() == pytest.approx(1.0, abs=0.006 if side == 40 else 0.0025)
    assert level.mean() == pytest.approx(0.0, abs=4.0 * level.std() / 10.0)
    # Of n Gaussian pixels the width is known to 1 / sqrt(2 n), the level to 1 / sqrt(n); clipping costs a tenth.
    used = min(side * side, 16_000)
    assert sigma.std() * (2.0 * used) ** 0.5 == pytest.approx(1.1, abs=0.25)
    assert level.std() * used**0.5 == pytest.approx(1.0, abs=0.25)


def test_a_galaxy_in_the_middle_hardly_moves_the_clipped_level():
    image = galaxy(129, flux=5000.0)
    sky = clipped_sky(image, everywhere(image))
    # Its wings raise the level by .03 sigma and widen the noise by .5 %; without clipping by .29 sigma, and threefold.
    assert sky.level == pytest.approx(0.03, abs=0.03)
    assert sky.sigma == pytest.approx(1.005, abs=0.02)
    assert image.mean() > 0.25
    assert image.std() > 2.5


def test_unusable_pixels_do_not_count():
    image = noise((64, 64))
    image[:, 32:] = 1e6
    usable = everywhere(image)
    usable[:, 32:] = False
    assert abs(clipped_sky(image, usable).level) < 0.2


def test_no_usable_pixel_gives_a_nan_level_and_no_noise():
    image = noise((8, 8))
    sky = clipped_sky(image, np.zeros(image.shape, np.bool_))
    assert np.isnan(sky.level)
    assert (sky.sigma, sky.n_pixels) == (0.0, 0)


def test_a_large_image_is_measured_on_a_part_of_its_pixels():
    image = noise((600, 600)) + np.float32(7.0)
    sky = clipped_sky(image, everywhere(image))
    assert sky.n_pixels < 40_000
    assert sky.level == pytest.approx(7.0, abs=0.05)


def test_mostly_equal_pixels_still_have_a_noise():
    image = np.zeros((32, 32), np.float32)
    image[::4, ::4] = 1.0
    assert clipped_sky(image, everywhere(image)).sigma == pytest.approx(image.std())


def test_white_noise_is_not_correlated():
    image = noise((128, 128))
    assert correlation_px(image, everywhere(image), Sky(0.0, 1.0, image.size)) == 1.0


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_enlarged_noise_is_correlated_over_the_factor(factor):
    image = np.repeat(np.repeat(noise((60, 60)), factor, 0), factor, 1)
    measured = correlation_px(image, everywhere(image), Sky(0.0, 1.0, image.size))
    # Blocks of f equal pixels: the autocorrelation 1 - lag / f passes one half at f / 2.
    assert measured in {float(np.floor(factor / 2) + 1), float(np.ceil(factor / 2))}


def test_too_few_good_pixels_leave_the_correlation_at_one():
    image = noise((7, 7))
    assert correlation_px(image, everywhere(image), Sky(0.0, 1.0, 49)) == 1.0
    assert correlation_px(image, everywhere(image), Sky(0.0, 0.0, 49)) == 1.0


@pytest.mark.parametrize("unit", [1e-20, 1.0, 1e18])
def test_the_correlation_does_not_depend_on_the_unit(unit):
    image = (ndimage.gaussian_filter(noise((96, 96)), 1.5) * unit).astype(np.float32)
    sky = clipped_sky(image, everywhere(image))
    assert correlation_px(image, everywhere(image), sky) == 3.0


@pytest.mark.parametrize(("value", "power"), [(1.0, 1.0), (3.1, 4.0), (1e-20, 2.0**-66), (1e60, 2.0**126)])
def test_power_of_two_is_the_nearest_that_single_precision_holds(value, power):
    assert power_of_two(value) == power
