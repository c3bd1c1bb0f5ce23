"""StoredTable: the interface of tables whose rows may stay in their files, and the tables that are held as a whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from astropy import table as apt

from galmorph.sky.formats.column import Column, Positions, Provenance, table_with
from galmorph.sky.mapped import ROWS_AT_ONCE, forget, is_mapped

__all__ = ["HeldFormat", "HeldTable", "StoredTable", "file_stamp"]

LongArray = npt.NDArray[np.int64]


class StoredTable(Protocol):
    """A table of N rows that is looked at column by column, or in pieces of some rows.

    What it is made of must stay as it is while it is in use, if it is not held.
    """

    @property
    def is_held(self) -> bool:
        """Whether all is in memory, so that its file may change."""

    @property
    def is_in_order(self) -> bool:
        """Whether pieces come in the order of the rows."""

    @property
    def head(self) -> apt.Table:
        """The first rows, or all: names, units, descriptions, UCDs and meta are those of the whole."""

    def __len__(self) -> int: ...

    def column(self, name: str) -> Any:
        """Return all cells of a column."""

    def some(self, rows: LongArray) -> apt.Table:
        """Return the rows of some numbers, (M,), in that order."""

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[tuple[LongArray, apt.Table]]:
        """Yield columns, by default all, of all rows once, in pieces, each with the numbers of its rows, (M,).

        They come as they lie in the file. Types are those of a piece: texts are as wide as it needs, arrays of one
        length rectangles, and only :attr:`head` and :meth:`whole` say all there is to say of the columns.
        """

    def whole(self) -> apt.Table:
        """Return all rows and columns."""

    def forget(self) -> None:
        """Let go of the memory of what can be read again."""


@dataclass(frozen=True)
class HeldTable:
    """A table of astropy: in memory, or with columns that are mapped.

    Parameters
    ----------
    table
        The table.
    """

    table: apt.Table

    @property
    def is_held(self) -> bool:
        """Whether nothing of it is mapped."""
        return not any(is_mapped(self.table[name]) for name in self.table.colnames)

    @property
    def is_in_order(self) -> bool:
        """Whether pieces come in the order of the rows, as they do."""
        return True

    @property
    def head(self) -> apt.Table:
        """The table."""
        return self.table

    def __len__(self) -> int:
        return len(self.table)

    def column(self, name: str) -> Any:
        """Return a column, which is shared."""
        return self.table[name]

    def some(self, rows: LongArray) -> apt.Table:
        """Return some rows."""
        return self.table[rows]

    def pieces(self, names: Sequence[str] | None = None) -> Iterator[tuple[LongArray, apt.Table]]:
        """Yield views of some thousand rows, whose memory is let go of before the next."""
        table = self.table if names is None else self.table[list(names)]
        for first in range(0, len(table), ROWS_AT_ONCE):
            piece = table[first : first + ROWS_AT_ONCE]
            yield np.arange(first, first + len(piece)), piece
            self.forget()

    def whole(self) -> apt.Table:
        """Return the table, which is shared."""
        return self.table

    def forget(self) -> None:
        """Let go of the columns that are mapped."""
        forget(self.table[name] for name in self.table.colnames)


class HeldFormat(ABC):
    """A format whose tables are read and written as a whole."""

    @abstractmethod
    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read all rows of a table."""

    @abstractmethod
    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Make a new file."""

    def open(self, path: Path, hdu: int | str | None) -> tuple[StoredTable, int | None]:
        """Read the table."""
        table, index = self.read(path, hdu)
        return HeldTable(table), index

    def write_stored(
        self,
        stored: StoredTable,
        columns: Sequence[Column],
        provenance: Provenance,
        path: Path,
        positions: Positions | None = None,
    ) -> None:
        """Write it as a whole."""
        self.write(table_with(stored.whole(), columns), provenance, path, positions)


def file_stamp(path: Path) -> tuple[int, int, int] | None:
    """Return size, time of change and number of a file, which tell it from others; None where there is none."""
    if not path.is_file():
        return None
    stat = path.stat()
    return stat.st_size, stat.st_mtime_ns, stat.st_ino
