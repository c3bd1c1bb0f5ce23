"""Readback: what was written is what was to be written, or it is no output.

A writer that drops a line, cuts a name or shifts a column raises nothing. So each file is read again before it gets
its name: the number of its rows, the names of its columns, cells of every column of the catalogue, all of ours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from astropy import table as apt

from galmorph.errors import OutputError
from galmorph.sky.formats.column import Column
from galmorph.sky.formats.plain import as_text, plain
from galmorph.sky.formats.stored import HeldFormat, HeldTable, StoredTable
from galmorph.sky.mapped import forget

__all__ = ["ReadWhole", "Reread", "check_reread", "reread_of", "sample_rows", "telling_rows", "whole_reread"]

# Writers fill pieces of so many rows: where one ends and the next begins, rows are looked at.
_BORDERS = 4096
# Cells compared at once: the text of a million would take more memory than the table.
_CELLS = 1 << 15
# Rows looked at between the first and the last, and borders.
_SAMPLES = 64


class Spelling(Protocol):
    """What a format makes of text and names."""

    def spelt(self, text: str) -> str:
        """Return what a cell of text is when it is read again."""

    def spelt_name(self, name: str) -> str:
        """Return what the name of a column is when it is read again."""


@dataclass(frozen=True)
class Reread:
    """What a written file holds.

    Parameters
    ----------
    rows
        Number of rows.
    sample
        All columns of the rows that were asked for.
    added
        The columns that were added, by name: pieces of all their rows, each with the numbers of these. They can be had
        once, and read the file when they are.
    """

    rows: int
    sample: apt.Table
    added: Iterable[tuple[npt.NDArray[np.int64], Mapping[str, Any]]]


class ReadWhole(HeldFormat):
    """A format that holds any letters, and whose files are read back as a whole."""

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read it whole."""
        del hdu
        return whole_reread(self.read(path, None)[0], rows, columns)

    def spelt(self, text: str) -> str:
        """Return it as it is."""
        return text

    def spelt_name(self, name: str) -> str:
        """Return it as it is."""
        return name


