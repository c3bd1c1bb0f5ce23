"""Hats: folders of Parquet files, each a cell of the sky with about as many rows as the others (HATS 1.0, IVOA note).

``dataset/Norder=k/Dir=d/Npix=n.parquet`` holds the rows in the nested HEALPix cell n of order k, sorted by their cell
at order 29, ``_healpix_29``. ``gm_row`` is the number of a row in the table that was written, by which rows are sorted
again when they are read. ``_gm_ra`` and ``_gm_dec`` are there where the table has no columns of degrees, which LSDB
needs. Rows without a position, for which HATS has no place, lie beside the dataset, in ``unplaced.parquet``.
"""

from __future__ import annotations

import logging
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy import table as apt

import galmorph
from galmorph.errors import CatalogError, OutputError
from galmorph.sky.formats.arrow import pyarrow_module
from galmorph.sky.formats.column import Column, Positions, Provenance
from galmorph.sky.formats.parsing import parsing
from galmorph.sky.formats.readback import Reread, reread_of
from galmorph.sky.formats.stored import HeldTable, StoredTable
from galmorph.sky.formats.stored_parquet import StoredParquet, part_of
from galmorph.sky.formats.surveyed import Surveyed, survey
from galmorph.sky.healpix import cells_of
from galmorph.sky.mapped import forget, mapped_file

__all__ = ["Hats", "is_parquet_folder"]

log = logging.getLogger(__name__)

LongArray = npt.NDArray[np.int64]

_CELL, _ROW, _RA, _DEC = "_healpix_29", "gm_row", "_gm_ra", "_gm_dec"
_ORDER = 29
# The smallest partitions are of 3.4 arcmin; others are divided where they have more rows than these, or more bytes.
_MOST_ORDER = 10
_MOST_ROWS, _MOST_BYTES = 1_000_000, 300_000_000
# Rows whose cells are computed at once.
_PIECE = 1 << 18
# Positions that differ by less are the same: those of hours and of sexagesimal text are computed.
_SAME_DEG = 1e-9
_ABOUT = {
    _CELL: "nested HEALPix cell of order 29",
    _ROW: "number of the row in the table that was written, from 0",
    _RA: "right ascension, ICRS",
    _DEC: "declination, ICRS",
}
_PROPERTIES = ("hats.properties", "properties")
_COLLECTION = "collection.properties"
_DATASET = "dataset"
_UNPLACED = "unplaced.parquet"
_UNSORTED = "unsorted"
_THUMBNAIL = "data_thumbnail.parquet"
_ENDINGS = (".parquet", ".pq", ".parq")


@dataclass(frozen=True)
class _Partition:
    """A cell, and which of the rows, in the order of their cells, lie in it."""

    order: int
    pixel: int
    start: int
    stop: int

    @property
    def folder(self) -> str:
        return f"Norder={self.order}/Dir={self.pixel // 10_000 * 10_000}"

    @property
    def file(self) -> str:
        return f"{self.folder}/Npix={self.pixel}.parquet"


