"""Affine: the 2 × 3 matrices that map the coordinates of a stamp, -1 to 1 over its edges, to pixels of a cutout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["Matrix", "compose", "stamp_matrix", "turn"]

Matrix = npt.NDArray[np.float64]


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
