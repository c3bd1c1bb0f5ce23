"""Interface: what a training asks of every loss, and how the loss of a name is made."""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod

import torch

from galmorph.errors import PipelineError, unknown_name
from galmorph.nets.architecture.layers import conditional_log_probabilities, weighted
from galmorph.nets.architecture.network import Network
from galmorph.nets.precision import single, uncast
from galmorph.nets.training.loss import LOSSES
from galmorph.sky.scheme import Scheme

__all__ = ["Loss", "make_loss", "smoothed", "votes_of"]


class Loss(ABC):
    """What a loss needs of a network, its logits unless a subclass says otherwise, and what it makes of that.

    Parameters
    ----------
    scheme
        Whose answers are compared.
    smoothing
        Share of the votes that is spread evenly over the answers of each question.

    Raises
    ------
    PipelineError
        If the loss does not fit the scheme.
    """

    def __init__(self, scheme: Scheme, smoothing: float = 0.0) -> None:
        self.scheme, self.smoothing = scheme, smoothing
        self.independent = scheme.kind == "independent"

    def outputs(
        self, network: Network, stamps: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, C, S, S), (B, K) -> (B, A)
        """Compute what the loss compares with labels."""
        logits: torch.Tensor = network(stamps, morphometry)
        return logits

    def marginals(self, outputs: torch.Tensor) -> torch.Tensor:  # (B, A) -> (B, A)
        """Turn its outputs into probabilities among all people."""
        return weighted(self.log_p(outputs).exp(), self.scheme.slices, self.scheme.parents)

    def log_p(self, logits: torch.Tensor) -> torch.Tensor:  # (B, A) -> (B, A)
        """Turn logits into the logarithms of probabilities given that each question is asked."""
        return conditional_log_probabilities(logits, self.scheme.slices, independent=self.independent)

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compare outputs, counts and totals, (B, A), of galaxies with weights, (B,); return one number."""
        outputs, counts, totals = single(outputs), single(counts), single(totals)
        weight = outputs.new_ones(len(outputs)) if weight is None else single(weight)
        with uncast(outputs.device):
            return self.compare(outputs, counts, totals, weight)

    @abstractmethod
    def compare(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor
    ) -> torch.Tensor:
        """Do so, in single precision."""


def make_loss(name: str, scheme: Scheme, *, smoothing: float = 0.0) -> Loss:
    """Make the loss of a name.

    Parameters
    ----------
    name
        One of :data:`galmorph.nets.training.loss.LOSSES`.
    scheme, smoothing
        As of :class:`Loss`.

    Raises
    ------
    PipelineError
        If the name is unknown, or the loss does not fit the scheme.
    """
    if name not in LOSSES:
        raise PipelineError(unknown_name("loss", name, LOSSES))
    loss: type[Loss] = importlib.import_module(f"galmorph.nets.training.loss.{name}").LOSS
    return loss(scheme, smoothing)


def smoothed(counts: torch.Tensor, totals: torch.Tensor, scheme: Scheme, share: float) -> torch.Tensor:
    """Spread a share of the votes, (B, A), evenly over the answers of each question."""
    if share == 0.0:
        return counts
    answers = torch.tensor([w.stop - w.start for w in scheme.slices for _ in range(w.stop - w.start)])
    return (1.0 - share) * counts + share * totals / answers.to(counts)


def votes_of(totals: torch.Tensor, scheme: Scheme) -> torch.Tensor:  # (B, A) -> (B,)
    """Count who voted on the first question; on any other, where nobody was asked the first (another label set)."""
    first = totals[:, scheme.slices[0]].amax(dim=1)
    return torch.where(first > 0, first, totals.amax(dim=1))
