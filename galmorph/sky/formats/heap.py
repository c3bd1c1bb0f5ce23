"""Heap: where the cells of a FITS table lie that have arrays of different lengths (FITS standard 4.0, section 7.3.5).

A cell of such a column is a count and a place. Readers follow them as they are: a wrong one shows bytes of other cells,
or fewer values than it says.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError
from galmorph.sky.formats.hdus import HeaderDataUnit

__all__ = ["check_pointers"]

_BITS = {"L": 8, "X": 1, "B": 8, "I": 16, "J": 32, "K": 64, "A": 8, "E": 32, "D": 64, "C": 64, "M": 128}
"""Of one value of each type; pointers themselves have two integers."""
_FORM = re.compile(r"(\d{0,9})([LXBIJKAEDCMPQ])([LXBIJKAEDCM]?)")


@dataclass(frozen=True)
class _Pointers:
    """A column of pointers: its number, from 1, its place in a row, and what it points to."""

    number: int
    at: int
    kind: np.dtype[np.signedinteger[npt.NBitBase]]
    bits: int


def check_pointers(unit: HeaderDataUnit, content: bytes | bytearray | memoryview) -> None:
    """Refuse a binary table some of whose cells would lie outside its heap.

    Parameters
    ----------
    content
        The data of the unit.

    Raises
    ------
    CatalogError
        If there are any; the message names column and row.
    """
    if unit.value("XTENSION").upper() == "TABLE":
        return
    width, rows = unit.number("NAXIS1"), unit.number("NAXIS2")
    heap = width * rows + unit.number("PCOUNT") - unit.number("THEAP", width * rows)
    table = np.frombuffer(content, np.uint8)[: width * rows].reshape(rows, width)
    for column in _pointers(unit):
        if column.at + 2 * column.kind.itemsize > width:
            return  # its width is refused elsewhere
        cells = np.ascontiguousarray(table[:, column.at : column.at + 2 * column.kind.itemsize]).view(column.kind)
        counts, places = cells[:, 0].astype(np.float64), cells[:, 1].astype(np.float64)
        ends = places + np.ceil(counts * column.bits / 8)  # floats do not overflow, and are exact for any real heap
        bad = np.flatnonzero((counts < 0) | ((counts > 0) & ((places < 0) | (ends > heap))))
        if len(bad):
            count, place = cells[bad[0]].tolist()
            name = unit.value(f"TTYPE{column.number}") or f"column {column.number}"
            raise CatalogError(
                f"HDU {unit.index}: row {bad[0]} of '{name}' points to {count} values at byte {place} of a heap of "
                f"{heap} bytes, expected a place in it; copy the file again"
            )


def _pointers(unit: HeaderDataUnit) -> Iterator[_Pointers]:
    at = 0
    for number in range(1, unit.number("TFIELDS") + 1):
        form = _FORM.match(unit.value(f"TFORM{number}").strip())
        if form is None:
            return
        repeat, letter = int(form[1] or 1), form[2]
        if letter in "PQ":
            kind = np.dtype(">i4" if letter == "P" else ">i8")
            if repeat:
                yield _Pointers(number, at, kind, _BITS.get(form[3], 8))
            at += 2 * kind.itemsize * repeat
        else:
            at += -(-repeat * _BITS[letter] // 8)
