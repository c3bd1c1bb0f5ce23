"""Parquet: columnar files, read and written by pyarrow."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from astropy import table as apt
from astropy.table import meta as apt_meta

from galmorph.errors import CatalogError
from galmorph.sky.formats.column import Column, Provenance, free_keyword, parsed_unit, ucd_of
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import plain, unit_text
from galmorph.sky.formats.readback import ReadWhole
from galmorph.sky.formats.votable import described_fields, extended_document, header_document
from galmorph.sky.formats.yaml_text import check_yaml

__all__ = ["Parquet"]

_YAML = b"table_meta_yaml"
_VERSION = b"IVOA.VOTable-Parquet.version"
_CONTENT = b"IVOA.VOTable-Parquet.content"


class Parquet(ReadWhole):
    """Apache Parquet; units, descriptions and UCDs are metadata of the fields."""

    name = "parquet"
    endings: tuple[str, ...] = (".parquet", ".pq", ".parq")
    read_only: tuple[str, ...] = ()

    def knows(self, head: bytes) -> bool:
        """Recognise the magic word."""
        return head.startswith(b"PAR1")

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read all row groups."""
        if hdu is not None:
            raise CatalogError(f"Catalog '{path}' is a Parquet file with one table: leave --hdu away")
        pa = _arrow()
        with parsing(path, "Parquet file", "copy it again"), pa.parquet.ParquetFile(path) as file:
            return _table(file.read()), None

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a file has one table."""
        del path
        return []

    def write(self, table: apt.Table, provenance: Provenance, path: Path) -> None:
        """Write all rows in one go, zstd-compressed."""
        pa, flat = _arrow(), plain(table)
        fields = [_field(flat[n]) for n in flat.colnames]
        meta = {str(k): _meta_text(k, v) for k, v in table.meta.items()}
        noted = _noted(meta, provenance)
        if not any(f.type.num_fields for f, _ in fields):  # VOParquet has no word for lists
            noted |= {_VERSION: b"1.0", _CONTENT: header_document(flat, provenance)}
        schema = pa.schema([f for f, _ in fields], metadata=noted)
        arrow = pa.Table.from_arrays([a for _, a in fields], schema=schema)
        pa.parquet.write_table(arrow, path, compression="zstd")

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy row group by row group with the new columns at the end of each."""
        del hdu
        fields = [_field(_as_column(c)) for c in columns]
        with _arrow().parquet.ParquetFile(source) as file:
            if any(len(a) != file.metadata.num_rows for _, a in fields):
                return False
            schema = file.schema_arrow
            for field, _ in fields:
                schema = schema.append(field)
            noted = _noted(schema.metadata or {}, provenance)
            noted |= _described(schema.metadata or {}, columns, provenance)
            if _YAML in noted:
                noted |= _told_astropy(noted[_YAML], columns)
            schema = schema.with_metadata(noted)
            _copy_groups(file, [a for _, a in fields], schema, path)
        return True


def _arrow() -> Any:
    """Load pyarrow, which takes a tenth of a second and which only Parquet files need."""
    import pyarrow.parquet  # noqa: PLC0415

    return pyarrow


def _told_astropy(text: bytes, columns: Sequence[Column]) -> dict[bytes, bytes]:
    """Return what astropy's reader wants to know: columns in its YAML, and the widths of text."""
    try:
        _header(text)
    except _NO_YAML:
        return {_YAML: text}
    lines = text.decode().split("\n")
    begin = lines.index("datatype:") + 1 if "datatype:" in lines else len(lines)
    end = next((i for i in range(begin, len(lines)) if not lines[i].startswith(("-", " "))), len(lines))
    out = {}
    for column in columns:
        values = np.asarray(column.values)
        told: dict[str, Any] = {"name": column.name, "datatype": "string"}
        if values.dtype.kind == "U":
            width = max((len(v) for v in values.tolist()), default=1)
            out[f"table::len::{column.name}".encode()] = str(width).encode()
        else:
            told["datatype"] = values.dtype.name
        told |= {k: v for k, v in (("unit", column.unit), ("description", column.description)) if v}
        told |= {"meta": {"ucd": column.ucd}} if column.ucd else {}
        lines.insert(end, f"- {json.dumps(told)}")
        end += 1
    return out | {_YAML: "\n".join(lines).encode()}


