"""Thresholds: just below and just above each named constant that decides something about a galaxy.

Where a decision rests on one number, the number is put next to its limit; where it rests on pixels, on a hair's breadth
of them. The constants are written out here, so that changing one is a change of this file as well.
"""

from __future__ import annotations

import dataclasses
import math

import numba
import numpy as np
import pytest
from galaxies import galaxy, noise

from galmorph.errors import PipelineError
from galmorph.flags import Flag
from galmorph.stamps import clumps, detection, labelled, measure, petrosian, radii, recipe, scene, segment, views, warp
from galmorph.stamps.affine import compose, stamp_matrix, turn
from galmorph.stamps.asymmetry import _correlated, _Sums
from galmorph.stamps.background import Sky, clipped_sky, correlation_px
from galmorph.stamps.batch import aperture_flags, is_credible, radius_flags, snr_flags
from galmorph.stamps.frame import frame_about, frame_size
from galmorph.stamps.galaxy import farthest_px, is_known
from galmorph.stamps.isophote import COLUMNS, OBJECT_DTYPE
from galmorph.stamps.measure import Measurement
from galmorph.stamps.petrosian import count_seen, crossings
from galmorph.stamps.radii import Radii
from galmorph.stamps.recipe import Recipe, half_width_px
from galmorph.stamps.segment import (
    Outline,
    Segmentation,
    choice_at,
    moved_far,
    neighbour_mask,
    pick,
    relative_noise,
)
from galmorph.stamps.template import LightRadii
from galmorph.stamps.views import read_views
from galmorph.stamps.warp import is_upright

BELOW, ABOVE = 1.0 - 1e-6, 1.0 + 1e-6
SHAPE = (97, 97)
NAN3 = LightRadii(math.nan, math.nan, math.nan)


def everywhere(shape: tuple[int, int] = SHAPE) -> np.ndarray:
    return np.ones(shape, np.bool_)


@pytest.fixture(scope="module")
def plain() -> Measurement:
    """A galaxy without a flag."""
    return measure.measure(galaxy(97, 48.3, 47.6), 48.0, 48.0)


def radii_with(rpet: float, error: float = 0.1, intrinsic: float = 9.0) -> Radii:
    return Radii(rpet, error, NAN3, NAN3, math.nan, intrinsic, math.nan, math.nan, math.nan)


# Flags of a measurement


def test_low_snr_is_below_ten(plain):
    """The ratio itself decides; one that is not known is low as well."""
    assert measure.LOW_SNR == 10.0
    for snr, is_low in ((10.0 * BELOW, True), (10.0, False), (math.nan, True)):
        assert (Flag.LOW_SNR in Flag(snr_flags(snr))) is is_low
    for factor in (0.99, 1.01):
        # The noise in which the same light is so bright.
        sky = plain.segmentation.sky._replace(sigma=plain.sky_sigma * plain.snr / 10.0 * factor)
        given = dataclasses.replace(plain.segmentation, sky=sky)
        again = measure.measure(galaxy(97, 48.3, 47.6), 48.0, 48.0, segmentation=given)
        assert again.snr == pytest.approx(10.0, rel=0.2)
        assert (Flag.LOW_SNR in again.flags) is (again.snr < 10.0)
    assert Flag.LOW_SNR in measure.measure(np.full(SHAPE, np.nan, np.float32), 48.0, 48.0).flags


@pytest.mark.parametrize(
    ("rpet_fwhm", "intrinsic_fwhm", "unresolved"),
    [(1.21 * ABOVE, 0.9, False), (1.21 * BELOW, 0.9, True), (2.0, 0.6 * ABOVE, False), (2.0, 0.6 * BELOW, True)],
)
def test_unresolved_is_within_a_quarter_of_the_psf_or_a_point_behind_it(rpet_fwhm, intrinsic_fwhm, unresolved):
    """r_P of a Gaussian PSF is .971 FWHM, and 1.21 is 1.25 of that; or the intrinsic radius is below .6 FWHM."""
    found = radii_with(2.9 * rpet_fwhm, intrinsic=2.9 * intrinsic_fwhm)
    assert (Flag.UNRESOLVED in Flag(radius_flags(found, 2.9))) is unresolved
    assert radius_flags(found, math.nan) == radius_flags(found, 0.0) == 0