def sample_rows(count: int) -> npt.NDArray[np.int64]:
    """Return the numbers of rows to look at: the first and last, those at borders of pieces, some between."""
    borders = np.linspace(1, max(1, count // _BORDERS), _SAMPLES).astype(np.int64) * _BORDERS
    between = np.linspace(0, max(0, count - 1), _SAMPLES).astype(np.int64)
    rows = np.unique(np.concatenate([between, borders - 1, borders]))
    return rows[(rows >= 0) & (rows < count)]


def telling_rows(stored: StoredTable) -> npt.NDArray[np.int64]:
    """Return rows that show what a format cannot hold: the first, those with odd text, one for each kind of object."""
    rows, kinds = {0} if len(stored) else set(), set[tuple[str, type]]()
    head = stored.head
    names = [name for name in head.colnames if _kind(head[name]) in ("O", "U")]
    for numbers, piece in stored.pieces(names) if names else ():
        for name in names:
            rows |= set(numbers[_telling_cells(name, piece[name], kinds)].tolist())
    return np.array(sorted(rows), np.int64)


def _telling_cells(name: str, column: apt.Column, kinds: set[tuple[str, type]]) -> list[int]:
    """Return the places of odd texts of a piece of a column, or of objects of kinds that were not there before."""
    if _kind(column) == "U":
        return sorted(_odd_texts(np.asarray(column)))
    places = []
    for place, cell in enumerate(column if _kind(column) == "O" else ()):
        if (name, type(cell)) not in kinds:
            kinds.add((name, type(cell)))
            places.append(place)
    return places


def _kind(column: Any) -> str:
    """Return the letter of the type of a column's cells, if they are no arrays."""
    return getattr(getattr(column, "dtype", None), "kind", "") if getattr(column, "ndim", 0) == 1 else ""


def _odd_texts(texts: npt.NDArray[np.str_]) -> set[int]:
    """Return the first rows with halves of characters, which no encoding has, and with an end inside of a text."""
    rows: set[int] = set()
    for start in range(0, len(texts) if texts.itemsize else 0, _CELLS):
        piece = np.ascontiguousarray(texts[start : start + _CELLS])
        codes = piece.view(np.uint32 if piece.dtype.isnative else ">u4").reshape(len(piece), -1)
        halves = ((codes >= 0xD800) & (codes < 0xE000)).any(axis=1)
        ends = ((codes[:, :-1] == 0) & (codes[:, 1:] != 0)).any(axis=1)
        rows |= {start + int(odd.argmax()) for odd in (halves, ends) if odd.any()}
    return rows


def whole_reread(table: apt.Table, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
    """Return what a file holds that was read whole."""
    return reread_of(HeldTable(table), rows, table.colnames[len(table.colnames) - len(columns) :])


def reread_of(stored: StoredTable, rows: npt.NDArray[np.int64], names: Sequence[str]) -> Reread:
    """Return what a file holds whose rows are looked at in pieces, of which columns of these names were added."""
    pieces = ((numbers, {name: piece[name] for name in names}) for numbers, piece in stored.pieces(names))
    return Reread(len(stored), stored.some(rows[rows < len(stored)]), pieces if names else ())


def check_reread(
    reread: Reread,
    stored: StoredTable,
    columns: Sequence[Column],
    rows: npt.NDArray[np.int64],
    form: Spelling,
) -> None:
    """Compare a written file with what was to be written.

    Parameters
    ----------
    reread
        What it holds.
    stored, columns
        The catalogue's own columns, and those that were added.
    rows
        Those of the sample.
    form
        The format: what it makes of text and of names.

    Raises
    ------
    OutputError
        If they differ.
    """
    expected = plain(stored.some(rows))
    names = [form.spelt_name(n) for n in (*expected.colnames, *(c.name for c in columns))]
    if reread.rows != len(stored):
        raise _changed("rows", reread.rows, len(stored))
    written = plain(reread.sample)
    if list(map(str.strip, written.colnames)) != list(map(str.strip, names)):
        missing = next((n for n in names if n not in written.colnames), f"{len(names)} columns")
        raise _changed("columns", written.colnames[:5], missing)
    for before, after in zip(expected.colnames, written.colnames, strict=False):
        _check_cells(before, expected[before], written[after], rows, form.spelt)
    for numbers, piece in reread.added:
        _check_added(columns, piece, numbers, form)
        forget(column.values for column in columns)


def _check_added(
    columns: Sequence[Column], piece: Mapping[str, Any], rows: npt.NDArray[np.int64], form: Spelling
) -> None:
    """Compare some rows of the columns that were added with those that were written."""
    for column in columns:
        after, before = piece[form.spelt_name(column.name)], apt.Column(column.values[rows])
        _check_cells(column.name, before, after, rows, form.spelt)


def _changed(what: str, after: object, before: object) -> OutputError:
    return OutputError(
        f"The output was read back with other {what} {after}, expected {before}: the format does not hold this table; "
        "choose another format"
    )


def _check_cells(name: str, before: Any, after: Any, rows: npt.NDArray[np.int64], spelt: Callable[[str], str]) -> None:
    for start in range(0, len(before), _CELLS):
        stop = start + _CELLS
        _check_piece(name, before[start:stop], after[start:stop], rows[start:stop], spelt)


def _check_piece(name: str, before: Any, after: Any, rows: npt.NDArray[np.int64], spelt: Callable[[str], str]) -> None:
    equal = _equal(before, after, spelt)
    if not equal.all():
        place = int(np.flatnonzero(~equal)[0])
        where = f"cells, row {int(rows[place]) + 1} of '{name}':"
        raise _changed(where, repr(after[place])[:60], repr(before[place])[:60])


def _equal(before: Any, after: Any, spelt: Callable[[str], str]) -> npt.NDArray[np.bool_]:
    """Say which cells are the same, nulls of any kind being one; of arrays in cells those of numbers of one shape."""
    if before.ndim > 1 and before.shape == after.shape and {before.dtype.kind, after.dtype.kind} <= set("iuf"):
        return _equal_arrays(before, after)
    if before.ndim > 1 or after.ndim > 1 or {before.dtype.kind, after.dtype.kind} & set("OcV"):
        return np.ones(len(before), dtype=bool)
    texts = [c.dtype.kind in "SU" for c in (before, after)]
    if all(texts):
        pairs = zip(as_text(before).tolist(), as_text(after).tolist(), strict=True)
        # A copy has the letters of its source, also those that the format has not.
        return np.array([_settled(b) in (_settled(spelt(a)), _settled(a)) for a, b in pairs], dtype=bool)
    if not any(texts) and before.dtype.kind in "iu" and after.dtype.kind in "iu":
        masks = [np.ma.getmaskarray(np.ma.asarray(c)) for c in (before, after)]
        same = np.ma.getdata(before) == np.ma.getdata(after)
        return np.asarray((same & ~masks[0] & ~masks[1]) | (masks[0] & masks[1]))
    a, b = _reals(before), _reals(after)
    if before.dtype.kind == "f" and before.dtype.itemsize == 4:
        with np.errstate(over="ignore"):
            a, b = a.astype(np.float32), b.astype(np.float32)
    return np.asarray((a == b) | (np.isnan(a) & np.isnan(b)))


def _equal_arrays(before: Any, after: Any) -> npt.NDArray[np.bool_]:
    """Say in which rows all numbers are the same, or null in both."""
    (a, no_a), (b, no_b) = ((np.ma.getdata(column), _nothing(column)) for column in (before, after))
    return np.asarray(np.where(no_a | no_b, no_a == no_b, a == b).all(axis=tuple(range(1, a.ndim))))


def _nothing(column: Any) -> npt.NDArray[np.bool_]:
    """Say which numbers are null."""
    numbers, mask = np.ma.getdata(column), np.ma.getmaskarray(column)
    return np.asarray(mask | np.isnan(numbers)) if numbers.dtype.kind == "f" else mask


def _settled(text: str) -> str:
    """Return text without what all formats leave open: blanks at its end, kinds of line ends."""
    return text.replace("\r\n", "\n").replace("\r", "\n").rstrip()


def _reals(column: Any) -> npt.NDArray[np.float64]:
    """Return cells as numbers, NaN where null or none."""
    if column.dtype.kind in "SU":
        return np.array([_real(v) for v in as_text(column).tolist()], dtype=np.float64)
    return np.ma.filled(np.ma.asarray(column).astype(np.float64), np.nan)


def _real(text: str) -> float:
    word = text.strip().lower()
    try:
        return {"true": 1.0, "false": 0.0}[word] if word in ("true", "false") else float(word.replace("d", "e"))
    except ValueError:
        return np.nan
