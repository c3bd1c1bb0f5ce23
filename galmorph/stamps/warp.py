"""Warp: raw pixels to stamps, resampled once by one affine matrix.

Every change of view (recentring, Petrosian rescaling, rotation, flip, zoom, shift) is a 2 × 3 matrix that maps
*stamp coordinates*, which run from -1 to 1 over the stamp's edges, to pixels of the cutout. Matrices are composed,
then the cutout is resampled once.

One definition holds at every scale. A cutout pixel is the mean of the light over that pixel; between and inside pixels
the light is the spline density of :mod:`galmorph.stamps.spline`, whose means over the cutout's pixels are exactly their
values. A stamp pixel is the mean of that density over a box that spans, along each of the stamp's axes, one stamp
pixel or one cutout pixel, whichever is longer. Hence

- shrinking weights by area: the effective PSF is the telescope's times the stamp pixel, and flux is conserved;
- a warp onto the cutout's own grid returns its pixels;
- magnifying is cubic B-spline interpolation: the effective PSF stays the telescope's times the cutout pixel, so that
  nothing is sharpened and nothing blurred.

Upright views (any flip, quarter turn, and zoom per axis) are exact: one small matrix per axis. At other angles the box
is one cutout pixel, as it lies, about each of n × n points of a Gaussian quadrature that widens it to the stamp pixel
(:func:`galmorph.stamps.spline.comb`), with n the number of cutout pixels that a stamp pixel spans, rounded up; the two
meet to about a thousandth of the peak of a galaxy as sharp as its PSF.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.errors import ImageError
from galmorph.stamps.affine import Matrix
from galmorph.stamps.compiled import compiled
from galmorph.stamps.spline import (
    MEMORY_PX,
    are_finite,
    box_means,
    coefficients,
    comb,
    filled,
    point_means,
    running_sum,
)

__all__ = [
    "binned",
    "is_upright",
    "sample",
    "sample_points",
    "subsamples",
    "warp",
    "warp_views",
]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]

# Views turned by less than this from upright displace nothing by a hundred-thousandth of a pixel.
_UPRIGHT = 1e-8
# Boxes of more pixels than twice this are sampled on averages of whole pixels, of which they span at least so many.
_COARSEST = 8
# Points along each axis that boxes of more than one pixel have at least.
_FEWEST = 2
# Least step between stamp pixels, in cutout pixels: a stamp of no size is one point, and nothing is divided by zero.
_LEAST = 1e-12


def warp(planes: FloatArray, matrix: Matrix, size: int) -> FloatArray:
    """Resample a cutout to a stamp.

    Parameters
    ----------
    planes
        (C, H, W). Pixels that are not finite count as missing.
    matrix
        (2, 3) from stamp coordinates to cutout pixels.
    size
        Side of the stamp in pixels.

    Returns
    -------
    (C, size, size) float32. Past the cutout's edges the light is zero. A stamp pixel is NaN where more than half of its
    box lies on missing pixels; elsewhere these are replaced by what the pixels around them suggest, so that none
    spreads.

    Raises
    ------
    ImageError
        If the planes are not three-dimensional or the matrix is not 2 × 3 finite numbers.
    """
    stamp: FloatArray = warp_views(planes, np.asarray(matrix)[np.newaxis], size)[0]
    return stamp


def warp_views(planes: FloatArray, matrices: DoubleArray, size: int, *, is_smooth: bool = False) -> FloatArray:
    """Resample a cutout, (C, H, W), by each of some matrices, (V, 2, 3), to (V, C, size, size).

    The views are those that :func:`warp` makes one by one. Upright ones that differ by quarter turns and flips are the
    same pixels in another order, computed once; oblique ones share their prefilter.

    Parameters
    ----------
    is_smooth
        Whether the planes are oversampled, so that the boxes of oblique views need a point less along each axis: on
        SDSS pictures that changes a stamp by .2 % of its peak, less than a step of their eight bits.
    """
    stamps = np.zeros((len(matrices), len(planes), size, size), np.float32)
    for sampling, numbers in _alike(planes, matrices, size, is_smooth=is_smooth).items():
        if isinstance(sampling, _Upright):
            plain = _average(planes, sampling, size)
            for number in numbers:
                _oriented(stamps[number], matrices[number])[...] = plain
        else:
            stamps[numbers] = _sampled(planes, np.asarray(matrices)[numbers], size, *sampling)
    return stamps


def _alike(
    planes: FloatArray, matrices: DoubleArray, size: int, *, is_smooth: bool
) -> dict[_Upright | tuple[int, int], list[int]]:
    """Sort views by what is computed once for several of them; returns the numbers of each such group."""
    groups: dict[_Upright | tuple[int, int], list[int]] = {}
    _check(planes, matrices)
    if planes.size == 0:
        return groups
    widths = _widths(np.asarray(matrices, np.float64), size).tolist()
    for number, values in enumerate(matrices.tolist()):
        alike = _upright(values, size) or _sampling(matrices[number], size, widths[number], is_smooth=is_smooth)
        groups.setdefault(alike, []).append(number)
    return groups


def _check(planes: FloatArray, matrices: Matrix) -> None:
    """Refuse planes, or matrices of views, (V, 2, 3), that nothing can be cut by."""
    if planes.ndim != 3:
        raise ImageError(f"a cutout of shape {planes.shape}: expected planes, rows and columns (C, H, W); add an axis")
    if matrices.shape[1:] == (2, 3) and np.isfinite(matrices).all():
        return
    is_good = np.isfinite(matrices).all(axis=tuple(range(1, matrices.ndim))) & (matrices.shape[1:] == (2, 3))
    wrong = matrices[is_good.argmin()].tolist()
    raise ImageError(
        f"a stamp's matrix {wrong}: expected 2 × 3 finite numbers; check the position and the radius that it was made "
        "of"
    )


class _Upright(NamedTuple):
    """Where the boxes of a view along the cutout's rows and columns lie."""

    x: float  # cutout pixels under the stamp's centre
    y: float
    across: float  # cutout pixels along x between neighbouring stamp pixels
    down: float  # likewise along y


