"""Labelling: which galaxy somebody labels next, and what was said of one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa

from galmorph.errors import StoreError, unknown_name
from galmorph.store.browsing import ORDERS, joined_rows
from galmorph.store.database import Database
from galmorph.store.models import StoredModel
from galmorph.store.schema import IMAGES, LABELS

__all__ = ["QUEUES", "Labelling", "StoredLabel"]

Queue = Literal["uncertain", "doubtful", "random"]
QUEUES: dict[str, str] = {
    "uncertain": "most uncertain first",
    "doubtful": "most doubtful first",
    "random": "in random order",
}
"""Which galaxies are labelled first."""
# A multiplicative hash (Knuth 1973, 6.4): an order that has nothing to do with that in which images were added.
_SCATTER, _RING = 2654435761, 1 << 32


@dataclass(frozen=True)
class StoredLabel:
    """An answer of somebody about an image."""

    number: int
    id: str
    scheme: str
    question: str
    answer: str
    author: str
    created: str


class Labelling:
    """Labels of a store, as somebody goes on with them.

    Parameters
    ----------
    database
        Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def next(
        self,
        model: StoredModel | None,
        scheme: str,
        author: str,
        queue: str,
        skipped: Collection[str] = (),
        only: Collection[str] = (),
    ) -> str | None:
        """Choose the next galaxy that somebody has not labelled yet; None once there is none left.

        Parameters
        ----------
        model
            Whose predictions say what is uncertain or doubtful.
        queue
            One of :data:`QUEUES`.
        skipped
            Ids that are passed over.
        only
            Ids of which one is chosen; of all where there are none.

        Raises
        ------
        StoreError
            If there is no such queue.
        """
        if queue not in QUEUES:
            raise StoreError(unknown_name("queue", queue[:80], QUEUES))
        own = sa.and_(LABELS.c.image == IMAGES.c.number, LABELS.c.author == author, *_holding(scheme))
        wanted = sa.select(IMAGES.c.id).select_from(joined_rows(model))
        wanted = wanted.where(~sa.exists().where(own), IMAGES.c.content.is_not(None))
        if skipped:
            wanted = wanted.where(IMAGES.c.id.not_in(list(skipped)))
        if only:
            wanted = wanted.where(IMAGES.c.id.in_(list(only)))
        with self._database.reading() as connection:
            chosen = connection.scalar(wanted.order_by(*_order(queue), IMAGES.c.number).limit(1))
        return None if chosen is None else str(chosen)

    def of_image(self, id: str, scheme: str | None = None, author: str | None = None) -> list[StoredLabel]:
        """List the answers about an image that hold, as they came."""
        return self._labels(IMAGES.c.id == id, scheme, author)

    def last(self, scheme: str, author: str) -> StoredLabel | None:
        """Return the last answer of somebody that holds; None for none."""
        labels = self._labels(sa.true(), scheme, author, newest=1)
        return labels[0] if labels else None

    def count(self, scheme: str, author: str) -> int:
        """Return how many galaxies somebody has labelled."""
        wanted = sa.select(sa.func.count(LABELS.c.image.distinct())).where(LABELS.c.author == author, *_holding(scheme))
        with self._database.reading() as connection:
            return int(connection.scalar(wanted) or 0)

    def counts_of(self, ids: Collection[str]) -> dict[str, int]:
        """Count the answers about images that hold."""
        wanted = sa.select(IMAGES.c.id, sa.func.count()).join(LABELS, LABELS.c.image == IMAGES.c.number)
        wanted = wanted.where(IMAGES.c.id.in_(list(ids)), LABELS.c.withdrawn.is_(None)).group_by(IMAGES.c.id)
        with self._database.reading() as connection:
            return {row[0]: int(row[1]) for row in connection.execute(wanted)}

    def _labels(
        self, wanted: sa.ColumnElement[bool], scheme: str | None, author: str | None, newest: int | None = None
    ) -> list[StoredLabel]:
        conditions = [wanted, LABELS.c.withdrawn.is_(None)]
        conditions += [] if scheme is None else [LABELS.c.scheme == scheme]
        conditions += [] if author is None else [LABELS.c.author == author]
        names = ("scheme", "question", "answer", "author", "created")
        columns = (LABELS.c.number, IMAGES.c.id, *(LABELS.c[name] for name in names))
        rows: sa.Select[Any] = sa.select(*columns).join(IMAGES, IMAGES.c.number == LABELS.c.image).where(*conditions)
        order = LABELS.c.number.asc() if newest is None else LABELS.c.number.desc()
        with self._database.reading() as connection:
            return [StoredLabel(*row) for row in connection.execute(rows.order_by(order).limit(newest))]


def _holding(scheme: str) -> list[sa.ColumnElement[bool]]:
    return [LABELS.c.scheme == scheme, LABELS.c.withdrawn.is_(None)]


def _order(queue: str) -> list[sa.ColumnElement[Any]]:
    if queue == "uncertain":
        return [ORDERS["entropy"].desc()]
    if queue == "doubtful":
        return [ORDERS["doubts"].desc(), ORDERS["confidence"].asc()]
    return [(IMAGES.c.number * _SCATTER) % _RING]
