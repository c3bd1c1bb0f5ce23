"""StoredParquet: the rows of Parquet files, read column by column or some thousand at a time.

A file is opened whenever something of it is asked for, and is another one if its size, time or number has changed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt

from galmorph.errors import CatalogError
from galmorph.sky.formats.arrow import arrow_column, pyarrow_module
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.schema_notes import complete_table
from galmorph.sky.formats.stored import HeldTable, StoredTable, file_stamp
from galmorph.sky.mapped import ROWS_AT_ONCE, SMALL_BYTES

__all__ = ["ParquetPart", "StoredParquet", "opened", "part_of", "rows_at_once"]

LongArray = npt.NDArray[np.int64]

# Rows that show what is in the columns: roles are found by them.
_HEAD = 10
# Bytes of rows that are read at once, as the file's own metadata count them.
_PIECE_BYTES = 1 << 24
# Bytes of each column of a file that are read ahead.
_BUFFER_BYTES = 1 << 18


@dataclass(frozen=True)
class ParquetPart:
    """A file of a table.

    Parameters
    ----------
    path
        Where it is.
    rows
        How many it has.
    stamp
        As of :func:`galmorph.sky.formats.stored.file_stamp`.
    values
        Columns that the names of its folders are, ``field=3``, with the one value that they have.
    """

    path: Path
    rows: int
    stamp: tuple[int, int, int]
    values: tuple[tuple[str, int | str], ...] = ()


@dataclass(frozen=True)
class StoredParquet:
    """A table in files that have its rows one after the other.

    Parameters
    ----------
    path
        What it is called in messages: the file, or the folder of all.
    parts
        The files.
    schema
        Of the table; a file lacks some of its columns, perhaps, which are null there.
    hidden
        Columns that are not the table's.
    order
        Where each row lies among all of the files, (N,), if that is not where its number says.
    """

    path: Path
    parts: tuple[ParquetPart, ...]
    schema: Any = field(compare=False)
    hidden: frozenset[str] = frozenset()
    order: LongArray | None = field(default=None, repr=False, compare=False)

    is_held = False

    @property
    def is_in_order(self) -> bool:
        """Whether pieces come in the order of the rows."""
        return self.order is None

    @cached_property
    def head(self) -> apt.Table:
        """The first rows as they lie."""
        first = next((table for _, table in self._batches(self.names, _HEAD)), self._empty(self.names))
        return self._table(first.slice(0, _HEAD))

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [name for name in self.schema.names if name not in self.hidden]

    @cached_property
    def _masks(self) -> dict[str, str]:
        """Names of the columns that others mask, and of these, as astropy writes masked columns: values lie below."""
        if b"__serialized_columns__" not in (self.schema.metadata or {}).get(b"table_meta_yaml", b""):
            return {}
        boolean = {each.name for each in self.schema if each.type == pyarrow_module().bool_()}
        return {name: f"{name}.mask" for name in self.schema.names if f"{name}.mask" in boolean}

    def __len__(self) -> int:
        return sum(part.rows for part in self.parts)

    def column(self, name: str) -> Any:
        """Return all cells of a column."""
        column = self._table(self._joined([name], self._batches([name])))[name]
        return column if self.order is None else column[self.order]

    def some(self, rows: LongArray) -> apt.Table:
        """Return the rows of some numbers, (M,), in that order: what comes before the last of them is read."""
        places = rows if self.order is None else self.order[rows]
        asked, back = np.unique(places, return_inverse=True)
        distinct = self._joined(self.names, self._chosen(asked))
        return self._table(distinct.take(pyarrow_module().array(back)))

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[tuple[LongArray, apt.Table]]:
        """Yield all rows once, in pieces, each with the numbers of its rows; of columns only what their fields say."""
        numbers = np.arange(len(self)) if self.order is None else np.argsort(self.order, kind="stable")
        for first, table in self._batches(self.names if names is None else names):
            columns = [arrow_column(table.column(i), table.schema.field(i)) for i in range(table.num_columns)]
            yield numbers[first : first + table.num_rows], apt.Table(columns, copy=False)

    def whole(self) -> apt.Table:
        """Return all rows and columns."""
        table = self._table(self._joined(self.names, self._batches(self.names)))
        return table if self.order is None else table[self.order]

    def held_if_small(self) -> StoredTable:
        """Return all rows where they are few, and leave those of larger files in them."""
        _ = self.head  # says what is odd about the columns
        # A file that is open elsewhere cannot be replaced on Windows.
        is_small = sum(part.stamp[0] for part in self.parts) < SMALL_BYTES or os.name != "posix"
        return HeldTable(self.whole()) if is_small else self

    def forget(self) -> None:
        """Let go of what Arrow keeps of the memory that it had."""
        pyarrow_module().default_memory_pool().release_unused()

    def arrow_column(self, name: str) -> Any:
        """Return a column as Arrow's, as it lies, also a hidden one."""
        return self._joined([name], self._batches([name])).column(0)

    def _table(self, arrow: Any) -> apt.Table:
        """Return a table of Arrow as one of astropy, with all that the file says of it."""
        with parsing(self.path, "Parquet file", "copy it again"):
            columns = [arrow_column(arrow.column(i), arrow.schema.field(i)) for i in range(arrow.num_columns)]
            return complete_table(apt.Table(columns, copy=False), self.schema.metadata or {})

    def _chosen(self, places: LongArray) -> Iterator[tuple[int, Any]]:
        """Yield the rows at some places, which are sorted."""
        last = int(places[-1]) if len(places) else -1
        for first, table in self._batches(self.names, wanted=places):
            begin, end = np.searchsorted(places, [first, first + table.num_rows])
            yield first, table.take(pyarrow_module().array(places[begin:end] - first))
            if first + table.num_rows > last:
                return

    def _joined(self, names: Sequence[str], batches: Iterator[tuple[int, Any]]) -> Any:
        return pyarrow_module().concat_tables([self._empty(names), *(table for _, table in batches)])

    def _empty(self, names: Sequence[str]) -> Any:
        return self._schema_of(names).empty_table()

    def _schema_of(self, names: Sequence[str]) -> Any:
        return pyarrow_module().schema([self.schema.field(name) for name in names])

    def _batches(
        self, names: Sequence[str], most: int | None = None, wanted: LongArray | None = None
    ) -> Iterator[tuple[int, Any]]:
        """Yield some columns of some rows after the other, with the place of the first.

        Parameters
        ----------
        most
            Rows at once, where fewer than usual do.
        wanted
            Sorted places of rows: files without any are passed over.
        """
        first = 0
        for part in self.parts:
            if wanted is not None and np.diff(np.searchsorted(wanted, [first, first + part.rows]))[0] == 0:
                first += part.rows
                continue
            for table in self._of_part(part, names, most):
                yield first, table
                first += table.num_rows

    def _of_part(self, part: ParquetPart, names: Sequence[str], most: int | None) -> Iterator[Any]:
        """Yield columns of a file, as the table has them."""
        pa, schema = pyarrow_module(), self._schema_of(names)
        with self._opened(part) as file:
            masks = {name: self._masks[name] for name in names if name in self._masks}
            own = [name for name in dict.fromkeys([*names, *masks.values()]) if name in file.schema_arrow.names]
            size = most or rows_at_once(file.metadata)
            batches = file.iter_batches(batch_size=size, columns=own) if own else _blank(pa, part.rows, size)
            rows = 0
            while (table := self._next(batches, own, part, schema, masks)) is not None:
                rows += table.num_rows
                yield table
        if rows != part.rows:
            raise CatalogError(
                f"Catalog '{self.path}' has {rows} rows where its metadata say {part.rows}: copy it again"
            )

    def _next(
        self, batches: Iterator[Any], own: Sequence[str], part: ParquetPart, schema: Any, masks: dict[str, str]
    ) -> Any:
        """Return the next rows of a file; warnings are hushed while it is read, not while others look at them."""
        with parsing(self.path, "Parquet file", "copy it again"):
            batch = next(batches, None)
            if batch is None:
                return None
            return _fitted(pyarrow_module(), batch, own, dict(part.values), schema, masks)

    @contextmanager
    def _opened(self, part: ParquetPart) -> Iterator[Any]:
        """Open a file that must be, before and after, the one that was seen first."""
        self._check(part)
        with parsing(self.path, "Parquet file", "copy it again"):
            file = opened(part.path)
        with file:
            yield file
        self._check(part)

    def _check(self, part: ParquetPart) -> None:
        if file_stamp(part.path) != part.stamp:
            raise CatalogError(
                f"Catalog '{self.path}' has changed while it was in use: expected it to stay as it is until the output "
                "is written; run the same again"
            )


