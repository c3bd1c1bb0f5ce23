"""Blocks: the headers and data of a FITS file as the bytes that they are (FITS standard 4.0)."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from astropy.io.fits import Card

from galmorph.errors import CatalogError
from galmorph.sky.formats.column import escaped

__all__ = [
    "BLOCK",
    "MAX_FIELDS",
    "HeaderDataUnit",
    "about_column",
    "card_text",
    "checksum_cards",
    "copied",
    "header_bytes",
    "padded",
    "units",
    "word_sum",
]

BLOCK = 2880
"""Bytes of a FITS block: headers and data fill whole ones (FITS standard 4.0, section 3.1)."""
MAX_FIELDS = 999
"""Columns that FITS can number (FITS standard 4.0, section 7.3.1)."""
# Axes that FITS can number (section 4.4.1).
_MAX_AXES = 999
# Cards of one header: seventy times what a table of 999 columns with ten cards each has, 56 MB.
_MAX_CARDS = 700_000
# FITS standard 4.0, table 8.
_BITPIX = (8, 16, 32, 64, -32, -64)
_CARD = 80
# Bytes copied at once.
_PIECE = 1 << 22
_COLUMN_KEY = re.compile(
    r"T(?:TYPE|FORM|UNIT|NULL|SCAL|ZERO|DISP|DIM|UCD|COMM|BCOL|LMIN|LMAX|DMIN|DMAX|CTYP|CUNI|CRPX|CRVL|CDLT|RPOS)"
    r"([1-9]\d{0,2})"
)


@dataclass(frozen=True)
class HeaderDataUnit:
    """One header and data unit: its cards as written, END left out.

    Parameters
    ----------
    index
        Number in the file, from 0.
    cards
        Header cards, 80 characters each.
    """

    index: int
    cards: tuple[str, ...]

    def value(self, keyword: str, default: str = "") -> str:
        """Return the value of the first card of a keyword as text, quotes removed."""
        for card in self.cards:
            if card[:8].rstrip() == keyword and card[8:10] == "= ":
                return _value(card)
        return default

    def number(self, keyword: str, default: int = 0) -> int:
        """Return the value of an integer card.

        Raises
        ------
        CatalogError
            If it is none.
        """
        text = self.value(keyword, str(default))
        # No FITS integer has more digits than a 64-bit one.
        if len(text) > 20 or not re.fullmatch(r"[+-]?\d+", text):
            raise CatalogError(f"HDU {self.index}: {keyword} is {text[:40]!r}, expected an integer; repair the header")
        return int(text)

    def check(self) -> None:
        """Refuse numbers of the header that no FITS file has, before a loop or an allocation follows them.

        Raises
        ------
        CatalogError
            If there are any.
        """
        self._check_between("NAXIS", 0, _MAX_AXES)
        axes = self.number("NAXIS")
        for keyword in (*(f"NAXIS{n + 1}" for n in range(axes)), "PCOUNT", "THEAP"):
            self._check_between(keyword, 0, 2**63 - 1)
        self._check_between("GCOUNT", 0, 2**63 - 1, default=1)
        self._check_between("TFIELDS", 0, MAX_FIELDS)
        if self.number("BITPIX", 8) not in _BITPIX:
            raise CatalogError(f"HDU {self.index}: BITPIX is {self.number('BITPIX')}, expected one of {_BITPIX}")
        if self.is_table:
            self._check_table()

    def _check_table(self) -> None:
        if (axes := self.number("NAXIS")) != 2:
            raise CatalogError(f"HDU {self.index}: a table with NAXIS = {axes}, expected 2; repair the header")
        if (bits := self.number("BITPIX", 8)) != 8:
            raise CatalogError(f"HDU {self.index}: a table with BITPIX = {bits}, expected 8; repair the header")
        if (groups := self.number("GCOUNT", 1)) != 1:
            raise CatalogError(f"HDU {self.index}: a table with GCOUNT = {groups}, expected 1; repair the header")
        rows = self.number("NAXIS1") * self.number("NAXIS2")
        if self.number("THEAP", rows) < rows or self.number("THEAP", rows) > rows + self.number("PCOUNT"):
            raise CatalogError(
                f"HDU {self.index}: THEAP is {self.number('THEAP')}, expected a place between the end of the rows, "
                f"{rows}, and that of the data, {rows + self.number('PCOUNT')}; repair the header"
            )

    def _check_between(self, keyword: str, low: int, high: int, default: int = 0) -> None:
        number = self.number(keyword, default)
        if not low <= number <= high:
            raise CatalogError(f"HDU {self.index}: {keyword} is {number}, expected {low} to {high}; repair the header")

    @property
    def size(self) -> int:
        """Bytes of data, padding left out."""
        axes = [self.number(f"NAXIS{n + 1}") for n in range(self.number("NAXIS"))]
        if not axes:
            return 0
        if axes[0] == 0 and self.value("GROUPS") == "T":
            axes = axes[1:]
        items = math.prod(axes) + self.number("PCOUNT")
        return abs(self.number("BITPIX")) // 8 * self.number("GCOUNT", 1) * items

    @property
    def is_table(self) -> bool:
        """Whether the data are a table, and not a compressed image."""
        kind = self.value("XTENSION").upper()
        return kind in ("BINTABLE", "TABLE", "A3DTABLE") and self.value("ZIMAGE") != "T"


def _value(card: str) -> str:
    text = card[10:]
    if text.lstrip().startswith("'"):
        return text.lstrip()[1:].replace("''", "\0").split("'")[0].replace("\0", "'").rstrip()
    return text.split("/")[0].strip()


def units(stream: IO[bytes]) -> Iterator[HeaderDataUnit]:
    """Yield the units of a file; the caller reads or skips exactly `padded` of their size in between.

    Raises
    ------
    CatalogError
        If a header has no end, or numbers that no FITS file has.
    """
    index = 0
    while (cards := _header(stream)) is not None:
        unit = HeaderDataUnit(index, cards)
        unit.check()
        yield unit
        index += 1


def _header(stream: IO[bytes]) -> tuple[str, ...] | None:
    """Return the cards of the next header; None at the end of the file or where no header follows."""
    cards: list[str] = []
    while True:
        block = stream.read(BLOCK)
        if not cards and block[:8] not in (b"SIMPLE  ", b"XTENSION"):
            if block:
                stream.seek(-len(block), 1)
            return None
        if len(block) < BLOCK or len(cards) > _MAX_CARDS:
            raise CatalogError(f"a header has no end: no END card after {len(cards)} others; copy the file again")
        text = block.decode("latin-1")
        for start in range(0, BLOCK, _CARD):
            card = text[start : start + _CARD]
            if card.rstrip() == "END":
                return tuple(cards)
            cards.append(card)


def padded(size: int) -> int:
    """Return a size in bytes with the padding to whole blocks."""
    return -(-size // BLOCK) * BLOCK


def copied(source: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the next `size` bytes in pieces.

    Raises
    ------
    EOFError
        If there are fewer.
    """
    while size > 0:
        piece = source.read(min(size, _PIECE))
        if not piece:
            raise EOFError(f"{size} bytes are missing")
        size -= len(piece)
        yield piece


