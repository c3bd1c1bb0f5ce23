"""The mocks of the benchmark: their truth against integrals of the Sérsic law, and that they are what they say.

The authority is the table of r_P / r_e of circular Sérsic profiles at eta = 0.2, in the SDSS definition and in the
local one, and for the convolved image a sum over pixels so small that circles need no care.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

galsim = pytest.importorskip("galsim")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import mocks  # noqa: E402
from limits import centroid_information, centroid_limit, ideal_centroid_ratio, radius_limit  # noqa: E402

SDSS = {0.5: 1.942, 1.0: 2.113, 2.0: 2.117, 4.0: 1.714, 6.0: 1.253}
LOCAL = {0.5: 1.959, 1.0: 2.158, 2.0: 2.196, 4.0: 1.820, 6.0: 1.359}
SIDE, MIDDLE = 301, 150.0


@pytest.fixture(scope="module")
def singles() -> list[mocks.Mock]:
    return mocks.single_sersic(9, seed=5)


@pytest.fixture(scope="module")
def tiles() -> tuple[mocks.Tile, ...]:
    return mocks.crowded(4, side=256, galaxies=8)


@pytest.mark.parametrize("n", SDSS)
def test_the_truth_without_a_point_spread_function_is_the_table(n):
    """A nearly point-like spread leaves the analytic radii of both definitions."""
    re = 35.0
    sharp = galsim.Convolve([mocks.sersic(n, re, 1.0, 0.0), galsim.Gaussian(fwhm=1.2)])
    truth = mocks.truth_of(mocks.drawn(sharp, (SIDE, SIDE), MIDDLE, MIDDLE, 2), MIDDLE, MIDDLE)
    # The table has three decimals (0.04 % at worst); the spread adds 0.02 %, 0.1 % where it smears a cusp.
    assert truth.rpet_px == pytest.approx(SDSS[n] * re, rel=0.0015)
    assert truth.rpet_local_px == pytest.approx(LOCAL[n] * re, rel=0.0015)
    assert truth.crossings == 1


def test_the_truth_of_a_gaussian_point_is_analytic():
    """A star has r_P = 0.971 FWHM, and its growth curve is 1 - exp(-r² / 2 s²)."""
    star = galsim.Gaussian(fwhm=8.0)
    truth = mocks.truth_of(mocks.drawn(star, (101, 101), 49.3, 50.4, 2), 49.3, 50.4)
    sigma = 8.0 / 2.3548
    assert truth.rpet_px == pytest.approx(0.971 * 8.0, rel=0.001)
    radii = np.array([1.0, 4.0, 9.0])
    grown = [truth.flux_inside(r) for r in radii]
    # The growth curve is a sum of trapezia 0.05 px wide.
    np.testing.assert_allclose(grown, 1.0 - np.exp(-(radii**2) / (2 * sigma**2)), rtol=0.001)


def test_the_truth_of_an_elongated_convolved_galaxy_is_a_sum_over_small_pixels():
    """The profile along circles agrees with counting pixels a ninth of a pixel wide."""
    light = mocks.smeared(mocks.sersic(3.0, 4.0, 0.35, 30.0), mocks.point_spread())
    truth = mocks.truth_of(mocks.drawn(light, (81, 81), 39.7, 40.2, 2), 39.7, 40.2)
    fine = mocks.drawn(light, (81, 81), 39.7, 40.2, 9) / 81
    away = np.hypot(np.arange(721) / 9 - 39.7, (np.arange(721) / 9 - 40.2)[:, None])

    def inside(radius: float) -> float:
        return float(fine[away <= radius].sum())

    rpet = truth.rpet_px
    ring = (inside(1.25 * rpet) - inside(0.8 * rpet)) / (1.25**2 - 0.8**2)
    # eta falls as r^-2 here: 0.2 % of the radius are 0.4 % of the ratio.
    assert ring / inside(rpet) == pytest.approx(0.2, rel=0.004)
    assert truth.flux_inside(rpet) == pytest.approx(inside(rpet), rel=0.002)
    half = truth.light_radius(0.5)
    assert inside(half) == pytest.approx(0.5 * inside(rpet), rel=0.004)


def test_a_galaxy_is_drawn_where_the_truth_says(singles):
    """The noiseless image of a single galaxy is centred at the true position, within 3 px of the requested one."""
    for mock in singles:
        rows, columns = np.indices(mock.noiseless.shape)
        near = np.hypot(columns - mock.true_x, rows - mock.true_y) < 1.5 * mock.true_rpet_px
        light = np.where(near, mock.noiseless, 0.0)
        # Pixels at the rim of the circle come in and go out as a whole: 0.02 px.
        assert (light * columns).sum() / light.sum() == pytest.approx(mock.true_x, abs=0.03)
        assert (light * rows).sum() / light.sum() == pytest.approx(mock.true_y, abs=0.03)
        assert np.hypot(mock.true_x - mock.x, mock.true_y - mock.y) <= 3.0


def test_the_signal_to_noise_ratio_is_that_inside_the_petrosian_radius(singles):
    """Flux inside r_P over the noise of its area is the S/N that was drawn, and the canvas holds the galaxy."""
    for mock in singles:
        rows, columns = np.indices(mock.noiseless.shape)
        inside = np.hypot(columns - mock.true_x, rows - mock.true_y) <= mock.true_rpet_px
        noise = mock.sky_sigma * np.sqrt(np.pi) * mock.true_rpet_px
        # A circle of whole pixels misses some: 5 % of the area for the smallest.
        assert mock.noiseless[inside].sum() / noise == pytest.approx(mock.snr, rel=0.05)
        assert 10.0 <= mock.snr <= 200.0
        assert min(mock.pixels.shape) >= max(128, 7.5 * mock.true_rpet_px)


def test_light_radii_grow_and_a_concentration_follows(singles):
    """r20 < r50 < r80 < r_P, and concentration is five times their logarithm."""
    for mock in singles:
        assert 0.0 < mock.true_r20_px < mock.true_r50_px < mock.true_r80_px < mock.true_rpet_px
        expected = 5.0 * np.log10(mock.true_r80_px / mock.true_r20_px)
        assert mock.true_concentration == pytest.approx(expected)


def test_the_noise_is_white_and_of_unit_width(singles):
    """What is left without galaxy and sky is noise of standard deviation one without correlation."""
    mock = next(m for m in singles if not m.has_neighbours)
    rest = mock.pixels - mock.noiseless - mock.sky_level
    many = rest.size**-0.5
    assert rest.mean() == pytest.approx(0.0, abs=5 * many)
    assert rest.std() == pytest.approx(1.0, abs=5 * many)
    assert (rest[:, 1:] * rest[:, :-1]).mean() == pytest.approx(0.0, abs=5 * many)


def test_a_third_has_neighbours(singles):
    """Every third mock has other light in it, the rest has none."""
    assert [m.has_neighbours for m in singles] == [False, False, True] * 3
    for mock in singles:
        others = mock.pixels - mock.noiseless - mock.sky_level
        assert len(mock.parameters.get("neighbours", [])) in ((1, 2, 3) if mock.has_neighbours else (0,))
        assert others.std() < 1.05 or mock.has_neighbours


@pytest.mark.parametrize("draw", [mocks.single_sersic, mocks.clumpy])
def test_the_first_mocks_are_the_same_in_any_number(draw):
    """A mock depends on the seed and its number alone."""
    few, more, others = draw(1, seed=3), draw(2, seed=3), draw(1, seed=4)
    np.testing.assert_array_equal(few[0].pixels, more[0].pixels)
    assert few[0].true_rpet_px == more[0].true_rpet_px
    assert others[0].true_rpet_px != few[0].true_rpet_px


def test_clumps_break_the_symmetry():
    """Mock B is not symmetric about its centre, mock A is."""
    single, lumpy = mocks.single_sersic(1, seed=2)[0], mocks.clumpy(1, seed=2)[0]
    smooth, rough = (_rotated_rest(m) for m in (single, lumpy))
    assert smooth < 0.01
    assert rough > 0.05


def _rotated_rest(mock: mocks.Mock) -> float:
    """Draw the image about its true centre again by a Fourier shift; return |I - I180| / |I|."""
    image = mock.noiseless
    shifts = [2 * (0.5 * (s - 1) - c) for s, c in zip(image.shape, (mock.true_y, mock.true_x), strict=True)]
    phase = [np.exp(-1j * np.pi * f * s) for f, s in zip(map(np.fft.fftfreq, image.shape), shifts, strict=True)]
    middle = np.fft.ifft2(np.fft.fft2(image) * phase[0][:, None] * phase[1]).real
    return float(np.abs(middle - middle[::-1, ::-1]).sum() / np.abs(middle).sum())


def test_tiles_differ_by_the_sky_alone(tiles):
    """The three tiles hold the same galaxies, columns and noise; between them lies a constant."""
    low, middle, high = tiles
    free = np.isfinite(middle.pixels) & (middle.pixels < 0.9 * middle.saturation)
    np.testing.assert_allclose((high.pixels - middle.pixels)[free], 0.05, atol=1e-4)
    np.testing.assert_allclose((low.pixels - middle.pixels)[free], -0.05, atol=1e-4)
    np.testing.assert_array_equal(low.weight, high.weight)
    assert [m.true_rpet_px for m in low.mocks] == [m.true_rpet_px for m in high.mocks]


def test_a_tile_has_masked_columns_without_weight_and_a_plateau(tiles):
    """Whole columns are NaN with zero weight; no pixel exceeds the level of saturation."""
    tile = tiles[1]
    masked = ~np.isfinite(tile.pixels)
    assert masked.any(axis=0).sum() >= 3
    np.testing.assert_array_equal(masked.any(axis=0), masked.all(axis=0))
    np.testing.assert_array_equal(masked, tile.weight == 0)
    assert np.nanmax(tile.pixels) <= tile.saturation
    assert (tile.pixels == np.float32(tile.saturation)).sum() >= 4


def test_windows_of_a_tile_hold_its_pixels(tiles):
    """Each mock's pixels are a window of the tile that contains its centre."""
    for mock in tiles[1].mocks:
        height, width = mock.pixels.shape
        top, left = mock.parameters["top"], mock.parameters["left"]
        np.testing.assert_array_equal(mock.pixels, tiles[1].pixels[top : top + height, left : left + width])
        assert -0.5 <= mock.true_x <= width - 0.5
        assert -0.5 <= mock.true_y <= height - 0.5


