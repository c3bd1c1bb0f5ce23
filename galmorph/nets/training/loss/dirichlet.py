"""Dirichlet: the negative log likelihood of votes whose probabilities are themselves uncertain.

Votes follow the Dirichlet-multinomial distribution (Walmsley et al. 2022, MNRAS 509, 3966). The network's numbers are
the logarithms of concentrations, so that a softmax of them, as everywhere, is the distribution's mean;
:func:`predictive_spread` is its width.
"""

from __future__ import annotations

import torch

from galmorph.errors import PipelineError
from galmorph.nets.training.loss.interface import Loss, smoothed, votes_of
from galmorph.sky.scheme import Scheme

__all__ = ["LOSS", "Dirichlet", "predictive_spread"]

# Concentrations between these, 1e-7 to 9e6, differ from a certain answer by less than single precision does.
_LOG_CONCENTRATION = 16.0


class Dirichlet(Loss):
    """Negative log likelihood of votes whose probabilities follow a Dirichlet distribution."""

    def __init__(self, scheme: Scheme, smoothing: float = 0.0) -> None:
        super().__init__(scheme, smoothing)
        if self.independent:
            raise PipelineError(
                f"loss 'dirichlet' with scheme '{scheme.name}', whose fractions are independent: expected questions "
                'with answers that exclude each other; take loss = "likelihood"'
            )

    def compare(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Compute the mean per vote on the first question; double precision, since large terms cancel."""
        concentration, weight = _concentrations(outputs), weight.double()
        counts = smoothed(counts, totals, self.scheme, self.smoothing).double()
        each = torch.lgamma(counts + concentration) - torch.lgamma(concentration)
        likelihood = torch.zeros(len(outputs), dtype=torch.float64, device=outputs.device)
        for where in self.scheme.slices:
            of_all, votes = concentration[:, where].sum(dim=1), counts[:, where].sum(dim=1)
            likelihood = likelihood + torch.lgamma(of_all) - torch.lgamma(votes + of_all) + each[:, where].sum(dim=1)
        votes = votes_of(totals, self.scheme).double()
        return (-(likelihood * weight).sum() / (votes * weight).sum().clamp(min=1.0)).float()


LOSS = Dirichlet


def _concentrations(logits: torch.Tensor) -> torch.Tensor:
    return logits.double().clamp(-_LOG_CONCENTRATION, _LOG_CONCENTRATION).exp()


def predictive_spread(logits: torch.Tensor, scheme: Scheme) -> torch.Tensor:  # (B, A) -> (B, A)
    """Compute the standard deviations of conditional probabilities of a network that learnt by ``dirichlet``."""
    concentration = _concentrations(logits)
    spread = []
    for where in scheme.slices:
        of_all = concentration[:, where].sum(dim=1, keepdim=True)
        mean = concentration[:, where] / of_all
        spread.append((mean * (1.0 - mean) / (of_all + 1.0)).sqrt())
    return torch.cat(spread, dim=1)
