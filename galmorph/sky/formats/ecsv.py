"""Ecsv: text tables with a YAML header (APE 6), read and written by astropy."""

from __future__ import annotations

import csv
import io
import itertools
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Column as AstropyColumn
from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.formats.column import Column, Positions, Provenance, noted
from galmorph.sky.formats.compressed import opened
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import python_value, settled
from galmorph.sky.formats.readback import ReadWhole
from galmorph.sky.formats.yaml_text import check_yaml

__all__ = ["Ecsv"]

# Rows written at once.
_ROWS = 16384
_COMMA = re.compile(r"#\s*delimiter:\s*['\"]?,")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_TRUTH_ARRAYS = re.compile(r"subtype: *(['\"]?)bool\[[^\]]*null\]\1")
_TO_QUOTE = re.compile(r"[\s\"#]|^$")


def _read(path: Path) -> Table:
    """Read by way of pandas, in a fifth of the memory; what it does not take, by astropy's own parser."""
    head = _check_header(path)
    if any(map(_TRUTH_ARRAYS.search, head)):
        return _read_truth_arrays(path)
    try:
        if _suits_pandas(path):
            return Table.read(path, format="ecsv", engine="pandas")
    except (ValueError, TypeError, LookupError, OSError, csv.Error):
        pass
    return Table.read(path, format="ascii.ecsv")


