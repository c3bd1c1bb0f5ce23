"""Warp: raw pixels to stamps, resampled once by one affine matrix.

Every change of view (recentring, Petrosian rescaling, rotation, flip, zoom, shift) is a 2 × 3 matrix that maps
*stamp coordinates*, which run from -1 to 1 over the stamp's edges, to pixels of the cutout. Matrices are composed,
then the cutout is sampled once. Shrinking is weighted by area: cutout pixels are averaged by the whole number that a
stamp pixel surely covers, and a cubic B-spline through those means is taken at n × n points inside each stamp pixel,
with n the smallest number that leaves none out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["binned", "compose", "sample_points", "stamp_matrix", "subsamples", "turn", "warp"]

FloatArray = npt.NDArray[np.float32]
Matrix = npt.NDArray[np.float64]

_MARGIN_PX = 12


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


def subsamples(matrix: Matrix, size: int) -> int:
    """Points per axis inside a stamp pixel so that none is further than one cutout pixel from the next."""
    steps = np.sqrt((matrix[..., :2] ** 2).sum(axis=-2)) * 2.0 / size
    return max(1, int(np.ceil(float(steps.max()) - 1e-6)))


def sample_points(size: int, n: int) -> npt.NDArray[np.float64]:
    """Stamp coordinates of the sample points along one axis, (size · n,)."""
    points: npt.NDArray[np.float64] = (np.arange(float(size * n)) + 0.5) * (2.0 / (size * n)) - 1.0
    return points


def warp(planes: FloatArray, matrix: Matrix, size: int) -> FloatArray:
    """Resample a cutout to a stamp.

    Parameters
    ----------
    planes
        (C, H, W) finite pixels.
    matrix
        (2, 3) from stamp coordinates to cutout pixels.
    size
        Side of the stamp in pixels.

    Returns
    -------
    (C, size, size) float32; zero outside the cutout.

    References
    ----------
    Unser 1999, IEEE Signal Processing Magazine 16, 22 (B-splines).
    """
    stamps = np.zeros((len(planes), size, size), np.float32)
    rows, columns = _window(matrix, 1, planes.shape[1]), _window(matrix, 0, planes.shape[2])
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return stamps
    factor = _bin_factor(matrix, size)
    window = binned(planes[:, rows, columns], factor)
    local = np.array(matrix, dtype=np.float64)
    local[:, 2] -= (columns.start, rows.start)
    local[:, 2] -= (factor - 1) / 2
    local /= factor
    n = subsamples(local, size)
    grid = sample_points(size, n)
    x = local[0, 0] * grid[None, :] + local[0, 1] * grid[:, None] + local[0, 2]
    y = local[1, 0] * grid[None, :] + local[1, 1] * grid[:, None] + local[1, 2]
    for plane, out in zip(window, stamps, strict=True):
        fine = ndimage.map_coordinates(plane, [y, x], output=np.float32, order=3, mode="constant", cval=0.0)
        out[...] = fine.reshape(size, n, size, n).mean(axis=(1, 3)) if n > 1 else fine
    return stamps


def _bin_factor(matrix: Matrix, size: int) -> int:
    """Return the whole number of cutout pixels that a stamp pixel surely covers."""
    steps = np.linalg.svd(matrix[:, :2], compute_uv=False) * 2.0 / size
    return max(1, int(steps.min() + 1e-6))


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


def _window(matrix: Matrix, axis: int, length: int) -> slice:
    """Return the pixels along one axis (0: columns) that the stamp and the prefilter's memory reach."""
    # The prefilter forgets by a factor of 0.27 per pixel: a margin of a dozen leaves 1e-7.
    reach = float(np.abs(matrix[axis, :2]).sum())
    margin = _MARGIN_PX * max(1, int(reach / 32.0))
    low = max(int(np.floor(matrix[axis, 2] - reach)) - margin, 0)
    high = min(int(np.ceil(matrix[axis, 2] + reach)) + margin + 1, length)
    return slice(low, high)
