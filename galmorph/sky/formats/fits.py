"""Fits: tables of FITS files, binary or ASCII."""

from __future__ import annotations

import io
import logging
import math
import mmap
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import yaml
from astropy import table as apt
from astropy.io import fits
from astropy.table import meta as apt_meta

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.formats.bintable import STRUCTURE, ascii_name, write_bintable
from galmorph.sky.formats.column import Column, Positions, Provenance, escaped, parsed_unit
from galmorph.sky.formats.compressed import opened
from galmorph.sky.formats.hdus import (
    BLOCK,
    HeaderDataUnit,
    about_column,
    card_text,
    copied,
    header_bytes,
    padded,
    units,
)
from galmorph.sky.formats.heap import check_pointers
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import as_text
from galmorph.sky.formats.readback import Reread
from galmorph.sky.formats.rows import append_rows
from galmorph.sky.formats.scaling import CellScaling, null_cells, scaled_array, scalings_of
from galmorph.sky.formats.stored import HeldFormat
from galmorph.sky.formats.yaml_text import check_yaml
from galmorph.sky.mapped import SMALL_BYTES, mapped_file

__all__ = ["Fits", "table_of"]

log = logging.getLogger(__name__)

# Values of the cards that describe columns, by what they must be.
_TEXT_CARDS = re.compile(r"T(?:TYPE|FORM|UNIT|DISP|DIM|UCD|COMM)[1-9]\d{0,2}")
# A column of arrays of different lengths: its cells point into the heap.
_POINTER = re.compile(r"([01]?)([PQ])[A-Z].*")
_TEXT_POINTER = re.compile(r"[01]?[PQ]A.*")
_LOGICAL_POINTER = re.compile(r"1?[PQ]L")
_SCALING_CARDS = re.compile(r"T(?:SCAL|ZERO)[1-9]\d{0,2} *=")
# Bytes read at once.
_PIECE = 1 << 22
_NUMBER_CARDS = re.compile(r"T(?:SCAL|ZERO|BCOL)[1-9]\d{0,2}")
_NULL_CARDS = re.compile(r"TNULL[1-9]\d{0,2}")


class Fits(HeldFormat):
    """FITS tables."""

    name = "fits"
    endings: tuple[str, ...] = (".fits", ".fit", ".fts", ".fits.fz")
    read_only: tuple[str, ...] = (".fits.fz",)
    is_folder = False

    def knows(self, head: bytes) -> bool:
        """Recognise the first card."""
        return head.startswith(b"SIMPLE  =")

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read the table of HDU number or name `hdu`, or the first table of the file."""
        with _reading(path):
            index = _chosen(_checked_units(path), hdu, path)
            table, scalings = _table_unit(path, index)
            empty, logical = _without_width(table.header), _logicals_as_bytes(table.header)
            _check_width(table, path)
            return table_of(table, empty, scalings, logical), index

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return number and name of each table."""
        with _reading(path):
            return [(unit.index, unit.value("EXTNAME")) for unit in _checked_units(path) if unit.is_table]

    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Make a file with an empty primary unit and one binary table."""
        del positions
        write_bintable(table, provenance, path)

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy the file row by row with the bytes of the new columns after each row."""
        return hdu is not None and append_rows(source, hdu, columns, provenance, path)

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read it in pieces: a table of a million rows is in memory already."""
        return _reread(path, 1 if hdu is None else hdu, rows, columns)

    def spelt(self, text: str) -> str:
        """Return it in ASCII."""
        return escaped(text)

    def spelt_name(self, name: str) -> str:
        """Return it in ASCII."""
        return ascii_name(name)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Have every error of the block say which file it is about."""
    try:
        with parsing(path, "FITS table", "check that it is whole"):
            yield
    except CatalogError as error:
        if str(path) in str(error):
            raise
        raise CatalogError(f"Catalog '{path}', {error}") from error


