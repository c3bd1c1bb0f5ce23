"""Surveyed: what the types of a table's columns are that is not in memory, from one look at all of its cells.

A text is as wide as the widest, an array is one of its length if all have it, an object what all objects have in
common. So a file that is written in pieces is the one that would be written at once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt

from galmorph.sky.formats.arrow import arrow_array, arrow_field, arrow_type, pyarrow_module
from galmorph.sky.formats.column import Column, Provenance, column_of, table_with
from galmorph.sky.formats.plain import plain
from galmorph.sky.formats.schema_notes import schema_notes
from galmorph.sky.formats.stored import HeldTable, StoredTable
from galmorph.sky.formats.votable import ROWS_OF_OBJECTS
from galmorph.sky.mapped import forget

__all__ = ["GROUP_BYTES", "GROUP_ROWS", "Surveyed", "survey"]

LongArray = npt.NDArray[np.int64]

GROUP_ROWS = 1 << 17
"""Rows that are written together, as a row group of Parquet: what is larger would be in memory as a whole."""
GROUP_BYTES = 1 << 26
"""Bytes of such rows, in memory."""


@dataclass(frozen=True)
class _CellTypes:
    """What the cells of some rows of a column have in common.

    Parameters
    ----------
    width
        Letters of the longest text; None for what is no text.
    shape
        Of an array, if all are of one; None for others.
    kind
        Of Arrow, as which cells can be written.
    foreign
        Number of the first row of text outside ASCII; -1 for none.
    """

    width: int | None
    shape: tuple[int, ...] | None
    kind: Any
    foreign: int = -1

    def __or__(self, other: _CellTypes) -> _CellTypes:
        """Return what the cells of both have in common."""
        foreign = min((n for n in (self.foreign, other.foreign) if n >= 0), default=-1)
        if self.width is not None and other.width is not None:
            return _CellTypes(max(self.width, other.width), None, self.kind, foreign)
        if self == other:
            return self
        return _CellTypes(None, None, _common(self.as_lists, other.as_lists))

    @property
    def as_lists(self) -> Any:
        """The type of the cells one by one: numbers of lists are as wide as those of Python, texts none at all."""
        pa = pyarrow_module()
        if self.width is not None:
            return pa.null()
        return self.kind if self.shape is None else _of_python(self.kind)


@dataclass(frozen=True)
class Surveyed:
    """A plain table and columns after its own, with what there is to say of the types of all cells.

    Parameters
    ----------
    stored
        The table.
    columns
        What is appended.
    table
        Rows of both that show the types of all: all, or a few.
    kinds
        Types of Arrow of columns of objects, by name, where `table` has a few.
    """

    stored: StoredTable
    columns: Sequence[Column]
    table: apt.Table
    kinds: Mapping[str, Any]

    def schema(self, provenance: Provenance, layout: apt.Table | None = None) -> Any:
        """Return the schema of a file, with columns of a layout before all others."""
        before = [] if layout is None else list(layout.columns.values())
        table = apt.Table([*(c[: len(self.table)] for c in before), *self.table.columns.values()], copy=False)
        table.meta = self.table.meta
        fields = [self._field(table[name]) for name in table.colnames]
        return pyarrow_module().schema(fields, metadata=schema_notes(table, provenance))

    def _field(self, column: apt.Column) -> Any:
        field = arrow_field(column)
        return field.with_type(self.kinds[column.name]) if column.name in self.kinds else field

    def groups(self, schema: Any, layout: apt.Table | None = None) -> Iterator[tuple[LongArray, Any]]:
        """Yield rows for writing, as Arrow's, as many as belong together, with their numbers."""
        pa, waiting, numbers = pyarrow_module(), list[Any](), list[LongArray]()
        for rows, piece in self.stored.pieces():
            table, start = self._arrow(rows, piece, schema, layout), 0
            while start < len(rows):
                stop = start + GROUP_ROWS - sum(map(len, numbers))
                numbers.append(rows[start:stop])
                waiting.append(table[start:stop])
                if sum(map(len, numbers)) >= GROUP_ROWS or sum(each.nbytes for each in waiting) >= GROUP_BYTES:
                    yield np.concatenate(numbers), pa.concat_tables(waiting).combine_chunks()
                    waiting, numbers = [], []
                start = stop
        if waiting:
            yield np.concatenate(numbers), pa.concat_tables(waiting).combine_chunks()

    def rows(self, rows: LongArray, schema: Any, layout: apt.Table | None = None) -> Any:
        """Return rows of some numbers for writing, as Arrow's."""
        return self._arrow(rows, self.stored.some(rows), schema, layout)

    def _arrow(self, rows: LongArray, piece: apt.Table, schema: Any, layout: apt.Table | None) -> Any:
        """Return a piece of the table with its other columns."""
        flat = plain(piece)
        # Objects as they are: where there is nothing in those of a piece, it would be text.
        cells = {
            name: (piece if name in piece.colnames and _is_empty(piece[name]) else flat)[name] for name in flat.colnames
        }
        cells |= {} if layout is None else {name: layout[name][rows] for name in layout.colnames}
        cells |= {each.name: column_of(replace(each, values=each.values[rows])) for each in self.columns}
        forget(each.values for each in self.columns)
        arrays = [_array(cells[field.name], field.type) for field in schema]
        return pyarrow_module().Table.from_arrays(arrays, schema=schema)


