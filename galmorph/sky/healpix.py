"""HEALPix: in which cell of the sky a position lies, in the nested scheme (Górski et al. 2005, ApJ 622, 759)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["cells_of"]

LongArray = npt.NDArray[np.int64]


def cells_of(ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike, order: int) -> LongArray:
    """Return the nested HEALPix cells, (N,), in which ICRS degrees lie (Górski et al. 2005, section 4).

    Examples
    --------
    >>> cells_of([0.0, 45.0, 45.0], [0.0, 80.0, -80.0], 0).tolist()
    [4, 0, 8]
    """
    side = 1 << order
    turn = np.asarray(ra_deg, np.float64) % 360.0 / 90.0  # quarters
    dec = np.radians(np.asarray(dec_deg, np.float64))
    height = np.sin(dec)
    face, x, y = np.where(np.abs(height) <= 2 / 3, _of_belt(turn, height, side), _of_caps(turn, height, dec, side))
    return np.asarray(face * side**2 + _spread(x) + 2 * _spread(y), np.int64)


def _of_belt(turn: npt.NDArray[np.float64], height: npt.NDArray[np.float64], side: int) -> LongArray:
    """Return face and place on it, (3, N), about the equator."""
    up, down = (np.floor(side * (0.5 + turn + sign * 0.75 * height)).astype(np.int64) for sign in (-1, 1))
    column, row = up // side, down // side
    face = np.where(column == row, column % 4 + 4, np.where(column < row, column % 4, row % 4 + 8))
    return np.stack([face, down % side, side - up % side - 1])


def _of_caps(
    turn: npt.NDArray[np.float64], height: npt.NDArray[np.float64], dec: npt.NDArray[np.float64], side: int
) -> LongArray:
    """Return face and place on it, (3, N), about the poles."""
    quarter = np.minimum(turn.astype(np.int64), 3)
    reach = side * np.cos(dec) * np.sqrt(3 / (1 + np.abs(height)))
    along, back = (
        np.minimum((part * reach).astype(np.int64), side - 1) for part in (turn - quarter, 1 - turn + quarter)
    )
    north = np.stack([quarter, side - back - 1, side - along - 1])
    return np.where(height >= 0, north, np.stack([quarter + 8, along, back]))


def _spread(number: LongArray) -> LongArray:
    """Put a zero between the binary digits of numbers below 2 ** 29."""
    for shift, mask in ((16, 0x0000FFFF0000FFFF), (8, 0x00FF00FF00FF00FF), (4, 0x0F0F0F0F0F0F0F0F),
                        (2, 0x3333333333333333), (1, 0x5555555555555555)):  # fmt: skip
        number = (number | (number << shift)) & mask
    return number
