"""Texture: pictures of what is not smooth in a galaxy: spiral arms and tidal tails.

All are seen from above, (S, S) float32, sum 1, with `HALF_WIDTH` half-light radii of the disc from the middle
to the side.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.ndimage import gaussian_filter

__all__ = ["HALF_WIDTH", "spiral_arms", "tidal_tail"]

HALF_WIDTH = 4.0
"""Half-light radii from the middle of a picture to its side: an exponential disc has 99 % of its light within."""
_SIDE = 160
"""Pixels along a picture; 20 to the half-light radius are finer than any survey sees it."""

Picture = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]


def spiral_arms(rng: np.random.Generator, *, start: float, handed: int) -> Picture:
    """Draw two to four logarithmic arms with knots of young stars.

    Each arm follows θ = θ0 + ln(r / start) / tan(pitch), roughly as spirals do (Kennicutt 1981, AJ 86, 1847).

    Parameters
    ----------
    rng
        Random numbers.
    start
        Radius at which the arms begin, in half-light radii of the disc: the end of the bar.
    handed
        1 or -1: the sense of winding.
    """
    radius, angle = _polar()
    arms = int(rng.choice([2, 2, 2, 3, 4]))
    pitch = np.radians(rng.uniform(11, 26))
    width = rng.uniform(0.32, 0.58) * (2 / arms) ** 0.6
    along = handed * angle - np.log(np.maximum(radius, 0.05) / start) / np.tan(pitch) - rng.uniform(0, 6.28)
    wander = rng.uniform(0.0, 0.5) * np.sin(rng.uniform(1.5, 3.0) * radius + rng.uniform(0, 6.28))
    light = np.zeros_like(radius)
    for arm in range(arms):
        phase = along - 2 * np.pi * arm / arms - rng.normal(0, 0.15) - wander
        light += rng.uniform(0.6, 1.3) * np.exp((np.cos(phase) - 1) / width**2)
    inner = 1 / (1 + np.exp(-(radius - start) / 0.08))
    light *= np.exp(-1.25 * radius) * inner * _fade(radius)
    return _normalised(light * _clumpy(rng, light))


def tidal_tail(rng: np.random.Generator) -> Picture:
    """Draw one tail that unwinds from the disc, widening and fading."""
    radius, angle = _polar()
    length = rng.uniform(1.6, 3.0)
    growth = rng.uniform(0.35, 0.75)
    turn = (rng.choice([-1, 1]) * angle - rng.uniform(0, 6.28)) % (2 * np.pi)
    ridge = 0.9 + growth * turn
    width = 0.16 + 0.07 * turn
    light = np.exp(-0.5 * ((radius - ridge) / width) ** 2 - turn / 1.5)
    ends = 1 / (1 + np.exp((turn - length) / 0.15)) * np.minimum(turn / 0.3, 1)
    return _normalised(light * ends * _fade(radius) * _clumpy(rng, light))


def _polar() -> tuple[FloatArray, FloatArray]:
    at = (np.arange(_SIDE) - (_SIDE - 1) / 2) * (2 * HALF_WIDTH / _SIDE)
    u, v = np.meshgrid(at, at)
    return np.hypot(u, v), np.arctan2(v, u)


def _fade(radius: FloatArray) -> FloatArray:
    """1 inside, 0 at the side of the picture, smooth between."""
    edge = np.clip((HALF_WIDTH - radius) / (0.3 * HALF_WIDTH), 0, 1)
    return np.asarray(edge**2 * (3 - 2 * edge))


def _clumpy(rng: np.random.Generator, light: FloatArray) -> FloatArray:
    """Log-normal brightness on the scale of large star-forming regions, with a few knots on the ridges."""
    coarse = gaussian_filter(rng.normal(size=light.shape), 3.0)
    fine = gaussian_filter(rng.normal(size=light.shape), 1.2)
    return np.asarray(np.exp(0.40 * coarse / coarse.std() + 0.30 * fine / fine.std()))


def _normalised(light: FloatArray) -> Picture:
    return np.asarray(light / light.sum(), dtype=np.float32)
