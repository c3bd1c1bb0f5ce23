"""Parquet: columnar files, read and written by pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from astropy import table as apt

from galmorph.errors import CatalogError
from galmorph.sky.formats.arrow import arrow_array, arrow_column, arrow_field, pyarrow_module
from galmorph.sky.formats.column import Column, Positions, Provenance, column_of
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import plain
from galmorph.sky.formats.readback import ReadWhole
from galmorph.sky.formats.schema_notes import complete_table, extended_notes, schema_notes

__all__ = ["Parquet", "schema_of", "table_of"]


class Parquet(ReadWhole):
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
        if hdu is not None:
            raise CatalogError(f"Catalog '{path}' is a Parquet file with one table: leave --hdu away")
        pa = pyarrow_module()
        with parsing(path, "Parquet file", "copy it again"), pa.parquet.ParquetFile(path) as file:
            return table_of(file.read()), None

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a file has one table."""
        del path
        return []

    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Write all rows in one go, zstd-compressed."""
        del positions
        pa, flat = pyarrow_module(), plain(table)
        schema = schema_of(flat, provenance)
        arrays = [arrow_array(flat[field.name], field.type) for field in schema]
        pa.parquet.write_table(pa.Table.from_arrays(arrays, schema=schema), path, compression="zstd")

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy row group by row group with the new columns at the end of each."""
        del hdu
        new = [column_of(column) for column in columns]
        fields = [arrow_field(column) for column in new]
        with pyarrow_module().parquet.ParquetFile(source) as file:
            if any(len(column) != file.metadata.num_rows for column in new):
                return False
            schema = file.schema_arrow
            for field in fields:
                schema = schema.append(field)
            schema = schema.with_metadata(extended_notes(schema.metadata or {}, columns, provenance))
            arrays = [arrow_array(column, field.type) for column, field in zip(new, fields, strict=True)]
            _copy_groups(file, arrays, schema, path)
        return True


def schema_of(table: apt.Table, provenance: Provenance) -> Any:
    """Return the schema of a plain table, with all that is said of it."""
    fields = [arrow_field(table[name]) for name in table.colnames]
    return pyarrow_module().schema(fields, metadata=schema_notes(table, provenance))


def table_of(arrow: Any) -> apt.Table:
    """Return a table of Arrow as one of astropy."""
    columns = [arrow_column(arrow.column(i), arrow.schema.field(i)) for i in range(arrow.num_columns)]
    return complete_table(apt.Table(columns, copy=False), arrow.schema.metadata or {})


def _copy_groups(file: Any, arrays: Sequence[Any], schema: Any, path: Path) -> None:
    pa, codec = pyarrow_module(), "zstd"
    if file.metadata.num_row_groups and file.metadata.num_columns:
        codec = file.metadata.row_group(0).column(0).compression.lower()
    at = 0
    compression = "none" if codec == "uncompressed" else codec
    with pa.parquet.ParquetWriter(path, schema, compression=compression) as writer:
        for number in range(file.metadata.num_row_groups):
            group = file.read_row_group(number)
            ours = [a.slice(at, group.num_rows) for a in arrays]
            at += group.num_rows
            joined = pa.Table.from_arrays([*group.columns, *ours], schema=schema)
            writer.write_table(joined, row_group_size=max(1, group.num_rows))
