"""A recipe turns a measured cutout into a stamp."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, sersic

from galmorph.errors import PipelineError
from galmorph.stamps.cutting import make_views, prepare, prepare_around, stretch_in_place
from galmorph.stamps.filling import fill
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.recipe import Recipe, half_width_px, stretch
from galmorph.stamps.views import ONE
from galmorph.toml import build

SHAPE = (97, 97)


@pytest.fixture(scope="module")
def scene() -> tuple[np.ndarray, Measurement]:
    """A galaxy in the middle, a neighbour at (72, 60), a sky of 30."""
    image = galaxy(97, flux=4000.0) + sersic(SHAPE, 72, 60, re=3, flux=2500.0) + np.float32(30.0)
    return image, measure(image, 48, 48)


def test_a_recipe_survives_its_dictionary():
    recipe = Recipe(size=40, planes=3, stretch="display", neighbours="keep", gain=3.0)
    assert build(Recipe, recipe.to_dict(), "a dictionary") == recipe
    assert build(Recipe, {}, "a dictionary") == Recipe()


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"siz": 64}, "did you mean 'size'"),
        ({"stretch": "log"}, "asinh, display"),
        ({"neighbours": "remove"}, "fill, keep"),
        ({"size": 4}, "size = 4: expected a number from 8 to 1024"),
        ({"size": 10**9}, "size = 1000000000: expected a number from 8 to 1024"),
        ({"planes": 2}, "planes = 2: expected 1 or 3"),
        ({"half_width_rpet": 0.0}, "half_width_rpet = 0.0: expected a number from 0.01 to 100"),
        ({"half_width_rpet": 1e9}, r"half_width_rpet = 1000000000.0: expected"),
        ({"half_width_arcsec": -1.0}, "half_width_arcsec = -1.0: expected a number from 0 to 3600"),
        ({"default_rpet_px": 1e9}, "default_rpet_px = 1000000000.0: expected"),
        ({"gain": 0.0}, "gain = 0.0: expected"),
        ({"display_top": 2.0}, "display_top = 2.0: expected a number from 1e-06 to 1"),
        ({"outside": "noise"}, "sky, zero"),
        ({"reference": "sky"}, "galaxy, noise"),
    ],
)
def test_a_wrong_setting_is_named_in_one_line(settings, words):
    with pytest.raises(PipelineError, match=words) as caught:
        build(Recipe, settings, "a dictionary")
    assert "\n" not in str(caught.value)


def test_the_field_of_view_scales_with_the_petrosian_radius(scene):
    _, found = scene
    assert half_width_px(found, Recipe(half_width_rpet=2.5)) == pytest.approx(2.5 * found.rpet_px)


def test_a_fixed_field_of_view_is_the_same_for_all_galaxies(scene):
    """On the sky; without a pixel scale it scales with the galaxy."""
    _, found = scene
    fixed = Recipe(half_width_arcsec=1.92)
    blank = measure(np.zeros(SHAPE, np.float32), 48, 48)
    assert half_width_px(found, fixed, 0.06) == half_width_px(blank, fixed, 0.06) == pytest.approx(32.0)
    assert half_width_px(found, fixed, 0.03) == pytest.approx(64.0)
    assert half_width_px(found, fixed) == half_width_px(found, Recipe())


def test_past_the_edges_of_a_cutout_lies_nothing_or_a_sky(scene):
    """Of the same noise and about the same galaxy, which does not move."""
    image, _ = scene
    noisy = image[20:90, 30:95] + np.random.default_rng(1).normal(0.0, 2.0, (70, 65)).astype(np.float32)
    found = measure(noisy, 18.0, 28.0)
    view = {"x": 18.0, "y": 28.0, "scale_arcsec": 0.1}
    stamps = {
        kind: make_views(noisy[None], found, Recipe(half_width_arcsec=4.0, outside=kind), ONE.matrices, **view)
        for kind in ("zero", "sky")
    }
    zero, sky = (stamps[kind].pixels[0, 0] for kind in ("zero", "sky"))
    beyond = zero == 0.0
    assert 0.1 < beyond.mean() < 0.9
    assert abs(sky[beyond].mean()) < 1.0
    assert 0.5 < sky[beyond].std() < 4.0
    inside = zero[24:40, 24:40]
    np.testing.assert_allclose(sky[24:40, 24:40], inside, atol=0.02 * inside.max())


def test_a_stretch_by_the_noise_tells_bright_galaxies_from_faint_ones(scene):
    """One by the galaxy's own brightness does not."""
    image, _ = scene
    noise = np.random.default_rng(2).normal(0.0, 1.0, SHAPE).astype(np.float32)
    for reference, same in (("galaxy", True), ("noise", False)):
        peaks = []
        for factor in (1.0, 4.0):
            bright = factor * (image - 30.0) + noise
            ready, scale = prepare(bright[None], measure(bright, 48, 48), Recipe(reference=reference))
            peaks.append(ready.max() / scale)
        assert bool(peaks[1] / peaks[0] < 1.3) is same


