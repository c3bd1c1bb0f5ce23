"""Agreement: where probabilities and labels of the same galaxies agree, and where they do not."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.nets.evaluate import countable
from galmorph.pages.binning import Binned, binned
from galmorph.sky.scheme import Labels, Scheme

__all__ = ["Judged"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Judged:
    """Galaxies with probabilities and labels.

    Parameters
    ----------
    scheme
        What was asked.
    conditional
        (N, A) probabilities given that a question is asked.
    labels
        Of the same rows.
    """

    scheme: Scheme
    conditional: FloatArray
    labels: Labels

    def counted(self, question: int) -> BoolArray:
        """Tell for which galaxies a question counts, (N,)."""
        return np.asarray(countable(self.labels)[:, self.scheme.slices[question]].all(axis=1))

    def answers(self, question: int) -> tuple[FloatArray, FloatArray]:
        """Return probabilities and vote fractions, (M, answers), of the M galaxies for which a question counts."""
        where, rows = self.scheme.slices[question], self.counted(question)
        return self.conditional[rows, where], self.labels.fractions[rows, where]

    def reliability(self, question: int) -> Binned:
        """Bin the answers of a question, all alike."""
        predicted, observed = self.answers(question)
        return binned(predicted.ravel(), observed.ravel())

    def confusion(self, question: int) -> npt.NDArray[np.int64]:
        """Count galaxies, (answers, answers), by the answer with most votes (rows) and the likeliest one (columns)."""
        predicted, observed = self.answers(question)
        n = observed.shape[1]
        matrix = np.zeros((n, n), np.int64)
        np.add.at(matrix, (observed.argmax(axis=1), predicted.argmax(axis=1)), 1)
        return matrix

    @property
    def truth(self) -> IntArray:
        """Answer to the first question with most votes, (N,), -1 where the question does not count."""
        first = np.nan_to_num(self.labels.fractions[:, self.scheme.slices[0]], nan=-1.0)
        return np.where(self.counted(0), first.argmax(axis=1), -1)

    @property
    def likeliest(self) -> IntArray:
        """Likeliest answer to the first question, (N,)."""
        return np.asarray(self.conditional[:, self.scheme.slices[0]].argmax(axis=1))

    def distance(self) -> FloatArray:
        """Return the RMS difference of probabilities and vote fractions over the first question's answers, (N,)."""
        where = self.scheme.slices[0]
        apart = self.conditional[:, where] - self.labels.fractions[:, where]
        return np.asarray(np.where(self.counted(0), np.sqrt(np.square(apart).mean(axis=1)), np.nan))

    def worst(self, n: int) -> list[int]:
        """Choose at most `n` galaxies whose likeliest answer is not that of most people, the farthest off first."""
        wrong = np.flatnonzero((self.truth >= 0) & (self.truth != self.likeliest))
        chosen: list[int] = wrong[np.argsort(-self.distance()[wrong], kind="stable")][:n].tolist()
        return chosen

    def best(self, n: int) -> list[list[int]]:
        """Choose for each answer of the first question at most `n` galaxies that are right, the most certain first."""
        where = self.scheme.slices[0]
        chosen = []
        for answer in range(where.stop - where.start):
            right = np.flatnonzero((self.truth == answer) & (self.likeliest == answer))
            chosen.append(right[np.argsort(-self.conditional[right, answer], kind="stable")][:n].tolist())
        return chosen
