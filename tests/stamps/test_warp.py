"""One affine matrix takes pixels to a stamp."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import noise, sersic
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import ndtr

from galmorph.errors import ImageError
from galmorph.stamps.affine import compose, stamp_matrix, turn
from galmorph.stamps.warp import binned, sample, sample_points, subsamples, warp, warp_views

few = settings(max_examples=30, deadline=None)
scales = st.floats(0.3, 7.0)
centres = st.tuples(st.floats(20.0, 44.0), st.floats(20.0, 44.0))
EIGHT = [(quarters, flip) for quarters in range(4) for flip in (False, True)]


def square(size: int) -> np.ndarray:
    """Map a stamp of `size` pixels to exactly as many pixels of a cutout of that size."""
    return stamp_matrix((size - 1) / 2, (size - 1) / 2, size / 2)


def galaxy(size: int = 65, re: float = 6.0, **profile: float) -> np.ndarray:
    """A galaxy seen through a telescope whose PSF is 2.9 pixels wide, (1, size, size)."""
    middle = (size - 1) / 2
    settings = {"n": 2.0, "q": 0.5, "theta": 0.7, **profile}
    return ndimage.gaussian_filter(sersic((size, size), middle, middle, re=re, **settings), 1.23)[None]


# Matrices


def test_the_corners_of_the_stamp_are_the_edges_of_the_square():
    """Stamp coordinates run from -1 to 1 over the edges."""
    matrix = stamp_matrix(10.0, 20.0, 4.0)
    assert matrix @ np.array([-1.0, 1.0, 1.0]) == pytest.approx([6.0, 24.0])


def test_a_shift_is_in_half_widths():
    """A tenth of a half-width of 10 pixels is one pixel."""
    assert compose(stamp_matrix(0.0, 0.0, 10.0), turn(shift=(0.5, -0.2)))[:, 2] == pytest.approx([5.0, -2.0])


def test_composing_matrices_is_applying_them_in_turn():
    """The inner matrix is applied first."""
    outer, inner = stamp_matrix(3.0, 4.0, 7.0), turn(0.7, flip=True, zoom=1.3, shift=(0.1, -0.4))
    point = np.array([0.3, -0.6, 1.0])
    assert compose(outer, inner) @ point == pytest.approx(outer @ np.append(inner @ point, 1.0))


# Laws


def test_a_warp_onto_the_same_grid_returns_the_pixels():
    """At one cutout pixel per stamp pixel, aligned, the means are the pixels themselves."""
    image = noise((2, 33, 33))
    assert np.allclose(warp(image, square(33), 33), image, atol=2e-6)


@few
@given(st.integers(-9, 9), st.integers(-9, 9), st.integers(0, 99))
def test_a_whole_pixel_shift_shifts_the_stamp(dx, dy, seed):
    """On the cutout's grid nothing is interpolated."""
    image = noise((1, 65, 65), seed=seed)
    shifted = warp(image, stamp_matrix(32 + dx, 32 + dy, 8.5), 17)
    assert np.allclose(shifted[0], image[0, 24 + dy : 41 + dy, 24 + dx : 41 + dx], atol=2e-6)


@few
@given(st.sampled_from(EIGHT), scales, centres, st.integers(0, 99))
def test_the_eight_orientations_are_numpys(orientation, scale, centre, seed):
    """At any scale and place a quarter turn or a flip of the view only rearranges the stamp's pixels."""
    quarters, flip = orientation
    image = noise((2, 64, 71), seed=seed)
    matrix = stamp_matrix(*centre, scale * 12)
    turned = warp(image, compose(matrix, turn(quarters * np.pi / 2, flip=flip)), 24)
    plain = warp(image, matrix, 24)
    expected = np.rot90(plain[..., ::-1] if flip else plain, -quarters if flip else quarters, (-2, -1))
    assert np.abs(turned - expected).max() < 1e-6 * np.abs(image).max()


@few
@given(st.floats(1.0, 9.0), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.integers(0, 99))
def test_shrinking_conserves_flux(scale, dx, dy, seed):
    """The sum over the stamp's area is that over the cutout, to single precision."""
    image = noise((1, 41, 47), seed=seed) + np.float32(1.0)
    size = int(47 / scale) + 4
    stamp = warp(image, stamp_matrix(23 + dx, 20 + dy, scale * size / 2), size)
    assert stamp.sum() * scale**2 == pytest.approx(image.sum(), rel=1e-5)


