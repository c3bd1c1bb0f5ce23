"""Consistency: how alike a network and its running average answer about two views of the same galaxies."""

from __future__ import annotations

import math

import torch

from galmorph.nets.architecture.layers import weighted
from galmorph.nets.training.pseudo_labels import LEAST, conditional_on_asked, likeliest, probability_asked
from galmorph.nets.training.settings import Unlabelled
from galmorph.sky.scheme import Scheme

__all__ = ["disagreement", "strength"]


def strength(how: Unlabelled, step: int, steps: int) -> float:
    """Weight of the disagreement in a step: rises as exp(-5 (1 - t)²) (Laine & Aila 2017, arXiv:1610.02242)."""
    warm = how.warmup * steps
    t = 1.0 if warm <= 0 else min(step / warm, 1.0)
    return how.weight * math.exp(-5.0 * (1.0 - t) ** 2)


def disagreement(
    answers: torch.Tensor,
    average: torch.Tensor,
    scheme: Scheme,
    how: Unlabelled,
    thresholds: torch.Tensor | None = None,
) -> torch.Tensor:
    """Mean over galaxies of the distance between a network's probabilities and its average's.

    Parameters
    ----------
    answers, average
        (B, A) probabilities among all people; no gradient flows into the average's.
    thresholds
        (Q, K) of each answer, of :class:`galmorph.nets.training.pseudo_labels.PseudoLabels`; by default that of `how`.

    Returns
    -------
    One number. Questions of which the average is not sure enough add nothing, but their galaxies count in the mean.
    """
    independent = scheme.kind == "independent"
    sure = conditional_on_asked(average.detach(), scheme)
    confident = _confident(sure, scheme, how.threshold, thresholds)
    if how.temperature != 1.0:
        sure = _sharpened(sure, scheme, 1.0 / how.temperature)
    average = weighted(sure, scheme.slices, scheme.parents)
    distance = (answers - average).square()
    if how.distance == "divergence":
        distance = _divergence(conditional_on_asked(answers, scheme), sure, independent)
        distance = distance * probability_asked(average, scheme)
    return (distance * confident).sum() / max(len(answers), 1)


def _divergence(p: torch.Tensor, q: torch.Tensor, independent: bool) -> torch.Tensor:
    """Return each answer's part of the divergence of p from q."""
    p = p.clamp(LEAST, 1.0 - LEAST)
    q = q.clamp(LEAST, 1.0 - LEAST)
    parts = q * (q / p).log()
    return parts + (1.0 - q) * ((1.0 - q) / (1.0 - p)).log() if independent else parts


def _sharpened(p: torch.Tensor, scheme: Scheme, power: float) -> torch.Tensor:
    raised = p.clamp(LEAST, 1.0 - LEAST) ** power
    if scheme.kind == "independent":
        return raised / (raised + (1.0 - p).clamp(LEAST, 1.0 - LEAST) ** power)
    return conditional_on_asked(raised, scheme)


def _confident(sure: torch.Tensor, scheme: Scheme, threshold: float, thresholds: torch.Tensor | None) -> torch.Tensor:
    """Mark the answers, (B, A), of questions whose likeliest answer has at least this probability."""
    answer, probability = likeliest(sure, scheme)
    limits = threshold if thresholds is None else thresholds.to(sure).gather(1, answer.T).T
    marks = probability >= limits
    if scheme.kind == "independent":
        return marks
    return torch.cat([marks[:, [n]].expand_as(sure[:, w]) for n, w in enumerate(scheme.slices)], dim=1)
