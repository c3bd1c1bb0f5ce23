"""HEALPix: in which cell of the sky a position lies, in the nested scheme (Górski et al. 2005, ApJ 622, 759)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["DEEPEST", "cells_of", "centres_of", "ranges_within", "separations_deg"]

FloatArray = npt.NDArray[np.float64]
LongArray = npt.NDArray[np.int64]

DEEPEST = 29
"""Order of the smallest cells that 64 bits number, of half a milliarcsecond."""
_FINE = 4
"""Cells of a cone are divided until their radii are so many times smaller than that of the cone."""
_ROUNDING_DEG = 1e-9


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


def centres_of(cells: npt.ArrayLike, order: int) -> tuple[FloatArray, FloatArray]:
    """Return the centres of nested cells in degrees, each (N,) (Górski et al. 2005, equations 4 to 9).

    Examples
    --------
    >>> [values.round(3).tolist() for values in centres_of([4, 0], 0)]
    [[0.0, 45.0], [0.0, 41.81]]
    """
    side, number = 1 << order, np.asarray(cells, np.int64)
    face, x, y = number >> 2 * order, _gathered(number & (side**2 - 1)), _gathered((number & (side**2 - 1)) >> 1)
    ring = (face // 4 + 2) * side - x - y - 1
    cap = np.minimum(np.minimum(ring, 4 * side - ring), side)  # cells of a quarter of the ring
    polar = 1 - (cap / side) ** 2 / 3
    height = np.where(ring < side, polar, np.where(ring > 3 * side, -polar, (2 * side - ring) * 2 / (3 * side)))
    first = np.where(face // 4 == 1, 2 * (face % 4), 2 * (face % 4) + 1)
    along = (first * cap + x - y) % (8 * cap)
    return along / cap * 45.0, np.degrees(np.arcsin(height))


def ranges_within(ra_deg: float, dec_deg: float, radius_deg: float) -> list[tuple[int, int]]:
    """Return ranges of cells of the deepest order, first and last, that hold every position within a cone; and more.

    Examples
    --------
    >>> len(ranges_within(0.0, 90.0, 180.0))
    1
    """
    cells, order = np.arange(12), 0
    while True:
        reach = _largest_radius_deg(order)
        cells = cells[separations_deg(ra_deg, dec_deg, *centres_of(cells, order)) <= radius_deg + reach]
        if order == DEEPEST or reach * _FINE <= radius_deg or radius_deg >= 180.0:
            return _joined(np.sort(cells), DEEPEST - order)
        cells, order = (cells[:, None] * 4 + np.arange(4)).ravel(), order + 1


def _joined(cells: LongArray, steps: int) -> list[tuple[int, int]]:
    """Join neighbours in the numbering, and number them as cells so many orders deeper."""
    breaks = np.flatnonzero(np.diff(cells) > 1)
    firsts, lasts = cells[np.r_[0, breaks + 1]], cells[np.r_[breaks, -1]]
    return [(int(a) << 2 * steps, ((int(b) + 1) << 2 * steps) - 1) for a, b in zip(firsts, lasts, strict=True)]


def _largest_radius_deg(order: int) -> float:
    """Return how far the corner of a cell may be from its centre; the longest is where belt and caps meet."""
    side = 1 << order
    corner = np.degrees(np.arcsin(1 - (1 - 1 / side) ** 2 / 3))
    farthest = separations_deg(45.0 / side, float(np.degrees(np.arcsin(2 / 3))), np.zeros(1), np.array([corner]))
    return float(farthest[0]) + _ROUNDING_DEG


def separations_deg(ra0: float, dec0: float, ra_deg: FloatArray, dec_deg: FloatArray) -> FloatArray:
    """Return great-circle distances, (N,), by the haversine formula, which is exact for small ones."""
    half_ra, dec = np.radians(ra_deg - ra0) / 2, np.radians(dec_deg)
    half_dec = (dec - np.radians(dec0)) / 2
    part = np.sin(half_dec) ** 2 + np.cos(dec) * np.cos(np.radians(dec0)) * np.sin(half_ra) ** 2
    distances: FloatArray = np.degrees(2 * np.arcsin(np.sqrt(np.clip(part, 0.0, 1.0))))
    return distances


def _gathered(number: LongArray) -> LongArray:
    """Put every second binary digit beside each other: the inverse of `_spread`."""
    number = number & 0x5555555555555555
    for shift, mask in ((1, 0x3333333333333333), (2, 0x0F0F0F0F0F0F0F0F), (4, 0x00FF00FF00FF00FF),
                        (8, 0x0000FFFF0000FFFF), (16, 0x00000000FFFFFFFF)):  # fmt: skip
        number = (number | (number >> shift)) & mask
    return number
