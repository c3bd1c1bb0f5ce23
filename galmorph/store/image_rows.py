"""ImageRows: the pictures of a store, each a row with its position and the columns of the table that it came with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import sqlalchemy as sa
from astropy.table import Table
from sqlalchemy.engine import Connection, Row

from galmorph.errors import CatalogError, ImageError, StoreError
from galmorph.limits import LIMITS
from galmorph.progress import Progress, silent
from galmorph.sky.catalog import Catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.formats.atomic import make_folder, replacing
from galmorph.sky.healpix import DEEPEST, cells_of, ranges_within, separations_deg
from galmorph.sky.images import ImageInput, Images
from galmorph.sky.images.file_names import FileNames
from galmorph.sky.images.fits_stamps import are_contents, is_fits
from galmorph.sky.images.jpeg import contents_of, is_stamp
from galmorph.store.cells import ColumnKind, json_of, kind_of, plain_table, rows_of
from galmorph.store.database import Database
from galmorph.store.schema import COLUMNS, IMAGES, MODELS, PREDICTIONS, QUEUE, now

__all__ = ["Cone", "ImageRows", "StoredImage", "chunks_of"]

CHUNK = 256
"""Rows that are written together."""
_LONGEST_ID = 500
_LONGEST_NAME = 200  # bytes, which every file system takes
_FITS_SUFFIXES = (".fits", ".fit", ".fits.gz", ".fits.fz", ".fz")


@dataclass(frozen=True)
class Cone:
    """A circle on the sky, in ICRS degrees."""

    ra_deg: float
    dec_deg: float
    radius_deg: float

    def __post_init__(self) -> None:
        if not (_are_degrees(self.ra_deg, self.dec_deg) and 0 <= self.radius_deg <= 180):
            raise StoreError(
                f"cone {self.ra_deg} {self.dec_deg} {self.radius_deg}: expected degrees, declination from -90 to 90 "
                "and a radius up to 180"
            )


@dataclass(frozen=True)
class StoredImage:
    """A picture of a store.

    Parameters
    ----------
    number, id
        In the store, and as it is called.
    content
        The bytes of its file; None where there are none.
    ra, dec
        ICRS degrees; None where not known.
    survey, band
        Of which it is; '' where nobody said.
    created
        When it was added.
    file
        What its file is called.
    columns
        What else the table of images said of it.
    """

    number: int
    id: str
    content: bytes | None = field(repr=False)
    ra: float | None
    dec: float | None
    survey: str
    band: str
    created: str
    file: str
    columns: dict[str, Any] = field(repr=False)


class ImageRows:
    """The table of images.

    Parameters
    ----------
    database
        Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, row: Mapping[str, Any], columns: Table, *, overwrite: bool = False) -> None:
        """Add a picture that must be sound.

        Parameters
        ----------
        columns
            A table of one row, of whatever else is said of it.

        Raises
        ------
        StoreError
            If there is one of that id.
        ImageError
            If it cannot be read.
        """
        check_id(row["id"])
        _check_position(row["ra"], row["dec"])
        check_picture(row["file"], row["content"], row["survey"], row["band"])
        if columns.colnames:
            self._declare([kind_of(columns[name]) for name in columns.colnames])
        with self._database.writing() as connection:
            if not self._write(connection, [dict(row)], overwrite=overwrite):
                raise StoreError(
                    f"store '{self._database.title}' has an image '{row['id']}': expected another id; give one, or "
                    "overwrite it"
                )

    def add_table(
        self,
        table: CatalogInput,
        images: Images,
        survey: str,
        band: str,
        *,
        overwrite: bool = False,
        progress: Progress = silent,
    ) -> int:
        """Add a row for each of a table, in chunks of one transaction each; return how many are new or changed.

        Raises
        ------
        CatalogError
            If the table has no ids or positions, an id is there twice, or a column has no place in a store.
        ImageError
            If the images cannot be opened.
        """
        if survey or band:
            ImageInput((), survey=survey or None, band=band or None).known_bands()  # says which there are
        catalog = table.open()
        ids, plain = _ids_of(catalog), plain_table(catalog.table)
        kinds = [kind_of(plain[name], _role(catalog, name)) for name in plain.colnames]
        count, positions = 0, np.stack([catalog.ra_deg, catalog.dec_deg], axis=1)
        files = (catalog.files or ids) if images else [""] * len(ids)
        with closing(_Pictures(images)) as pictures:
            self._declare(kinds)
            for rows in chunks_of(range(len(plain))):
                some = slice(rows[0], rows[-1] + 1)
                lines = _lines(plain[some], ids[some], files[some], positions[some], pictures)
                with self._database.writing() as connection:
                    common = {"survey": survey, "band": band, "created": now()}
                    count += self._write(connection, [line | common for line in lines], overwrite=overwrite)
                progress("images", rows[-1] + 1, len(plain))
        return count

    def get(self, id: str) -> StoredImage:
        """Return a picture by its id.

        Raises
        ------
        StoreError
            If there is none.
        """
        with self._database.reading() as connection:
            row = connection.execute(sa.select(IMAGES).where(IMAGES.c.id == id)).one_or_none()
        if row is None:
            raise StoreError(f"store '{self._database.title}' has no image '{id[:200]}': expected one that was added")
        return stored_image(row)

    def count(self) -> int:
        """Return how many there are."""
        with self._database.reading() as connection:
            return int(connection.scalar(sa.select(sa.func.count()).select_from(IMAGES)) or 0)

    def numbers_of(self, ids: Sequence[str]) -> list[int]:
        """Return the numbers of pictures by their ids.

        Raises
        ------
        StoreError
            If one is none of the store's.
        """
        numbers: dict[str, int] = {}
        with self._database.reading() as connection:
            for some in chunks_of(ids):
                wanted = sa.select(IMAGES.c.id, IMAGES.c.number).where(IMAGES.c.id.in_(some))
                numbers |= {row.id: row.number for row in connection.execute(wanted)}
        if missing := [each for each in ids if each not in numbers]:
            raise StoreError(f"store '{self._database.title}' has no image '{missing[0][:200]}': add it first")
        return [numbers[each] for each in ids]

    def kinds(self) -> list[ColumnKind]:
        """Say what the columns are that tables brought along."""
        with self._database.reading() as connection:
            return _kinds_in(connection)

    def numbers_within(self, cone: Cone) -> list[int]:
        """Return the numbers of the pictures in a circle on the sky."""
        self._fill_pixels()
        ranges = ranges_within(cone.ra_deg, cone.dec_deg, cone.radius_deg)
        near = sa.or_(*(IMAGES.c.pixel.between(first, last) for first, last in ranges))
        wanted = sa.select(IMAGES.c.number, IMAGES.c.ra, IMAGES.c.dec).where(near)
        with self._database.reading() as connection:
            # Sorted here: asked to do so, databases go through all rows in order rather than through the index.
            rows = np.array(sorted(tuple(row) for row in connection.execute(wanted)), np.float64).reshape(-1, 3)
        inside = separations_deg(cone.ra_deg, cone.dec_deg, rows[:, 1], rows[:, 2]) <= cone.radius_deg
        return [int(number) for number in rows[inside, 0]]

    def save(self, folder: Path) -> int:
        """Write the pictures into a folder, under the names of their files; return how many there are.

        Raises
        ------
        OutputError
            If that cannot be.
        """
        make_folder(folder)
        names, count = self.names_in_folder(), 0
        for number, content in self._contents():
            target = folder / names.get(number, str(number))
            make_folder(target.parent)
            with replacing(target, overwrite=True, compress=False) as temporary:
                temporary.write_bytes(content)
            count += 1
        return count

    def names_in_folder(self) -> dict[int, str]:
        """Say for each picture under which name it is written into a folder: that of its file where only one has it."""
        wanted = (
            sa.select(IMAGES.c.number, IMAGES.c.file).where(IMAGES.c.content.is_not(None)).order_by(IMAGES.c.number)
        )
        with self._database.reading() as connection:
            files = {row.number: usable_name(row.file) for row in connection.execute(wanted)}
        files |= self._numbered([number for number, name in files.items() if not name])
        count = Counter(name.lower() for name in files.values())
        return {number: name if count[name.lower()] == 1 else f"{number}/{name}" for number, name in files.items()}

    def _numbered(self, numbers: Sequence[int]) -> dict[int, str]:
        """Call pictures by their numbers, with the endings of their kinds."""
        start, names = sa.func.substr(IMAGES.c.content, 1, 8).label("start"), dict[int, str]()
        for some in chunks_of(numbers):
            wanted = sa.select(IMAGES.c.number, start).where(IMAGES.c.number.in_(some))
            with self._database.reading() as connection:
                rows = connection.execute(wanted).all()
            names |= {row.number: f"{row.number}{suffix_of(bytes(row.start))}" for row in rows}
        return names

    def _contents(self) -> Iterator[tuple[int, bytes]]:
        """Yield number and bytes of each picture, a chunk at a time in memory."""
        last, wanted = 0, sa.select(IMAGES.c.number, IMAGES.c.content).where(IMAGES.c.content.is_not(None))
        while True:
            later = wanted.where(IMAGES.c.number > last).order_by(IMAGES.c.number).limit(CHUNK)
            with self._database.reading() as connection:
                rows = connection.execute(later).all()
            if not rows:
                return
            yield from ((number, bytes(content)) for number, content in rows)
            last = rows[-1].number

    def _declare(self, kinds: Sequence[ColumnKind]) -> None:
        """Note what columns there are, which must be of the kinds that they were before.

        One writer at a time: of two that widen a column at once the later would narrow it, and numbers were rounded.
        """
        with self._database.writing() as connection:
            if self._database.is_server:  # in SQLite nobody else writes meanwhile
                connection.execute(sa.text(f"LOCK TABLE {COLUMNS.name} IN SHARE ROW EXCLUSIVE MODE"))
            before = {kind.name: kind for kind in _kinds_in(connection)}
            fresh = [kind.name for kind in kinds if kind.name not in before]
            places = {name: number for number, name in enumerate([*before, *fresh])}
            for kind in _joined_kinds(before, kinds):
                row = {name: getattr(kind, name) for name in ColumnKind.__dataclass_fields__}
                insert = self._database.insert(COLUMNS).values(row | {"place": places[kind.name]})
                connection.execute(insert.on_conflict_do_update(index_elements=["name"], set_={"type": kind.type}))

    def _write(self, connection: Connection, rows: list[dict[str, Any]], *, overwrite: bool) -> int:
        """Insert rows whose ids are new; others are replaced, or stay as they are."""
        ids = [row["id"] for row in rows]
        wanted = sa.select(IMAGES.c.id, IMAGES.c.number).where(IMAGES.c.id.in_(ids))
        present = {row.id: row.number for row in connection.execute(wanted)}
        fresh = [_with_pixel(row) for row in rows if row["id"] not in present]
        if fresh:
            connection.execute(self._database.insert(IMAGES).on_conflict_do_nothing(index_elements=["id"]), fresh)
            if not self._database.is_server:
                self._queue_watched(connection, [row["id"] for row in fresh])
        again = [row for row in rows if row["id"] in present] if overwrite else []
        for row in again:
            number = present[row["id"]]
            connection.execute(sa.delete(PREDICTIONS).where(PREDICTIONS.c.image == number))
            connection.execute(sa.update(IMAGES).where(IMAGES.c.number == number).values(_with_pixel(row)))
        self._queue_watched(connection, [row["id"] for row in again])
        return len(fresh) + len(again)

    def _queue_watched(self, connection: Connection, ids: Sequence[str]) -> None:
        """Queue images for the models that are watched, as a trigger of a server does."""
        if not ids:
            return
        pairs = (
            sa.select(IMAGES.c.number, MODELS.c.number)
            .select_from(IMAGES.join(MODELS, sa.true()))
            .where(IMAGES.c.id.in_(ids), MODELS.c.watched)
        )
        insert = self._database.insert(QUEUE).from_select(["image", "model"], pairs)
        connection.execute(insert.on_conflict_do_nothing())

    def _fill_pixels(self) -> None:
        """Write the cells of images that were inserted by others, who know no HEALPix."""
        lacking = sa.select(IMAGES.c.number, IMAGES.c.ra, IMAGES.c.dec).where(
            IMAGES.c.pixel.is_(None), IMAGES.c.ra.is_not(None), IMAGES.c.dec.between(-90, 90)
        )
        with self._database.reading() as connection:
            rows = connection.execute(lacking).all()
        for some in chunks_of(rows):
            with self._database.writing() as connection:
                for number, ra, dec in some:
                    pixel = _pixel(ra, dec)
                    connection.execute(sa.update(IMAGES).where(IMAGES.c.number == number).values(pixel=pixel))