def test_without_a_radius_the_default_is_taken():
    blank = measure(np.zeros(SHAPE, np.float32), 48, 48)
    assert half_width_px(blank, Recipe(default_rpet_px=6.0)) == pytest.approx(12.0)


def test_the_galaxy_is_centred_and_sky_subtracted(scene):
    image, found = scene
    stamp = make_views(image[None], found, Recipe(size=65), ONE.matrices, x=40.0, y=60.0).pixels[0, 0]
    row, column = np.unravel_index(stamp.argmax(), (65, 65))
    assert abs(row - 32) <= 1
    assert abs(column - 32) <= 1
    border = np.concatenate([stamp[0], stamp[-1]])
    assert abs(np.median(border)) < 0.5


def test_without_a_centroid_the_catalogue_position_is_the_centre():
    image = np.zeros((1, *SHAPE), np.float32)
    image[0, 20, 30] = 100.0
    blank = measure(np.zeros(SHAPE, np.float32), 30, 20)
    stamp = make_views(image, blank, Recipe(size=33, stretch="display"), ONE.matrices, x=30.0, y=20.0)
    assert stamp.pixels[0].argmax() == 16 * 33 + 16


def test_a_neighbour_is_filled_or_kept_as_the_recipe_says(scene):
    image, found = scene
    filled, _ = prepare(image[None], found, Recipe())
    kept, _ = prepare(image[None], found, Recipe(neighbours="keep"))
    assert kept[0, 60, 72] == pytest.approx(image[60, 72] - found.sky_level, rel=1e-5)
    assert abs(filled[0, 60, 72]) < 6 * found.sky_sigma


def test_filled_pixels_look_like_the_sky_around_them(scene):
    image, found = scene
    filled, _ = prepare(image[None], found, Recipe())
    far = found.neighbours & (np.hypot(*(np.indices(SHAPE) - 48.0)) > 20)
    assert far.sum() > 200
    assert filled[0][far].std() == pytest.approx(found.sky_sigma, rel=0.15)
    assert abs(filled[0][far].mean()) < 0.3


def test_a_filled_pixel_inside_the_galaxy_gets_the_brightness_of_its_ring():
    image = sersic(SHAPE, 48, 48, re=10, flux=1e5)
    found = measure(image + galaxy(97, flux=0.001), 48, 48)
    bad = np.zeros(SHAPE, np.bool_)
    bad[46:51, 60:66] = True
    filled = image.copy()
    fill(filled[None], bad, found.segmentation.labels, (found.x, found.y), 1.0, seed=1)
    assert np.allclose(filled[bad], image[bad], rtol=0.25)


def test_the_input_is_not_changed(scene):
    image, found = scene
    before = image.copy()
    make_views(image[None], found, Recipe(), ONE.matrices, x=48, y=48)
    assert np.array_equal(image, before)


def test_missing_pixels_are_filled_even_where_neighbours_are_kept(scene):
    image, found = scene
    holed = image.copy()
    holed[40:44, 40:44] = np.nan
    ready, _ = prepare(holed[None], found, Recipe(neighbours="keep"))
    assert np.isfinite(ready).all()
    assert ready[0, 60, 72] > 20


def test_a_pixel_missing_in_one_colour_is_replaced_in_all():
    planes = np.repeat(galaxy(97)[None] * np.float32(0.01) + np.float32(0.5), 3, 0)
    found = measure(planes.sum(axis=0), 48, 48)
    planes[1, 70, 20] = np.nan
    ready, brightness = prepare(planes, found, Recipe(planes=3, stretch="display"))
    assert brightness == 1.0
    changed = ~np.isclose(ready, planes)
    assert changed[:, 70, 20].all()


