"""The density between pixels: its integrals, its interpolant, and what replaces missing pixels."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import noise, sersic
from scipy import ndimage
from scipy.interpolate import BSpline

from galmorph.stamps.spline import coefficients, comb, filled, interval_weights, point_means, running_sum


def dense(first: float, step: float, count: int, length: int) -> np.ndarray:
    """Weights of all pixels of one axis, (S, length)."""
    pixels, weights = interval_weights(running_sum(), first, step, count, length)
    out = np.zeros((count, length))
    for row, pixel, some in zip(out, pixels.tolist(), weights, strict=True):
        row[pixel : pixel + len(some)] = some
    return out


def integrals(values: np.ndarray, low: float, high: float) -> float:
    """Integrate the density of a row of pixels with scipy's splines: prefilter, quadratic B-splines, antiderivative."""
    n = len(values)
    coefficients = ndimage.spline_filter1d(values, order=3, mode="mirror")
    around = np.pad(coefficients, 4, mode="reflect")
    knots = np.arange(-4 - 1.5, n + 4 + 1.5)
    primitive = BSpline(knots, around, 2).antiderivative()
    low, high = np.clip([low, high], -0.5, n - 0.5)
    return float(primitive(high) - primitive(low))


@pytest.mark.parametrize("step", [0.3, 1.0, 1.37, 2.0, 3.6, 17.2, 150.0])
@pytest.mark.parametrize("length", [2, 7, 13, 24, 25, 61])
def test_weights_are_the_integrals_of_the_density(step, length):
    """scipy's B-splines integrate the same density to single precision, inside and at the edges."""
    values, width = np.random.default_rng(2).standard_normal(length), max(step, 1.0)
    count = int((length + 2 * width) / step) + 2
    middles = -width + step * np.arange(count)
    expected = [integrals(values, m - width / 2, m + width / 2) / width for m in middles]
    assert dense(-width, step, count, length) @ values == pytest.approx(expected, abs=3e-6)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 12])
def test_tiny_images_are_mirrored_again_and_again(length):
    """Even a single pixel is its own mean, and a half is half of it."""
    values = np.arange(1.0, length + 1)
    assert dense(0.0, 1.0, length, length) @ values == pytest.approx(values, abs=1e-5)
    assert dense(-0.5, 1.0, 1, length).sum() == pytest.approx(0.5, abs=1e-6)


def test_the_density_has_the_pixels_as_its_means():
    """The mean over each pixel is the pixel, over two the mean of both."""
    assert np.allclose(dense(0.0, 1.0, 30, 30), np.eye(30), atol=1e-6)
    pairs = dense(0.5, 2.0, 15, 30)
    assert np.allclose(pairs, 0.5 * (np.eye(30)[::2] + np.eye(30)[1::2]), atol=1e-6)


def test_a_mean_over_one_pixel_is_the_cubic_interpolant():
    """Its places between the pixels are those of scipy's spline of order 3."""
    values = np.random.default_rng(3).standard_normal(40)
    x = 0.5 + 0.7 * np.arange(54)
    expected = ndimage.map_coordinates(values, [x], order=3, mode="mirror")
    assert dense(0.5, 0.7, 54, 40) @ values == pytest.approx(expected, abs=2e-6)


@pytest.mark.parametrize("shape", [(2, 40, 31), (1, 1, 9), (1, 2, 1), (3, 13, 5), (6, 21, 34)])
def test_coefficients_are_those_of_scipy(shape):
    """With the two beyond each edge that mirror those within."""
    planes = np.random.default_rng(5).standard_normal(shape).astype(np.float32)
    expected = np.stack([ndimage.spline_filter(plane, order=3, mode="mirror") for plane in planes])
    rows, columns = (2 if n > 2 else 0 for n in shape[1:])
    padded = np.concatenate(np.moveaxis(coefficients(planes), 3, 1))[: len(planes)]
    np.testing.assert_allclose(padded[:, 2:-2, 2:-2], expected, atol=5e-6)
    mirrored = np.pad(expected, [(0, 0), (rows, rows), (columns, columns)], mode="reflect")
    here = padded[:, 2 - rows : rows - 2 or None, 2 - columns : columns - 2 or None]
    np.testing.assert_allclose(here, mirrored, atol=5e-6)


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_a_comb_over_whole_pixels_has_their_centres(n):
    """The mean over n pixels is that of n points, one pixel apart, each of a pixel's mean."""
    points, weights = comb(float(n), n)
    assert np.sort(points) == pytest.approx(np.arange(n) - (n - 1) / 2, abs=1e-9)
    assert weights == pytest.approx(np.full(n, 1 / n))