@few
@given(scales, centres, st.floats(-3.0, 3.0), st.floats(-1e6, 1e6))
def test_a_constant_stays_constant(scale, centre, angle, value):
    """Weights sum to one wherever the box lies on the cutout."""
    image = np.full((1, 64, 64), value, np.float32)
    for view in (turn(), turn(angle)):
        stamp = warp(image, compose(stamp_matrix(*centre, scale * 1.5), view), 3)
        assert np.allclose(stamp[0, 1, 1], value, rtol=2e-6) or 1.5 * scale > 20


@few
@given(st.integers(0, 99), st.floats(-3, 3), st.floats(-3, 3), scales, centres)
def test_a_warp_is_linear_in_the_pixels(seed, a, b, scale, centre):
    """The stamp of a sum is the sum of the stamps."""
    one, other = noise((1, 64, 64), seed=seed), noise((1, 64, 64), seed=seed + 100)
    matrix = stamp_matrix(*centre, scale * 10)
    together = warp((a * one + b * other).astype(np.float32), matrix, 20)
    assert np.allclose(together, a * warp(one, matrix, 20) + b * warp(other, matrix, 20), atol=2e-5)


@few
@given(st.floats(0.5, 4.0), st.floats(-3.0, 3.0))
def test_stamps_are_continuous_in_scale_and_angle(scale, angle):
    """A millionth more zoom changes no pixel by a hundred-thousandth of the peak, nor more angle by a thousandth."""
    image = galaxy()
    matrix = stamp_matrix(32.2, 31.7, scale * 12)
    views = [turn(angle), turn(angle, zoom=1.0 + 1e-6), turn(angle + 1e-6)]
    stamp, zoomed, turned = (warp(image, compose(matrix, view), 24) for view in views)
    assert np.abs(zoomed - stamp).max() < 1e-5 * stamp.max()
    assert np.abs(turned - stamp).max() < 1e-3 * stamp.max()  # from an exact mean to points, where the angle was 0


@pytest.mark.parametrize("scale", [1.0, 2.0])
def test_stamps_are_continuous_where_the_box_begins_to_grow(scale):
    """Just below and above one (and a whole number of) cutout pixels per stamp pixel the stamps agree."""
    image = galaxy()
    for view in (turn(), turn(0.4)):
        low, high = (warp(image, compose(stamp_matrix(32, 32, 12 * s), view), 24) for s in (scale - 1e-7, scale + 1e-7))
        assert np.abs(low - high).max() < 1e-5 * low.max()


# Truth


def gaussian(size: int, scale: float, x: float, y: float, box: float) -> np.ndarray:
    """Pixels of a stamp of a round Gaussian of sigma 4, means over square boxes; all lengths in cutout pixels."""

    def mean(offset: float) -> np.ndarray:
        middles = (np.arange(size) - (size - 1) / 2) * scale - offset
        return (ndtr((middles + box / 2) / 4.0) - ndtr((middles - box / 2) / 4.0)) / box

    return np.outer(mean(y), mean(x))


@pytest.mark.parametrize("angle", [0.0, 0.5])
@pytest.mark.parametrize("scale", [0.4, 0.8, 1.0, 1.3, 2.0, 2.6, 3.7])
def test_a_stamp_pixel_is_the_mean_over_itself_or_over_a_cutout_pixel(scale, angle):
    """A round Gaussian has a closed form at every scale and angle; the spline meets it to 1e-4 of the peak."""
    image = gaussian(81, 1.0, 0.3, -0.2, 1.0)[None].astype(np.float32)
    stamp = warp(image, compose(stamp_matrix(40.3, 39.8, 12 * scale), turn(angle)), 24)[0]
    expected = gaussian(24, scale, 0.0, 0.0, max(scale, 1.0))
    assert np.abs(stamp - expected).max() < 1e-4 * expected.max()


def test_magnifying_is_cubic_spline_interpolation():
    """Below one cutout pixel per stamp pixel the stamp has scipy's values of order 3."""
    image = noise((1, 50, 50))
    stamp = warp(image, stamp_matrix(24.3, 25.1, 9.6), 24)
    x, y = (c + (np.arange(24) - 11.5) * 0.8 for c in (24.3, 25.1))
    expected = ndimage.map_coordinates(image[0], np.meshgrid(y, x, indexing="ij"), order=3, mode="mirror")
    assert np.abs(stamp[0] - expected).max() < 3e-6 * np.abs(image).max()


