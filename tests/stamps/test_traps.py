"""Traps of detection codes on real pixels, each met through the whole of measuring.

What other test modules cover is not repeated: number types, byte orders, read-only and strided arrays, tiny images,
constants, units, noise-free images and corners are in test_measure_nasty, plateaus and missing cores in test_measure.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import sep
from astropy.io import fits
from galaxies import galaxy, noise, sersic

from galmorph.flags import Flag
from galmorph.sky.images import open_images
from galmorph.stamps.cutting import make_views
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import ONE

EXPONENTIAL = 2.113
"""r_P / r_e of an exponential disc."""


def values(found: Measurement) -> tuple[float, ...]:
    """Return what must be equal where nothing may change."""
    return found.x, found.y, found.rpet_px, found.r50_px, found.flux, found.asymmetry, found.ellipticity


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    return galaxy(97, 48.3, 47.6, flux=8000.0)


@pytest.fixture(scope="module")
def plain(image: np.ndarray) -> Measurement:
    return measure(image, 48, 48)


def test_one_missing_pixel_in_the_core_neither_shifts_the_centre_nor_goes_unsaid(image, plain):
    """One NaN in the core, which shifts SEP's barycentre by 0.1 px in silence, is flagged and costs no more than that.

    The position is then the isophotal one, without the pixel: its scatter is some hundredths of a pixel.
    """
    broken = image.copy()
    broken[48, 48] = np.nan
    found = measure(broken, 48, 48)
    assert Flag.MASKED_PIXELS | Flag.NO_CENTROID in found.flags
    assert np.hypot(found.x - 48.3, found.y - 47.6) < 0.15
    assert (found.x, found.y) != (48.0, 48.0)
    # The ring fills the pixel: 1 % of the light is in it.
    assert found.rpet_px == pytest.approx(plain.rpet_px, rel=0.03)
    assert found.flux == pytest.approx(plain.flux, rel=0.03)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_missing_pixel_beside_the_core_is_taken_from_the_opposite_one(image, plain, value):
    """One pixel without a value three pixels from the centre is flagged and moves nothing by more than its noise."""
    broken = image.copy()
    broken[50, 50] = value
    found = measure(broken, 48, 48)
    assert found.flags == Flag.MASKED_PIXELS
    # The substitute has the noise of other pixels.
    assert np.hypot(found.x - plain.x, found.y - plain.y) < plain.position_err_px
    assert abs(found.rpet_px - plain.rpet_px) < 0.5 * plain.rpet_err_px


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_one_infinite_pixel_leaves_the_sky_alone(image, plain, value):
    """One Inf, which makes SEP's background NaN over three quarters of an image, changes neither sky nor galaxy."""
    broken = image.copy()
    broken[5, 90] = value
    found = measure(broken, 48, 48)
    # One pixel of 9409 fewer: 1e-4 sigma in the level; clipping may drop another.
    assert found.sky_level == pytest.approx(plain.sky_level, abs=0.002 * plain.sky_sigma)
    assert found.sky_sigma == pytest.approx(plain.sky_sigma, rel=0.002)
    assert found.rpet_px == pytest.approx(plain.rpet_px, rel=0.002)
    assert found.flags == plain.flags


@pytest.mark.parametrize("where", ["pixels", "weight", "nan weight", "map"])
def test_a_wholly_masked_image_has_no_source(image, plain, where):
    """Whatever masks every pixel, there is no source and every value is NaN, without an error or a warning."""
    nothing = np.full_like(image, np.nan)
    given = {
        "pixels": {"pixels": nothing},
        "weight": {"pixels": image, "weight": np.zeros_like(image)},
        "nan weight": {"pixels": image, "weight": nothing},
        "map": {
            "pixels": image,
            "segmentation": replace(
                plain.segmentation,
                usable=np.zeros_like(plain.segmentation.usable),
                labels=plain.segmentation.labels * 0,
                objects=sky_only(),
            ),
        },
    }[where]
    found = measure(x=48, y=48, **given)
    assert Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN in found.flags
    assert np.isnan(values(found)).all()


def sky_only() -> np.ndarray:
    """Return an empty table of objects."""
    return sep.extract(np.zeros((16, 16), np.float32), 1.0)


def test_a_negative_image_has_a_centroid(plain):
    """An image that is negative everywhere, core included, is measured as the same image about zero."""
    image = galaxy(97, 48.3, 47.6, flux=8000.0) - np.float32(1000.0)
    assert image.max() < 0
    found = measure(image, 48, 48)
    # Single precision keeps 6e-5 of a sigma at a level of 1000.
    assert found.sky_level == pytest.approx(plain.sky_level - 1000.0, abs=0.01)
    assert values(found) == pytest.approx(values(plain), rel=0.005, abs=0.005)
    assert found.flags == plain.flags


