"""Observations do what their names say, and repeat."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from galaxies import sersic
from scipy import ndimage

from galmorph.nets.training.observation import blur, degrade, observe, through_pixels
from galmorph.nets.training.settings import Observation


def seeded(seed: int = 1) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_blur_is_a_gaussian_convolution():
    image = np.zeros((41, 41), np.float32)
    image[20, 18] = 1.0
    stamps = torch.from_numpy(image).expand(2, 1, 41, 41).clone()
    out = blur(stamps, torch.tensor([1.5, 3.0])).numpy()
    for i, sigma in enumerate((1.5, 3.0)):
        reference = ndimage.gaussian_filter(image, sigma, truncate=5.0)
        assert np.abs(out[i, 0] - reference).max() < 0.02 * reference.max()
        assert out[i].sum() == pytest.approx(1.0, rel=1e-4)


def test_no_width_no_blur_and_planes_keep_apart():
    stamps = torch.from_numpy(tiny.stamps(2, planes=3))
    assert torch.allclose(blur(stamps, torch.zeros(2)), stamps, atol=1e-6)
    lone = torch.zeros(1, 3, 16, 16)
    lone[:, 1] = 1.0
    assert torch.allclose(blur(lone, torch.tensor([2.0])), lone, atol=1e-5)


def snr_of(before: np.ndarray, after: np.ndarray, rpet_px: float) -> np.ndarray:
    """S/N inside r_P from what was added; the noise is per pixel of the target survey."""
    sigma = (after - before).std(axis=(1, 2, 3))
    independent = np.pi * rpet_px**2
    return independent / (np.sqrt(independent) * sigma)  # the mean brightness is 1


@pytest.mark.parametrize("snr", [10.0, 50.0])
def test_an_observation_adds_noise_to_the_asked_signal_to_noise_ratio(snr):
    how = Observation(0.1, 0.1, 0.06, (0.6, 0.6), (snr, snr))  # no blur
    before = np.ones((40, 1, 32, 32), np.float32)
    after = observe(torch.from_numpy(before), how, 2.0, seeded()).numpy()
    assert snr_of(before, after, 10.0) == pytest.approx(snr, rel=0.02)


def test_signal_to_noise_ratios_and_sizes_are_drawn_over_their_ranges():
    how = Observation(0.1, 0.1, 0.06, (0.6, 0.6), (10.0, 1000.0))
    before = np.ones((400, 1, 16, 16), np.float32)
    after = observe(torch.from_numpy(before), how, 2.0, seeded()).numpy()
    drawn = np.log10(snr_of(before, after, 10.0))
    assert 0.98 < drawn.min() < 1.1
    assert 2.9 < drawn.max() < 3.02
    assert np.histogram(drawn, 4)[0].min() > 60  # even in the logarithm


@pytest.mark.parametrize("rpet_arcsec", [0.3, 0.6])
def test_an_observation_blurs_small_galaxies_more(rpet_arcsec):
    how = Observation(0.18, 0.06, 0.06, (rpet_arcsec, rpet_arcsec), (1e7, 1e7))  # no noise
    star = sersic((33, 33), 16, 16, re=1.5, n=0.5)
    out = observe(torch.from_numpy(star)[None, None], how, 2.0, seeded()).numpy()[0, 0]
    # r_P is 33 / 4 stamp pixels; the extra width in arcsec follows from the two FWHMs.
    sigma = np.sqrt(0.18**2 - 0.06**2) / 2.3548 * (33 / 4) / rpet_arcsec

    def second_moment(image: np.ndarray) -> float:
        axis = np.arange(33) - 16
        return float((image.sum(0) * axis**2).sum() / image.sum())

    assert second_moment(out) - second_moment(star) == pytest.approx(sigma**2, rel=0.1)


def test_a_sharper_target_is_not_deconvolved():
    how = Observation(0.05, 0.18, 0.06, (0.5, 0.5), (1e7, 1e7))
    stamps = torch.from_numpy(tiny.stamps(2))
    assert torch.allclose(observe(stamps, how, 2.0, seeded()), stamps, atol=1e-3)


def test_noise_of_a_coarse_survey_is_correlated_on_fine_stamps():
    fine, coarse = (Observation(0.1, 0.1, s, (0.5, 0.5), (10.0, 10.0)) for s in (0.001, 0.2))

    def neighbours_agree(how: Observation) -> float:
        added = observe(torch.zeros(4, 1, 64, 64), how, 2.0, seeded()).numpy()
        return float(np.corrcoef(added[..., 1:].ravel(), added[..., :-1].ravel())[0, 1])

    assert abs(neighbours_agree(fine)) < 0.05
    assert neighbours_agree(coarse) > 0.8


def test_a_synthetic_star_has_the_targets_psf_already_and_sizes_of_its_own():
    how = Observation(0.18, 0.06, 0.06, (0.5, 0.5), (100.0, 100.0), (0.25, 0.25))
    stamps = torch.from_numpy(sersic((33, 33), 16, 16, re=1.5, n=0.5, flux=100.0))[None, None].repeat(2, 1, 1, 1)
    out = observe(stamps, how, 2.0, seeded(), is_star=torch.tensor([False, True]))
    galaxy, star = out[:, 0]
    assert star.max() > 0.95 * stamps.max()
    assert galaxy.max() < 0.7 * stamps.max()
    # Half the radius, a quarter of the pixels inside it: at the same S/N half the noise per pixel.
    noise_of_star, noise_of_galaxy = (image[:6].std() for image in (star, galaxy))
    assert float(noise_of_star / noise_of_galaxy) == pytest.approx(0.5, rel=0.35)


def test_degrading_divides_by_the_brightness_and_repeats():
    how = Observation(0.17, 0.07, 0.06, (0.3, 1.0), (15.0, 100.0))
    pixels = np.abs(tiny.stamps(3))
    one, again, other = (degrade(pixels, np.array([1.0, 2.0, 3.0]), how, 2.0, seed=s) for s in (3, 3, 4))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    scaled = degrade(pixels * np.float32(10), np.array([10.0, 20.0, 30.0]), how, 2.0, seed=3)
    assert np.allclose(scaled, one, atol=1e-5)


def through(stamps: np.ndarray, width: float, sigma: float = 0.0, seed: int = 1) -> np.ndarray:
    n = len(stamps)
    widths, noises = torch.full((n,), width), torch.full((n,), sigma)
    return through_pixels(torch.from_numpy(stamps.astype(np.float32)), widths, noises, seeded(seed)).numpy()


def test_a_smooth_galaxy_survives_coarser_pixels_and_a_sharp_one_does_not():
    """What the coarse grid samples well comes back; what is finer than its pixels is lost, and a flat sky stays."""
    smooth, sharp = (
        np.stack([ndimage.gaussian_filter(sersic((64, 64), 31.5, 31.5, re=8, n=0.5, flux=1e3), s)[None]] * 6)
        for s in (4.0, 0.01)
    )
    assert np.abs(through(smooth, 2.5) - smooth).max() < 0.02 * smooth.max()
    spike = np.zeros((6, 1, 64, 64))
    spike[..., 32, 32] = 1.0
    assert np.abs(through(spike, 4.0) - spike).max() > 0.5
    assert np.allclose(through(np.full_like(sharp, 3.0), 3.3), 3.0, atol=1e-4)


def test_pixels_of_the_stamps_own_size_only_shift_the_grid():
    """At a width of 1 there is nothing to lose but what cubic interpolation loses."""
    smooth = ndimage.gaussian_filter(sersic((32, 32), 15.5, 15.5, re=5, flux=1e3), 2.0)[None, None]
    assert np.abs(through(smooth, 1.0) - smooth).max() < 0.01 * smooth.max()


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0, 3.7])
def test_noise_of_the_target_is_independent_in_its_pixels(width):
    """The noise of a mean over an area falls as the root of the number of the target's pixels in it."""
    noise = through(np.zeros((400, 1, 48, 48)), width, 1.0)[:, 0, 12:36, 12:36]
    assert noise.mean(axis=(1, 2)).std() == pytest.approx(width / 24, rel=0.12)


