"""Loss: how unlikely the votes are under the predicted probabilities."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.layers import conditional_log_probabilities
from galmorph.sky.scheme import Scheme

__all__ = ["negative_log_likelihood"]


def negative_log_likelihood(
    logits: torch.Tensor,
    counts: torch.Tensor,
    totals: torch.Tensor,
    scheme: Scheme,
    *,
    smoothing: float = 0.0,
) -> torch.Tensor:
    """Mean over galaxies of the negative log likelihood of their votes, per vote on the first question.

    Multinomial for the answers of one question, binomial for independent fractions. Questions that were not asked
    (a total of 0) add nothing.

    Parameters
    ----------
    logits, counts, totals
        (B, A).
    smoothing
        Share of the votes that is spread evenly over the answers of each question.
    """
    independent = scheme.kind == "independent"
    log_p = conditional_log_probabilities(logits, scheme.slices, independent=independent)
    if independent:
        missed = F.logsigmoid(-logits)
        likelihood = (counts * log_p + (totals - counts) * missed).sum(dim=1)
    else:
        likelihood = (_smooth(counts, totals, scheme, smoothing) * log_p).sum(dim=1)
    first = totals[:, scheme.slices[0]].amax(dim=1)
    return -likelihood.sum() / first.sum().clamp(min=1.0)


def _smooth(counts: torch.Tensor, totals: torch.Tensor, scheme: Scheme, share: float) -> torch.Tensor:
    if share == 0.0:
        return counts
    answers = torch.tensor([w.stop - w.start for w in scheme.slices for _ in range(w.stop - w.start)])
    return (1.0 - share) * counts + share * totals / answers.to(counts)
