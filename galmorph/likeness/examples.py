"""Examples: rows that a user likes and dislikes, as one direction in which those alike lie.

Two ways. Rocchio (1971, in The SMART Retrieval System): the mean of the likes less a part of the mean of the dislikes.
Logistic: the weights of a regression that tells the likes from the dislikes, and from rows drawn evenly from the table,
most of which are neither; it needs some of both to be the better one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

__all__ = ["logistic", "rocchio"]

Single = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]

_DISLIKED = 0.5
"""Part of the mean of the dislikes that is taken off (0.15 to 0.75 in the literature, and of little consequence)."""
_BACKGROUND = 500
"""Rows of the table that stand for all others; together they count as much as one dislike."""


def rocchio(liked: Single, disliked: Single) -> Single:
    """Return the direction, (D,), from some examples, (K, D) with K > 0, away from others, (L, D)."""
    direction = liked.mean(axis=0, dtype=np.float64)
    if len(disliked):
        direction = direction - _DISLIKED * disliked.mean(axis=0, dtype=np.float64)
    return _unit(direction)


def logistic(liked: Single, disliked: Single, all_rows: Single, *, strength: float = 10.0) -> Single:
    """Return the direction, (D,), of a logistic regression between examples, (K, D), and others, (L, D).

    Parameters
    ----------
    all_rows
        (M, D) directions of the whole table.
    strength
        Variance that a weight is expected to have: the less, the nearer to the difference of the means.
    """
    others = all_rows[:: -(-len(all_rows) // _BACKGROUND)]
    values = np.concatenate([liked, disliked, others]).astype(np.float64)
    signs = np.concatenate([np.ones(len(liked)), -np.ones(len(disliked) + len(others))])
    rest = 1.0 / (1 + len(disliked))
    counted = np.concatenate([
        np.full(len(liked), 1.0 / len(liked)),
        np.full(len(disliked), rest),
        np.full(len(others), rest / len(others)),
    ])  # fmt: skip
    return _unit(_fitted(values, signs, counted * len(liked), strength)[:-1])


def _fitted(values: FloatArray, signs: FloatArray, counted: FloatArray, strength: float) -> FloatArray:
    """Return the likeliest weights, (D,), and offset of a logistic regression: (D + 1,)."""

    def loss(weights: FloatArray) -> tuple[float, FloatArray]:
        margin = signs * (values @ weights[:-1] + weights[-1])
        pull = -counted * signs * scipy.special.expit(-margin)
        slope = np.append(values.T @ pull + weights[:-1] / strength, pull.sum())
        penalty = 0.5 * float(weights[:-1] @ weights[:-1]) / strength
        return float((counted * np.logaddexp(0.0, -margin)).sum()) + penalty, slope

    start = np.zeros(values.shape[1] + 1)
    weights: FloatArray = scipy.optimize.minimize(loss, start, jac=True, method="L-BFGS-B").x
    return weights


def _unit(direction: FloatArray) -> Single:
    length = float(np.linalg.norm(direction))
    return (direction / length if length > 0 else direction).astype(np.float32)