def part_of(path: Path, values: Sequence[tuple[str, int | str]] = ()) -> tuple[ParquetPart, Any]:
    """Return a file, and its schema with the columns of these values at the end."""
    pa, stamp = pyarrow_module(), file_stamp(path)
    with pa.parquet.ParquetFile(path) as file:
        schema, rows = _takable(file.schema_arrow), file.metadata.num_rows
    values = tuple((key, value) for key, value in values if key not in schema.names)
    for key, value in values:
        schema = schema.append(pa.field(key, pa.array([value]).type))
    return ParquetPart(path, rows, stamp or (0, 0, 0), values), schema


def _takable(schema: Any) -> Any:
    """Return a schema with plain text in place of views, of which Arrow cannot take some rows."""
    pa = pyarrow_module()
    for number, each in enumerate(schema):
        for view, kind in ((pa.string_view(), pa.large_string()), (pa.binary_view(), pa.large_binary())):
            if each.type == view:
                schema = schema.set(number, each.with_type(kind))
    return schema


def opened(path: Path) -> Any:
    """Open a file of which no more is in memory than what is looked at."""
    # Arrow reads all of the columns of a row group at once, compressed, where it may read ahead without bounds.
    return pyarrow_module().parquet.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES)


def rows_at_once(metadata: Any) -> int:
    """Return how many rows of a file are read at once: some thousand, fewer where they are wide."""
    size = sum(metadata.row_group(n).total_byte_size for n in range(metadata.num_row_groups))
    return int(min(ROWS_AT_ONCE, max(1, _PIECE_BYTES * max(1, metadata.num_rows) // max(1, size))))


def _blank(pa: Any, rows: int, size: int) -> Iterator[Any]:
    """Yield rows of a file that has none of the columns."""
    for start in range(0, rows, size):
        yield pa.table({"": pa.nulls(min(size, rows - start))})


def _fitted(
    pa: Any, batch: Any, own: Sequence[str], values: dict[str, int | str], schema: Any, masks: dict[str, str]
) -> Any:
    """Return the rows of a file as those of the table: columns that it lacks are null, others of the table's types.

    So are cells that the columns say of which `masks` has the names.
    """
    # By their places: a column of structures is asked for with all whose names begin with its own.
    columns = {name: batch.column(batch.schema.get_field_index(name)) for name in own}
    for name, mask in masks.items():
        if {name, mask} <= columns.keys():
            is_masked = columns[mask].to_numpy(zero_copy_only=False) == True  # noqa: E712 - it may be null
            # What is taken from no place is null, whatever its type.
            columns[name] = columns[name].take(pa.array(np.arange(batch.num_rows), mask=is_masked))
    for name, value in values.items():
        if name in schema.names:
            columns[name] = pa.array([value] * batch.num_rows)
    arrays = [columns.get(each.name, pa.nulls(batch.num_rows, each.type)) for each in schema]
    return pa.Table.from_arrays(
        [
            array if array.type == each.type else array.cast(each.type)
            for array, each in zip(arrays, schema, strict=True)
        ],
        schema=schema,
    )
