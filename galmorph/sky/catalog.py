"""Catalog: a table of sources whose id and positions are known; read, and written back with more columns."""

from __future__ import annotations

import hashlib
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import units as u
from astropy.table import Table

from galmorph.arguments import checked
from galmorph.errors import CatalogError, OutputError
from galmorph.notebook import html_table
from galmorph.sky.angles import check_unit, dec_degrees, ra_degrees, sexagesimal_degrees
from galmorph.sky.coordinate_frame import check_frame
from galmorph.sky.formats.atomic import check_target, replacing, replacing_folder
from galmorph.sky.formats.column import Column, Positions, Provenance, noted, table_with
from galmorph.sky.formats.hdus import MAX_FIELDS
from galmorph.sky.formats.parsing import serialising
from galmorph.sky.formats.plain import as_text
from galmorph.sky.formats.readback import check_reread, sample_rows, telling_rows
from galmorph.sky.formats.registry import Format, format_of_input, format_of_output
from galmorph.sky.formats.stored import HeldTable, StoredTable, file_stamp
from galmorph.sky.mapped import ROWS_AT_ONCE
from galmorph.sky.roles import USUAL_NAMES, ColumnNames, Roles, find_roles, missing_position, split_position
from galmorph.sky.scratch import scratch_folder
from galmorph.sky.table_like import TableLike, as_table, table_numbers

__all__ = [
    "Catalog",
    "Column",
    "Provenance",
    "append",
    "catalog_from",
    "check_columns",
    "check_output",
    "degrees_in",
    "names_in",
    "read_catalog",
    "reals",
    "rehearse",
    "write_catalog",
]

# Tables that are looked at for positions, where none is named.
_TABLES_TRIED = 50
# X_IMAGE, XWIN_IMAGE, XPSF_IMAGE, X_IMAGE_DBL, X_IMAGE_1 and X_IMAGE_DBL_F160W after a match of two tables.
_COUNTS_FROM_ONE = re.compile(r"(?:_IMAGE|(?:^|_)[XY][A-Z]*_IMAGE(?:_DBL)?(?:_\w+)?)$", re.IGNORECASE)
_TYPES = ("f4", "f8", "i4", "i8")

log = logging.getLogger(__name__)

FloatArray = npt.NDArray[np.float64]
StrArray = npt.NDArray[np.str_]


