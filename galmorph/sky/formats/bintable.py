"""Bintable: a table as a new FITS file, with an empty primary unit and one binary table."""

from __future__ import annotations

import json
import textwrap
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from astropy import table as apt
from astropy import units as u
from astropy.io import fits

from galmorph.errors import OutputError
from galmorph.sky.formats.column import Provenance, escaped, ucd_of
from galmorph.sky.formats.hdus import (
    MAX_FIELDS,
    about_column,
    card_text,
    checksum_cards,
    header_bytes,
    padded,
    units,
    word_sum,
)
from galmorph.sky.formats.plain import cell_text, plain, ragged_arrays
from galmorph.sky.formats.rows import provenance_cards

__all__ = ["STRUCTURE", "ascii_name", "write_bintable"]

STRUCTURE = frozenset((
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP",
    "GROUPS", "CHECKSUM", "DATASUM", "END", "EXTEND", "ZTABLE", "LONGSTRN",
))  # fmt: skip
"""Keywords that say how a file is laid out, not what is in it."""


def write_bintable(table: apt.Table, provenance: Provenance, path: Path) -> None:
    """Write a table with its meta and the provenance as cards.

    Raises
    ------
    OutputError
        If it has more columns than FITS can hold.
    """
    if len(table.colnames) > MAX_FIELDS:
        raise OutputError(
            f"A table of {len(table.colnames)} columns is too wide for FITS, which holds {MAX_FIELDS}: "
            "choose another format"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        flat = plain(table)
        unit = _binary_table(flat)
        for card in (*_meta_cards(table.meta), *_provenance(table, provenance)):
            unit.header.append(card, end=True)
        if "CONTINUE" in str(unit.header):
            unit.header.append(("LONGSTRN", "OGIP 1.0", "long strings use CONTINUE"), end=True)
        fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path, overwrite=True, checksum=True)
    _mark_null_booleans(table, path)


def _mark_null_booleans(table: apt.Table, path: Path) -> None:
    """Write a zero byte, FITS's null, for masked booleans, which astropy writes as false."""
    masks = {
        n: np.ma.getmaskarray(table[n])
        for n in table.colnames
        if isinstance(table[n], apt.MaskedColumn) and table[n].dtype.kind == "b" and np.any(table[n].mask)
    }
    if not masks:
        return
    with fits.open(path) as hdus:
        layout = hdus[1].columns.dtype
    with path.open("r+b") as stream:
        hdu_iterator = units(stream)
        stream.seek(padded(next(hdu_iterator).size), 1)
        unit = next(hdu_iterator)
        begin = stream.tell()
        data = bytearray(stream.read(padded(unit.size)))
        rows = np.frombuffer(data, np.uint8)[: unit.number("NAXIS1") * len(table)].reshape(len(table), -1)
        for name, mask in masks.items():
            at = layout.fields[name][1]
            rows[:, at : at + mask[0].size][mask.reshape(len(table), -1)] = 0
        header = header_bytes(checksum_cards(list(unit.cards), word_sum(bytes(data))))
        stream.seek(begin - len(header))
        stream.write(header + data)


def _binary_table(table: apt.Table) -> fits.BinTableHDU:
    """Return a binary table with descriptions, UCDs and units in its header."""
    columns = [_fits_column(table[name]) for name in table.colnames]
    unit = fits.BinTableHDU.from_columns(columns, nrows=len(table))
    for number, name in enumerate(table.colnames, start=1):
        column = table[name]
        spelt = "" if column.unit is None else _unit(column.unit)
        after = f"TFORM{number}"
        for keyword, text in (
            ("TCOMM", column.description or ""),
            ("TUCD", ucd_of(column)),
            ("TUNIT", spelt),
        ):
            if text:
                for_card = "".join(card_text(f"{keyword}{number}", str(text)))
                unit.header.insert(after, fits.Card.fromstring(for_card), after=True)
    return unit


def ascii_name(name: str) -> str:
    r"""Return a column's name in the letters that FITS has for names.

    Examples
    --------
    >>> ascii_name("gr\u00f6\u00dfe")
    'gr_xf6_xdfe'
    """
    return name if name.isascii() else escaped(name).replace("\\", "_")


def _unit(unit: Any) -> str:
    """Return a unit as FITS spells it, or as it was spelt."""
    if isinstance(unit, u.UnrecognizedUnit):
        return str(unit.name)
    try:
        return str(unit.to_string("fits"))
    except (ValueError, TypeError, AttributeError):
        return str(unit)


