"""Evaluation: how well probabilities agree with votes and classes.

Vote fractions are noisy truth: with n votes a fraction y has a binomial variance y (1 - y) / n that no network can
predict. The *signal explained* takes that floor, and the difficulty of a sample, out of the comparison:

    S = 1 - (RMSE² - floor²) / (constant² - floor²)

with `constant` the RMSE of always answering the training part's mean fractions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy

from galmorph.nets.soft_confusion import SoftConfusion
from galmorph.sky.scheme import Labels, Scheme

__all__ = [
    "CLEAR",
    "MIN_VOTES",
    "countable",
    "evaluate",
    "expected_calibration_error",
    "mean_fractions",
    "score_sets",
    "signal_explained",
    "soft_confusions",
]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MIN_VOTES = 3
"""A question counts for a galaxy when at least so many people were asked; fractions of classes count always."""
CLEAR = 0.75
"""A galaxy is clear where one answer has at least this share of the votes."""
# A table whose most asked question has fewer votes than this holds fractions or classes: fractions that were rounded or
# debiased may sum to more than 1.
_FEWEST = 1.5
_TIE = 1e-6


def mean_fractions(labels: Labels, scheme: Scheme) -> FloatArray:
    """Mean fraction of each answer, (A,), over the galaxies whose question counts."""
    fractions = np.where(countable(labels), labels.fractions, np.nan)
    out = np.full(len(scheme.keys), 0.5)
    counted = np.isfinite(fractions).any(axis=0)
    out[counted] = np.nanmean(fractions[:, counted], axis=0)
    return out


def countable(labels: Labels) -> BoolArray:
    """Tell which labels count, (N, A): enough people were asked, or they are fractions or classes."""
    # Totals of about 1 are fractions or classes, whose number of votes is not known.
    few = labels.totals < MIN_VOTES
    counting: BoolArray = (labels.totals > 0) & (~few | (labels.totals.max(initial=0.0) < _FEWEST))
    return counting


def signal_explained(
    truth: FloatArray, predicted: FloatArray, totals: FloatArray, constant: FloatArray, *, noise: float = 0.0
) -> dict[str, float]:
    """Compare fractions of one question.

    Parameters
    ----------
    truth, predicted, totals
        (N, answers) vote fractions, probabilities, numbers of votes.
    constant
        (answers,) mean fractions of the training part.
    noise
        RMSE of the labels themselves, for the floor where the number of votes is not known.

    Returns
    -------
    ``rmse``, ``constant`` (its RMSE), ``floor`` and, unless the labels vary no more than their noise,
    ``signal_explained``.
    """
    counted = totals.max(initial=0.0) >= _FEWEST
    floor2 = float((truth * (1.0 - truth) / totals).mean()) if counted else noise**2
    rmse2 = float(((truth - predicted) ** 2).mean())
    constant2 = float(((truth - constant) ** 2).mean())
    scores = {"rmse": rmse2**0.5, "constant": constant2**0.5, "floor": floor2**0.5}
    if constant2 > floor2:
        scores["signal_explained"] = 1.0 - (rmse2 - floor2) / (constant2 - floor2)
    return scores


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
    explained and the calibration error; of a tree also the RMSE of all answers' shares among all people, ``weighted``,
    the score of the Galaxy Challenge; Spearman's and Pearson's correlation per answer; for classes accuracy (any of
    several answers with the same share is right), that on clear galaxies, recalls and the confusion matrix (rows:
    truth); and of what everybody is asked ``soft_confusion``, by question, or by answer where these stand alone (see
    :class:`galmorph.nets.soft_confusion.SoftConfusion`).
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
        "pooled": _pooled(conditional, labels, counting, constant, scheme.noise),
    }
    if scheme.kind == "tree" and counting.any():
        result["weighted"] = {"rmse": _weighted_rmse(conditional, labels, scheme)}
    if scheme.kind == "exclusive":
        result |= _classes(conditional, labels, scheme)
    if soft := soft_confusions(conditional, labels, scheme):
        result["soft_confusion"] = {name: sums.to_dict() for name, sums in soft.items()}
    return result


def soft_confusions(conditional: FloatArray, labels: Labels, scheme: Scheme) -> dict[str, SoftConfusion]:
    """Sum up what is said of galaxies of each class, by question or independent answer that everybody is asked.

    Parameters
    ----------
    conditional
        (N, A) probabilities given that a question is asked.
    labels
        Of the same rows.
    """
    asked = countable(labels)
    if scheme.kind == "independent":
        groups = {key: (slice(i, i + 1), True) for i, key in enumerate(scheme.keys)}
    else:
        places = zip(scheme.questions, scheme.slices, strict=True)
        groups = {question.name: (where, False) for question, where in places if not question.parents}
    out = {}
    for name, (where, alone) in groups.items():
        rows = asked[:, where].all(axis=1) & (labels.fractions[:, where].sum(axis=1) > 0 if not alone else True)
        p, y = (_whole(values[rows, where], alone=alone) for values in (conditional, labels.fractions))
        if len(p) > 1:
            out[name] = SoftConfusion.of(p, y)
    return out


def _whole(values: FloatArray, *, alone: bool) -> FloatArray:
    """Let shares sum to 1: an answer that stands alone has what is left beside it."""
    if alone:
        return np.concatenate([values, 1.0 - values], axis=1).clip(0.0, 1.0)
    return np.asarray(values / values.sum(axis=1, keepdims=True))


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
    scores |= signal_explained(truth[rows], predicted[rows], totals[rows], constant, noise=scheme.noise)
    scores["calibration_error"] = expected_calibration_error(predicted[rows].ravel(), truth[rows].ravel())
    keys = scheme.keys[where]
    for name, correlation in (("spearman", scipy.stats.spearmanr), ("pearson", scipy.stats.pearsonr)):
        scores[name] = {k: _correlated(truth[rows, i], predicted[rows, i], correlation) for i, k in enumerate(keys)}
    return scores


def _correlated(truth: FloatArray, predicted: FloatArray, correlation: Callable[..., Any]) -> float | None:
    if len(truth) < 3 or np.ptp(truth) == 0 or np.ptp(predicted) == 0:
        return None
    return float(correlation(truth, predicted).statistic)


def _pooled(
    conditional: FloatArray, labels: Labels, counting: BoolArray, constant: FloatArray, noise: float
) -> dict[str, float]:
    if not counting.any():
        return {}
    everywhere = np.broadcast_to(constant, conditional.shape)
    return signal_explained(
        labels.fractions[counting], conditional[counting], labels.totals[counting], everywhere[counting], noise=noise
    )


def _weighted_rmse(conditional: FloatArray, labels: Labels, scheme: Scheme) -> float:
    """Compare shares among all people; a question that nobody was asked has none for its answers."""
    asked = labels.totals[:, scheme.slices[0]].max(axis=1) > 0
    truth = scheme.marginals(np.nan_to_num(labels.fractions[asked]))
    return float(((scheme.marginals(conditional[asked]) - truth) ** 2).mean() ** 0.5)


def _classes(conditional: FloatArray, labels: Labels, scheme: Scheme) -> dict[str, Any]:
    labelled = labels.totals[:, 0] > 0
    shares = labels.fractions[labelled]
    truth, predicted = shares.argmax(axis=1), conditional[labelled].argmax(axis=1)
    # Where several answers have the same share, each of them is right.
    hit = shares[np.arange(len(shares)), predicted] >= shares.max(axis=1, initial=0.0) - _TIE
    clear = shares.max(axis=1, initial=0.0) >= CLEAR
    n = len(scheme.keys)
    confusion = np.zeros((n, n), dtype=int)
    np.add.at(confusion, (truth, predicted), 1)
    recall = {
        k: float(confusion[i, i] / confusion[i].sum()) if confusion[i].sum() else None
        for i, k in enumerate(scheme.keys)
    }
    return {
        "accuracy": float(hit.mean()),
        "clear": {"rows": int(clear.sum()), "accuracy": float(hit[clear].mean()) if clear.any() else None},
        "recall": recall,
        "classes": list(scheme.keys),
        "confusion": confusion.tolist(),
        "calibration_error": expected_calibration_error(conditional[labelled].max(axis=1), hit.astype(float)),
    }


def score_sets(
    members: BoolArray, votes: FloatArray, keys: Sequence[str], snr: FloatArray, *, bins: int = 4
) -> dict[str, Any]:
    """Measure how many votes prediction sets hold.

    Parameters
    ----------
    members
        (N, K) which answers are in the set of each row.
    votes
        (N, K) fractions of the votes that sum to 1; rows with NaN are left out.
    keys
        Names of the answers.
    snr
        (N,) signal-to-noise ratios: the rows are also scored in bins of as many rows each.

    Returns
    -------
    ``rows``; ``coverage``, the mean of the vote fractions inside the sets, and its standard error ``coverage_err``; the
    mean ``size`` and the share of ``empty`` sets; ``by_class``, where the coverage is the share of the votes for an
    answer that fall in sets with it, and ``rows`` the sum of their fractions; ``by_snr``.
    """
    rows = np.isfinite(votes).all(axis=1)
    inside, held, ratio = members[rows], votes[rows], snr[rows]
    if not rows.any():
        return {"rows": 0}
    per_class = {
        key: {"rows": float(held[:, k].sum()), "coverage": _share(inside[:, k] * held[:, k], held[:, k])}
        for k, key in enumerate(keys)
    }
    order = np.flatnonzero(np.isfinite(ratio))[np.argsort(ratio[np.isfinite(ratio)], kind="stable")]
    per_snr = [
        {"snr": [float(ratio[part[0]]), float(ratio[part[-1]])], **_coverage(inside[part], held[part])}
        for part in np.array_split(order, bins)
        if len(part)
    ]
    return {**_coverage(inside, held), "by_class": per_class, "by_snr": per_snr}


def _coverage(inside: BoolArray, votes: FloatArray) -> dict[str, Any]:
    held, size = (inside * votes).sum(axis=1), inside.sum(axis=1)
    return {
        "rows": len(held),
        "coverage": float(held.mean()),
        "coverage_err": float(held.std(ddof=1) / len(held) ** 0.5) if len(held) > 1 else None,
        "size": float(size.mean()),
        "empty": float((size == 0).mean()),
    }


def _share(part: FloatArray, whole: FloatArray) -> float | None:
    return float(part.sum() / whole.sum()) if whole.sum() > 0 else None
