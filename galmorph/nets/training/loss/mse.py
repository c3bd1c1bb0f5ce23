"""SquaredError: the mean squared error of vote fractions among all people (Dieleman et al. 2015, MNRAS 450, 1441).

Probabilities are multiplied down the tree; with his network they are relu(z) / Σ relu(z) and, in the first steps,
clip(z, 0, 1). Smoothing does nothing to it.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from galmorph.nets.architecture.layers import weighted
from galmorph.nets.architecture.network import Network
from galmorph.nets.training.loss.interface import Loss

__all__ = ["LOSS", "SquaredError"]


class SquaredError(Loss):
    """Mean squared error of fractions among all people."""

    def outputs(self, network: Network, stamps: torch.Tensor, morphometry: torch.Tensor | None = None) -> torch.Tensor:
        """Compute fractions among all people."""
        return network.columns(stamps, morphometry)

    def marginals(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        return outputs

    def compare(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compute the mean over all answers whose fraction is certain."""
        slices, parents = self.scheme.slices, self.scheme.parents
        truth = weighted(counts / totals.clamp(min=1e-12) * (totals > 0), slices, parents)
        counted = _certain(truth, totals, slices, parents) * weight.to(outputs.dtype)[:, None]
        return ((outputs - truth).square() * counted).sum() / counted.sum().clamp(min=1e-12)


LOSS = SquaredError


def _certain(
    truth: torch.Tensor, totals: torch.Tensor, slices: Sequence[slice], parents: Sequence[Sequence[int]]
) -> torch.Tensor:  # (B, A) -> (B, A)
    """Mark the fractions of questions that were asked, and of those that nobody could be led to, which are 0."""
    certain = (totals > 0).to(truth.dtype)
    for where, above in zip(slices, parents, strict=True):
        if above:
            nobody = (truth[:, list(above)].sum(dim=1) == 0) & (certain[:, list(above)] > 0).all(dim=1)
            certain[:, where] = torch.maximum(certain[:, where], nobody[:, None].to(truth.dtype))
    return certain
