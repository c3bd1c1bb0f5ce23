"""Format: the interface of all file formats, and the list of them."""

from __future__ import annotations

import difflib
import re
import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError, OutputError, unknown_name
from galmorph.sky.formats.column import Column, Positions, Provenance
from galmorph.sky.formats.compressed import check_expanded, opened
from galmorph.sky.formats.ecsv import Ecsv
from galmorph.sky.formats.fits import Fits
from galmorph.sky.formats.hats import Hats, is_parquet_folder
from galmorph.sky.formats.parquet import Parquet
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.readback import Reread
from galmorph.sky.formats.stored import StoredTable
from galmorph.sky.formats.text import Text
from galmorph.sky.formats.votable import VoTable

__all__ = ["FORMATS", "Format", "ending", "format_named", "format_of_input", "format_of_output", "is_folder_output"]


class Format(Protocol):
    """One file format of catalogues."""

    name: str
    endings: tuple[str, ...]
    """What names of such files end with; the first is the usual one."""
    read_only: tuple[str, ...]
    """Endings that can be read but not written."""
    is_folder: bool
    """Whether a table is a folder of files."""

    def knows(self, head: bytes) -> bool:
        """Say whether a file that begins with `head` (uncompressed) is certainly of this format."""

    def read(self, path: Path, hdu: int | str | None) -> tuple[Table, int | None]:
        """Read all rows of a table, and say which one of the file it is.

        Raises
        ------
        CatalogError
            If the file holds no such table or is damaged.
        """

    def open(self, path: Path, hdu: int | str | None) -> tuple[StoredTable, int | None]:
        """Find the same table; one that is large may stay in its file until somebody looks at it.

        Raises
        ------
        CatalogError
            As `read`, of what is looked at now.
        """

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return number and name of each table of a file; none where a file has but one."""

    def write(self, table: Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Make a new file from a table whose columns are all to be written, with the positions of its rows."""

    def write_stored(
        self,
        stored: StoredTable,
        columns: Sequence[Column],
        provenance: Provenance,
        path: Path,
        positions: Positions | None = None,
    ) -> None:
        """Make the same file of a table that may not be in memory, with columns after its own."""

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy `source` to `path` with columns added to its table `hdu`; False where that is impossible."""

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read some rows of a written file, and all of the columns that were added."""

    def spelt(self, text: str) -> str:
        """Return what a cell of text is when it is read again."""

    def spelt_name(self, name: str) -> str:
        """Return what the name of a column is when it is read again."""


FORMATS: tuple[Format, ...] = (Fits(), VoTable(), Ecsv(), Parquet(), Hats(), Text())


def ending(path: Path) -> str:
    """Return the ending of a file name in lower case, with what is before ``.gz`` or ``.fz``.

    Examples
    --------
    >>> ending(Path("a.b/egs.cat.FITS.gz"))
    '.fits.gz'
    """
    suffixes = [s.lower() for s in path.suffixes]
    compressed = len(suffixes) > 1 and suffixes[-1] in (".gz", ".fz", ".bz2")
    return "".join(suffixes[-2:] if compressed else suffixes[-1:])


def format_named(name: str) -> Format:
    """Return the format called `name`."""
    return next(f for f in FORMATS if f.name == name)


def is_folder_output(path: Path) -> bool:
    """Say whether an output will be a folder, by its ending."""
    return any(form.is_folder and ending(path) in form.endings for form in FORMATS)


def format_of_output(path: Path) -> Format:
    """Return the format that the ending of an output asks for.

    Raises
    ------
    OutputError
        If there is none.
    """
    suffix = ending(path)
    endings = [e for f in FORMATS for e in f.endings if e not in f.read_only]
    for form in FORMATS:
        plain = suffix if form.is_folder else suffix.removesuffix(".gz")
        if plain in form.endings and plain not in form.read_only:
            return form
    if not suffix:
        raise OutputError(f"Output '{path}' has no ending: give it one of {', '.join(sorted(endings))}")
    raise OutputError(f"Output '{path}': {unknown_name('ending', suffix, endings)}")


def format_of_input(path: Path) -> Format:
    """Return the format of a file: by what it begins with, else by its ending.

    Raises
    ------
    CatalogError
        If it cannot be opened, is empty or is of no known format.
    """
    if is_parquet_folder(path):
        return format_named("hats")
    head = _head(path)
    if not head:
        raise CatalogError(f"Catalog '{path}' is empty: expected a table. Check how it was made.")
    certain = next((f for f in FORMATS if f.knows(head)), None)
    if certain is not None:
        return certain
    return _by_ending(path)


def _by_ending(path: Path) -> Format:
    """Return the format of a file whose first bytes say nothing: text, or XML with a long prologue."""
    suffix = ending(path).removesuffix(".gz").removesuffix(".bz2")
    named = next((f for f in FORMATS if suffix in f.endings), None)
    if named is None:
        endings = [e for f in FORMATS for e in f.endings]
        raise CatalogError(f"Catalog '{path}': {unknown_name('ending', suffix or 'none', endings)}")
    if named.name == "ecsv":  # often given to plain text tables
        return format_named("csv")
    if named.name in ("fits", "parquet", "hats"):
        raise CatalogError(f"Catalog '{path}' does not begin as a {named.name} file does: check what it is")
    return named


def _head(path: Path) -> bytes:
    """Return the first bytes of a file, uncompressed."""
    try:
        _check_regular(path)
        with parsing(path, "file", "copy or download it again"):
            check_expanded(path)
            with opened(path) as stream:
                head = stream.read(2048)
    except IsADirectoryError as error:
        raise CatalogError(f"Catalog '{path}' is a folder without Parquet files: name the file in it") from error
    except FileNotFoundError as error:
        raise CatalogError(f"Catalog '{path}' does not exist: {_remedy(str(path))}") from error
    except OSError as error:
        raise CatalogError(f"Catalog '{path}' cannot be read ({error}): check the file") from error
    return head


def _remedy(path: str) -> str:
    """Say what to do about a file that is not there, by how it is called."""
    scheme = re.match(r"([A-Za-z]{3,}):", path)
    if scheme is not None and difflib.get_close_matches(scheme[1].lower(), ["vizier"], cutoff=0.7):
        return "tables of VizieR are 'vizier:TABLE'; correct it"
    if scheme is not None:
        return "it is an address, expected a file; download it and name that"
    if any(letter in path for letter in "*?["):
        return "a catalogue is one file, expected no pattern; name it"
    return "check the path"


def _check_regular(path: Path) -> None:
    """Refuse what may never end, or can be read but once."""
    mode = path.stat().st_mode
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(path)
    if not stat.S_ISREG(mode):
        kind = "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise CatalogError(f"Catalog '{path}' is {kind}, expected a file: write it to one first")
