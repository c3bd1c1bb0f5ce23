"""Rows: columns added to a FITS table by copying its rows as bytes, in constant memory.

Everything else of the file (other units, header cards, variable-length arrays, scaled, bit and unsigned
columns) stays as it is. astropy and fitsio, by contrast, each lose or change some of that.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from galmorph.sky.formats.column import Column, Provenance, escaped, free_keyword
from galmorph.sky.formats.compressed import opened
from galmorph.sky.formats.hdus import (
    BLOCK,
    MAX_FIELDS,
    HeaderDataUnit,
    about_column,
    card_text,
    checksum_cards,
    copied,
    header_bytes,
    padded,
    units,
    word_sum,
)
from galmorph.sky.mapped import ROWS_AT_ONCE, forget

__all__ = ["append_rows", "provenance_cards", "stored", "with_longstrn"]

# Rows are copied in pieces of about so many bytes.
_BLOCK_BYTES = 1 << 22
_LETTERS = {"f4": "E", "f8": "D", "i2": "I", "i4": "J", "i8": "K"}


def append_rows(source: Path, index: int, columns: Sequence[Column], provenance: Provenance, path: Path) -> bool:
    """Copy a FITS file with `columns` added to its binary table number `index`.

    Returns False, and leaves `path` unfinished, where the table is none that can be extended so: not binary,
    or with another number of rows.
    """
    done = False
    with opened(source) as stream, path.open("wb") as target:
        for unit in units(stream):
            if unit.index != index:
                target.write(header_bytes(list(unit.cards)))
                _pass_on(stream, target, padded(unit.size))
                continue
            if not _extensible(unit, columns):
                return False
            _extend(stream, target, unit, columns, provenance)
            done = True
        for piece in iter(lambda: stream.read(_BLOCK_BYTES), b""):
            target.write(piece)
    return done


def provenance_cards(provenance: Provenance, taken: set[str]) -> list[str]:
    """Return header cards, 80 characters each, for a provenance; `taken` keywords get a number."""
    out: list[str] = []
    for keyword, value, comment in provenance.cards:
        free = free_keyword(keyword[:8].upper(), taken)
        taken.add(free)
        out += card_text(free, value, comment)
    for line in provenance.history:
        out += _history(line)
    return out


def _history(line: str) -> Iterator[str]:
    """Yield the HISTORY cards of a line of any length, broken between words."""
    text = " ".join(escaped(line).split())
    for part in textwrap.wrap(text, 72, subsequent_indent="  ") or [""]:
        yield f"HISTORY {part}".ljust(80)


def _extensible(unit: HeaderDataUnit, columns: Sequence[Column]) -> bool:
    fields = unit.number("TFIELDS") + len(columns)
    return (
        unit.value("XTENSION").upper() in ("BINTABLE", "A3DTABLE")
        and unit.value("ZTABLE") != "T"
        and fields <= MAX_FIELDS
        and bool(columns)
        and all(len(c.values) == unit.number("NAXIS2") for c in columns)
    )


def _extend(
    stream: IO[bytes], target: IO[bytes], unit: HeaderDataUnit, columns: Sequence[Column], provenance: Provenance
) -> None:
    """Write the table `unit` with its new columns; the header twice, the second time with the checksum."""
    arrays = [np.asarray(column.values) for column in columns]
    ours = [_StoredColumn(array, _stored_kind(array)) for array in arrays]
    added = sum(cells.size for cells in ours)
    cards = _patched(unit, columns, ours, added, provenance)
    begin = target.tell()
    target.write(header_bytes(checksum_cards(cards, 0)))
    total = _Summing(target)
    for rows in _rows(stream, unit, ours, added):
        total.write(rows)
    rest = unit.size - unit.number("NAXIS1") * unit.number("NAXIS2")
    for piece in copied(stream, rest):
        total.write(piece)
    data_sum = total.finish()
    _skip_padding(stream, padded(unit.size) - unit.size)
    end = target.tell()
    target.seek(begin)
    target.write(header_bytes(checksum_cards(cards, data_sum)))
    target.seek(end)


class _Summing:
    """Writes bytes and keeps their checksum."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self._sum = 0
        self._tail = b""
        self._size = 0

    def write(self, data: bytes) -> None:
        """Write and sum."""
        self._target.write(data)
        self._size += len(data)
        whole = self._tail + data
        cut = len(whole) // 4 * 4
        self._sum = word_sum(whole[:cut], self._sum)
        self._tail = whole[cut:]

    def finish(self) -> int:
        """Fill up the last block and return the sum of all."""
        self.write(b"\0" * (padded(self._size) - self._size))
        return self._sum


@dataclass(frozen=True)
class _StoredColumn:
    """The values of a column, and how FITS stores them."""

    values: npt.NDArray[Any]
    kind: np.dtype[Any]

    @property
    def repeat(self) -> str:
        """How many a row has, or '' where it has one."""
        return str(self.values.shape[1]) if self.values.ndim > 1 else ""

    @property
    def size(self) -> int:
        """Bytes of a row."""
        return self.kind.itemsize * math.prod(self.values.shape[1:])

    def some(self, rows: slice) -> npt.NDArray[np.uint8]:
        """Return some rows as bytes, (rows, size)."""
        piece = np.ascontiguousarray(stored(self.values[rows]).astype(self.kind, copy=False))
        return piece.view(np.uint8).reshape(len(piece), self.size)


