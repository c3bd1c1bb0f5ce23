"""CatalogInput: which catalogue is asked for, and which of its columns say where its sources are."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace

import numpy as np

from galmorph.errors import CatalogError
from galmorph.sky.archives.vizier_table import VizierTable, is_of_vizier
from galmorph.sky.catalog import Catalog, catalog_from, read_catalog
from galmorph.sky.remote import Client
from galmorph.sky.roles import USUAL_NAMES, ColumnNames
from galmorph.sky.table_like import TableLike

__all__ = ["CatalogInput", "ColumnNames"]


@dataclass(frozen=True)
class CatalogInput:
    """A catalogue that is asked for; it can be pickled, and is read by :meth:`open`.

    Parameters
    ----------
    catalog
        A file (FITS, VOTable, ECSV, CSV, Parquet) or folder (HATS), a table of VizieR (see
        :mod:`galmorph.sky.archives.vizier_table`), what a script holds (see :mod:`galmorph.sky.table_like`), or a
        catalogue that was read.
    hdu
        Number or name of the table in a FITS file, an HDUList or a VOTable; by default the first one.
    columns
        Columns that are not called as usual.
    """

    catalog: str | os.PathLike[str] | Catalog | TableLike
    hdu: int | str | None = None
    columns: ColumnNames = USUAL_NAMES

    def open(self, *, offline: bool = False, positions: bool = True) -> Catalog:
        """Read the catalogue; one that was read is returned as it is.

        Parameters
        ----------
        offline
            Whether nothing is fetched: a table of VizieR must be in the cache.
        positions
            Whether rows must have positions.

        Raises
        ------
        CatalogError
            If it cannot be read, has no positions, or is said to have an HDU or columns where that does not apply.
        ArchiveError
            If it is a table of VizieR that cannot be had.
        """
        catalog = self._catalog(offline=offline, positions=positions)
        for name in (catalog.ra_column, catalog.dec_column, catalog.x_column, catalog.y_column, catalog.file_column):
            if name is not None and np.ndim(catalog.stored.head[name]) > 1:
                raise CatalogError(
                    f"Catalog '{catalog.title}': column '{name}' has several values in each row, a position has one. "
                    "Name another column."
                )
        return catalog

    def _catalog(self, *, offline: bool, positions: bool) -> Catalog:
        if isinstance(self.catalog, str) and is_of_vizier(self.catalog):
            path = VizierTable.read(self.catalog).fetched(Client(offline=offline))
            return replace(
                read_catalog(path, hdu=self.hdu, **asdict(self.columns), positions=positions), source=self.catalog
            )
        if isinstance(self.catalog, str | os.PathLike):
            return read_catalog(os.fspath(self.catalog), hdu=self.hdu, **asdict(self.columns), positions=positions)
        if not isinstance(self.catalog, Catalog):
            return catalog_from(self.catalog, hdu=self.hdu, columns=self.columns, positions=positions)
        self._check_nothing_asked()
        return self.catalog

    def _check_nothing_asked(self) -> None:
        asked = {"hdu": self.hdu, **{f"column {role}": name for role, name in asdict(self.columns).items()}}
        for what, value in asked.items():
            if value is not None:
                raise CatalogError(
                    f"{what} = {value!r} was given for a catalogue that was read before: it is chosen when a table is "
                    "read; name it there, or give the file or table"
                )
