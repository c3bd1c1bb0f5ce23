"""Browsing: rows of a store as somebody looks through them, filtered, sorted and in pages, by SQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from galmorph.errors import StoreError, unknown_name
from galmorph.store.database import Database
from galmorph.store.models import StoredModel
from galmorph.store.schema import IMAGES, PREDICTIONS

__all__ = ["ORDERS", "BrowsedRow", "Browsing", "RowFilter", "RowOrder", "joined_rows"]

_ESCAPE = "\\"
_AT_ONCE = 5000
"""Ids that are read together."""

ORDERS = {
    "number": IMAGES.c.number,
    "id": IMAGES.c.id,
    "class": sa.func.coalesce(PREDICTIONS.c["class"], ""),
    # Rows without a number come first, as smaller than all that have one, so that neighbours are found by comparing.
    "confidence": sa.func.coalesce(PREDICTIONS.c.confidence, -1.0),
    "entropy": sa.func.coalesce(PREDICTIONS.c.entropy, -1.0),
    "doubts": sa.func.coalesce(PREDICTIONS.c.doubts, -1),
    "ra": sa.func.coalesce(IMAGES.c.ra, -1.0),
}
"""What rows are sorted by."""


@dataclass(frozen=True)
class RowFilter:
    """Which rows are looked at.

    Parameters
    ----------
    text
        Part of the id, in small or large letters.
    class_name
        The class; '' for any.
    flags, without
        Bits that must all be set, and bits of which none may be.
    least, most
        Limits of the probability of the class.
    """

    text: str = ""
    class_name: str = ""
    flags: int = 0
    without: int = 0
    least: float | None = None
    most: float | None = None

    @property
    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """The same for SQL; values are bound, never part of the statement."""
        flags = sa.func.coalesce(PREDICTIONS.c.flags, 0)
        confidence = PREDICTIONS.c.confidence
        wanted: list[sa.ColumnElement[bool]] = []
        # Which letters beyond ASCII have small ones differs between databases: small by them, or by Python.
        letters, part = sa.func.lower(IMAGES.c.id), f"%{_escaped(self.text)}%"
        parts = (sa.func.lower(part), part.lower())
        wanted += [sa.or_(*(letters.like(each, escape=_ESCAPE) for each in parts))] if self.text else []
        wanted += [PREDICTIONS.c["class"] == self.class_name] if self.class_name else []
        wanted += [flags.bitwise_and(self.flags) == self.flags] if self.flags else []
        wanted += [flags.bitwise_and(self.without) == 0] if self.without else []
        wanted += [confidence >= self.least] if self.least is not None else []
        return wanted + ([confidence <= self.most] if self.most is not None else [])


def _escaped(text: str) -> str:
    """Return text in which LIKE has no wildcards."""
    return "".join(_ESCAPE + letter if letter in f"%_{_ESCAPE}" else letter for letter in text)


@dataclass(frozen=True)
class RowOrder:
    """By what rows are sorted, one of :data:`ORDERS`; rows that are equal in that, as they were added."""

    column: str = "number"
    descending: bool = False

    def __post_init__(self) -> None:
        if self.column not in ORDERS:
            raise StoreError(unknown_name("order", self.column[:80], ORDERS))

    @property
    def clauses(self) -> list[sa.ColumnElement[Any]]:
        """The same for SQL."""
        keys = [ORDERS[self.column], IMAGES.c.number]
        return [key.desc() if self.descending else key.asc() for key in keys]

    def reversed(self) -> RowOrder:
        """Return the opposite order."""
        return RowOrder(self.column, not self.descending)


@dataclass(frozen=True)
class BrowsedRow:
    """A picture and what a model says of it.

    Parameters
    ----------
    number, id, ra, dec, created
        Of the picture.
    class_name, confidence, flags
        As predicted; '' and None where it was not classified.
    columns
        All that was predicted, by column.
    """

    number: int
    id: str
    ra: float | None
    dec: float | None
    created: str
    class_name: str
    confidence: float | None
    flags: int
    columns: dict[str, Any]


class Browsing:
    """Rows of a store, a page at a time.

    Parameters
    ----------
    database
        Where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def count(self, model: StoredModel | None, chosen: RowFilter) -> int:
        """Return how many rows there are."""
        of_both = joined_rows(model) if chosen.conditions else IMAGES
        wanted = sa.select(sa.func.count()).select_from(of_both).where(*chosen.conditions)
        with self._database.reading() as connection:
            return int(connection.scalar(wanted) or 0)

    def page(
        self, model: StoredModel | None, chosen: RowFilter, order: RowOrder, *, offset: int = 0, limit: int = 50
    ) -> list[BrowsedRow]:
        """Return some rows of a model in their order."""
        wanted = _rows(model).where(*chosen.conditions).order_by(*order.clauses).offset(offset).limit(limit)
        with self._database.reading() as connection:
            return [_browsed(row) for row in connection.execute(wanted)]

    def row(self, model: StoredModel | None, id: str) -> BrowsedRow:
        """Return one row.

        Raises
        ------
        StoreError
            If there is none of that id.
        """
        with self._database.reading() as connection:
            row = connection.execute(_rows(model).where(IMAGES.c.id == id)).one_or_none()
        if row is None:
            raise StoreError(f"store '{self._database.title}' has no image '{id[:200]}': expected one that was added")
        return _browsed(row)

    def beside(
        self, model: StoredModel | None, chosen: RowFilter, order: RowOrder, row: BrowsedRow
    ) -> tuple[str | None, str | None]:
        """Return the ids of the rows before and after one, which itself need not pass the filter."""
        return self._next(model, chosen, order.reversed(), row.number), self._next(model, chosen, order, row.number)

    def ids(self, model: StoredModel | None, chosen: RowFilter) -> Iterator[str]:
        """Yield the ids of rows, as they were added."""
        last = 0
        base = sa.select(IMAGES.c.number, IMAGES.c.id).select_from(joined_rows(model)).where(*chosen.conditions)
        while True:
            later = base.where(IMAGES.c.number > last).order_by(IMAGES.c.number).limit(_AT_ONCE)
            with self._database.reading() as connection:
                rows = connection.execute(later).all()
            if not rows:
                return
            yield from (row.id for row in rows)
            last = rows[-1].number

    def classes(self, model: StoredModel | None) -> list[tuple[str, int]]:
        """List the classes that a model gave, with their numbers of rows, the most frequent first."""
        count, name = sa.func.count(), PREDICTIONS.c["class"]
        wanted = sa.select(name, count).where(PREDICTIONS.c.model == _number(model), name != "").group_by(name)
        with self._database.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(wanted.order_by(count.desc(), name))]

    def last_model(self) -> int | None:
        """Return the number of the model that answered last; None for none."""
        wanted = sa.select(PREDICTIONS.c.model).order_by(PREDICTIONS.c.created.desc()).limit(1)
        with self._database.reading() as connection:
            number = connection.scalar(wanted)
        return None if number is None else int(number)

    def _next(self, model: StoredModel | None, chosen: RowFilter, order: RowOrder, number: int) -> str | None:
        """Return the first row behind one, in an order."""
        key = ORDERS[order.column]
        own = sa.select(key).select_from(joined_rows(model)).where(IMAGES.c.number == number).scalar_subquery()
        behind = sa.or_(key < own if order.descending else key > own, sa.and_(key == own, _later(order, number)))
        wanted = sa.select(IMAGES.c.id).select_from(joined_rows(model)).where(*chosen.conditions, behind)
        with self._database.reading() as connection:
            neighbour = connection.scalar(wanted.order_by(*order.clauses).limit(1))
        return None if neighbour is None else str(neighbour)


def _later(order: RowOrder, number: int) -> sa.ColumnElement[bool]:
    return IMAGES.c.number < number if order.descending else IMAGES.c.number > number


def _number(model: StoredModel | None) -> int:
    return model.number if model is not None else -1


def joined_rows(model: StoredModel | None) -> sa.Join:
    """Join images with what a model says of them."""
    of_model = sa.and_(PREDICTIONS.c.image == IMAGES.c.number, PREDICTIONS.c.model == _number(model))
    return IMAGES.outerjoin(PREDICTIONS, of_model)


def _rows(model: StoredModel | None) -> sa.Select[Any]:
    names = ("class", "confidence", "flags")
    return sa.select(
        *(IMAGES.c[name] for name in ("number", "id", "ra", "dec", "created")),
        *(PREDICTIONS.c[name].label(f"predicted_{name}") for name in names),
        PREDICTIONS.c.columns.label("predicted"),
    ).select_from(joined_rows(model))


def _browsed(row: Row[Any]) -> BrowsedRow:
    return BrowsedRow(
        row.number,
        row.id,
        row.ra,
        row.dec,
        row.created,
        row.predicted_class or "",
        row.predicted_confidence,
        int(row.predicted_flags or 0),
        json.loads(row.predicted or "{}"),
    )
