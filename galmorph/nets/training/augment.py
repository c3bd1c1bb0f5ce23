"""Augmentation: random views of galaxies, and random changes of what is seen in them."""

from __future__ import annotations

import math

import torch

from galmorph.nets.training.observation import blur, white_noise
from galmorph.nets.training.settings import Augmentation

__all__ = ["misread", "random_turns", "vary"]


def random_turns(n: int, ranges: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Draw `n` random views as matrices in stamp coordinates, (n, 2, 3)."""
    uniform = torch.rand(n, 5, generator=generator)
    angle = _angles(uniform[:, 0], ranges)
    mirror = torch.where(uniform[:, 1] < 0.5 * ranges.mirror, -1.0, 1.0)
    zoom = torch.exp((2.0 * uniform[:, 2] - 1.0) * math.log(ranges.zoom))
    shift = (2.0 * uniform[:, 3:] - 1.0) * ranges.shift
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    top = torch.stack([cosine * mirror, -sine, shift[:, 0]], dim=1)
    bottom = torch.stack([sine * mirror, cosine, shift[:, 1]], dim=1)
    return torch.stack([top, bottom], dim=1)


def _angles(uniform: torch.Tensor, ranges: Augmentation) -> torch.Tensor:
    """Turn numbers from 0 to 1 into rotations, in radians."""
    if not ranges.angles:
        return 2.0 * math.pi * uniform
    few = torch.deg2rad(torch.tensor(ranges.angles, dtype=uniform.dtype))
    return few[(uniform * len(few)).long()]


def vary(pixels: torch.Tensor, ranges: Augmentation, generator: torch.Generator) -> torch.Tensor:
    """Change brightness, colours, sharpness and noise of stamps, (B, C, S, S), at random."""
    batch, planes = pixels.shape[:2]
    factor = ranges.brightness * torch.randn(batch, 1, 1, 1, generator=generator)
    factor = factor + ranges.colour * torch.randn(batch, planes, 1, 1, generator=generator)
    pixels = pixels * torch.exp(factor).to(pixels.device)
    if ranges.tint:
        amount = torch.randn(batch, 1, generator=generator) * torch.tensor(ranges.tint)
        pixels = pixels + amount[:, :, None, None].to(pixels.device)
    if ranges.blur > 0:
        pixels = blur(pixels, (ranges.blur * torch.rand(batch, generator=generator)).to(pixels.device))
    if ranges.noise > 0:
        pixels = pixels + ranges.noise * white_noise(pixels, generator)
    return pixels


def misread(
    values: torch.Tensor, errors: torch.Tensor, ranges: Augmentation, generator: torch.Generator
) -> torch.Tensor:  # (B, K), (B, K) -> (B, K)
    """Jitter what is measured of galaxies by its errors, swap some values with other galaxies, and leave some out."""
    jitter = torch.randn(values.shape, generator=generator) * errors.nan_to_num(0.0)
    other = torch.randint(len(values), values.shape, generator=generator)
    swapped, missing = (torch.rand(values.shape, generator=generator) for _ in range(2))
    without = torch.rand(len(values), 1, generator=generator)
    read = torch.where(swapped < ranges.wrong, values.gather(0, other), values + jitter)
    return read.masked_fill((missing < ranges.absent) | (without < ranges.absent), torch.nan)