def _described(metadata: dict[bytes, bytes], columns: Sequence[Column], provenance: Provenance) -> dict[bytes, bytes]:
    """Return the VOParquet description of a file with more columns, if it has one."""
    text = extended_document(metadata[_CONTENT], columns, provenance) if _CONTENT in metadata else None
    return {} if text is None else {_CONTENT: text}


def _copy_groups(file: Any, arrays: Sequence[Any], schema: Any, path: Path) -> None:
    pa, codec = _arrow(), "zstd"
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


def _as_column(column: Column) -> apt.Column:
    return apt.Column(
        np.asarray(column.values),
        name=column.name,
        unit=parsed_unit(column.unit),
        description=column.description or None,
        meta={"ucd": column.ucd} if column.ucd else {},
    )


def _field(column: apt.Column) -> tuple[Any, Any]:
    """Return the schema field and the values of a column."""
    told = {"unit": unit_text(column), "description": column.description or "", "ucd": ucd_of(column)}
    array = _array(column)
    metadata = {k: str(v) for k, v in told.items() if v} or None
    return _arrow().field(column.name, array.type, metadata=metadata), array


def _array(column: apt.Column) -> Any:
    """Return a column as an Arrow array: native byte order, masked values null, several per row as lists."""
    pa = _arrow()
    mask = np.ma.getmaskarray(column) if isinstance(column, apt.MaskedColumn) else None
    values = np.ma.getdata(column) if mask is not None else np.asarray(column)
    if values.dtype.kind == "O":
        return pa.array([None if v is None else np.ma.asarray(v).tolist() for v in values])
    if values.dtype.kind == "c":
        return pa.array([str(v) for v in values.tolist()])
    if values.dtype.kind not in "US":
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim == 1:
        return pa.array(values, mask=mask)
    kind = pa.from_numpy_dtype(values.dtype) if values.dtype.kind != "U" else pa.string()
    for _ in range(values.ndim - 1):
        kind = pa.list_(kind)
    return pa.array(values.tolist(), type=kind)


def _noted(metadata: dict[Any, Any], provenance: Provenance) -> dict[bytes, bytes]:
    """Return schema metadata with the provenance added."""
    out = {_bytes(k): _bytes(v) for k, v in metadata.items()}
    taken = {k.decode("utf-8", "replace").upper() for k in out}
    for keyword, value, _ in provenance.cards:
        free = free_keyword(keyword, taken)
        taken.add(free)
        out[free.encode()] = value.encode()
    if provenance.history:
        before = out.get(b"HISTORY", b"")
        out[b"HISTORY"] = b"\n".join([*([before] if before else []), *(h.encode() for h in provenance.history)])
    return out


# What a header that is none raises: its YAML is parsed, then its nodes are made objects of.
_NO_YAML = (apt_meta.YamlParseError, yaml.YAMLError, AttributeError, LookupError, TypeError, ValueError, RecursionError)
_LINES = ("HISTORY", "COMMENTS")


def _meta_text(key: Any, value: Any) -> str:
    """Return a piece of meta as text: lines of history or comments as lines, else JSON."""
    if str(key).upper() in _LINES and isinstance(value, list):
        return "\n".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _meta_value(key: str, text: str) -> Any:
    return text.split("\n") if key.upper() in _LINES else text


def _bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _table(arrow: Any) -> apt.Table:
    """Return an Arrow table as an astropy one."""
    metadata = {k.decode("utf-8", "replace"): v for k, v in (arrow.schema.metadata or {}).items()}
    out = apt.Table([_column(arrow.column(i), arrow.schema.field(i)) for i in range(arrow.num_columns)], copy=False)
    out.meta = {
        k: _meta_value(k, v.decode("utf-8", "replace"))
        for k, v in metadata.items()
        if not k.startswith(("ARROW:", "pandas", "table_meta_yaml", "IVOA."))
    }
    told = _yaml(metadata.get("table_meta_yaml"))
    if _CONTENT.decode() in metadata:
        told |= described_fields(metadata[_CONTENT.decode()])
    for name in out.colnames:
        _complete(out[name], told.get(name, {}))
    return out