@dataclass(frozen=True)
class Catalog:
    """All rows of a table, and which of its columns say what and where a source is.

    Parameters
    ----------
    stored
        All rows and columns: held, or in a file from which they are read when they are looked at.
    id_column, ra_column, dec_column, x_column, y_column, file_column
        Names of columns, or None.
    path, hdu
        The file and the number of the table in it; None for a table in memory.
    format
        ``fits``, ``votable``, ``ecsv``, ``csv``, ``parquet``, ``hats`` or ``memory``.
    stamp
        Size, time of change and number of the file when it was read, to notice when it is another one on writing.
    source
        What it was asked for as, where that was no file: ``vizier:II/246/out``.
    """

    stored: StoredTable
    id_column: str | None = None
    ra_column: str | None = None
    dec_column: str | None = None
    x_column: str | None = None
    y_column: str | None = None
    file_column: str | None = None
    path: Path | None = None
    hdu: int | None = None
    format: str = "memory"
    stamp: tuple[int, int, int] | None = field(default=None, repr=False, compare=False)
    source: str = ""

    def __len__(self) -> int:
        return len(self.stored)

    @cached_property
    def table(self) -> Table:
        """All rows and columns, which are in memory from then on; a large FITS table is where it lies.

        Units and descriptions are on the columns, UCDs in ``column.info.meta["ucd"]``, header cards in ``meta``.
        """
        return self.stored.whole()

    @property
    def colnames(self) -> list[str]:
        """Names of the columns."""
        names: list[str] = self.stored.head.colnames
        return names

    def _repr_html_(self) -> str:
        positions = [self.ra_column, self.dec_column, self.x_column, self.y_column, self.file_column]
        rows = {
            "rows": len(self),
            "format": self.format,
            "names": self.id_column,
            "positions": ", ".join(name for name in positions if name is not None),
            "columns": ", ".join(self.colnames),
        }
        return html_table(f"Catalog {self.title}", rows)

    @property
    def title(self) -> str:
        """What to call the catalogue in messages: the name of its file, or what it was asked for as."""
        return self.source or (self.path.name if self.path else "in memory")

    @property
    def origin(self) -> str:
        """Which file it is, for a history: name and SHA-256, for which the file is read once more."""
        if self.path is None:
            return "in memory"
        try:
            with open(self.path, "rb") as stream:
                return f"{self.title} sha256 {hashlib.file_digest(stream, 'sha256').hexdigest()}"
        except OSError:  # it is gone by now, which the result survives
            return self.title

    @property
    def ids(self) -> StrArray:
        """Names of the rows, (N,) str: the id column, or row numbers from 0."""
        if self.id_column is None:
            return np.arange(len(self)).astype(np.str_)
        return names_in(self.stored.column(self.id_column))

    @property
    def ra_deg(self) -> FloatArray:
        """Right ascension in degrees, [0, 360), (N,); NaN where missing or impossible."""
        if self.ra_column is None:
            return np.full(len(self), np.nan)
        if (parts := split_position(self.colnames, self.ra_column)) is not None:
            return _joined_parts(self.stored, parts, per_first=15.0)
        return self._in_pieces(self.ra_column, partial(degrees_in, axis="ra"))

    @property
    def dec_deg(self) -> FloatArray:
        """Declination in degrees, [-90, 90], (N,); NaN where missing or impossible."""
        if self.dec_column is None:
            return np.full(len(self), np.nan)
        if (parts := split_position(self.colnames, self.dec_column)) is not None:
            return _joined_parts(self.stored, parts, per_first=1.0)
        return self._in_pieces(self.dec_column, partial(degrees_in, axis="dec"))

    @property
    def xy(self) -> FloatArray | None:
        """Pixel positions, (N, 2), 0-based; NaN where missing; None without such columns.

        Columns named like those of SExtractor (``X_IMAGE``, ``XWIN_IMAGE_DBL``, ``X_IMAGE_1`` after a match) count
        from 1, as FITS does, and are shifted; all others are taken to count from 0.
        """
        if self.x_column is None or self.y_column is None:
            return None
        names = self.x_column, self.y_column
        return np.stack([self._in_pieces(name, partial(_pixels, name=name)) for name in names], axis=1)

    @property
    def files(self) -> list[str] | None:
        """File name of each row, empty where missing; None without such a column."""
        return None if self.file_column is None else names_in(self.stored.column(self.file_column)).tolist()

    def _in_pieces(self, name: str, numbers: Callable[[Any], FloatArray]) -> FloatArray:
        """Make numbers of a column, (N,), of a few rows after the other where the table is not held."""
        column = self.stored.column(name)
        if self.stored.is_held:
            return numbers(column)
        cells = np.empty(len(self))
        for first in range(0, len(self), ROWS_AT_ONCE):
            cells[first : first + ROWS_AT_ONCE] = numbers(column[first : first + ROWS_AT_ONCE])
            self.forget()
        return cells

    @property
    def is_held(self) -> bool:
        """Whether all is in memory; the file of a large table is read again, and must stay as it is."""
        return self.stored.is_held

    def forget(self) -> None:
        """Let go of the memory of a table that is not held, until somebody looks at it again."""
        self.stored.forget()

    @property
    def positions(self) -> Catalog:
        """The same rows with nothing but where they are: in degrees, in pixels from 0, and names of files."""
        table = Table()
        if is_on_sky := self.ra_column is not None and self.dec_column is not None:
            table["ra"], table["dec"] = self.ra_deg * u.deg, self.dec_deg * u.deg
        if (xy := self.xy) is not None:
            table["x"], table["y"] = xy.T
        if (files := self.files) is not None:
            table["file"] = np.array(files, dtype=np.str_)
        return Catalog(
            HeldTable(table),
            ra_column="ra" if is_on_sky else None,
            dec_column="dec" if is_on_sky else None,
            x_column=None if xy is None else "x",
            y_column=None if xy is None else "y",
            file_column=None if files is None else "file",
        )


