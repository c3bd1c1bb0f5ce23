"""Estimates: the share of each answer to a question among some galaxies, counted four ways, with errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.nets.label_shift import (
    Grouped,
    bootstrap_weights,
    calibration_draws,
    confusion_draws,
    likely_shares,
    mean_shares,
    pseudo_counts,
    smoothed_confusion,
)
from galmorph.pages.binning import wilson

__all__ = ["METHODS", "Asked", "Judge", "ShareEstimate", "estimates"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

METHODS = ("raw", "prob", "em", "bbse")
"""Counts of the likeliest answer; mean probabilities; these corrected for label shift; counts by confusion."""
_PERCENTILES = (2.5, 15.865, 84.135, 97.5)
_SIGMAS = (1.0, 1.959964)


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
    prob, em
        (N,) probability that the question is asked of each, as it is and corrected for label shift.
    said
        (N,) number of the likeliest answer; -1 where the likeliest answers lead elsewhere.
    """

    p: FloatArray
    weight: FloatArray
    prob: FloatArray
    em: FloatArray
    said: IntArray

    def of(self, rows: npt.NDArray[np.bool_]) -> Asked:
        """Return some of the galaxies."""
        return Asked(self.p[rows], self.weight[rows], self.prob[rows], self.em[rows], self.said[rows])

    def posterior(self, source: FloatArray | None) -> FloatArray:
        """Return the probabilities, (N, K), corrected for label shift among these galaxies."""
        if source is None or not len(self.p):
            return self.p
        rows = Grouped.of(self.p, self.weight * self.em)
        odds = self.p * likely_shares(rows.p, rows.weight[None], 1.0 / source[None])[0] / source
        total = odds.sum(axis=1, keepdims=True)
        corrected: FloatArray = np.divide(odds, total, out=self.p.copy(), where=total > 0)
        return corrected


@dataclass(frozen=True)
class Judge:
    """What is known of the classifier's answers to a question, with draws of what is not.

    Parameters
    ----------
    source
        (K,) shares among the classifier's own galaxies; None where they are not known.
    odds, sources
        Draws, (B, K), of :func:`galmorph.nets.label_shift.calibration_draws`; None where they are not known.
    confusion
        p(said|true), (K, K), and draws of it, (B, K, K); None where it is not known.
    draws
        How many draws there are.
    """

    source: FloatArray | None
    odds: FloatArray | None
    sources: FloatArray | None
    confusion: tuple[FloatArray, FloatArray] | None
    draws: int

    @classmethod
    def of(
        cls,
        asked: Asked,
        source: FloatArray | None,
        galaxies: int,
        rmse: float,
        confusion: IntArray | None,
        draws: int,
        rng: np.random.Generator,
    ) -> Judge:
        """Draw what the calibration leaves open, given all galaxies of whom the question is asked."""
        rows = Grouped.of(asked.p, asked.weight * asked.em)
        odds = sources = None
        if source is not None and galaxies > 1 and rows.weight.sum() > 0:
            odds, sources = calibration_draws(rows, source, galaxies, rmse, draws, rng)
        confusions = None
        if confusion is not None:
            confusions = smoothed_confusion(confusion), confusion_draws(confusion, draws, rng)
        return cls(source, odds, sources, confusions, draws)


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
        result["bbse"] = _by_confusion(heard, squares, judge, rng)
    if (rows := Grouped.of(asked.p, asked.weight * asked.prob)).weight.sum() > 0:
        result["prob"] = _by_probability(rows, judge, rng)
    if (rows := Grouped.of(asked.p, asked.weight * asked.em)).weight.sum() > 0:
        result["em"] = _by_likelihood(rows, judge, rng)
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


def _by_likelihood(rows: Grouped, judge: Judge, rng: np.random.Generator) -> ShareEstimate:
    if judge.source is None:
        return ShareEstimate.absent(rows.p.shape[1])
    weights, extra = bootstrap_weights(rows, judge.draws, rng), pseudo_counts(rows, judge.draws, rng)
    usual = np.broadcast_to(1.0 / judge.source, (judge.draws, rows.p.shape[1]))
    share = likely_shares(rows.p, rows.weight[None], usual[:1])[0]
    galaxies = likely_shares(rows.p, weights, usual, extra)
    if judge.odds is None or judge.sources is None:
        return ShareEstimate.of_draws(share, galaxies, galaxies, None)
    factors = judge.odds / judge.sources
    both = likely_shares(rows.p, weights, factors, extra)
    return ShareEstimate.of_draws(share, both, galaxies, likely_shares(rows.p, _same(rows, judge.draws), factors))


def _by_confusion(heard: FloatArray, squares: FloatArray, judge: Judge, rng: np.random.Generator) -> ShareEstimate:
    """Correct counts of what is said, (K,), by p(said|true)."""
    if judge.confusion is None:
        return ShareEstimate.absent(len(heard))
    mean, drawn = judge.confusion[0].T, judge.confusion[1].transpose(0, 2, 1)  # said by true
    rows = Grouped(mean, heard, squares)
    weights, extra = bootstrap_weights(rows, judge.draws, rng), pseudo_counts(rows, judge.draws, rng)
    plain = np.ones((judge.draws, len(heard)))
    share = likely_shares(mean, heard[None], plain[:1])[0]
    both = likely_shares(drawn, weights, plain, extra)
    classifier = likely_shares(drawn, _same(rows, judge.draws), plain)
    return ShareEstimate.of_draws(share, both, likely_shares(mean, weights, plain, extra), classifier)


def _same(rows: Grouped, draws: int) -> FloatArray:
    return np.broadcast_to(rows.weight, (draws, len(rows.weight)))