@pytest.mark.parametrize("scale", [0.5, 1.0, 1.2, 1.5, 1.9, 2.0, 2.4, 3.3, 5.0])
def test_views_of_any_angle_meet_the_exact_ones(scale):
    """Sampled upright, a compact galaxy (r_e 3 px, PSF 2.9 px) differs by less than 1e-3 of the peak."""
    image = galaxy(re=3.0)
    matrix = stamp_matrix(32.3, 31.6, 12 * scale)
    exact = warp(image, matrix, 24)
    assert np.abs(sample(image, matrix, 24) - exact).max() < 1e-3 * exact.max()


@pytest.mark.parametrize(("scale", "fewer"), [(0.9, 0), (1.7, 0), (2.4, 1), (3.4, 1), (20.0, 1)])
def test_oversampled_images_need_a_point_less(scale, fewer):
    """A galaxy with light as smooth as that of enlarged pictures; boxes of two pixels and less keep their points."""
    image = sersic((300, 300), 150.2, 149.7, re=30.0, n=1.0, flux=1e5)
    image = ndimage.gaussian_filter(image, 3.0)[None].astype(np.float32)
    matrix = compose(stamp_matrix(150.2, 149.7, 16.0 * scale), turn(0.4))
    exact, smooth = (warp_views(image, matrix[None], 32, is_smooth=one)[0] for one in (False, True))
    assert np.abs(smooth - exact).max() < 2e-3 * exact.max()
    assert np.array_equal(smooth, exact) is not bool(fewer)
    if scale < 8:
        assert np.array_equal(smooth, sample(image, matrix, 32, subsamples(matrix, 32) - fewer))


@pytest.mark.parametrize("scale", [(0.7, 2.3), (2.0, 1.0), (3.1, 1.4)])
def test_axes_may_have_scales_of_their_own(scale):
    """An upright anisotropic view is exact per axis, and what sampling gives."""
    image = galaxy()
    matrix = np.array([[12 * scale[0], 0.0, 31.7], [0.0, 12 * scale[1], 32.4]])
    exact = warp(image, matrix, 24)
    assert np.abs(sample(image, matrix, 24) - exact).max() < 1e-3 * exact.max()


def test_very_wide_boxes_are_sampled_on_averaged_pixels():
    """At 19 cutout pixels per stamp pixel, averaged in twos, a galaxy with a cusp differs by less than 2e-3."""
    image = galaxy(501, re=60.0, n=4.0)
    matrix = stamp_matrix(250.4, 249.7, 19.0 * 8)
    exact = warp(image, matrix, 16)
    assert np.abs(sample(image, matrix, 16) - exact).max() < 2e-3 * exact.max()


def test_a_turned_galaxy_is_the_galaxy_at_the_other_angle():
    """A view turned by 0.4 shows what an upright view shows of a galaxy turned back."""
    matrix = stamp_matrix(48.0, 48.0, 30.0)
    turned = warp(galaxy(97, theta=0.7), compose(matrix, turn(0.4)), 40)
    upright = warp(galaxy(97, theta=0.3), matrix, 40)
    assert np.abs(turned - upright).max() < 5e-3 * upright.max()  # the pixels of the two cutouts lie differently


def test_a_zoom_above_one_shows_the_galaxy_larger():
    """Twice the zoom, four times the area."""
    image = sersic((65, 65), 32, 32, re=4.0)[None]
    areas = [
        np.count_nonzero(s > 0.5 * s.max())
        for s in (warp(image, compose(square(65), turn(zoom=z)), 65) for z in (1.0, 2.0))
    ]
    assert areas[1] == pytest.approx(4.0 * areas[0], rel=0.25)


# Edges


@pytest.mark.parametrize("angle", [0.0, np.pi, 1e-4])
def test_past_the_cutouts_edges_the_light_is_zero(angle):
    """The edge pixel counts by the half of its box that lies on the cutout."""
    image = np.ones((3, 20, 20), np.float32)
    half_off = warp(image, compose(stamp_matrix(0.0, 10.0, 8.0), turn(angle)), 16)
    if angle == np.pi:
        half_off = half_off[..., ::-1]
    assert (half_off[:, :, :7] == 0).all()
    assert np.allclose(half_off[:, :, 7], 0.5, atol=2e-3)
    assert np.allclose(half_off[:, :, 8:], 1.0, atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.3])
