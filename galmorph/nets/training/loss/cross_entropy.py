"""CrossEntropy: that of the vote fractions of each question; however many voted, galaxies count alike."""

from __future__ import annotations

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.training.loss.interface import Loss, smoothed

__all__ = ["LOSS", "CrossEntropy"]


class CrossEntropy(Loss):
    """Cross-entropy of vote fractions, summed over the questions that were asked."""

    def compare(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compute the mean over galaxies with a label."""
        asked = (totals > 0).to(counts.dtype)
        fractions = counts / totals.clamp(min=1e-12) * asked
        if self.independent:
            entropy = -fractions * self.log_p(outputs) - (asked - fractions) * F.logsigmoid(-outputs)
        else:
            entropy = -smoothed(fractions, asked, self.scheme, self.smoothing) * self.log_p(outputs)
        labelled = asked.amax(dim=1)
        return (entropy.sum(dim=1) * weight).sum() / (labelled * weight).sum().clamp(min=1e-12)


LOSS = CrossEntropy
