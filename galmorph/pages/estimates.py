"""Estimates: the share of each answer to a question among some galaxies, counted three ways, with errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.nets.adjusted_counts import KNOWN_ODDS, AdjustedCounts
from galmorph.nets.label_shift import Grouped, bootstrap_weights, calibration_draws, mean_shares, pseudo_counts
from galmorph.nets.soft_confusion import SoftConfusion
from galmorph.pages.binning import wilson

__all__ = ["METHODS", "Asked", "Judge", "ShareEstimate", "estimates"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

METHODS = ("raw", "prob", "pacc")
"""Counts of the likeliest answer; mean probabilities; these adjusted by what is said of galaxies of each class."""
_PERCENTILES = (2.5, 15.865, 84.135, 97.5)
_SIGMAS = (1.0, 1.959964)
_LEAST = 1e-8
"""Variance of a mean probability that is always there: that of rounding, squared."""


@dataclass(frozen=True)
class ShareEstimate:
    """Shares of the K answers to a question, (K,) each.

    Parameters
    ----------
    share
        The estimate.
    low, high, low95, high95
        Ends of the intervals of 68 and 95 %.
    err, err_galaxies, err_classifier
        Standard deviations: of all; of the galaxies that happen to be in the sample; of what is known of the
        classifier's errors. NaN where they are not known.
    """

    share: FloatArray
    low: FloatArray
    high: FloatArray
    low95: FloatArray
    high95: FloatArray
    err: FloatArray
    err_galaxies: FloatArray
    err_classifier: FloatArray

    @classmethod
    def absent(cls, answers: int) -> ShareEstimate:
        """Return what is not known."""
        return cls(*(np.full(answers, np.nan) for _ in range(8)))

    @classmethod
    def of_draws(
        cls, share: FloatArray, both: FloatArray, galaxies: FloatArray, classifier: FloatArray | None
    ) -> ShareEstimate:
        """Summarise draws, (B, K), by both kinds of errors and by each."""
        low95, low, high, high95 = np.percentile(both, _PERCENTILES, axis=0)
        none = np.full(len(share), np.nan)
        scatter = none if classifier is None else classifier.std(axis=0)
        return cls(share, low, high, low95, high95, both.std(axis=0), galaxies.std(axis=0), scatter)

    @classmethod
    def of_counts(cls, share: FloatArray, effective: float) -> ShareEstimate:
        """Give binomial intervals to shares of so many galaxies."""
        number = np.full(len(share), effective)
        (low, high), (low95, high95) = (wilson(share, number, sigmas) for sigmas in _SIGMAS)
        err = np.sqrt(share * (1.0 - share) / max(effective, 1.0))
        return cls(share, low, high, low95, high95, err, err, np.full(len(share), np.nan))


@dataclass(frozen=True)
class Asked:
    """Galaxies of whom a question is asked.

    Parameters
    ----------
    p
        (N, K) probabilities of the answers, given that it is asked, with a sum of 1.
    weight
        (N,) what each counts.
    prob
        (N,) probability that the question is asked of each.
    said
        (N,) number of the likeliest answer; -1 where the likeliest answers lead elsewhere.
    """

    p: FloatArray
    weight: FloatArray
    prob: FloatArray
    said: IntArray

    def of(self, rows: npt.NDArray[np.bool_]) -> Asked:
        """Return some of the galaxies."""
        return Asked(self.p[rows], self.weight[rows], self.prob[rows], self.said[rows])


@dataclass(frozen=True)
class Judge:
    """What is known of the classifier's answers to a question, with draws of what is not.

    Parameters
    ----------
    odds
        Draws, (B, K), of :func:`galmorph.nets.label_shift.calibration_draws`; None where they are not known.
    confusion
        What is said of galaxies of each class, and draws of its matrix, (B, K, K); None where it is not known.
    draws
        How many draws there are.
    """

    odds: FloatArray | None
    confusion: tuple[SoftConfusion, FloatArray] | None
    draws: int

    @classmethod
    def of(
        cls,
        asked: Asked,
        source: FloatArray | None,
        galaxies: int,
        rmse: float,
        confusion: SoftConfusion | None,
        draws: int,
        rng: np.random.Generator,
    ) -> Judge:
        """Draw what the calibration leaves open, given all galaxies of whom the question is asked."""
        rows = Grouped.of(asked.p, asked.weight * asked.prob)
        odds = None
        if source is not None and galaxies > 1 and rows.weight.sum() > 0:
            odds = calibration_draws(rows, source, galaxies, rmse, draws, rng)
        return cls(odds, None if confusion is None else (confusion, confusion.drawn(draws, rng)), draws)


def estimates(asked: Asked, judge: Judge, rng: np.random.Generator) -> Mapping[str, ShareEstimate]:
    """ShareEstimate the shares of the answers by each of the methods.

    Parameters
    ----------
    asked
        The galaxies of a bin.
    judge
        What is known of the classifier.
    rng
        Draws the galaxies.
    """
    answers = asked.p.shape[1]
    counted = asked.said >= 0
    heard, squares = (
        np.asarray(np.bincount(asked.said[counted], asked.weight[counted] ** power, answers), np.float64)
        for power in (1, 2)
    )
    absent = ShareEstimate.absent(answers)
    result = dict.fromkeys(METHODS, absent)
    if heard.sum() > 0:
        effective = float(heard.sum() ** 2 / squares.sum())
        result["raw"] = ShareEstimate.of_counts(heard / heard.sum(), effective)
    if (rows := Grouped.of(asked.p, asked.weight * asked.prob)).weight.sum() > 0:
        result["prob"] = _by_probability(rows, judge, rng)
        result["pacc"] = _adjusted(rows, judge, rng)
    return result


def _by_probability(rows: Grouped, judge: Judge, rng: np.random.Generator) -> ShareEstimate:
    weights, extra = bootstrap_weights(rows, judge.draws, rng), pseudo_counts(rows, judge.draws, rng)
    as_is = np.ones((judge.draws, rows.p.shape[1]))
    share = mean_shares(rows.p, rows.weight[None], as_is[:1])[0]
    galaxies = mean_shares(rows.p, weights, as_is, extra)
    if judge.odds is None:
        return ShareEstimate.of_draws(share, galaxies, galaxies, None)
    both = mean_shares(rows.p, weights, judge.odds, extra)
    return ShareEstimate.of_draws(share, both, galaxies, mean_shares(rows.p, _same(rows, judge.draws), judge.odds))


def _adjusted(rows: Grouped, judge: Judge, rng: np.random.Generator) -> ShareEstimate:
    """Adjust mean probabilities by what is said of galaxies of each class."""
    if judge.confusion is None:
        return ShareEstimate.absent(rows.p.shape[1])
    confusion, drawn = judge.confusion
    shape = (judge.draws, rows.p.shape[1])
    usual, plain, matrix = np.ones(shape), np.zeros(shape), np.broadcast_to(confusion.matrix, drawn.shape)
    source = confusion.shares
    uncertain = rows.covariance + confusion.covariance(source) + _LEAST * np.eye(shape[1])
    precision = np.asarray(np.linalg.inv(uncertain), np.float64)
    as_is = mean_shares(rows.p, rows.weight[None], usual[:1])
    weights, extra = bootstrap_weights(rows, judge.draws, rng), pseudo_counts(rows, judge.draws, rng)
    means, steady = mean_shares(rows.p, weights, usual, extra), np.broadcast_to(as_is, shape)
    centres = rng.normal(0.0, KNOWN_ODDS, shape)
    share = AdjustedCounts(as_is, precision, matrix[:1], source, plain[:1]).shares()[0]
    both = AdjustedCounts(means, precision, drawn, source, centres).shares()
    galaxies = AdjustedCounts(means, precision, matrix, source, plain).shares()
    classifier = AdjustedCounts(steady, precision, drawn, source, centres).shares()
    return ShareEstimate.of_draws(share, both, galaxies, classifier)


def _same(rows: Grouped, draws: int) -> FloatArray:
    return np.broadcast_to(rows.weight, (draws, len(rows.weight)))