@pytest.mark.parametrize("snr", [10.0, 50.0])
def test_pixels_keep_the_asked_signal_to_noise_ratio(snr):
    """Of the light inside the Petrosian radius, 12 stamp pixels or 6 of the target's."""
    how = Observation(0.1, 0.1, 0.1, (0.6, 0.6), (snr, snr), pixels=True)
    after = observe(torch.ones(400, 1, 48, 48), how, 2.0, seeded()).numpy()[:, 0]
    axis = np.arange(48) - 23.5
    inside = axis[None] ** 2 + axis[:, None] ** 2 <= 12.0**2
    light = after[:, inside].sum(axis=1)
    assert light.mean() / light.std() == pytest.approx(snr, rel=0.12)


def test_a_softening_compresses_the_core_and_keeps_the_mean_brightness():
    """As displays of surveys do; a large one leaves the light linear."""
    galaxy = sersic((33, 33), 16, 16, re=4.0, n=1.0)
    galaxy *= 1.0 / galaxy[np.hypot(*(np.indices((33, 33)) - 16)) <= 33 / 4].mean()
    stamps = torch.from_numpy(galaxy.astype(np.float32))[None, None]
    plain = {"psf_fwhm_arcsec": 0.1, "native_fwhm_arcsec": 0.1, "scale_arcsec": 0.06}
    linear, strong, weak = (
        observe(stamps, Observation(**plain, rpet_arcsec=(0.6, 0.6), snr=(1e7, 1e7), softening=s), 2.0, seeded())
        for s in (None, (0.2, 0.2), (1e4, 1e4))
    )
    assert torch.allclose(weak, linear, atol=1e-3)
    assert float(strong.max()) < 0.6 * float(linear.max())
    inside = torch.from_numpy(np.hypot(*(np.indices((33, 33)) - 16)) <= 33 / 4)
    assert float(strong[0, 0][inside].mean()) == pytest.approx(float(linear[0, 0][inside].mean()), rel=0.01)