def card_text(keyword: str, value: str | float | bool, comment: str = "") -> Iterable[str]:
    """Return the card, or the cards with CONTINUE, of a value; a comment that does not fit is cut."""
    if isinstance(value, str):
        value = escaped(value).replace("\n", " ")
    comment = escaped(comment).replace("\n", " ")
    if isinstance(value, str) and len(value.replace("'", "''")) <= 67:
        room = _CARD - len(f"{keyword:8}= '{value.replace(chr(39), chr(39) * 2):8}' / ")
        comment = comment[: max(0, room)]
    text = str(Card(keyword, value, comment or None))
    return [text[i : i + _CARD] for i in range(0, len(text), _CARD)]


def word_sum(data: bytes, before: int = 0) -> int:
    """Return the ones-complement sum of big-endian 32-bit words, added to the sum `before`.

    The length of `data` must be a multiple of four.
    """
    total = before + int(np.frombuffer(data, ">u4").sum(dtype=np.uint64))
    while total >> 32:
        total = (total & 0xFFFFFFFF) + (total >> 32)
    return total


def checksum_cards(cards: list[str], data_sum: int) -> list[str]:
    """Return `cards` (END left out) with CHECKSUM and DATASUM for data that sum to `data_sum` at their end.

    The encoding is that of the FITS standard, appendix J (Seaman & Pence 1995).
    """
    kept = [c for c in cards if c[:8] not in ("CHECKSUM", "DATASUM ")]
    kept += card_text("DATASUM", str(data_sum), "data unit checksum")
    blank = list(card_text("CHECKSUM", "0" * 16, "HDU checksum"))
    total = word_sum(header_bytes(kept + blank), data_sum)
    return kept + list(card_text("CHECKSUM", _encoded(~total & 0xFFFFFFFF), "HDU checksum"))


def header_bytes(cards: list[str]) -> bytes:
    """Return a header in whole blocks."""
    text = "".join([*cards, "END".ljust(_CARD)])
    return text.ljust(padded(len(text))).encode("latin-1")


# Between the digits and the capitals, and between these and the small letters: a checksum has none of them.
_PUNCTUATION = frozenset(range(0x3A, 0x41)) | frozenset(range(0x5B, 0x61))


def _encoded(value: int) -> str:
    """Return a checksum in sixteen letters and digits."""
    columns = [_four(byte) for byte in value.to_bytes(4, "big")]
    ascii_ = [columns[j][i] for i in range(4) for j in range(4)]
    return "".join(chr(c) for c in ascii_[-1:] + ascii_[:-1])


def _four(byte: int) -> list[int]:
    """Return four characters above '0' whose offsets add up to `byte`, none of them punctuation."""
    quarter, rest = divmod(byte, 4)
    chars = [quarter + 48 + rest, quarter + 48, quarter + 48, quarter + 48]
    while any(c in _PUNCTUATION for c in chars):
        for i in (0, 2):
            if chars[i] in _PUNCTUATION or chars[i + 1] in _PUNCTUATION:
                chars[i] += 1
                chars[i + 1] -= 1
    return chars


def about_column(key: str, fields: int) -> bool:
    """Say whether a keyword describes one of the first `fields` columns, such as ``TDISP3``."""
    match = _COLUMN_KEY.fullmatch(key)
    return match is not None and 1 <= int(match[1]) <= fields
