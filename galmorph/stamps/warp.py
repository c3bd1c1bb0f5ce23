"""Warp: raw pixels to stamps, resampled once by one affine matrix.

Every change of view (recentring, Petrosian rescaling, rotation, flip, zoom, shift) is a 2 × 3 matrix that maps
*stamp coordinates*, which run from -1 to 1 over the stamp's edges, to pixels of the cutout. Matrices are composed,
then the cutout is sampled once: a cubic B-spline at n × n points inside each stamp pixel, averaged, with n the
smallest number that leaves no cutout pixel out (so that shrinking is weighted by area).
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy import ndimage

__all__ = ["compose", "sample_points", "stamp_matrix", "subsamples", "turn", "warp"]

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
    n = subsamples(matrix, size)
    grid = sample_points(size, n)
    x = matrix[0, 0] * grid[None, :] + matrix[0, 1] * grid[:, None] + matrix[0, 2]
    y = matrix[1, 0] * grid[None, :] + matrix[1, 1] * grid[:, None] + matrix[1, 2]
    rows, columns = _window(y, planes.shape[1]), _window(x, planes.shape[2])
    stamps = np.empty((len(planes), size, size), np.float32)
    if rows.stop <= rows.start or columns.stop <= columns.start:
        return np.zeros_like(stamps)
    at = np.stack([y - rows.start, x - columns.start])
    for plane, out in zip(planes, stamps, strict=True):
        fine = ndimage.map_coordinates(
            plane[rows, columns], at, output=np.float32, order=3, mode="constant", cval=0.0, prefilter=True
        )
        out[...] = fine.reshape(size, n, size, n).mean(axis=(1, 3)) if n > 1 else fine
    return stamps


def _window(coordinate: npt.NDArray[np.float64], length: int) -> slice:
    # The prefilter's memory fades by 0.27 per pixel: a margin of a dozen leaves 1e-7.
    low = max(int(np.floor(coordinate.min())) - _MARGIN_PX, 0)
    high = min(int(np.ceil(coordinate.max())) + _MARGIN_PX + 1, length)
    return slice(low, high)