@checked
def read_catalog(
    path: str | Path,
    *,
    hdu: int | str | None = None,
    ra: str | None = None,
    dec: str | None = None,
    x: str | None = None,
    y: str | None = None,
    id: str | None = None,
    file: str | None = None,
    positions: bool = True,
) -> Catalog:
    """Read a catalogue: FITS, VOTable, ECSV, CSV or Parquet, gzipped or not, or a folder of Parquet files.

    Columns with a role that are not named are found by UCD, then by usual names; see `galmorph.sky.roles`.

    Parameters
    ----------
    path
        The file. Its format is known by its first bytes, else by its ending.
    hdu
        Number or name of the table in a FITS file or VOTable; the first one by default.
    ra, dec, x, y, id, file
        Names of columns.
    positions
        Whether rows must have positions: ra and dec, x and y, or a file.

    Raises
    ------
    CatalogError
        If the file is missing, damaged or holds no table, or lacks a named column or positions.
    """
    source = Path(path)
    form = format_of_input(source)
    names = ColumnNames(ra, dec, x, y, id, file)
    stored, index = form.open(source, hdu)
    try:
        return _catalog(stored, names, positions, source, index, form.name)
    except CatalogError as error:
        if hdu is not None:
            raise
        return _of_another_table(form, names, positions, source, index, error)


def catalog_from(
    table: TableLike,
    *,
    hdu: int | str | None = None,
    columns: ColumnNames = USUAL_NAMES,
    positions: bool = True,
) -> Catalog:
    """Make a catalogue of what a script holds, which is not changed: see :mod:`galmorph.sky.table_like`.

    Parameters
    ----------
    hdu
        Number or name of the table in an HDUList.
    columns
        Columns that are not called as usual.
    positions
        Whether rows must have positions.

    Raises
    ------
    CatalogError
        If it is no table, or lacks a named column or positions.
    """
    try:
        return _catalog(HeldTable(as_table(table, hdu)), columns, positions, None, None, "memory")
    except CatalogError as error:
        others = table_numbers(table)[1:_TABLES_TRIED] if hdu is None else []
        return _of_another_hdu(table, others, columns, positions, error)


def check_columns(catalog: Catalog, names: Iterable[str]) -> None:
    """Refuse new columns that the catalogue already has; FITS does not tell upper from lower case.

    Raises
    ------
    CatalogError
        If there are any.
    """
    present = {n.lower(): n for n in catalog.colnames}
    taken = [present[n.lower()] for n in names if n.lower() in present]
    if taken:
        listed = ", ".join(taken[:5]) + (f" and {len(taken) - 5} more" if len(taken) > 5 else "")
        raise CatalogError(
            f"Catalog '{catalog.title}' already has {listed}: new columns need names of their own. "
            "Choose another --prefix."
        )


def check_output(path: str | Path, *, overwrite: bool) -> str:
    """Return the format of an output, after making sure that it can be written.

    Raises
    ------
    OutputError
        If its ending is unknown, it exists and may not be overwritten, or its folder is missing or not
        writable.
    """
    target = Path(path)
    form = format_of_output(target)
    check_target(target, overwrite=overwrite, is_folder=form.is_folder)
    return form.name


def append(catalog: Catalog, columns: Sequence[Column], provenance: Provenance) -> Table:
    """Return a copy of the catalogue's table with `columns` after its own and the provenance in its meta.

    Raises
    ------
    CatalogError
        If a column exists already or has another number of rows.
    """
    _check_new(catalog, columns)
    # What is not held is this table's alone, and large.
    table = catalog.table.copy() if catalog.is_held else catalog.table
    return noted(table_with(table, columns), provenance)


def write_catalog(
    catalog: Catalog,
    columns: Sequence[Column],
    path: str | Path,
    *,
    provenance: Provenance,
    overwrite: bool = False,
) -> None:
    """Write the catalogue with `columns` after its own, in the format of the ending of `path`, atomically.

    In the format that the catalogue came in, the file is copied as it is and only the new columns are added
    to it; otherwise it is made anew from the table, with units, descriptions, UCDs and header cards.

    Raises
    ------
    CatalogError
        If a column exists already or has another number of rows.
    OutputError
        If `path` exists and may not be overwritten, or cannot be written. An old output is then untouched.
    """
    _check_new(catalog, columns)
    target = Path(path)
    form = format_of_output(target)
    check_output(target, overwrite=overwrite)
    _check_vectors(columns, form, target)
    put = replacing_folder if form.is_folder else replacing
    with put(target, overwrite=overwrite) as temporary:
        with _naming_column(catalog, form, target), serialising(target):
            index = _write(catalog, columns, form, provenance, temporary)
        with serialising(target):
            _check_written(temporary, index, form, catalog.stored, columns, target)