class _Pictures:
    """The bytes of pictures by the names that rows have for them: of a zip file, a folder, files, or memory."""

    def __init__(self, images: Images) -> None:
        self._memory: Mapping[str, bytes] = images if are_contents(images) else {}
        listed = [images] if isinstance(images, str | Path) else list(images or ())
        paths = [] if self._memory else [Path(each) for each in listed]
        self._files = contents_of(paths, _is_picture) if paths else None
        self._names = list(self._memory) if self._files is None else self._files.names
        self._spelled = FileNames(self._names)
        if paths and not self._names:
            raise ImageError(f"'{paths[0]}' holds no JPEG, PNG or FITS stamp: expected some; give another")

    def read(self, name: str) -> tuple[str, bytes | None]:
        """Return what the file of a name is called, and its bytes; None where there is none.

        Without a name an image is one of an archive.
        """
        number = self._spelled.number_of(name) if name else -1
        if number < 0:
            return name, None
        full = self._names[number]
        if self._files is None:
            return full, _checked_size(full, self._memory[full])
        try:
            return full, self._files.read(full)
        except (OSError, ValueError, RuntimeError, NotImplementedError) as error:  # a damaged member of a zip file
            raise ImageError(f"stamp '{full}' cannot be read ({error}): give a sound one") from error

    def close(self) -> None:
        """Close the files."""
        if self._files is not None:
            self._files.close()


