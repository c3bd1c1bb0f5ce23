"""Whatever the pixels are, measuring returns a measurement and a stamp is finite."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, noise

from galmorph.flags import Flag
from galmorph.stamps.cutting import make_views
from galmorph.stamps.frame import frame_about, frame_size
from galmorph.stamps.labelled import segmentation_of
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.radii import radii_of
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import ONE

NOTHING = Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR
RECIPES = [
    Recipe(size=32),
    Recipe(size=32, neighbours="keep", softening_mjysr=0.1, display_top=0.6),
    Recipe(size=32, stretch="display", planes=3),
]


def assert_stamps_are_sound(image: np.ndarray, found: Measurement, x: float, y: float) -> None:
    for recipe in RECIPES:
        planes = np.repeat(np.asarray(image, np.float32)[None], recipe.planes, 0)
        stamp = make_views(planes, found, recipe, ONE.matrices, x=x, y=y, mjysr_per_unit=0.3)
        assert stamp.pixels.shape == (1, recipe.planes, 32, 32)
        assert stamp.pixels.dtype == np.float32
        assert np.isfinite(stamp.pixels).all()
        assert np.isfinite(stamp.brightness)
        assert stamp.brightness > 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_image_without_data_is_masked_and_has_no_source(value):
    image = np.full((64, 64), value, np.float32)
    found = measure(image, 32, 32)
    assert found.flags == NOTHING | Flag.MASKED_PIXELS
    assert_stamps_are_sound(image, found, 32, 32)


@pytest.mark.parametrize("value", [0.0, 7.0, -3e5, 1e30])
def test_a_constant_image_has_no_source(value):
    image = np.full((64, 64), value, np.float32)
    found = measure(image, 32, 32)
    assert found.flags == NOTHING
    assert_stamps_are_sound(image, found, 32, 32)


def test_zero_weight_everywhere_is_said_so():
    image = galaxy(65)
    found = measure(image, 32, 32, weight=np.zeros_like(image))
    assert found.flags == NOTHING | Flag.ZERO_WEIGHT
    assert_stamps_are_sound(image, found, 32, 32)


@pytest.mark.parametrize("shape", [(0, 0), (1, 1), (1, 40), (2, 5), (3, 3), (5, 5), (6, 6), (40, 1), (4, 90)])
def test_tiny_images_are_measured_or_flagged(shape):
    for peak in (0.0, 100.0):
        image = noise(shape)
        x, y = shape[1] // 2, shape[0] // 2
        image[y : y + 1, x : x + 1] += peak
        found = measure(image, x, y)
        # A single bright pixel in a few rows is a star of one pixel.
        assert Flag.NO_PETROSIAN in found.flags or found.rpet_px < 2.0
        assert_stamps_are_sound(image, found, x, y)


@pytest.mark.parametrize("kind", [">f4", "<f8", ">f8", "f2", "i2", ">i2", "u1", "i4"])
def test_other_number_types_and_byte_orders_are_measured_alike(kind):
    image = galaxy(97) + np.float32(20.0)
    scale = 3.0 if kind == "u1" else 10.0 if "i" in kind else 1.0
    given = np.round(image * scale) if scale > 1 else image
    if kind == "u1":
        given = np.clip(given, 0, 250)
    reference, other = measure(image, 48, 48), measure(given.astype(kind), 48, 48)
    assert np.hypot(other.x - reference.x, other.y - reference.y) < 0.1
    assert other.rpet_px == pytest.approx(reference.rpet_px, rel=0.15 if kind == "u1" else 0.02)


def test_read_only_and_strided_arrays_give_the_very_same_measurement():
    image = galaxy(97)
    frozen = image.copy()
    frozen.flags.writeable = False
    strided = np.repeat(image, 2, axis=1)[:, ::2]
    assert not strided.flags.c_contiguous
    found = [measure(i, 48, 48) for i in (image, frozen, strided, np.asfortranarray(image))]
    values = [(m.x, m.y, m.rpet_px, m.snr, m.flags) for m in found]
    assert values == [values[0]] * 4


def test_infinite_pixels_are_left_out():
    image = galaxy(97)
    clean = measure(image, 48, 48)
    image[10, 10], image[11, 80], image[90, 5] = np.inf, -np.inf, np.nan
    found = measure(image, 48, 48)
    assert found.flags == Flag(0)
    assert found.rpet_px == pytest.approx(clean.rpet_px, rel=1e-3)
    assert_stamps_are_sound(image, found, 48, 48)
    image[48, 48] = np.inf
    found = measure(image, 48, 48)
    assert Flag.MASKED_PIXELS | Flag.NO_CENTROID in found.flags
    assert_stamps_are_sound(image, found, 48, 48)


def test_a_half_missing_galaxy_is_measured_from_the_other_half():
    image = galaxy(97, flux=8000.0)
    image[:, 50:] = np.nan
    found = measure(image, 48, 48)
    assert Flag.MASKED_PIXELS in found.flags
    assert found.rpet_px == pytest.approx(2.113 * 5, rel=0.15)
    assert_stamps_are_sound(image, found, 48, 48)


@pytest.mark.parametrize("weight", [np.nan, np.inf, -1.0])
def test_impossible_weights_are_no_weights(weight):
    image = galaxy(97)
    given = np.ones_like(image)
    given[:, 56:] = weight
    assert Flag.ZERO_WEIGHT in measure(image, 48, 48, weight=given).flags


@pytest.mark.parametrize("level", [-5000.0, 1e5])
def test_a_large_sky_level_is_subtracted(level):
    found = measure(galaxy(97) + np.float32(level), 48, 48)
    assert found.rpet_px == pytest.approx(measure(galaxy(97), 48, 48).rpet_px, rel=0.02)
    assert found.sky_level == pytest.approx(level, abs=0.2)


@pytest.mark.parametrize("unit", [1e-30, 1e-20, 1e-8, 1e25])
def test_the_unit_of_the_image_does_not_matter(unit):
    image = galaxy(97)
    one, other = measure(image, 48, 48), measure((image * np.float64(unit)).astype(np.float32), 48, 48)
    assert (other.x, other.rpet_px, other.snr) == pytest.approx((one.x, one.rpet_px, one.snr), rel=1e-3)
    assert other.flags == one.flags
    assert other.flux == pytest.approx(one.flux * unit, rel=1e-3)
    images = [image, (image * np.float64(unit)).astype(np.float32)]
    stamps = [
        make_views(i[None], m, RECIPES[0], ONE.matrices, x=48, y=48) for i, m in zip(images, (one, other), strict=True)
    ]
    scaled = [s.pixels / np.float32(s.brightness) for s in stamps]
    assert np.allclose(scaled[0], scaled[1], atol=2e-3 * scaled[0].max())


@pytest.mark.parametrize("corner", [(0, 0), (96, 96), (0, 96), (96.4, 0), (-3, -3), (99, 99)])
def test_a_galaxy_at_or_outside_a_corner_does_not_fail(corner):
    image = galaxy(97, *corner, flux=3000.0)
    found = measure(image, *corner)
    assert found.flags & (Flag.NO_PETROSIAN | Flag.CENTROID_MOVED)
    assert found.reach_px < 4
    assert_stamps_are_sound(image, found, *corner)


@pytest.mark.parametrize("position", [(200.0, 200.0), (1e9, -1e9), (-1e300, 0.0)])
def test_a_position_far_outside_has_no_source(position):
    found = measure(galaxy(97), *position)
    assert found.flags == NOTHING
    assert found.reach_px < 0


@pytest.mark.parametrize("position", [(np.nan, np.nan), (np.inf, 3.0)])
def test_a_position_that_is_no_number_is_flagged(position):
    assert measure(galaxy(97), *position).flags == NOTHING | Flag.MASKED_PIXELS


def test_a_very_bright_star_beside_the_galaxy_does_not_take_its_place():
    yy, xx = np.mgrid[:129, :129]
    star = 1e6 * (1 + ((xx - 100) ** 2 + (yy - 100) ** 2) / 4.0) ** -3.0
    image = galaxy(129, flux=5000.0) + star.astype(np.float32)
    found = measure(image, 64, 64)
    assert np.hypot(found.x - 64, found.y - 64) < 2.0
    assert_stamps_are_sound(image, found, 64, 64)


@pytest.mark.parametrize("angle", [0.0, np.pi / 4, np.pi / 2, np.nextafter(np.pi / 2, 2.0), np.pi])
@pytest.mark.parametrize("q", [0.05, 0.3])
def test_needles_at_any_angle_are_measured(angle, q):
    image = galaxy(129, 64, 64, re=10.0, q=q, theta=angle, flux=4000.0)
    image += galaxy(129, 64, 105, re=8.0, q=q, theta=angle, flux=2000.0, sigma=0.0)
    found = measure(image, 64, 64)
    assert np.isfinite(found.rpet_px)
    assert np.hypot(found.x - 64, found.y - 64) < 1.5


def test_an_image_without_noise_is_measured():
    for q in (0.05, 0.3, 1.0):
        found = measure(galaxy(129, re=6.0, q=q, flux=5000.0, sigma=0.0), 64, 64)
        assert np.hypot(found.x - 64, found.y - 64) < 0.05
        assert np.isfinite(found.rpet_px)


def test_a_field_full_of_stars_is_measured():
    rng = np.random.default_rng(5)
    image = noise((256, 256))
    yy, xx = np.mgrid[-5:6, -5:6]
    for _ in range(2500):
        x, y = rng.integers(5, 250, 2)
        image[y - 5 : y + 6, x - 5 : x + 6] += np.exp(-(xx**2 + yy**2) / 3.0).astype(np.float32) * rng.pareto(1.0) * 5
    found = measure(image, 128, 128)
    assert len(found.segmentation.objects) > 200
    assert_stamps_are_sound(image, found, 128, 128)


def test_random_garbage_never_raises():
    rng = np.random.default_rng(8)
    for _ in range(40):
        shape = tuple(rng.integers(1, 60, 2))
        image = rng.choice([0.0, 1.0, np.nan, np.inf, -1e10, 1e10, 3.0], shape).astype(np.float32)
        weight = rng.choice([0.0, 1.0, np.nan, 1e20], shape).astype(np.float32)
        x, y = rng.uniform(-5, 65, 2)
        found = measure(image, x, y, weight=weight if rng.random() < 0.5 else None)
        assert_stamps_are_sound(image, found, x, y)


def test_a_map_without_any_sky_still_leaves_one_to_measure():
    """A label map that covers every pixel, or an object that is masked wholly, raises nothing."""
    y, x = np.mgrid[:65, :65]
    noise = np.random.default_rng(3).standard_normal((65, 65))
    pixels = (50.0 * np.exp(-0.5 * ((x - 32) ** 2 + (y - 32) ** 2) / 9.0) + noise).astype(np.float32)
    everywhere = np.ones(pixels.shape, np.bool_)
    found = segmentation_of(pixels, everywhere, np.ones(pixels.shape, np.int32))
    assert abs(found.sky.level) < 0.3
    assert 0.7 < found.sky.sigma < 1.5
    assert np.isfinite(measure(pixels, 32.0, 32.0, segmentation=found).flux)


def test_a_galaxy_all_hidden_by_a_neighbour_has_no_radius():
    """Rings without a single pixel match no template instead of dividing by zero."""
    flux = np.full((65, 65), 3.0, np.float32)
    frame = frame_about(flux, np.ones(flux.shape, np.bool_), 32.0, 32.0, *frame_size(20.0))
    assert radii_of(frame, 1.0, 0.01, (25.0, 32.0), 2.9) is None