def test_the_limit_of_a_centroid_is_analytic_for_a_gaussian(singles):
    """Of a round Gaussian of flux F and width s, each axis has a variance of 8 pi s⁴ / F² in unit noise."""
    flux, sigma = 500.0, 3.0
    image = mocks.drawn(galsim.Gaussian(sigma=sigma, flux=flux), (81, 81), 40.2, 39.6)
    mock = replace(singles[0], noiseless=image)
    # The derivative is of the eighth order: exact to 1e-4 at this width.
    expected = flux**2 / (8.0 * np.pi * sigma**4)
    np.testing.assert_allclose(
        centroid_information(mock), [[expected, 0], [0, expected]], rtol=1e-3, atol=1e-3 * expected
    )
    assert centroid_limit(mock) == pytest.approx(np.sqrt(2.0 / expected), rel=1e-3)
    # A Rayleigh variable has its median at sqrt(2 ln 2) of one axis; 8000 draws.
    assert ideal_centroid_ratio([mock] * 20) == pytest.approx(np.sqrt(np.log(2.0)), rel=0.03)


@pytest.mark.slow
def test_the_limit_of_a_radius_falls_with_signal_to_noise(singles):
    """Ten times the signal makes the limit three to ten times lower: at low S/N, what is known beforehand helps."""
    faint, bright = (radius_limit(replace(singles[0], snr=s)) for s in (15.0, 150.0))
    assert 3.0 < faint / bright <= 10.0
