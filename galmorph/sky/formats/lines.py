"""Lines: how a text table is laid out, and its records as they were written."""

from __future__ import annotations

import bz2
import csv
import gzip
import itertools
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal

from galmorph.errors import CatalogError

__all__ = ["Layout", "Record", "layout_of", "opened", "records"]

_DELIMITERS = (",", "\t", ";", "|")
# As wide as pandas reads them: two parsers of one file must agree.
csv.field_size_limit(sys.maxsize)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")

_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+([eE][+-]?\d+)?")


@dataclass(frozen=True)
class Layout:
    """Where the parts of a text table are.

    Parameters
    ----------
    encoding
        ``utf-8``, ``utf-8-sig`` (with a byte order mark) or ``latin-1``.
    delimiter
        What stands between cells; a blank means any white space.
    header
        Number of the line with the column names, from 0.
    names
        Column names, made unique.
    closed
        Whether each row ends with a delimiter that the names lack.
    decimal
        What parts the digits of a number: a comma where the cells are parted otherwise and the first rows have such.
    """

    encoding: str
    delimiter: str
    header: int
    names: tuple[str, ...]
    closed: bool = False
    decimal: str = "."

    @property
    def first(self) -> int:
        """Number of the first line after the names."""
        return self.header + 1

    @property
    def written(self) -> str:
        """Encoding of a copy: everything fits into it that was in the source, and our own columns too."""
        return self.encoding


@dataclass(frozen=True)
class Record:
    """Some lines of a text table: a comment before the names, the names, a blank line or a row."""

    kind: Literal["comment", "header", "blank", "row"]
    text: str
    cells: int


def opened(path: Path, encoding: str) -> IO[str]:
    """Open a text file, compressed or not, with its line ends as they are."""
    with path.open("rb") as stream:
        magic = stream.read(3)
    if magic[:2] == b"\x1f\x8b":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    if magic == b"BZh":
        return bz2.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def layout_of(path: Path) -> Layout:
    """Find the encoding, delimiter and column names of a text table.

    Lines that begin with ``#`` before the table are comments, except that the last of them holds the names
    when it has as many words as the line after it, and that has a number among them.

    Raises
    ------
    CatalogError
        If the file is not text or has no line of names.
    """
    encoding = _encoding(path)
    comments, lines = _opening(path, encoding)
    commented = _commented_names(comments, lines)
    if not lines and not commented:
        raise CatalogError(f"Catalog '{path}' is empty: expected a line of column names and rows")
    if "\0" in "".join(lines + comments):
        raise CatalogError(f"Catalog '{path}' is not a text table: expected one by its name. Check the ending.")
    head = commented or lines[0]
    delimiter = _sniffed(head, "".join(lines[:1] if commented else lines[1:2]))
    if delimiter != " " and _is_unfinished(head, delimiter):
        raise CatalogError(
            f"Catalog '{path}' has a name of a column that goes on in the next line: '{head.strip()[:60]}'; expected "
            "all in one line: rename it"
        )
    names = _split(head, delimiter)
    if all(_NUMBER.fullmatch(n) for n in names):
        raise CatalogError(
            f"Catalog '{path}' has no line of column names: its first line is '{head.strip()[:60]}'. Add one."
        )
    header = len(comments) - 1 if commented else len(comments)
    rows = [_split(line, delimiter) for line in (lines if commented else lines[1:])]
    closed = bool(rows) and all(len(row) == len(names) + 1 and not row[-1] for row in rows)
    comma = delimiter != "," and any(_DECIMAL_COMMA.fullmatch(cell) for row in rows for cell in row)
    return Layout(encoding, delimiter, header, _unique(names), closed, "," if comma else ".")


def records(path: Path, layout: Layout) -> Iterator[Record]:
    """Yield the lines of a text table in order; a row whose cells hold line breaks comes as one record.

    The table's delimiter must be a character, not white space.
    """
    with opened(path, layout.encoding) as stream:
        for number in range(layout.first):
            yield Record("header" if number == layout.header else "comment", stream.readline(), 0)
        taken: list[str] = []
        for cells in csv.reader(_noting(stream, taken), delimiter=layout.delimiter):
            text = "".join(taken)
            taken.clear()
            yield Record("row" if text.strip(" \r\n") else "blank", text, len(cells))


def _noting(stream: IO[str], taken: list[str]) -> Iterator[str]:
    for line in stream:
        taken.append(line)
        yield line


def _encoding(path: Path) -> str:
    """Return the encoding that reads the whole file."""
    try:
        with opened(path, "utf-8") as stream:
            start = stream.read(1)
            while stream.read(1 << 20):
                pass
    except UnicodeDecodeError:
        return "latin-1"
    except (OSError, EOFError) as error:
        raise CatalogError(f"Catalog '{path}' cannot be read ({error}): check the file") from error
    return "utf-8-sig" if start == "\ufeff" else "utf-8"


def _opening(path: Path, encoding: str) -> tuple[list[str], list[str]]:
    """Return the lines that begin with ``#`` (or are blank) before the table, and its first lines."""
    comments: list[str] = []
    with opened(path, encoding) as stream:
        first = next((line for line in stream if not _is_remark(line, comments)), None)
        if first is None:
            return comments, []
        return comments, [first, *itertools.islice((line for line in stream if line.strip()), 2)]


def _is_remark(line: str, comments: list[str]) -> bool:
    """Say whether a line before the table is a comment or blank, and keep it if so."""
    is_remark = line.lstrip().startswith("#") or not line.strip()
    if is_remark:
        comments.append(line)
    return is_remark


def _commented_names(comments: Sequence[str], lines: Sequence[str]) -> str | None:
    """Return the names if they stand in the last comment."""
    if not comments or not comments[-1].strip():
        return None
    last = comments[-1].lstrip().lstrip("#")
    if not lines:
        return last
    delimiter = _sniffed(last, lines[0])
    row = _split(lines[0], delimiter)
    numbers = any(_NUMBER.fullmatch(cell) for cell in row)
    return last if numbers and len(_split(last, delimiter)) == len(row) else None


def _sniffed(head: str, row: str) -> str:
    """Return the delimiter that parts the names as often as the first row, or at all."""
    present = [d for d in _DELIMITERS if d in head]
    agreeing = [d for d in present if len(_split(head, d)) == len(_split(row, d))]
    if agreeing or present:
        return (agreeing or present)[0]
    return " " if len(head.split()) > 1 and len(head.split()) == len(row.split() or head.split()) else ","


def _is_unfinished(line: str, delimiter: str) -> bool:
    """Say whether a cell that begins with a quotation mark has no other at its end."""
    try:
        next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter, strict=True), None)
    except csv.Error as error:
        return "unexpected end" in str(error)
    return False


def _split(line: str, delimiter: str) -> list[str]:
    stripped = line.rstrip("\r\n")
    if delimiter == " ":
        return stripped.split()
    return [cell.strip() for cell in next(csv.reader([stripped], delimiter=delimiter), [])]


def _unique(names: Sequence[str]) -> tuple[str, ...]:
    """Give names to nameless columns and a number to those that repeat one."""
    ordered: dict[str, None] = {}
    for number, name in enumerate(names, start=1):
        free, repeat = name or f"col{number}", 1
        while free in ordered:
            repeat += 1
            free = f"{name or f'col{number}'}_{repeat}"
        ordered[free] = None
    return tuple(ordered)
