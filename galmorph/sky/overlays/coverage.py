"""Coverage: which part of the sky was classified, as a multi-order coverage map (IVOA MOC 2.0).

Górski et al. 2005, ApJ 622, 759: HEALPix, nested; Fernique et al. 2022: MOC 2.0.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.io import fits

import galmorph
from galmorph.errors import CatalogError
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.overlays.placed_rows import PlacedRows

__all__ = ["MOC_ORDER", "cells_of", "merged", "write_moc"]

LongArray = npt.NDArray[np.int64]
MOC_ORDER = 13
"""Of the smallest cells: 26 arcsec, about the largest galaxies of deep fields."""


def write_moc(rows: PlacedRows, path: Path, *, overwrite: bool = False) -> float:
    """Write the cells in which rows with an answer lie; return their area in square degrees.

    Raises
    ------
    CatalogError
        If there are none.
    OutputError
        If the file cannot be written.
    """
    chosen = rows.are_placed & rows.are_answered
    if not chosen.any():
        raise CatalogError("no row has a class and a place on the sky: expected some for a MOC; leave --moc out")
    cells = np.unique(cells_of(rows.ra_deg[chosen], rows.dec_deg[chosen], MOC_ORDER))
    column = fits.Column("UNIQ", "K", array=merged(cells, MOC_ORDER))
    table = fits.BinTableHDU.from_columns([column])
    table.header.update(
        {
            "PIXTYPE": ("HEALPIX", "HEALPix cells"),
            "ORDERING": ("NUNIQ", "4 * 4 ** order + number of the nested cell"),
            "COORDSYS": ("C", "ICRS"),
            "MOCVERS": ("2.0", "of the IVOA standard"),
            "MOCDIM": ("SPACE", "what is covered"),
            "MOCORD_S": (MOC_ORDER, "order of the smallest cells"),
            "MOCORDER": (MOC_ORDER, "the same, of MOC 1.1"),
            "MOCTOOL": (f"galmorph {galmorph.__version__}", "what wrote it"),
            "DATE": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime()),
        }
    )
    with replacing(path, overwrite=overwrite) as temporary:
        fits.HDUList([fits.PrimaryHDU(), table]).writeto(temporary, overwrite=True, checksum=True)
    return float(len(cells) * 4 * np.pi * np.degrees(1) ** 2 / (12 * 4**MOC_ORDER))


def merged(cells: LongArray, order: int) -> LongArray:
    """Return the NUNIQ numbers of nested cells of one order, (N,), four of them as one where all are there; sorted."""
    numbers = []
    while order > 0:
        parents, counts = np.unique(cells >> 2, return_counts=True)
        whole = parents[counts == 4]
        numbers.append(4 * 4**order + cells[~np.isin(cells >> 2, whole)])
        cells, order = whole, order - 1
    return np.sort(np.concatenate([*numbers, 4 + cells]))


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