def _checked_units(path: Path) -> list[HeaderDataUnit]:
    """Return the units of a file; refuse one that is shorter than its headers say, or whose numbers are absurd."""
    hdus: list[HeaderDataUnit] = []
    with opened(path) as stream:
        for unit in units(stream):
            hdus.append(unit)
            # A file of 2**60 bytes is on no disk, and no seek goes further.
            if unit.size >= 1 << 60 or not _skipped(stream, unit.size):
                raise CatalogError(
                    f"Catalog '{path}' is truncated: HDU {unit.index} should have {unit.size} bytes of data. "
                    "Copy or download it again."
                )
            stream.read(padded(unit.size) - unit.size)
    return hdus


def _skipped(stream: IO[bytes], size: int) -> bool:
    """Pass over `size` bytes; False where there are fewer."""
    if size == 0:
        return True
    stream.seek(size - 1, 1)
    return len(stream.read(1)) == 1


def _chosen(hdus: Sequence[HeaderDataUnit], hdu: int | str | None, path: Path) -> int:
    """Return the number of the table that is meant."""
    tables = {unit.index: unit.value("EXTNAME") for unit in hdus if unit.is_table}
    index = _numbered(tables, hdu, path)
    if hdus[index].value("ZTABLE") == "T":
        raise CatalogError(f"Catalog '{path}': HDU {index} is a compressed table. Unpack it with funpack.")
    return index


def _numbered(tables: dict[int, str], hdu: int | str | None, path: Path) -> int:
    if not tables:
        raise CatalogError(f"Catalog '{path}' has no table, only images: give the file that lists the sources")
    if hdu is None:
        return min(tables)
    number = int(hdu) if isinstance(hdu, int) or hdu.isdecimal() else None
    if number is not None and number in tables:
        return number
    named = [i for i, name in tables.items() if number is None and name.lower() == str(hdu).lower()]
    if named:
        return named[0]
    choices = [f"{i} ({name})" if name else str(i) for i, name in tables.items()]
    raise CatalogError(f"Catalog '{path}': {unknown_name('table HDU', str(hdu), choices)}")


def _table_unit(path: Path, index: int) -> tuple[Any, Mapping[int, CellScaling]]:
    """Return a table of a file, by itself, and how its numbers are scaled.

    Astropy reads neither the other units nor cards that it cannot parse.
    """
    with opened(path) as stream:
        for unit in units(stream):
            if unit.index == index:
                content, offset = _content(stream, unit)
                check_pointers(unit, memoryview(content)[offset:])
                return _over(unit, content, offset), scalings_of(unit)
            for _ in copied(stream, unit.size):
                pass
            stream.read(padded(unit.size) - unit.size)
    raise CatalogError(f"Catalog '{path}' has changed while it was read: try again")


def _content(stream: IO[bytes], unit: HeaderDataUnit) -> tuple[bytearray | mmap.mmap, int]:
    """Return bytes that hold the data of a unit, and where they begin: read, or those of a file that is mapped.

    What is read is padded by a block or more: astropy takes an empty buffer for none.
    """
    # A file that is open elsewhere cannot be replaced on Windows.
    if unit.size >= SMALL_BYTES and os.name == "posix" and isinstance(stream, io.BufferedReader):
        return mapped_file(stream), stream.tell()
    content = bytearray()
    for piece in copied(stream, unit.size):
        content += piece
    content += bytes(padded(unit.size) - unit.size + BLOCK)
    return content, 0


def _reread(path: Path, index: int, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
    """Return some rows of a table, and what reads its last columns."""
    sample = bytearray()
    with opened(path) as stream:
        unit = next(u for u in _passed(stream) if u.index == index)
        for start, block in _blocks(stream, unit):
            sample += block[rows[(rows >= start) & (rows < start + len(block))] - start].tobytes()
    table = _over(_cut(unit, len(rows)), sample + bytes(BLOCK))
    added = _last_columns(path, index, len(columns))
    return Reread(unit.number("NAXIS2"), table_of(table, _without_width(table.header), scalings_of(unit)), added)


def _last_columns(
    path: Path, index: int, count: int
) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, npt.NDArray[Any]]]]:
    """Yield pieces of the last columns of a table, by name, each with the numbers of its rows."""
    with opened(path) as stream:
        unit = next(u for u in _passed(stream) if u.index == index)
        fields = _last_fields(unit, count)
        for start, block in _blocks(stream, unit):
            numbers = np.arange(start, start + len(block))
            yield numbers, {name: _cells(block, kind, at) for name, (kind, at) in fields.items()}


