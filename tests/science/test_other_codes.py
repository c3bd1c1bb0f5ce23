"""Measurements against other codes on their own test images: statmorph, SExtractor, GALFIT."""

from __future__ import annotations

from pathlib import Path

import fitsio
import numpy as np
import pytest
from galaxies import FloatArray

from galmorph.flags import Flag
from galmorph.stamps.measure import Measurement, measure, petrosian_radius, radial_profile
from galmorph.stamps.petrosian import filled
from galmorph.stamps.template import light_radii


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "measure"


def test_statmorph_the_galaxy_of_its_own_test(folder):
    image = fitsio.read(folder / "statmorph_slice.fits", ext=0).astype(np.float32)
    found = measure(image, 81.0, 81.0)
    # statmorph's centre minimises the asymmetry, ours is the windowed centroid: the galaxy is lopsided by 0.17 px.
    assert np.hypot(found.x - 81.66579, found.y - 80.53462) < 0.25
    # statmorph takes the local eta, which for a Sérsic profile is 1 to 4 % larger than the SDSS annulus.
    assert found.rpet_px == pytest.approx(40.93756, rel=0.04)
    # and the half-light radius of all the light in 1.5 of those radii, ours that inside one: 4 % less.
    assert found.r50_px == pytest.approx(21.60803, rel=0.08)
    assert found.r50_px < 21.60803
    assert found.flags == Flag(0)


def test_galfit_an_exponential_disc(folder):
    image = fitsio.read(folder / "galfit_sersic_n1.fits.gz").astype(np.float32)
    found = measure(image, 250.0, 260.0)
    # GALFIT counts pixels from 1. The image has no noise: what is left is the subdivision of the profile.
    assert (found.x + 1, found.y + 1) == pytest.approx((256.0, 256.0), abs=0.002)
    assert found.rpet_px == pytest.approx(2.113 * 30.0, rel=0.002)


@pytest.fixture(scope="module")
def sextractor(folder: Path) -> tuple[np.ndarray, list[Measurement], np.ndarray]:
    """SExtractor's table, our measurements of its 65 objects, and their offsets from XWIN, (65,)."""
    image: FloatArray = fitsio.read(folder / "sextractor_image.fits").astype(np.float32)
    table = np.loadtxt(folder / "sextractor_image.cat", comments="#")
    found, offset = [], []
    for row in table:
        x, y = row[1] - 1, row[2] - 1
        left, bottom = max(round(x) - 64, 0), max(round(y) - 64, 0)
        one = measure(image[bottom : round(y) + 65, left : round(x) + 65], x - left, y - bottom)
        found.append(one)
        offset.append(np.hypot(one.x + left - (row[3] - 1), one.y + bottom - (row[4] - 1)))
    return table, found, np.array(offset)


def clean(found: list[Measurement]) -> np.ndarray:
    return np.array([m.flags == Flag(0) for m in found])


def test_sextractor_nearly_all_objects_are_found(sextractor):
    table, found, _ = sextractor
    assert len(table) == 65
    # One touches another closely enough to be one object here.
    assert sum(Flag.NO_SOURCE in m.flags for m in found) <= 2
    assert clean(found).sum() >= 30


def test_sextractor_windowed_positions_agree_within_their_errors(sextractor):
    table, found, offset = sextractor
    good = clean(found)
    error = np.sqrt(table[:, 8] + table[:, 9])  # SExtractor's own isophotal position variance
    # Measured: median 0.07 px, 90 % within 0.2 px, 0.7 of the position error. Not smaller because our window is
    # 1.3 half-light radii wide and SExtractor's 0.85, and because the sky is measured on each cutout.
    assert np.median(offset[good]) < 0.1
    assert np.percentile(offset[good], 90) < 0.3
    assert np.median(offset[good] / error[good]) < 1.0
    assert np.nanmedian(offset) < 0.15


def test_sextractor_bright_objects_agree_better_than_faint_ones(sextractor):
    table, found, offset = sextractor
    good = clean(found)
    bright = table[:, 15] > np.median(table[good, 15])
    assert np.median(offset[good & bright]) < np.median(offset[good & ~bright])


def test_sextractor_kron_fluxes_agree(sextractor):
    table, found, _ = sextractor
    good = clean(found)
    ratio = np.array([m.flux for m in found])[good] / table[good, 15]
    # A Petrosian aperture of one r_P and a Kron aperture both hold roughly nine tenths of the light.
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)


def test_statmorph_local_petrosian_radius_and_light_radii_on_its_own_centre(folder):
    image = fitsio.read(folder / "statmorph_slice.fits", ext=0).astype(np.float32)
    profile = radial_profile(image, np.ones(image.shape, np.bool_), 81.66579, 80.53462)
    radius, _, _ = petrosian_radius(profile, 0.0, definition="local")
    # statmorph's annulus is its own; 1 % is half a ring of this noisy image.
    assert radius == pytest.approx(40.93755531944313, rel=0.01)
    radii, _ = light_radii(filled(profile.mean) * profile.area, profile.edges, 1.5 * 40.93755531944313)
    # The definition is the same here, only the division of the pixels differs.
    assert radii == pytest.approx([11.695486, 21.60803205322342, 32.078833], rel=0.004)
    assert 5 * np.log10(radii[2] / radii[0]) == pytest.approx(2.19100140632153, rel=0.005)
