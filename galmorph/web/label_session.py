"""LabelSession: somebody who labels: what comes next, what was answered, and the way back."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np

from galmorph.errors import SchemeError
from galmorph.sky.question_walk import QuestionWalk
from galmorph.web.galaxy_shown import probabilities_of

if TYPE_CHECKING:
    from galmorph.sky.scheme import Answer, Question, Scheme
    from galmorph.store.browsing import BrowsedRow
    from galmorph.store.labelling import StoredLabel

__all__ = ["Agreement", "KeyedAnswer", "LabelSession", "Skipped", "agreement_of", "keyed"]

_KEYS = "123456789abcdefghijklmnopqrtvwxyz"
"""Of answers; s and u are for skipping and undoing."""
_REMEMBERED = 500


@dataclass(frozen=True)
class KeyedAnswer:
    """An answer and the key that gives it."""

    key: str
    title: str
    letter: str


def keyed(question: Question) -> list[KeyedAnswer]:
    """Give each answer of a question a key."""
    letters = _KEYS.ljust(len(question.answers))
    return [KeyedAnswer(a.key, a.title, letter) for a, letter in zip(question.answers, letters, strict=False)]


@dataclass
class Skipped:
    """Galaxies that people passed over since the service started: by author and scheme."""

    _ids: dict[tuple[str, str], deque[tuple[str, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def add(self, author: str, scheme: str, id: str, after: int) -> None:
        """Remember that somebody passed a galaxy over, after the answer of a number."""
        with self._lock:
            self._ids.setdefault((author, scheme), deque(maxlen=_REMEMBERED)).append((id, after))

    def of(self, author: str, scheme: str) -> list[str]:
        """List the galaxies that somebody passed over."""
        with self._lock:
            return [galaxy for galaxy, _ in self._ids.get((author, scheme), ())]

    def take_back(self, author: str, scheme: str, last: int) -> str | None:
        """Forget the last galaxy that was passed over, if no answer came after it; return its id."""
        with self._lock:
            ids = self._ids.get((author, scheme))
            return ids.pop()[0] if ids and ids[-1][1] >= last else None


@dataclass(frozen=True)
class LabelSession:
    """What somebody labels.

    Parameters
    ----------
    store
        Where the labels go.
    scheme
        Whose questions are asked.
    author
        Who answers.
    queue
        Which galaxies come first.
    model
        How the model is asked for whose predictions say so; '' for none.
    skipped
        Who passed what over.
    only
        Ids of the galaxies that are labelled; all where there are none.
    """

    store: Any
    scheme: Scheme
    author: str
    queue: str
    model: str
    skipped: Skipped
    only: tuple[str, ...] = ()

    def next(self) -> str | None:
        """Return the galaxy that is to be labelled: one that was begun, or the first of the queue."""
        passed = self.skipped.of(self.author, self.scheme.name)
        last = self.store.labelling.last(self.scheme.name, self.author)
        is_listed = last is not None and (not self.only or last.id in self.only)
        if last is not None and is_listed and last.id not in passed and self.walk(last.id).next is not None:
            return str(last.id)
        model = self.store.model(self.model) if self.model else None
        chosen: str | None = self.store.labelling.next(
            model, self.scheme.name, self.author, self.queue, passed, self.only
        )
        return chosen

    def walk(self, id: str) -> QuestionWalk:
        """Return the way of a galaxy through the questions, as this author answered them."""
        labels: list[StoredLabel] = self.store.labelling.of_image(id, self.scheme.name, self.author)
        return QuestionWalk(self.scheme, {label.question: label.answer for label in labels})

    def answer(self, id: str, question: str, answer: str, seconds: float | None) -> bool:
        """Note an answer; return whether the galaxy is done.

        Raises
        ------
        SchemeError
            If the question is not asked of the galaxy, or has no such answer.
        """
        walk = self.walk(id)
        if not walk.allows(question, answer):
            raise SchemeError(
                f"question '{question[:80]}' is not asked of galaxy '{id[:80]}', or has no answer '{answer[:80]}': "
                "go back and answer what is asked"
            )
        if walk.answers.get(question) != answer:
            self.store.add_label(id, self.scheme.name, question, answer, author=self.author, seconds=seconds)
        return self.walk(id).next is None

    def skip(self, id: str) -> None:
        """Pass a galaxy over."""
        last = self.store.labelling.last(self.scheme.name, self.author)
        self.skipped.add(self.author, self.scheme.name, id, 0 if last is None else last.number)

    def undo(self) -> str | None:
        """Take the last step back, an answer or a galaxy that was passed over; return its galaxy."""
        last = self.store.labelling.last(self.scheme.name, self.author)
        passed = self.skipped.take_back(self.author, self.scheme.name, 0 if last is None else last.number)
        if passed is not None or last is None:
            return passed
        self.store.withdraw_label(last.number, self.author)
        return str(last.id)


@dataclass(frozen=True)
class Agreement:
    """What somebody and the network say of a galaxy.

    Parameters
    ----------
    agrees
        Whether the network's likeliest answer is theirs in the first question.
    sentence
        The same in words.
    rows
        For each question its title, the answer, the network's probability of it given the question, and its likeliest.
    """

    agrees: bool
    sentence: str
    rows: list[dict[str, Any]]


def agreement_of(walk: QuestionWalk, row: BrowsedRow) -> Agreement | None:
    """Lay answers beside a network's probabilities; None where there are none of either."""
    shares = np.array(probabilities_of(row.columns, walk.scheme))
    asked = [question for question in walk.path if question.name in walk.answers]
    if not asked or not np.isfinite(shares).any():
        return None
    places = dict(zip(walk.scheme.questions, walk.scheme.slices, strict=True))
    rows = [_row(question, walk.answers[question.name], shares[places[question]]) for question in asked]
    first = rows[0]
    agrees = first["answer"] == first["likeliest"]
    own, highest = (f"{100 * first[name]:.0f} %" for name in ("share", "highest"))
    verdict = (
        f"The network agrees: {first['answer']} ({highest})."
        if agrees
        else f"You: {first['answer']} (network: {own}). Network: {first['likeliest']} ({highest})."
    )
    return Agreement(agrees, verdict, rows)


def _row(question: Question, key: str, shares: Any) -> dict[str, Any]:
    """Return what both say of a question; of a tree, given that it is asked."""
    total = float(np.nansum(shares))
    conditional = np.nan_to_num(shares) / total if total > 0 else np.zeros(len(shares))
    best, own = int(conditional.argmax()), [answer.key for answer in question.answers].index(key)
    answers: tuple[Answer, ...] = question.answers
    return {
        "question": question.title,
        "answer": answers[own].title,
        "share": float(conditional[own]),
        "likeliest": answers[best].title,
        "highest": float(conditional[best]),
    }
