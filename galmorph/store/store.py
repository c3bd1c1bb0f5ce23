"""Store: models, images, predictions and labels in one database, for scripts, the service and its page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args

import numpy as np
import sqlalchemy as sa
from astropy.table import Table

from galmorph.errors import CatalogError, SchemeError, StoreError, unknown_name
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.progress import Progress, silent
from galmorph.runs.run_settings import Settings
from galmorph.sky.catalog import Catalog, Provenance, check_output, write_catalog
from galmorph.sky.catalog_input import CatalogInput, ColumnNames
from galmorph.sky.formats.stored import HeldTable
from galmorph.sky.images import Images
from galmorph.sky.scheme import Scheme, load_scheme, scheme_names
from galmorph.store.browsing import Browsing
from galmorph.store.cells import json_of, plain_table, rows_of
from galmorph.store.database import Database, open_database
from galmorph.store.image_rows import CHUNK, Cone, ImageRows, StoredImage, suffix_of, usable_name
from galmorph.store.job_rows import JobRows
from galmorph.store.keys import KeyRows
from galmorph.store.label_rows import LabelRows
from galmorph.store.labelling import Labelling
from galmorph.store.models import ModelRows, StoredModel
from galmorph.store.prediction_rows import PREFIX, PredictionRows, columns_of_table
from galmorph.store.schema import IMAGES, LABELS, PREDICTIONS, now
from galmorph.store.scorer import Scorer
from galmorph.store.watcher import listening

__all__ = ["Order", "Store", "open_store"]

Order = Literal["added", "uncertain", "doubtful"]
"""Of images: as they were added; the least confident first; those with the most flags first."""
_AT_ONCE = 30_000
"""Numbers in one statement, of which SQLite takes 32 766."""
_LISTEN_S = 60.0
"""After which a listener looks by itself, in case it missed something."""


class Store:
    """Models, images, predictions and labels in one database; a context manager, for any number of threads.

    Parameters
    ----------
    database
        Its tables.

    Attributes
    ----------
    database
        For whoever adds tables of their own kind.
    title
        What it is called in messages: its URL, without a password.
    browsing, labelling
        For whoever looks through its rows in pages, or labels one after the other.
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self.title = database.title
        self._models, self._images = ModelRows(database), ImageRows(database)
        self._predictions, self._keys = PredictionRows(database), KeyRows(database)
        self._labels = LabelRows(database, self._scheme)
        self.browsing, self.labelling = Browsing(database), Labelling(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        self.database.close()

    def push_model(self, checkpoint: str | Path) -> StoredModel:
        """Put a checkpoint, by its name or file, into the store with its card; one that is there stays as it is.

        Raises
        ------
        CheckpointError
            If it is damaged, or none.
        """
        return self._models.push(checkpoint)

    def models(self) -> list[StoredModel]:
        """List the models, the newest last."""
        return self._models.all()

    def model(self, name: str) -> StoredModel:
        """Find a model by ``NAME``, of several the newest; ``NAME@VERSION``; or ``NAME@`` and 8 letters of its SHA-256.

        Raises
        ------
        StoreError
            If there is none, which lists what there is.
        """
        return self._models.find(name)

    def load_model(self, name: str) -> Checkpoint:
        """Load a model, named as for :meth:`model`; it is kept in memory, and never carries code.

        Raises
        ------
        StoreError
            If there is none.
        CheckpointError
            If its bytes are not those that were pushed.
        """
        return self._models.load(name)

    def add_images(
        self,
        table: Any,
        images: Images = (),
        *,
        survey: str = "",
        band: str = "",
        overwrite: bool = False,
        hdu: int | str | None = None,
        ra: str | None = None,
        dec: str | None = None,
        id: str | None = None,
        file: str | None = None,
        progress: Progress = silent,
    ) -> int:
        """Add a row for each of a table, with its picture, its position and all columns.

        Chunks of 256 rows are written together: after whatever stops it, the same call goes on.

        Parameters
        ----------
        table, hdu, ra, dec, id, file
            As the catalogue of :func:`galmorph.classify`; rows are known by their ids, else by the names of files.
        images
            A zip file, a folder or files of JPEG, PNG or FITS stamps, or their bytes by name; a row finds its own by
            its column of files, else by its id. Without a picture a row with a position is one of the survey's archive.
        survey, band
            Of all of them.
        overwrite
            Whether rows with ids that are there replace them, and what was predicted of them; else they stay.

        Returns
        -------
        int
            How many rows are new or changed.

        Raises
        ------
        CatalogError, ImageError, SurveyError
            If something does not fit, before anything is written.
        """
        asked = CatalogInput(table, hdu, ColumnNames(ra, dec, None, None, id, file))
        return self._images.add_table(asked, images, survey, band, overwrite=overwrite, progress=progress)

    def add_image(
        self,
        id: str,
        content: bytes | None,
        *,
        ra: float | None = None,
        dec: float | None = None,
        survey: str = "",
        band: str = "",
        file: str = "",
        columns: Mapping[str, Any] | None = None,
        overwrite: bool = False,
    ) -> None:
        """Add a picture, which is read once to be sure that it can be.

        Parameters
        ----------
        id
            What it is called.
        content
            The bytes of a JPEG, PNG or FITS file; None for one of the survey's archive.
        ra, dec
            ICRS degrees.
        survey, band
            Of which it is.
        file
            What its file is called; by default the id with the ending of its kind. The noise with which stamps are
            filled is that of this name.
        columns
            What else is to be known of it, numbers and text.
        overwrite
            Whether it may replace one of that id, and what was predicted of that.

        Raises
        ------
        StoreError
            If there is one of that id.
        ImageError, SurveyError
            If the picture cannot be read whole, or there is no such survey or band.
        """
        name = (
            file.replace("\0", "").encode("utf-8", "replace").decode()
            or f"{usable_name(id) or 'picture'}{'' if content is None else suffix_of(content)}"
        )
        extra = plain_table(Table([columns])) if columns else Table()
        row = {"id": id, "content": content, "ra": ra, "dec": dec, "survey": survey, "band": band, "file": name}
        row |= {"columns": json_of(rows_of(extra, extra.colnames)[0]) if columns else "", "created": now()}
        self._images.add(row, extra, overwrite=overwrite)

    def image(self, id: str) -> StoredImage:
        """Return a picture by its id.

        Raises
        ------
        StoreError
            If there is none.
        """
        return self._images.get(id)

    def images(
        self,
        *,
        offset: int = 0,
        limit: int | None = None,
        cone: tuple[float, float, float] | None = None,
        model: str | None = None,
        order: Order = "added",
        unlabelled_by: str | None = None,
        scheme: str | None = None,
    ) -> Table:
        """List pictures without their bytes.

        Parameters
        ----------
        offset, limit
            Which page; all by default.
        cone
            Right ascension, declination and radius in degrees, within which they are.
        model
            Whose class, confidence and flags are columns as well, named as for :meth:`model`.
        order
            ``'added'``; or by a model's predictions, the ``'uncertain'`` or the ``'doubtful'`` first.
        unlabelled_by, scheme
            Leave out those that this author has answered about (for this scheme).

        Returns
        -------
        astropy.table.Table
            ``id``, ``file``, ``ra``, ``dec``, ``survey``, ``band``, ``created``; ``class``, ``conf``, ``flags``.

        Raises
        ------
        StoreError
            If there is no such model, the order needs one, or the cone is none.
        """
        if order not in get_args(Order):
            raise StoreError(unknown_name("order", str(order), get_args(Order)))
        if order != "added" and model is None:
            raise StoreError(f"order '{order}' without a model: expected whose predictions it is by; name one")
        stored = self._models.find(model) if model is not None else None
        wanted = _listing(stored, order)
        if unlabelled_by is not None:
            wanted = wanted.where(~_is_labelled(unlabelled_by, scheme))
        within = None if cone is None else self._images.numbers_within(Cone(*cone))
        if within is not None and len(within) <= _AT_ONCE:
            wanted, within = wanted.where(IMAGES.c.number.in_(within)), None
        with self.database.reading() as connection:
            if within is None:
                return _listed(connection.execute(wanted.offset(offset).limit(limit)).all(), stored is not None)
            inside = set(within)
            rows = [row for row in connection.execute(wanted) if row.number in inside]
        return _listed(rows[offset : None if limit is None else offset + limit], stored is not None)

    def counts(self) -> list[tuple[StoredModel, int]]:
        """List the models, each with how many predictions there are of it."""
        counted = sa.select(PREDICTIONS.c.model, sa.func.count()).group_by(PREDICTIONS.c.model)
        with self.database.reading() as connection:
            counts = {model: int(count) for model, count in connection.execute(counted)}
        return [(model, counts.get(model.number, 0)) for model in self.models()]

    def count(self) -> int:
        """Return how many pictures there are."""
        return self._images.count()

    def score(
        self,
        model: str,
        *,
        chunk: int = CHUNK,
        ids: list[str] | None = None,
        again: bool = False,
        device: str = "auto",
        precision: str = "single",
        progress: Progress = silent,
        command: str = "galmorph.Store.score",
    ) -> int:
        """Show a model the pictures that it has not answered about; return how many it was shown.

        Each chunk is one transaction: after whatever stops it, the same call goes on. On a server several may work at
        once. What cannot be read is flagged, as :func:`galmorph.classify` does.

        Parameters
        ----------
        model
            As for :meth:`model`.
        chunk
            Pictures in memory at once.
        ids
            Only these.
        again
            Those too about which it has answered.
        device, precision, progress, command
            As of :func:`galmorph.classify`.

        Raises
        ------
        StoreError
            If there is no such model, or no image of one of the ids, or the database fails.
        CheckpointError
            If its bytes are not those that were pushed, or it does not take such images.
        """
        scorer = self._scorer(model, Settings(device=device, precision=precision), command)
        if ids is not None:
            self._images.numbers_of(ids)
        scorer.queue(ids, again=again)
        return scorer.score(max(chunk, 1), ids, progress)

    def watch(
        self,
        model: str,
        *,
        chunk: int = CHUNK,
        poll_s: float = 2.0,
        idle_s: float | None = None,
        device: str = "auto",
        precision: str = "single",
        progress: Progress = silent,
        command: str = "galmorph.Store.watch",
    ) -> int:
        """Score what is there, and then whatever is added, until it is stopped; return how many were looked at.

        On a server a trigger queues what is inserted, by whomever, and tells those who watch; in SQLite the queue is
        looked at now and then.

        Parameters
        ----------
        poll_s
            How often in SQLite, in seconds.
        idle_s
            Stop when nothing was added for so long.
        """
        scorer = self._scorer(model, Settings(device=device, precision=precision), command)
        self._models.watch(self._models.find(model))
        pause = _LISTEN_S if self.database.is_server else poll_s
        count, idle = 0, 0.0
        with listening(self.database) as ear:
            scorer.queue(None, again=False)
            while True:
                count += (step := scorer.score(max(chunk, 1), None, progress))
                idle = 0.0 if step else idle
                if idle_s is not None and idle >= idle_s:
                    return count
                wait = pause if idle_s is None else min(pause, idle_s)
                ear.wait(wait)
                idle += wait

    def pull(self, model: str | None = None, *, output: str | Path | None = None, overwrite: bool = False) -> Table:
        """Return all images with the columns they came with and, of a model, those that :func:`galmorph.classify` adds.

        Numbers, units, descriptions, UCDs and provenance are the same; where a model has not answered, numbers are NaN
        or masked, and text is empty.

        Parameters
        ----------
        model
            As for :meth:`model`; None for the images alone.
        output, overwrite
            Write the table to a file whose ending says the format; whether an existing one may be replaced.

        Raises
        ------
        StoreError
            If there is no such model.
        OutputError
            If the file cannot be written.
        """
        _check(output, overwrite=overwrite)
        table = self._predictions.pull(self._images, None if model is None else self._models.find(model))
        return _written(table, output, overwrite=overwrite)

    def save_predictions(self, table: Table, model: str, *, prefix: str = PREFIX, id: str | None = None) -> int:
        """Keep what :func:`galmorph.classify` returned of pictures of the store; return of how many.

        Parameters
        ----------
        table
            With a column of ids: `id`, or one that is called so. Rows whose flags are masked have no predictions.
        model
            Whose predictions they are, as for :meth:`model`.
        prefix
            Of their columns.

        Raises
        ------
        CatalogError
            If there are no such columns, or they are of other kinds than those of the same model before.
        StoreError
            If there is no such model, or an id is none of the store's.
        """
        name = id or next((each for each in ("id", "ID") if each in table.colnames), "")
        if name not in table.colnames:
            raise CatalogError(f"a table without a column '{name or 'id'}' was given: expected ids of images; name it")
        if f"{prefix}flags" in table.colnames:
            table = table[~np.ma.getmaskarray(table[f"{prefix}flags"])]  # a pulled table masks what is not scored yet
        columns, ids = columns_of_table(table, prefix), [str(each) for each in table[name]]
        stored, numbers = self._models.find(model), self._images.numbers_of(ids)
        provenance = _provenance_of(table)
        with self.database.writing() as connection:
            self._predictions.write(connection, stored, numbers, columns, provenance)
        return len(numbers)

    def prediction(self, id: str, model: str) -> dict[str, Any]:
        """Return the columns that a model gave a picture, by their names; empty where it gave none."""
        return self._predictions.of_image(id, self._models.find(model))

    def add_label(
        self,
        id: str,
        scheme: str,
        question: str,
        answer: str,
        *,
        author: str,
        at: str | None = None,
        seconds: float | None = None,
    ) -> int:
        """Note what somebody answered about a picture; return the number by which it can be withdrawn.

        Parameters
        ----------
        id
            Of the picture.
        scheme, question, answer
            Name of a scheme that ships or that a model of the store has, of its question, and key of its answer.
        author
            Who answered.
        at
            When, in ISO 8601; now by default.
        seconds
            How long it took.

        Raises
        ------
        StoreError
            If there is no such picture, or nobody answered.
        SchemeError
            If there is no such scheme, question or answer.
        """
        return self._labels.add(id, scheme, question, answer, author, at, seconds)

    def withdraw_label(self, number: int, author: str) -> None:
        """Take back a label of one's own, which is marked, never deleted.

        Raises
        ------
        StoreError
            If it is another's, there is none, or it was withdrawn before.
        """
        self._labels.withdraw(number, author)

    def labels(
        self, scheme: str, author: str | None = None, *, output: str | Path | None = None, overwrite: bool = False
    ) -> Table:
        """Return the labels as a table that ``galmorph train`` reads beside what :meth:`save_pictures` writes.

        A row for each picture with labels: ``id``, ``file``, ``ra``, ``dec``, and votes for each answer of the scheme;
        fractions where its answers are independent. Of several answers of one author to one question the last counts.

        Parameters
        ----------
        scheme, author
            Whose answers; by default those of all authors.
        output, overwrite
            As of :meth:`pull`.

        Raises
        ------
        SchemeError
            If there is no such scheme.
        OutputError
            If the file cannot be written.
        """
        _check(output, overwrite=overwrite)
        return _written(self._labels.table(self._images, scheme, author), output, overwrite=overwrite)

    def label_log(self, scheme: str | None = None, author: str | None = None) -> Table:
        """Return every label there was with author and time, withdrawn ones too, the newest last."""
        return self._labels.log(scheme, author)

    def label_counts(self, scheme: str) -> dict[str, int]:
        """Return how many labels of each author hold."""
        return self._labels.counts(scheme)

    def save_pictures(self, folder: str | Path) -> int:
        """Write the pictures into a folder, by the names that :meth:`labels` has for them; return how many."""
        return self._images.save(Path(folder))

    def add_key(self, name: str) -> str:
        """Make a key of the service and return its secret, of which the store keeps a hash alone.

        Raises
        ------
        StoreError
            If there is, or was, one of that name.
        """
        return self._keys.add(name)

    def check_key(self, secret: str) -> str | None:
        """Return the name of the key that a secret is; None for none."""
        return self._keys.check(secret)

    def withdraw_key(self, name: str) -> None:
        """Let a key be worth nothing from now on.

        Raises
        ------
        StoreError
            If there is none.
        """
        self._keys.withdraw(name)

    def api_keys(self) -> list[tuple[str, str, str]]:
        """List the keys: name, when it was made, and when it was withdrawn, '' for not at all."""
        return self._keys.all()

    def jobs(self, service: str) -> JobRows:
        """Return the jobs of a service; see :class:`~galmorph.store.job_rows.JobRows`."""
        return JobRows(self.database, service)

    def _scorer(self, model: str, settings: Settings, command: str) -> Scorer:
        stored = self._models.find(model)
        checkpoint = self._models.load(f"{stored.name}@{stored.sha256}")
        return Scorer(self.database, stored, checkpoint, settings, command)

    def _scheme(self, name: str) -> Scheme:
        """Find a scheme that ships, or that a model of the store has."""
        if name in scheme_names():
            return load_scheme(name)
        schemes = {scheme.name: scheme for scheme in (self._models.scheme(model) for model in self._models.all())}
        if name not in schemes:
            raise SchemeError(unknown_name("scheme", name, [*scheme_names(), *schemes]))
        return schemes[name]


def open_store(url: str | Path, *, create: bool = False) -> Store:
    """Open a store; see :func:`galmorph.open_store`."""
    return Store(open_database(url, create=create))


def _check(output: str | Path | None, *, overwrite: bool) -> None:
    if output is not None:
        check_output(output, overwrite=overwrite)


def _written(table: Table, output: str | Path | None, *, overwrite: bool) -> Table:
    """Write a table to a file where one is named, and return it."""
    if output is not None:
        write_catalog(Catalog(HeldTable(table)), (), output, provenance=Provenance(), overwrite=overwrite)
    return table


def _listing(model: StoredModel | None, order: Order) -> sa.Select[Any]:
    """Return the statement that lists images, with what a model says of them where there is one."""
    columns = [IMAGES.c[name] for name in ("number", "id", "file", "ra", "dec", "survey", "band", "created")]
    if model is None:
        return sa.select(*columns).order_by(IMAGES.c.number)
    of_model = sa.and_(PREDICTIONS.c.image == IMAGES.c.number, PREDICTIONS.c.model == model.number)
    said = [PREDICTIONS.c["class"], PREDICTIONS.c.confidence, PREDICTIONS.c.flags]
    wanted = sa.select(*columns, *said).select_from(IMAGES.outerjoin(PREDICTIONS, of_model))
    first = {
        "added": [],
        "uncertain": [PREDICTIONS.c.confidence.is_(None), PREDICTIONS.c.confidence],
        "doubtful": [PREDICTIONS.c.doubts.is_(None), PREDICTIONS.c.doubts.desc()],
    }
    return wanted.order_by(*first[order], IMAGES.c.number)


def _is_labelled(author: str, scheme: str | None) -> sa.ColumnElement[bool]:
    own = sa.and_(LABELS.c.image == IMAGES.c.number, LABELS.c.author == author, LABELS.c.withdrawn.is_(None))
    return sa.exists().where(own if scheme is None else sa.and_(own, LABELS.c.scheme == scheme)).correlate(IMAGES)


def _listed(rows: Any, has_model: bool) -> Table:
    text = {name: np.array([getattr(row, name) for row in rows], np.str_) for name in ("id", "file")}
    degrees = {
        axis: np.array([np.nan if getattr(row, axis) is None else getattr(row, axis) for row in rows], np.float64)
        for axis in ("ra", "dec")
    }
    more = {name: np.array([getattr(row, name) for row in rows], np.str_) for name in ("survey", "band", "created")}
    columns: dict[str, Any] = text | degrees | more
    if has_model:
        columns["class"] = np.array([row._mapping["class"] or "" for row in rows], np.str_)  # noqa: SLF001 - no attribute
        confidence = [np.nan if row.confidence is None else row.confidence for row in rows]
        columns["conf"] = np.array(confidence, np.float64)
        columns["flags"] = np.array([row.flags or 0 for row in rows], np.int64)
    return Table(columns)


def _provenance_of(table: Table) -> Provenance:
    """Return what a table says of what made its columns."""
    cards = tuple((key, str(value), "") for key, value in table.meta.items() if key.startswith("GM"))
    history = table.meta.get("HISTORY", [])
    return Provenance(cards, tuple(map(str, history if isinstance(history, list) else [history])))