def _upright(matrix: Sequence[Sequence[float]], size: int) -> _Upright | None:
    (xx, xy, x), (yx, yy, y) = matrix
    along, aside = max(abs(xx), abs(yy)), max(abs(xy), abs(yx))
    if aside <= _UPRIGHT * along:
        return _Upright(x, y, abs(xx) * 2.0 / size, abs(yy) * 2.0 / size)
    if along <= _UPRIGHT * aside:
        return _Upright(x, y, abs(xy) * 2.0 / size, abs(yx) * 2.0 / size)
    return None


def _average(planes: FloatArray, view: _Upright, size: int) -> FloatArray:
    """Return the exact means over the boxes of an upright view, in the order of the cutout's rows and columns."""

    def resampled(window: FloatArray) -> FloatArray:
        return box_means(running_sum(), window, (view.x, view.y), (view.across, view.down), size)

    window = np.ascontiguousarray(planes, np.float32)
    stamp = resampled(window)
    # What is missing spoils whatever its weight is, be it none.
    return stamp if are_finite(stamp) else _completed(window, resampled)


def _oriented(stamp: FloatArray, matrix: Matrix) -> FloatArray:
    """Return the pixels of an upright stamp in the order of the cutout's rows and columns."""
    (xx, xy, _), (yx, yy, _) = matrix.tolist()
    crossed = abs(xy) > abs(xx)
    across, down = (xy, yx) if crossed else (xx, yy)
    plain = stamp.swapaxes(1, 2) if crossed else stamp
    return plain[:, :: -1 if down < 0 else 1, :: -1 if across < 0 else 1]


