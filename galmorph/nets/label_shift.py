"""LabelShift: populations with other shares than the classifier learnt from, and the errors of means over them.

A classifier says p(k|x) for the shares s of its own galaxies. Where another population differs from these in its
shares alone, and galaxies of a class look alike in both, its likelihoods are p(k|x) / s_k, and the shares that make
all that was seen likeliest are found by expectation and maximisation (EM; Saerens, Latinne & Decaestecker 2002,
Neural Computation 14, 21). They serve to weight a population like the classifier's own galaxies.

Errors come from draws. Galaxies: weights by the Bayesian bootstrap (Rubin 1981, Ann. Stat. 9, 130), with one
galaxy's worth of nothing-in-particular, so that a class that nobody saw gets an upper limit. Classifier: a
calibration fitted to n galaxies leaves the odds of the classes uncertain by what n galaxies can tell (the Fisher
information of logistic intercepts).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = [
    "Grouped",
    "bootstrap_weights",
    "calibration_draws",
    "likely_shares",
    "mean_shares",
    "pseudo_counts",
]

FloatArray = npt.NDArray[np.float64]

_TINY = 1e-12
_MOST_STEPS = 500
_SETTLED = 1e-6
"""Shares that change by less in a step have settled: a hundredth of the error that ten thousand galaxies give."""
_ROOM = 2_000_000
"""Numbers in one array of draws by rows: 16 MB."""
_MOST_ROWS = 5000
_GRID = 100
"""Beyond so many rows those with the same probabilities, to a hundredth, are taken together in draws."""
_KNOWN_ODDS = 1.0
"""Before any galaxy of a calibration is seen, its odds are known to a factor of e: for classes that were rare there."""


@dataclass(frozen=True)
class Grouped:
    """Rows of the same probabilities, taken together.

    Parameters
    ----------
    p
        (G, K) probabilities of classes, with a sum of 1.
    weight
        (G,) sums of the weights of their rows.
    square
        (G,) sums of the squares of these.
    """

    p: FloatArray
    weight: FloatArray
    square: FloatArray

    @classmethod
    def of(cls, p: FloatArray, weight: FloatArray) -> Grouped:
        """Group rows, (N, K) with weights (N,), where there are many."""
        if len(p) <= _MOST_ROWS:
            return cls(p, weight, weight**2)
        _, group = np.unique(np.rint(p * _GRID).astype(np.int16), axis=0, return_inverse=True)
        group = group.ravel()
        total = np.asarray(np.bincount(group, weight), np.float64)
        sums = np.stack([np.bincount(group, weight * p[:, k]) for k in range(p.shape[1])], axis=1)
        squares = np.asarray(np.bincount(group, weight**2), np.float64)
        return cls(sums / np.maximum(total, _TINY)[:, None], total, squares)

    @property
    def effective(self) -> float:
        """How many galaxies of equal weight tell as much."""
        return float(self.weight.sum() ** 2 / max(self.square.sum(), _TINY))

    @property
    def unit(self) -> float:
        """The weight of one such galaxy."""
        return float(self.square.sum() / max(self.weight.sum(), _TINY))

    @property
    def covariance(self) -> FloatArray:
        """That of the mean probabilities, (K, K), if one galaxy more could be of any class."""
        total = max(self.weight.sum(), _TINY)
        apart = self.p - self.weight @ self.p / total
        classes = self.p.shape[1]
        one = (np.eye(classes) - 1.0 / classes) / classes
        return np.asarray((apart.T * self.square) @ apart / total**2 + one / (self.effective + 1.0) ** 2)


def bootstrap_weights(rows: Grouped, draws: int, rng: np.random.Generator) -> FloatArray:
    """Draw weights of the rows, (B, G): of each galaxy its own, times an exponential variate."""
    used = rows.weight > 0
    shape = np.where(used, rows.weight**2 / np.maximum(rows.square, _TINY), 1.0)
    scale = np.where(used, rows.square / np.maximum(rows.weight, _TINY), 0.0)
    return rng.standard_gamma(np.maximum(shape, _TINY), (draws, len(shape))) * scale


def pseudo_counts(rows: Grouped, draws: int, rng: np.random.Generator) -> FloatArray:
    """Draw the weight of one galaxy that is of no class in particular, (B, K)."""
    classes = rows.p.shape[1]
    return rng.standard_gamma(1.0 / classes, (draws, classes)) * rows.unit


def mean_shares(p: FloatArray, weights: FloatArray, factors: FloatArray, extra: FloatArray | float = 0.0) -> FloatArray:
    """Average probabilities, (N, K), by weights, (B, N), after their odds were changed by factors, (B, K): (B, K)."""
    out = np.empty(factors.shape)
    for part in _parts(len(out), len(p)):
        chances = np.maximum(factors[part] @ p.T, _TINY)
        out[part] = factors[part] * ((weights[part] / chances) @ p)
    return _summing_to_one(out + extra)


def likely_shares(p: FloatArray, weights: FloatArray, factors: FloatArray) -> FloatArray:
    """Find the likeliest shares of classes by EM.

    Parameters
    ----------
    p
        (N, K) probabilities.
    weights
        (B, N) of the rows in each draw.
    factors
        (B, K): likelihoods are the probabilities times these, 1 / s for shares s of the classifier's own galaxies.

    Returns
    -------
    (B, K) shares, with a sum of 1.
    """
    out = np.empty(factors.shape)
    for part in _parts(len(out), len(p)):
        out[part] = _settled_shares(p, weights[part], factors[part])
    return out


def _settled_shares(p: FloatArray, weights: FloatArray, factors: FloatArray) -> FloatArray:
    """Repeat steps of EM until all draws have settled, each third one a leap (SQUAREM).

    Varadhan & Roland 2008, Scand. J. Stat. 35, 335, scheme S3: two steps say how far a third would still go. A leap
    beyond 0 is not taken.
    """
    shares = np.full(factors.shape, 1.0 / factors.shape[1])
    for _ in range(_MOST_STEPS // 3):
        once = _stepped(shares, p, weights, factors)
        twice = _stepped(once, p, weights, factors)
        step, bend = once - shares, twice - 2.0 * once + shares
        sizes = [np.linalg.norm(each, axis=1, keepdims=True) for each in (step, bend)]
        length = np.maximum(sizes[0] / np.maximum(sizes[1], _TINY), 1.0)
        leap = shares + 2.0 * length * step + length**2 * bend
        start = np.where((leap > 0.0).all(axis=1, keepdims=True), leap, twice)
        before, shares = shares, _stepped(_summing_to_one(start), p, weights, factors)
        if np.abs(shares - before).max() < _SETTLED:
            break
    return shares


def _stepped(shares: FloatArray, p: FloatArray, weights: FloatArray, factors: FloatArray) -> FloatArray:
    """Take one step of EM: the shares, (B, K), that the expected classes of all rows have."""
    scaled = shares * factors
    return _summing_to_one(scaled * ((weights / np.maximum(scaled @ p.T, _TINY)) @ p))


def _summing_to_one(values: FloatArray) -> FloatArray:
    total = values.sum(axis=-1, keepdims=True)
    shares: FloatArray = np.divide(values, total, out=np.full(values.shape, np.nan), where=total > 0)
    return shares


def _parts(draws: int, rows: int) -> list[slice]:
    step = max(_ROOM // max(rows, 1), 1)
    return [slice(i, i + step) for i in range(0, draws, step)]


def calibration_draws(
    rows: Grouped, source: FloatArray, galaxies: int, rmse: float, draws: int, rng: np.random.Generator
) -> FloatArray:
    """Draw by how much a calibration may be off.

    Parameters
    ----------
    rows
        Of the population; weighted as if their shares were those of the classifier's own galaxies, they stand for the
        galaxies of the calibration.
    source
        (K,) shares of these.
    galaxies
        How many they were.
    rmse
        Of their labels about their probabilities. Shares of votes scatter less about these than classes do, and tell
        more; NaN for classes.

    Returns
    -------
    Factors of the odds, (B, K).
    """
    shares = likely_shares(rows.p, rows.weight[None], 1.0 / source[None])
    weight = rows.weight / np.maximum((shares / source) @ rows.p.T, _TINY)[0]
    weight = weight / weight.sum()
    mean = weight @ rows.p
    second = (rows.p * weight[:, None]).T @ rows.p
    information = np.diag(mean) - second
    scatter = len(source) * rmse**2 / max(float(np.trace(information)), _TINY)
    excess = scatter if np.isfinite(scatter) else 1.0
    precision = galaxies * information / max(excess, _TINY) + np.eye(len(source)) / _KNOWN_ODDS**2
    offsets = rng.multivariate_normal(np.zeros(len(source)), np.linalg.inv(precision), draws, method="eigh")
    return np.exp(offsets)