@pytest.mark.parametrize("place", [(-500.0, 10.0), (10.0, 9e3), (1e9, 1e9)])
def test_far_from_the_cutout_the_stamp_is_empty(place, angle):
    """No light, no error."""
    image = np.ones((3, 20, 20), np.float32)
    assert not warp(image, compose(stamp_matrix(*place, 8.0), turn(angle)), 16).any()


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_only_the_window_about_the_stamp_matters(angle):
    """What lies further than the prefilter's memory has no weight."""
    image = noise((1, 200, 200))
    elsewhere = image.copy()
    elsewhere[:, :50] = 99.0
    matrix = compose(stamp_matrix(120.0, 130.0, 12.0), turn(angle))
    assert np.allclose(warp(image, matrix, 24), warp(elsewhere, matrix, 24), atol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.3])
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 3), (5, 40), (12, 13)])
def test_tiny_cutouts_have_stamps(shape, angle):
    """A constant of any shape is its constant in the middle."""
    image = np.full((1, *shape), 2.0, np.float32)
    matrix = compose(stamp_matrix((shape[1] - 1) / 2, (shape[0] - 1) / 2, 0.05), turn(angle))
    assert np.allclose(warp(image, matrix, 9)[0, 4, 4], 2.0, rtol=1e-5)


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_cutout_without_pixels_has_an_empty_stamp(angle):
    """Zero, as past the edges of any other."""
    assert not warp(np.zeros((2, 0, 5), np.float32), compose(square(5), turn(angle)), 8).any()


def test_a_view_of_no_extent_is_one_value():
    """A half-width of zero shows one point."""
    stamp = warp(galaxy(), stamp_matrix(32.0, 32.0, 0.0), 8)
    assert np.allclose(stamp, galaxy()[0, 32, 32], rtol=1e-5)


# Missing pixels


@pytest.mark.parametrize("angle", [0.0, np.pi / 2, 0.3])
@pytest.mark.parametrize("scale", [0.7, 1.0, 2.3])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_missing_pixel_touches_only_the_stamp_pixels_that_cover_it(angle, scale, value):
    """Three cutout pixels past it nothing changes by 1e-3 of the peak, and nothing at all is infinite."""
    image = galaxy()
    holed = image.copy()
    holed[0, 36, 33] = value
    matrix = compose(stamp_matrix(32.3, 31.8, 12 * scale), turn(angle))
    whole, stamp = (warp(i, matrix, 24) for i in (image, holed))
    steps = (np.arange(24) + 0.5) / 12 - 1.0
    x, y = (row[0] * steps + row[1] * steps[:, None] + row[2] for row in matrix)
    away = np.maximum(np.abs(x - 33), np.abs(y - 36)) > 3.0 + scale / 2
    assert np.abs(stamp[0] - whole[0])[away].max() < 1e-3 * whole.max()
    covered = np.isnan(stamp[0])
    assert not np.isinf(stamp).any()
    assert not covered[np.maximum(np.abs(x - 33), np.abs(y - 36)) > 0.5 + scale / 2].any()
    assert np.abs(stamp - whole)[0][~covered].max() < 0.1 * whole.max()


def test_on_the_cutouts_grid_exactly_the_missing_pixels_are_missing():
    """They come out NaN; all others are the pixels themselves."""
    image = noise((2, 40, 40))
    image[0, 10, 12] = np.nan
    image[1, :, 30:] = np.nan
    stamp = warp(image, square(40), 40)
    assert np.array_equal(np.isnan(stamp), np.isnan(image))
    assert np.allclose(stamp, image, atol=5e-6, equal_nan=True)


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_stamp_half_on_missing_pixels_is_half_missing(angle):
    """NaN on that side, the galaxy on the other, zero past the cutout's edge."""
    image = galaxy()
    holed = image.copy()
    holed[:, :, 40:] = np.nan
    matrix = compose(stamp_matrix(40.0, 32.0, 50.0), turn(angle))
    whole, stamp = (warp(i, matrix, 50)[0] for i in (image, holed))
    steps = (np.arange(50) + 0.5) / 25 - 1.0
    x = matrix[0, 0] * steps + matrix[0, 1] * steps[:, None] + matrix[0, 2]
    y = matrix[1, 0] * steps + matrix[1, 1] * steps[:, None] + matrix[1, 2]
    inside = (x > 1) & (x < 63) & (y > 1) & (y < 63)
    assert np.isnan(stamp[inside & (x > 42)]).all()
    assert np.abs(stamp - whole)[x < 36].max() < 1e-3 * whole.max()
    assert (stamp[(x > 67) | (y > 67)] == 0).all()


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_a_cutout_of_missing_pixels_has_a_missing_stamp(angle):
    """NaN, not zero, and no warning."""
    image = np.full((1, 40, 40), np.nan, np.float32)
    assert np.isnan(warp(image, compose(stamp_matrix(20.0, 20.0, 8.0), turn(angle)), 16)).all()


