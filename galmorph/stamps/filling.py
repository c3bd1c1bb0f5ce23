"""Filling: what stands in for missing pixels and for other objects, so that a stamp shows one galaxy."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import scipy

from galmorph.stamps.background import sky_of
from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.shared import shared

__all__ = ["corners_of", "fill", "fill_planes", "less", "noise_field"]

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
    field, corners = noise_field(correlation_px), corners_of(range(seed, seed + len(planes)))
    fill_planes(planes, bad, np.ascontiguousarray(labels, np.int32), *centre, field, corners)


def corners_of(seeds: Sequence[int]) -> npt.NDArray[np.int64]:
    """Choose pieces of the field of noise by seeds, (N, 2): row and column of the first pixel of each."""
    corners = [np.random.default_rng(seed).integers(0, _FIELD_PX, size=2) for seed in seeds]
    return np.array(corners, np.int64).reshape(-1, 2)


@compiled
def fill_planes(
    planes: FloatArray,
    bad: BoolArray,
    labels: npt.NDArray[np.int32],
    x: float,
    y: float,
    field: FloatArray,
    corners: npt.NDArray[np.int64],
) -> None:
    """Replace the bad pixels of planes, (C, H, W), by what their rings about (x, y) and the sky suggest."""
    height, width = bad.shape
    outside, ring = np.empty(bad.shape, np.bool_), np.empty(bad.shape, np.int32)
    for i in range(height):
        for j in range(width):
            outside[i, j] = labels[i, j] == 0 and not bad[i, j]
            ring[i, j] = np.int32(math.sqrt((j - x) ** 2 + (i - y) ** 2))
    for c in range(len(planes)):
        sky = sky_of(planes[c], outside)
        level = sky.level if math.isfinite(sky.level) else 0.0
        smooth = _ring_means(planes[c], bad, ring, level)
        _replace(planes[c], bad, ring, smooth, field, corners[c], np.float32(sky.sigma))


@inner
def _replace(
    plane: FloatArray,
    bad: BoolArray,
    ring: npt.NDArray[np.int32],
    smooth: npt.NDArray[np.float64],
    field: FloatArray,
    corner: npt.NDArray[np.int64],
    sigma: np.float32,
) -> None:
    """Put the values of their rings and a piece of a field of noise into the bad pixels of a plane."""
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            if bad[i, j]:
                noise = field[(corner[0] + i) % _FIELD_PX, (corner[1] + j) % _FIELD_PX]
                plane[i, j] = smooth[ring[i, j]] + noise * sigma


@inner
def _ring_means(
    plane: FloatArray, bad: BoolArray, ring: npt.NDArray[np.int32], level: float
) -> npt.NDArray[np.float64]:
    """Return the means of rings without their bad pixels, each with both of its neighbours."""
    n = ring.max() + 1
    # One ring more to each side, the same as the outermost.
    sums, counts = np.zeros(n + 2), np.full(n + 2, _LEANING)
    for i in range(plane.shape[0]):
        for j in range(plane.shape[1]):
            if not bad[i, j]:
                sums[ring[i, j] + 1] += plane[i, j]
                counts[ring[i, j] + 1] += 1.0
    means = (sums + _LEANING * level) / counts
    means[0], means[n + 1] = means[1], means[n]
    smooth: npt.NDArray[np.float64] = (means[:-2] + means[1:-1] + means[2:]) / 3.0
    return smooth


def noise_field(correlation_px: float) -> FloatArray:
    """Return unit noise of a correlation length, periodic, (512, 512)."""
    return _noise_field(round(min(max(correlation_px, 1.0), 16.0)))


@shared(maxsize=16)
def _noise_field(correlation: int) -> FloatArray:
    """Draw unit noise with a correlation length, the same each time, (512, 512)."""
    white = np.random.default_rng(correlation).standard_normal((_FIELD_PX, _FIELD_PX)).astype(np.float32)
    if correlation > 1:
        # A Gaussian filter of width s leaves a correlation of one half at a lag of 2 s sqrt(ln 2).
        white = scipy.ndimage.gaussian_filter(white, correlation / (2.0 * np.sqrt(np.log(2.0))), mode="wrap")
        white /= white.std()
    return white
