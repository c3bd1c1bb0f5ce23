"""PredictionSets: for each galaxy the answers to the first question that hold a vote with a nominal probability.

Votes are soft labels. *Coverage* is defined for them as the probability that a vote drawn at random from those of a
galaxy drawn at random lies in its set: the mean over galaxies of the vote fractions inside their sets. For classes it
is the usual share of rows whose class is in the set. Independent fractions have several answers a person: there a vote
is one tick, and fractions of votes and probabilities are scaled to sum to 1.

The thresholds are those of split conformal prediction with soft losses (conformal risk control, Angelopoulos et al.
2022, arXiv:2208.02814): with n galaxies in the calibration part, the smallest one at which the covered fractions sum to
(n + 1) times the nominal coverage, so that the expected coverage is at least nominal whatever the network is like, if
galaxies are drawn like the calibration part. Nothing is random: equal probabilities give equal sets.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.sky.scheme import Labels, Scheme
from galmorph.toml import build

__all__ = ["KINDS", "PredictionSets", "first_probabilities", "first_votes", "fit_sets"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
Kind = Literal["lac", "aps"]
KINDS = ("lac", "aps")
"""Scores of sets: by probability (LAC) or by cumulative probability (APS)."""


@dataclass(frozen=True)
class PredictionSets:
    """How sets are made of probabilities.

    Parameters
    ----------
    kind
        ``'lac'``: the answers whose probability is high enough (least ambiguous sets, Sadinle et al. 2019), the
        smallest sets on average. A set is empty where no answer is as likely as true answers usually are. ``'aps'``:
        the likeliest answers until their probabilities sum to enough (adaptive sets, Romano et al. 2020), never empty,
        so that a network that is right more often than the nominal coverage covers more.
    coverage
        Nominal.
    thresholds
        (K,) largest score inside a set for each answer; infinite where too few votes say how often it would be missed.
    by_class
        Whether each answer has a threshold of its own, which makes the coverage nominal for each class.
    rows
        Galaxies in the calibration part.
    """

    kind: Kind
    coverage: float
    thresholds: tuple[float, ...]
    by_class: bool = False
    rows: int = 0

    def members(self, first: FloatArray) -> BoolArray:
        """Tell which answers are in the sets of rows with these probabilities, (N, K); none where they are NaN."""
        with np.errstate(invalid="ignore"):
            inside: BoolArray = (_scores(first, self.kind) <= np.array(self.thresholds)) & np.isfinite(first)
        return inside

    def texts(self, first: FloatArray, names: list[str]) -> npt.NDArray[np.str_]:
        """Join the names of the answers in each set, (N,), the likeliest first, by ``|``."""
        inside = self.members(first)
        order = np.argsort(-first, axis=1, kind="stable")
        joined = ["|".join(names[k] for k in ranked if row[k]) for ranked, row in zip(order, inside, strict=True)]
        return np.array(joined, dtype=f"<U{len('|'.join(names))}")

    def to_dict(self) -> dict[str, Any]:
        """Return plain values: what the header of a checkpoint says."""
        limits = [float(t) if np.isfinite(t) else None for t in self.thresholds]
        return {
            "kind": self.kind,
            "coverage": self.coverage,
            "thresholds": limits,
            "by_class": self.by_class,
            "rows": self.rows,
        }

    @classmethod
    def from_dict(cls, header: Mapping[str, Any]) -> PredictionSets:
        """Read the header of a checkpoint.

        Raises
        ------
        PipelineError
            If something is missing, of another type, or impossible.
        """
        table = build(_Header, header, "its header", "sets")
        if not 0.0 < table.coverage < 1.0 or table.rows < 0:
            raise PipelineError(f"sets for a coverage of {table.coverage}, of {table.rows} rows: expected a share")
        limits = tuple(float("inf") if t is None else float(t) for t in table.thresholds)
        return cls(_kind(table.kind), table.coverage, limits, table.by_class, table.rows)


@dataclass(frozen=True)
class _Header:
    """What the header of a checkpoint says; a threshold that is infinite is null."""

    kind: str
    coverage: float
    thresholds: tuple[float | None, ...]
    by_class: bool
    rows: int


def _kind(name: str) -> Kind:
    if name not in KINDS:
        raise PipelineError(unknown_name("kind of prediction sets", name, KINDS))
    return cast("Kind", name)


def _scores(first: FloatArray, kind: Kind) -> FloatArray:  # (N, K) -> (N, K)
    """How badly each answer fits: lower is likelier."""
    if kind == "lac":
        return 1.0 - first
    # The mass of all likelier answers: 0 for the likeliest, so that no set is empty, and ties go in or stay out
    # together.
    likelier = first[:, None, :] > first[:, :, None]
    mass: FloatArray = np.where(likelier, first[:, None, :], 0.0).sum(axis=2)
    return mass


def first_probabilities(conditional: FloatArray, scheme: Scheme) -> FloatArray:
    """Probabilities of the answers to the first question, (N, K), that sum to 1."""
    return scheme.normalised(conditional)[:, scheme.slices[0]]


def first_votes(labels: Labels, scheme: Scheme) -> FloatArray:
    """Fractions of the votes on the first question, (N, K), that sum to 1; NaN where there are none."""
    counts = labels.counts[:, scheme.slices[0]]
    total = counts.sum(axis=1, keepdims=True)
    fractions: FloatArray = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    return fractions


def fit_sets(
    first: FloatArray, votes: FloatArray, *, coverage: float = 0.9, kind: str = "lac", by_class: bool = False
) -> PredictionSets:
    """Find the thresholds on a calibration part.

    Parameters
    ----------
    first
        (N, K) calibrated probabilities, :func:`first_probabilities`.
    votes
        (N, K) vote fractions, :func:`first_votes`; rows with NaN are left out.
    coverage
        Nominal, between 0 and 1.
    kind, by_class
        See :class:`PredictionSets`.

    Raises
    ------
    PipelineError
        If the kind is unknown or the coverage impossible.
    """
    chosen = _kind(kind)
    if not 0.0 < coverage < 1.0:
        raise PipelineError(
            f"coverage = {coverage!r} of the prediction sets: expected a number between 0 and 1, say 0.9"
        )
    rows = np.isfinite(votes).all(axis=1) & np.isfinite(first).all(axis=1)
    scores, weights = _scores(first[rows], chosen), votes[rows]
    if by_class:
        limits = [_threshold(scores[:, [k]], weights[:, [k]], coverage) for k in range(scores.shape[1])]
    else:
        limits = [_threshold(scores, weights, coverage)] * scores.shape[1]
    return PredictionSets(chosen, float(coverage), tuple(limits), bool(by_class), int(rows.sum()))


def _threshold(scores: FloatArray, weights: FloatArray, coverage: float) -> float:
    """Smallest score at which the votes inside sum to (all votes + 1) · coverage; infinite if there are too few."""
    order = np.argsort(scores, axis=None)
    inside = np.cumsum(weights.ravel()[order])
    # A galaxy's votes sum to 1: all votes + 1 counts the galaxy to come. Sums of fractions are not exact to the last
    # bit.
    enough = inside >= (weights.sum() + 1.0) * coverage - 1e-9
    return float(scores.ravel()[order][enough.argmax()]) if enough.any() else float("inf")
