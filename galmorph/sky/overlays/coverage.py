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
from galmorph.sky.healpix import cells_of
from galmorph.sky.overlays.placed_rows import PlacedRows

__all__ = ["MOC_ORDER", "merged", "write_moc"]

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
