"""One affine matrix takes pixels to a stamp."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import noise, sersic

from galmorph.stamps.warp import binned, compose, sample_points, stamp_matrix, subsamples, turn, warp


def square(size: int) -> np.ndarray:
    """Map a stamp of `size` pixels to exactly as many pixels of a cutout of that size."""
    return stamp_matrix((size - 1) / 2, (size - 1) / 2, size / 2)


def test_the_corners_of_the_stamp_are_the_edges_of_the_square():
    matrix = stamp_matrix(10.0, 20.0, 4.0)
    assert matrix @ np.array([-1.0, 1.0, 1.0]) == pytest.approx([6.0, 24.0])


def test_a_warp_onto_the_same_grid_returns_the_pixels():
    image = noise((1, 33, 33))
    assert np.allclose(warp(image, square(33), 33), image, atol=2e-5)


def test_a_whole_pixel_shift_shifts_the_stamp():
    image = noise((1, 65, 65))
    shifted = warp(image, stamp_matrix(32 + 3, 32 - 2, 8.5), 17)
    assert np.allclose(shifted[0], image[0, 32 - 2 - 8 : 32 - 2 + 9, 32 + 3 - 8 : 32 + 3 + 9], atol=2e-5)


# The outermost row of a cutout may fall a rounding error outside it, so the stamps below leave a margin.
@pytest.mark.parametrize("quarters", [1, 2, 3])
def test_a_quarter_turn_is_numpys(quarters):
    image = noise((2, 34, 34))
    turned = warp(image, compose(stamp_matrix(16.5, 16.5, 12.0), turn(quarters * np.pi / 2)), 24)
    assert np.allclose(turned, np.rot90(image[:, 5:29, 5:29], quarters, (-2, -1)), atol=2e-5)


def test_a_flip_mirrors_left_and_right():
    image = noise((1, 34, 34))
    flipped = warp(image, compose(stamp_matrix(16.5, 16.5, 12.0), turn(flip=True)), 24)
    assert np.allclose(flipped, image[:, 5:29, 5:29][..., ::-1], atol=2e-5)


def test_a_zoom_above_one_shows_the_galaxy_larger():
    image = sersic((65, 65), 32, 32, re=4.0)[None]
    widths = [
        np.count_nonzero(s > 0.5 * s.max())
        for s in (warp(image, compose(square(65), turn(zoom=z)), 65) for z in (1.0, 2.0))
    ]
    assert widths[1] == pytest.approx(4.0 * widths[0], rel=0.25)


def test_a_shift_is_in_half_widths():
    assert compose(stamp_matrix(0.0, 0.0, 10.0), turn(shift=(0.5, -0.2)))[:, 2] == pytest.approx([5.0, -2.0])


def test_composing_matrices_is_applying_them_in_turn():
    outer, inner = stamp_matrix(3.0, 4.0, 7.0), turn(0.7, flip=True, zoom=1.3, shift=(0.1, -0.4))
    point = np.array([0.3, -0.6, 1.0])
    assert compose(outer, inner) @ point == pytest.approx(outer @ np.append(inner @ point, 1.0))


@pytest.mark.parametrize(("half", "points"), [(8.0, 1), (16.0, 1), (16.5, 2), (32.0, 2), (33.0, 3)])
def test_there_are_as_many_sample_points_as_cutout_pixels_in_a_stamp_pixel(half, points):
    assert subsamples(stamp_matrix(0.0, 0.0, half), 32) == points


def test_sample_points_are_centred_and_even():
    points = sample_points(4, 2)
    assert len(points) == 8
    assert np.allclose(points, -points[::-1])
    assert np.allclose(np.diff(points), 0.25)


@pytest.mark.parametrize("factor", [2.0, 3.0, 2.37, 5.9])
def test_shrinking_conserves_the_mean_flux(factor):
    image = sersic((301, 301), 150, 150, re=12.0, flux=1e4)[None]
    half = 24 * factor
    stamp = warp(image, stamp_matrix(150, 150, half), 48)
    within = np.abs(np.arange(301) - 150) <= half
    assert stamp.sum() * factor**2 == pytest.approx(image[0][np.ix_(within, within)].sum(), rel=0.01)


def test_a_smooth_image_is_interpolated_to_a_thousandth_of_its_peak():
    image = sersic((65, 65), 32.0, 32.0, re=8.0, n=0.5)[None]
    moved = warp(image, stamp_matrix(32.37, 31.81, 16.5), 33)[0]
    true = sersic((65, 65), 32.0 - 0.37, 32.0 + 0.19, re=8.0, n=0.5)[16:49, 16:49]
    assert np.abs(moved - true).max() < 1e-3 * true.max()


def test_outside_the_cutout_the_stamp_is_zero():
    image = np.ones((3, 20, 20), np.float32)
    half_off = warp(image, stamp_matrix(0.0, 10.0, 8.0), 16)
    assert (half_off[:, :, :7] == 0).all()
    assert np.allclose(half_off[:, :, 9:], 1.0, atol=1e-5)
    assert not warp(image, stamp_matrix(-500.0, 10.0, 8.0), 16).any()
    assert not warp(image, stamp_matrix(10.0, 9e3, 8.0), 16).any()


def test_only_the_window_about_the_stamp_matters():
    image = noise((1, 200, 200))
    elsewhere = image.copy()
    elsewhere[:, :50] = 99.0
    matrix = stamp_matrix(120.0, 130.0, 12.0)
    assert np.allclose(warp(image, matrix, 24), warp(elsewhere, matrix, 24), atol=1e-5)


def test_binning_averages_blocks_and_pads_with_zero():
    image = np.arange(6, dtype=np.float32).reshape(1, 2, 3)
    assert binned(image, 1) is image
    assert binned(image, 2) == pytest.approx(np.array([[[2.0, (2 + 5) / 4]]]))
