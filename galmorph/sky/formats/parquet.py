"""Parquet: columnar files, read and written by pyarrow, in pieces of some rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt

from galmorph.errors import CatalogError
from galmorph.sky.formats.arrow import arrow_array, arrow_field, pyarrow_module
from galmorph.sky.formats.column import Column, Positions, Provenance, column_of
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.readback import Reread, reread_of
from galmorph.sky.formats.schema_notes import extended_notes
from galmorph.sky.formats.stored import HeldTable, StoredTable
from galmorph.sky.formats.stored_parquet import StoredParquet, opened, part_of
from galmorph.sky.formats.surveyed import GROUP_BYTES, GROUP_ROWS, survey
from galmorph.sky.mapped import forget

__all__ = ["Parquet"]


class Parquet:
    """Apache Parquet; units, descriptions and UCDs are metadata of the fields."""

    name = "parquet"
    endings: tuple[str, ...] = (".parquet", ".pq", ".parq")
    read_only: tuple[str, ...] = ()
    is_folder = False

    def knows(self, head: bytes) -> bool:
        """Recognise the magic word."""
        return head.startswith(b"PAR1")

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read all row groups."""
        return _stored(path, hdu).whole(), None

    def open(self, path: Path, hdu: int | str | None) -> tuple[StoredTable, int | None]:
        """Read a small file, and leave the rows of a larger one in it."""
        return _stored(path, hdu).held_if_small(), None

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a file has one table."""
        del path
        return []

    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Write row groups of some hundred thousand rows, zstd-compressed."""
        self.write_stored(HeldTable(table), (), provenance, path, positions)

    def write_stored(
        self,
        stored: StoredTable,
        columns: Sequence[Column],
        provenance: Provenance,
        path: Path,
        positions: Positions | None = None,
    ) -> None:
        """Write the same piece by piece."""
        del positions
        surveyed = survey(stored if stored.is_in_order else HeldTable(stored.whole()), columns)
        schema = surveyed.schema(provenance)
        with pyarrow_module().parquet.ParquetWriter(path, schema, compression="zstd") as writer:
            if len(stored) == 0:
                writer.write_table(schema.empty_table())
            for _, rows in surveyed.groups(schema):
                writer.write_table(rows, row_group_size=rows.num_rows)

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy row group by row group with the new columns at the end of each; large ones become several."""
        del hdu
        fields = [arrow_field(column_of(replace(column, values=column.values[:0]))) for column in columns]
        with opened(source) as file:
            if any(len(column.values) != file.metadata.num_rows for column in columns):
                return False
            schema = file.schema_arrow
            for field in fields:
                schema = schema.append(field)
            schema = schema.with_metadata(extended_notes(schema.metadata or {}, columns, provenance))
            _copy_groups(file, columns, schema, path)
        return True

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read some rows, and the columns that were added in pieces."""
        stored = _stored(path, hdu)
        return reread_of(stored, rows, stored.names[len(stored.names) - len(columns) :])

    def spelt(self, text: str) -> str:
        """Return it as it is."""
        return text

    def spelt_name(self, name: str) -> str:
        """Return it as it is."""
        return name


def _stored(path: Path, hdu: int | str | None) -> StoredParquet:
    if hdu is not None:
        raise CatalogError(f"Catalog '{path}' is a Parquet file with one table: leave --hdu away")
    with parsing(path, "Parquet file", "copy it again"):
        part, schema = part_of(path)
        if len(set(schema.names)) < len(schema.names):
            twice = next(name for name in schema.names if schema.names.count(name) > 1)
            raise CatalogError(
                f"Catalog '{path}' has several columns '{twice}': expected names that differ; rename them"
            )
        return StoredParquet(path, (part,), schema)


def _copy_groups(file: Any, columns: Sequence[Column], schema: Any, path: Path) -> None:
    pa, codec = pyarrow_module(), "zstd"
    if file.metadata.num_row_groups and file.metadata.num_columns:
        codec = file.metadata.row_group(0).column(0).compression.lower()
    at = 0
    compression = "none" if codec == "uncompressed" else codec
    with pa.parquet.ParquetWriter(path, schema, compression=compression) as writer:
        for number in range(file.metadata.num_row_groups):
            for group in _pieces_of_group(file, number):
                ours = _arrays(columns, schema, slice(at, at + group.num_rows))
                at += group.num_rows
                joined = pa.Table.from_arrays([*group.columns, *ours], schema=schema)
                writer.write_table(joined, row_group_size=max(1, group.num_rows))


def _pieces_of_group(file: Any, number: int) -> Iterator[Any]:
    """Yield a row group, in pieces if it is large."""
    group = file.metadata.row_group(number)
    most = min(GROUP_ROWS, max(1, GROUP_BYTES * group.num_rows // max(1, group.total_byte_size)))
    if group.num_rows <= most:
        yield file.read_row_group(number)
        return
    for batch in file.iter_batches(batch_size=most, row_groups=[number]):
        yield pyarrow_module().Table.from_batches([batch])


def _arrays(columns: Sequence[Column], schema: Any, rows: slice) -> list[Any]:
    """Return some rows of the last columns of a schema."""
    kinds = [schema.field(len(schema) - len(columns) + n).type for n in range(len(columns))]
    arrays = [
        arrow_array(column_of(replace(column, values=column.values[rows])), kind)
        for column, kind in zip(columns, kinds, strict=True)
    ]
    forget(column.values for column in columns)
    return arrays
