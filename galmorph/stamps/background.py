"""Sky: level and noise of an image from its own pixels."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage, special

__all__ = ["Sky", "clipped_sky", "correlation_px", "power_of_two", "sky_noise"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
# More pixels would not help: 16 000 fix the level to 0.008 sigma; fewer suffice to find outliers.
_ENOUGH = 16_000
_ENOUGH_TO_CLIP = 2_000
_ENOUGH_TO_CORRELATE = 2_500
# Share of a Gaussian more than one sigma below its middle.
_BELOW = 0.1587
_FIELD_PX = 512


@dataclass(frozen=True)
class Sky:
    """Level and standard deviation per pixel, in image units, and the number of pixels they rest on."""

    level: float
    sigma: float
    n_pixels: int


def clipped_sky(pixels: FloatArray, usable: BoolArray | None, *, clip: float = 3.0, rounds: int = 5) -> Sky:
    """Measure the sky as the clipped mean, its noise as the clipped standard deviation, both about the median.

    Parameters
    ----------
    pixels
        Image, (H, W).
    usable
        True where a pixel counts, (H, W); None where all do.
    clip
        Pixels further than this many sigma from the median are dropped, up to `rounds` times. Of large images
        every n-th pixel is used.

    Returns
    -------
    Sky
        With zero noise and NaN level where no pixel is usable.
    """
    values = pixels.reshape(-1) if usable is None else pixels[usable]
    values = values[:: max(values.size // _ENOUGH, 1)]
    if values.size == 0:
        return Sky(float("nan"), 0.0, 0)
    low, high = _clipped_range(values, clip, rounds)
    kept = values[(values >= low) & (values <= high)]
    if high <= low or kept.size < 2:
        return Sky(float(np.median(values)), float(values.std(dtype=np.float64)), int(values.size))
    # A power of two: squares neither over- nor underflow in whatever unit.
    middle, unit = np.float32(0.5 * (low + high)), power_of_two(2.0 * clip / (high - low))
    offset = (kept - middle) * np.float32(unit)
    mean = float(offset.sum(dtype=np.float64)) / kept.size
    variance = float(np.dot(offset, offset)) / kept.size - mean**2
    if not variance > 0:
        return Sky(float(np.median(values)), float(values.std(dtype=np.float64)), int(values.size))
    return Sky(float(middle) + mean / unit, math.sqrt(variance) / unit / _truncated_width(clip), int(kept.size))


def _clipped_range(values: FloatArray, clip: float, rounds: int) -> tuple[float, float]:
    """Return the range within so many sigma of the median, from some of the pixels, sorted once."""
    # A memory view gives plain numbers, which bisect compares many times faster than numpy's.
    some = np.sort(values[:: max(values.size // _ENOUGH_TO_CLIP, 1)]).astype(np.float64).data
    first, end = 0, len(some)
    for _ in range(rounds):
        level = some[(first + end) // 2]
        # From the fainter half alone: sources are positive.
        sigma = level - some[first + int(_BELOW * (end - first))] if end > first else 0.0
        low, high = level - clip * sigma, level + clip * sigma
        kept = bisect_left(some, low), bisect_right(some, high)
        if kept == (first, end) or kept[1] - kept[0] < 8:
            break
        first, end = kept
    return low, high


@lru_cache(maxsize=8)
def _truncated_width(clip: float) -> float:
    """Return the standard deviation of a unit Gaussian clipped symmetrically."""
    density = np.exp(-0.5 * clip**2) / np.sqrt(2.0 * np.pi)
    return float(np.sqrt(1.0 - 2.0 * clip * density / special.erf(clip / np.sqrt(2.0))))


def correlation_px(pixels: FloatArray, usable: BoolArray, sky: Sky, *, longest: int = 8) -> float:
    """Estimate over how many pixels the noise is correlated (1 for white noise).

    Resampled images (drizzle, JPEG) have smooth noise. The estimate is the first lag along the rows and columns
    at which the autocorrelation of usable, unclipped sky pixels falls below one half.
    """
    if sky.sigma <= 0:
        return 1.0
    strips = _Strips.of(pixels, usable, sky, longest)
    if strips.count < 128:
        return 1.0
    for lag in range(1, longest):
        if strips.correlation(lag) < 1.0:
            return float(lag)
    return float(longest)


@dataclass(frozen=True)
class _Strips:
    """Some rows of sky noise in units of its sigma and some columns, one after the other, each with zeros behind it.

    Parameters
    ----------
    noise, good
        (n,) zero where there is none; 1 where a pixel counts.
    parts
        The rows, and the columns.
    variance
        Of each part.
    count
        Number of pixels that count.
    """

    noise: FloatArray
    good: FloatArray
    parts: tuple[slice, slice]
    variance: tuple[float, float]
    count: int

    @classmethod
    def of(cls, pixels: FloatArray, usable: BoolArray, sky: Sky, longest: int) -> _Strips:
        parts = _parts(pixels.shape, max(1, usable.size // _ENOUGH_TO_CORRELATE), longest)
        # A power of two: exact, and squares neither over- nor underflow in whatever unit.
        unit = power_of_two(1.0 / sky.sigma)
        noise = (_laid_out(pixels, parts, longest) - np.float32(sky.level)) * np.float32(unit)
        good = _laid_out(usable, parts, longest) & (np.abs(noise) < np.float32(3.0 * sky.sigma * unit))
        np.copyto(noise, np.float32(0.0), where=~good)
        counts = [int(np.count_nonzero(good[part])) for part in parts]
        variance = [float(np.dot(noise[p], noise[p])) / max(n, 1) for p, n in zip(parts, counts, strict=True)]
        return cls(noise, good.astype(np.float32), parts, (variance[0], variance[1]), sum(counts))

    def correlation(self, lag: int) -> float:
        """Sum of the autocorrelations along rows and along columns at a lag."""
        total = 0.0
        for part, variance in zip(self.parts, self.variance, strict=True):
            noise, good = self.noise[part], self.good[part]
            pairs, product = float(np.dot(good[lag:], good[:-lag])), float(np.dot(noise[lag:], noise[:-lag]))
            total += product / max(pairs, 1.0) / max(variance, 1e-30)
        return total


def _parts(shape: tuple[int, ...], step: int, gap: int) -> tuple[slice, slice]:
    """Where every step-th row, and every step-th column, are laid out with a gap behind each."""
    height, width = shape
    rows = -(-height // step) * (width + gap)
    return slice(0, rows), slice(rows, rows + -(-width // step) * (height + gap))


def _laid_out(values: npt.NDArray[Any], parts: tuple[slice, slice], gap: int) -> npt.NDArray[Any]:
    height, width = values.shape
    flat = np.zeros(parts[1].stop, values.dtype)
    rows, columns = flat[parts[0]].reshape(-1, width + gap), flat[parts[1]].reshape(-1, height + gap)
    rows[:, :width] = values[:: -(-height // len(rows))]
    columns[:, :height] = values.T[:: -(-width // len(columns))]
    return flat


def power_of_two(value: float) -> float:
    """Return the power of two next to a positive number: a scale that costs no rounding."""
    return float(2.0 ** min(max(round(math.log2(value)), -126), 126))


def sky_noise(shape: tuple[int, int], sky: Sky, correlation: float, seed: int) -> FloatArray:
    """Draw sky noise with the given standard deviation and correlation length; the same for the same seed.

    Returns
    -------
    (H, W) noise about zero: a piece of one large periodic field, chosen by the seed.
    """
    field = _noise_field(round(min(max(correlation, 1.0), 16.0)))
    top, left = np.random.default_rng(seed).integers(0, _FIELD_PX, size=2)
    rows = (top + np.arange(shape[0])) % _FIELD_PX
    columns = (left + np.arange(shape[1])) % _FIELD_PX
    noise: FloatArray = field[rows[:, None], columns[None, :]] * np.float32(sky.sigma)
    return noise


@lru_cache(maxsize=16)
def _noise_field(correlation: int) -> FloatArray:
    white = np.random.default_rng(correlation).standard_normal((_FIELD_PX, _FIELD_PX)).astype(np.float32)
    if correlation > 1:
        # A Gaussian filter of width s leaves a correlation of one half at a lag of 2 s sqrt(ln 2).
        white = ndimage.gaussian_filter(white, correlation / (2.0 * np.sqrt(np.log(2.0))), mode="wrap")
        white /= white.std()
    white.flags.writeable = False
    return white
