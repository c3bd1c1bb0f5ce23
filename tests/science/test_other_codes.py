"""Measurements against other codes on their own test images: statmorph, SExtractor, GALFIT."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import fitsio
import numpy as np
import pytest
from galaxies import FloatArray, noise, sersic
from scipy import ndimage

from galmorph.flags import Flag
from galmorph.stamps.asymmetry import APERTURE, asymmetry
from galmorph.stamps.frame import frame_about, frame_size
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.petrosian import filled, petrosian_radius
from galmorph.stamps.profile import radial_profile
from galmorph.stamps.template import light_radii


@pytest.fixture(scope="module")
def folder(shared_data: Path) -> Path:
    return shared_data / "measure"


def test_statmorph_the_galaxy_of_its_own_test(folder):
    """Centroid, Petrosian and half-light radius of statmorph's own test galaxy agree as far as the definitions do."""
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
    """GALFIT's noiseless exponential disc has its centre and 2.113 half-light radii."""
    image = fitsio.read(folder / "galfit_sersic_n1.fits.gz").astype(np.float32)
    found = measure(image, 250.0, 260.0)
    # GALFIT counts pixels from 1. The image has no noise: what is left is how the cusp, at which a narrow window looks,
    # was integrated over its pixel.
    assert (found.x + 1, found.y + 1) == pytest.approx((256.0, 256.0), abs=0.006)
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
    """Of SExtractor's 65 objects at most two are none here, and half of them are measured without a flag."""
    table, found, _ = sextractor
    assert len(table) == 65
    # One touches another closely enough to be one object here.
    assert sum(Flag.NO_SOURCE in m.flags for m in found) <= 2
    assert clean(found).sum() >= 30


def test_sextractor_windowed_positions_agree_within_their_errors(sextractor):
    """Windowed centroids lie within SExtractor's position error of its own windowed ones."""
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
    """The noise is what keeps the two centroids apart: it does so less for bright objects."""
    table, found, offset = sextractor
    good = clean(found)
    bright = table[:, 15] > np.median(table[good, 15])
    assert np.median(offset[good & bright]) < np.median(offset[good & ~bright])


def test_sextractor_kron_fluxes_agree(sextractor):
    """The flux inside one Petrosian radius is SExtractor's Kron flux within 15 %."""
    table, found, _ = sextractor
    good = clean(found)
    ratio = np.array([m.flux for m in found])[good] / table[good, 15]
    # A Petrosian aperture of one r_P and a Kron aperture both hold roughly nine tenths of the light.
    assert np.median(ratio) == pytest.approx(1.0, abs=0.15)


def test_statmorph_local_petrosian_radius_and_light_radii_on_its_own_centre(folder):
    """With statmorph's definition and centre its Petrosian and light radii come out."""
    image = fitsio.read(folder / "statmorph_slice.fits", ext=0).astype(np.float32)
    profile = radial_profile(image, np.ones(image.shape, np.bool_), 81.66579, 80.53462)
    radius, _, _ = petrosian_radius(profile, 0.0, definition="local")
    # statmorph's annulus is its own; 1 % is half a ring of this noisy image.
    assert radius == pytest.approx(40.93755531944313, rel=0.01)
    radii, _ = light_radii(filled(profile.mean) * profile.area, profile.edges, 1.5 * 40.93755531944313)
    # The definition is the same here, only the division of the pixels differs.
    assert radii == pytest.approx([11.695486, 21.60803205322342, 32.078833], rel=0.004)
    assert 5 * np.log10(radii[2] / radii[0]) == pytest.approx(2.19100140632153, rel=0.005)


@dataclass(frozen=True)
class Halfturn:
    """Sum of |I - I180| and of |I| inside a circle of so many pixels, I180 interpolated linearly; its noise gain."""

    difference: float
    light: float
    n_pixels: int
    gain: float

    @classmethod
    def about(cls, image: FloatArray, x: float, y: float, radius: float) -> Halfturn:
        """Turn an image about a position."""
        rows, columns = np.indices(image.shape, dtype=float)
        turned = ndimage.map_coordinates(image.astype(float), [2 * y - rows, 2 * x - columns], order=1)
        inside = np.hypot(columns - x, rows - y) <= radius
        parts = (2 * x) % 1, (2 * y) % 1
        gain = float(np.prod([(1 - p) ** 2 + p**2 for p in parts]))
        difference = np.abs(image - turned)[inside].sum()
        return cls(float(difference), float(np.abs(image[inside]).sum()), int(inside.sum()), gain)

    def asymmetry(self, sky_difference: float) -> float:
        """Asymmetry less so much per pixel for the sky."""
        return (self.difference - self.n_pixels * sky_difference) / self.light

    def white(self, sigma: float) -> float:
        """Mean |difference| per pixel of white noise, of which one side is interpolated."""
        return sigma * float(np.sqrt(2.0 / np.pi * (1.0 + self.gain)))


