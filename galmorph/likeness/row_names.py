"""RowNames: what a user calls the rows of a table, and where among its vectors they are."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError
from galmorph.likeness.vectors import Vectors
from galmorph.sky.angles import position_degrees
from galmorph.sky.catalog import Catalog
from galmorph.sky.healpix import separations_deg

__all__ = ["RowNames", "listed"]

log = logging.getLogger(__name__)

IntArray = npt.NDArray[np.intp]

_AT_ARCSEC = 5.0
"""A position means the nearest row within so much."""


@dataclass(frozen=True)
class RowNames:
    """What rows are called.

    Parameters
    ----------
    catalog
        The table.
    vectors
        Of those of its rows that have one.
    """

    catalog: Catalog
    vectors: Vectors

    def places(self, names: Sequence[Any]) -> IntArray:
        """Return where among the vectors rows are, (K,), by the id column, files of stamps, or numbers from 0.

        Raises
        ------
        CatalogError
            If there is no such row, or it has no vector.
        """
        return np.array([self._place(str(name)) for name in names], np.intp)

    def places_at(self, positions: Sequence[str]) -> IntArray:
        """Return where among the vectors the rows nearest to positions are, (K,).

        Raises
        ------
        CatalogError
            If one is no position, or has no row with a vector within 5 arcsec.
        """
        return np.array([self._place_at(text) for text in positions], np.intp)

    @cached_property
    def _rows(self) -> dict[str, int]:
        """Numbers of the rows by id, else by file; the first of several."""
        rows: dict[str, int] = {}
        for names in (self.catalog.ids.tolist(), self.catalog.files or []):
            for row, name in enumerate(names):
                rows.setdefault(name, row)
        return rows

    def _place(self, name: str) -> int:
        if name not in self._rows:
            what = f"a value of '{self.catalog.id_column}'" if self.catalog.id_column else "the number of a row"
            raise CatalogError(
                f"Catalog '{self.catalog.title}' has no row '{name}': expected {what}; name another column by --id"
            )
        if (count := int(np.count_nonzero(self.catalog.ids == name))) > 1:
            log.warning(
                "Catalog '%s': %d rows are called '%s', of which the first is meant", self.catalog.title, count, name
            )
        row = self._rows[name]
        place = int(np.searchsorted(self.vectors.rows, row))
        if place == len(self.vectors) or self.vectors.rows[place] != row:
            raise CatalogError(
                f"row '{name}' of catalog '{self.catalog.title}' has no numbers in '{self.vectors.name}', expected one "
                "with some: choose another; its flags say why"
            )
        return place

    def _place_at(self, text: str) -> int:
        ra, dec = position_degrees(text)
        rows = self.vectors.rows
        away = separations_deg(ra, dec, self.catalog.ra_deg[rows], self.catalog.dec_deg[rows]) * 3600
        nearest = int(np.nanargmin(away)) if np.isfinite(away).any() else -1
        if nearest < 0 or away[nearest] > _AT_ARCSEC:
            raise CatalogError(
                f"catalog '{self.catalog.title}' has no row with '{self.vectors.name}' within {_AT_ARCSEC:g} arcsec of "
                f"'{text}': expected one there; name a row instead"
            )
        return nearest


def listed(names: Sequence[Any] | str | int) -> list[Any]:
    """Return names as a list, also a single one."""
    return [names] if isinstance(names, str | int | np.integer) else list(names)