def _is_picture(name: str) -> bool:
    return is_stamp(name) or (not Path(name).name.startswith(".") and name.lower().endswith(_FITS_SUFFIXES))


def _checked_size(name: str, content: bytes) -> bytes:
    if len(content) > (most := LIMITS["stamp_bytes"]).number:
        raise ImageError(f"stamp '{name}' has {len(content)} bytes, more than {most}: give a smaller one")
    return content


def check_picture(file: str, content: bytes | None, survey: str = "", band: str = "") -> None:
    """Refuse a picture that cannot be read whole, or is none.

    Raises
    ------
    ImageError
        If so.
    """
    if content is None:
        return
    asked = ImageInput({file or "picture": _checked_size(file, content)}, survey=survey or None, band=band or None)
    with closing(asked.open()) as source:
        where = source.locate_files(source.tile_names)
        source.cutout(0, float(where.x[0]), float(where.y[0]), 8)


def check_id(id: str) -> None:
    """Refuse an id that databases cannot hold.

    Raises
    ------
    StoreError
        If so.
    """
    if not id or len(id) > _LONGEST_ID or "\0" in id or any("\ud800" <= letter <= "\udfff" for letter in id):
        raise StoreError(
            f"id '{id[:40]}' has {len(id)} letters: expected 1 to {_LONGEST_ID}, none of them NUL; change it"
        )


