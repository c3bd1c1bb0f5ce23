"""Fits: tables of FITS files, binary or ASCII."""

from __future__ import annotations

import json
import lzma
import textwrap
import warnings
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from astropy import table as apt
from astropy import units as u
from astropy.io import fits
from astropy.table import meta as apt_meta

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.formats.blocks import (
    Unit,
    card_text,
    checksum_cards,
    header_bytes,
    opened,
    padded,
    units,
    word_sum,
)
from galmorph.sky.formats.column import Column, Provenance, parsed_unit, ucd_of
from galmorph.sky.formats.plain import as_text, plain, ragged_arrays
from galmorph.sky.formats.rows import append_rows, provenance_cards

__all__ = ["Fits"]

_BROKEN = (OSError, EOFError, ValueError, TypeError, KeyError, IndexError, zlib.error, lzma.LZMAError)
_STRUCTURE = (
    "SIMPLE", "XTENSION", "BITPIX", "NAXIS", "NAXIS1", "NAXIS2", "PCOUNT", "GCOUNT", "TFIELDS", "THEAP", "GROUPS",
    "CHECKSUM", "DATASUM", "END", "EXTEND", "ZTABLE",
)  # fmt: skip


class Fits:
    """FITS tables."""

    name = "fits"
    endings: tuple[str, ...] = (".fits", ".fit", ".fts", ".fits.fz")
    read_only: tuple[str, ...] = (".fits.fz",)

    def knows(self, head: bytes) -> bool:
        """Recognise the first card."""
        return head.startswith(b"SIMPLE  =")

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read the table of HDU number or name `hdu`, or the first table of the file."""
        try:
            index = _chosen(_checked_units(path), hdu, path)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                with fits.open(path, memmap=False, character_as_bytes=True) as hdus:
                    return _table(hdus[index]), index
        except CatalogError:
            raise
        except (*_BROKEN, fits.VerifyError) as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise CatalogError(
                f"Catalog '{path}' is no readable FITS table ({reason}): check that it is whole"
            ) from error

    def write(self, table: apt.Table, provenance: Provenance, path: Path) -> None:
        """Make a file with an empty primary unit and one binary table."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            unit = _binary_table(plain(table))
            for card in (*_meta_cards(table.meta), *_provenance(table, provenance)):
                unit.header.append(card, end=True)
            if "CONTINUE" in str(unit.header):
                unit.header.append(("LONGSTRN", "OGIP 1.0", "long strings use CONTINUE"), end=True)
            fits.HDUList([fits.PrimaryHDU(), unit]).writeto(path, overwrite=True, checksum=True)
        _mark_null_booleans(table, path)

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy the file row by row with the bytes of the new columns after each row."""
        return hdu is not None and append_rows(source, hdu, columns, provenance, path)


def _checked_units(path: Path) -> list[Unit]:
    """Return the units of a file; refuse one that is shorter than its headers say."""
    found: list[Unit] = []
    with opened(path) as stream:
        for unit in units(stream):
            found.append(unit)
            if not _skipped(stream, unit.size):
                raise CatalogError(
                    f"Catalog '{path}' is truncated: HDU {unit.index} should have {unit.size} bytes of data. "
                    "Copy or download it again."
                )
            stream.read(padded(unit.size) - unit.size)
    return found


def _skipped(stream: IO[bytes], size: int) -> bool:
    """Pass over `size` bytes; False where there are fewer."""
    if size == 0:
        return True
    stream.seek(size - 1, 1)
    return len(stream.read(1)) == 1


def _chosen(found: Sequence[Unit], hdu: int | str | None, path: Path) -> int:
    """Return the number of the table that is meant."""
    tables = {unit.index: unit.value("EXTNAME") for unit in found if unit.is_table}
    index = _numbered(tables, hdu, path)
    if found[index].value("ZTABLE") == "T":
        raise CatalogError(f"Catalog '{path}': HDU {index} is a compressed table. Unpack it with funpack.")
    return index


def _numbered(tables: dict[int, str], hdu: int | str | None, path: Path) -> int:
    if not tables:
        raise CatalogError(
            f"Catalog '{path}' has no table, only images: give the file that lists the sources"
        )
    if hdu is None:
        return min(tables)
    number = int(hdu) if isinstance(hdu, int) or hdu.isdecimal() else None
    if number is not None and number in tables:
        return number
    named = [i for i, name in tables.items() if number is None and name.lower() == str(hdu).lower()]
    if named:
        return named[0]
    known = [f"{i} ({name})" if name else str(i) for i, name in tables.items()]
    raise CatalogError(f"Catalog '{path}': {unknown_name('table HDU', str(hdu), known)}")


def _table(hdu: Any) -> apt.Table:
    """Return the columns and header of a table unit."""
    data, header = hdu.data, hdu.header
    names = _unique([c.name for c in hdu.columns])
    raw = np.asarray(data)
    columns = [
        _column(data.field(i), c, n, raw[raw.dtype.names[i]])
        for i, (c, n) in enumerate(zip(hdu.columns, names, strict=True))
    ]
    out = apt.Table(columns, copy=False)
    told = _serialized(header)
    for number, name in enumerate(names, start=1):
        column = out[name]
        column.description = header.get(f"TCOMM{number}") or told.get(name) or None
        if ucd := header.get(f"TUCD{number}"):
            column.meta["ucd"] = str(ucd)
    out.meta = _meta(header, len(names))
    return out


def _unique(names: Sequence[str | None]) -> list[str]:
    out: list[str] = []
    for number, name in enumerate(names, start=1):
        free, repeat = name or f"col{number}", 1
        while free in out:
            repeat += 1
            free = f"{name or f'col{number}'}_{repeat}"
        out.append(free)
    return out


def _column(values: Any, told: Any, name: str, raw: Any) -> apt.Column:
    """Return one column: text decoded, TNULL and null booleans masked, unit as it is spelt."""
    unit = parsed_unit(told.unit)
    array = np.asarray(values)
    if array.dtype.kind in "SU":
        return apt.Column(as_text(np.strings.rstrip(array)), name=name, unit=unit)
    if array.dtype.kind == "O":
        return apt.Column(array, name=name, unit=unit, dtype=object)
    if array.dtype.kind == "b" and raw.dtype.kind == "i" and not raw.all():
        return apt.MaskedColumn(array, mask=raw == 0, name=name, unit=unit, copy=False)
    if told.null is None or array.dtype.kind not in "iuf":
        return apt.Column(array, name=name, unit=unit, copy=False)
    null = int(told.null) * (told.bscale or 1) + (told.bzero or 0)
    return apt.MaskedColumn(array, mask=array == null, name=name, unit=unit, copy=False)


def _serialized(header: fits.Header) -> dict[str, str]:
    """Return descriptions from the comments in which astropy hides them."""
    lines = [str(line) for line in header.get("COMMENT", [])]
    begin, end = "--BEGIN-ASTROPY-SERIALIZED-COLUMNS--", "--END-ASTROPY-SERIALIZED-COLUMNS--"
    if begin not in lines or end not in lines:
        return {}
    joined: list[str] = []
    for line in lines[lines.index(begin) + 1 : lines.index(end)]:
        if joined and joined[-1].endswith("\\"):
            joined[-1] = joined[-1][:-1] + line
        else:
            joined.append(line)
    try:
        columns = apt_meta.get_header_from_yaml(joined)["datatype"]
    except (apt_meta.YamlParseError, KeyError, TypeError, ValueError):
        return {}
    return {c["name"]: c["description"] for c in columns if c.get("description")}


def _meta(header: fits.Header, fields: int) -> dict[str, Any]:
    """Return the header cards that are about the table as a whole; comments and history as lists of lines."""
    out: dict[str, Any] = {}
    for card in header.cards:
        key = card.keyword
        if key in ("COMMENT", "HISTORY"):
            out.setdefault("comments" if key == "COMMENT" else key, []).append(str(card.value))
        elif key and key not in _STRUCTURE and not _about_column(key, fields):
            out[key] = None if isinstance(card.value, fits.card.Undefined) else card.value
    return out


def _about_column(key: str, fields: int) -> bool:
    stem = key.rstrip("0123456789")
    number = key[len(stem) :]
    return stem.startswith("T") and number.isdecimal() and 1 <= int(number) <= fields and len(stem) > 3


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
        found = units(stream)
        stream.seek(padded(next(found).size), 1)
        unit = next(found)
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
    name, shape = column.name, column.shape[1:]
    values, null = _nulled(column)
    if values.dtype.kind == "O":
        return _variable(name, values)
    repeat = int(np.prod(shape, dtype=int))
    extra: dict[str, Any] = {} if null is None else {"null": null}
    if len(shape) > 1:
        extra["dim"] = str(tuple(reversed(shape)))
    kind = values.dtype
    if kind.kind in "US":
        text = np.array([v.encode("ascii", "replace") for v in values.ravel().tolist()], np.bytes_)
        width = max(1, text.dtype.itemsize)
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
    """Replace masked integers by the lowest number that none of the others is; unsigned ones become signed."""
    wider = {"i1": np.int16, "u2": np.int32, "u4": np.int64}.get(
        f"{values.dtype.kind}{values.dtype.itemsize}"
    )
    values = values if wider is None else values.astype(wider)
    known = np.unique(values[~mask])
    null = int(np.iinfo(values.dtype).min) if values.dtype.kind == "i" else 0
    for used in known.tolist():
        if used > null:
            break
        null = used + 1
    return np.where(mask, np.array(null, values.dtype), values), null


def _variable(name: str, values: Any) -> fits.Column:
    """Return a column of arrays of different lengths, or its cells as JSON text where they are no numbers."""
    arrays, common = ragged_arrays(values)
    if common is None or common.kind == "u":
        text = [json.dumps(a.tolist(), default=str) for a in arrays]
        width = max(map(len, text), default=1)
        return fits.Column(name, f"{width}A", array=np.array(text, dtype=np.bytes_))
    boxed = np.empty(len(arrays), dtype=object)
    for i, array in enumerate(arrays):
        boxed[i] = array.astype(common)
    return fits.Column(name, f"Q{_form(common)[0]}()", array=boxed)


def _meta_cards(meta: dict[str, Any]) -> Iterator[fits.Card]:
    """Yield a table's meta as cards where FITS can hold them, as comments otherwise."""
    for key, value in meta.items():
        word = str(key).upper()
        if word in ("COMMENTS", "COMMENT", "HISTORY"):
            lines = value if isinstance(value, list | tuple) else [value]
            yield from _lines("HISTORY" if word == "HISTORY" else "COMMENT", map(str, lines))
        elif word in _STRUCTURE or _about_column(word, 999):
            continue
        elif _is_card(word, value):
            yield fits.Card.fromstring("".join(card_text(word, value)))
        elif value is not None:
            yield from _lines("COMMENT", [f"{key} = {json.dumps(value, default=str)}"])


def _is_card(word: str, value: Any) -> bool:
    legal = 0 < len(word) <= 8 and all(c.isascii() and (c.isalnum() or c in "-_") for c in word)
    finite = not isinstance(value, float) or np.isfinite(value)
    return legal and isinstance(value, str | bool | int | float) and bool(finite)


def _lines(keyword: str, lines: Any) -> Iterator[fits.Card]:
    for line in lines:
        text = line.encode("ascii", "replace").decode("ascii").replace("\n", " ").replace("\t", " ")
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
