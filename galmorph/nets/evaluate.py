"""Evaluation: how well probabilities agree with votes and classes.

Vote fractions are noisy truth: with n votes a fraction y has a binomial variance y (1 - y) / n that no network can
predict. The *signal explained* takes that floor, and the difficulty of a sample, out of the comparison:

    S = 1 - (RMSE² - floor²) / (constant² - floor²)

with `constant` the RMSE of always answering the training part's mean fractions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from galmorph.sky.scheme import Labels, Scheme

__all__ = ["MIN_VOTES", "countable", "evaluate", "expected_calibration_error", "mean_fractions", "signal_explained"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_VOTES = 3
"""A question counts for a galaxy when at least so many people were asked; fractions of classes count always."""


def mean_fractions(labels: Labels, scheme: Scheme) -> FloatArray:
    """Mean fraction of each answer, (A,), over the galaxies whose question counts."""
    fractions = np.where(countable(labels), labels.fractions, np.nan)
    out = np.full(len(scheme.keys), 0.5)
    known = np.isfinite(fractions).any(axis=0)
    out[known] = np.nanmean(fractions[:, known], axis=0)
    return out


def countable(labels: Labels) -> BoolArray:
    """Tell which labels count, (N, A): enough people were asked, or they are fractions or classes."""
    # Totals of at most 1 are fractions or classes, whose number of votes is not known.
    few = labels.totals < MIN_VOTES
    counting: BoolArray = (labels.totals > 0) & (~few | (labels.totals.max(initial=0.0) <= 1.0))
    return counting


def signal_explained(
    truth: FloatArray, predicted: FloatArray, totals: FloatArray, constant: FloatArray
) -> dict[str, float]:
    """Compare fractions of one question.

    Parameters
    ----------
    truth, predicted, totals
        (N, answers) vote fractions, probabilities, numbers of votes.
    constant
        (answers,) mean fractions of the training part.

    Returns
    -------
    ``rmse``, ``constant`` (its RMSE), ``floor`` and ``signal_explained``.
    """
    floor2 = float((truth * (1.0 - truth) / totals).mean()) if totals.max(initial=0.0) > 1.0 else 0.0
    rmse2 = float(((truth - predicted) ** 2).mean())
    constant2 = float(((truth - constant) ** 2).mean())
    explained = 1.0 - (rmse2 - floor2) / (constant2 - floor2) if constant2 > floor2 else float("nan")
    return {
        "rmse": rmse2**0.5,
        "constant": constant2**0.5,
        "floor": floor2**0.5,
        "signal_explained": explained,
    }


def expected_calibration_error(confidence: FloatArray, outcome: FloatArray, *, bins: int = 15) -> float:
    """Mean distance between probability and observed fraction over bins of equal width (Guo et al. 2017).

    Parameters
    ----------
    confidence, outcome
        (N,) probabilities and what happened: 0 or 1, or a fraction.
    """
    where = np.clip((confidence * bins).astype(int), 0, bins - 1)
    gaps = [
        abs(float(confidence[where == b].mean() - outcome[where == b].mean())) * float((where == b).mean())
        for b in range(bins)
        if (where == b).any()
    ]
    return float(np.sum(gaps))


def evaluate(conditional: FloatArray, labels: Labels, scheme: Scheme, constant: FloatArray) -> dict[str, Any]:
    """Score conditional probabilities against labels.

    Parameters
    ----------
    conditional
        (N, A) probabilities given that a question is asked.
    labels
        Of the same rows.
    constant
        (A,) from :func:`mean_fractions` of the training part.

    Returns
    -------
    A plain dictionary: for each question and pooled over all the RMSE, the constant predictor's, the floor, the signal
    explained and the calibration error; Spearman's correlation per answer; for classes accuracy, recalls and the
    confusion matrix (rows: truth).
    """
    counting = countable(labels)
    fractions = labels.fractions
    questions = {
        question.name: _question(
            conditional[:, w], fractions[:, w], labels.totals[:, w], counting[:, w], constant[w], scheme, w
        )
        for question, w in zip(scheme.questions, scheme.slices, strict=True)
    }
    result: dict[str, Any] = {
        "rows": len(labels),
        "questions": questions,
        "pooled": _pooled(conditional, labels, counting, constant),
    }
    if scheme.kind == "exclusive":
        result |= _classes(conditional, labels, scheme)
    return result


def _question(
    predicted: FloatArray,
    truth: FloatArray,
    totals: FloatArray,
    counting: BoolArray,
    constant: FloatArray,
    scheme: Scheme,
    where: slice,
) -> dict[str, Any]:
    rows = counting.all(axis=1)
    if not rows.any():
        return {"rows": 0}
    scores: dict[str, Any] = {"rows": int(rows.sum())}
    scores |= signal_explained(truth[rows], predicted[rows], totals[rows], constant)
    scores["calibration_error"] = expected_calibration_error(predicted[rows].ravel(), truth[rows].ravel())
    keys = scheme.keys[where]
    scores["spearman"] = {k: _spearman(truth[rows, i], predicted[rows, i]) for i, k in enumerate(keys)}
    return scores


def _spearman(truth: FloatArray, predicted: FloatArray) -> float | None:
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return None
    return float(stats.spearmanr(truth, predicted).statistic)


def _pooled(conditional: FloatArray, labels: Labels, counting: BoolArray, constant: FloatArray) -> dict[str, float]:
    if not counting.any():
        return {}
    everywhere = np.broadcast_to(constant, conditional.shape)
    return signal_explained(
        labels.fractions[counting], conditional[counting], labels.totals[counting], everywhere[counting]
    )


def _classes(conditional: FloatArray, labels: Labels, scheme: Scheme) -> dict[str, Any]:
    known = labels.totals[:, 0] > 0
    truth = labels.counts[known].argmax(axis=1)
    predicted = conditional[known].argmax(axis=1)
    n = len(scheme.keys)
    confusion = np.zeros((n, n), dtype=int)
    np.add.at(confusion, (truth, predicted), 1)
    recall = {
        k: float(confusion[i, i] / confusion[i].sum()) if confusion[i].sum() else None
        for i, k in enumerate(scheme.keys)
    }
    return {
        "accuracy": float((truth == predicted).mean()),
        "recall": recall,
        "classes": list(scheme.keys),
        "confusion": confusion.tolist(),
        "calibration_error": expected_calibration_error(
            conditional[known].max(axis=1), (truth == predicted).astype(float)
        ),
    }
