"""Observation: what another survey would have seen of a galaxy - its PSF, pixels, noise and stretch."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.precision import single_precision
from galmorph.nets.training.settings import Observation, Pair

__all__ = ["blur", "degrade", "observe", "through_pixels", "white_noise"]

_FWHM = 2.3548  # standard deviations of a Gaussian


def white_noise(like: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw normal numbers of the shape and on the device of a tensor; `generator` is the processor's."""
    if like.device.type == "cpu":
        return torch.randn(like.shape, generator=generator)
    seed = int(torch.randint(2**62, (), generator=generator))
    return torch.randn(like.shape, generator=torch.Generator(like.device).manual_seed(seed), device=like.device)


def blur(stamps: torch.Tensor, sigma_px: torch.Tensor) -> torch.Tensor:
    """Convolve each stamp, (B, C, S, S), with its own Gaussian, sigma (B,) in stamp pixels."""
    reach = int(3.0 * float(sigma_px.max().clamp(max=8.0))) + 1
    offset = torch.arange(-reach, reach + 1, dtype=stamps.dtype, device=stamps.device)
    kernel = torch.exp(-0.5 * (offset[None] / sigma_px[:, None].clamp(min=0.05)) ** 2)
    kernel = kernel / kernel.sum(dim=1, keepdim=True)
    batch, planes, size, _ = stamps.shape
    weight = kernel.repeat_interleave(planes, 0)[:, None]
    flat = stamps.reshape(1, batch * planes, size, size)
    padded = F.pad(flat, (reach,) * 4, mode="replicate")
    with single_precision(stamps.device):
        across = F.conv2d(padded, weight[:, :, None, :], groups=batch * planes)
        return F.conv2d(across, weight[:, :, :, None], groups=batch * planes).reshape(stamps.shape)


def observe(
    stamps: torch.Tensor,
    how: Observation,
    half_width_rpet: float,
    generator: torch.Generator,
    *,
    is_star: torch.Tensor | None = None,
) -> torch.Tensor:
    """Degrade stamps in units of their mean brightness inside the Petrosian radius, (B, C, S, S).

    Each galaxy gets a random apparent size and signal-to-noise ratio (and PSF, pixel scale and softening where they
    are ranges); the width of the PSF and of the pixels on the stamp follow from the size.
    """
    batch, _, size, _ = stamps.shape
    device = stamps.device
    draw = torch.rand(2, batch, generator=generator)
    rpet = _log_uniform(draw[0], how.rpet_arcsec)
    star = torch.zeros(batch, dtype=torch.bool) if is_star is None else is_star.cpu()
    if star.any():
        rpet = torch.where(star, _log_uniform(draw[0], how.star_rpet_arcsec), rpet)
    snr = _log_uniform(draw[1], how.snr)
    psf = _drawn(how.psf_fwhm_arcsec, batch, generator)
    scale = _drawn(how.scale_arcsec, batch, generator)
    per_arcsec = size / (2.0 * half_width_rpet) / rpet  # stamp pixels per arcsec
    extra = (psf**2 - how.native_fwhm_arcsec**2).clamp(min=0.0).sqrt() / _FWHM
    blurred = blur(stamps, torch.where(star, 0.0, extra * per_arcsec).to(device))
    # Independent pixels inside the Petrosian radius are the target survey's own.
    sigma = torch.sqrt(math.pi * (rpet / scale) ** 2) / snr
    width = scale * per_arcsec
    if how.pixels:
        observed = through_pixels(blurred, width, sigma, generator)
    else:
        noise = blur(white_noise(stamps, generator), 0.5 * width.to(device))
        noise = noise / noise.std(dim=(1, 2, 3), keepdim=True).clamp(min=1e-6)
        observed = blurred + noise * sigma.to(device)[:, None, None, None]
    if how.softening is None:
        return observed
    return _compressed(observed, _drawn(how.softening, batch, generator).to(device), half_width_rpet)


