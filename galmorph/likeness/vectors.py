"""Vectors: a column of a table with so many numbers in each row, such as the features of a checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.plain import as_text

__all__ = ["Vectors", "check_same_model", "joined", "read_vectors", "unit_of", "vector_column"]

_USUAL = "features"
"""How the name of the column ends that is meant where nobody names one: ``gm_features``."""
_AT_ONCE = 65_536


@dataclass(frozen=True)
class Vectors:
    """The vectors of those rows of a table that have one.

    Parameters
    ----------
    name
        Of the column.
    rows
        (M,) numbers of the rows, rising.
    values
        (M, F) finite numbers.
    units
        Of several columns that are joined the number by which those of each were divided.
    model
        What made them, as the table says; '' where it does not.
    """

    name: str
    rows: npt.NDArray[np.intp]
    values: npt.NDArray[np.float32]
    units: tuple[float, ...] = ()
    model: str = ""

    def __len__(self) -> int:
        """Return the number of rows that have a vector."""
        return len(self.rows)


def vector_column(table: Table, name: str | None = None, title: str = "in memory") -> str:
    """Return the name of the column of vectors: the one named, else the one called ``...features``, else the only one.

    Raises
    ------
    CatalogError
        If there is no such column, or it has one number in each row.
    """
    columns = [str(each) for each in table.colnames if _is_vector(table[each])]
    if name is not None:
        if name not in table.colnames:
            raise CatalogError(f"Catalog '{title}': {unknown_name('column', name, columns or table.colnames)}")
        if name not in columns:
            raise CatalogError(
                f"Catalog '{title}': column '{name}' has no numbers of the same length in all rows, expected a vector "
                "in each; name one as galmorph embed makes"
            )
        return name
    usual = [each for each in columns if each.endswith(_USUAL)] or columns
    if len(usual) != 1:
        there = f"several ({', '.join(usual)})" if usual else "none"
        raise CatalogError(
            f"Catalog '{title}' should have a column of vectors and has {there}: add one with galmorph embed, or name "
            "it with --features"
        )
    return usual[0]


def read_vectors(catalog: Catalog, name: str | Sequence[str] | None = None, *, units: Sequence[float] = ()) -> Vectors:
    """Read a column of vectors; rows of which a number is not finite, or null, or all are 0, have none.

    Parameters
    ----------
    name
        Of the column, as of :func:`vector_column`; several are joined, each divided by the root of its variance, so
        that none has more say for its units or the number of its numbers. A row then has what all of them have.
    units
        By which several are divided instead, such as those of another table with which this one is compared.

    Raises
    ------
    CatalogError
        As :func:`vector_column`, and if no row has a vector, a column is named twice, or several models made one.
    """
    names: list[str | None] = (
        [*name] if name and not isinstance(name, str) else [name if isinstance(name, str) else None]
    )
    columns = [vector_column(catalog.table, each, catalog.title) for each in names]
    if len(set(columns)) < len(columns):
        raise CatalogError(f"columns {', '.join(columns)}: expected each once; leave out what is named again")
    parts = [_rectangle(catalog.table[column]) for column in columns]
    usable = np.logical_and.reduce([_are_usable(part) for part in parts])
    rows = np.flatnonzero(usable)
    title = " and ".join(columns)
    if not len(rows):
        raise CatalogError(
            f"Catalog '{catalog.title}': no row has numbers in '{title}', expected some; gm_flags says why there are "
            "none"
        )
    model = " and ".join(filter(None, (_model_of(catalog, column, rows) for column in columns)))
    values = [part if usable.all() else part[rows] for part in parts]
    if len(values) == 1:
        return Vectors(title, rows, values[0], model=model)
    divisors = tuple(units) or tuple(unit_of(each) for each in values)
    return Vectors(title, rows, joined(values, divisors), divisors, model)


def check_same_model(what: str, model: str, vectors: Vectors) -> None:
    """Refuse vectors of another model than those that they are compared with, where both are known.

    Raises
    ------
    CatalogError
        If they are of another.
    """
    if model and vectors.model and model != vectors.model:
        raise CatalogError(
            f"{what} has features of {model} and the table those of {vectors.model}: expected the same model, since "
            "others see something else in each number; embed both by one"
        )


def _model_of(catalog: Catalog, column: str, rows: npt.NDArray[np.intp]) -> str:
    """Return what made the features of some rows, as the column beside them says; '' where there is none.

    Raises
    ------
    CatalogError
        If several models did: their numbers cannot be compared.
    """
    beside = f"{column.removesuffix(_USUAL)}model"
    if not column.endswith(_USUAL) or beside not in catalog.table.colnames:
        return ""
    models = sorted({text.strip() for text in as_text(catalog.table[beside])[rows].ravel().tolist()} - {""})
    if len(models) > 1:
        raise CatalogError(
            f"Catalog '{catalog.title}': rows of '{column}' were made by {' and '.join(models[:3])}, as '{beside}' "
            "says: expected one model, since others see something else in each number; keep the rows of one, or embed "
            "all by one"
        )
    return "".join(models)


def joined(parts: Sequence[npt.NDArray[np.float32]], units: Sequence[float]) -> npt.NDArray[np.float32]:
    """Set vectors of the same rows side by side, each kind divided by its unit: (M, F) each -> (M, all F)."""
    return np.concatenate([each / np.float32(unit) for each, unit in zip(parts, units, strict=True)], axis=1)


def unit_of(values: npt.NDArray[np.float32]) -> float:
    """Return the root of the variance of vectors, (M, F), of all their numbers together; 1 where there is none."""
    return float(np.sqrt(values.var(axis=0, dtype=np.float64).sum())) or 1.0


def _are_usable(values: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which rows of (N, F) numbers have a direction, (N,): some at a time, since a truth value takes a byte."""
    usable = np.empty(len(values), np.bool_)
    for first in range(0, len(values), _AT_ONCE):
        some = values[first : first + _AT_ONCE]
        usable[first : first + _AT_ONCE] = np.isfinite(some).all(axis=1) & some.any(axis=1)
    return usable


def _is_vector(column: Any) -> bool:
    """Tell whether all cells hold numbers, as many in each; cells may be null."""
    kind = column.dtype.kind
    if kind == "O":
        lengths = {np.size(cell) for cell in column if cell is not None}
        return len(lengths) == 1 and lengths != {1} and _are_numbers(column)
    return column.ndim == 2 and kind in "fiu" and column.shape[1] > 1


def _are_numbers(cells: Sequence[Any]) -> bool:
    return all(np.asarray(cell).dtype.kind in "fiu" and np.ndim(cell) == 1 for cell in cells if cell is not None)


def _rectangle(column: Any) -> npt.NDArray[np.float32]:
    """Return a column of vectors as (N, F), NaN where null."""
    if column.dtype.kind != "O":
        cells = np.ma.filled(column.astype(np.float32), np.nan) if np.ma.isMaskedArray(column) else column
        return np.ascontiguousarray(cells, np.float32)
    size = next(np.size(cell) for cell in column if cell is not None)
    missing = np.full(size, np.nan, np.float32)
    return np.stack([missing if cell is None else np.asarray(cell, np.float32) for cell in column])
