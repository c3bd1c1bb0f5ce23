"""Strangeness: how far a row lies from all others, as a share, and what marks of a user change about it.

The distance is that of Mahalanobis (1936) from the mean, which is the length of a whitened vector. It is calibrated by
the rows themselves, or by those of another table: a strangeness of .99 says that 99 of 100 reference rows lie nearer
(one less a conformal p-value; Laxhammar & Falkman 2010). Marks are followed as in active search for anomalies
(Lochner & Bassett 2021, Astronomy and Computing 36, 100481). What tells rows that were called odd from all others,
nearly all of which are usual though nobody said so, is a linear regression on whitened vectors (Bishop 2006, section
3.3); what it leaves of the marks is a Gaussian process of short reach (Rasmussen & Williams 2006, chapter 2). Both
start from the distance, so that it holds far from all marks.
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
"""Rows by whose distances from each other the reach of a mark is chosen, and that stand for all in the regression."""
_FREE = 1e-3
"""Precision of its constant."""


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
    unmarked
        For how many marks as usual all reference rows together count in the regression.
    ridge
        Precision of its coefficients before any mark, with a variance of 1 of a mark.
    """

    shrinkage: float = 0.35
    slope: float = 0.25
    reach: float = 2.0
    noise: float = 2.0
    unmarked: float = 10.0
    ridge: float = 50.0


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
    sample_logs
        (S,) logarithms of their squared distances.
    """

    space: FeatureSpace
    reference: FloatArray
    belief: Belief
    sample: FloatArray
    sample_logs: FloatArray

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
        placed = self._placed(values[marks])
        line = self._line(placed[: len(odd)])
        left = said - self._expected(placed, line)
        pull = np.linalg.solve(_kernel(placed, placed, self._reach) + self.belief.noise * np.eye(len(marks)), left)
        expected = np.empty(len(values))
        for first in range(0, len(values), _AT_ONCE):
            some = self._placed(values[first : first + _AT_ONCE])
            near = _kernel(some, placed, self._reach) @ pull
            expected[first : first + _AT_ONCE] = self._expected(some, line) + near
        return expected

    def _line(self, odd: FloatArray) -> FloatArray:
        """Fit the regression to rows that were called odd, (M, D), and to the sample; coefficients, (D + 1,).

        Rows that were called usual are left to the process: they are those that a user was shown, which look odd, and
        taught by them the regression turns away from all that looks so.
        """
        if len(odd) == 0:  # nothing tells what nobody has called odd
            return np.zeros(self.sample.shape[1] + 1)
        rows = _with_one(np.concatenate([odd, self.sample]))
        away = np.concatenate([self._away(_log_squares(odd)), self._away(self.sample_logs)])
        said = np.repeat([1.0, _USUAL], [len(odd), len(self.sample)])
        weights = np.repeat([1.0, self.belief.unmarked / len(self.sample)], [len(odd), len(self.sample)])
        # The constant is free: nobody knows how many odd ones there are.
        precision = np.diag(np.append(np.full(rows.shape[1] - 1, self.belief.ridge), _FREE))
        weighted = rows * weights[:, None]
        return np.asarray(np.linalg.solve(weighted.T @ rows + precision, weighted.T @ (said - away)))

    def _expected(self, placed: FloatArray, line: FloatArray) -> FloatArray:
        """Return what is expected of rows, (N, D) -> (N,), before marks pull at their neighbours."""
        return np.asarray(self._away(_log_squares(placed)) + _with_one(placed) @ line)

    def _away(self, logs: FloatArray) -> FloatArray:
        """Return what is expected of rows before any mark, (N,), by the logarithms of their squared distances."""
        spread = float(self.reference.std())
        away = (logs - float(self.reference.mean())) / (spread if spread > 0 else 1.0)
        return np.asarray(_USUAL + self.belief.slope * away)

    def _placed(self, values: Single) -> FloatArray:
        return self.space.placed(values).astype(np.float64)

    def _logs(self, values: Single) -> FloatArray:
        """Return logarithms of squared distances, (N,)."""
        logs = np.empty(len(values))
        for first in range(0, len(values), _AT_ONCE):
            logs[first : first + _AT_ONCE] = _log_squares(self._placed(values[first : first + _AT_ONCE]))
        return logs

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
    unsorted = Strangeness(space, np.zeros(0), belief, sample, _log_squares(sample))
    return replace(unsorted, reference=np.sort(unsorted._logs(reference)))  # noqa: SLF001 - its own


def _log_squares(placed: FloatArray) -> FloatArray:
    """Return logarithms of squared lengths, (N, D) -> (N,)."""
    squares = np.einsum("nd,nd->n", placed, placed)
    return np.asarray(np.log(np.maximum(squares, np.finfo(np.float32).tiny)))


def _with_one(rows: FloatArray) -> FloatArray:
    """Return rows with a column of ones, for the constant, (N, D) -> (N, D + 1)."""
    return np.column_stack([rows, np.ones(len(rows))])


def _kernel(one: FloatArray, other: FloatArray, reach: float) -> FloatArray:
    return np.asarray(np.exp(-0.5 * _squares(one, other) / reach))


def _squares(one: FloatArray, other: FloatArray) -> FloatArray:
    """Return squared distances between all rows of two arrays, (N, D) and (M, D) -> (N, M)."""
    sums = np.einsum("nd,nd->n", one, one)[:, None] + np.einsum("md,md->m", other, other)
    return np.asarray(np.maximum(sums - 2.0 * (one @ other.T), 0.0))
