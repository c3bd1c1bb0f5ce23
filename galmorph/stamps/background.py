"""Sky: level and noise of an image from its own pixels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["Sky", "clipped_sky", "correlation_px", "power_of_two", "sky_noise"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
_MAD_TO_SIGMA = 1.4826
# More pixels would not help: 10 000 fix the level to 0.013 sigma.
_ENOUGH = 10_000
_FIELD_PX = 512


@dataclass(frozen=True)
class Sky:
    """Level and standard deviation per pixel, in image units, and the number of pixels they rest on."""

    level: float
    sigma: float
    n_pixels: int


def clipped_sky(pixels: FloatArray, usable: BoolArray, *, clip: float = 3.0, rounds: int = 5) -> Sky:
    """Measure the sky as the clipped median, its noise from the median absolute deviation.

    Parameters
    ----------
    pixels
        Image, (H, W).
    usable
        True where a pixel counts, (H, W).
    clip
        Pixels further than this many sigma from the median are dropped, up to `rounds` times. Of large images
        every n-th pixel is used.

    Returns
    -------
    Sky
        With zero noise and NaN level where no pixel is usable.
    """
    values = pixels[usable]
    values = values[:: max(values.size // _ENOUGH, 1)]
    if values.size == 0:
        return Sky(float("nan"), 0.0, 0)
    for _ in range(rounds):
        level = float(np.median(values))
        sigma = _MAD_TO_SIGMA * float(np.median(np.abs(values - level)))
        kept = values[np.abs(values - level) <= clip * sigma] if sigma > 0 else values
        if kept.size == values.size or kept.size < 8:
            break
        values = kept
    if sigma == 0.0:
        sigma = float(values.std(dtype=np.float64))
    return Sky(level, sigma, int(values.size))


def correlation_px(pixels: FloatArray, usable: BoolArray, sky: Sky, *, longest: int = 8) -> float:
    """Estimate over how many pixels the noise is correlated (1 for white noise).

    Resampled images (drizzle, JPEG) have smooth noise. The estimate is the first lag along the rows and columns
    at which the autocorrelation of usable, unclipped sky pixels falls below one half.
    """
    good = usable & (np.abs(pixels - sky.level) < 3.0 * sky.sigma)
    if sky.sigma <= 0 or good.sum() < 64:
        return 1.0
    # A power of two: exact, and squares neither over- nor underflow in whatever unit.
    noise = np.where(good, pixels - sky.level, 0.0) * np.float32(power_of_two(1.0 / sky.sigma))
    variance = float((noise**2).sum() / good.sum())
    for lag in range(1, longest):
        across = (noise[:, lag:] * noise[:, :-lag]).sum() / max((good[:, lag:] & good[:, :-lag]).sum(), 1)
        along = (noise[lag:] * noise[:-lag]).sum() / max((good[lag:] & good[:-lag]).sum(), 1)
        if 0.5 * (across + along) < 0.5 * variance:
            return float(lag)
    return float(longest)


def power_of_two(value: float) -> float:
    """Return the power of two next to a positive number: a scale that costs no rounding."""
    return float(2.0 ** np.clip(np.round(np.log2(value)), -126, 126))


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
