"""LabelRows: what people answered about the images of a store, with author and time; withdrawn, but never deleted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import sqlalchemy as sa
from astropy.table import Table

from galmorph.errors import SchemeError, StoreError, unknown_name
from galmorph.sky.scheme import Scheme
from galmorph.store.database import Database
from galmorph.store.image_rows import ImageRows
from galmorph.store.schema import IMAGES, LABELS, now

__all__ = ["LabelRows"]


class LabelRows:
    """The table of labels.

    Parameters
    ----------
    database
        Where it is.
    scheme_of
        Finds a scheme by its name.
    """

    def __init__(self, database: Database, scheme_of: Callable[[str], Scheme]) -> None:
        self._database, self._scheme_of = database, scheme_of

    def add(
        self, id: str, scheme: str, question: str, answer: str, author: str, at: str | None, seconds: float | None
    ) -> int:
        """Note an answer; return its number.

        Raises
        ------
        StoreError
            If there is no such image, or nobody answered.
        SchemeError
            If the scheme has no such question or answer.
        """
        if not author.strip() or len(author) > 200 or not author.isprintable():
            raise StoreError(f"author '{author[:40]}': expected a name; give one")
        _check_answer(self._scheme_of(scheme), question, answer)
        if at is not None:
            _check_time(at)
        row = {"scheme": scheme, "question": question, "answer": answer, "author": author, "seconds": seconds}
        with self._database.writing() as connection:
            image = connection.scalar(sa.select(IMAGES.c.number).where(IMAGES.c.id == id))
            if image is None:
                raise StoreError(
                    f"store '{self._database.title}' has no image '{id[:200]}': expected one that was added"
                )
            insert = sa.insert(LABELS).values(row | {"image": image, "created": at or now()})
            return int(connection.execute(insert.returning(LABELS.c.number)).scalar_one())

    def withdraw(self, number: int, author: str) -> None:
        """Take back an answer of one's own.

        Raises
        ------
        StoreError
            If it is another's, there is none, or it was withdrawn before.
        """
        own = sa.and_(LABELS.c.number == number, LABELS.c.author == author, LABELS.c.withdrawn.is_(None))
        with self._database.writing() as connection:
            count = connection.execute(sa.update(LABELS).where(own).values(withdrawn=now())).rowcount
        if not count:
            raise StoreError(f"label {number} is none of {author}'s that holds: expected the number of one; look it up")

    def log(self, scheme: str | None = None, author: str | None = None) -> Table:
        """Return every answer there was, withdrawn ones too, in the order in which they came."""
        names = ("number", "scheme", "question", "answer", "author", "created", "seconds", "withdrawn")
        wanted = sa.select(*(LABELS.c[name] for name in names), IMAGES.c.id).join(
            IMAGES, IMAGES.c.number == LABELS.c.image
        )
        rows = self._rows(wanted.order_by(LABELS.c.number), scheme, author)
        text = ("scheme", "question", "answer", "author", "created")
        columns: dict[str, Any] = {"number": np.array([row.number for row in rows], np.int64)}
        columns["id"] = np.array([row.id for row in rows], np.str_)
        columns |= {name: np.array([getattr(row, name) for row in rows], np.str_) for name in text}
        columns["seconds"] = np.array([np.nan if row.seconds is None else row.seconds for row in rows], np.float64)
        columns["withdrawn"] = np.array([row.withdrawn or "" for row in rows], np.str_)
        return Table(columns)

    def table(self, images: ImageRows, scheme: str, author: str | None = None) -> Table:
        """Return a row for each image with labels: votes for each answer of a scheme, as training reads them.

        Of several answers of one author to one question the last one counts.
        """
        tree = self._scheme_of(scheme)
        votes = self._votes(tree, author)
        wanted = sa.select(IMAGES.c.number, IMAGES.c.id, IMAGES.c.ra, IMAGES.c.dec).order_by(IMAGES.c.number)
        with self._database.reading() as connection:
            rows = [row for row in connection.execute(wanted) if row.number in votes]
        files = images.names_in_folder()
        columns: dict[str, Any] = {
            "id": np.array([row.id for row in rows], np.str_),
            "file": np.array([files.get(row.number, "") for row in rows], np.str_),
            "ra": _degrees([row.ra for row in rows]),
            "dec": _degrees([row.dec for row in rows]),
        }
        columns |= {key: np.array([votes[row.number][key] for row in rows], np.float64) for key in tree.keys}
        return Table(columns, meta={"GMSCHEME": scheme})

    def counts(self, scheme: str) -> dict[str, int]:
        """Return how many answers of each author hold."""
        holding = sa.select(LABELS.c.author, sa.func.count()).where(
            LABELS.c.withdrawn.is_(None), LABELS.c.scheme == scheme
        )
        with self._database.reading() as connection:
            return {author: int(count) for author, count in connection.execute(holding.group_by(LABELS.c.author))}

    def _votes(self, scheme: Scheme, author: str | None) -> dict[int, dict[str, float]]:
        """Count for each image who gave which answer; of independent ones the share of those who were asked."""
        wanted = sa.select(LABELS.c.image, LABELS.c.question, LABELS.c.answer, LABELS.c.author)
        rows = self._rows(wanted.where(LABELS.c.withdrawn.is_(None)).order_by(LABELS.c.number), scheme.name, author)
        is_free = scheme.kind == "independent"
        last: dict[tuple[Any, ...], str] = {}
        authors: dict[int, set[str]] = defaultdict(set)
        for image, question, answer, name in rows:
            last[image, name, answer if is_free else question] = answer
            authors[image].add(name)
        votes = {image: dict.fromkeys(scheme.keys, 0.0) for image in authors}
        for (image, _, _), answer in last.items():
            votes[image][answer] += 1.0 / len(authors[image]) if is_free else 1.0
        return votes

    def _rows(self, wanted: sa.Select[Any], scheme: str | None, author: str | None) -> Sequence[Any]:
        if scheme is not None:
            wanted = wanted.where(LABELS.c.scheme == scheme)
        if author is not None:
            wanted = wanted.where(LABELS.c.author == author)
        with self._database.reading() as connection:
            return connection.execute(wanted).all()


def _check_answer(scheme: Scheme, question: str, answer: str) -> None:
    questions: Mapping[str, Any] = {each.name: each for each in scheme.questions}
    if question not in questions:
        raise SchemeError(unknown_name(f"question of scheme '{scheme.name}'", question, questions))
    keys = [each.key for each in questions[question].answers]
    if answer not in keys:
        raise SchemeError(unknown_name(f"answer to '{question}' of scheme '{scheme.name}'", answer, keys))


def _check_time(text: str) -> None:
    try:
        datetime.fromisoformat(text)
    except ValueError as error:
        raise StoreError(f"time of a label '{text[:40]}': expected ISO 8601; give 2026-01-31T12:00:00Z") from error


def _degrees(values: Sequence[float | None]) -> Any:
    return np.array([np.nan if value is None else value for value in values], np.float64)
