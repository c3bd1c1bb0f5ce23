"""OpenFeatures: a table whose vectors are laid out in memory, to be asked again and again which rows are alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError, unknown_name
from galmorph.likeness.duplicates import groups_above
from galmorph.likeness.examples import logistic, rocchio
from galmorph.likeness.feature_space import FeatureSpace, fit_space
from galmorph.likeness.nearest_rows import Neighbours, neighbours_of
from galmorph.likeness.row_names import RowNames, listed
from galmorph.likeness.vectors import Vectors, read_vectors
from galmorph.sky.catalog import Catalog, Column, Provenance, append
from galmorph.sky.formats.stored import HeldTable

__all__ = ["WAYS", "OpenFeatures", "Ranked", "open_vectors"]

Single = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

WAYS = ("rocchio", "logistic")
"""How examples become a direction."""


@dataclass(frozen=True)
class Ranked:
    """Rows of a catalogue in an order of their own, with new columns.

    Parameters
    ----------
    catalog
        Whose rows they are.
    rows
        (K,) their numbers.
    columns
        New columns, (K,) each.
    """

    catalog: Catalog
    rows: IntArray
    columns: tuple[Column, ...]

    @property
    def some(self) -> Catalog:
        """A catalogue in memory of these rows."""
        table = self.catalog.table[self.rows]
        table.meta = dict(self.catalog.table.meta)
        return replace(self.catalog, stored=HeldTable(table), path=None, hdu=None, format="memory", stamp=None)

    @property
    def table(self) -> Table:
        """These rows with the new columns."""
        return append(self.some, self.columns, Provenance())


@dataclass(frozen=True)
class OpenFeatures:
    """A table whose vectors are laid out in memory.

    Parameters
    ----------
    catalog
        The table.
    vectors
        Those of its rows that have one.
    space
        How they are looked at.
    neighbours
        What finds rows by direction.
    units
        (M, D) directions of the rows that have a vector.
    """

    catalog: Catalog
    vectors: Vectors
    space: FeatureSpace
    neighbours: Neighbours
    units: Single

    def __len__(self) -> int:
        """Return the number of rows that can be like others."""
        return len(self.vectors)

    @cached_property
    def _names(self) -> RowNames:
        return RowNames(self.catalog, self.vectors)

    def similar(
        self,
        to: Sequence[Any] | str | int = (),
        *,
        at: Sequence[str] | str = (),
        unlike: Sequence[Any] | str | int = (),
        number: int = 20,
        by: str = "rocchio",
        prefix: str = "gm_",
    ) -> Ranked:
        """Find the rows most like some, and unlike others, none of which is among them.

        Parameters
        ----------
        to, unlike
            Names of rows: what the id column says, or the column of files, or else numbers from 0.
        at
            Positions, each of which means the nearest row within 5 arcsec: further examples.
        number
            How many rows are wanted.
        by
            One of :data:`WAYS`.
        prefix
            Of the new columns.

        Raises
        ------
        CatalogError
            If a row is unknown, has no vector, or nothing is to be found.
        """
        if by not in WAYS:
            raise CatalogError(unknown_name("way to learn from examples", by, WAYS))
        if number < 1:
            raise CatalogError(f"{number} rows were asked for: expected 1 or more")
        names = self._names
        liked = np.concatenate([names.places(listed(to)), names.places_at(listed(at))])
        disliked = names.places(listed(unlike))
        if not len(liked):
            raise CatalogError("no row was named that others should be like: name some by --to, or positions by --at")
        direction = self._direction(self.units[liked], self.units[disliked], by)
        shown = np.union1d(liked, disliked)
        places, products = self.neighbours.nearest(direction, number + len(shown))
        new = ~np.isin(places, shown)
        return self._ranked(places[new][:number], products[new][:number], prefix)

    def duplicates(self, above: float, *, prefix: str = "gm_") -> Ranked:
        """Find groups of rows each of which is as like another as this: the same galaxy twice, the same artefact.

        Parameters
        ----------
        above
            Cosine, from 0 to 1, of the angle between two rows.
        prefix
            Of the new columns.

        Raises
        ------
        CatalogError
            If it is no such cosine.
        """
        if not 0.0 < above <= 1.0:
            raise CatalogError(f"duplicates above {above:g}: expected a likeness between 0 and 1, such as 0.98")
        places, groups, products = groups_above(self.units, above)
        columns = (
            Column(f"{prefix}group", groups.astype(np.int32), "", "Rows alike have one number", "meta.id.group"),
            Column(f"{prefix}similarity", products, "", "Likeness to the most alike of the group", "stat.value"),
        )
        return Ranked(self.catalog, self.vectors.rows[places], columns)

    def _direction(self, liked: Single, disliked: Single, by: str) -> Single:
        if by == "logistic":
            return logistic(liked, disliked, self.units)
        return rocchio(liked, disliked)

    def _ranked(self, places: IntArray, products: Single, prefix: str) -> Ranked:
        what = f"Likeness to the examples: cosine in the space of {self.vectors.name}"
        columns = (
            Column(f"{prefix}rank", np.arange(1, len(places) + 1, dtype=np.int32), "", "1 is most alike", "meta.id"),
            Column(f"{prefix}similarity", products.astype(np.float32), "", what, "stat.value"),
        )
        return Ranked(self.catalog, self.vectors.rows[places], columns)


def open_vectors(
    catalog: Catalog,
    name: str | Sequence[str] | None = None,
    *,
    whiten: bool = False,
    dimensions: int | None = None,
    exact: bool | None = None,
) -> OpenFeatures:
    """Read the vectors of a table and lay them out; the arguments and errors are those of what does it."""
    vectors = read_vectors(catalog, name)
    space = fit_space(vectors.values, whiten=whiten, dimensions=dimensions)
    units = space.units(vectors.values)
    return OpenFeatures(catalog, vectors, space, neighbours_of(units, exact=exact), units)