@pytest.mark.parametrize("width", [1.0, 1.2, 1.9, 2.5, 3.01, 5.7])
def test_a_comb_has_the_moments_that_one_pixel_lacks(width):
    """Cumulants 2 and 4 of an interval are w² / 12 and -w⁴ / 120; those of a pixel and the comb add up to them."""
    points, weights = comb(width, int(np.ceil(width)))
    second, fourth = (float((weights * points**p).sum()) for p in (2, 4))
    assert weights.sum() == pytest.approx(1.0)
    assert second == pytest.approx((width**2 - 1.0) / 12.0, abs=1e-12)
    if width > 2.0:
        assert fourth - 3.0 * second**2 == pytest.approx(-(width**4 - 1.0) / 120.0, rel=1e-9)


def test_a_comb_is_continuous_where_a_point_is_added():
    """Just above two pixels the third point hardly counts."""
    points, weights = comb(2.0 + 1e-9, 3)
    order = np.argsort(np.abs(points))
    assert weights[order[0]] < 1e-6
    assert np.abs(points[order[1:]]) == pytest.approx([0.5, 0.5], abs=1e-6)


def test_more_points_than_pixels_are_harmless():
    """The spare ones have no weight."""
    points, weights = comb(1.0, 3)
    assert (weights * points**2).sum() == pytest.approx(0.0, abs=1e-15)
    assert weights.sum() == pytest.approx(1.0)


def test_the_interpolant_ends_with_the_last_pixel():
    """Half a pixel past the edge half of the mean is left, a pixel past it nothing."""
    x = np.array([-1.5, -1.0, -0.5, 0.0, 4.0, 9.0, 9.5, 10.0, 12.0])
    points, matrix = np.stack([x, np.full(9, 3.0)]), np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    stamps = np.empty((1, 1, 9, 9), np.float32)
    padded, weights = coefficients(np.ones((1, 8, 10), np.float32)), np.ones((1, 2, 1), np.float32)
    point_means(padded, matrix[None], points[None], weights, stamps)
    assert stamps[0, 0, 0] == pytest.approx([0, 0, 0.5, 1, 1, 1, 0.5, 0, 0], abs=1e-6)


@pytest.mark.parametrize(("row", "column"), [(30, 30), (31, 28), (2, 5), (0, 59)])
def test_a_missing_pixel_is_replaced_to_second_order(row, column):
    """On a smooth galaxy the replacement is within 2 % of the peak, in its core within 15 %."""
    image = ndimage.gaussian_filter(sersic((60, 60), 30, 30, re=5), 1.2)
    holed = image.copy()
    holed[row, column] = np.nan
    there = filled(holed, np.isnan(holed))
    limit = 0.15 if abs(row - 30) < 2 else 0.02
    assert abs(there[row, column] - image[row, column]) < limit * image.max()
    assert np.array_equal(np.delete(there, row, 0), np.delete(image, row, 0))


def test_a_plane_continues_across_a_missing_column():
    """A slope bends nowhere and comes back, to a hundredth of its step."""
    slope = (2.0 * np.arange(20)[:, None] + 3.0 * np.arange(30)).astype(np.float32)
    holed = slope.copy()
    holed[:, 12:14] = np.inf
    assert np.allclose(filled(holed, np.isinf(holed))[4:-4], slope[4:-4], atol=0.05)


def test_large_holes_and_empty_images_are_filled_with_finite_values():
    """The middle of a hole is as bright as its edge; an image without pixels is zero."""
    image = noise((50, 50)) + np.float32(7.0)
    image[10:45, 5:40] = np.nan
    there = filled(image, np.isnan(image))
    assert np.isfinite(there).all()
    assert 0.0 < there[27, 22] < 14.0
    assert not filled(np.full((4, 5), np.nan, np.float32), np.ones((4, 5), np.bool_)).any()
