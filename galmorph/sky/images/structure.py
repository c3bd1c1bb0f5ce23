"""Structure: the sizes that the headers of a FITS file claim, checked against the file before they drive anything.

The numbers of a header become lengths, loops and allocations in whoever reads it. The standard bounds some of them (999
axes, 999 columns), the file itself the others: no data lie beyond its end.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from galmorph.errors import ImageError
from galmorph.limits import LIMITS

__all__ = ["check_structure"]

_BLOCK = 2880
_CARD = 80
_MOST = 999
"""Axes of an array, and columns of a table (FITS standard 4.0, sections 4.4.1 and 7.3.1)."""
_BITPIX = (8, 16, 32, 64, -32, -64)
_CODECS = ("RICE_1", "RICE_ONE", "GZIP_1", "GZIP_2", "PLIO_1", "HCOMPRESS_1", "NOCOMPRESS")
_WIDTHS = {"L": 1, "X": 1, "B": 1, "I": 2, "J": 4, "K": 8, "A": 1, "E": 4, "D": 8, "C": 8, "M": 16, "P": 8, "Q": 16}
"""Bytes of each type of column."""


@dataclass
class _Cards:
    """The first card of every keyword that tells a size."""

    hdu: int
    name: str
    values: dict[str, str] = field(default_factory=dict)

    def number(self, key: str, default: int | None = None, *, least: int = 0, most: float = math.inf) -> int:
        """Return an integer within bounds.

        Raises
        ------
        ImageError
            If it is none.
        """
        text = self.values.get(key)
        if text is None and default is not None:
            return default
        try:
            number = int(text or "")
        except ValueError:
            number = None
        if number is None or not least <= number <= most:
            bounds = f"{least} to {most:.0f}" if math.isfinite(most) else f"a whole number from {least}"
            raise self.error(f"has {key} = {text}: expected {bounds}" if text else f"lacks {key}")
        return number

    def text(self, key: str) -> str:
        return self.values.get(key, "").strip("' ").upper()

    def add(self, key: str, value: str) -> None:
        """Note a card; sizes that contradict each other are refused, since readers take the first or the last."""
        if self.values.setdefault(key, value) != value and _SIZES.fullmatch(key):
            raise self.error(f"has {key} = {self.values[key]} and {key} = {value}")

    def error(self, what: str) -> ImageError:
        return ImageError(f"image '{self.name}' is damaged: its HDU {self.hdu} {what}; fetch the file again")


def check_structure(file: IO[bytes], name: str) -> None:
    """Check all headers of an open file, and that it is as long as they say; leave it at its beginning.

    Raises
    ------
    ImageError
        If it is no FITS file, is truncated, or a size is impossible.
    """
    size = os.fstat(file.fileno()).st_size
    position = 0
    most = LIMITS["image_hdus"]
    for hdu in range(most.number):
        file.seek(position)
        cards = _header(file, hdu, name)
        if cards is None:
            break
        start = file.tell()
        length = _length(cards)
        if start + length > size:
            raise ImageError(
                f"image '{name}' is truncated: expected {start + length} bytes by its headers, it has {size}; fetch "
                "the file again"
            )
        if cards.text("ZIMAGE") == "T":
            _check_compressed(cards)
        position = start + -(-length // _BLOCK) * _BLOCK
    else:
        raise ImageError(f"image '{name}' has more HDUs than {most}: expected fewer; divide it")
    file.seek(0)


_SIZES = re.compile(r"Z?BITPIX|Z?NAXIS\d*|[PG]COUNT|TFIELDS|ZTILE\d+|ZCMPTYPE")
_KEYS = re.compile(
    rb"(?:BITPIX|P?GCOUNT|PCOUNT|GROUPS|XTENSION|SIMPLE|TFIELDS|Z?NAXIS\d*|ZTILE\d+|ZBITPIX|ZCMPTYPE|ZIMAGE|TTYPE\d+|"
    rb"TFORM\d+|ZNAME\d+|ZVAL\d+) *"
)


def _header(file: IO[bytes], hdu: int, name: str) -> _Cards | None:
    """Read a header; None where none follows, as at the end of the file or before bytes that somebody appended."""
    cards, number, most = _Cards(hdu, name), 0, LIMITS["image_cards"]
    while block := file.read(_BLOCK):
        if number == 0 and not block.startswith((b"SIMPLE  ", b"XTENSION")):
            if hdu and any(block[at : at + 9] == b"BITPIX  =" for at in range(0, len(block), _CARD)):
                raise cards.error("does not begin with XTENSION")  # and other readers would follow its sizes
            break
        for at in range(0, len(block), _CARD):
            card = block[at : at + _CARD]
            if card[:8] == b"END     ":
                return cards
            if _KEYS.fullmatch(card[:8]) and card[8:9] == b"=":
                cards.add(card[:8].decode().strip(), _value(card[9:]))
        number += len(block) // _CARD
        if number > most.number:
            raise cards.error(f"has more cards than {most}")
        if len(block) < _BLOCK:
            raise ImageError(f"image '{name}' is truncated: the header of its HDU {hdu} has no end; fetch it again")
    if hdu == 0 or number:
        raise ImageError(f"image '{name}' is not readable as FITS (no header with an END card): give a FITS image")
    return None


def _value(raw: bytes) -> str:
    text = raw.decode("latin-1").strip()
    return text[: text.find("'", 1) + 1] if text.startswith("'") else text.partition("/")[0].strip()


def _length(cards: _Cards) -> int:
    """Bytes of the data of an HDU, without padding."""
    axes = [cards.number(f"NAXIS{n}") for n in range(1, cards.number("NAXIS", most=_MOST) + 1)]
    bitpix = cards.number("BITPIX", least=-64)
    if bitpix not in _BITPIX:
        raise cards.error(f"has BITPIX = {bitpix}: expected one of {', '.join(map(str, _BITPIX))}")
    cards.number("TFIELDS", 0, most=_MOST)
    if not axes:
        return 0
    if axes[0] == 0 and cards.text("GROUPS") == "T":
        axes = axes[1:]
    items = cards.number("PCOUNT", 0) + math.prod(axes)
    return abs(bitpix) // 8 * cards.number("GCOUNT", 1, least=1) * items


def _check_compressed(cards: _Cards) -> None:
    """Check that the table of a compressed image has the columns and rows that its tiles need."""
    axes = range(1, cards.number("ZNAXIS", least=1, most=_MOST) + 1)
    shape = [cards.number(f"ZNAXIS{n}", least=1, most=2**31 - 1) for n in axes]
    tile = [cards.number(f"ZTILE{n}", shape[0] if n == 1 else 1, least=1, most=2**31 - 1) for n in axes]
    if cards.number("ZBITPIX", least=-64) not in _BITPIX:
        raise cards.error(f"has ZBITPIX = {cards.values['ZBITPIX']}: expected one of {_BITPIX}")
    if cards.text("ZCMPTYPE") not in _CODECS:
        raise cards.error(f"is compressed by {cards.text('ZCMPTYPE') or 'nothing'}: expected {', '.join(_CODECS)}")
    tiles = math.prod(-(-side // step) for side, step in zip(shape, tile, strict=True))
    if (rows := cards.number("NAXIS2")) != tiles:
        raise cards.error(f"has {rows} compressed tiles: expected the {tiles} of its image")
    columns = {cards.text(f"TTYPE{n}"): cards.text(f"TFORM{n}") for n in _columns(cards)}
    if "COMPRESSED_DATA" not in columns:
        raise cards.error("has no column COMPRESSED_DATA")
    if (width := sum(_width(cards, form) for form in columns.values())) != cards.number("NAXIS1"):
        raise cards.error(f"has rows of {cards.number('NAXIS1')} bytes: expected the {width} of its columns")
    for n in range(1, 10):
        _check_setting(cards, n)


def _columns(cards: _Cards) -> range:
    return range(1, cards.number("TFIELDS", most=_MOST) + 1)


def _width(cards: _Cards, form: str) -> int:
    match = re.match(r"(\d{0,9})([LXBIJKAEDCM]|[PQ](?=[LXBIJKAEDCM]))", form)
    if match is None:
        raise cards.error(f"has a column of type '{form}': expected one that FITS has")
    repeat = int(match[1] or 1)
    return -(-repeat // 8) if match[2] == "X" else repeat * _WIDTHS[match[2]]


_SETTINGS: dict[str, Callable[[int], bool]] = {
    "BLOCKSIZE": lambda value: value in (16, 32),
    "BYTEPIX": lambda value: value in (1, 2, 4, 8),
    "SCALE": lambda value: value >= 0,
    "SMOOTH": lambda value: value in (0, 1),
}
"""What decoders take without looking: block and bytes of RICE_1, scale and smoothing of HCOMPRESS_1."""


def _check_setting(cards: _Cards, n: int) -> None:
    name = cards.text(f"ZNAME{n}")
    if name not in _SETTINGS:
        return
    try:
        sound = _SETTINGS[name](int(float(cards.values.get(f"ZVAL{n}", ""))))
    except (ValueError, OverflowError):
        sound = False
    if not sound:
        raise cards.error(f"has {name} = {cards.values.get(f'ZVAL{n}')}: expected one that its decoder knows")