class Hats:
    """HATS, as LSDB reads it; also any other folder of Parquet files, which are the rows of one table."""

    name = "hats"
    endings: tuple[str, ...] = (".hats",)
    read_only: tuple[str, ...] = ()
    is_folder = True

    def knows(self, head: bytes) -> bool:
        """Recognise nothing: a folder has no first bytes."""
        del head
        return False

    def read(self, path: Path, hdu: int | str | None) -> tuple[apt.Table, int | None]:
        """Read all partitions; rows that were written here come in the order that they had."""
        return _stored(path, hdu).whole(), None

    def open(self, path: Path, hdu: int | str | None) -> tuple[StoredTable, int | None]:
        """Read a small folder, and leave the rows of a larger one in it."""
        return _stored(path, hdu).held_if_small(), None

    def tables(self, path: Path) -> list[tuple[int, str]]:
        """Return nothing: a folder has one table."""
        del path
        return []

    def write(self, table: apt.Table, provenance: Provenance, path: Path, positions: Positions | None = None) -> None:
        """Write partition by partition; no more than one of them is in memory besides the table."""
        self.write_stored(HeldTable(table), (), provenance, path, positions)

    def write_stored(
        self,
        stored: StoredTable,
        columns: Sequence[Column],
        provenance: Provenance,
        path: Path,
        positions: Positions | None = None,
    ) -> None:
        """Write the same; what is not in memory is divided into files of one partition each before."""
        if positions is None:
            raise OutputError(
                "HATS orders rows by their positions on the sky, of which this catalogue has none: choose .parquet, or "
                "name its columns with --ra and --dec"
            )
        surveyed = survey(stored, columns)
        layout = _layout(surveyed, positions)
        schema = surveyed.schema(provenance, layout)
        cells = np.ma.asarray(layout[_CELL])
        unplaced = np.flatnonzero(np.ma.getmaskarray(cells))
        order = np.argsort(np.ma.getdata(cells), kind="stable")[len(unplaced) :]
        partitions = list(_partitions(np.ma.getdata(cells)[order], _most_rows(layout, surveyed.table)))
        path.mkdir(exist_ok=True)
        numbers = [*(order[p.start : p.stop] for p in partitions), unplaced]
        pieces = _gathered(surveyed, schema, layout, numbers, path / _UNSORTED)
        _write_dataset(path / _DATASET, path / _THUMBNAIL, schema, zip(partitions, pieces, strict=False))
        if len(unplaced):
            pyarrow_module().parquet.write_table(next(pieces), path / _UNPLACED, compression="zstd")
        shutil.rmtree(path / _UNSORTED, ignore_errors=True)
        _write_about(path, partitions, layout, positions)

    def append(
        self, source: Path, hdu: int | None, columns: Sequence[Column], provenance: Provenance, path: Path
    ) -> bool:
        """Say that it is made anew."""
        del source, hdu, columns, provenance, path
        return False

    def reread(self, path: Path, hdu: int | None, rows: npt.NDArray[np.int64], columns: Sequence[Column]) -> Reread:
        """Read file by file, and keep some rows; the columns that were added in pieces."""
        return reread_of(_stored(path, hdu), rows, [column.name for column in columns])

    def spelt(self, text: str) -> str:
        """Return it as it is."""
        return text

    def spelt_name(self, name: str) -> str:
        """Return it as it is."""
        return name


def is_parquet_folder(path: Path) -> bool:
    """Say whether a path is a folder of Parquet files."""
    return path.is_dir() and (_is_hats(path) or any(_is_part(file) for file in path.rglob("*")))


def _is_part(file: Path) -> bool:
    # The thumbnail of HATS has rows of the dataset once more.
    is_wanted = file.name != _THUMBNAIL and not file.name.startswith((".", "_"))
    return is_wanted and file.suffix in _ENDINGS and file.is_file()


def _is_hats(path: Path) -> bool:
    return any((path / name).is_file() for name in _PROPERTIES) and (path / _DATASET).is_dir()


def _files(path: Path) -> list[Path]:
    """Return the files of a folder in the order of their cells, or else of their names."""
    inside = path / _DATASET if _is_hats(path) else path
    unplaced = [path / _UNPLACED] if inside != path and (path / _UNPLACED).is_file() else []
    files = sorted(filter(_is_part, inside.rglob("*")), key=_place) + unplaced
    return files or [inside / "_common_metadata"]  # of a catalogue without rows


def _place(file: Path) -> tuple[int, str]:
    """Return what files are sorted by: the first of the smallest cells that a partition covers."""
    numbers = re.search(r"Norder=(\d{1,2})/.*Npix=(\d{1,18})", file.as_posix())
    first = int(numbers[2]) << 2 * max(0, _ORDER - int(numbers[1])) if numbers else 0
    return first, file.as_posix()