def through_pixels(
    stamps: torch.Tensor, width_px: torch.Tensor, sigma: torch.Tensor, generator: torch.Generator
) -> torch.Tensor:
    """See stamps, (B, C, S, S), through coarser pixels with noise that is independent in each.

    Stamps are sampled on a grid of the wider pixels, at a random place, and interpolated back, both by cubic
    convolution (Keys 1981). Widths are those of the grid, since PSFs as measured include the pixels already.

    Parameters
    ----------
    width_px
        (B,) of the pixels, in stamp pixels; where it is less than 1 the stamp's pixels are averages of several.
    sigma
        (B,) standard deviation of the noise in a pixel.
    """
    size, device = stamps.shape[-1], stamps.device
    step = width_px.clamp(min=1.0)
    inside = sigma * width_px.clamp(max=1.0)
    phase = torch.rand(2, len(stamps), generator=generator)
    count = int(torch.ceil(size / step.min())) + 5
    (down_x, up_x), (down_y, up_y) = (_samplers(step, p, size, count, device) for p in phase)
    coarse = down_y[:, None] @ stamps @ down_x[:, None].transpose(-1, -2)
    coarse = coarse + white_noise(coarse, generator) * inside.to(device)[:, None, None, None]
    return up_y[:, None] @ coarse @ up_x[:, None].transpose(-1, -2)


def _samplers(
    step: torch.Tensor, phase: torch.Tensor, size: int, count: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:  # -> (B, K, S), (B, S, K)
    """Make matrices that sample lines of S pixels at K places and interpolate back; past the edges values repeat."""
    places = (torch.arange(count) - 2.0 - phase[:, None]) * step[:, None]  # (B, K) in stamp pixels
    pixels = torch.arange(float(size))
    down = _keys(places.clamp(0.0, size - 1.0)[:, :, None] - pixels[None, None, :])
    up = _keys((pixels[None, :, None] - places[:, None, :]) / step[:, None, None])
    return tuple((m / m.sum(dim=2, keepdim=True)).to(device) for m in (down, up))  # type: ignore[return-value]


def _keys(x: torch.Tensor) -> torch.Tensor:
    """Cubic convolution kernel with a = -1/2 (Keys 1981, IEEE Trans. ASSP 29, 1153)."""
    x = x.abs()
    near = 1.0 + x * x * (1.5 * x - 2.5)
    far = 2.0 + x * (-4.0 + x * (2.5 - 0.5 * x))
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, 0.0))


def _compressed(stamps: torch.Tensor, softening: torch.Tensor, half_width_rpet: float) -> torch.Tensor:
    soft = softening[:, None, None, None]
    mean = _mean_inside(stamps, half_width_rpet)
    out = torch.asinh(stamps / soft) * soft
    # In pure noise either mean may vanish.
    return out * (mean.clamp(min=0.1) / _mean_inside(out, half_width_rpet).clamp(min=0.1))


def _mean_inside(stamps: torch.Tensor, half_width_rpet: float) -> torch.Tensor:  # -> (B, 1, 1, 1)
    """Mean inside the Petrosian radius about the middle of a stamp."""
    size = stamps.shape[-1]
    axis = torch.arange(size, device=stamps.device) - (size - 1) / 2
    inside = axis[None] ** 2 + axis[:, None] ** 2 <= (size / (2.0 * half_width_rpet)) ** 2
    return (stamps * inside).sum(dim=(1, 2, 3), keepdim=True) / (inside.sum() * stamps.shape[1])


def degrade(
    pixels: npt.NDArray[np.float32],
    brightness: npt.NDArray[np.float64],
    how: Observation,
    half_width_rpet: float,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Observe stamps, (B, C, S, S), of brightness (B,) once more: in units of the brightness, the same for a seed."""
    scaled = torch.from_numpy((pixels / brightness[:, None, None, None]).astype(np.float32))
    return observe(scaled, how, half_width_rpet, torch.Generator().manual_seed(seed)).numpy()


def _drawn(limits: float | Pair, n: int, generator: torch.Generator) -> torch.Tensor:
    """Draw from a range; a number is no draw."""
    if isinstance(limits, tuple):
        return _log_uniform(torch.rand(n, generator=generator), limits)
    return torch.full((n,), float(limits))


def _log_uniform(uniform: torch.Tensor, limits: Pair) -> torch.Tensor:
    low, high = (math.log(v) for v in limits)
    return torch.exp(low + (high - low) * uniform)