def rehearse(catalog: Catalog, columns: Sequence[Column], path: str | Path, provenance: Provenance) -> None:
    """Write a few telling rows as `write_catalog` will write all, elsewhere, and read them back.

    So what the format cannot hold is said before the work: too many columns, their names, characters, objects in cells,
    the metadata.

    Parameters
    ----------
    catalog
        What is to be written.
    columns
        Columns as they will be; their values may be missing.
    path
        The output; nothing is written there.
    provenance
        As it will be.

    Raises
    ------
    OutputError
        If the format cannot hold them.
    """
    form, target = format_of_output(Path(path)), Path(path)
    _check_vectors(columns, form, target)
    total = len(catalog.colnames) + len(columns)
    if _is_extended(catalog, form.name) and not (form.name == "fits" and total > MAX_FIELDS):
        return
    try:
        _write_elsewhere(catalog, columns, target, form, provenance)
    except OutputError:
        raise
    except OSError as error:
        log.debug("no rehearsal of '%s': %s", target, error)  # a full disk elsewhere says nothing of the output's


def _check_vectors(columns: Sequence[Column], form: Format, target: Path) -> None:
    """Refuse columns of arrays in a format that would make text of them."""
    vectors = [column for column in columns if np.ndim(column.values) > 1]
    if form.name == "csv" and vectors:
        size = np.shape(vectors[0].values)[1]
        raise OutputError(
            f"Output '{target}' has no room for the {size} numbers in each cell of {vectors[0].name}: expected "
            ".fits, .vot, .ecsv, .parquet or .hats; choose one with -o"
        )


def _write_elsewhere(
    catalog: Catalog, columns: Sequence[Column], target: Path, form: Format, provenance: Provenance
) -> None:
    """Write a few rows, if there are any, into a folder that goes away again, and read them back."""
    some = catalog.stored.some(telling_rows(catalog.stored))
    few_rows = replace(catalog, stored=HeldTable(some))
    positions = _on_sky(few_rows, form)
    few = [
        replace(c, values=np.zeros((len(some), *np.shape(c.values)[1:]), np.asarray(c.values).dtype)) for c in columns
    ]
    with scratch_folder() as folder:
        temporary = folder / f"rehearsal{form.endings[0]}"
        with _naming_column(few_rows, form, target), serialising(target):
            form.write(table_with(some, few), provenance, temporary, positions)
        with serialising(target):
            _check_written(temporary, None, form, HeldTable(some), few, target)


@contextmanager
def _naming_column(catalog: Catalog, form: Format, target: Path) -> Iterator[None]:
    """Let an error of the block, which writes a table anew, name the column that cannot be written by itself, too."""
    try:
        yield
    except OutputError as error:
        if _is_extended(catalog, form.name):
            raise
        # HATS asks for positions, which a column by itself lacks, and holds cells as Parquet does.
        alone = format_of_output(Path("column.parquet")) if form.is_folder else form
        for name in catalog.colnames:
            if f"'{name}'" in str(error):
                raise
            _write_alone(catalog.stored.column(name), alone, target)
        raise


def _write_alone(column: Any, form: Format, target: Path) -> None:
    """Write one column elsewhere, and read it back."""
    name = column.info.name
    with scratch_folder() as folder, serialising(target, f"column '{name}'"):
        path, table = folder / f"column{form.endings[0]}", Table([column])
        try:
            form.write(table, Provenance(), path, None)
            _check_written(path, None, form, HeldTable(table), [], target)
        except OutputError as error:
            raise OutputError(f"Column '{name}': {error}") from error


def _is_extended(catalog: Catalog, form: str) -> bool:
    """Say whether the output will be a copy of the catalogue's file, whose own contents are not written anew."""
    return catalog.format == form and catalog.path is not None and form not in ("ecsv", "hats")


def _check_written(
    path: Path, hdu: int | None, form: Format, stored: StoredTable, columns: Sequence[Column], target: Path
) -> None:
    """Read a written file back and compare it with what it should hold."""
    rows = sample_rows(len(stored))
    try:
        reread = form.reread(path, hdu, rows, columns)
    except CatalogError as error:
        raise OutputError(f"Output '{target}' cannot be read back ({error}): choose another format") from error
    check_reread(reread, stored, columns, rows, form)