def _stored(path: Path, hdu: int | str | None) -> StoredParquet:
    """Find the rows of a folder, without the columns of the layout; in the order of the table that was written."""
    if hdu is not None:
        raise CatalogError(f"Catalog '{path}' is a folder of Parquet files with one table: leave --hdu away")
    pa, path = pyarrow_module(), _primary(path)
    with parsing(path, "folder of Parquet files", "copy it again"):
        parts, schemas = zip(*(part_of(file, _values(path, file)) for file in _files(path)), strict=True)
        distinct = [schemas[0], *(each for each in schemas[1:] if not each.equals(schemas[0]))]
        stored = StoredParquet(path, parts, pa.unify_schemas(distinct, promote_options="permissive"))
        if not _is_hats(path):
            return stored
        _heed_properties(path, stored)
        if _ROW not in stored.schema.names:
            return replace(stored, hidden=frozenset((_CELL,)))
        order = np.argsort(np.asarray(stored.arrow_column(_ROW)), kind="stable")
        return replace(stored, hidden=frozenset((_CELL, _ROW, _RA, _DEC)), order=order)


def _primary(path: Path) -> Path:
    """Return the catalogue of a collection, whose margins and indices repeat rows of it; else the folder itself.

    Raises
    ------
    CatalogError
        If the collection names none that is in it.
    """
    if not (path / _COLLECTION).is_file():
        return path
    named = _properties(path / _COLLECTION).get("hats_primary_table_url", "")
    # Nobody vouches for a name that leads elsewhere.
    inside = path / named
    if not named or ".." in Path(named).parts or Path(named).is_absolute() or not _is_hats(inside):
        raise CatalogError(
            f"Catalog '{path}' is a collection of HATS whose primary catalogue '{named[:80]}' is not in it: expected "
            f"the folder that {_COLLECTION} names; give the catalogue's own"
        )
    return inside


def _properties(file: Path) -> dict[str, str]:
    """Return what a file of properties says."""
    lines = [line.strip() for line in file.read_text(encoding="utf-8", errors="replace").splitlines()]
    pairs = [line.partition("=") for line in lines if "=" in line and not line.startswith(("#", "!"))]
    return {key.strip(): value.strip() for key, _, value in pairs}


def _heed_properties(path: Path, stored: StoredParquet) -> None:
    """Say where a catalogue has other rows than it says of itself, or rows that are copies of others."""
    about = _properties(next(path / name for name in _PROPERTIES if (path / name).is_file()))
    if about.get("dataproduct_type") == "margin":
        log.warning(
            "'%s' is a margin: its rows are copies of rows of the catalogue '%s', near the borders of its partitions",
            path,
            about.get("hats_primary_table_url", ""),
        )
    rows = sum(part.rows for part in stored.parts if part.path.name != _UNPLACED)
    if (told := about.get("hats_nrows", "")).isdecimal() and int(told) != rows:
        log.warning(
            "'%s' says that it has %s rows (hats_nrows), and holds %d: are partitions missing?", path, told, rows
        )


def _values(path: Path, file: Path) -> list[tuple[str, int | str]]:
    """Return the values that the names of a file's folders are (``field=3``), but for those of the layout."""
    parts = [part.partition("=") for part in file.relative_to(path).parent.parts if "=" in part]
    texts = {key: text for key, _, text in parts if key not in ("Norder", "Dir", "Npix")}
    return [(key, int(text) if text.isdecimal() and len(text) < 19 else text) for key, text in texts.items()]


def _layout(surveyed: Surveyed, positions: Positions) -> apt.Table:
    """Return the columns that stand before those of a table."""
    if taken := {_CELL, _ROW, _RA, _DEC} & set(surveyed.table.colnames):
        raise OutputError(
            f"column '{min(taken)}' would be there twice, since HATS has one of its own: rename it, or choose .parquet"
        )
    is_placed = np.isfinite(positions.ra_deg) & np.isfinite(positions.dec_deg)
    cells = apt.MaskedColumn(_cells(positions, is_placed), name=_CELL, mask=~is_placed, description=_ABOUT[_CELL])
    columns = [cells, apt.Column(np.arange(len(cells)), name=_ROW, description=_ABOUT[_ROW])]
    if not _has_degrees(surveyed.stored, positions):
        columns += [
            apt.Column(degrees, name=name, unit="deg", description=_ABOUT[name], meta={"ucd": f"pos.eq.{axis}"})
            for name, axis, degrees in ((_RA, "ra", positions.ra_deg), (_DEC, "dec", positions.dec_deg))
        ]
    return apt.Table(columns, copy=False)