def _fits_column(column: apt.Column) -> fits.Column:
    """Return one column in FITS's types; null integers get a TNULL outside the values."""
    name, shape = ascii_name(column.name), column.shape[1:]
    values, null = _nulled(column)
    if values.dtype.kind == "O":
        return _variable(name, values)
    repeat = int(np.prod(shape, dtype=int))
    extra: dict[str, Any] = {} if null is None else {"null": null}
    if len(shape) > 1:
        extra["dim"] = str(tuple(reversed(shape)))
    kind = values.dtype
    if kind.kind in "US":
        text = np.array([escaped(v).encode() for v in values.ravel().tolist()], np.bytes_)
        # As wide as the array's type, so that the column does not depend on its values.
        width = max(1, text.dtype.itemsize, kind.itemsize // 4 if kind.kind == "U" else kind.itemsize)
        if shape:
            extra["dim"] = str((width, *reversed(shape)))
        return fits.Column(name, f"{width * repeat}A", array=text.reshape(values.shape), **extra)
    letter, zero = _form(kind)
    if zero:
        extra["bzero"] = zero
    return fits.Column(name, f"{repeat if shape else ''}{letter}", array=values, **extra)


def _form(kind: np.dtype[Any]) -> tuple[str, int]:
    letters = {
        "b1": "L",
        "u1": "B",
        "i2": "I",
        "i4": "J",
        "i8": "K",
        "f4": "E",
        "f8": "D",
        "c8": "C",
        "c16": "M",
    }
    unsigned = {"u2": ("I", 1 << 15), "u4": ("J", 1 << 31), "u8": ("K", 1 << 63), "i1": ("B", -128)}
    code = f"{kind.kind}{kind.itemsize}"
    return unsigned[code] if code in unsigned else (letters[code], 0)


def _nulled(column: apt.Column) -> tuple[Any, int | None]:
    """Return the values of a column, null ones replaced, and what replaces null integers."""
    if not isinstance(column, apt.MaskedColumn):
        return np.asarray(column), None
    values, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    kind = values.dtype.kind
    if kind in "fc":
        return np.where(mask, np.nan, values).astype(values.dtype), None
    if kind in "US":
        return np.where(mask, "", values), None
    if kind not in "iu" or not mask.any():
        return values, None
    return _with_null(values, mask)


def _with_null(values: Any, mask: Any) -> tuple[Any, int]:
    """Replace masked integers by the lowest number that no other is; unsigned ones become signed, if they fit."""
    wider = {"i1": np.int16, "u2": np.int32, "u4": np.int64}.get(f"{values.dtype.kind}{values.dtype.itemsize}")
    others = np.unique(values[~mask])
    if values.dtype.kind == "u" and values.dtype.itemsize == 8 and (not others.size or others[-1] < 1 << 63):
        wider = np.int64
    values = np.where(mask, 0, values).astype(values.dtype if wider is None else wider)
    # TNULL is what stands in the file, 2**63 less than the largest unsigned integers; astropy takes it for one of them,
    # and none that is negative.
    zero = _form(values.dtype)[1]
    null = int(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else 0
    taken = set(others.tolist())
    while null in taken or null + zero in taken:
        null += 1
    return np.where(mask, np.array(null + zero, values.dtype), values), null


def _variable(name: str, values: Any) -> fits.Column:
    """Return a column of arrays of different lengths, or its cells as JSON text where they are no numbers."""
    arrays, common = ragged_arrays(values)
    if common is None or common.kind == "u":
        text = [cell_text(v) for v in values]
        width = max(1, max(map(len, text), default=1))
        return fits.Column(name, f"{width}A", array=np.array([escaped(v).encode() for v in text], dtype=np.bytes_))
    boxed = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        boxed[i] = array.astype(common)
    return fits.Column(name, f"Q{_form(common)[0]}()", array=boxed)


def _meta_cards(meta: dict[str, Any]) -> Iterator[fits.Card]:
    """Yield a table's meta as cards where FITS can hold them, as comments otherwise."""
    for key, value in meta.items():
        yield from _entry_cards(str(key), value)


def _entry_cards(key: str, value: Any) -> Iterator[fits.Card]:
    word = key.upper()
    if word in ("COMMENTS", "COMMENT", "HISTORY"):
        lines = value if isinstance(value, list | tuple) else [value]
        yield from _lines("HISTORY" if word == "HISTORY" else "COMMENT", map(str, lines))
        return
    if value is None or word in STRUCTURE or about_column(word, 999):
        return
    if _is_card(word, value):
        yield fits.Card.fromstring("".join(card_text(word, value)))
    else:
        yield from _lines("COMMENT", [f"{key} = {json.dumps(value, default=str)}"])


def _is_card(word: str, value: Any) -> bool:
    legal = 0 < len(word) <= 8 and all(c.isascii() and (c.isalnum() or c in "-_") for c in word)
    finite = not isinstance(value, float) or np.isfinite(value)
    return legal and isinstance(value, str | bool | int | float) and bool(finite)


def _lines(keyword: str, lines: Any) -> Iterator[fits.Card]:
    for line in lines:
        text = escaped(line).replace("\n", " ").replace("\t", " ")
        for part in textwrap.wrap(text, 72, drop_whitespace=False) or [""]:
            yield fits.Card.fromstring(f"{keyword:8}{part}".ljust(80))


def _provenance(table: apt.Table, provenance: Provenance) -> Iterator[fits.Card]:
    """Yield the provenance as cards."""
    cards = provenance_cards(provenance, {str(k).upper() for k in table.meta})
    start = 0
    while start < len(cards):
        stop = start + 1
        while stop < len(cards) and cards[stop].startswith("CONTINUE"):
            stop += 1
        yield fits.Card.fromstring("".join(cards[start:stop]))
        start = stop