def aperture(neighbours: np.ndarray, saturation: float = math.nan, pixels: np.ndarray | None = None) -> Flag:
    """What is said of a circle of radius 10 in the middle."""
    nothing = np.zeros((0, 0), np.float32)
    flat = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32) if pixels is None else pixels
    return Flag(aperture_flags(flat, nothing, neighbours, 48.0, 48.0, 10.0, saturation))


def inside_of_ten() -> np.ndarray:
    rows, columns = np.indices(SHAPE)
    return np.flatnonzero((columns - 48) ** 2 + (rows - 48) ** 2 <= 100)


@pytest.mark.parametrize(("extra", "is_blend"), [(0, False), (1, True)])
def test_a_blend_has_more_than_a_tenth_of_the_aperture_in_neighbours(extra, is_blend):
    inside = inside_of_ten()
    neighbours = np.zeros(SHAPE, np.bool_)
    neighbours.flat[inside[: len(inside) // 10 + extra]] = True
    neighbours[:5] = True  # beyond the aperture they do not count
    assert (Flag.BLEND in aperture(neighbours)) is is_blend


def test_saturation_begins_at_its_level():
    """Bounded by the largest pixel inside: at the level it is reached, above the pixel it is not."""
    pixels = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    peak = float(pixels.flat[inside_of_ten()].max())
    none = np.zeros(SHAPE, np.bool_)
    assert Flag.SATURATED in aperture(none, peak, pixels)
    assert Flag.SATURATED not in aperture(none, float(np.nextafter(np.float32(peak), np.float32(np.inf))), pixels)
    assert Flag.SATURATED not in aperture(none, math.nan, pixels)


@pytest.mark.parametrize(("count", "is_plateau"), [(3, False), (4, True)])
def test_a_plateau_has_four_pixels_of_the_very_same_highest_value(count, is_plateau):
    """Far above the median, so that a handful is enough."""
    pixels = np.random.default_rng(1).standard_normal(SHAPE).astype(np.float32)
    pixels.flat[inside_of_ten()[100 : 100 + count]] = 1e4
    assert (Flag.SATURATED in aperture(np.zeros(SHAPE, np.bool_), math.nan, pixels)) is is_plateau


@pytest.mark.parametrize(("extra", "is_plateau"), [(0, False), (1, True)])
def test_a_plateau_near_the_median_fills_more_than_a_tenth_of_the_aperture(extra, is_plateau):
    """Half of the pixels lie above a tenth of the peak: then four of the same value say nothing."""
    inside = inside_of_ten()
    pixels = np.random.default_rng(1).uniform(5.0, 9.0, SHAPE).astype(np.float32)
    pixels.flat[inside[: len(inside) // 10 + extra]] = 10.0
    assert (Flag.SATURATED in aperture(np.zeros(SHAPE, np.bool_), math.nan, pixels)) is is_plateau


def row(**values: float) -> np.void:
    """One object of a segmentation."""
    objects = np.zeros(1, OBJECT_DTYPE)
    for name, value in values.items():
        objects[name] = value
    return objects[0]


def table_row(**values: float) -> np.ndarray:
    """One object of a table, as it is detected."""
    return np.array([values.get(name, 0.0) for name in COLUMNS])


def outline(**values: float) -> Outline:
    """The same, as compiled code takes it."""
    return Outline(*(float(row(**values)[name]) for name in Outline._fields))


def alone(labels: np.ndarray | None = None, **values: float) -> Segmentation:
    objects = np.zeros(1, OBJECT_DTYPE)
    objects[0] = row(**values)
    empty = np.zeros(SHAPE, np.int32) if labels is None else labels
    return Segmentation(empty, objects, Sky(0.0, 1.0, 9000), 1.0, everywhere())


@pytest.mark.parametrize(("a", "b", "far"), [(1.0, 1.0, 2.0), (2.0, 2.0, 2.0), (9.0, 4.0, 6.0)])
def test_far_is_two_pixels_or_a_semi_axis(a, b, far):
    """The geometric mean of the two."""
    assert moved_far(outline(a=a, b=b)) == far


@pytest.mark.parametrize(("more", "has_moved"), [(-1e-3, True), (1e-3, False)])
def test_the_centroid_has_moved_if_it_is_further_than_far(more, has_moved):
    """Its distance from the position, not from the middle of the object."""
    image = galaxy(97, 51.0, 48.0, flux=2e5)
    first = measure.measure(image, 48.0, 48.0)
    window_x = first.x  # two windows of another size give this bright galaxy's centre to less than a thousandth
    size = (window_x - 48.0 + more) ** 2
    objects = first.segmentation.objects.copy()
    # The very same light, in an outline whose mean semi-axis is as long as the centre is away.
    objects["a"] *= size / (objects["a"] * objects["b"])
    again = measure.measure(image, 48.0, 48.0, segmentation=dataclasses.replace(first.segmentation, objects=objects))
    assert math.hypot(again.x - first.x, again.y - first.y) < 5e-4
    assert (Flag.CENTROID_MOVED in again.flags) is has_moved


@pytest.mark.parametrize(
    ("rpet", "error", "credible"),
    [(4.0 * BELOW, 0.1, True), (4.0, 0.1, False), (3.0, 0.9 * BELOW, True), (3.0, 0.9, False)],
)
def test_a_radius_amid_neighbours_is_at_most_four_isophotes_and_known_to_thirty_per_cent(rpet, error, credible):
    assert is_credible(radii_with(rpet, error), 1.0) is credible


# Detection and choice of the object


@pytest.mark.parametrize(("distance", "chosen"), [(9.0 + 5.0 * BELOW, 0), (9.0 + 5.0, -1)])
def test_an_object_is_meant_up_to_five_pixels_from_its_edge(distance, chosen):
    """Its edge is three times the mean of its semi-axes away from its middle."""
    assert pick(alone(x=48.0, y=48.0, a=3.0, b=3.0), 48.0 + distance, 48.0) == chosen


@pytest.mark.parametrize(
    ("a", "distance", "misplaced"), [(1.0, 4.0, False), (1.0, 4.0 * ABOVE, True), (7.0, 7.0, False), (7.0, 7.1, True)]
)
def test_a_position_is_misplaced_beyond_four_pixels_or_a_semi_axis(a, distance, misplaced):
    choice = choice_at(alone(np.ones(SHAPE, np.int32), x=48.0, y=48.0, a=a, b=a), 48.0 + distance, 48.0)
    assert (choice.row, choice.is_misplaced) == (0, misplaced)
    assert choice.distance_px == pytest.approx(distance)
    nothing = choice_at(alone(x=48.0, y=48.0, a=a, b=a), 48.0 + 4.0 * distance, 48.0)
    assert (nothing.row, nothing.is_misplaced) == (-1, False)


@pytest.mark.parametrize(
    ("away", "share", "is_clump"),
    [
        (2.5 * BELOW, 0.7 * BELOW, True),
        (2.5, 0.7 * BELOW, False),
        (2.5 * BELOW, 0.7, False),
        (3.0 * BELOW, 0.3 * BELOW, True),
        (3.0, 0.3 * BELOW, False),
        (3.0 * BELOW, 0.3, False),
    ],
)
def test_a_clump_is_faint_for_how_near_it_is(away, share, is_clump):
    """Within 2.5 semi-axes and below .7 of the flux, or within 3 and below .3."""
    parent = table_row(x=10.0, y=10.0, cxx=0.25, cyy=0.25, cxy=0.0, flux=100.0)
    child = table_row(x=10.0 + 2.0 * away, y=10.0, flux=100.0 * share)
    assert clumps.is_clump(child, parent) is is_clump


@pytest.mark.parametrize(("factor", "is_even"), [(0.9 * ABOVE, True), (0.9 * BELOW, False), (1.1 * BELOW, True)])
def test_weights_that_are_alike_to_a_tenth_are_no_weights(factor, is_even):
    weight = np.full(SHAPE, 4.0, np.float64)
    weight[3, 4] = 4.0 * factor
    assert (relative_noise(weight, everywhere()) is None) is is_even
    weight[3, 4] = 4.0 * 1.1 * ABOVE
    assert relative_noise(weight, everywhere()) is not None


@pytest.mark.parametrize(("count", "detects"), [(24, False), (25, True)])
def test_less_than_twenty_five_pixels_are_no_sky(count, detects):
    """Nothing is detected on fewer, be it as bright as may be."""
    pixels = np.where(np.arange(100) % 2 == 0, 1.0, -1.0).astype(np.float32).reshape(10, 10)
    pixels[:3, :2] = 100.0
    usable = np.zeros((10, 10), np.bool_)
    usable.flat[: count + 6] = True
    found = segment.segment(pixels, usable)
    assert bool(found.labels[0, 0] == 1) is detects
    assert found.sky.n_pixels == count


@pytest.mark.parametrize(("size", "is_binned"), [(159, False), (160, True)])
def test_smooth_images_are_binned_from_160_pixels_on(size, is_binned):
    """On a side; the same noise on fewer is detected as it is: then objects do not consist of squares."""
    smooth = np.repeat(np.repeat(noise((90, 90), seed=3), 2, 0), 2, 1)[:size, :size]
    smooth[70:91, 60:81] += 20.0
    assert correlation_px(smooth, everywhere(smooth.shape), clipped_sky(smooth, None)) >= 2.0
    labels = segment.segment(smooth, everywhere(smooth.shape)).labels
    assert labels[80, 70] > 0
    squares = labels[:158, :158].reshape(79, 2, 79, 2)
    assert bool((squares == squares[:, :1, :, :1]).all()) is is_binned


@pytest.mark.parametrize(("factor", "count"), [(0.98, 0), (1.02, 1)])
def test_objects_begin_at_one_and_a_half_sigma(factor, count):
    """A disc of even brightness, wide enough for the filter, is there or not; noise that is still outside counts."""
    image = np.where(np.indices(SHAPE).sum(axis=0) % 2 == 0, 1.0, -1.0).astype(np.float32)
    rows, columns = np.indices(SHAPE)
    inside = np.hypot(columns - 48, rows - 48) < 8
    sigma = clipped_sky(image, ~inside).sigma
    image[inside] = 1.5 * sigma * factor
    detected = segment.segment(image, everywhere())
    assert len(detected.objects) == count
    # The sky and its noise are those without the object.
    assert detected.sky.sigma == pytest.approx(sigma, rel=0.01)


@pytest.mark.parametrize(("length", "count"), [(5, 0), (6, 1)])
def test_objects_have_six_pixels(length, count):
    """A bar of so many pixels that are above the threshold after filtering."""
    data = np.zeros(SHAPE, np.float32)
    # The filter, 1 2 1 along each axis, leaves half of a line's brightness on it, a quarter beside it; at its ends
    # three quarters of these.
    data[48, 40 : 40 + length] = 4.1
    objects, labels = detection.detect(data, 1.5, min_area=6, contrast=0.02)
    assert len(objects) == count
    assert np.count_nonzero(labels) == length * count


@pytest.mark.parametrize(("n", "extent"), [(199, 6.0), (200, 3.0)])
def test_among_two_hundred_neighbours_masks_are_isophotes(n, extent):
    """With so many, six of their semi-axes would leave no sky."""
    objects = np.zeros(n + 1, OBJECT_DTYPE)
    objects["x"], objects["y"], objects["a"], objects["b"] = 48.0, 48.0, 2.0, 2.0
    objects["x"][0] = 5.0
    scenery = Segmentation(np.zeros(SHAPE, np.int32), objects, Sky(0.0, 1.0, 9000), 1.0, everywhere())
    marked = neighbour_mask(scenery, 0)
    assert marked[48, 48 + math.floor(2.0 * extent)]
    assert not marked[48, 48 + math.floor(2.0 * extent) + 1]


@pytest.mark.parametrize(("ratio", "is_closer"), [(0.5 * BELOW, True), (0.5, False)])
def test_a_smaller_source_in_front_is_meant_if_it_is_twice_as_near(ratio, is_closer, monkeypatch):
    """Among the objects at the finest contrast."""
    own = np.ones(SHAPE, np.int32)
    coarse, fine = alone(own, x=58.0, y=48.0, a=1.0, b=1.0), alone(own, x=48.0 + 10.0 * ratio, y=48.0, a=1.0, b=1.0)
    monkeypatch.setattr(scene, "divided", lambda *_, **s: fine if "deblend_contrast" in s else coarse)
    chosen, _ = scene.object_at(noise(SHAPE), everywhere(), None, 48.0, 48.0)
    assert (chosen is fine) is is_closer


@pytest.mark.parametrize(("count", "is_away"), [(470, False), (471, True)])
def test_the_sky_of_a_map_lies_off_its_labels_if_that_leaves_a_twentieth(count, is_away):
    """Of 9 409 pixels, and a hundred at least; else right beside the labels."""
    labels, usable = np.zeros(SHAPE, np.int32), everywhere()
    labels[:40] = 1
    # Labels are grown by two pixels on each side: what lies off them is usable, but for all except so many.
    usable.flat[42 * 97 + count :] = False
    sky = labelled._sky_pixels(usable, labels)
    assert np.count_nonzero(sky) == (count if is_away else count + 2 * 97)
    assert not sky[:40].any()


@pytest.mark.parametrize(("count", "is_outside"), [(100, False), (101, True)])
def test_a_map_leaves_a_hundred_pixels_of_sky_or_all_are_looked_at(count, is_outside):
    """Of a small image, where that is more than a twentieth."""
    labels = np.ones((30, 30), np.int32)
    labels.flat[:count] = 0
    sky = labelled._sky_pixels(everywhere((30, 30)), labels)
    assert np.count_nonzero(sky) == (count if is_outside else 900)


# Frames, profiles and radii


@pytest.mark.parametrize(
    ("radius", "expected"),
    [(12.0, (12, 1)), (12.0 * ABOVE, (16, 1)), (64.0, (64, 1)), (64.0 * ABOVE, (48, 2)), (128.0, (64, 2))],
)
def test_frames_are_as_small_as_their_circle_allows(radius, expected):
    assert frame_size(radius) == expected


@pytest.mark.parametrize(("count", "share"), [(1, 0.0), (2, 0.5), (3, 0.75), (4, 1.0)])
def test_a_pixel_of_a_binned_frame_has_half_of_its_pixels(count, share):
    """One with fewer counts as missing."""
    bad = np.zeros(SHAPE, np.bool_)
    bad[0, 0] = True  # somewhere else, so that shares are looked at
    bad[48:50, 48:50] = np.arange(4).reshape(2, 2) >= count
    frame = frame_about(np.ones(SHAPE, np.float32), bad, 48.5, 48.5, 32, 2)
    assert frame.good[32, 32] == share
    assert frame.flux[32, 32] == (1.0 if share else 0.0)


@pytest.mark.parametrize(("share", "rings"), [(0.2 * ABOVE, 20), (0.2 * BELOW, 12)])
def test_rings_are_seen_while_a_fifth_of_one_has_pixels(share, rings):
    """Judged with its two neighbours."""
    area = np.arange(1.0, 21.0)
    used = area.copy()
    used[11:14] = share * area[11:14]
    used[14:] = area[14:] if share > 0.2 else 0.0
    assert count_seen(used, area) == rings


@pytest.mark.parametrize(("above", "below", "falls"), [(0.2, 0.2 * BELOW, 1), (0.2 * BELOW, 0.1, 0), (0.3, 0.2, 0)])
def test_the_petrosian_ratio_falls_through_a_fifth(above, below, falls):
    """From a fifth or more to less."""
    assert petrosian.ETA == 0.2
    assert len(crossings(np.array([1.0, 2.0]), np.array([above, below]))) == falls


@pytest.mark.parametrize(("share", "is_seen"), [(0.45 * ABOVE, True), (0.45 * BELOW, False)])
def test_a_radius_needs_forty_five_per_cent_of_its_aperture(share, is_seen):
    edges = np.arange(11.0)
    area = np.pi * np.diff(edges**2)
    rings = radii._Rings(edges, np.ones(10), np.ones(10), area, np.full(10, share), 0.01, 10)

    @numba.njit
    def seen_to(rings, radius):
        return radii._is_seen(rings, radius)

    assert seen_to(rings, 8.0) is is_seen
    assert not seen_to(rings, 10.0 * ABOVE)  # past the last ring


@pytest.mark.parametrize(("error", "fits"), [(0.6 * BELOW, True), (0.6, False)])
def test_a_radius_is_known_to_sixty_per_cent(error, fits):
    assert is_known(radii_with(8.0, 8.0 * error), 100.0) is fits


@pytest.mark.parametrize(("factor", "fits"), [(BELOW, True), (ABOVE, False)])
def test_a_radius_lies_within_what_the_isophote_allows(plain, factor, fits):
    """Five to nine isophotal radii, twice what an exponential disc of that contrast has."""
    values = plain.segmentation.objects[0]
    found = outline(**{name: float(values[name]) for name in Outline._fields})
    farthest = farthest_px(found)
    assert 5.0 <= farthest / (3.0 * math.sqrt(found.a * found.b)) <= 9.0
    assert is_known(radii_with(farthest * factor), farthest) is fits


@pytest.mark.parametrize(
    ("contrast", "isophotes"), [(1.0, 9.0), (math.exp(0.81), 8.8889), (math.exp(1.43), 5.0350), (1e6, 5.0)]
)
def test_bright_galaxies_reach_five_isophotes_and_faint_ones_nine(contrast, isophotes):
    """Twice 3.6 / ln P in between, for a centre of P thresholds."""
    found = farthest_px(outline(a=3.0, b=3.0, cpeak=contrast, thresh=1.0))
    assert found / 9.0 == pytest.approx(isophotes, rel=1e-4)


@pytest.mark.parametrize(("outside", "factor"), [(99, 1.0), (100, 2.0)])
def test_the_noise_of_a_frame_counts_from_a_hundred_pixels_on(outside, factor):
    """And if it differs by five of its errors, a half for a hundred pixels."""
    mean = math.sqrt(2.0 / math.pi)
    assert _correlated.py_func(_Sums(9, 1.0, 1.0, outside, 2.0 * outside * mean), 1.0) == pytest.approx(factor)
    for ratio, expected in ((1.5 * BELOW, 1.0), (1.5 * ABOVE, 1.5)):
        sums = _Sums(9, 1.0, 1.0, 100, ratio * 100 * mean)
        assert _correlated.py_func(sums, 1.0) == pytest.approx(expected, rel=1e-5)


# Stamps and views


def test_the_field_is_two_petrosian_radii_or_their_likeliest_value(plain):
    """Without a radius .63 of the isophotal extent; without an object the recipe's default."""
    assert half_width_px(plain, Recipe()) == 2.0 * plain.rpet_px
    without = dataclasses.replace(plain, rpet_px=math.nan)
    assert recipe._RPET_PER_EXTENT == 0.63
    assert half_width_px(without, Recipe()) == pytest.approx(2.0 * 0.63 * plain.extent_px)
    nothing = dataclasses.replace(without, extent_px=math.nan)
    assert half_width_px(nothing, Recipe(default_rpet_px=7.0)) == 14.0


@pytest.mark.parametrize(
    ("text", "works"),
    [
        ("zooms = [0.1]", True),
        ("zooms = [0.0999]", False),
        ("angles = 1024", True),
        ("angles = 1025", False),
        ("matrices = [[0.00101, 0, 0, 1]]", True),
        ("matrices = [[0.00099, 0, 0, 1]]", False),
    ],
)
def test_views_have_limits(text, works):
    """A zoom of a tenth, 1024 views, and maps that leave a thousandth of the area."""
    assert views._MOST == 1024
    if works:
        read_views(text)
    else:
        with pytest.raises(PipelineError):
            read_views(text)


@pytest.mark.parametrize("size", [7, 8])
def test_a_recipe_has_eight_pixels(size):
    if size >= 8:
        assert Recipe(size=size).size == size
    else:
        with pytest.raises(PipelineError, match="size = 7: expected a number from 8"):
            Recipe(size=size)


@pytest.mark.parametrize(("angle", "upright"), [(0.9e-8, True), (1.1e-8, False)])
def test_a_view_is_upright_if_it_moves_nothing(angle, upright):
    """Turned by less than a hundred-millionth, about any quarter turn."""
    assert warp._UPRIGHT == 1e-8
    for quarter in range(4):
        matrix = compose(stamp_matrix(40.0, 40.0, 10.0), turn(quarter * math.pi / 2 + angle))
        assert is_upright(matrix) is upright


@pytest.mark.parametrize(("width", "missing"), [(2, False), (3, True)])
def test_a_stamp_pixel_is_missing_where_more_than_half_of_it_is(width, missing):
    """Of boxes of four columns."""
    planes = np.ones((1, 64, 64), np.float32)
    planes[0, :, 28 : 28 + width] = np.nan
    stamp = warp.warp(planes, stamp_matrix(31.5, 31.5, 32.0), 16)
    assert np.isnan(stamp[0, :, 7]).all() == missing
    assert np.isfinite(stamp[0, :, [6, 8]]).all()
