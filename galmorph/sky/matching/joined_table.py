"""JoinedTable: columns of several catalogues side by side, with all that was said of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from astropy import units as u
from astropy.table import Column, MaskedColumn, Table

from galmorph.sky.matching.joining import NONE
from galmorph.sky.matching.separations import BoolArray, IntArray

__all__ = ["joined_meta", "joined_table", "new_names", "rows_of"]

_LINES = ("HISTORY", "COMMENTS", "COMMENT")


def joined_table(tables: Sequence[Table], rows: Sequence[IntArray], suffixes: Sequence[str]) -> Table:
    """Put chosen rows of several tables side by side.

    Parameters
    ----------
    tables
        Of the catalogues.
    rows
        For each, which of its rows stands in each row of the result; -1 for none.
    suffixes
        For each, what is put after names that another one has, too.

    Returns
    -------
    Table
        Real numbers that are missing are NaN, text is empty, all else is masked. Units, descriptions and UCDs stay.
    """
    names = new_names([table.colnames for table in tables], suffixes)
    columns: dict[str, Any] = {}
    for table, chosen, new in zip(tables, rows, names, strict=True):
        columns |= {new_name: rows_of(table[name], chosen) for name, new_name in zip(table.colnames, new, strict=True)}
    kind = next((type(t) for t in tables if type(t) is not Table), Table)
    return kind(columns, copy=False)


def new_names(names: Sequence[Sequence[str]], suffixes: Sequence[str]) -> list[list[str]]:
    """Return names that differ in more than case: those that several tables have get the suffix of theirs.

    Examples
    --------
    >>> new_names([["id", "Mag"], ["ID", "z"]], ["_1", "_2"])
    [['id_1', 'Mag'], ['ID_2', 'z']]
    """
    counts = Counter(name.lower() for of_table in names for name in {n.lower(): n for n in of_table})
    taken = {name for name, count in counts.items() if count == 1}
    return [
        [name if counts[name.lower()] == 1 else _free(name + suffix, suffix, taken) for name in of_table]
        for of_table, suffix in zip(names, suffixes, strict=True)
    ]


def _free(name: str, suffix: str, taken: set[str]) -> str:
    """Return a name that no column has yet, and take it."""
    while name.lower() in taken:
        name += suffix or "_"
    taken.add(name.lower())
    return name


def rows_of(column: Any, rows: IntArray) -> Any:
    """Return the cells of a column in some rows, null where there is no row (-1)."""
    missing = rows == NONE
    if not missing.any():
        return column[rows]
    if not len(column):
        column = _one_row(column)
    return _with_nulls(column[np.where(missing, 0, rows)], missing)


def _one_row(column: Any) -> Any:
    """Return a column like an empty one, with a row of no meaning."""
    if not isinstance(column, Column):
        return column.info.new_like([column], 1, metadata_conflicts="silent", name=column.info.name)
    cells = np.zeros((1, *column.shape[1:]), dtype=column.dtype)
    about = {name: getattr(column, name) for name in ("name", "unit", "format", "description", "meta")}
    return type(column)(cells, **about)


def _with_nulls(column: Any, missing: BoolArray) -> Any:
    """Return a column that is null in some rows."""
    kind = getattr(getattr(column, "dtype", None), "kind", "")
    if isinstance(column, MaskedColumn) or not isinstance(column, Column | u.Quantity):
        column[missing] = np.ma.masked  # also of times and coordinates
        return column
    if kind in "fcUS":
        column[missing] = np.nan if kind in "fc" else ""
        return column
    if kind == "O":
        column[missing] = None
    masked = MaskedColumn(column)
    masked.mask[missing] = True
    return masked


def joined_meta(metas: Sequence[Mapping[Any, Any]], titles: Sequence[str]) -> dict[Any, Any]:
    """Join what the headers of several tables say: cards of the first win, others of that name become history.

    Parameters
    ----------
    metas
        Of the tables.
    titles
        What to call each in the lines of history that its cards become.
    """
    joined = {key: list(value) if isinstance(value, list) else value for key, value in metas[0].items()}
    history: list[str] = []
    for meta, title in zip(metas[1:], titles[1:], strict=True):
        for key, value in meta.items():
            if not _is_line(key):
                joined.setdefault(key, value)
            history += [f"{title}: {line}" for line in _lost(key, value, joined)]
    if history:
        key = next((k for k in joined if str(k).upper() == "HISTORY"), "HISTORY")
        before = joined.get(key, [])
        joined[key] = [*(before if isinstance(before, list) else [before]), *history]
    return joined


def _lost(key: Any, value: Any, joined: Mapping[Any, Any]) -> list[str]:
    """Return in lines what is said nowhere else."""
    if _is_line(key):
        return list(map(str, value)) if isinstance(value, list) else str(value).splitlines()
    return [] if repr(joined[key]) == repr(value) else [f"{key} = {value}"]


def _is_line(key: Any) -> bool:
    return str(key).upper() in _LINES