def _warn_of_spelling(stored: StoredTable, form: Format) -> None:
    """Say how much text the format holds otherwise than it is."""
    names = sum(form.spelt_name(n) != n for n in stored.head.colnames)
    cells = 0
    for name in (n for n in stored.head.colnames if _is_text(stored.head[n])):
        cells += sum(form.spelt(v).strip() != v.strip() for v in as_text(stored.column(name)).ravel().tolist())
    if names or cells:
        log.warning(
            "%d cells and %d names have characters that %s lacks: written as escapes (\\u03b1), or without them",
            cells,
            names,
            form.name,
        )


def _is_text(column: Any) -> bool:
    return getattr(getattr(column, "dtype", None), "kind", "") in ("S", "U")


def _write(catalog: Catalog, columns: Sequence[Column], form: Format, provenance: Provenance, path: Path) -> int | None:
    """Extend a copy of the file that the catalogue came from, or else make a new one; return the table's number."""
    if _same_file(catalog, form.name) and catalog.path is not None:
        if form.append(catalog.path, catalog.hdu, columns, provenance, path):
            _same_file(catalog, form.name)  # it may have changed while it was copied
            return catalog.hdu
        log.info("'%s' is written anew: its table cannot be extended as it is", catalog.path)
    _warn_of_spelling(catalog.stored, form)
    positions = _on_sky(catalog, form)
    if positions is not None and (missing := int((~np.isfinite(positions.ra_deg + positions.dec_deg)).sum())):
        log.warning("%d rows have no position on the sky: they are beside the dataset, in unplaced.parquet", missing)
    form.write_stored(catalog.stored, columns, provenance, path, positions)
    return None


def _on_sky(catalog: Catalog, form: Format) -> Positions | None:
    """Return where rows are, for a format that orders them by that."""
    if not form.is_folder or catalog.ra_column is None or catalog.dec_column is None:
        return None
    return Positions(catalog.ra_column, catalog.dec_column, catalog.ra_deg, catalog.dec_deg)


def _of_another_hdu(
    table: TableLike, others: Sequence[int], columns: ColumnNames, positions: bool, reason: CatalogError
) -> Catalog:
    """Return the first of some tables of an HDUList that has positions."""
    for number in others:
        try:
            return _catalog(HeldTable(as_table(table, number)), columns, positions, None, None, "memory")
        except CatalogError as error:
            log.debug("table %d of an HDUList: %s", number, error)
    raise reason


def _of_another_table(
    form: Format, names: ColumnNames, positions: bool, path: Path, read: int | None, reason: CatalogError
) -> Catalog:
    """Return the first other table that has positions: SExtractor puts the images' headers before its sources."""
    tables = form.tables(path)
    others = [number for number, _ in tables if number != read][:_TABLES_TRIED]
    for number in others:
        try:
            return _catalog(form.open(path, number)[0], names, positions, path, number, form.name)
        except CatalogError as error:
            log.debug("table %d of '%s': %s", number, path, error)
    if not others:
        raise reason
    listed = ", ".join(f"{number} ({name})" if name else str(number) for number, name in tables[:_TABLES_TRIED])
    raise CatalogError(f"{reason} None of its tables has them: {listed}. Choose one with --hdu.") from reason


def _catalog(
    stored: StoredTable,
    names: ColumnNames,
    positions: bool,
    path: Path | None,
    hdu: int | None,
    form: str,
) -> Catalog:
    title, table = path.name if path else "in memory", stored.head
    roles = find_roles(table, names, title)
    if positions and not roles.position:
        raise CatalogError(missing_position(roles, title))
    for axis, name in (("ra", roles.ra), ("dec", roles.dec)):
        if name is not None and split_position(table.colnames, name) is None:
            check_unit(_values(table[name], axis)[1], name, title)
    if roles.ra is not None and roles.dec is not None:
        check_frame(table, roles.ra, roles.dec, title)
    return Catalog(
        stored, **_columns(roles), path=path, hdu=hdu, format=form, stamp=None if path is None else file_stamp(path)
    )


def _columns(roles: Roles) -> dict[str, Any]:
    return {f"{role}_column": getattr(roles, role) for role in ("id", "ra", "dec", "x", "y", "file")}