def _complete(column: apt.Column, told: dict[str, str]) -> None:
    """Give a column the unit, description and UCD that it does not have yet."""
    column.unit = column.unit or parsed_unit(told.get("unit"))
    column.description = column.description or told.get("description") or None
    if told.get("ucd"):
        column.meta.setdefault("ucd", told["ucd"])


def _yaml(text: bytes | None) -> dict[str, dict[str, str]]:
    """Return what astropy noted about the columns, by name."""
    if text is None:
        return {}
    try:
        columns = _header(text)["datatype"]
        return {str(c["name"]): _texts(c | {"ucd": (c.get("meta") or {}).get("ucd", "")}) for c in columns}
    except _NO_YAML:
        return {}


def _header(text: bytes) -> Any:
    lines = text.decode().split("\n")
    check_yaml(lines)
    return apt_meta.get_header_from_yaml(lines)


def _texts(told: dict[str, Any]) -> dict[str, str]:
    """Return what is text: YAML may hold anything."""
    return {k: v for k, v in told.items() if isinstance(v, str)}


def _column(chunked: Any, field: Any) -> apt.Column:
    """Return one Arrow column with its unit, description and UCD."""
    told = {k.decode().lower(): v.decode("utf-8", "replace") for k, v in (field.metadata or {}).items()}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        values, mask = _values(chunked, field.type)
    meta = {"ucd": told["ucd"]} if told.get("ucd") else {}
    kind = apt.Column if mask is None else apt.MaskedColumn
    extra = {} if mask is None else {"mask": mask}
    return kind(
        values,
        name=field.name,
        unit=parsed_unit(told.get("unit")),
        description=told.get("description") or None,
        meta=meta,
        **extra,
    )


def _values(chunked: Any, kind: Any) -> tuple[Any, Any]:
    """Return values and, where some are null, which."""
    pa = _arrow()
    t = pa.types
    if t.is_dictionary(kind):
        return _values(chunked.cast(kind.value_type), kind.value_type)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_null(kind) or t.is_string_view(kind):
        return np.array(["" if v is None else v for v in chunked.to_pylist()], dtype=np.str_), None
    if t.is_binary(kind) or t.is_large_binary(kind):
        return np.array([(v or b"").decode("latin-1") for v in chunked.to_pylist()], dtype=np.str_), None
    if t.is_decimal(kind):
        return _values(chunked.cast(pa.float64()), pa.float64())
    if t.is_floating(kind):
        return chunked.to_numpy(zero_copy_only=False), None
    if t.is_integer(kind) or t.is_boolean(kind):
        mask = chunked.is_null().to_numpy(zero_copy_only=False) if chunked.null_count else None
        filled = chunked.fill_null(False if t.is_boolean(kind) else 0)
        return filled.to_numpy(zero_copy_only=False), mask
    if t.is_nested(kind):
        return _nested(chunked, kind), None
    return np.array(["" if v is None else str(v) for v in chunked.to_pylist()], dtype=np.str_), None


def _nested(chunked: Any, kind: Any) -> Any:
    """Return lists as a rectangular array where they are one, else as objects."""
    cells = chunked.to_pylist()
    inner = _innermost(kind)
    if cells and inner is not None and not chunked.null_count:
        try:
            return np.array(cells, dtype=inner)
        except (ValueError, TypeError):
            pass  # of different lengths, or with nulls
    boxed = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        boxed[i] = _flat(cell, inner)
    return boxed


def _flat(cell: Any, inner: Any) -> Any:
    """Return one list as an array if it is one of numbers."""
    if inner is None or cell is None:
        return cell
    try:
        return np.array(cell, dtype=inner)
    except (ValueError, TypeError):
        return cell


def _innermost(kind: Any) -> Any:
    """Return the number type inside lists of lists, or None."""
    t = _arrow().types
    while t.is_nested(kind) and not t.is_struct(kind) and not t.is_map(kind):
        kind = kind.value_type
    numeric = t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind)
    return np.dtype(kind.to_pandas_dtype()) if numeric else None
