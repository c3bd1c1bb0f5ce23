"""Arrow: columns of astropy as arrays of Arrow, and back; pyarrow is loaded with the first of them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from astropy import table as apt

from galmorph.sky.formats.column import parsed_unit, ucd_of
from galmorph.sky.formats.plain import cell_text, python_value, unit_text

__all__ = ["arrow_array", "arrow_column", "arrow_field", "arrow_type", "pyarrow_module"]


def pyarrow_module() -> Any:
    """Load pyarrow, which takes a tenth of a second and which only Parquet files need."""
    import pyarrow.parquet  # noqa: PLC0415

    return pyarrow


def arrow_field(column: apt.Column) -> Any:
    """Return the field of a schema that stands for a column, with its unit, description and UCD."""
    told = {"unit": unit_text(column), "description": column.description or "", "ucd": ucd_of(column)}
    metadata = {k: str(v) for k, v in told.items() if v} or None
    return pyarrow_module().field(column.name, arrow_type(column), metadata=metadata)


def arrow_type(column: apt.Column) -> Any:
    """Return the type of a column's cells: for objects that is what all of them have in common."""
    if column.dtype.kind == "O":
        return _array(column).type
    return _array(column[:0]).type


def arrow_array(column: apt.Column, kind: Any) -> Any:
    """Return (part of) a column as an array of a type: native byte order, masked cells null, several a row as lists."""
    if column.dtype.kind == "O" and pyarrow_module().types.is_string(kind):
        return _json_texts(np.ma.getdata(column))
    array = _array(column)
    return array if array.type == kind else array.cast(kind)


def _array(column: apt.Column) -> Any:
    """Return a column as an array of whatever type its cells have."""
    pa = pyarrow_module()
    mask = np.ma.getmaskarray(column) if isinstance(column, apt.MaskedColumn) else None
    values = np.ma.getdata(column) if mask is not None else np.asarray(column)
    if values.dtype.kind == "O":
        return _objects(values)
    if values.dtype.kind == "c":
        return _complex(values if mask is None else np.ma.array(values, mask=mask))
    if values.dtype.kind not in "US":
        values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.ndim == 1:
        return pa.array(values, mask=mask)
    if values.ndim == 2 and values.shape[1]:  # of a fixed size, as astropy's reader wants to know
        flat = pa.array(np.ascontiguousarray(values).ravel(), mask=None if mask is None else mask.ravel())
        return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
    kind = pa.from_numpy_dtype(values.dtype) if values.dtype.kind != "U" else pa.string()
    for _ in range(values.ndim - 1):
        kind = pa.list_(kind)
    return pa.array((values if mask is None else np.ma.array(values, mask=mask)).tolist(), type=kind)


def _objects(values: Any) -> Any:
    """Return objects as lists, structures or text, what they have in common; else each as text of JSON."""
    pa = pyarrow_module()
    try:
        return pa.array([python_value(v) for v in values])
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError):
        return _json_texts(values)


def _json_texts(values: Any) -> Any:
    return pyarrow_module().array([cell_text(v) for v in values], pyarrow_module().string())


def _complex(values: Any) -> Any:
    """Return complex numbers, for which Arrow has no type, as text, masked ones as null, several a row as lists."""
    pa = pyarrow_module()
    kind = pa.string()
    for _ in range(values.ndim - 1):
        kind = pa.list_(kind)
    return pa.array([python_value(v) for v in values], type=kind)


def arrow_column(chunked: Any, field: Any) -> apt.Column:
    """Return a column of Arrow as one of astropy, with its unit, description and UCD."""
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
    pa = pyarrow_module()
    t = pa.types
    if t.is_dictionary(kind):
        return _values(chunked.cast(kind.value_type), kind.value_type)
    if t.is_string(kind) or t.is_large_string(kind) or t.is_null(kind) or t.is_string_view(kind):
        # Chunk by chunk, since a text of Python takes more memory than that in either array.
        return np.concatenate([_texts(chunk) for chunk in chunked.chunks] or [np.array([], np.str_)]), None
    if t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind):
        return np.array([_bytes_text(v or b"") for v in chunked.to_pylist()], dtype=np.str_), None
    if t.is_decimal(kind):
        return _decimals(chunked, kind)
    if t.is_floating(kind):
        return chunked.to_numpy(zero_copy_only=False), None
    if t.is_integer(kind) or t.is_boolean(kind):
        mask = chunked.is_null().to_numpy(zero_copy_only=False) if chunked.null_count else None
        filled = chunked.fill_null(False if t.is_boolean(kind) else 0)
        return filled.to_numpy(zero_copy_only=False), mask
    if t.is_nested(kind):
        return _rectangle(chunked, kind) or (_nested(chunked, kind), None)
    if t.is_time(kind):  # Python's has no nanoseconds
        return _values(chunked.cast(pa.string()), pa.string())
    return np.array(["" if v is None else str(v) for v in chunked.to_pylist()], dtype=np.str_), None