def test_display_images_keep_their_sky(scene):
    image, found = scene
    ready, brightness = prepare(image[None], found, Recipe(stretch="display", neighbours="keep"))
    assert np.array_equal(ready[0], image)
    assert brightness == 1.0


def test_a_softened_image_is_compressed_and_clipped_where_the_display_was(scene):
    image, found = scene
    recipe = Recipe(neighbours="keep", softening_mjysr=0.5, display_top=0.6)
    ready, brightness = prepare(image[None], found, recipe, mjysr_per_unit=0.1)
    flux = image - np.float32(found.sky_level)
    soft = np.arcsinh(flux / 5.0) * 5.0
    disc = np.hypot(np.arange(97)[:, None] - found.y, np.arange(97)[None, :] - found.x) <= found.rpet_px
    top = 0.6 * soft[disc & ~found.neighbours].max()
    assert ready.max() == pytest.approx(top, rel=0.02)
    assert ready[0, 30, 30] == pytest.approx(soft[30, 30], rel=1e-4)
    assert brightness == pytest.approx(np.minimum(soft, top)[disc].mean(), rel=0.02)


def test_an_image_in_unknown_units_is_not_softened(scene):
    image, found = scene
    recipe = Recipe(neighbours="keep", softening_mjysr=0.5)
    plain = prepare(image[None], found, Recipe(neighbours="keep"))
    unknown = prepare(image[None], found, recipe)
    assert np.array_equal(unknown[0], plain[0])
    assert unknown[1] == plain[1]


def test_preparing_a_window_gives_the_same_stamp_as_the_whole(scene):
    image, _ = scene
    big = np.pad(image, 120, mode="reflect")
    moved = measure(big, 168, 168)
    near = prepare_around(big[None], moved, Recipe(), x=168, y=168)
    assert near.planes.shape[1] < big.shape[0]
    assert near.planes[0, round(near.y), round(near.x)] == pytest.approx(big[168, 168] - moved.sky_level, rel=0.2)
    assert near.half_px == pytest.approx(2 * moved.rpet_px)


def test_the_same_seed_gives_the_same_stamp_and_another_seed_other_noise(scene):
    image, found = scene
    one, again, other = (
        make_views(image[None], found, Recipe(), ONE.matrices, x=48, y=48, seed=seed).pixels for seed in (5, 5, 6)
    )
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)


def test_the_asinh_stretch_is_what_the_recipe_says():
    pixels = np.array([-1e9, 0.0, 1.0, 10.0, 1e9], np.float32).reshape(1, 1, 1, 5)
    out = stretch(pixels, np.full((1, 1, 1, 1), 2.0), Recipe(gain=4.0)).ravel()
    assert out == pytest.approx([-1.0, 0.0, np.arcsinh(2.0) / 3, np.arcsinh(20.0) / 3, 3.0])


def test_display_stamps_are_not_stretched():
    pixels = np.linspace(0, 1, 8, dtype=np.float32).reshape(1, 1, 1, 8)
    assert stretch(pixels, 1.0, Recipe(stretch="display")) is pixels


def test_a_recipe_says_how_far_its_stamps_reach():
    assert Recipe(half_width_rpet=2.5).reach == "2.5 Petrosian radii"
    assert Recipe(half_width_arcsec=1.38).reach == "1.38\u2033"


@pytest.mark.parametrize("kind", ["asinh", "display"])
def test_stamps_are_stretched_in_place_as_numpy_would(kind):
    """To 1e-7, over eight decades of both signs; what is no number is not made one."""
    values = np.geomspace(1e-4, 1e4, 96, dtype=np.float32)
    pixels = np.stack([values, -values, 0.0 * values, 1e30 * values]).reshape(2, 2, 1, 8, 12)
    pixels[1, 0, 0, 0, 0] = np.nan
    brightness = np.array([0.3, 7.0])
    recipe = Recipe(stretch=kind, gain=0.7)
    expected = stretch(pixels, brightness.astype(np.float32)[:, None, None, None, None], recipe)
    stretched = pixels.copy()
    stretch_in_place(stretched, brightness, recipe)
    np.testing.assert_allclose(stretched, expected, atol=2e-7)