def test_the_input_is_not_changed():
    """Not even where pixels are missing."""
    image = noise((1, 40, 40))
    image[0, 20, 20] = np.nan
    before = image.copy()
    warp(image, stamp_matrix(20.0, 20.0, 8.0), 16)
    assert np.array_equal(image, before, equal_nan=True)


# Kinds of input


@pytest.mark.parametrize("angle", [0.0, 0.3])
@pytest.mark.parametrize("dtype", [">f4", ">f8", "f8", "f2", ">i2", "u1"])
def test_pixels_of_any_type_are_taken(dtype, angle):
    """Big-endian, read-only, whole numbers: the stamp is that of the same values in single precision."""
    plain = np.round(np.abs(noise((1, 40, 40))) * 30)
    image = plain.astype(dtype)
    image.flags.writeable = False
    matrix = compose(stamp_matrix(20.3, 19.6, 9.0), turn(angle))
    stamp = warp(image, matrix, 16)
    assert stamp.dtype == np.float32
    assert np.allclose(stamp, warp(plain.astype(np.float32), matrix, 16), atol=1e-4)


@pytest.mark.parametrize("angle", [0.0, 0.3])
def test_strided_pixels_are_taken(angle):
    """A view with gaps and reversed rows is as good as its copy."""
    image = noise((1, 80, 120))[:, ::-2, ::3]
    matrix = compose(stamp_matrix(20.3, 19.6, 9.0), turn(angle))
    # Compiled loops may sum in another order where pixels do not lie side by side.
    np.testing.assert_allclose(warp(image, matrix, 16), warp(image.copy(), matrix, 16), rtol=0, atol=1e-6)


def test_a_single_plane_without_its_axis_is_refused():
    """The message says what is expected."""
    with pytest.raises(ImageError, match=r"\(C, H, W\); add an axis"):
        warp(noise((20, 20)), square(20), 20)


@pytest.mark.parametrize("matrix", [stamp_matrix(np.nan, 3.0, 4.0), np.eye(3), stamp_matrix(3.0, 3.0, np.inf)])
def test_a_matrix_of_no_numbers_is_refused(matrix):
    """A position that could not be measured stops here, in one line."""
    with pytest.raises(ImageError, match="2 × 3 finite numbers") as caught:
        warp(noise((1, 20, 20)), matrix, 20)
    assert "\n" not in str(caught.value)


# Many at once


@pytest.mark.parametrize("missing", [False, True])
def test_views_made_together_are_those_made_one_by_one(missing):
    """In all eight orientations, at two sizes and places, and oblique ones with two numbers of points and far away."""
    planes = noise((2, 57, 40))
    planes[:, 20, 20] = np.nan if missing else 0.0
    views = [turn(q * np.pi / 2, flip=f, zoom=z) for q, f in EIGHT for z in (1.0, 1.2)]
    views += [turn(0.3, zoom=z, shift=s) for z in (0.5, 0.9, 1.0) for s in ((0.0, 0.0), (0.2, -0.3), (9.0, 9.0))]
    matrices = compose(stamp_matrix(21.3, 26.2, 14.0)[None], np.stack(views))
    together = warp_views(planes, matrices, 20)
    assert together.shape == (25, 2, 20, 20)
    for stamp, matrix in zip(together, matrices, strict=True):
        np.testing.assert_allclose(stamp, warp(planes, matrix, 20), atol=3e-6)


def test_no_views_are_no_stamps():
    """Nothing to look at is nothing to see."""
    assert warp_views(noise((2, 20, 20)), np.zeros((0, 2, 3)), 16).shape == (0, 2, 16, 16)


# Sampling


@pytest.mark.parametrize(("half", "points"), [(8.0, 1), (16.0, 1), (16.5, 2), (32.0, 2), (33.0, 3)])
def test_there_are_as_many_sample_points_as_cutout_pixels_in_a_stamp_pixel(half, points):
    """Rounded up, along the longer axis."""
    assert subsamples(stamp_matrix(0.0, 0.0, half), 32) == points


def test_sample_points_are_symmetric_and_a_cutout_pixel_apart():
    """Two pixels per stamp pixel: one point in the middle of each."""
    points, weights = sample_points(stamp_matrix(0.0, 0.0, 4.0), 4, 2)
    assert points.shape == (2, 8)
    assert np.allclose(points, -points[:, ::-1])
    assert np.allclose(np.diff(points) * 4.0, 1.0)
    assert np.allclose(weights, 0.5)


def test_binning_averages_blocks_and_pads_with_zero():
    """What is missing from the last block counts as zero."""
    image = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert binned(image, 1) is image
    assert binned(image, 2) == pytest.approx(np.array([[[2.0, (2 + 5) / 4]]]))