def _cells(positions: Positions, is_placed: npt.NDArray[np.bool_]) -> LongArray:
    """Return the cell of each row, (N,); -1 where it has none, which is before all others."""
    out = np.full(len(is_placed), -1, np.int64)
    for start in range(0, len(out), _PIECE):
        rows = start + np.flatnonzero(is_placed[start : start + _PIECE])
        out[rows] = cells_of(positions.ra_deg[rows], positions.dec_deg[rows], _ORDER)
    return out


def _has_degrees(stored: StoredTable, positions: Positions) -> bool:
    """Say whether the columns of positions are numbers in degrees, as LSDB takes them to be."""
    pairs = ((positions.ra, positions.ra_deg), (positions.dec, positions.dec_deg))
    return all(name in stored.head.colnames and _are(stored.column(name), degrees) for name, degrees in pairs)


def _are(column: apt.Column, degrees: npt.NDArray[np.float64]) -> bool:
    if column.dtype.kind != "f":
        return False
    off = np.ma.filled(np.ma.asarray(column, dtype=np.float64), np.nan) - degrees
    return bool(np.all((np.abs((off + 180) % 360 - 180) < _SAME_DEG) | np.isnan(degrees)))


def _most_rows(*tables: apt.Table) -> int:
    """Return how many rows a partition may have, whose columns are those of some tables."""
    width = sum(int(table[name][:1].nbytes) for table in tables for name in table.colnames)
    return min(_MOST_ROWS, max(1, _MOST_BYTES // max(1, width)))


def _partitions(cells: LongArray, most: int) -> Iterator[_Partition]:
    """Divide the sky where rows are, whose cells are sorted, until none has more than so many of them."""
    waiting = [(0, pixel) for pixel in reversed(range(12))]
    while waiting:
        order, pixel = waiting.pop()
        shift = 2 * (_ORDER - order)
        start, stop = np.searchsorted(cells, [pixel << shift, (pixel + 1) << shift]).tolist()
        if stop - start > most and order < _MOST_ORDER:
            waiting += [(order + 1, 4 * pixel + quarter) for quarter in (3, 2, 1, 0)]
        elif stop > start:
            yield _Partition(order, pixel, start, stop)


def _gathered(
    surveyed: Surveyed, schema: Any, layout: apt.Table, numbers: Sequence[LongArray], folder: Path
) -> Iterator[Any]:
    """Yield the rows of each partition as a table of Arrow.

    Rows that are not in memory are read once, as they lie, and added to files of the partitions, in a folder that is
    made for them: those of one may be all over the table.

    Parameters
    ----------
    numbers
        Of the rows of each, in their order.
    """
    if isinstance(surveyed.stored, HeldTable):
        yield from (surveyed.rows(rows, schema, layout) for rows in numbers)
        return
    folder.mkdir()
    partition = np.empty(len(surveyed.stored), np.int32)
    for number, rows in enumerate(numbers):
        partition[rows] = number
    for rows, table in surveyed.groups(schema, layout):
        _divide(table, partition[rows], folder)
    yield from (_ordered(folder / f"{number}.arrows", rows, schema) for number, rows in enumerate(numbers))


def _divide(table: Any, partition: npt.NDArray[np.int32], folder: Path) -> None:
    """Add rows to the files of their partitions."""
    pa, order = pyarrow_module(), np.argsort(partition, kind="stable")
    starts = np.flatnonzero(np.diff(partition[order], prepend=-1))
    for start, stop in zip(starts, [*starts[1:], len(order)], strict=True):
        file = folder / f"{partition[order[start]]}.arrows"
        with file.open("ab") as stream, pa.ipc.new_stream(stream, table.schema) as writer:
            writer.write_table(table.take(pa.array(order[start:stop])))


def _ordered(file: Path, rows: LongArray, schema: Any) -> Any:
    """Return the rows of a partition in their order, and remove their file."""
    if not len(rows):
        return schema.empty_table()
    pa = pyarrow_module()
    with file.open("rb") as opened:
        content = np.ndarray(file.stat().st_size, np.uint8, mapped_file(opened))
    file.unlink()
    stream, tables = pa.BufferReader(pa.py_buffer(content)), list[Any]()
    while stream.tell() < len(content):
        tables.append(pa.ipc.open_stream(stream).read_all())
    table = pa.concat_tables(tables)
    place = np.argsort(np.asarray(table[_ROW]), kind="stable")[np.argsort(np.argsort(rows, kind="stable"))]
    columns = []
    for name in schema.names:  # one after the other, so that no more than one of them is in memory twice
        columns.append(table[name].combine_chunks().take(pa.array(place)))
        forget([content])
    return pa.Table.from_arrays(columns, schema=schema)


def _write_dataset(folder: Path, thumbnail: Path, schema: Any, pieces: Iterable[tuple[_Partition, Any]]) -> None:
    """Write the partitions, what their files say of themselves, and the first row of each."""
    pa = pyarrow_module()
    notes: list[Any] = []
    firsts = [schema.empty_table()]
    # Dictionaries of real numbers are longer than the numbers, which hardly repeat.
    repeating = [field.name for field in schema if not pa.types.is_floating(field.type)]
    for part, piece in pieces:
        (folder / part.folder).mkdir(parents=True, exist_ok=True)
        pa.parquet.write_table(
            piece, folder / part.file, compression="zstd", use_dictionary=repeating, metadata_collector=notes
        )
        notes[-1].set_file_path(part.file)
        firsts.append(piece.take([0]))  # a copy, so that the others need not stay
    folder.mkdir(exist_ok=True)
    pa.parquet.write_metadata(schema, folder / "_common_metadata")
    pa.parquet.write_metadata(schema, folder / "_metadata", metadata_collector=notes)
    pa.parquet.write_table(pa.concat_tables(firsts), thumbnail, compression="zstd")


def _write_about(path: Path, partitions: Sequence[_Partition], layout: apt.Table, positions: Positions) -> None:
    """Write the list of partitions, and what the catalogue is."""
    is_added = _RA in layout.colnames
    lines = ["Norder,Npix", *(f"{part.order},{part.pixel}" for part in partitions)]
    (path / "partition_info.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
    about = {
        "obs_collection": path.stem,
        "dataproduct_type": "object",
        "hats_nrows": sum(part.stop - part.start for part in partitions),
        "hats_col_ra": _RA if is_added else positions.ra,
        "hats_col_dec": _DEC if is_added else positions.dec,
        "hats_col_healpix": _CELL,
        "hats_col_healpix_order": _ORDER,
        "hats_npix_suffix": ".parquet",
        "hats_order": max((part.order for part in partitions), default=0),
        "hats_max_rows": max((part.stop - part.start for part in partitions), default=0),
        "hats_estsize": sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) // 1024,
        "moc_sky_fraction": f"{sum(1 / (12 * 4**part.order) for part in partitions):.6g}",
        "hats_builder": f"galmorph {galmorph.__version__}",
        "hats_creation_date": time.strftime("%Y-%m-%dT%H:%MUTC", time.gmtime()),
        "hats_version": "v1.0",
    }
    lines = ["#HATS catalog", *(f"{key}={_escaped_value(str(value))}" for key, value in about.items())]
    for name in _PROPERTIES:
        (path / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _escaped_value(text: str) -> str:
    """Return a value as files of properties have it."""
    return " ".join(text.replace("\\", "\\\\").split())
