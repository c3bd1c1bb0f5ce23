"""QuestionWalk: the way of one galaxy through the questions of a scheme, as somebody answers them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.sky.scheme import Question, Scheme

__all__ = ["QuestionWalk", "entropy_bits"]


@dataclass(frozen=True)
class QuestionWalk:
    """Questions that were answered of a galaxy, and those that follow.

    Parameters
    ----------
    scheme
        Whose questions they are.
    answers
        Key of the answer by name of the question.

    Examples
    --------
    >>> from galmorph.sky.scheme import load_scheme
    >>> walk = QuestionWalk(load_scheme("gz-ceers"), {})
    >>> walk.next.name
    'smooth_or_featured'
    >>> QuestionWalk(walk.scheme, {"smooth_or_featured": "smooth_or_featured__smooth"}).next.name
    'how_rounded_is_it'
    """

    scheme: Scheme
    answers: Mapping[str, str]

    @property
    def path(self) -> list[Question]:
        """The questions that are asked of this galaxy, in order, as far as answers say."""
        asked: list[Question] = []
        reached: set[str] = set()
        for question in self.scheme.questions:
            if question.parents and reached.isdisjoint(question.parents):
                continue
            asked.append(question)
            if (key := self.answers.get(question.name)) in {a.key for a in question.answers}:
                reached.add(str(key))
        return asked

    @property
    def next(self) -> Question | None:
        """The first question that is asked and not answered; None once the galaxy is done."""
        return next((q for q in self.path if q.name not in self.answers), None)

    def allows(self, question: str, answer: str) -> bool:
        """Whether a question is asked of this galaxy and has such an answer."""
        return any(q.name == question and answer in {a.key for a in q.answers} for q in self.path)


def entropy_bits(shares: npt.ArrayLike) -> float:
    """Return how undecided a question is, in bits, by the probabilities of its answers, (A,), which need not sum to 1.

    References
    ----------
    Shannon 1948; as a measure of what to label next: Lewis & Gale 1994 (uncertainty sampling).

    Examples
    --------
    >>> entropy_bits([0.5, 0.5]), entropy_bits([1.0, 0.0])
    (1.0, 0.0)
    """
    positive = np.asarray(shares, np.float64)
    positive = positive[positive > 0] / max(float(positive.sum()), 1e-300)
    return float(-(positive * np.log2(positive)).sum()) + 0.0