def _check_position(ra: float | None, dec: float | None) -> None:
    if (ra is None) != (dec is None) or (ra is not None and dec is not None and not _are_degrees(ra, dec)):
        raise StoreError(f"position {ra} {dec}: expected degrees, both of them; correct it, or leave it out")


def _are_degrees(ra: float, dec: float) -> bool:
    return bool(np.isfinite(ra)) and -90 <= dec <= 90


def usable_name(file: str) -> str:
    """Return the name of a file without its folder; '' for what is none, is hidden, or might be elsewhere."""
    last = file.replace("\\", "/").rpartition("/")[2]
    is_usable = last.isprintable() and not last.startswith(".") and len(last.encode("utf-8", "replace")) < _LONGEST_NAME
    return last if is_usable else ""


def suffix_of(content: bytes) -> str:
    """Return how names of files of such bytes end."""
    return ".fits" if is_fits(content) else ".png" if content.startswith(b"\x89PNG") else ".jpg"


def stored_image(row: Row[Any]) -> StoredImage:
    """Return a row of the table of images as what it is."""
    content = None if row.content is None else bytes(row.content)
    columns = json.loads(row.columns or "{}")
    return StoredImage(
        row.number, row.id, content, row.ra, row.dec, row.survey, row.band, row.created, row.file, columns
    )