def test_a_wholly_negative_source_is_no_source():
    """A hole in the sky is not measured as a galaxy."""
    found = measure(-galaxy(97, flux=8000.0), 48, 48)
    assert Flag.NO_SOURCE in found.flags
    assert np.isnan(found.x)


def test_a_saturated_plateau_with_columns_masked_by_its_bleeding_is_flagged():
    """A plateau is flagged without a saturation level, also beside bleeding that is NaN, and its centre is found."""
    image = np.minimum(galaxy(97, re=3.0, n=1.0, flux=3e5), np.float32(2000.0))
    # An even number of columns beside the middle: the core itself is seen.
    image[:, 52:54] = np.nan
    found = measure(image, 48, 48)
    assert Flag.SATURATED | Flag.MASKED_PIXELS in found.flags
    assert np.hypot(found.x - 48, found.y - 48) < 0.3


@pytest.mark.parametrize("column", [46, 50, 51, 52])
def test_a_missing_column_beside_the_core_leaves_the_centre(column):
    """A column without data two pixels and more away is flagged and moves the centre by no more than noise."""
    image = galaxy(97, 48.4, 47.6, flux=20000.0, q=0.6, theta=0.5)
    image[:, column] = np.nan
    found = measure(image, 48, 48)
    assert Flag.MASKED_PIXELS in found.flags
    # Measured: 0.005 px on average of noise; mirrored about a whole pixel it would be 0.08 to 0.15 px.
    assert np.hypot(found.x - 48.4, found.y - 47.6) < 0.02
    assert found.rpet_px == pytest.approx(
        measure(galaxy(97, 48.4, 47.6, flux=20000.0, q=0.6, theta=0.5), 48, 48).rpet_px, rel=0.03
    )


@pytest.mark.parametrize("margin", [3.0, 6.0, 9.0])
def test_a_galaxy_on_the_edge_keeps_its_radius(margin):
    """Light beyond the edge is taken from the seen part of its annulus, not counted as zero over the whole area."""
    found = [measure(galaxy(129, 64.0, margin, flux=8000.0, seed=s), 64, margin) for s in range(6)]
    # Measured: within 2 % of the truth.
    assert np.mean([m.rpet_px for m in found]) == pytest.approx(EXPONENTIAL * 5, rel=0.06)
    # Measured: 0.01 px, all of it noise; mirrored about a whole pixel it would be 0.4 px at a margin of 3.
    assert np.mean([np.hypot(m.x - 64, m.y - margin) for m in found]) < 0.03
    assert all(m.reach_px == pytest.approx(margin, abs=0.5) for m in found)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_an_angle_a_hair_beyond_a_right_angle_is_taken(image, side):
    """Angles just past pi/2, as SEP returns and its own ellipses refuse, of galaxy and neighbour are accepted."""
    pair = image + sersic(image.shape, 80, 75, re=3, flux=3000.0)
    own = measure(pair, 48, 48)
    objects = own.segmentation.objects.copy()
    assert len(objects) == 2
    objects["theta"] = np.nextafter(side * np.pi / 2, side * 4)
    upright = objects.copy()
    upright["theta"] = side * np.pi / 2
    with pytest.raises(Exception, match="invalid aperture"):
        sep.sum_ellipse(pair, [9.0], [9.0], [5.0], [3.0], objects["theta"][:1])
    beyond, at = (measure(pair, 48, 48, segmentation=replace(own.segmentation, objects=o)) for o in (objects, upright))
    assert values(beyond) == pytest.approx(values(at), rel=1e-9)
    assert np.array_equal(beyond.neighbours, at.neighbours)


@pytest.fixture
def small_stack():
    """Give SEP room for 20 000 pixels above the threshold."""
    usual = sep.get_extract_pixstack()
    sep.set_extract_pixstack(20_000)
    yield 20_000
    sep.set_extract_pixstack(usual)


def test_more_pixels_than_seps_stack_holds_are_measured(small_stack):
    """A glow of more pixels than SEP's stack holds raises the threshold instead of an error."""
    image = noise((300, 300))
    image[:100] += 4.0
    image[160:260, 100:200] += sersic((100, 100), 50, 50, re=5, flux=20000.0)
    with pytest.raises(Exception, match=r"overflow|limit"):
        sep.extract(image, 1.5, err=1.0)
    found = measure(image, 150, 210)
    assert sep.get_extract_pixstack() == small_stack
    assert np.hypot(found.x - 150, found.y - 210) < 0.1
    # Detected at 4.5 sigma the galaxy's wings reach into the sky: measured 2 %.
    assert found.rpet_px == pytest.approx(EXPONENTIAL * 5, rel=0.06)