def _same_file(catalog: Catalog, form: str) -> bool:
    """Say whether the file that the catalogue came from is still there, in format `form`."""
    if catalog.format != form or catalog.path is None:
        return False
    stamp = file_stamp(catalog.path)
    if stamp == catalog.stamp:
        return True
    if stamp is not None and catalog.stamp is not None and stamp[2] == catalog.stamp[2] and not catalog.is_held:
        raise CatalogError(
            f"Catalog '{catalog.path}' has changed while it was in use: expected it to stay as it is until the output "
            "is written; run the same again"
        )
    log.warning("'%s' has changed since it was read: the output is made from what was read", catalog.path)
    return False


def _check_new(catalog: Catalog, columns: Sequence[Column]) -> None:
    check_columns(catalog, [c.name for c in columns])
    for column in columns:
        kind = np.asarray(column.values).dtype
        if len(column.values) != len(catalog):
            raise CatalogError(
                f"Column '{column.name}' has {len(column.values)} values for the {len(catalog)} rows of "
                f"catalog '{catalog.title}': give one per row"
            )
        if kind.str[1:] not in _TYPES and kind.kind != "U":
            raise CatalogError(
                f"Column '{column.name}' has values of type {kind}: give float32, float64, int32, int64 or str"
            )


def names_in(column: Any) -> StrArray:
    """Return the cells of a column that names things as text, (N,); whole floats without a point, '' where missing."""
    values = np.ma.getdata(column) if isinstance(column, np.ma.MaskedArray) else np.asarray(column)
    if values.dtype.kind != "f":
        return as_text(column)
    whole = np.isfinite(values) & (np.abs(values) < 2.0**63) & (values == np.floor(values))
    text = np.where(np.isfinite(values), values.astype(np.str_), "")
    text = np.where(whole, np.where(whole, values, 0.0).astype(np.int64).astype(np.str_), text)
    return np.where(np.ma.getmaskarray(column), "", text) if isinstance(column, np.ma.MaskedArray) else text


def degrees_in(column: Any, axis: str) -> FloatArray:
    """Return a coordinate, ``'ra'`` or ``'dec'``, in degrees, (N,), however a column spells it; NaN where missing."""
    return (ra_degrees if axis == "ra" else dec_degrees)(*_values(column, axis))


def _values(column: Any, axis: str) -> tuple[Any, str]:
    """Return the cells and the unit of a coordinate, also of a SkyCoord column."""
    if hasattr(column, "icrs"):
        return getattr(column.icrs, axis).deg, "deg"
    if isinstance(column, u.Quantity) and column.unit.is_equivalent(u.deg):
        column = column.to(u.deg)
    unit = "" if getattr(column, "unit", None) is None else str(column.unit)
    if isinstance(column, np.ma.MaskedArray):
        return column, unit
    plain = getattr(column, "unmasked", column)  # of a masked Quantity
    values = getattr(plain, "value", plain)
    return (values if plain is column else np.ma.array(values, mask=column.mask)), unit


def _joined_parts(stored: StoredTable, parts: Sequence[str | None], *, per_first: float) -> FloatArray:
    """Return positions whose sign, hours or degrees, minutes and seconds are columns of their own, in degrees."""
    sign, *numbers = parts
    zero = np.zeros(len(stored))
    first, minutes, seconds = (zero if name is None else reals(stored.column(name)) for name in numbers)
    signs = np.full(len(stored), "+") if sign is None else as_text(stored.column(sign))
    negative = np.char.strip(signs).astype("U1") == "-"
    return sexagesimal_degrees(first, minutes, seconds, per_first=per_first, negative=negative)


def _pixels(column: Any, name: str) -> FloatArray:
    """Return pixel positions, (N,), 0-based; NaN where missing."""
    pixels = reals(column)
    pixels[~np.isfinite(pixels)] = np.nan
    return pixels - 1.0 if _COUNTS_FROM_ONE.search(name) else pixels


def reals(column: Any) -> FloatArray:
    """Return the cells of a column as numbers, (N,), NaN where missing."""
    values, _ = _values(column, "")
    if np.ma.getdata(values).dtype.kind not in "fiub":
        return np.array([_number(c) for c in as_text(values)], dtype=np.float64)
    return np.array(np.ma.filled(np.ma.asarray(values, dtype=float), np.nan), dtype=np.float64)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan
