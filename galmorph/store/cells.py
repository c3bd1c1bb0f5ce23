"""Cells: columns of tables as JSON, from which the same columns are made again, to the last bit."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Column, MaskedColumn, Table

from galmorph.errors import CatalogError
from galmorph.sky.formats.column import parsed_unit, ucd_of

__all__ = ["ColumnKind", "column_of_cells", "json_of", "kind_of", "plain_table", "rows_of", "values_of"]

_KINDS = "fiubU"
_SPECIAL = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


@dataclass(frozen=True)
class ColumnKind:
    """What is said of a column.

    Parameters
    ----------
    name
        Of the column.
    type
        Of numpy, without the order of bytes: ``f4``, ``i8``, ``U12``; the shape of its cells may follow: ``f4(3,)``.
    unit, description, ucd
        As in a table.
    role
        ``'id'``, ``'ra'``, ``'dec'`` or ``'file'`` of a column that plays it.
    """

    name: str
    type: str
    unit: str = ""
    description: str = ""
    ucd: str = ""
    role: str = ""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of a cell's numbers."""
        return np.dtype(self.type.partition("(")[0])

    @property
    def shape(self) -> tuple[int, ...]:
        """Of a cell."""
        words = self.type.partition("(")[2].rstrip(")").split(",")
        return tuple(int(word) for word in words if word)

    def joined(self, other: ColumnKind) -> ColumnKind:
        """Return what holds the values of both; `other` says the rest.

        Raises
        ------
        CatalogError
            If they are of other kinds or units.
        """
        kinds = {np.dtype(kind.dtype).kind.replace("u", "i") for kind in (self, other)}
        if len(kinds) > 1 or self.shape != other.shape or self.unit != other.unit:
            raise CatalogError(
                f"column '{self.name}' is of type {other.type} {other.unit}, in the store it is {self.type} "
                f"{self.unit}: expected one kind; rename it"
            )
        widest = np.promote_types(self.dtype, other.dtype).str[1:]
        if kinds == {"i"} and widest.startswith("f"):  # which would round ids of more than 53 bits
            raise CatalogError(
                f"column '{self.name}' is of type {other.type}, in the store it is {self.type}: no type holds both; "
                f"convert it to {self.type}"
            )
        shape = self.type.partition("(")[1:]
        return ColumnKind(
            self.name,
            widest + "".join(shape),
            self.unit,
            self.description or other.description,
            self.ucd or other.ucd,
            self.role or other.role,
        )


def kind_of(column: Any, role: str = "") -> ColumnKind:
    """Say of what kind a column of a table is.

    Raises
    ------
    CatalogError
        If its cells are no numbers and no text.
    """
    dtype = getattr(column, "dtype", np.dtype(object))
    if not isinstance(column, Column | MaskedColumn) or dtype.kind not in _KINDS or _is_long(dtype):
        raise CatalogError(
            f"column '{column.info.name}' holds {type(column).__name__} of {dtype}, which a store has no place for: "
            "expected numbers or text; leave it out"
        )
    shape = tuple(column.shape[1:])
    kind = dtype.str[1:] + (f"({','.join(map(str, shape))},)" if shape else "")
    return ColumnKind(column.name, kind, str(column.unit or ""), str(column.description or ""), ucd_of(column), role)


def _is_long(dtype: np.dtype[Any]) -> bool:
    """Return whether numbers have more digits than a number of JSON."""
    return dtype.kind == "f" and dtype.itemsize > np.dtype(np.float64).itemsize


def plain_table(table: Table) -> Table:
    """Return a table whose quantities are columns with units and whose text is no bytes."""
    plain = Table(table, copy=False)
    plain.convert_bytestring_to_unicode()
    return plain


def rows_of(table: Table, names: Sequence[str]) -> list[dict[str, Any]]:
    """Return the cells of each row as JSON has them; what is masked is left out."""
    columns = [(name, _cells(table[name])) for name in names]
    return [{name: cells[row] for name, cells in columns if cells[row] is not None} for row in range(len(table))]


def _cells(column: Any) -> list[Any]:
    masked = np.ma.getmaskarray(column) if isinstance(column, MaskedColumn) else np.zeros(column.shape, np.bool_)
    values = np.ma.array(np.ma.getdata(column), mask=masked).tolist()  # None for each masked number of an array
    empty = np.asarray(masked.all(axis=tuple(range(1, masked.ndim)))).tolist()
    return [None if nothing else _plain(value) for value, nothing in zip(values, empty, strict=True)]


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, which knows no NaN."""
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value if not isinstance(value, float) or math.isfinite(value) else str(value)


def json_of(row: Mapping[str, Any]) -> str:
    """Return the cells of a row as text."""
    return json.dumps(dict(row), allow_nan=False, separators=(",", ":"))


def column_of_cells(kind: ColumnKind, rows: Iterable[Mapping[str, Any]]) -> Column | MaskedColumn:
    """Make a column of the cells of rows; of those without one it is masked, a fraction NaN, text empty."""
    values = [row.get(kind.name) for row in rows]
    blank = np.nan if kind.dtype.kind == "f" else np.zeros((), kind.dtype).item()
    blanks = np.full(kind.shape, blank).tolist()
    cells = [blanks if value is None else _special(value, kind.dtype, blank) for value in values]
    array = np.array(cells, dtype=_wide(kind.dtype, cells)).reshape(len(cells), *kind.shape)
    settings = {
        "name": kind.name,
        "unit": parsed_unit(kind.unit),
        "description": kind.description or None,
        "meta": {"ucd": kind.ucd} if kind.ucd else {},
    }
    if kind.dtype.kind in "fU" or not any(_is_lacking(value) for value in values):
        return Column(array, **settings)
    everywhere = np.ones(kind.shape, np.bool_).tolist()
    mask = np.array([everywhere if value is None else _lacks(value) for value in values], np.bool_)
    return MaskedColumn(array, mask=mask.reshape(array.shape), **settings)


def _special(value: Any, dtype: np.dtype[Any], blank: Any) -> Any:
    """Return the numbers of a cell: `blank` for what is masked in it."""
    if isinstance(value, list):
        return [_special(each, dtype, blank) for each in value]
    if value is None:
        return blank
    return _SPECIAL.get(value, value) if dtype.kind == "f" and isinstance(value, str) else value


def _is_lacking(value: Any) -> bool:
    """Return whether a cell, or a number in it, is masked."""
    return any(map(_is_lacking, value)) if isinstance(value, list) else value is None


def _lacks(value: Any) -> Any:
    """Return which numbers of a cell are masked, in its shape."""
    return list(map(_lacks, value)) if isinstance(value, list) else value is None


def _wide(dtype: np.dtype[Any], cells: Sequence[Any]) -> np.dtype[Any]:
    """Return a type of text in which the longest cell fits."""
    if dtype.kind != "U":
        return dtype
    return np.promote_types(dtype, np.array(cells, dtype=np.str_).dtype)


def values_of(values: npt.NDArray[Any]) -> list[Any]:
    """Return the values of a column of results as JSON has them: None for NaN, which is their null."""
    return [None if isinstance(v, float) and math.isnan(v) else _plain(v) for v in values.tolist()]
