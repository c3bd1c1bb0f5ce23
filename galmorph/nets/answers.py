"""Answers: what networks say about galaxies, each of them in each orientation and view, and all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["Answers", "Passes", "deviation"]

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Answers:
    """What a checkpoint says about N galaxies.

    Parameters
    ----------
    conditional
        (N, A) calibrated probabilities given that each question is asked.
    spread
        (N, A) standard deviation, over networks and views, of the calibrated probabilities among all people; NaN where
        there is only one of both.
    features
        (N, F) what the last dense layer of the first network sees, averaged over orientations and views.
    """

    conditional: FloatArray
    spread: FloatArray
    features: FloatArray

    @classmethod
    def joined(cls, parts: Sequence[Answers], answers: int) -> Answers:
        """Set those of some galaxies below those of others; without any, those of none."""
        if not parts:
            nothing = np.zeros((0, answers))
            return cls(nothing, nothing, np.zeros((0, 0)))
        kinds = zip(*((p.conditional, p.spread, p.features) for p in parts), strict=True)
        return cls(*(np.concatenate(kind) for kind in kinds))


@dataclass(frozen=True)
class Passes:
    """What each network makes of B stamps in each orientation, not calibrated.

    Parameters
    ----------
    each
        (P, B, A) probabilities given that each question is asked.
    weights
        Of each network in each orientation, (P,), with a sum of 1.
    features
        (B, F) what the last dense layer of the first network sees, averaged over orientations.
    """

    each: FloatArray
    weights: FloatArray
    features: FloatArray

    def over_views(self, shares: FloatArray) -> Passes:
        """Take V stamps in a row for views of one galaxy with these shares, (V,): (P · V, B / V, A)."""
        views, answers = len(shares), self.each.shape[-1]
        rows = len(self.features) // views
        each = self.each.reshape(-1, rows, views, answers).transpose(0, 2, 1, 3).reshape(-1, rows, answers)
        features = np.tensordot(self.features.reshape(rows, views, -1), shares, axes=(1, 0))
        return Passes(each, np.outer(self.weights, shares).ravel(), features)

    @property
    def mean(self) -> FloatArray:
        """Their weighted mean, (B, A)."""
        return np.tensordot(self.weights, self.each, axes=1)


def deviation(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the standard deviation over the first axis of values, (P, ...), with weights that sum to 1, (P,)."""
    mean = np.tensordot(weights, values, axes=1)
    variance = np.tensordot(weights, (values - mean) ** 2, axes=1)
    # Equal weights give the usual divisor P - 1.
    spread: FloatArray = np.sqrt(variance / (1.0 - (weights**2).sum()))
    return spread
