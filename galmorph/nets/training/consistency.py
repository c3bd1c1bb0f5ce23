"""Consistency: how alike a network and its running average answer about two views of the same galaxies."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from galmorph.nets.architecture.layers import weighted
from galmorph.nets.training.settings import Unlabelled
from galmorph.sky.scheme import Scheme

__all__ = ["disagreement", "strength"]

_LEAST = 1e-6


def strength(how: Unlabelled, step: int, steps: int) -> float:
    """Weight of the disagreement in a step: rises as exp(-5 (1 - t)²) (Laine & Aila 2017, arXiv:1610.02242)."""
    warm = how.warmup * steps
    t = 1.0 if warm <= 0 else min(step / warm, 1.0)
    return how.weight * math.exp(-5.0 * (1.0 - t) ** 2)


def disagreement(answers: torch.Tensor, average: torch.Tensor, scheme: Scheme, how: Unlabelled) -> torch.Tensor:
    """Mean over galaxies of the distance between a network's probabilities and its average's.

    Parameters
    ----------
    answers, average
        (B, A) probabilities among all people; no gradient flows into the average's.

    Returns
    -------
    One number. Questions of which the average is not sure enough add nothing, but their galaxies count in the mean.
    """
    independent = scheme.kind == "independent"
    sure = _conditional(average.detach(), scheme.slices, independent=independent)
    confident = _confident(sure, scheme.slices, how.threshold, independent)
    if how.temperature != 1.0:
        sure = _sharpened(sure, scheme.slices, 1.0 / how.temperature, independent)
    average = weighted(sure, scheme.slices, scheme.parents)
    distance = (answers - average).square()
    if how.distance == "divergence":
        distance = _divergence(_conditional(answers, scheme.slices, independent=independent), sure, independent)
        distance = distance * (1.0 if independent else _asked(average, scheme.slices))
    return (distance * confident).sum() / max(len(answers), 1)


def _asked(marginals: torch.Tensor, slices: Sequence[slice]) -> torch.Tensor:  # (B, A) -> (B, A)
    """Return the probability that the question of each answer is asked."""
    return torch.cat([marginals[:, w].sum(dim=1, keepdim=True).expand_as(marginals[:, w]) for w in slices], dim=1)


def _conditional(marginals: torch.Tensor, slices: Sequence[slice], *, independent: bool) -> torch.Tensor:
    if independent:
        return marginals
    return marginals / _asked(marginals, slices).clamp(min=_LEAST)


def _divergence(p: torch.Tensor, q: torch.Tensor, independent: bool) -> torch.Tensor:
    """Return each answer's part of the divergence of p from q."""
    p = p.clamp(_LEAST, 1.0 - _LEAST)
    q = q.clamp(_LEAST, 1.0 - _LEAST)
    parts = q * (q / p).log()
    return parts + (1.0 - q) * ((1.0 - q) / (1.0 - p)).log() if independent else parts


def _sharpened(p: torch.Tensor, slices: Sequence[slice], power: float, independent: bool) -> torch.Tensor:
    raised = p.clamp(_LEAST, 1.0 - _LEAST) ** power
    if independent:
        return raised / (raised + (1.0 - p).clamp(_LEAST, 1.0 - _LEAST) ** power)
    return _conditional(raised, slices, independent=False)


def _confident(sure: torch.Tensor, slices: Sequence[slice], threshold: float, independent: bool) -> torch.Tensor:
    """Mark the answers, (B, A), of questions whose likeliest answer has at least this probability."""
    if independent:
        return torch.maximum(sure, 1.0 - sure) >= threshold
    marks = [(sure[:, w].amax(dim=1, keepdim=True) >= threshold).expand_as(sure[:, w]) for w in slices]
    return torch.cat(marks, dim=1)
