"""CatalogInput: which catalogue is asked for, and which of its columns say where its sources are."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Catalog, catalog_from, read_catalog

__all__ = ["CatalogInput", "ColumnNames", "is_frame"]


@dataclass(frozen=True)
class ColumnNames:
    """Names of columns that are asked for; those that are None are found by their UCDs and usual names.

    Parameters
    ----------
    ra, dec
        Of right ascension and declination.
    x, y
        Of positions in pixels.
    id
        Of the names of rows.
    file
        Of the names of display stamps.
    """

    ra: str | None = None
    dec: str | None = None
    x: str | None = None
    y: str | None = None
    id: str | None = None
    file: str | None = None


@dataclass(frozen=True)
class CatalogInput:
    """A catalogue that is asked for; it can be pickled, and is read by :meth:`open`.

    Parameters
    ----------
    catalog
        A file (FITS, VOTable, ECSV, CSV, Parquet), an astropy table, a pandas frame, or a catalogue that was read.
    hdu
        Number or name of the table in a FITS file or VOTable; by default the first one.
    columns
        Columns that are not called as usual.
    """

    catalog: Any
    hdu: int | str | None = None
    columns: ColumnNames = ColumnNames()

    def open(self) -> Catalog:
        """Read the catalogue; one that was read is returned as it is.

        Raises
        ------
        CatalogError
            If it cannot be read, has no positions, or is said to have an HDU or columns where that does not apply.
        """
        catalog = self._catalog()
        for name in (catalog.ra_column, catalog.dec_column, catalog.x_column, catalog.y_column, catalog.file_column):
            if name is not None and np.ndim(catalog.table[name]) > 1:
                raise CatalogError(
                    f"Catalog '{catalog.title}': column '{name}' has several values in each row, a position has one. "
                    "Name another column."
                )
        return catalog

    def _catalog(self) -> Catalog:
        names = asdict(self.columns)
        if isinstance(self.catalog, str | Path):
            return read_catalog(self.catalog, hdu=self.hdu, **names)
        if self.hdu is not None:
            raise CatalogError(
                f"hdu {self.hdu!r} was given for a catalogue that is in memory: expected one for a file; leave it out"
            )
        if isinstance(self.catalog, Catalog):
            return self._opened(self.catalog)
        if isinstance(self.catalog, Table) or is_frame(self.catalog):
            return catalog_from(self.catalog, **names)
        raise CatalogError(
            f"catalog of type {type(self.catalog).__name__}: expected a path, an astropy table, a pandas frame or a "
            "Catalog; give one of these"
        )

    def _opened(self, catalog: Catalog) -> Catalog:
        named = {role: name for role, name in asdict(self.columns).items() if name is not None}
        if named:
            role, name = next(iter(named.items()))
            raise CatalogError(
                f"column {role} = '{name}' was given for a catalogue that was read before: its columns are chosen when "
                "it is read; name them there, or give the file or table"
            )
        return catalog


def is_frame(table: Any) -> bool:
    """Tell whether this is a pandas frame."""
    # pandas takes half a second to import, and whoever gives a frame has done so.
    return type(table).__name__ == "DataFrame" and type(table).__module__.startswith("pandas")
