"""LatentFactors: a few numbers for each galaxy that explain its votes, and are predicted from its features.

As van den Oord, Dieleman & Schrauwen (2013, NIPS 26) do for music: the matrix of who was voted what is factorised
(weighted alternating least squares; Hu, Koren & Volinsky 2008), and what a listener would need to have heard, here a
galaxy that nobody has voted on, gets its factors from its content, here by a ridge regression on its features.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.errors import SchemeError
from galmorph.likeness.feature_space import FeatureSpace, fit_space
from galmorph.sky.scheme import Labels

__all__ = ["LatentFactors", "fit_factors", "predicted_factors"]

Single = npt.NDArray[np.float32]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

_ROUNDS = 30
"""Rounds of alternating least squares: the error changes by less than a thousandth after 20."""
_PENALTY = 3.0
"""Votes for nothing that each factor is taken to have: galaxies with few votes lie near the mean."""
_RIDGE = 10.0
"""The same of the regression, in units of the variance of a whitened feature."""


@dataclass(frozen=True)
class LatentFactors:
    """What galaxies were voted, in a few numbers each.

    Parameters
    ----------
    means
        (A,) mean fraction of each answer.
    answers
        (A, K) loadings of the answers.
    galaxies
        (N, K) factors of the galaxies; 0 for those without votes.
    """

    means: FloatArray
    answers: FloatArray
    galaxies: FloatArray

    @property
    def fractions(self) -> FloatArray:
        """Fractions as far as the factors explain them, (N, A)."""
        return self.means + self.galaxies @ self.answers.T


def fit_factors(labels: Labels, number: int) -> LatentFactors:
    """Factorise fractions of votes, each with the weight of how many were asked.

    Parameters
    ----------
    labels
        Of N rows and A answers; rows without votes are no part of the fit.
    number
        Of factors, fewer than there are answers and rows with votes.

    Raises
    ------
    SchemeError
        If there are too few votes for so many.
    """
    counted, answers = labels.totals.astype(np.float64), labels.totals.shape[1]
    voted = counted.sum(axis=1) > 0
    if not 1 <= number < min(answers, int(voted.sum())):
        raise SchemeError(
            f"{number} factors of {answers} answers to {int(voted.sum())} rows with votes: expected at least 1, and "
            "fewer than either; ask for fewer, or give more votes"
        )
    weights, fractions = counted[voted], np.nan_to_num(labels.fractions[voted])
    means = (weights * fractions).sum(axis=0) / np.maximum(weights.sum(axis=0), 1e-9)
    away = np.where(weights > 0, fractions - means, 0.0)
    _, _, axes = np.linalg.svd(np.sqrt(weights) * away, full_matrices=False)
    loadings = axes[:number].T
    for _ in range(_ROUNDS):
        factors = _solved(away, weights, loadings)
        loadings = _solved(away.T, weights.T, factors)
    galaxies = np.zeros((len(labels), number))
    galaxies[voted] = _solved(away, weights, loadings)
    return LatentFactors(means, loadings, galaxies)


def predicted_factors(features: Single, voted: BoolArray, factors: FloatArray) -> Single:
    """Predict factors, (M, K), of all rows from features, (M, F), as those of rows with votes, (M,), teach it."""
    space: FeatureSpace = fit_space(features[voted], whiten=True)
    placed = space.placed(features).astype(np.float64)
    taught, mean = placed[voted], factors[voted].mean(axis=0)
    products = taught.T @ taught + _RIDGE * np.eye(taught.shape[1])
    weights = np.linalg.solve(products, taught.T @ (factors[voted] - mean))
    return np.asarray(mean + placed @ weights, np.float32)


def _solved(away: FloatArray, weights: FloatArray, loadings: FloatArray) -> FloatArray:
    """Solve one side of the factorisation, the other given: (N, A), (N, A), (A, K) -> (N, K)."""
    size = loadings.shape[1]
    products = np.einsum("na,ak,al->nkl", weights, loadings, loadings) + _PENALTY * np.eye(size)
    return np.asarray(np.linalg.solve(products, ((weights * away) @ loadings)[:, :, None])[:, :, 0])
