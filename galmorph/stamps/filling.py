"""Filling: what stands in for missing pixels and for other objects, so that a stamp shows one galaxy."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from galmorph.stamps.background import clipped_sky
from galmorph.stamps.compiled import compiled
from galmorph.stamps.shared import shared

__all__ = ["fill", "less"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
# Side of the field of noise that pieces are cut from: as wide as the largest cutout.
_FIELD_PX = 512
# Pixels of sky that are added to each ring: those with few pixels lean towards it.
_LEANING = 4.0


@compiled
def less(planes: FloatArray, level: np.float32, others: BoolArray) -> tuple[FloatArray, BoolArray, bool]:
    """Subtract a level from planes, (C, H, W).

    Returns the differences, zero where they are not finite; which pixels, (H, W), are missing in any plane or are
    among some others; and whether there are any.
    """
    rest, bad = np.empty_like(planes), others.copy()
    for c in range(planes.shape[0]):
        for i in range(planes.shape[1]):
            for j in range(planes.shape[2]):
                value = planes[c, i, j] - level
                rest[c, i, j] = value if math.isfinite(value) else np.float32(0.0)
                bad[i, j] |= not math.isfinite(planes[c, i, j])
    return rest, bad, bool(bad.any())


def fill(
    planes: FloatArray,
    bad: BoolArray,
    labels: npt.NDArray[np.int32],
    centre: tuple[float, float],
    correlation_px: float,
    seed: int,
) -> None:
    """Replace pixels, in place, by the mean of their ring's other pixels plus sky noise.

    Parameters
    ----------
    planes
        (C, H, W) finite.
    bad
        (H, W) True on the pixels to replace.
    labels
        (H, W) of the objects, 0 on the sky.
    centre
        Of the rings, (x, y).
    correlation_px
        Correlation length of the noise.
    seed
        Of the noise; the same seed gives the same.
    """
    outside = (labels == 0) & ~bad
    field = _noise_field(round(min(max(correlation_px, 1.0), 16.0)))
    for number, plane in enumerate(planes):
        sky = clipped_sky(plane, outside)
        level = sky.level if math.isfinite(sky.level) else 0.0
        # A piece of one large periodic field, chosen by the seed.
        top, left = np.random.default_rng(seed + number).integers(0, _FIELD_PX, size=2).tolist()
        _replace(plane, bad, *centre, level, np.float32(sky.sigma), field, top, left)


@compiled
def _replace(
    plane: FloatArray,
    bad: BoolArray,
    x: float,
    y: float,
    level: float,
    sigma: np.float32,
    field: FloatArray,
    top: int,
    left: int,
) -> None:
    """Replace the bad pixels of a plane, (H, W), by smoothed means of their rings, a pixel wide, and noise."""
    height, width = plane.shape
    far_x, far_y = max(abs(x), abs(width - 1 - x)), max(abs(y), abs(height - 1 - y))
    n = int(math.sqrt(far_x * far_x + far_y * far_y)) + 1
    # One ring more to each side, the same as the outermost.
    sums, counts = np.zeros(n + 2), np.full(n + 2, _LEANING)
    for i in range(height):
        for j in range(width):
            if not bad[i, j]:
                ring = int(math.sqrt((j - x) ** 2 + (i - y) ** 2)) + 1
                sums[ring] += plane[i, j]
                counts[ring] += 1.0
    means = (sums + _LEANING * level) / counts
    means[0], means[n + 1] = means[1], means[n]
    for i in range(height):
        for j in range(width):
            if bad[i, j]:
                ring = int(math.sqrt((j - x) ** 2 + (i - y) ** 2)) + 1
                smooth = (means[ring - 1] + means[ring] + means[ring + 1]) / 3.0
                plane[i, j] = smooth + field[(top + i) % _FIELD_PX, (left + j) % _FIELD_PX] * sigma


@shared(maxsize=16)
def _noise_field(correlation: int) -> FloatArray:
    """Draw unit noise with a correlation length, the same each time, (512, 512)."""
    white = np.random.default_rng(correlation).standard_normal((_FIELD_PX, _FIELD_PX)).astype(np.float32)
    if correlation > 1:
        # A Gaussian filter of width s leaves a correlation of one half at a lag of 2 s sqrt(ln 2).
        white = ndimage.gaussian_filter(white, correlation / (2.0 * np.sqrt(np.log(2.0))), mode="wrap")
        white /= white.std()
    return white
