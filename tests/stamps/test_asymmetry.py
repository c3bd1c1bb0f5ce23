"""Asymmetry: nothing for what a half turn brings back, the right share for what it does not."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, noise, sersic

from galmorph.stamps.asymmetry import asymmetry
from galmorph.stamps.frame import frame_about
from galmorph.stamps.measure import measure


def about(image: np.ndarray, x: float, y: float, half: int = 48):
    return frame_about(image, None, x, y, half)


@pytest.mark.parametrize("offset", [(0.0, 0.0), (0.25, 0.0), (0.3, -0.45), (-0.5, 0.5)])
def test_a_symmetric_galaxy_has_none_wherever_its_centre_falls_in_a_pixel(offset):
    x, y = 64 + offset[0], 64 + offset[1]
    image = sersic((129, 129), x, y, re=8, n=1, q=0.5, theta=0.7, flux=1000.0)
    # The quadratic through three pixels misses a cusp between them by one per cent.
    assert asymmetry(about(image, x, y), 16.0, 0.0, 1000)[0] == pytest.approx(0.0, abs=0.015)


def test_a_one_sided_clump_counts_twice():
    image = sersic((129, 129), 64, 64, re=8, flux=1000.0)
    clump = sersic((129, 129), 74, 64, re=1.5, n=0.5, flux=50.0)
    # |I - I180| holds it on both sides; the light is 1.05 times as much and 99 % lies inside.
    assert asymmetry(about(image + clump, 64, 64), 16.0, 0.0, 1000)[0] == pytest.approx(100 / 1050, rel=0.05)


def test_noise_alone_adds_nothing_and_its_error_is_right():
    pulls = []
    for seed in range(150):
        x, y = 64 + 0.3 * np.sin(seed), 64 + 0.5 * np.cos(seed)
        image = sersic((129, 129), x, y, re=8, n=1, flux=3000.0) + noise((129, 129), 1.0, seed)
        value, error = asymmetry(about(image, x, y), 16.0, 1.0, 10**6)
        pulls.append(value / error)
    assert abs(np.mean(pulls)) < 0.3
    assert 0.8 < np.std(pulls) < 1.2


def test_without_light_or_radius_it_is_unknown():
    image = noise((129, 129)) - np.float32(5.0)
    assert np.isnan(asymmetry(about(image, 64, 64), 16.0, 1.0, 1000)).all()
    assert np.isnan(asymmetry(about(image, 64, 64), float("nan"), 1.0, 1000)).all()


def test_masked_pixels_are_left_out_with_their_opposites():
    image = sersic((129, 129), 64, 64, re=8, flux=1000.0)
    bad = np.zeros(image.shape, np.bool_)
    bad[70:80, 70:80] = True
    image[bad] = 1e4
    value, _ = asymmetry(frame_about(image, bad, 64, 64, 48), 16.0, 0.0, 1000)
    assert value == pytest.approx(0.0, abs=0.01)


def test_a_lopsided_galaxy_is_measured_as_such():
    plain = measure(galaxy(129, flux=20000.0, re=6.0), 64, 64)
    lopsided = galaxy(129, flux=20000.0, re=6.0) + sersic((129, 129), 71, 64, re=2.0, flux=3000.0)
    found = measure(lopsided, 64, 64)
    assert abs(plain.asymmetry) < 3 * plain.asymmetry_err + 0.02
    assert found.asymmetry > plain.asymmetry + 5 * found.asymmetry_err