def _completed(window: FloatArray, resample: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Resample planes that may have missing pixels."""
    planes = np.asarray(window, np.float32)
    if are_finite(np.ascontiguousarray(planes)):
        return resample(planes)
    missing = ~np.isfinite(planes)
    stamp = resample(np.stack([filled(plane, absent) for plane, absent in zip(planes, missing, strict=True)]))
    stamp[resample(missing.astype(np.float32)) > 0.5] = np.nan
    return stamp


def is_upright(matrix: Matrix) -> bool:
    """Tell whether a view, (2, 3), lies along the cutout's rows and columns, so that its warp is exact."""
    return _upright(matrix.tolist(), 1) is not None


def subsamples(matrix: Matrix, size: int) -> int:
    """Points per axis that sample every stamp pixel of a view, or of views, (..., 2, 3)."""
    return _points_over(float(_widths(matrix, size).max()))


def _widths(matrix: Matrix, size: int) -> DoubleArray:
    """Return the extent of the boxes in cutout pixels along the stamp's axes, (..., 2)."""
    widths: DoubleArray = np.maximum(np.hypot(matrix[..., 0, :2], matrix[..., 1, :2]) * 2.0 / size, 1.0)
    return widths


def sample(planes: FloatArray, matrix: Matrix, size: int, n: int | None = None) -> FloatArray:
    """Resample a cutout by n × n points in each stamp pixel: the warp for views of any angle.

    Parameters
    ----------
    planes, matrix, size
        As of :func:`warp`.
    n
        Points per axis; by default as many as a stamp pixel spans cutout pixels.

    Returns
    -------
    (C, size, size) float32, as from :func:`warp`.
    """
    _check(planes, np.asarray(matrix)[None])
    matrix = np.asarray(matrix, np.float64)
    factor, points = (1, n) if n else _sampling(matrix, size, _widths(matrix, size).tolist())
    stamp: FloatArray = _sampled(planes, matrix[np.newaxis], size, factor, points)[0]
    return stamp


def _sampling(matrix: Matrix, size: int, widths: list[float], *, is_smooth: bool = False) -> tuple[int, int]:
    """Return how many pixels are averaged first along each axis, and points per axis on these averages.

    Parameters
    ----------
    widths
        Of the view's boxes along the stamp's axes, in pixels.
    """
    factor = max(1, int(min(widths) / _COARSEST))
    n = subsamples(matrix / factor, size) if factor > 1 else _points_over(max(widths))
    return factor, n - 1 if is_smooth and n > _FEWEST else n


def _points_over(width: float) -> int:
    """Points that sample so many pixels."""
    return math.ceil(width - 1e-6)


def sample_points(matrices: Matrix, size: int, n: int) -> tuple[DoubleArray, DoubleArray]:
    """Return where each stamp pixel is sampled, in stamp coordinates, and the weights.

    Parameters
    ----------
    matrices
        (..., 2, 3).
    n
        Points per axis.

    Returns
    -------
    Points along x, then y, (..., 2, size · n), and weights, (..., 2, n).
    """
    offsets, weights = comb(_widths(matrices, size), n)
    views, shape = matrices.reshape(-1, 2, 3), (*matrices.shape[:-2], 2, size * n)
    return _points_of(np.ascontiguousarray(views, np.float64), offsets.reshape(-1, 2, n), size).reshape(shape), weights


@compiled
def _points_of(matrices: DoubleArray, offsets: DoubleArray, size: int) -> DoubleArray:
    """Return where stamp pixels are sampled, (V, 2, size · n), at offsets in cutout pixels, (V, 2, n)."""
    n = offsets.shape[2]
    points = np.empty((len(matrices), 2, size * n))
    for view in range(len(matrices)):
        for axis in range(2):
            step = max(math.hypot(matrices[view, 0, axis], matrices[view, 1, axis]), _LEAST)
            for place in range(size * n):
                middle = (place // n + 0.5) * (2.0 / size) - 1.0
                points[view, axis, place] = middle + offsets[view, axis, place % n] / step
    return points


def _sampled(planes: FloatArray, matrices: DoubleArray, size: int, factor: int, n: int) -> FloatArray:
    """Sample views, (V, C, S, S), by n × n points in each stamp pixel, on averages of factor × factor pixels."""
    points, weights = sample_points(matrices / factor, size, n)
    top, bottom, left, right = _window(matrices, points, planes.shape[1:], factor)
    if bottom <= top or right <= left:
        return np.zeros((len(matrices), len(planes), size, size), np.float32)
    local = matrices.copy()
    local[:, :, 2] -= (left + (factor - 1) / 2, top + (factor - 1) / 2)
    local, single = local / factor, weights.astype(np.float32)

    def resampled(window: FloatArray) -> FloatArray:
        stamps = np.empty((len(matrices), len(planes), size, size), np.float32)
        point_means(coefficients(binned(window, factor)), local, points, single, stamps)
        return stamps

    return _completed(planes[:, top:bottom, left:right], resampled)


@compiled
def _window(
    matrices: DoubleArray, points: DoubleArray, shape: tuple[int, int], factor: int
) -> tuple[int, int, int, int]:
    """Return the rows, and the columns, from and to which the points of views and the prefilter's memory reach."""
    margin = (MEMORY_PX + 2) * factor
    first, last = np.full(2, np.inf), np.full(2, -np.inf)
    for view in range(len(matrices)):
        across, down = np.abs(points[view, 0]).max(), np.abs(points[view, 1]).max()
        for axis in range(2):
            xx, xy, centre = matrices[view, axis]
            far = abs(xx) * across + abs(xy) * down
            first[axis], last[axis] = min(first[axis], centre - far), max(last[axis], centre + far)
    left, top = max(math.floor(first[0]) - margin, 0), max(math.floor(first[1]) - margin, 0)
    right, bottom = math.ceil(last[0]) + margin + 1, math.ceil(last[1]) + margin + 1
    return top, min(bottom, shape[0]), left, min(right, shape[1])


def binned(planes: FloatArray, factor: int) -> FloatArray:
    """Average factor × factor pixels, (C, H, W) to (C, ceil(H / factor), ceil(W / factor)); zero past the edges."""
    if factor == 1:
        return planes
    count, height, width = planes.shape
    tall, wide = -(-height // factor), -(-width // factor)
    padded = np.zeros((count, tall * factor, wide * factor), np.float32)
    padded[:, :height, :width] = planes
    mean: FloatArray = padded.reshape(count, tall, factor, wide, factor).mean(axis=(2, 4))
    return mean
