"""Balance: weights of galaxies that make up for answers that are rare among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.sky.scheme import Labels, Scheme

__all__ = ["class_weights", "share_weights"]

FloatArray = npt.NDArray[np.float64]
_BETA = 0.999


def class_weights(labels: Labels, scheme: Scheme, method: str) -> FloatArray:
    """Weight galaxies by how rare their answers to the first question are.

    Parameters
    ----------
    method
        ``'none'``; ``'balanced'``: every answer weighs the same in all; ``'effective'``: weights go as the inverse of
        (1 - β^n) / (1 - β), the effective number of n examples, β = .999 (Cui et al. 2019, arXiv:1901.05555).

    Returns
    -------
    (N,) weights whose mean over labelled galaxies is 1. A galaxy of several answers has the mean of their weights; one
    without a label has 1.
    """
    fractions = np.nan_to_num(labels.fractions[:, scheme.slices[0]])
    share = fractions / np.maximum(fractions.sum(axis=1, keepdims=True), 1e-12)
    labelled = share.sum(axis=1) > 0
    if method == "none" or not labelled.any():
        return np.ones(len(labels))
    n = share.sum(axis=0)
    amount = n if method == "balanced" else (1.0 - _BETA**n) / (1.0 - _BETA)
    weight = share @ np.divide(1.0, amount, out=np.zeros_like(n), where=n > 0)
    return np.where(labelled, weight / weight[labelled].mean(), 1.0)


def share_weights(labels: Labels, train: npt.NDArray[np.bool_], like: npt.NDArray[np.bool_]) -> FloatArray:
    """Weight training rows so that their answers get the shares that they have among other rows.

    Parameters
    ----------
    train
        (N,) rows that train.
    like
        (N,) rows with the shares that are wanted.

    Returns
    -------
    (N,) weights; 1 for rows that do not train.

    Raises
    ------
    PipelineError
        If no row of `like` has a label.
    """
    wanted, present = labels.counts[like].sum(axis=0), labels.counts[train].sum(axis=0)
    if wanted.sum() == 0:
        raise PipelineError("no labelled row outside the test part has the values of 'balance' in [split]: change them")
    weight = (wanted / wanted.sum()) / np.maximum(present / max(present.sum(), 1e-9), 1e-9)
    own = (labels.counts * weight).sum(axis=1) / np.maximum(labels.counts.sum(axis=1), 1e-9)
    return np.where(train, own, 1.0)
