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
from functools import partial
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.errors import ImageError
from galmorph.stamps.shared import shared
from galmorph.stamps.spline import MEMORY_PX, comb, filled, interpolated, interval_weights

__all__ = [
    "binned",
    "compose",
    "is_upright",
    "sample",
    "sample_points",
    "stamp_matrix",
    "subsamples",
    "turn",
    "warp",
    "warp_batch",
]

FloatArray = npt.NDArray[np.float32]
DoubleArray = npt.NDArray[np.float64]
Matrix = DoubleArray

# Views turned by less than this from upright displace nothing by a hundred-thousandth of a pixel.
_UPRIGHT = 1e-8
# Boxes of more pixels than twice this are sampled on averages of whole pixels, of which they span at least so many.
_COARSEST = 8
# Least step between stamp pixels, in cutout pixels: a stamp of no size is one point, and nothing is divided by zero.
_LEAST = 1e-12
# Stamps whose weights are computed together: more would not fit into the processor's cache.
_TOGETHER = 4


def stamp_matrix(x: float, y: float, half_width_px: float) -> Matrix:
    """Map stamp coordinates to a square about (x, y), (2, 3)."""
    return np.array([[half_width_px, 0.0, x], [0.0, half_width_px, y]])


def turn(
    angle_rad: float = 0.0, *, flip: bool = False, zoom: float = 1.0, shift: tuple[float, float] = (0.0, 0.0)
) -> Matrix:
    """Rotate, flip, zoom and shift in stamp coordinates, (2, 3).

    A zoom above 1 shows the galaxy larger; `shift` is in units of the stamp's half-width.
    """
    cosine, sine = np.cos(angle_rad) / zoom, np.sin(angle_rad) / zoom
    mirror = -1.0 if flip else 1.0
    return np.array([[cosine * mirror, -sine, shift[0]], [sine * mirror, cosine, shift[1]]])


def compose(outer: Matrix, inner: Matrix) -> Matrix:
    """Return the matrix that applies `inner` first, then `outer`; both (..., 2, 3)."""
    linear = outer[..., :, :2] @ inner[..., :, :2]
    offset = outer[..., :, :2] @ inner[..., :, 2:] + outer[..., :, 2:]
    return np.concatenate([linear, offset], axis=-1)


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
    stamp: FloatArray = warp_batch([planes], [matrix], size)[0]
    return stamp


def warp_batch(cutouts: Sequence[FloatArray], matrices: Sequence[Matrix], size: int) -> FloatArray:
    """Resample cutouts to stamps, each by its own matrix; faster than one by one.

    Parameters
    ----------
    cutouts
        N arrays (C, H, W), which need not be of one height and width, or one array (N, C, H, W).
    matrices
        (N, 2, 3).
    size
        Side of the stamps in pixels.

    Returns
    -------
    (N, C, size, size) float32, each as from :func:`warp`.
    """
    if len(cutouts) == 0:
        return np.zeros((0, 0, size, size), np.float32)
    stamps = np.zeros((len(cutouts), len(cutouts[0]), size, size), np.float32)
    upright = []
    for planes, matrix, stamp in zip(cutouts, matrices, stamps, strict=True):
        _check(planes, matrix)
        if (view := _upright(matrix, size)) is None:
            stamp[...] = sample(planes, matrix, size)
        elif planes.size:
            upright.append((planes, view, stamp))
    for start in range(0, len(upright), _TOGETHER):
        _average(upright[start : start + _TOGETHER], size)
    return stamps


def _check(planes: FloatArray, matrix: Matrix) -> None:
    if planes.ndim != 3:
        raise ImageError(f"a cutout of shape {planes.shape}: expected planes, rows and columns (C, H, W); add an axis")
    if np.shape(matrix) != (2, 3) or not all(map(math.isfinite, matrix.ravel().tolist())):
        raise ImageError(
            f"a stamp's matrix {np.asarray(matrix).tolist()}: expected 2 × 3 finite numbers; check the position and "
            "the radius that it was made of"
        )


class _Upright(NamedTuple):
    """A view along the cutout's rows and columns."""

    x: float  # cutout pixels under the stamp's centre
    y: float
    across: float  # cutout pixels along x from one stamp pixel to the next
    down: float  # likewise along y
    crossed: bool  # the stamp's rows run along y


def _upright(matrix: Matrix, size: int) -> _Upright | None:
    (xx, xy, x), (yx, yy, y) = matrix.tolist()
    along, aside = max(abs(xx), abs(yy)), max(abs(xy), abs(yx))
    if aside <= _UPRIGHT * along:
        return _Upright(x, y, xx * 2.0 / size, yy * 2.0 / size, crossed=False)
    if along <= _UPRIGHT * aside:
        return _Upright(x, y, xy * 2.0 / size, yx * 2.0 / size, crossed=True)
    return None


