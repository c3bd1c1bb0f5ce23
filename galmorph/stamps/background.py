"""Sky: level and noise of an image from its own pixels."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

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
    some = np.sort(values[:: max(values.size // _ENOUGH_TO_CLIP, 1)])
    first, end = 0, len(some)
    for _ in range(rounds):
        level = float(some[(first + end) // 2])
        # From the fainter half alone: sources are positive.
        sigma = (level - float(some[first + int(_BELOW * (end - first))])) if end > first else 0.0
        low, high = level - clip * sigma, level + clip * sigma
        kept = int(np.searchsorted(some, low)), int(np.searchsorted(some, high, side="right"))
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
    # Enough rows, and enough columns, for a correlation to a hundredth.
    step = max(1, usable.size // _ENOUGH_TO_CORRELATE)
    strips = [
        _Strip.of(pixels[::step], usable[::step], sky),
        _Strip.of(pixels[:, ::step].T, usable[:, ::step].T, sky),
    ]
    if sum(s.count for s in strips) < 128:
        return 1.0
    for lag in range(1, longest):
        if sum(s.correlation(lag) for s in strips) < 1.0:
            return float(lag)
    return float(longest)


@dataclass(frozen=True)
class _Strip:
    """Rows of sky noise in units of its sigma, zero where there is none, and which pixels count."""

    noise: FloatArray
    good: FloatArray
    count: int
    variance: float

    @classmethod
    def of(cls, pixels: FloatArray, usable: BoolArray, sky: Sky) -> _Strip:
        # A power of two: exact, and squares neither over- nor underflow in whatever unit.
        unit = power_of_two(1.0 / sky.sigma)
        noise = (pixels - np.float32(sky.level)) * np.float32(unit)
        good = usable & (np.abs(noise) < 3.0 * sky.sigma * unit)
        noise = np.where(good, noise, np.float32(0.0))
        count = int(np.count_nonzero(good))
        return cls(noise, good.astype(np.float32), count, float(np.vdot(noise, noise)) / max(count, 1))

    def correlation(self, lag: int) -> float:
        """Autocorrelation along the rows at a lag."""
        pairs = float(np.vdot(self.good[:, lag:], self.good[:, :-lag]))
        product = float(np.vdot(self.noise[:, lag:], self.noise[:, :-lag]))
        return product / max(pairs, 1.0) / max(self.variance, 1e-30)


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