def flipped_box(image: FloatArray) -> float:
    """Mean |difference| per pixel of a corner of 32 x 32 pixels and its half turn: statmorph's term for the sky."""
    box = image[:32, :32].astype(float)
    return float(np.abs(box - box[::-1, ::-1]).mean())


RPET_STATMORPH = 40.93755531944313
"""Circular Petrosian radius of statmorph's own test galaxy, in pixels."""
CENTRE_STATMORPH = 82.23985, 80.76076
"""Where its asymmetry is least, as statmorph 0.7.2 gives it: x, y."""


def test_statmorphs_asymmetry_is_its_own_recipe(folder):
    """A linear half turn about statmorph's centre, less the noise of a corner that is not interpolated, is .0038."""
    image = fitsio.read(folder / "statmorph_slice.fits", ext=0).astype(np.float32)
    turned = Halfturn.about(image, *CENTRE_STATMORPH, APERTURE * RPET_STATMORPH)
    # Measured: 0.0024. Two terms of 0.31 cancel, and circles of whole pixels differ from exact ones by 0.5 % of them.
    assert turned.asymmetry(flipped_box(image)) == pytest.approx(0.00377345808887, abs=0.003)


def test_our_asymmetry_is_statmorphs_with_the_noise_that_its_own_half_turn_leaves(folder):
    """Interpolation smooths the noise of the turned image: taking that off gives statmorph's galaxy our asymmetry.

    statmorph's published value is smaller by 0.08 of which 0.06 is the unsmoothed noise of its sky and 0.02 the corner,
    which is 7 % noisier than the whole sky. Ours is 0.104 about the windowed centroid, 0.090 about statmorph's centre.
    """
    image, labels = (fitsio.read(folder / "statmorph_slice.fits", ext=n).astype(np.float32) for n in (0, 1))
    turned = Halfturn.about(image, *CENTRE_STATMORPH, APERTURE * RPET_STATMORPH)
    sigma = float(image[labels == 0].std())
    own = measure(image, 81.0, 81.0)
    frame = frame_about(
        image - np.float32(own.sky_level), None, *CENTRE_STATMORPH, *frame_size(1.2 * APERTURE * RPET_STATMORPH)
    )
    value, error = asymmetry(frame, RPET_STATMORPH, own.sky_sigma, own.segmentation.sky.n_pixels)
    # Measured: 0.0833 and 0.0901. statmorph divides by the sum of |I|, with its noise 8 % more than the sum of I.
    assert turned.asymmetry(turned.white(sigma)) * 1.083 == pytest.approx(value, abs=3 * error)
    corner, everywhere = flipped_box(image), float(np.sqrt(4 / np.pi)) * sigma
    assert corner / everywhere == pytest.approx(1.07, abs=0.02)
    # Minimising over the centre lowers it: measured by 0.014, three errors.
    assert 0.0 < own.asymmetry - value < 4 * error


def test_a_symmetric_galaxy_in_the_noise_of_statmorphs_has_no_asymmetry():
    """On symmetric mocks of that galaxy's size and noise ours is zero on average; statmorph's recipe goes below it."""
    values, pulls, theirs = [], [], []
    for seed in range(40):
        x, y = 81 + 0.37 * np.sin(seed), 81 + 0.45 * np.cos(2 * seed)
        image = sersic((163, 163), x, y, re=19.0, flux=5.5e6, fine=3) + noise((163, 163), 132.0, seed)
        found = measure(image, 81, 81)
        values.append(found.asymmetry)
        pulls.append(found.asymmetry / found.asymmetry_err)
        theirs.append(Halfturn.about(image, x, y, APERTURE * RPET_STATMORPH).asymmetry(flipped_box(image)))
    # Measured on 40: -0.0006 with an error of 0.0005, pulls of width 0.92; statmorph's recipe -0.051.
    assert np.mean(values) == pytest.approx(0.0, abs=0.002)
    # The width of 40 pulls is known to 11 %.
    assert np.std(pulls) == pytest.approx(1.0, abs=0.25)
    assert np.mean(theirs) < -0.02
