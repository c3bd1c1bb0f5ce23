"""Strangeness: how far a row lies from all others, as a share, and what marks of a user change about it.

The distance is that of Mahalanobis (1936) from the mean, which is the length of a whitened vector. It is calibrated by
the rows themselves, or by those of another table: a strangeness of .99 says that 99 of 100 reference rows lie nearer
(one less a conformal p-value; Laxhammar & Falkman 2010). Marks are followed as in active search for anomalies
(Lochner & Bassett 2021, Astronomy and Computing 36, 100481), by a Gaussian process (Rasmussen & Williams 2006, chapter
2) whose mean is the distance: near a mark the user's word holds, far from all of them the distance does.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from galmorph.likeness.feature_space import FeatureSpace, fit_space

__all__ = ["Belief", "Strangeness", "fit_strangeness"]

Single = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

_AT_ONCE = 65_536
_USUAL = -1.0
"""What the process expects of a row whose distance is usual, before any mark: not odd."""
_SAMPLE = 1000
"""Rows by whose distances from each other the reach of a mark is chosen."""


@dataclass(frozen=True)
class Belief:
    """How much distances and marks are believed; as a half of the galaxies of the benchmark has taught.

    Parameters
    ----------
    shrinkage
        Of variances towards their mean: see :func:`galmorph.likeness.feature_space.fit_space`.
    slope
        How much more a row is expected to be odd, before any mark, for each standard deviation of the logarithm of its
        distance.
    reach
        Square of the distance over which a mark is believed, in medians of those between two rows.
    noise
        Variance of a mark, +1 or -1: a user's word is not the last.
    """

    shrinkage: float = 0.35
    slope: float = 0.25
    reach: float = 2.0
    noise: float = 0.5


@dataclass(frozen=True)
class Strangeness:
    """What is usual.

    Parameters
    ----------
    space
        Whitened, about the mean of the reference rows.
    reference
        (M,) logarithms of their squared distances, rising.
    belief
        How much they and marks are believed.
    sample
        (S, D) some of the reference rows, whitened.
    """

    space: FeatureSpace
    reference: FloatArray
    belief: Belief
    sample: FloatArray

    def share(self, values: Single, *, is_own: bool) -> Single:
        """Return which share of the reference rows is less strange than each of some, (N, F) -> (N,).

        Parameters
        ----------
        is_own
            Whether the rows are the reference themselves, each of which is then not compared with itself.
        """
        below = np.searchsorted(self.reference, self._logs(values), side="left")
        others = len(self.reference) - is_own
        # With n others there is no more to say than that a row is the strangest of n + 1.
        return ((below + 0.5) / (others + 1)).astype(np.float32)

    def marked(self, values: Single, odd: IntArray, usual: IntArray) -> FloatArray:
        """Return how odd rows are expected to be called, -1 to 1 and beyond, given what some were called, (N,).

        Parameters
        ----------
        values
            (N, F).
        odd, usual
            Places of the rows that were marked, at least one in all.
        """
        marks = np.concatenate([odd, usual])
        said = np.concatenate([np.ones(len(odd)), -np.ones(len(usual))])
        expected, placed = self._expected(values), self.space.placed(values[marks]).astype(np.float64)
        covariance = _kernel(placed, placed, self._reach) + self.belief.noise * np.eye(len(marks))
        pull = np.linalg.solve(covariance, said - expected[marks])
        for first in range(0, len(values), _AT_ONCE):
            some = slice(first, first + _AT_ONCE)
            near = _kernel(self.space.placed(values[some]).astype(np.float64), placed, self._reach)
            expected[some] += near @ pull
        return expected

    def _logs(self, values: Single) -> FloatArray:
        """Return logarithms of squared distances, (N,)."""
        squares = np.empty(len(values))
        for first in range(0, len(values), _AT_ONCE):
            placed = self.space.placed(values[first : first + _AT_ONCE]).astype(np.float64)
            squares[first : first + _AT_ONCE] = np.einsum("nd,nd->n", placed, placed)
        return np.log(np.maximum(squares, np.finfo(np.float32).tiny))

    def _expected(self, values: Single) -> FloatArray:
        spread = float(self.reference.std())
        away = (self._logs(values) - float(self.reference.mean())) / (spread if spread > 0 else 1.0)
        return np.asarray(_USUAL + self.belief.slope * away)

    @cached_property
    def _reach(self) -> float:
        """The square of the distance over which a mark is believed."""
        reach = self.belief.reach * float(np.median(_squares(self.sample, self.sample)))
        return reach if reach > 0 else 1.0


def fit_strangeness(reference: Single, belief: Belief | None = None) -> Strangeness:
    """Fit what is usual to the vectors of reference rows, (M, F)."""
    belief = belief or Belief()
    space = fit_space(reference, whiten=True, shrinkage=belief.shrinkage)
    sample = space.placed(reference[:: -(-len(reference) // _SAMPLE)]).astype(np.float64)
    unsorted = Strangeness(space, np.zeros(0), belief, sample)
    return replace(unsorted, reference=np.sort(unsorted._logs(reference)))  # noqa: SLF001 - its own


def _kernel(one: FloatArray, other: FloatArray, reach: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * _squares(one, other) / reach))


def _squares(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return squared distances between all rows of two arrays, (N, D) and (M, D) -> (N, M)."""
    sums = np.einsum("nd,nd->n", one, one)[:, None] + np.einsum("md,md->m", other, other)
    return np.asarray(np.maximum(sums - 2.0 * (one @ other.T), 0.0))