def test_ranges_of_psf_and_pixels_are_drawn_for_each_galaxy():
    """A pair of numbers instead of one; equal numbers are one number."""
    star = torch.from_numpy(sersic((33, 33), 16, 16, re=1.5, n=0.5))[None, None].repeat(60, 1, 1, 1)
    fixed, ranged = (
        observe(star, Observation(p, 0.06, 0.06, (0.4, 0.4), (1e7, 1e7)), 2.0, seeded())[:, 0, 16, 16]
        for p in (0.18, (0.08, 0.3))
    )
    assert float(fixed.std() / fixed.mean()) < 1e-3
    assert float(ranged.std() / ranged.mean()) > 0.1
    one, same = (
        observe(star, Observation(0.18, 0.06, s, (0.4, 0.4), (1e7, 1e7), pixels=True), 2.0, seeded())
        for s in ((0.05, 0.2), (0.05, 0.2))
    )
    assert torch.equal(one, same)


@pytest.mark.gpu
def test_observing_on_a_gpu_is_observing():
    """The same draws of sizes, in full single precision; only the noise itself differs, and here there is next to none.

    At an S/N of 1e6 two draws of the noise differ by 1.4e-3 of the peak, whatever computes them.
    """
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    how = Observation(0.18, 0.06, (0.05, 0.1), (0.4, 0.8), (1e10, 1e11), pixels=True, softening=(0.5, 2.0))
    stamps = torch.from_numpy(np.stack([sersic((33, 33), 16, 16, re=4, n=1)[None]] * 8))
    one, other = observe(stamps, how, 2.0, seeded()), observe(stamps.cuda(), how, 2.0, seeded()).cpu()
    assert float((one - other).abs().max()) < 1e-5 * float(one.max())
