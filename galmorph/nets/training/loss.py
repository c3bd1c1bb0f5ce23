"""Loss: how far a network's answers are from the votes.

Four are known by name. All are means over labelled galaxies, leave out questions that nobody was asked, and take a
weight for each galaxy.

``likelihood``
    Negative log likelihood of the votes: multinomial for the answers of one question, binomial for independent
    fractions, per vote on the first question.
``dirichlet``
    The same where each question's probabilities are themselves uncertain: votes follow the Dirichlet-multinomial
    distribution (Walmsley et al. 2022, MNRAS 509, 3966). The network's numbers are the logarithms of concentrations,
    so that a softmax of them, as everywhere, is the distribution's mean; :func:`predictive_spread` is its width.
``mse``
    Mean squared error of the vote fractions among all people, probabilities multiplied down the tree (Dieleman,
    Willett & Dambre 2015, MNRAS 450, 1441); with his network, of relu(z) / Σ relu(z) and, in the first steps, of
    clip(z, 0, 1).
``cross_entropy``
    Of the vote fractions of each question; however many voted, they count alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.errors import PipelineError, unknown_name
from galmorph.nets.architecture.layers import conditional_log_probabilities, weighted
from galmorph.nets.architecture.network import Network
from galmorph.nets.training.settings import LOSSES
from galmorph.sky.scheme import Scheme

__all__ = ["Loss", "make_loss", "negative_log_likelihood", "predictive_spread"]

# Concentrations between these, 1e-7 to 9e6, differ from a certain answer by less than single precision does.
_LOG_CONCENTRATION = 16.0


class Loss(Protocol):
    """What one loss needs of a network, and what it makes of it."""

    def outputs(self, network: Network, stamps: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, A)
        """Compute what the loss compares with labels."""

    def marginals(self, outputs: torch.Tensor) -> torch.Tensor:  # (B, A) -> (B, A)
        """Turn its outputs into probabilities among all people."""

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compare outputs, counts and totals, (B, A), of galaxies with weights, (B,); return one number."""


def make_loss(name: str, scheme: Scheme, *, smoothing: float = 0.0) -> Loss:
    """Make the loss of a name.

    Parameters
    ----------
    smoothing
        Share of the votes that is spread evenly over the answers of each question.

    Raises
    ------
    PipelineError
        If the name is unknown, or the loss does not fit the scheme.
    """
    if name not in LOSSES:
        raise PipelineError(unknown_name("loss", name, LOSSES))
    if name == "mse":
        return SquaredError(scheme)
    kinds: dict[str, type[_OfLogits]] = {
        "likelihood": Likelihood,
        "dirichlet": Dirichlet,
        "cross_entropy": CrossEntropy,
    }
    return kinds[name](scheme, smoothing)


class _OfLogits:
    """A loss of the network's logits."""

    def __init__(self, scheme: Scheme, smoothing: float) -> None:
        self.scheme, self.smoothing = scheme, smoothing
        self.independent = scheme.kind == "independent"

    def outputs(self, network: Network, stamps: torch.Tensor) -> torch.Tensor:
        made: torch.Tensor = network(stamps)
        return made.float()

    def log_p(self, logits: torch.Tensor) -> torch.Tensor:
        return conditional_log_probabilities(logits, self.scheme.slices, independent=self.independent)

    def marginals(self, outputs: torch.Tensor) -> torch.Tensor:
        return weighted(self.log_p(outputs).exp(), self.scheme.slices, self.scheme.parents)

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        raise NotImplementedError


class Likelihood(_OfLogits):
    """Negative log likelihood of votes."""

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the mean per vote on the first question."""
        if weight is not None:
            counts, totals = counts * weight[:, None], totals * weight[:, None]
        return negative_log_likelihood(outputs, counts, totals, self.scheme, smoothing=self.smoothing)


class Dirichlet(_OfLogits):
    """Negative log likelihood of votes whose probabilities follow a Dirichlet distribution."""

    def __init__(self, scheme: Scheme, smoothing: float) -> None:
        super().__init__(scheme, smoothing)
        if self.independent:
            raise PipelineError(
                f"loss 'dirichlet' with scheme '{scheme.name}', whose fractions are independent: expected questions "
                'with answers that exclude each other; take loss = "likelihood"'
            )

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the mean per vote on the first question; double precision, since large terms cancel."""
        concentration = _concentrations(outputs)
        counts = _smooth(counts, totals, self.scheme, self.smoothing).double()
        each = torch.lgamma(counts + concentration) - torch.lgamma(concentration)
        likelihood = torch.zeros(len(outputs), dtype=torch.float64, device=outputs.device)
        for where in self.scheme.slices:
            of_all, votes = concentration[:, where].sum(dim=1), counts[:, where].sum(dim=1)
            likelihood = likelihood + torch.lgamma(of_all) - torch.lgamma(votes + of_all) + each[:, where].sum(dim=1)
        weights = _weights(weight, counts)
        votes = totals[:, self.scheme.slices[0]].amax(dim=1).double()
        return (-(likelihood * weights).sum() / (votes * weights).sum().clamp(min=1.0)).float()


class CrossEntropy(_OfLogits):
    """Cross-entropy of vote fractions, summed over the questions that were asked."""

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the mean over galaxies with a label."""
        asked = (totals > 0).to(counts.dtype)
        fractions = counts / totals.clamp(min=1e-12) * asked
        entropy = -fractions * self.log_p(outputs)
        if self.independent:
            entropy = entropy - (asked - fractions) * F.logsigmoid(-outputs)
        else:
            entropy = -_smooth(fractions, asked, self.scheme, self.smoothing) * self.log_p(outputs)
        weights = _weights(weight, counts)
        labelled = asked.amax(dim=1)
        return (entropy.sum(dim=1) * weights).sum() / (labelled * weights).sum().clamp(min=1e-12)


class SquaredError:
    """Mean squared error of fractions among all people."""

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme

    def outputs(self, network: Network, stamps: torch.Tensor) -> torch.Tensor:
        """Compute fractions among all people."""
        return network.columns(stamps)

    def marginals(self, outputs: torch.Tensor) -> torch.Tensor:
        """Return the outputs."""
        return outputs

    def __call__(
        self, outputs: torch.Tensor, counts: torch.Tensor, totals: torch.Tensor, weight: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Compute the mean over all answers whose fraction is known."""
        slices, parents = self.scheme.slices, self.scheme.parents
        fractions = counts / totals.clamp(min=1e-12) * (totals > 0)
        truth = weighted(fractions, slices, parents)
        counted = _known(truth, totals, slices, parents) * _weights(weight, outputs)[:, None]
        return ((outputs - truth).square() * counted).sum() / counted.sum().clamp(min=1e-12)


def _known(
    truth: torch.Tensor, totals: torch.Tensor, slices: Sequence[slice], parents: Sequence[Sequence[int]]
) -> torch.Tensor:  # (B, A) -> (B, A)
    """Mark fractions that are known: of questions that were asked, and of those nobody could be led to, which are 0."""
    known = (totals > 0).to(truth.dtype)
    for where, above in zip(slices, parents, strict=True):
        if above:
            nobody = (truth[:, list(above)].sum(dim=1) == 0) & (known[:, list(above)] > 0).all(dim=1)
            known[:, where] = torch.maximum(known[:, where], nobody[:, None].to(truth.dtype))
    return known


def _weights(weight: torch.Tensor | None, like: torch.Tensor) -> torch.Tensor:  # -> (B,)
    return like.new_ones(len(like)) if weight is None else weight.to(like.dtype)


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
