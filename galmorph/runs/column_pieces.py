"""ColumnPieces: the columns of a run whose results lie in a file, made of a few rows after the other.

What a row gets depends on that row alone, so that the columns are those that :func:`~galmorph.runs.columns.new_columns`
makes of all rows at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from galmorph.runs.columns import new_columns
from galmorph.runs.plan import Run
from galmorph.runs.results import Results
from galmorph.sky.catalog import Column
from galmorph.sky.mapped import ROWS_AT_ONCE, forget, new_arrays

__all__ = ["columns_of"]


def columns_of(results: Results, run: Run, folder: Path | None) -> list[Column]:
    """Columns that a run appends: made at once, or if the results lie in a file in pieces, into other files.

    Parameters
    ----------
    folder
        Where these may be.

    Raises
    ------
    OutputError
        If there is no room for them.
    """
    if not results.is_recorded:
        return new_columns(results, run.images, run.settings, run.checkpoint)
    none = new_columns(results.some(slice(0, 0)), run.images, run.settings, run.checkpoint)
    arrays = new_arrays([(c.values.dtype, c.values.shape[1:]) for c in none], len(results), folder)
    columns = [replace(column, values=array) for column, array in zip(none, arrays, strict=True)]
    for first in range(0, len(results), ROWS_AT_ONCE):
        _fill(columns, results, run, slice(first, first + ROWS_AT_ONCE))
        results.forget()
    return columns


def _fill(columns: Sequence[Column], results: Results, run: Run, rows: slice) -> None:
    """Enter some rows in all columns."""
    pieces = new_columns(results.some(rows), run.images, run.settings, run.checkpoint)
    for column, piece in zip(columns, pieces, strict=True):
        column.values[rows] = piece.values
    forget(column.values for column in columns)