def _read_truth_arrays(path: Path) -> Table:
    """Read by astropy, which would make false of null in arrays of truth values, such arrays as lists of JSON."""
    with opened(path) as stream:
        text = stream.read().decode("utf-8")
    head = "".join(itertools.takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
    table = Table.read(_TRUTH_ARRAYS.sub("subtype: json", head) + text[len(head) :], format="ascii.ecsv")
    for name in table.colnames:
        if table[name].dtype.kind == "O":
            boxed = np.empty(len(table), dtype=object)
            for place, cell in enumerate(table[name]):
                boxed[place] = _truths(cell)
            table[name] = _with_cells(table[name], boxed)
    return table


def _truths(cell: Any) -> Any:
    """Return a list of truth values as an array, null ones masked; anything else as it is."""
    if not isinstance(cell, list) or not all(value is None or isinstance(value, bool) for value in cell):
        return cell
    values, mask = np.array([bool(v) for v in cell], np.bool_), np.array([v is None for v in cell], np.bool_)
    return np.ma.array(values, mask=mask) if mask.any() else values


def _check_header(path: Path) -> list[str]:
    """Return the lines of the header, if its YAML is harmless."""
    with opened(path) as stream:
        head = list(itertools.takewhile(lambda line: line.startswith(b"#"), stream))
    lines = [line.decode("utf-8", "replace").strip("\r\n").removeprefix("#").removeprefix(" ") for line in head]
    check_yaml(lines)
    return lines


def _suits_pandas(path: Path) -> bool:
    """Say whether pandas reads the rows as they are.

    It takes cells that are missing at the end of a row for nulls, and, as astropy asks it, whatever follows a ``#``
    outside quotes for a comment.
    """
    with path.open(encoding="utf-8", newline="") as stream:
        head = list(itertools.takewhile(lambda line: line.startswith("#"), stream))
        delimiter = "," if any(_COMMA.match(line) for line in head) else " "
        stream.seek(0)
        rows = csv.reader(_without_comments(stream), delimiter=delimiter)
        return len({len(row) for row in rows if row}) <= 1


def _without_comments(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines of rows; ValueError where one has a hash outside quotes."""
    for line in lines:
        if not line.startswith("#"):
            if "#" in line and "#" in _QUOTED.sub("", line):
                raise ValueError("a hash outside quotes")
            yield line


def _is_simple(column: Any) -> bool:
    return isinstance(column, AstropyColumn) and column.ndim == 1 and column.dtype.kind in "biufU"


def _cells(column: Any) -> list[str]:
    """Return cells as they stand in a row: null is an empty pair of quotes, which readers mask."""
    mask = np.ma.getmaskarray(column) if isinstance(column, np.ma.MaskedArray) else None
    values = np.ma.getdata(column)
    cells: list[str] = values.tolist() if values.dtype.kind == "U" else values.astype(np.str_).tolist()
    if values.dtype.kind == "U":
        cells = [_quoted(cell) for cell in cells]
    return cells if mask is None else ['""' if m else c for c, m in zip(cells, mask.tolist(), strict=True)]


def _expressible(table: Table) -> Table:
    """Return a table without arrays of complex numbers, and objects of others, for which there is no JSON: as text."""
    out = table.copy(copy_data=False)
    for name in out.colnames:
        column = out[name]
        if not isinstance(column, AstropyColumn):
            continue
        if column.ndim > 1 and column.dtype.kind == "c":
            out[name] = _with_cells(column, np.ma.getdata(column).astype(np.str_))
        elif column.dtype.kind == "O" and not all(_is_array(cell) for cell in column):
            boxed = np.empty(len(column), dtype=object)
            boxed[:] = [python_value(cell) for cell in column]
            out[name] = _with_cells(column, boxed)
    return out


def _by_astropy(table: Table, names: Sequence[str]) -> tuple[list[str], dict[str, list[str]]]:
    """Return the lines of the header of a table, and the cells of some of its columns, by name."""
    text = io.StringIO(newline="")
    table.write(text, format="ascii.ecsv")
    text.seek(0)
    head = list(itertools.takewhile(lambda line: line.startswith("#"), text))
    # The line after them is taken by now: the names.
    columns = [table.colnames.index(name) for name in names]
    text.seek(len("".join(head)))
    head.append(text.readline())
    rows = list(csv.reader(text, delimiter=" ")) if columns else []
    return head, {name: [_quoted(row[n]) for row in rows if row] for name, n in zip(names, columns, strict=True)}


def _is_array(cell: Any) -> bool:
    return cell is None or (isinstance(cell, np.ndarray) and cell.dtype.kind in "biufU")


def _with_cells(column: Any, cells: Any) -> AstropyColumn:
    return AstropyColumn(
        cells, name=column.name, unit=column.unit, description=column.description, meta=column.meta, copy=False
    )


def _quoted(cell: str) -> str:
    return '"' + cell.replace('"', '""') + '"' if _TO_QUOTE.search(cell) else cell


class Ecsv(ReadWhole):
    """Enhanced character-separated values."""

    name = "ecsv"
    endings: tuple[str, ...] = (".ecsv",)
    read_only: tuple[str, ...] = ()
    is_folder = False

    def knows(self, head: bytes) -> bool:
        """Recognise the first line of the standard."""
        return head.startswith(b"# %ECSV")

    def read(self, path: Path, hdu: int | str | None) -> tuple[Table, int | None]:
        """Read the one table of the file."""
        if hdu is not None:
            raise CatalogError(f"Catalog '{path}' is an ECSV file with one table: leave --hdu away")
        with parsing(path, "ECSV file", "repair it"):
            return settled(_read(path)), None

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a file has one table."""
        del path
        return []

    def write(self, table: Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Write units, descriptions, UCDs and provenance into the YAML header."""
        del positions
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            whole = noted(table, provenance)
            if whole.has_mixin_columns:
                whole.write(path, format="ascii.ecsv", overwrite=True)
                return
            whole = _expressible(whole)
            odd = [n for n in whole.colnames if not _is_simple(whole[n])]
            # Its header is astropy's, as are cells of arrays; its rows are ours, in blocks, since astropy holds the
            # text of all of them, cuts blanks at the ends of cells, and leaves a first cell as it is that every reader
            # takes for a comment.
            head, of_astropy = _by_astropy(whole if odd else whole[:0], odd)
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.writelines(head)
            for start in range(0, len(whole), _ROWS):
                rows = slice(start, start + _ROWS)
                block = [of_astropy[n][rows] if n in of_astropy else _cells(whole[n][rows]) for n in whole.colnames]
                stream.writelines(" ".join(row) + "\n" for row in zip(*block, strict=True))

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Leave it to `write`, which writes numbers with all their digits."""
        del source, hdu, columns, provenance, path
        return False