def _average(upright: list[tuple[FloatArray, _Upright, FloatArray]], size: int) -> None:
    """Write the exact means over the boxes of upright views into their stamps."""
    axes = [
        axis
        for planes, view, _ in upright
        for axis in ((view.y, abs(view.down), planes.shape[1]), (view.x, abs(view.across), planes.shape[2]))
    ]
    centres, steps, lengths = np.array(axes).T
    middles = centres[:, None] + steps[:, None] * _numbered(size)
    weights = interval_weights(middles, np.maximum(steps, 1.0), lengths.astype(np.intp))
    for i, (planes, view, stamp) in enumerate(upright):
        (rows, down), (columns, across) = weights[2 * i : 2 * i + 2]
        top, left = (_touched(*axis, size) for axis in axes[2 * i : 2 * i + 2])
        out = _oriented(stamp, view)[:, top, left]
        if out.size:
            out[...] = _completed(planes[:, rows, columns], partial(_product, down[top], across[left]))


@shared(maxsize=16)
def _numbered(size: int) -> DoubleArray:
    """Return the places of a stamp's pixels from its middle, (size,)."""
    return np.arange(float(size)) - (size - 1) / 2


def _touched(centre: float, step: float, length: int, size: int) -> slice:
    """Return which of the stamp pixels along one axis lie on an image, at least in part."""
    step, reach = max(step, _LEAST), 0.5 * (length + max(step, 1.0))
    middle = (0.5 * (length - 1) - centre) / step + 0.5 * (size - 1)
    first, last = math.ceil(middle - reach / step), math.floor(middle + reach / step)
    return slice(min(max(first, 0), size), max(min(last + 1, size), 0))


def _product(down: FloatArray, across: FloatArray, planes: FloatArray) -> FloatArray:
    """Multiply planes by the weights of their rows and columns."""
    product: FloatArray = np.matmul(np.matmul(down, planes), across.T)
    return product


def _oriented(stamp: FloatArray, view: _Upright) -> FloatArray:
    """Return a stamp's pixels in the order of the cutout's rows and columns."""
    plain = stamp.swapaxes(1, 2) if view.crossed else stamp
    return plain[:, :: -1 if view.down < 0 else 1, :: -1 if view.across < 0 else 1]


def _completed(window: FloatArray, resample: Callable[[FloatArray], FloatArray]) -> FloatArray:
    """Resample planes that may have missing pixels."""
    planes = np.asarray(window, np.float32)
    there = np.isfinite(planes)
    if there.all():
        return resample(planes)
    missing = ~there
    stamp = resample(np.stack([filled(plane, absent) for plane, absent in zip(planes, missing, strict=True)]))
    stamp[resample(missing.astype(np.float32)) > 0.5] = np.nan
    return stamp


def is_upright(matrix: Matrix) -> bool:
    """Tell whether a view, (2, 3), lies along the cutout's rows and columns, so that its warp is exact."""
    return _upright(matrix, 1) is not None


def subsamples(matrix: Matrix, size: int) -> int:
    """Points per axis that sample every stamp pixel of a view, or of views, (..., 2, 3)."""
    return math.ceil(float(_widths(matrix, size).max()) - 1e-6)


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
    _check(planes, matrix)
    matrix = np.asarray(matrix, np.float64)
    factor = 1 if n else max(1, int(_widths(matrix, size).min() / _COARSEST))
    points, weights = sample_points(matrix / factor, size, n or subsamples(matrix / factor, size))
    reach = np.abs(matrix[:, :2]) @ np.abs(points).max(axis=1)
    rows, columns = (_window(matrix[a, 2], reach[a], planes.shape[2 - a], (MEMORY_PX + 2) * factor) for a in (1, 0))
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return np.zeros((len(planes), size, size), np.float32)
    local = matrix.copy()
    local[:, 2] -= (columns.start + (factor - 1) / 2, rows.start + (factor - 1) / 2)
    return _completed(
        planes[:, rows, columns], lambda window: _sampled(binned(window, factor), local / factor, points, weights)
    )


def sample_points(matrix: Matrix, size: int, n: int) -> tuple[DoubleArray, DoubleArray]:
    """Return stamp coordinates of n points in each stamp pixel along x, then y, (2, size · n), and weights, (2, n)."""
    along_x, along_y = (comb(float(width), n) for width in _widths(matrix, size))
    offsets, weights = np.stack([along_x, along_y], axis=1)
    steps = np.maximum(np.hypot(*matrix[:, :2]), _LEAST)
    middles = (np.arange(size) + 0.5) * (2.0 / size) - 1.0
    points: DoubleArray = middles[:, None] + (offsets / steps[:, None])[:, None, :]
    return points.reshape(2, -1), weights


def _window(centre: float, reach: float, length: int, margin: int) -> slice:
    """Return the pixels along one axis that the stamp and the prefilter's memory reach."""
    low, high = math.floor(centre - reach) - margin, math.ceil(centre + reach) + margin + 1
    return slice(max(low, 0), min(high, length))


def _sampled(planes: FloatArray, matrix: Matrix, points: DoubleArray, weights: DoubleArray) -> FloatArray:
    """Average the interpolants of planes, (C, H, W), over the points in each stamp pixel, (C, S, S)."""
    x, y = (row[0] * points[0] + row[1] * points[1][:, None] + row[2] for row in matrix)
    n = weights.shape[1]
    size = points.shape[1] // n
    fine = np.stack([interpolated(plane, x, y) for plane in planes]).reshape(len(planes), size, n, size, n)
    mean: FloatArray = weights[1].astype(np.float32) @ (fine @ weights[0].astype(np.float32))
    return mean


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
