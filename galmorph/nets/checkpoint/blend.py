"""Blend: how much each of several networks should count, from votes that they have not seen."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from galmorph.sky.scheme import Labels, Scheme

__all__ = ["fit_shares", "mean_log_likelihood"]

FloatArray = npt.NDArray[np.float64]
_STEPS = 500
_LEAST = 1e-3
_TINY = 1e-12


def mean_log_likelihood(
    predictions: Sequence[FloatArray], shares: Sequence[float], labels: Labels, scheme: Scheme
) -> float:
    """Return the mean logarithm of the probability that a mixture of predictions gives each vote.

    Parameters
    ----------
    predictions
        K of (N, A): conditional probabilities.
    shares
        K, with sum 1.
    labels
        Votes of the N rows.
    """
    chances, votes = _chances(predictions, labels, scheme)
    return float((votes * np.log(np.array(shares) @ chances)).sum() / votes.sum())


def fit_shares(predictions: Sequence[FloatArray], labels: Labels, scheme: Scheme, *, equal: float = 0.0) -> list[float]:
    """Find the shares of a mixture of predictions that make votes likeliest.

    The likelihood is concave in the shares, and each step of expectation maximisation (Dempster, Laird & Rubin 1977,
    J. R. Stat. Soc. B 39, 1) from equal ones raises it.

    Parameters
    ----------
    predictions
        K of (N, A): conditional probabilities, not calibrated.
    labels
        Votes of the N rows, which no network was trained on.
    equal
        With how many votes the belief counts that all shares are equal.

    Returns
    -------
    K positive shares with sum 1, none below 0.001; equal ones where there are no votes.
    """
    shares = np.full(len(predictions), 1.0 / len(predictions))
    chances, votes = _chances(predictions, labels, scheme)
    if not len(votes):
        return [float(s) for s in shares]
    for _ in range(_STEPS):
        owed = shares[:, None] * chances
        new = ((owed / owed.sum(axis=0)) @ votes + equal / len(shares)) / (votes.sum() + equal)
        moved, shares = float(np.abs(new - shares).max()), new
        if moved < 1e-6:
            break
    kept = np.maximum(shares, _LEAST)
    return [float(s) for s in kept / kept.sum()]


def _chances(predictions: Sequence[FloatArray], labels: Labels, scheme: Scheme) -> tuple[FloatArray, FloatArray]:
    """Return what each prediction gives the answers that got votes, (K, M), and their votes, (M,)."""
    p = np.stack([np.asarray(prediction, np.float64) for prediction in predictions])
    votes = labels.counts
    if scheme.kind == "independent":  # not giving an answer is one, too
        p, votes = np.concatenate([p, 1.0 - p], axis=2), np.concatenate([votes, labels.totals - votes], axis=1)
    voted = votes > 0
    return np.clip(p[:, voted], _TINY, 1.0), votes[voted].astype(np.float64)
