"""Bins: outcomes averaged over equal ranges of probability, with their binomial errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["BINS", "Binned", "binned", "wilson"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

BINS = 10


@dataclass(frozen=True)
class Binned:
    """Outcomes in bins of the predicted probability, each (K,), empty bins left out.

    Parameters
    ----------
    predicted, observed
        Means of the probabilities and of the outcomes.
    scatter
        Standard deviation of the outcomes.
    low, high
        Binomial interval of 68 % about `observed` for `count` draws.
    count
        Values in the bin.
    """

    predicted: FloatArray
    observed: FloatArray
    scatter: FloatArray
    low: FloatArray
    high: FloatArray
    count: IntArray


def binned(predicted: FloatArray, observed: FloatArray, *, bins: int = BINS) -> Binned:
    """Average outcomes, (N,), which are 0 or 1 or fractions, in equal bins of the predicted probability, (N,)."""
    number = np.clip((predicted * bins).astype(np.intp), 0, bins - 1)
    inside = [number == b for b in range(bins) if (number == b).any()]
    means = np.array([observed[i].mean() for i in inside])
    count = np.array([i.sum() for i in inside], np.intp)
    low, high = wilson(means, count)
    return Binned(
        np.array([predicted[i].mean() for i in inside]),
        means,
        np.array([observed[i].std() for i in inside]),
        low,
        high,
        count,
    )


def wilson(share: FloatArray, count: IntArray | FloatArray, sigmas: float = 1.0) -> tuple[FloatArray, FloatArray]:
    """Return the ends of the interval of a binomial probability (Wilson 1927, JASA 22, 209): of 68 % for one sigma.

    For means of vote fractions it is an upper bound: a fraction between 0 and 1 scatters less than a draw of 0 or 1.
    """
    n, square = np.maximum(count, 1), sigmas**2
    middle = (share + 0.5 * square / n) / (1.0 + square / n)
    half = sigmas * np.sqrt(share * (1.0 - share) / n + 0.25 * square / n**2) / (1.0 + square / n)
    return np.maximum(middle - half, 0.0), np.minimum(middle + half, 1.0)
