"""Ecsv: text tables with a YAML header (APE 6), read and written by astropy."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.formats.column import Column, Provenance, noted
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import settled

__all__ = ["Ecsv"]


class Ecsv:
    """Enhanced character-separated values."""

    name = "ecsv"
    endings: tuple[str, ...] = (".ecsv",)
    read_only: tuple[str, ...] = ()

    def knows(self, head: bytes) -> bool:
        """Recognise the first line of the standard."""
        return head.startswith(b"# %ECSV")

    def read(self, path: Path, hdu: int | str | None) -> tuple[Table, int | None]:
        """Read the one table of the file."""
        if hdu is not None:
            raise CatalogError(f"Catalog '{path}' is an ECSV file with one table: leave --hdu away")
        with parsing(path, "ECSV file", "repair it"):
            return settled(Table.read(path, format="ascii.ecsv")), None

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a file has one table."""
        del path
        return []

    def write(self, table: Table, provenance: Provenance, path: Path) -> None:
        """Write units, descriptions, UCDs and provenance into the YAML header."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            noted(table, provenance).write(path, format="ascii.ecsv", overwrite=True)

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Leave it to `write`, which writes numbers with all their digits."""
        del source, hdu, columns, provenance, path
        return False
