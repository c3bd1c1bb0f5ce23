"""Likelihood: the negative log likelihood of the votes, per vote on the first question.

Multinomial for the answers of one question, binomial for independent fractions.
"""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.training.loss.interface import Loss, smoothed, votes_of

__all__ = ["LOSS", "Likelihood"]


class Likelihood(Loss):
    """Negative log likelihood of votes; questions that were not asked (a total of 0) add nothing."""

    def compare(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compute the mean per vote on the first question."""
        counts, totals = counts * weight[:, None], totals * weight[:, None]
        log_p = self.log_p(outputs)
        if self.independent:
            likelihood = counts * log_p + (totals - counts) * F.logsigmoid(-outputs)
        else:
            likelihood = smoothed(counts, totals, self.scheme, self.smoothing) * log_p
        return -likelihood.sum(dim=1).sum() / votes_of(totals, self.scheme).sum().clamp(min=1.0)


LOSS = Likelihood
