"""Text: delimited tables (CSV and its relatives), copied cell by cell as they were written."""

from __future__ import annotations

import itertools
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt

from galmorph.errors import CatalogError
from galmorph.limits import LIMITS
from galmorph.sky.formats.column import Column, Positions, Provenance
from galmorph.sky.formats.lines import Layout, Record, layout_of, opened, records
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.plain import cells_text, plain, settled
from galmorph.sky.formats.readback import ReadWhole, Reread

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Text", "pandas_module", "typed"]

_NULLS = ("", "null", "NULL", "Null", "None", "NONE", "NA", "N/A", "n/a", "<NA>", "--")
_INTEGER = r"[+-]?(?:0|[1-9][0-9]{0,18})"
_CODE = r"[+-]?(?:0[0-9]+|[0-9]{20,})"  # leading zeros or too long for an integer: a name made of digits
_REAL = r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eEdD][+-]?[0-9]+)?|[nN]a[nN]|NAN|[iI]nf(?:inity)?|INF)"
_BOOL = {"true": True, "false": False}
# Rows written at once: the text of a whole column would take several times the memory of its numbers.
_ROWS = 16384
# Rows read at once where a file is looked at in pieces.
_ROWS_READ = 1 << 16


class Text(ReadWhole):
    """Delimited text; commas on output, tabs for ``.tsv``."""

    name = "csv"
    endings: tuple[str, ...] = (".csv", ".tsv", ".dat", ".txt", ".cat", ".tbl", ".mrt")
    read_only: tuple[str, ...] = (".dat", ".txt", ".cat", ".tbl", ".mrt")
    is_folder = False

    def knows(self, head: bytes) -> bool:
        """Never certain: any text may be a table."""
        del head
        return False

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read all rows and find the type of each column from its cells.

        Integers have no leading zeros and fit into 64 bits, else the column is text; blanks are null among
        numbers and empty text among text.
        """
        if hdu is not None:
            raise CatalogError(f"Catalog '{path}' is a text file with one table: leave --hdu away")
        with parsing(path, "table", "repair it"):
            if layout_name := _fixed_layout(path):
                return _told(apt.Table.read(path, format=layout_name)), None
            layout = layout_of(path)
            return _table(list(_pieces(path, layout, _ROWS_READ)), layout), None

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read it twice, in pieces: the text of all cells takes several times the memory of the table."""
        if _fixed_layout(path):
            return super().reread(path, hdu, rows, columns)
        layout, count, taken = layout_of(path), 0, []
        for piece in _pieces(path, layout, _ROWS_READ):
            taken.append(piece.iloc[rows[(rows >= count) & (rows < count + len(piece))] - count])
            count += len(piece)
        added = range(len(layout.names) - len(columns), len(layout.names))
        return Reread(count, _table(taken, layout), _numbers(path, layout, added))

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a file has one table."""
        del path
        return []

    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Write a header line and one line per row; units and provenance have no place here."""
        del positions
        del provenance
        flat = plain(table)
        with path.open("w", encoding="utf-8", newline="") as stream:
            stream.write(_joined(flat.colnames, _delimiter(path)) + "\n")
            for start in range(0, len(flat), _ROWS):
                block = [cells_text(flat[n][start : start + _ROWS]) for n in flat.colnames]
                block = [_quoted_cells(cells, _delimiter(path)) for cells in block]
                stream.writelines(_delimiter(path).join(cells) + "\n" for cells in zip(*block, strict=True))

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Copy every line with cells added at its end."""
        del hdu, provenance
        if _fixed_layout(source):
            return False
        layout = layout_of(source)
        if layout.decimal == ",":
            return False
        if layout.delimiter == _delimiter(path):
            return _extend(source, layout, columns, path)
        return _rewrite(source, layout, columns, path)


def typed(cells: pd.Series[str], name: str) -> apt.Column:
    """Return the cells of one column, (N,) text, as booleans, integers, floats or text."""
    stripped = cells.str.strip()
    null = stripped.isin(_NULLS)
    filled = stripped[~null]
    mask = null.to_numpy(dtype=bool)
    if filled.empty or filled.str.fullmatch(_CODE).any():
        return _text_column(cells, name)
    if filled.str.lower().isin(list(_BOOL)).all():
        return _masked(filled.str.lower().map(_BOOL).to_numpy(dtype=bool), mask, name)
    if filled.str.fullmatch(_INTEGER).all():
        return _integers(filled, cells, mask, name)
    if filled.str.fullmatch(_REAL).all():
        values = np.full(len(cells), np.nan)
        decimal = filled.str.replace("[dD]", "e", regex=True) if filled.str.contains("[dD]").any() else filled
        values[~mask] = [float(v) for v in decimal.to_numpy(dtype=object)]
        if (np.isinf(values[~mask]) & filled.str.contains("[0-9]").to_numpy(dtype=bool)).any():
            return _text_column(cells, name)  # more than a double holds
        return apt.Column(values, name=name)
    return _text_column(cells, name)


def _integers(digits: pd.Series[str], cells: pd.Series[str], mask: Any, name: str) -> apt.Column:
    try:
        return _masked(np.array([int(v) for v in digits.to_numpy(dtype=object)], dtype=np.int64), mask, name)
    except OverflowError:
        return _text_column(cells, name)


def _text_column(cells: pd.Series[str], name: str) -> apt.Column:
    return apt.Column(cells.to_numpy(dtype=object).astype(np.str_), name=name)


def _masked(values: Any, mask: Any, name: str) -> apt.Column:
    """Spread `values` over the rows that are not masked."""
    if not mask.any():
        return apt.Column(values, name=name)
    cells = np.zeros(mask.size, dtype=values.dtype)
    cells[~mask] = values
    return apt.MaskedColumn(cells, mask=mask, name=name)


def pandas_module() -> Any:
    """Load pandas, which is heavy, and which only text tables and frames need."""
    import pandas as pd  # noqa: PLC0415

    return pd


def _table(pieces: Sequence[pd.DataFrame], layout: Layout) -> apt.Table:
    """Find the types of columns, and take these out of pieces of text one by one, which hold several times as much."""
    pd = pandas_module()
    columns = []
    for n, name in enumerate(layout.names):
        cells = pd.concat([piece[n] for piece in pieces], ignore_index=True)
        for piece in pieces:
            del piece[n]
        columns.append(typed(_pointed(cells, layout), name))
    return apt.Table(columns, copy=False)


def _numbers(
    path: Path, layout: Layout, columns: Sequence[int]
) -> Iterator[tuple[npt.NDArray[np.int64], dict[str, apt.Column]]]:
    """Yield the numbers of some rows after others, and their cells in some columns, of which there may be none."""
    count = 0
    for piece in _pieces(path, layout, _ROWS_READ) if columns else ():
        cells = {layout.names[k]: typed(_pointed(piece[k], layout), layout.names[k]) for k in columns}
        yield np.arange(count, count + len(piece)), cells
        count += len(piece)


def _cells(path: Path, layout: Layout) -> pd.DataFrame:
    """Read every cell as the text that it is."""
    return next(_pieces(path, layout, None))


def _pieces(path: Path, layout: Layout, rows: int | None) -> Iterator[pd.DataFrame]:
    """Read every cell as the text that it is, so many rows at a time, or all at once; of no rows there is one piece."""
    pd = pandas_module()
    options: dict[str, Any] = {
        "sep": r"\s+" if layout.delimiter == " " else layout.delimiter,
        "header": None,
        "names": list(range(len(layout.names) + layout.closed)),
        "index_col": False,
        "dtype": str,
        "keep_default_na": False,
        "na_filter": False,
        "iterator": True,
        "chunksize": rows,
    }
    with ExitStack() as stack:
        try:
            with _reading(path, layout):
                stream = stack.enter_context(opened(path, layout.encoding))
                reader = pd.read_csv(_after(stream, layout.first), **options)
        except pd.errors.EmptyDataError:
            yield pd.DataFrame({i: pd.Series([], dtype=str) for i in range(len(layout.names))})
            return
        while True:
            with _reading(path, layout):
                frame = next(reader, None)
            if frame is None:
                return
            yield _checked(frame.fillna(""), path, layout)


@contextmanager
def _reading(path: Path, layout: Layout) -> Iterator[None]:
    """Say which row of a text table is odd where pandas finds that one is."""
    pd = pandas_module()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            yield
    except pd.errors.EmptyDataError:
        raise
    except (pd.errors.ParserError, pd.errors.ParserWarning, ValueError, EOFError, OSError) as error:
        reason = " ".join(str(error).split())[:160]
        where = _odd_line(path, layout) or f" ({reason})"
        raise CatalogError(f"Catalog '{path}' is no readable table{where}: repair that line") from error


def _checked(frame: pd.DataFrame, path: Path, layout: Layout) -> pd.DataFrame:
    """Refuse comments between rows, and cells without a name; leave out the empty column of rows that are closed."""
    if layout.names and frame[0].str.startswith("#").any():
        _check_no_comments(path, layout)
    if layout.closed and frame.iloc[:, -1].str.strip().any():
        raise CatalogError(f"Catalog '{path}' is no readable table{_odd_line(path, layout)}: repair that line")
    return frame.iloc[:, : len(layout.names)]


def _check_no_comments(path: Path, layout: Layout) -> None:
    """Refuse comments between the rows, which would be rows themselves; a first cell may begin with a hash."""
    with opened(path, layout.encoding) as stream:
        lines = enumerate(stream, start=1)
        rows = ((n, line) for n, line in lines if n > layout.first and line.startswith("#"))
        for number, line in rows if layout.delimiter == " " else ():
            if len(line.split()) < len(layout.names):
                raise _comment_inside(path, number, line)
    line_number = 1
    for record in records(path, layout) if layout.delimiter != " " else ():
        if record.kind == "row" and record.text.startswith("#") and record.cells < len(layout.names):
            raise _comment_inside(path, line_number, record.text)
        line_number += len(record.text.splitlines())


def _comment_inside(path: Path, number: int, line: str) -> CatalogError:
    return CatalogError(
        f"Catalog '{path}' has a comment between its rows, line {number}: '{line.strip()[:60]}'; expected comments "
        "before the names alone: take it out, or quote it if it is a cell"
    )


def _odd_line(path: Path, layout: Layout) -> str:
    """Say which row is the first that has more cells than the table has names; nothing where there is none."""
    if layout.delimiter == " ":
        return ""
    line = 1
    for record in records(path, layout):
        if record.kind == "row" and record.cells > len(layout.names):
            return f": line {line} has {record.cells} cells, expected {len(layout.names)} as there are names"
        line += record.text.count("\n")
    return ""


def _pointed(cells: pd.Series[str], layout: Layout) -> pd.Series[str]:
    """Return cells with points for decimal commas, if all that are filled are numbers then."""
    if layout.decimal == ".":
        return cells
    stripped = cells.str.strip()
    pointed = stripped.str.replace(",", ".", n=1)
    return pointed if (pointed.str.fullmatch(_REAL) | stripped.isin(_NULLS)).all() else cells


def _after(stream: IO[str], lines: int) -> IO[str]:
    """Return `stream` with its first `lines` lines read."""
    for _ in range(lines):
        stream.readline()
    return stream


def _delimiter(path: Path) -> str:
    return "\t" if path.suffix.lower() == ".tsv" else ","


def _columns_text(columns: Sequence[Column]) -> Iterator[tuple[str, ...]]:
    """Yield the cells of `columns`, row by row."""
    count = len(columns[0].values) if columns else 0
    for start in range(0, count, _ROWS):
        yield from zip(*[cells_text(np.asarray(c.values)[start : start + _ROWS]) for c in columns], strict=True)


def _joined(cells: Sequence[str], delimiter: str) -> str:
    """Return cells as they stand in a line, quoted where need be."""
    return delimiter.join(_quoted(cell, delimiter) for cell in cells)


def _quoted_cells(cells: list[str], delimiter: str) -> list[str]:
    """Return cells as they stand in a line; most columns have none to quote."""
    together = "".join(cells)
    if not any(c in together for c in (delimiter, '"', "\n", "\r", "#", " ", "\t")):
        return cells
    return [_quoted(cell, delimiter) for cell in cells]


def _quoted(cell: str, delimiter: str) -> str:
    """Return a cell, in quotes where it would be parted, taken for a comment, or lose a blank."""
    if any(c in cell for c in (delimiter, '"', "\n", "\r")) or cell[:1] == "#" or cell.strip() != cell:
        return '"' + cell.replace('"', '""') + '"'
    return cell


def _extend(source: Path, layout: Layout, columns: Sequence[Column], path: Path) -> bool:
    """Copy the text of `source` with cells at the end of each line; False if its rows are not ours."""
    if not columns:
        return False
    rows = _columns_text(columns)
    with path.open("w", encoding=layout.written, newline="") as target:
        for record in records(source, layout):
            ours: Sequence[str] | None = [c.name for c in columns]
            if record.kind == "row" and (ours := next(rows, None)) is None:
                return False
            target.write(_extended(record, ours or (), layout))
    return next(rows, None) is None


def _extended(record: Record, cells: Sequence[str], layout: Layout) -> str:
    """Return a line with cells added before its end, if it is one of a header or a row."""
    body = record.text.rstrip("\r\n")
    line_end = record.text[len(body) :] or "\n"
    if layout.closed and record.kind == "row" and record.cells > len(layout.names):
        body = body.rstrip()[: -len(layout.delimiter)]
    elif record.kind == "row":
        body += layout.delimiter * (len(layout.names) - record.cells)
    if record.kind in ("row", "header"):
        body += layout.delimiter + _joined(cells, layout.delimiter)
    return body + line_end


def _rewrite(source: Path, layout: Layout, columns: Sequence[Column], path: Path) -> bool:
    """Write the cells of `source` as they were with another delimiter between them."""
    frame = _cells(source, layout)
    if not columns or len(frame) != len(columns[0].values):
        return False
    with path.open("w", encoding="utf-8", newline="") as target:
        delimiter = _delimiter(path)
        target.write(_joined([*layout.names, *(c.name for c in columns)], delimiter) + "\n")
        ours = _columns_text(columns)
        theirs = frame.itertuples(index=False, name=None)
        target.writelines(_joined((*a, *b), delimiter) + "\n" for a, b in zip(theirs, ours, strict=True))
    return True


_SEXTRACTOR = re.compile(r"#\s+1\s+[A-Z0-9_]+\b")
_IPAC = re.compile(r"(?:\\[^\n]*\n)*\|[^\n]*\|[ \r]*\n\|[^\n]*\|[ \r]*\n")
_MRT = re.compile(r"^Byte-by-byte Description of file", re.MULTILINE)
# Characters in which the layout of a table says what it is: keywords of IPAC tables, titles of those of the AAS.
_OPENING = 1 << 16


def _fixed_layout(path: Path) -> str | None:
    """Return astropy's name of a layout that is not one of delimited cells, known by how the file begins.

    ASCII_HEAD of SExtractor has a comment line for each column; IPAC has names and types between bars, and columns
    below them; tables of the AAS and CDS describe their bytes.
    """
    with opened(path, "latin-1") as stream:
        head = stream.read(_OPENING)
    if _SEXTRACTOR.match(head):
        _check_columns(path)
        return "ascii.sextractor"
    if _IPAC.match(head):
        return "ascii.ipac"
    return "ascii.mrt" if _MRT.search(head) else None


def _check_columns(path: Path) -> None:
    """Refuse a header that numbers columns as no table has them: as many are made, with what lies between."""
    most = LIMITS["table_columns"]
    with opened(path, "latin-1") as stream:
        for line in itertools.takewhile(lambda line: line.startswith("#"), stream):
            number = re.match(r"#\s*(\d+)", line)
            if number and (len(number[1]) > 9 or int(number[1]) > most.number):
                raise CatalogError(
                    f"Catalog '{path}' numbers a column {number[1][:20]}: expected at most {most}; repair it"
                )


def _told(table: apt.Table) -> apt.Table:
    """Return a table with its keywords as meta, as other formats have them."""
    keywords = table.meta.pop("keywords", {})
    table.meta |= {key: told["value"] for key, told in keywords.items()}
    return settled(table)
