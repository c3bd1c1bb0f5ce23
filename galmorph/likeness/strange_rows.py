"""StrangeRows: the rows of a table from the strangest to the most usual, or as marks of a user say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError
from galmorph.likeness.open_features import Ranked
from galmorph.likeness.row_names import RowNames, listed
from galmorph.likeness.strangeness import Strangeness, fit_strangeness
from galmorph.likeness.vectors import Vectors, check_same_model, read_vectors
from galmorph.sky.catalog import Catalog, Column

__all__ = ["ranked_by_strangeness"]

IntArray = npt.NDArray[np.intp]


def ranked_by_strangeness(
    catalog: Catalog,
    name: str | Sequence[str] | None = None,
    *,
    odd: Sequence[Any] | str | int = (),
    usual: Sequence[Any] | str | int = (),
    reference: Catalog | None = None,
    number: int | None = None,
    prefix: str = "gm_",
) -> Ranked:
    """Rank the rows of a catalogue; the arguments and errors are those of :func:`galmorph.outliers`."""
    if number is not None and number < 1:
        raise CatalogError(f"{number} rows were asked for: expected 1 or more; leave it out for all")
    usual_rows = None if reference is None else read_vectors(reference, name)
    # Columns that are joined have the units of what is usual, so that one row is strange whatever comes with it.
    vectors = read_vectors(catalog, name, units=() if usual_rows is None else usual_rows.units)
    strangeness = fit_strangeness(_reference(vectors, reference, usual_rows))
    shares = strangeness.share(vectors.values, is_own=reference is None)
    order, columns = shares, [_strangeness_column(catalog, vectors, shares, prefix)]
    if (names := RowNames(catalog, vectors)) and (len(listed(odd)) or len(listed(usual))):
        marks = names.places(listed(odd)), names.places(listed(usual))
        order = _oddness(strangeness, vectors, marks).astype(np.float32)
        columns.insert(0, _spread(catalog, vectors, order, f"{prefix}oddness", "Expected mark: 1 odd, -1 usual"))
    everywhere = np.full(len(catalog), -np.inf)
    everywhere[vectors.rows] = order
    rows = np.argsort(-everywhere, kind="stable")[:number]
    return Ranked(catalog, rows, tuple(_taken(column, rows) for column in columns))


def _reference(vectors: Vectors, reference: Catalog | None, usual: Vectors | None) -> npt.NDArray[np.float32]:
    """Return the vectors of what is usual."""
    if reference is None or usual is None:
        return vectors.values
    theirs = usual.values
    if theirs.shape[1] != vectors.values.shape[1]:
        raise CatalogError(
            f"reference '{reference.title}' has {theirs.shape[1]} numbers in each row and the table "
            f"{vectors.values.shape[1]}: expected features of the same checkpoint; embed both by it"
        )
    check_same_model(f"reference '{reference.title}'", usual.model, vectors)
    return theirs


def _oddness(strangeness: Strangeness, vectors: Vectors, marks: tuple[IntArray, IntArray]) -> npt.NDArray[np.float64]:
    odd, usual = marks
    if twice := set(odd.tolist()) & set(usual.tolist()):
        row = int(vectors.rows[min(twice)])
        raise CatalogError(f"row number {row} is marked as odd and as usual: expected one of both; leave it out of one")
    return strangeness.marked(vectors.values, odd, usual)


def _strangeness_column(catalog: Catalog, vectors: Vectors, shares: npt.NDArray[np.float32], prefix: str) -> Column:
    what = f"Share of the reference rows that are less strange, by {vectors.name}"
    return _spread(catalog, vectors, shares, f"{prefix}strangeness", what)


def _spread(catalog: Catalog, vectors: Vectors, values: npt.NDArray[np.float32], name: str, what: str) -> Column:
    """Return a column of all rows, NaN where a row has no vector."""
    everywhere = np.full(len(catalog), np.nan, np.float32)
    everywhere[vectors.rows] = values
    return Column(name, everywhere, "", what, "stat.value")


def _taken(column: Column, rows: IntArray) -> Column:
    return Column(column.name, column.values[rows], column.unit, column.description, column.ucd)
