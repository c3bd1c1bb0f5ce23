"""TableLike: catalogues that a script holds in memory, each as an astropy table."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from astropy import units as u
from astropy.io import fits
from astropy.table import QTable, Table

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.formats.fits import table_of

__all__ = ["ACCEPTED", "TableLike", "as_table", "is_frame", "table_numbers"]

TableLike: TypeAlias = Any
"""What may stand for a table, as :data:`ACCEPTED` says: astropy and pandas, whose it is, have no types here."""
ACCEPTED = "an astropy table, a SkyCoord, a table HDU or an HDUList of FITS, a structured array or a pandas frame"
"""What may stand for a table, in words."""


def as_table(catalog: TableLike, hdu: int | str | None = None) -> Table:
    """Return a catalogue as an astropy table of its own, whose columns may be shared.

    Parameters
    ----------
    catalog
        See :data:`ACCEPTED`. A SkyCoord becomes a QTable with columns ra and dec.
    hdu
        Number or name of the table in an HDUList.

    Raises
    ------
    CatalogError
        If it is no such thing, or an HDU is asked for where there is but one.
    """
    if isinstance(catalog, fits.HDUList):
        return _of_hdu(_chosen(catalog, hdu))
    if hdu is not None:
        raise CatalogError(
            f"hdu {hdu!r} was given for a catalogue that is in memory: expected one for a file or an HDUList; leave it "
            "out"
        )
    if isinstance(catalog, Table):
        return catalog.copy(copy_data=False)
    if is_frame(catalog):
        return _of_frame(catalog)
    if isinstance(catalog, fits.BinTableHDU | fits.TableHDU):
        return _of_hdu(catalog)
    if isinstance(catalog, np.ndarray) and catalog.dtype.names:
        return Table(catalog, copy=False)
    if hasattr(catalog, "transform_to"):
        return _of_coordinates(catalog)
    raise CatalogError(f"catalog of type {type(catalog).__name__}: expected a path, {ACCEPTED}; give one of these")


def table_numbers(catalog: TableLike) -> list[int]:
    """List the numbers of the tables in an HDUList; none for anything else."""
    if not isinstance(catalog, fits.HDUList):
        return []
    return [number for number, each in enumerate(catalog) if isinstance(each, fits.BinTableHDU | fits.TableHDU)]


def is_frame(catalog: Any) -> bool:
    """Tell whether this is a pandas frame."""
    # pandas takes half a second to import, and whoever gives a frame has done so.
    return type(catalog).__name__ == "DataFrame" and type(catalog).__module__.startswith("pandas")


def _of_frame(frame: Any) -> Table:
    if frame.columns.nlevels > 1:
        raise CatalogError(
            f"a pandas frame with {frame.columns.nlevels} levels of column names was given as catalogue: expected one; "
            "join them"
        )
    names = [str(name) for name in frame.columns]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise CatalogError(
            f"a pandas frame with several columns {', '.join(map(repr, twice))} was given as catalogue: expected names "
            "of their own; rename them"
        )
    return Table.from_pandas(frame.rename(columns=str))


def _of_hdu(hdu: Any) -> Table:
    # Reading masks and decodes in place; the caller's header and columns stay as they are.
    return table_of(hdu.copy())


def _chosen(hdus: fits.HDUList, hdu: int | str | None) -> Any:
    """Return the table of an HDUList that is meant."""
    tables = {number: hdus[number] for number in table_numbers(hdus)}
    if not tables:
        raise CatalogError("an HDUList without a table was given as catalogue: expected the one that lists the sources")
    if hdu is None:
        return next(iter(tables.values()))
    named = [each for number, each in tables.items() if hdu in (number, each.name) or str(hdu).upper() == each.name]
    if not named:
        choices = [f"{number} ({each.name})" if each.name else str(number) for number, each in tables.items()]
        raise CatalogError(f"HDUList given as catalogue: {unknown_name('table HDU', str(hdu), choices)}")
    return named[0]


def _of_coordinates(coordinates: Any) -> Table:
    """Return positions as columns, in the order of the coordinates."""
    sky = getattr(coordinates, "icrs", None)  # which coordinates lack that cannot be transformed
    if sky is None:
        raise CatalogError(
            f"coordinates in the frame '{coordinates.name}' were given as catalogue: expected a SkyCoord on the "
            "sky (ICRS, FK5, Galactic); transform them"
        )
    ra, dec = np.ravel(sky.ra.deg), np.ravel(sky.dec.deg)
    return QTable({"ra": ra * u.deg, "dec": dec * u.deg})
