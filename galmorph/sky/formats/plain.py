"""Plain tables: numbers, booleans and text only, as every file format can hold them."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from astropy import table as apt
from astropy import units as u
from astropy.table.serialize import represent_mixins_as_columns

from galmorph.errors import OutputError
from galmorph.sky.formats.column import parsed_unit

__all__ = ["as_text", "cell_text", "cells_text", "plain", "python_value", "ragged_arrays", "settled", "unit_text"]


def plain(table: apt.Table) -> apt.Table:
    """Return `table` without mixins (coordinates, times, quantities), byte strings, dates or odd widths.

    The meanings are unchanged: a SkyCoord becomes its columns, a date its ISO text, a float16 a float32.
    Columns that need nothing are shared.
    """
    if table.has_mixin_columns:
        table = _without_mixins(table)
    columns = [_plain_column(table[name]) for name in table.colnames]
    return apt.Table(columns, names=table.colnames, meta=table.meta, copy=False)


def settled(table: apt.Table) -> apt.Table:
    """Return a table just read with null text empty instead of masked, and descriptions of one line."""
    columns = []
    for name in table.colnames:
        column = table[name]
        if isinstance(column, apt.MaskedColumn) and column.dtype.kind == "U":
            column = apt.Column(as_text(column), name=name, unit=column.unit, meta=column.meta)
            column.description = table[name].description
        column.info.description = " ".join((column.info.description or "").split()) or None
        columns.append(column)
    return type(table)(columns, names=table.colnames, meta=table.meta, copy=False)


def _without_mixins(table: apt.Table) -> apt.Table:
    out = represent_mixins_as_columns(_dated(table))
    out.meta = {k: v for k, v in out.meta.items() if k != "__serialized_columns__"}
    return out


def _dated(table: apt.Table) -> apt.Table:
    """Return a table whose times are ISO text."""
    if not any(hasattr(column, "isot") for column in table.itercols()):
        return table
    out = table.copy(copy_data=False)
    for name in out.colnames:
        if hasattr(out[name], "isot"):
            text = as_text(np.ma.asarray(np.ma.filled(out[name].isot, "")))
            out.replace_column(name, apt.Column(text, name=name, description=out[name].info.description))
    return out


def _plain_column(column: Any) -> Any:
    if not isinstance(column, apt.Column):  # a Quantity that stayed one
        return apt.Column(
            np.asarray(column.value),
            unit=column.unit,
            description=column.info.description,
            meta=column.info.meta,
        )
    kind = column.dtype.kind
    if kind in "SMm" or (kind == "O" and _is_text(column)):
        return _like(column, as_text(column))
    if column.dtype.type is np.float16:
        return _like(column, column.astype(np.float32))
    if column.dtype.type is np.longdouble and np.dtype(np.longdouble).itemsize > 8:
        return _like(column, column.astype(np.float64))
    return column


def _like(column: apt.Column, values: Any) -> apt.Column:
    """Return a column with other values but the same name, unit, description, meta and mask."""
    mask = getattr(column, "mask", None)
    kind = apt.Column if mask is None else apt.MaskedColumn
    extra = {} if mask is None else {"mask": mask}
    return kind(
        np.asarray(values),
        name=column.name,
        unit=column.unit,
        description=column.description,
        meta=column.meta,
        **extra,
    )


def _is_text(column: apt.Column) -> bool:
    return all(v is None or isinstance(v, str | bytes) or v is np.ma.masked for v in column)


def as_text(column: Any) -> np.ndarray[Any, np.dtype[np.str_]]:
    """Return the cells of a column as text, (N,) or its shape; masked and None are empty."""
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    raw = np.ma.getdata(column) if mask is not None else np.asarray(column)
    if raw.dtype.kind in "Mm":
        text = np.where(np.isnat(raw), "", np.datetime_as_string(raw)) if raw.dtype.kind == "M" else raw.astype(str)
    elif raw.dtype.kind in "SO":
        text = np.array([_decoded(v) for v in raw.ravel()], dtype=np.str_).reshape(raw.shape)
    else:
        text = raw.astype(np.str_)
    return np.where(mask, "", text) if mask is not None else np.asarray(text)


def _decoded(value: Any) -> str:
    if value is None or value is np.ma.masked:
        return ""
    if not isinstance(value, bytes):
        return _told(value)
    try:
        return value.partition(b"\0")[0].decode("utf-8")
    except UnicodeDecodeError:
        return value.partition(b"\0")[0].decode("latin-1")


def cell_text(value: Any) -> str:
    """Return one cell as text that reads back as the same value; null and NaN are empty."""
    if value is None or value is np.ma.masked or value is np.ma.core.masked:
        return ""
    if isinstance(value, np.ndarray | list | tuple | dict):
        return json.dumps(python_value(value))
    if isinstance(value, bytes | str):
        return _decoded(value)
    text = _told(value)
    return "" if text == "nan" else text


def _told(value: Any) -> str:
    """Return what an object says of itself; one that names its address in memory says nothing."""
    kind: Any = type(value)
    if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
        raise OutputError(
            f"a cell holds an object of type '{kind.__name__}', which no file of a table can: expected numbers, texts, "
            "dates, or lists and dictionaries of these"
        )
    return str(value)


def python_value(value: Any) -> Any:
    """Return a cell as Python's lists, dictionaries, numbers and text, None for what is masked.

    Examples
    --------
    >>> python_value(np.ma.array([1, 2], mask=[False, True]))
    [1, None]
    """
    if value is None or value is np.ma.masked:
        return None
    if isinstance(value, np.ndarray) and value.dtype.kind in "biufU":
        return value.tolist()
    if isinstance(value, np.ndarray | list | tuple):
        return [python_value(each) for each in value]
    if isinstance(value, dict):
        return {str(key): python_value(each) for key, each in value.items()}
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, bytes):
        return _decoded(value)
    return value if isinstance(value, bool | int | float | str) else _told(value)


def cells_text(values: Any) -> list[str]:
    """Return the cells of (part of) a column as text; see `cell_text`."""
    array = np.asarray(values)
    if isinstance(values, np.ma.MaskedArray) or array.ndim > 1 or array.dtype.kind not in "fiub":
        return [cell_text(v) for v in values]
    if array.dtype.kind == "f" and array.dtype.itemsize == 8:
        return [repr(v) if v == v else "" for v in array.tolist()]  # noqa: PLR0124  (false for NaN)
    text: list[str] = array.astype(np.str_).tolist()
    return ["" if v == "nan" else v for v in text] if array.dtype.kind == "f" else text


def ragged_arrays(cells: Any) -> tuple[list[np.ndarray[Any, Any]], np.dtype[Any] | None]:
    """Return the cells of an object column as flat arrays, and the number type of all; none, and None, for others.

    None counts as an empty array, what is masked as NaN. There is no type where an integer is masked, or would lose
    digits in the type of the others.
    """
    try:
        arrays = [_flat_array(cell) for cell in cells]
    except (ValueError, TypeError):  # lists of different lengths in one, or no numbers
        return [], None
    kinds = {a.dtype for a in arrays if a.size}
    if not kinds or any(k.kind not in "iuf" for k in kinds):
        return [], None
    common = np.result_type(*kinds)
    if common.kind == "f" and any(_loses_digits(a) for a in arrays if a.dtype.kind in "iu"):
        return [], None
    if common == np.int8:  # which FITS and VOTable lack
        return arrays, np.dtype(np.int16)
    return arrays, np.dtype(np.int64) if common.kind == "u" and common.itemsize < 8 else common


def _flat_array(cell: Any) -> np.ndarray[Any, Any]:
    flat: Any = np.ravel(np.ma.asarray([] if cell is None else cell))
    if flat.dtype.kind == "f":
        return np.asarray(flat.filled(np.nan))
    if np.ma.getmaskarray(flat).any():
        raise ValueError("no integer stands for null")
    return np.asarray(np.ma.getdata(flat))


def _loses_digits(integers: np.ndarray[Any, Any]) -> bool:
    """Say whether some integers are none of the doubles."""
    return bool(integers.size) and max(int(integers.max()), -int(integers.min())) > 2**53


def unit_text(column: Any) -> str:
    """Return the unit of a column as it was spelt, or as a VOUnit, or the empty string."""
    unit = parsed_unit(column.unit) if isinstance(column.unit, str) else column.unit
    if unit is None:
        return ""
    if isinstance(unit, u.UnrecognizedUnit):
        return str(unit.name)
    try:
        return str(unit.to_string("vounit"))
    except (ValueError, TypeError):
        return str(unit)
