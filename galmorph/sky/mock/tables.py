"""Columns: units, UCDs and descriptions of the two tables of a simulated field, and how FITS keeps them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from astropy.io import fits
from astropy.table import Table

__all__ = ["described", "table_hdus"]

_SIZE = "phys.angSize;src.morph"
_VOTE = "stat.probability;src.morph.type"

_COLUMNS: dict[str, tuple[str, str, str]] = {
    "id": ("", "meta.id;meta.main", "Number of the source"),
    "ra": ("deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)"),
    "dec": ("deg", "pos.eq.dec;meta.main", "Declination (ICRS)"),
    "x": ("pix", "pos.cartesian.x;instr.det", "Pixel column, 0 at the centre of the first"),
    "y": ("pix", "pos.cartesian.y;instr.det", "Pixel row, 0 at the centre of the first"),
    "type": ("", "src.morph.type", "Simulated kind of source"),
    "f_spheroid": ("", _VOTE, "Expected fraction of votes for spheroid"),
    "f_disk": ("", _VOTE, "Expected fraction of votes for disk"),
    "f_irregular": ("", _VOTE, "Expected fraction of votes for irregular"),
    "f_point_source": ("", _VOTE, "Expected fraction of votes for point source"),
    "f_unclassifiable": ("", _VOTE, "Expected fraction of votes for unclassifiable"),
    "mag": ("mag", "phot.mag", "Total AB magnitude in the reference band"),
    "r_e_arcsec": ("arcsec", _SIZE, "Half-light semi-major axis before the PSF; 0: star"),
    "r50_arcsec": ("arcsec", _SIZE, "Circular radius of half of the flux within 2 rpet"),
    "rpet_arcsec": ("arcsec", _SIZE, "Petrosian radius after the PSF: SDSS, circular, eta=0.2"),
    "axis_ratio": ("", "phys.size.axisRatio", "Minor over major axis of the main body"),
    "pa_deg": ("deg", "pos.posAng", "Position angle of the major axis, east of north"),
    "n": ("", "src.morph.param", "Sersic index of the main body"),
    "bulge_share": ("", "phot.flux;arith.ratio", "Part of the flux in a bulge"),
    "snr": ("", "stat.snr", "Signal-to-noise ratio within the Petrosian radius"),
}
_DOUBLE = {"ra", "dec", "x", "y"}


def described(values: Mapping[str, npt.ArrayLike]) -> Table:
    """Make a table of `values`, one array a column, with units, descriptions and UCDs (in ``info.meta``)."""
    table = Table()
    for name, cells in values.items():
        array = np.asarray(cells)
        table[name] = array.astype(np.float32) if array.dtype == float and name not in _DOUBLE else array
        unit, ucd, description = _COLUMNS.get(name) or _band_magnitude(name)
        table[name].info.unit = unit or None
        table[name].info.description = description
        table[name].info.meta = {"ucd": ucd}
    return table


def _band_magnitude(name: str) -> tuple[str, str, str]:
    return "mag", "phot.mag", f"Total AB magnitude in {name.removeprefix('mag_')}"


def table_hdus(table: Table, name: str) -> fits.HDUList:
    """Make FITS of a table so that other programs see descriptions and UCDs: TCOMM and TUCD beside TUNIT."""
    bare = table.copy()
    bare.meta = {}
    for column in bare.itercols():
        column.info.description, column.info.meta = None, {}
    hdu = fits.table_to_hdu(bare, character_as_bytes=True)
    hdu.name = name
    for number, column in enumerate(table.itercols(), start=1):
        hdu.header[f"TCOMM{number}"] = column.info.description
        hdu.header[f"TUCD{number}"] = column.info.meta["ucd"]
    hdu.header.update(table.meta)
    return fits.HDUList([fits.PrimaryHDU(), hdu])