def _cells(block: npt.NDArray[np.uint8], kind: np.dtype[Any], at: int) -> npt.NDArray[Any]:
    """Return the cells of a column that begins at a byte of its rows, (rows, ...)."""
    cells = np.ascontiguousarray(block[:, at : at + kind.itemsize])
    return cells.view(kind.base).reshape(-1, *kind.shape)


def _passed(stream: IO[bytes]) -> Iterator[HeaderDataUnit]:
    """Yield units, passing over the data of each before the next."""
    for unit in units(stream):
        yield unit
        for _ in copied(stream, padded(unit.size)):
            pass


def _blocks(stream: IO[bytes], unit: HeaderDataUnit) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """Yield the rows of a table as bytes, (rows, width), in pieces, each with the number of its first."""
    width, count = unit.number("NAXIS1"), unit.number("NAXIS2")
    step = max(1, _PIECE // max(1, width))
    for start in range(0, count, step):
        rows = min(step, count - start)
        yield start, np.frombuffer(b"".join(copied(stream, rows * width)), np.uint8).reshape(rows, width)


def _last_fields(unit: HeaderDataUnit, count: int) -> dict[str, tuple[np.dtype[Any], int]]:
    """Return type and place in the row of the last columns, by name."""
    header = _cut(unit, 0)
    table = _over(header, bytearray(BLOCK))
    _without_width(table.header)
    layout = table.columns.dtype
    names = [header.value(f"TTYPE{n + 1}") for n in range(header.number("TFIELDS"))]
    places = [(layout.fields[n][0].newbyteorder(">"), layout.fields[n][1]) for n in layout.names]
    return dict(list(zip(names, places, strict=True))[len(names) - count :])


def _cut(unit: HeaderDataUnit, rows: int) -> HeaderDataUnit:
    """Return a header for so many rows without a heap: where cells point into it, there are the pointers."""
    return HeaderDataUnit(unit.index, tuple(card for old in unit.cards for card in _cut_card(old, rows)))


def _cut_card(card: str, rows: int) -> Iterable[str]:
    key = card[:8].rstrip()
    if key in ("NAXIS2", "PCOUNT"):
        return card_text(key, rows if key == "NAXIS2" else 0)
    if key.startswith("TFORM") and (form := _POINTER.fullmatch(_text(card))):
        return card_text(key, "0B" if form[1] == "0" else "2J" if form[2] == "P" else "2K")
    return [] if key == "THEAP" else [card]


def _text(card: str) -> str:
    return card[10:].partition("/")[0].strip().strip("'").strip()


def _over(unit: HeaderDataUnit, content: bytearray | mmap.mmap, offset: int = 0) -> Any:
    """Return astropy's table over bytes that are its own and can be written to, unlike those of `fromstring`."""
    kind = fits.TableHDU if unit.value("XTENSION").upper() == "TABLE" else fits.BinTableHDU
    cards = _parsable(unit)
    if kind is fits.BinTableHDU:  # scaled by us: astropy makes doubles of whole numbers, and leaves the heap as it is
        cards = [card for card in cards if not _SCALING_CARDS.match(card)]
    table = kind.fromstring(header_bytes(cards), character_as_bytes=True)
    table._buffer, table._data_offset = content, offset  # noqa: SLF001  (it has no other way in)
    return table


def _parsable(unit: HeaderDataUnit) -> list[str]:
    """Return the cards of a header, those without a value that FITS knows as text.

    IDL writes NaN without quotes, others words and dates.
    """
    cards = list(unit.cards)
    ends = [n for n in range(1, len(cards) + 1) if n == len(cards) or not cards[n].startswith("CONTINUE")]
    pieces = [cards[begin:end] for begin, end in zip([0, *ends[:-1]], ends, strict=True)]
    return [card for piece in pieces for card in _parsable_card(unit, piece)]


def _parsable_card(unit: HeaderDataUnit, piece: list[str]) -> Iterable[str]:
    """Return one card, with its CONTINUE cards, as it is or with its value as text."""
    key, value = piece[0][:8].rstrip(), piece[0][10:].partition("/")[0].strip()
    if piece[0][8:10] != "= " or key in ("COMMENT", "HISTORY", ""):
        return piece
    in_bytes = unit.value("XTENSION").upper() != "TABLE"
    must_be_number = _NUMBER_CARDS.fullmatch(key) or (in_bytes and _NULL_CARDS.fullmatch(key))
    if must_be_number and not _is_number(value):
        raise CatalogError(f"HDU {unit.index}: {key} is {value[:40]!r}, expected a number; repair the header")
    is_text = piece[0][10:].lstrip().startswith("'")
    if (_TEXT_CARDS.fullmatch(key) and not is_text) or not _is_value(piece, value, is_text):
        return card_text(key, value) if value or not is_text else ()
    return piece


def _is_number(value: str) -> bool:
    try:
        return math.isfinite(float(value.replace("D", "E").replace("d", "e")))
    except ValueError:
        return False


def _is_value(piece: list[str], value: str, is_text: bool) -> bool:
    """Say whether astropy can parse a card."""
    if not is_text and (value in ("", "T", "F") or value.isdecimal()):
        return True
    try:
        with_value = fits.Card.fromstring("".join(piece))
        return with_value.value is not None and bool(with_value.keyword)
    except (fits.VerifyError, ValueError):
        return False


def _without_width(header: fits.Header) -> set[int]:
    """Return the numbers, from 0, of text columns without width, and call them bytes.

    astropy 8.0 reads all columns of a table with a ``0A`` column wrongly.
    """
    numbers = {n for n in range(header["TFIELDS"]) if str(header.get(f"TFORM{n + 1}", "")).strip() == "0A"}
    for number in numbers:
        header[f"TFORM{number + 1}"] = "0B"
    return numbers


def _logicals_as_bytes(header: fits.Header) -> set[int]:
    """Return the numbers, from 0, of columns of logicals in the heap, and call them bytes: astropy knows no null."""
    numbers = set()
    for number in range(header["TFIELDS"]):
        form = str(header.get(f"TFORM{number + 1}", ""))
        if _LOGICAL_POINTER.match(form):
            numbers.add(number)
            header[f"TFORM{number + 1}"] = form.replace("L", "B", 1)
    return numbers


def _check_width(hdu: Any, path: Path) -> None:
    """Refuse a table whose columns do not fill its rows."""
    width, needed = hdu.header["NAXIS1"], hdu.columns.dtype.itemsize
    if isinstance(hdu, fits.BinTableHDU) and width != needed:
        raise CatalogError(
            f"Catalog '{path}': rows have {width} bytes, but the columns need {needed}. "
            "Correct its NAXIS1 or TFORM cards."
        )


def table_of(
    hdu: Any,
    empty: Container[int] = (),
    scalings: Mapping[int, CellScaling] | None = None,
    logical: Container[int] = (),
) -> apt.Table:
    """Return the columns and header of a table HDU as a table.

    Parameters
    ----------
    hdu
        A binary or ASCII table that is open.
    empty
        Numbers, from 0, of columns that are empty text.
    scalings
        Of columns, by number from 0, whose cards the header lacks.
    logical
        Numbers, from 0, of columns whose arrays of bytes are logicals.
    """
    data, header = hdu.data, hdu.header
    names = _unique([c.name for c in hdu.columns])
    raw = np.asarray(data)
    columns = [
        apt.Column([""] * len(data), name=n, dtype="U1")
        if i in empty
        else apt.Column(_truth_arrays(data.field(i)), name=n, unit=parsed_unit(c.unit), dtype=object)
        if i in logical
        else _column(data.field(i), c, n, raw[(raw.dtype.names or ())[i]], (scalings or {}).get(i, CellScaling()))
        for i, (c, n) in enumerate(zip(hdu.columns, names, strict=True))
    ]
    out = apt.Table(columns, copy=False)
    told = _serialized(header)
    ucds, comments = (_about_columns(header, key, len(names)) for key in ("TUCD", "TCOMM"))
    if ucds is None:
        log.warning("UCDs are left out: the header has more than the table has columns, so that some have moved")
    for number, name in enumerate(names, start=1):
        column = out[name]
        column.description = (comments or {}).get(number) or told.get(name) or None
        if ucd := (ucds or {}).get(number):
            column.meta["ucd"] = ucd
    out.meta = _meta(header, len(names))
    return out


def _about_columns(header: fits.Header, key: str, fields: int) -> dict[int, str] | None:
    """Read cards by the number of their column; None where there are more of them than columns.

    Astropy does not know these cards: those of a table from which it removed a column stay, and are about others then.
    """
    numbers = {name: name.removeprefix(key) for name in header if name.startswith(key)}
    cards = {int(number): str(header[name]) for name, number in numbers.items() if number.isdigit()}
    return cards if max(cards, default=0) <= fields else None


def _unique(names: Sequence[str | None]) -> list[str]:
    out: list[str] = []
    for number, name in enumerate(names, start=1):
        free, repeat = name or f"col{number}", 1
        while free in out:
            repeat += 1
            free = f"{name or f'col{number}'}_{repeat}"
        out.append(free)
    return out


def _column(values: Any, told: Any, name: str, raw: Any, scaling: CellScaling) -> apt.Column:
    """Return one column: text decoded, TNULL and null booleans masked, unit as it is spelt."""
    unit = parsed_unit(told.unit)
    array = np.asarray(values)
    if array.dtype.kind in "SU":
        return apt.Column(as_text(np.strings.rstrip(array)), name=name, unit=unit)
    if array.dtype.kind == "O" and _TEXT_POINTER.fullmatch(str(told.format)):
        return apt.Column(as_text(_joined_letters(array)), name=name, unit=unit)
    if array.dtype.kind == "O":
        return apt.Column(_scaled_arrays(array, told.null, scaling), name=name, unit=unit, dtype=object)
    if array.dtype.kind == "b" and raw.dtype.kind == "i" and not raw.all():
        return apt.MaskedColumn(array, mask=raw == 0, name=name, unit=unit, copy=False)
    array, null = scaled_array(array, scaling), null_cells(raw, told.null)
    if null is None or array.dtype.kind not in "iuf":
        return apt.Column(array, name=name, unit=unit, copy=False)
    return apt.MaskedColumn(array, mask=null.reshape(array.shape), name=name, unit=unit, copy=False)


def _scaled_arrays(cells: npt.NDArray[Any], null: Any, scaling: CellScaling) -> npt.NDArray[Any]:
    """Return arrays of different lengths as what they stand for, masked where they stand for nothing."""
    if null is None and scaling == CellScaling():
        return cells
    out = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):
        raw = np.asarray(cell)
        values, nothing = scaled_array(raw, scaling), null_cells(raw, null)
        out[place] = values if nothing is None or not nothing.any() else np.ma.array(values, mask=nothing)
    return out


