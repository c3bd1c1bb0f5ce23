"""Asymmetry: how much of a galaxy's light a half turn about its centre does not bring back."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.frame import WHOLE, Frame

__all__ = ["APERTURE", "asymmetry"]

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

APERTURE = 1.5
"""Radius of the aperture in Petrosian radii (Conselice 2003; Lotz et al. 2004)."""
# Pixels at a frame's border that have no three pixels around the point opposite them.
_MARGIN = 2
# Between the aperture and so many of its radii, and in the corners, differences are those of the noise.
_AROUND = 1.15
# From so many pixels a mean difference is known to 8 %: enough to tell noise that is correlated.
_ENOUGH = 100
# Mean of |x| of a unit Gaussian.
_MEAN_ABSOLUTE = math.sqrt(2.0 / math.pi)


@compiled
def asymmetry(frame: Frame, radius_px: float, noise: float, n_sky: int) -> tuple[float, float]:
    """Measure the asymmetry about the centre of a frame.

    A = (sum of |I - I180| - the same of the sky's noise) / sum of I, in a circle of 1.5 Petrosian radii. The half turn
    is about the centroid itself, a quadratic through three pixels along each axis; the sky's share is that of noise of
    the sky's own standard deviation, or of the frame's corners where that is significantly different.

    Parameters
    ----------
    frame
        About the centroid.
    radius_px
        Petrosian radius in pixels.
    noise
        Standard deviation of the sky per image pixel, effective where it is correlated.
    n_sky
        How many pixels that rests on.

    Returns
    -------
    Asymmetry and its error; NaN where there is no light.

    References
    ----------
    Conselice, Bershady & Jangren 2000, ApJ 529, 886; Lotz, Primack & Madau 2004, AJ 128, 163.
    """
    if not math.isfinite(radius_px):
        return math.nan, math.nan
    return _asymmetry(frame, APERTURE * radius_px / frame.scale_px, noise / frame.scale_px, n_sky)


@inner
def _asymmetry(frame: Frame, radius: float, noise: float, n_sky: int) -> tuple[float, float]:
    """Asymmetry and error inside a radius; all in frame pixels."""
    half = frame.rings.half
    reach = min(math.ceil(_AROUND * radius) + 1, half - _MARGIN)
    sums = _Sums(0, 0.0, 0.0, 0, 0.0)
    right, up = _slide(-2.0 * frame.offset[0]), _slide(-2.0 * frame.offset[1])
    gain = (right.before**2 + right.middle**2 + right.after**2) * (up.before**2 + up.middle**2 + up.after**2)
    for i in range(half - reach, half + reach + 1):
        sums = _row(frame, i, reach, radius, right, up, sums)
    if sums.inside == 0 or not sums.flux > 0:
        return math.nan, math.nan
    sigma = noise * math.sqrt(1.0 + gain)
    sigma *= _correlated(sums, sigma)
    excess = sums.difference - sums.inside * sigma * _MEAN_ABSOLUTE
    # Opposite pixels have the same difference: half as many are independent. Where the light itself differs, its
    # difference carries the whole noise.
    spread = 1.0 - _MEAN_ABSOLUTE**2 * min(max(1.0 - excess / max(sums.difference, 1e-30), 0.0), 1.0)
    level = (sums.inside * sigma * _MEAN_ABSOLUTE) ** 2 / (2.0 * max(n_sky, 1))
    variance = 2.0 * sums.inside * sigma**2 * spread + level
    return excess / sums.flux, math.sqrt(variance) / sums.flux


class _Sums(NamedTuple):
    """Number of pixels, flux and differences inside the aperture; number and differences outside."""

    inside: int
    flux: float
    difference: float
    outside: int
    beyond: float


class _Slide(NamedTuple):
    """A shift by whole pixels and the weights of three of them, for the quadratic through them."""

    whole: int
    before: float
    middle: float
    after: float


@inner
def _slide(shift: float) -> _Slide:
    """Shift by -1 to 0 pixels."""
    whole = round(shift)
    part = whole - shift
    return _Slide(whole, 0.5 * part * (part - 1.0), 1.0 - part * part, 0.5 * part * (part + 1.0))


@inner
def _row(frame: Frame, i: int, reach: int, radius: float, right: _Slide, up: _Slide, sums: _Sums) -> _Sums:
    """Add the differences of a row of the frame from the row opposite."""
    half, good = frame.rings.half, frame.good
    inside, flux, difference, outside, beyond = sums
    first, n = half - reach, 2 * reach + 1
    light, opposite = frame.flux[i, first : first + n], _turned(frame.flux, i, first, n, right, up)
    whole = opposite
    if good.size:
        whole = _turned(good, i, first, n, right, up)
    square, offset = radius * radius - (i - half - frame.offset[1]) ** 2, first - half - frame.offset[0]
    for j in range(n):
        if good.size and (good[i, first + j] <= WHOLE or whole[j] <= WHOLE):
            continue
        differs = abs(light[j] - opposite[j])
        if (j + offset) * (j + offset) <= square:
            inside, flux, difference = inside + 1, flux + light[j], difference + differs
        else:
            outside, beyond = outside + 1, beyond + differs
    return _Sums(inside, flux, difference, outside, beyond)


@inner
def _turned(values: FloatArray, i: int, first: int, n: int, right: _Slide, up: _Slide) -> Array:
    """Values at the points opposite n pixels of a row, from the quadratic through three pixels along each axis."""
    last = len(values) - 1
    row, column = last - i - up.whole, last - first - right.whole
    start, end = column - n, column + 2
    low, middle, high = values[row - 1, start:end], values[row, start:end], values[row + 1, start:end]
    line = np.empty(n + 2)
    for k in range(n + 2):
        line[k] = up.before * low[k] + up.middle * middle[k] + up.after * high[k]
    turned = np.empty(n)
    for k in range(n):
        turned[n - 1 - k] = right.before * line[k] + right.middle * line[k + 1] + right.after * line[k + 2]
    return turned


@inner
def _correlated(sums: _Sums, sigma: float) -> float:
    """By how much the differences outside the aperture exceed those of white noise; 1 if not significantly.

    Correlated noise, averaged or interpolated, is larger than white noise would be.
    """
    if sums.outside < _ENOUGH or not sigma > 0:
        return 1.0
    ratio = sums.beyond / (sums.outside * sigma * _MEAN_ABSOLUTE)
    return ratio if abs(ratio - 1.0) > 5.0 / math.sqrt(sums.outside) else 1.0
