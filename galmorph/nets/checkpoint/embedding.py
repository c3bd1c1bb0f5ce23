"""Embedding: how far the features of a stamp lie from those of the training stamps.

The features are what the last dense layer sees. Their distance is that of Mahalanobis (Lee et al. 2018,
arXiv:1807.03888, with one mean), under a covariance of a few principal axes and the same variance along all others
(Tipping & Bishop 1999), slightly shrunk. What a network has not been taught to tell apart may leave its features alone,
so that this finds many strange stamps, not all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["Embedding", "fit_embedding"]

FloatArray = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
_AXES = 64
_NUMBERS = 100_000  # 0.4 MB of single precision
_SHRINKAGE = 1e-3
_FEWEST = 20


@dataclass(frozen=True)
class Embedding:
    """Where the training stamps lie among all features.

    Parameters
    ----------
    mean
        (F,) of the features.
    axes
        (F, D) principal axes of length 1.
    variances
        (D + 1,) along each of them, and along every other direction.
    limit
        Distance beyond which a stamp is outside.
    false_alarms
        Share of the calibration part that lies beyond it.
    """

    mean: Single
    axes: Single
    variances: Single
    limit: float
    false_alarms: float

    def distance(self, features: FloatArray) -> FloatArray:  # (N, F) -> (N,)
        """Mahalanobis distance from the mean of the training stamps."""
        away = features - self.mean.astype(np.float64)
        along = away @ self.axes.astype(np.float64)
        *_, rest = self.variances.astype(np.float64)
        squares = (along**2 / self.variances[:-1]).sum(axis=1)
        if self.axes.shape[1] < len(self.mean):
            squares = squares + np.maximum((away**2).sum(axis=1) - (along**2).sum(axis=1), 0.0) / rest
        root: FloatArray = np.sqrt(squares)
        return root

    def tensors(self) -> dict[str, Single]:
        """Arrays to store."""
        return {"mean": self.mean, "axes": self.axes, "variances": self.variances}

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: what the header of a checkpoint says."""
        return {"limit": self.limit, "false_alarms": self.false_alarms}

    @classmethod
    def from_dict(cls, header: Mapping[str, Any], tensors: Mapping[str, Single]) -> Embedding:
        """Read the header and the arrays of a checkpoint.

        Raises
        ------
        ValueError
            If the arrays do not fit each other.
        """
        mean, axes, variances = (np.asarray(tensors[n], np.float32) for n in ("mean", "axes", "variances"))
        if axes.shape != (len(mean), len(variances) - 1) or not (variances > 0).all():
            raise ValueError("the arrays of its embedding do not fit each other")
        limit, false_alarms = float(header["limit"]), float(header["false_alarms"])
        if not (0.0 < limit < np.inf and 0.0 < false_alarms < 1.0):
            raise ValueError(
                f"its embedding has limit {limit} and false_alarms {false_alarms}, expected a positive one and a share"
            )
        return cls(mean, axes, variances, limit, false_alarms)


def fit_embedding(training: FloatArray, calibration: FloatArray, *, false_alarms: float = 0.01) -> Embedding | None:
    """Fit to the features of training stamps; the limit follows from those of a calibration part.

    Parameters
    ----------
    training, calibration
        (N, F), (M, F) features. The training part has been fitted by the network and lies closer, so that it says
        nothing about the limit.
    false_alarms
        Share of galaxies like those of the calibration part that may be called outside.

    Returns
    -------
    None where there are fewer than 20 stamps in one of the parts, or the features are all the same.
    """
    if min(len(training), len(calibration)) < _FEWEST:
        return None
    mean = training.mean(axis=0)
    values, vectors = np.linalg.eigh(np.atleast_2d(np.cov(training, rowvar=False)))
    usual = float(values.mean())
    if not usual > 0.0:
        return None
    kept = min(_AXES, _NUMBERS // len(mean), len(mean))
    variances = np.maximum(values[::-1], 0.0) * (1.0 - _SHRINKAGE) + _SHRINKAGE * usual
    rest = variances[kept:].mean() if kept < len(mean) else variances[-1]
    unlimited = Embedding(
        mean.astype(np.float32),
        vectors[:, ::-1][:, :kept].astype(np.float32),
        np.append(variances[:kept], rest).astype(np.float32),
        float("inf"),
        float(false_alarms),
    )
    return replace(unlimited, limit=_limit(unlimited.distance(calibration), false_alarms))


def _limit(distances: FloatArray, false_alarms: float) -> float:
    """Distance that at most this share of galaxies to come exceeds: the finite-sample quantile (conformal p-value)."""
    rank = int(np.ceil((len(distances) + 1) * (1.0 - false_alarms)))
    # With fewer than 1 / false_alarms galaxies the largest distance has to do.
    return float(np.sort(distances)[min(rank, len(distances)) - 1])