def _rows(stream: IO[bytes], unit: HeaderDataUnit, ours: Sequence[_StoredColumn], added: int) -> Iterator[bytes]:
    """Yield blocks of rows: the bytes of the source, then those of our columns."""
    width, count = unit.number("NAXIS1"), unit.number("NAXIS2")
    step = max(1, _BLOCK_BYTES // (width + added))
    for start in range(0, count, step):
        rows = min(step, count - start)
        out = np.empty((rows, width + added), dtype=np.uint8)
        theirs = b"".join(copied(stream, rows * width))
        out[:, :width] = np.frombuffer(theirs, np.uint8).reshape(rows, width)
        at = width
        for cells in ours:
            out[:, at : at + cells.size] = cells.some(slice(start, start + rows))
            at += cells.size
        forget(cells.values for cells in ours)
        yield out.tobytes()


def _stored_kind(values: npt.NDArray[Any]) -> np.dtype[Any]:
    """Return the type of all values as :func:`stored`: texts are as wide as the longest."""
    if values.dtype.kind not in "US":
        return values.dtype.newbyteorder(">")
    pieces = (values[first : first + ROWS_AT_ONCE] for first in range(0, max(len(values), 1), ROWS_AT_ONCE))
    kind = np.result_type(*(stored(piece).dtype for piece in pieces))
    forget([values])
    return kind


def stored(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return values as FITS stores them: big-endian numbers, ASCII text."""
    array = np.asarray(values)
    if array.dtype.kind in "US":
        text = np.array([escaped(str(v)).encode() for v in array.tolist()], dtype=np.bytes_)
        return text if text.dtype.itemsize else text.astype("S1")
    return array.astype(array.dtype.newbyteorder(">"))


def _patched(
    unit: HeaderDataUnit,
    columns: Sequence[Column],
    ours: Sequence[_StoredColumn],
    added: int,
    provenance: Provenance,
) -> list[str]:
    """Return the header cards of the table with its new columns."""
    fields, rows = unit.number("TFIELDS"), unit.number("NAXIS2")
    new = {"NAXIS1": unit.number("NAXIS1") + added, "TFIELDS": fields + len(columns)}
    if unit.value("THEAP"):
        new["THEAP"] = unit.number("THEAP") + added * rows
    cards = [_renumbered(card, new) for card in unit.cards]
    place = max((i for i, c in enumerate(cards) if about_column(c[:8].rstrip(), fields)), default=len(cards) - 1) + 1
    while place < len(cards) and cards[place].startswith("CONTINUE"):
        place += 1
    described = [
        card
        for n, (column, cells) in enumerate(zip(columns, ours, strict=True), start=fields + 1)
        for card in _column_cards(n, column, cells)
    ]
    cards = cards[:place] + described + cards[place:]
    while cards and not cards[-1].strip():
        cards.pop()
    cards += provenance_cards(provenance, {c[:8].rstrip() for c in cards})
    return with_longstrn(cards)


def with_longstrn(cards: list[str]) -> list[str]:
    """Return `cards` with the card that announces CONTINUE, if there are some (HEASARC convention)."""
    continued = any(c.startswith("CONTINUE") for c in cards)
    if not continued or any(c.startswith("LONGSTRN") for c in cards):
        return cards
    return cards + list(card_text("LONGSTRN", "OGIP 1.0", "long strings use CONTINUE"))


def _renumbered(card: str, new: dict[str, int]) -> str:
    """Return a card with its integer replaced where `new` has one; the comment stays."""
    value = new.get(card[:8].rstrip())
    if value is None or card[8:10] != "= ":
        return card
    _, slash, comment = card[10:].partition("/")
    text = f"{card[:8]}= {value:>20}" + (f" /{comment}" if slash else "")
    return text[:80].rstrip().ljust(80)


def _column_cards(number: int, column: Column, cells: _StoredColumn) -> Iterator[str]:
    """Yield the cards that describe a column."""
    kind = cells.kind
    form = f"{kind.itemsize}A" if kind.kind == "S" else cells.repeat + _LETTERS[kind.str[1:]]
    yield from card_text(f"TTYPE{number}", column.name)
    yield from card_text(f"TFORM{number}", form)
    for keyword, text in (("TUNIT", column.unit), ("TUCD", column.ucd), ("TCOMM", column.description)):
        if text:
            yield from card_text(f"{keyword}{number}", text)


def _pass_on(stream: IO[bytes], target: IO[bytes], size: int) -> None:
    for piece in copied(stream, size):
        target.write(piece)


def _skip_padding(stream: IO[bytes], size: int) -> None:
    """Read the padding; the last unit of a file may lack it."""
    stream.read(size)
    assert size < BLOCK