def _decimals(chunked: Any, kind: Any) -> tuple[Any, Any]:
    """Return decimals as whole numbers or doubles where their type says that all of them are; else as text."""
    pa = pyarrow_module()
    if kind.scale == 0 and kind.precision <= 18:
        return _values(chunked.cast(pa.int64()), pa.int64())
    if kind.scale > 0 and kind.precision <= 15:
        cells = [np.nan if v is None else float(v) for v in chunked.to_pylist()]  # Arrow's cast is off by a bit
        return np.array(cells, dtype=np.float64), None
    return np.array(["" if v is None else format(v, "f") for v in chunked.to_pylist()], dtype=np.str_), None


def _bytes_text(value: bytes) -> str:
    r"""Return bytes as text: UTF-8, Latin-1 if they are none, and escapes for what no text has.

    Examples
    --------
    >>> _bytes_text(b"a\x00")
    'a\\x00'
    """
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return "".join(c if c.isprintable() or c in "\t\n\r" else f"\\x{ord(c):02x}" for c in text)


def _texts(chunk: Any) -> Any:
    return np.array(["" if v is None else v for v in chunk.to_pylist()], dtype=np.str_)


def _nested(chunked: Any, kind: Any) -> Any:
    """Return lists as a rectangular array where they are one, else as objects."""
    cells = chunked.to_pylist()
    inner = _innermost(kind)
    # numpy makes False of a null among truth values.
    if cells and inner is not None and not chunked.null_count and not (inner.kind == "b" and _has_null(cells)):
        try:
            array = np.array(cells, dtype=inner)
            if array.ndim == 1 + _depth(kind):  # empty lists do not tell
                return array
        except (ValueError, TypeError):
            pass  # of different lengths, or with nulls
    boxed = np.empty(len(cells), dtype=object)
    for i, cell in enumerate(cells):
        boxed[i] = _flat(cell, inner)
    return boxed


def _rectangle(chunked: Any, kind: Any) -> tuple[Any, Any] | None:
    """Return lists of numbers, all of one length, and where they are null, if anywhere; None for others.

    None of the numbers is an object of Python on the way.
    """
    t = pyarrow_module().types
    is_list = t.is_fixed_size_list(kind) or t.is_list(kind)
    if not is_list or not (t.is_floating(kind.value_type) or t.is_integer(kind.value_type)) or chunked.null_count:
        return None
    flat = [chunk.flatten() for chunk in chunked.chunks]
    sizes = {kind.list_size} if t.is_fixed_size_list(kind) else {n for c in chunked.chunks for n in _lengths(c)}
    if not len(chunked) or len(sizes) != 1:
        return None
    shape, mask = (len(chunked), *sizes), None
    if t.is_integer(kind.value_type) and any(values.null_count for values in flat):
        mask = np.concatenate([values.is_null().to_numpy(zero_copy_only=False) for values in flat]).reshape(shape)
        flat = [values.fill_null(0) for values in flat]
    return np.concatenate([values.to_numpy(zero_copy_only=False) for values in flat]).reshape(shape), mask


def _lengths(chunk: Any) -> Any:
    return np.unique(chunk.value_lengths().to_numpy(zero_copy_only=False)).tolist()


def _flat(cell: Any, inner: Any) -> Any:
    """Return one list as an array if it is one of numbers."""
    if inner is None or cell is None or (inner.kind == "b" and _has_null(cell)):
        return cell
    try:
        return np.array(cell, dtype=inner)
    except (ValueError, TypeError):
        return cell


def _depth(kind: Any) -> int:
    """Return how many lists are in one another."""
    t, depth = pyarrow_module().types, 0
    while t.is_nested(kind) and not t.is_struct(kind) and not t.is_map(kind):
        kind, depth = kind.value_type, depth + 1
    return depth


def _has_null(cell: Any) -> bool:
    return cell is None or (isinstance(cell, list) and any(_has_null(each) for each in cell))


def _innermost(kind: Any) -> Any:
    """Return the number type inside lists of lists, or None."""
    t = pyarrow_module().types
    for _ in range(_depth(kind)):
        kind = kind.value_type
    numeric = t.is_integer(kind) or t.is_floating(kind) or t.is_boolean(kind)
    return np.dtype(kind.to_pandas_dtype()) if numeric else None