def survey(stored: StoredTable, columns: Sequence[Column]) -> Surveyed:
    """Look at all cells of a table whose types are not known before.

    Parameters
    ----------
    stored
        The table.
    columns
        What is appended.
    """
    if isinstance(stored, HeldTable):
        flat = HeldTable(plain(stored.table))
        return Surveyed(flat, columns, table_with(flat.table, columns), {})
    names = [name for name in stored.head.colnames if _is_open(stored.head[name])]
    cells: dict[str, _CellTypes] = {}
    for rows, piece in stored.pieces(names) if names else ():
        flat_piece = plain(piece)
        for name in names:
            these = _cells_of(piece[name], flat_piece[name], rows)
            cells[name] = cells[name] | these if name in cells else these
    nothing = _CellTypes(1, None, pyarrow_module().string())
    cells = {name: nothing if pyarrow_module().types.is_null(each.kind) else each for name, each in cells.items()}
    kinds = {name: each.kind for name, each in cells.items() if each.width is None and each.shape is None}
    count = ROWS_OF_OBJECTS if kinds else 1
    shown = {*range(min(count, len(stored))), *(each.foreign for each in cells.values() if each.foreign >= 0)}
    some = plain(stored.some(np.array(sorted(shown), np.int64)))
    table = apt.Table([_typed(some[name], cells.get(name)) for name in some.colnames], meta=some.meta, copy=False)
    few = [replace(each, values=np.zeros((len(some), *each.values.shape[1:]), each.values.dtype)) for each in columns]
    return Surveyed(stored, columns, table_with(table, few), kinds)


def _array(column: apt.Column, kind: Any) -> Any:
    """Return a piece of a column as an array of the type that all of it has."""
    pa = pyarrow_module()
    if _is_empty(column):
        return pa.nulls(len(column), kind) if not pa.types.is_string(kind) else pa.array([""] * len(column))
    return arrow_array(column, kind)


def _is_open(column: apt.Column) -> bool:
    """Say whether other rows may have other types."""
    return column.dtype.kind in "UO" or column.ndim > 1


def _is_empty(column: apt.Column) -> bool:
    """Say whether there is nothing in cells of objects."""
    return column.ndim == 1 and column.dtype.kind == "O" and all(cell is None for cell in column)


def _cells_of(column: apt.Column, flat: apt.Column, rows: LongArray) -> _CellTypes:
    """Return what the cells of a piece have in common: of a column as it was read, and as it is written."""
    if flat.dtype.kind == "U" and flat.ndim == 1 and not _is_empty(column):
        foreign = [n for n, text in zip(rows.tolist(), flat.tolist(), strict=True) if not text.isascii()]
        return _CellTypes(flat.dtype.itemsize // 4, None, pyarrow_module().string(), min(foreign, default=-1))
    if _is_empty(column):
        return _CellTypes(None, None, pyarrow_module().null())
    return _CellTypes(None, flat.shape[1:] if flat.ndim > 1 else None, arrow_type(flat))


def _of_python(kind: Any) -> Any:
    """Return the type of lists of Python's numbers."""
    pa = pyarrow_module()
    if pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_of_python(kind.value_type))
    if pa.types.is_floating(kind):
        return pa.float64()
    return pa.int64() if pa.types.is_integer(kind) else kind


def _common(one: Any, other: Any) -> Any:
    """Return a type that holds what is of either."""
    pa = pyarrow_module()
    schemas = [pa.schema([pa.field("", kind)]) for kind in (one, other)]
    try:
        return pa.unify_schemas(schemas, promote_options="permissive").field(0).type
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # each is text of JSON
        return pa.string()


def _typed(column: apt.Column, cells: _CellTypes | None) -> apt.Column:
    """Return some rows of a column with the type of all."""
    if cells is None:
        return column
    if cells.width is not None:
        return _with_values(column, np.asarray(column).astype(f"<U{cells.width}"))
    if cells.shape is None and (column.ndim > 1 or column.dtype.kind != "O"):
        boxed = np.empty(len(column), dtype=object)
        for place, cell in enumerate(column if column.ndim > 1 else ()):
            boxed[place] = cell
        return _with_values(column, boxed)
    return column


def _with_values(column: apt.Column, values: Any) -> apt.Column:
    return apt.Column(
        values, name=column.name, unit=column.unit, description=column.description, meta=column.meta, copy=False
    )
