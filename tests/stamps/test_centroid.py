"""Centroid: the barycentre of a segment, and measuring about it."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import noise, sersic

from galmorph.flags import Flag
from galmorph.stamps.backends import BACKENDS, backend
from galmorph.stamps.centroid import isophotal_centroid
from galmorph.stamps.labelled import segmentation_of
from galmorph.stamps.measure import measure

SIDE = 65


def faint(seed: int) -> tuple[np.ndarray, tuple[float, float]]:
    """Draw an elongated exponential galaxy of S/N about 30 near the middle, and its centre."""
    x, y = 32.0 + np.random.default_rng(seed).uniform(-0.5, 0.5, 2)
    image = sersic((SIDE, SIDE), x, y, re=4, q=0.6, theta=0.7, flux=600.0, fine=3)
    return image + noise((SIDE, SIDE), seed=seed), (x, y)


def lopsided(flux: float) -> np.ndarray:
    """Draw an exponential galaxy and another half as bright that overlaps it, 5 px to its right."""
    return sersic((97, 97), 48.0, 48.0, re=5, flux=flux) + sersic((97, 97), 53.0, 48.0, re=7, flux=0.5 * flux)


def spread(pulls: np.ndarray) -> float:
    """Half the range from 16 to 84 %."""
    low, high = np.percentile(pulls, [15.865, 84.135])
    return float(high - low) / 2.0


def test_the_barycentre_of_two_pixels_divides_their_distance_by_their_flux():
    """Three parts at x = 2, one at x = 6: x = 3; other pixels do not count."""
    clean = np.full((5, 9), 7.0, np.float32)
    own = np.zeros(clean.shape, bool)
    own[1, 2] = own[1, 6] = True
    clean[1, 2], clean[1, 6] = 3.0, 1.0
    found = isophotal_centroid(clean, own, 0.5)
    assert (found.x, found.y) == (3.0, 1.0)
    # ERRX2 and ERRY2: sum of (1² + 3²) 0.5² / 4² along x, none along y.
    assert found.error_px == pytest.approx(np.sqrt(0.5 * 10 * 0.25 / 16))


@pytest.mark.parametrize("flux", [(-2.0, 1.0), (-1.0, 1.5), (0.0, 0.0)])
def test_without_light_there_is_no_barycentre(flux):
    """No flux, or so negative that the mean lies beyond all pixels: NaN, not a position elsewhere."""
    clean = np.zeros((5, 9), np.float32)
    own = np.zeros(clean.shape, bool)
    own[1, 2] = own[1, 6] = True
    clean[1, 2], clean[1, 6] = flux
    assert np.isnan(isophotal_centroid(clean, own, 1.0).x)


def test_errors_of_a_given_segment_are_those_of_its_noise():
    """In a map that noise had no part in, pulls have a width of 1: 200 draws leave an error of 0.05."""
    image = sersic((SIDE, SIDE), 32.3, 31.8, re=4, q=0.6, flux=600.0)
    labels = (image > 0.5).astype(np.int32)
    truth = isophotal_centroid(image, labels > 0, 1.0)
    pulls = []
    for seed in range(100):
        found = segmentation_of(image + noise(image.shape, seed=seed), np.ones(image.shape, bool), labels)
        got = measure(image + noise(image.shape, seed=seed), 32.0, 32.0, segmentation=found, centroid="isophotal")
        pulls += [(got.x - truth.x) / got.position_err_px, (got.y - truth.y) / got.position_err_px]
    assert 0.85 < spread(np.array(pulls)) < 1.15


def test_errors_of_a_detected_segment_hold_what_noise_did_to_its_rim():
    """Where the same noise drew the segment too, pulls still have a width of 1; its pixels alone would give 2."""
    pulls = []
    for seed in range(100):
        image, (x, y) = faint(seed)
        got = measure(image, 32.0, 32.0, centroid="isophotal")
        pulls += [(got.x - x) / got.position_err_px, (got.y - y) / got.position_err_px]
    assert 0.8 < spread(np.array(pulls)) < 1.2


def test_everything_is_measured_about_the_barycentre():
    """Of a lopsided galaxy the barycentre lies further to the side than the windowed centroid; radii are about it."""
    image = lopsided(9000.0) + noise((97, 97))
    windowed, isophotal = (measure(image, 48.0, 48.0, centroid=c) for c in ("windowed", "isophotal"))
    assert isophotal.x > windowed.x + 0.3
    assert isophotal.rpet_px == pytest.approx(windowed.rpet_px, rel=0.1)
    assert isophotal.rpet_px != windowed.rpet_px
    assert (isophotal.ellipticity, isophotal.position_angle_deg) == (windowed.ellipticity, windowed.position_angle_deg)


def test_a_hole_in_the_core_leaves_no_barycentre():
    """Missing pixels in the middle would move it: the row is marked, as it is with the window."""
    image, _ = faint(0)
    image[32, 32] = np.nan
    assert measure(image, 32.0, 32.0, centroid="isophotal").flags & Flag.NO_CENTROID


@pytest.mark.parametrize("name", BACKENDS)
def test_every_backend_knows_the_barycentre(name):
    """Of a lopsided bright galaxy the three barycentres lie together, apart from the windowed centres."""
    if name == "photutils":
        pytest.importorskip("photutils", reason="photutils is not installed")
    light = lopsided(90000.0)
    # Nearly all of the light is in the segment.
    expected = float((light * np.arange(97)).sum() / light.sum())
    image = light + noise((97, 97))
    windowed, isophotal = (backend(name)(image, 48.0, 48.0, centroid=c) for c in ("windowed", "isophotal"))
    assert abs(isophotal.x - expected) < 0.15
    assert abs(isophotal.y - 48.0) < 0.05
    assert isophotal.x > windowed.x + 0.2