@pytest.mark.parametrize("level", [1e4, 3e4])
def test_an_image_whose_sky_was_never_subtracted_is_no_single_object(level, plain):
    """A high sky, which overflows SEP's stack where it is not subtracted first, is measured like none."""
    image = galaxy(97, 48.3, 47.6, flux=8000.0)
    found = measure(image + np.float32(level), 48, 48)
    # Single precision keeps 1e-3 sigma at 3e4.
    assert values(found) == pytest.approx(values(plain), rel=0.01, abs=0.01)


def test_a_half_precision_core_beyond_its_range_is_missing_not_fatal():
    """Half precision ends at 65504: a brighter core becomes Inf, which counts as missing."""
    bright = galaxy(97, re=4.0, flux=2e7)
    with np.errstate(over="ignore"):
        half = bright.astype(np.float16)
    assert np.isinf(half).any()
    found = measure(half, 48, 48)
    assert Flag.MASKED_PIXELS | Flag.NO_CENTROID in found.flags
    assert np.hypot(found.x - 48, found.y - 48) < 0.3


def test_a_masked_wedge_does_not_bend_the_growth_of_the_light(image, plain):
    """A wedge masked out of every annulus leaves the radius: each annulus is filled from its own unmasked part.

    Sums over circles filled with the circle's mean, of which one takes differences, would be brighter outside.
    """
    rows, columns = np.indices(image.shape)
    wedge = (np.abs(rows - 47.6) < 0.5 * (columns - 48.3)) & (columns > 51)
    broken = np.where(wedge, np.float32(np.nan), image)
    found = measure(broken, 48, 48)
    assert wedge.sum() > 500
    assert found.flags == Flag.MASKED_PIXELS
    # A sixth of the pixels is gone.
    assert abs(found.rpet_px - plain.rpet_px) < 2 * plain.rpet_err_px
    assert abs(found.flux - plain.flux) < 3 * plain.flux_err


def test_a_radius_is_not_capped_by_the_cutout():
    """Where the Petrosian radius does not fit into the cutout the value says so, and never sits on the edge."""
    for re in (6.0, 9.0, 12.0, 16.0, 24.0):
        found = measure(galaxy(65, re=re, flux=5e4 * re), 32, 32)
        truth = EXPONENTIAL * re
        fits = 1.5 * truth < 32
        # Measured inside: 3 %. Beyond, the sky is the galaxy's own wing: too small, or none, but not where it fits.
        assert np.isfinite(found.rpet_px) or not fits
        assert not fits or found.rpet_px == pytest.approx(truth, rel=0.08)
        assert fits or Flag.NO_PETROSIAN in found.flags or 1.25 * found.rpet_px > 0.5 * found.reach_px


@pytest.mark.parametrize("kind", [">f4", ">f8", "<f2", ">i2"])
def test_stamps_of_any_array_are_native_and_writable(image, kind):
    """Whatever the type, byte order and flags of the planes, a stamp is what every array library takes."""
    given = (image * 8).astype(kind)
    given.flags.writeable = False
    stamp = make_views(given[None], measure(given, 48, 48), Recipe(size=32), ONE.matrices, x=48, y=48).pixels
    assert stamp.dtype == np.float32
    assert stamp.dtype.isnative
    assert stamp.flags.writeable
    assert stamp.flags.c_contiguous


@pytest.mark.parametrize("kind", ["i2", "f4", "f8"])
def test_an_image_from_a_file_is_measured_like_its_array(tmp_path, image, plain, kind):
    """FITS pixels are big-endian, mapped read-only and perhaps scaled integers: cut out, they measure the same."""
    stored = np.round(image * 50).astype("i2") if kind == "i2" else image.astype(kind)
    hdu = fits.PrimaryHDU(stored)
    if kind == "i2":
        hdu.header["BSCALE"], hdu.header["BLANK"] = 0.02, -32768
        hdu.data[3, 3] = -32768
    hdu.writeto(tmp_path / "image.fits")
    source = open_images(tmp_path / "image.fits")
    cutout = source.cutout(0, 48, 48, 48)
    found = measure(cutout.detection, cutout.x, cutout.y)
    # Integers are rounded to 0.02 sigma.
    exact = 1e-6 if kind != "i2" else 0.005
    assert values(found) == pytest.approx(values(plain), rel=exact, abs=exact)
    assert found.flags == plain.flags
    source.close()