def _kinds_in(connection: Connection) -> list[ColumnKind]:
    """Read what the columns are that tables brought along, in their order."""
    wanted = sa.select(*(COLUMNS.c[name] for name in ColumnKind.__dataclass_fields__)).order_by(COLUMNS.c.place)
    return [ColumnKind(*row) for row in connection.execute(wanted)]


def _joined_kinds(before: Mapping[str, ColumnKind], kinds: Sequence[ColumnKind]) -> list[ColumnKind]:
    """Return what holds the values of columns of a table, and those that there are.

    Raises
    ------
    CatalogError
        If their kinds or names do not go together.
    """
    joined = [before[kind.name].joined(kind) if kind.name in before else kind for kind in kinds]
    lower = {name.lower() for name in before}
    for kind in joined:
        if kind.name.startswith("gm_"):
            raise CatalogError(f"column '{kind.name}': names with gm_ are of predictions; rename it, or leave it out")
        if kind.name not in before and kind.name.lower() in lower:
            raise CatalogError(f"column '{kind.name}': expected a name that no other column has; rename it")
    return joined


def chunks_of(rows: Sequence[Any], size: int = CHUNK) -> Iterator[Sequence[Any]]:
    """Divide rows."""
    for first in range(0, len(rows), size):
        yield rows[first : first + size]


def _ids_of(catalog: Catalog) -> list[str]:
    """Return what rows are called: their ids, or the names of their files."""
    names = catalog.ids.tolist() if catalog.id_column is not None else catalog.files
    if names is None:
        raise CatalogError(
            f"Catalog '{catalog.title}' has no column of ids, by which a store knows its rows: looked for id and names "
            "alike. Name it with --id."
        )
    texts = [str(name) for name in names]
    for row, text in enumerate(texts):
        try:
            check_id(text)
        except StoreError as error:
            raise StoreError(f"row {row} of catalog '{catalog.title}' (the first is 0): {error}") from error
    if len(set(texts)) < len(texts):
        twice = Counter(texts).most_common(1)[0][0]
        raise CatalogError(f"Catalog '{catalog.title}' has the id '{twice}' twice: expected each once; name rows apart")
    return texts


def _role(catalog: Catalog, name: str) -> str:
    roles = {"id": catalog.id_column, "ra": catalog.ra_column, "dec": catalog.dec_column, "file": catalog.file_column}
    return next((role for role, column in roles.items() if column == name), "")


def _lines(
    table: Table, ids: Sequence[str], files: Sequence[str], positions: npt.NDArray[np.float64], pictures: _Pictures
) -> list[dict[str, Any]]:
    """Return what some rows are in the table of images."""
    lines = []
    for row, columns in enumerate(rows_of(table, table.colnames)):
        file, content = pictures.read(files[row])
        file = file.replace("\0", "").encode("utf-8", "replace").decode()  # as databases hold it
        ra, dec = positions[row].tolist() if np.isfinite(positions[row]).all() else (None, None)
        line = {"id": ids[row], "file": file, "content": content, "ra": ra, "dec": dec, "columns": json_of(columns)}
        lines.append(line)
    return lines


def _with_pixel(row: Mapping[str, Any]) -> dict[str, Any]:
    ra, dec = row["ra"], row["dec"]
    return {**row, "pixel": None if ra is None or dec is None else _pixel(ra, dec)}


def _pixel(ra: float, dec: float) -> int:
    return int(cells_of([ra], [dec], DEEPEST)[0])
