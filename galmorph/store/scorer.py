"""Scorer: shows the images of a store to a model, chunk by chunk, each of which is one transaction.

What is to be done is in the queue (``gm_queue``). On a server a scorer locks the rows that it takes and others skip
them, so that several may work at once; a scorer that dies lets go of its rows, and nothing of its chunk was written. In
SQLite the queue is read, and written together with the predictions: a second scorer would do the same rows to the same
effect.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import sqlalchemy as sa
from astropy.table import Table
from sqlalchemy.engine import Connection

import galmorph
from galmorph.errors import CheckpointError, ImageError, SurveyError
from galmorph.flags import Flag
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.progress import Progress
from galmorph.runs.columns import new_columns
from galmorph.runs.parts import classify_part
from galmorph.runs.plan import Plan
from galmorph.runs.provenance import provenance_of
from galmorph.runs.run_settings import Settings
from galmorph.sky.catalog import Column, Provenance
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.sky.images.file_names import spelled
from galmorph.sky.images.fits_stamps import is_fits
from galmorph.store.database import Database
from galmorph.store.image_rows import chunks_of
from galmorph.store.models import StoredModel
from galmorph.store.prediction_rows import PREFIX, PredictionRows
from galmorph.store.schema import IMAGES, PREDICTIONS, QUEUE

__all__ = ["Scorer"]

log = logging.getLogger(__name__)

_OF_IMAGE = ("number", "file", "ra", "dec", "survey", "band")
_CHUNK_BYTES = 1 << 28
"""Of pictures that are in memory together, however many they are."""
_LOCAL = ("catalog:", "image:", "images:")
"""Beginnings of lines of a history that are of one chunk alone."""


@dataclass(frozen=True)
class _Queued:
    """An image that waits for a model."""

    number: int
    name: str
    content: bytes | None
    is_named: bool
    ra: float | None
    dec: float | None
    survey: str
    band: str


@dataclass(frozen=True)
class _Alike:
    """What images have in common that are measured together, so that no row depends on its company.

    Parameters
    ----------
    kind
        ``'picture'``, ``'fits'``, ``'archive'``, or ``'none'``, which has no image.
    survey, band
        As the rows say.
    traits
        What else of an image decides how it is taken: its planes, or whether it has a WCS, its scale and its filter.
    """

    kind: str
    survey: str
    band: str
    traits: tuple[object, ...] = ()


@dataclass(frozen=True)
class Scored:
    """What a model says of some images."""

    numbers: list[int]
    columns: list[Column]
    provenance: Provenance


class Scorer:
    """Fills the table of predictions of one model.

    Parameters
    ----------
    database
        The store.
    model, checkpoint
        Which is shown the images.
    settings
        Where and in what precision networks compute.
    command
        What the provenance names.
    """

    def __init__(
        self, database: Database, model: StoredModel, checkpoint: Checkpoint, settings: Settings, command: str
    ) -> None:
        self._database, self._model, self._checkpoint = database, model, checkpoint
        self._settings, self._command = settings, command
        self._predictions = PredictionRows(database)
        self._has_fitted = False

    def queue(self, ids: Sequence[str] | None, *, again: bool) -> None:
        """Queue the images without a prediction of the model, or, again, all of them; of some ids alone."""
        base = sa.select(IMAGES.c.number, sa.literal(self._model.number), sa.literal(again))
        if not again:
            base = base.where(~self._is_answered())
        for some in [None] if ids is None else chunks_of(list(ids)):
            pairs = base if some is None else base.where(IMAGES.c.id.in_(some))
            insert = self._database.insert(QUEUE).from_select(["image", "model", "again"], pairs.where(sa.true()))
            with self._database.writing() as connection:
                if again:
                    changed = {"again": True}
                    connection.execute(insert.on_conflict_do_update(index_elements=["model", "image"], set_=changed))
                else:
                    connection.execute(insert.on_conflict_do_nothing())

    def score(self, chunk: int, ids: Sequence[str] | None, progress: Progress) -> int:
        """Take images from the queue until there are none left; return how many were looked at."""
        total, done = self._total(), 0
        for some in [None] if ids is None else chunks_of(list(ids), chunk):
            while (count := self._score_chunk(chunk, some)) is not None:
                done += count
                progress("rows", done, max(total, done))
        return done

    def _total(self) -> int:
        wanted = sa.select(sa.func.count()).select_from(QUEUE).where(QUEUE.c.model == self._model.number)
        with self._database.reading() as connection:
            return int(connection.scalar(wanted) or 0)

    def _score_chunk(self, chunk: int, ids: Sequence[str] | None) -> int | None:
        """Do the next images and write what comes of them; None where none are left."""
        with self._transaction() as connection:
            rows = self._taken(connection, chunk, ids)
            if not rows:
                return None
            waiting = [image for image, is_done in rows if not is_done]
            if not self._database.is_server:
                connection.rollback()  # others may write while the network computes
            scored = list(self._scored(waiting))
            self._write(connection, scored, [image.number for image, is_done in rows if is_done])
            return len(waiting)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        with self._database.explained(), self._database.engine.connect() as connection:
            yield connection
            connection.commit()

    def _taken(self, connection: Connection, chunk: int, ids: Sequence[str] | None) -> list[tuple[_Queued, bool]]:
        """Take images from the queue; each with whether it was done meanwhile by another."""
        is_done = sa.and_(self._is_answered(), ~QUEUE.c.again)
        wanted = (
            sa.select(*(IMAGES.c[name] for name in _OF_IMAGE), sa.func.length(IMAGES.c.content), is_done)
            .select_from(QUEUE.join(IMAGES, IMAGES.c.number == QUEUE.c.image))
            .where(QUEUE.c.model == self._model.number)
            .order_by(QUEUE.c.image)
            .limit(chunk)
        )
        if ids is not None:
            wanted = wanted.where(IMAGES.c.id.in_(ids))
        if self._database.is_server:
            wanted = wanted.with_for_update(of=QUEUE, skip_locked=True)
        rows = connection.execute(wanted).all()
        total = np.cumsum([row[-2] or 0 for row in rows])
        rows = [row for row, before in zip(rows, total, strict=True) if before <= _CHUNK_BYTES] or rows[:1]
        numbers = [row.number for row in rows]
        of_these = sa.select(IMAGES.c.number, IMAGES.c.content).where(IMAGES.c.number.in_(numbers))
        contents = {row.number: row.content for row in connection.execute(of_these)}
        return [(_queued(row[: len(_OF_IMAGE)], contents.get(row.number)), bool(row[-1])) for row in rows]

    def _is_answered(self) -> sa.ColumnElement[bool]:
        of_model = sa.and_(PREDICTIONS.c.image == IMAGES.c.number, PREDICTIONS.c.model == self._model.number)
        return sa.exists().where(of_model).correlate(IMAGES)

    def _write(self, connection: Connection, scored: Sequence[Scored], done: Sequence[int]) -> None:
        if not self._database.is_server:
            connection.execution_options(writes=True)
        for each in scored:
            self._predictions.write(connection, self._model, each.numbers, each.columns, each.provenance)
        if done:
            own = QUEUE.c.model == self._model.number
            connection.execute(sa.delete(QUEUE).where(own, QUEUE.c.image.in_(done)))

    def _scored(self, waiting: Sequence[_Queued]) -> Iterator[Scored]:
        """Show images to the model, those together that are taken alike."""
        groups: dict[_Alike, list[_Queued]] = {}
        failed: dict[str, list[_Queued]] = {}
        for image in waiting:
            try:
                groups.setdefault(_alike(image), []).append(image)
            except (ImageError, SurveyError) as error:
                failed.setdefault(str(error), []).append(image)
        misfits: list[CheckpointError] = []
        for alike, images in groups.items():
            try:
                yield self._of_group(alike, images)
                self._has_fitted |= alike.kind != "none"
            except (ImageError, SurveyError, CheckpointError) as error:
                failed.setdefault(str(error), []).extend(images)
                misfits += [error] if isinstance(error, CheckpointError) else []
        if misfits and not self._has_fitted:
            raise misfits[0]  # rather than marking a whole store
        for reason, images in failed.items():
            log.warning("%d images could not be looked at: %s", len(images), reason)
            yield self._without_answer(images, Flag.FETCH_FAILED)

    def _of_group(self, alike: _Alike, images: Sequence[_Queued]) -> Scored:
        if alike.kind == "none":
            return self._without_answer(images, Flag.NO_IMAGE)
        asked = {"survey": alike.survey or None, "band": alike.band or None}
        if alike.kind == "archive":
            table = Table({"ra": [image.ra for image in images], "dec": [image.dec for image in images]})
            pixels = ImageInput((), survey=alike.survey, band=alike.band)
        else:
            table = Table({"file": [image.name for image in images]})
            pixels = ImageInput({image.name: image.content for image in images}, **asked)  # type: ignore[arg-type]
        with closing(Plan(CatalogInput(table), pixels, self._checkpoint, self._settings)) as plan:
            run = plan.run
            results = classify_part(plan, np.arange(len(images)))
            columns = new_columns(results, run.images, run.settings, run.checkpoint)
            return Scored([image.number for image in images], columns, _shared(provenance_of(run, self._command)))

    def _without_answer(self, images: Sequence[_Queued], flag: Flag) -> Scored:
        flags = Column(f"{PREFIX}flags", np.full(len(images), int(flag), np.int32), "", "", "meta.code.qual")
        history = (f"galmorph {galmorph.__version__}: {self._command}",)
        return Scored([image.number for image in images], [flags], Provenance((), history))


def _queued(row: Sequence[Any], content: Any) -> _Queued:
    number, file, *rest = row
    last = spelled(str(file)).rpartition("/")[2]
    # The seed of a stamp's noise is what the file is called, whatever folder it is in: this one keeps names apart.
    name = f"{number}/{last}".strip()
    return _Queued(number, name, None if content is None else bytes(content), bool(last), *rest)


def _alike(image: _Queued) -> _Alike:
    """Say with which others an image may be measured.

    Raises
    ------
    ImageError, SurveyError
        If it cannot be opened.
    """
    if image.content is None:
        is_placed = image.ra is not None and image.dec is not None and image.survey != "" and image.band != ""
        is_of_archive = is_placed and not image.is_named
        return _Alike("archive" if is_of_archive else "none", image.survey, image.band)
    kind = "fits" if is_fits(image.content) else "picture"
    if kind == "picture" and image.survey:
        return _Alike(kind, image.survey, image.band)  # the survey says how many planes its pictures have
    asked = ImageInput({image.name: image.content}, survey=image.survey or None, band=image.band or None)
    with closing(asked.open()) as source:
        traits = (source.n_planes, source.has_wcs, repr(source.scale_arcsec), source.filter_name())
    return _Alike(kind, image.survey, image.band, traits)


def _shared(provenance: Provenance) -> Provenance:
    """Leave out of a history what is of one chunk alone."""
    history = [line for line in provenance.history if not line.startswith(_LOCAL)]
    return replace(provenance, history=(*history[:1], "catalog: images of a store", *history[1:]))
