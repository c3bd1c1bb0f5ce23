"""VoteColumn: a column of votes or of their fractions, as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import SchemeError

__all__ = ["ONE", "read_votes"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
ONE = 1.0 + 1e-6
"""What a fraction may be, which is rounded to single precision in many tables."""
_NONE = frozenset({"", "nan", "na", "n/a", "<na>", "null", "none", "--"})
"""What tables write where there is no number, in small letters."""


def read_votes(column: Any, name: str, rows: BoolArray | None = None) -> FloatArray:
    """Return the votes or fractions in a column, (N,), NaN where there are none.

    A cell is empty if it is masked, not finite, or a word such as ``N/A``. What has a unit without a dimension, as
    percent, is a fraction.

    Parameters
    ----------
    column
        Of a table, a frame or a dictionary.
    name
        Its name, for messages.
    rows
        (N,) those that count; cells of others are not looked at, and NaN. By default all.

    Raises
    ------
    SchemeError
        If a cell holds several values, a text that is no number, or a number below 0.
    """
    plain = getattr(column, "unmasked", column)  # of a masked Quantity
    cells = np.asarray(np.ma.getdata(getattr(plain, "value", plain)))
    if cells.ndim != 1:
        raise SchemeError(
            f"labels: column '{name}' has several values in each row, expected votes or fractions, one number each; "
            "make columns of its own of them"
        )
    empty = np.zeros(len(cells), dtype=bool) if rows is None else ~rows
    if not hasattr(column, "to_numpy"):  # a frame's column masks with a method of this name
        empty = empty | getattr(column, "mask", False)
    if cells.dtype.kind in "fiub":
        votes = np.where(empty, np.nan, cells.astype(np.float64))
    else:
        votes = np.full(len(cells), np.nan)
        for row in np.flatnonzero(~empty).tolist():
            votes[row] = _number(cells[row], name, row)
    votes[~np.isfinite(votes)] = np.nan
    if (below := np.flatnonzero(votes < 0)).size:
        raise SchemeError(
            f"labels: column '{name}' contains negative votes ({votes[below[0]]:g} in row {below[0]}): expected counts "
            "or fractions; leave cells without any empty"
        )
    return votes * _scale(getattr(column, "unit", None))


def _number(cell: Any, name: str, row: int) -> float:
    text = cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)
    if cell is None or text.strip("\0 ").lower() in _NONE:
        return np.nan
    try:
        return float(text)
    except ValueError:
        raise SchemeError(
            f"labels: column '{name}' has '{text[:40]}' in row {row}: expected votes or fractions as numbers; correct "
            "it, or leave the cell empty"
        ) from None


def _scale(unit: Any) -> float:
    """Return what a unit without a dimension is worth, .01 for percent; votes in any other are counts."""
    is_equivalent = getattr(unit, "is_equivalent", None)
    return float(unit.to("")) if is_equivalent is not None and is_equivalent("") else 1.0