def _truth_arrays(cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return arrays of logicals, T and F, as truth values; zero bytes are null (FITS standard 4.0, section 7.3.3)."""
    out = np.empty(len(cells), dtype=object)
    for place, cell in enumerate(cells):
        raw = np.asarray(cell, np.uint8)
        values = raw == ord("T")
        out[place] = values if raw.all() else np.ma.array(values, mask=raw == 0)
    return out


def _joined_letters(cells: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return arrays of letters of different lengths as texts."""
    out = np.empty(len(cells), dtype=object)
    # Not as astropy's arrays of text, which leave out blanks.
    out[:] = [b"".join(np.asarray(np.asarray(cell), "S1").tolist()).rstrip() for cell in cells]
    return out


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
        check_yaml(joined)
        columns = apt_meta.get_header_from_yaml(joined)["datatype"]
    except (apt_meta.YamlParseError, yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return {}
    return {c["name"]: c["description"] for c in columns if c.get("description")}


def _meta(header: fits.Header, fields: int) -> dict[str, Any]:
    """Return the header cards that are about the table as a whole; comments and history as lists of lines."""
    out: dict[str, Any] = {}
    for card in header.cards:
        key = card.keyword
        if key in ("COMMENT", "HISTORY"):
            out.setdefault("comments" if key == "COMMENT" else key, []).append(str(card.value))
        elif key and key not in STRUCTURE and not about_column(key, fields):
            out[key] = None if isinstance(card.value, fits.card.Undefined) else card.value
    return out
