"""Pseudo-labels: how sure of its likeliest answer an average must be, for each answer by how well it is learnt."""

from __future__ import annotations

import torch

from galmorph.nets.training.settings import Unlabelled
from galmorph.sky.scheme import Scheme

__all__ = ["LEAST", "PseudoLabels", "conditional_on_asked", "likeliest", "probability_asked"]

LEAST = 1e-6
_UNSEEN, _NOT_ASKED = -1, -2
# Questions that less than half of the people would be asked teach nothing about how well their answers are learnt.
_LEAST_ASKED = 0.5


def probability_asked(marginals: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """Return the probability, (B, A), that the question of each answer is asked."""
    if scheme.kind == "independent":
        return torch.ones_like(marginals)
    sums = [marginals[:, w].sum(dim=1, keepdim=True).expand_as(marginals[:, w]) for w in scheme.slices]
    return torch.cat(sums, dim=1)


def conditional_on_asked(marginals: torch.Tensor, scheme: Scheme) -> torch.Tensor:
    """Return probabilities, (B, A), given that the question is asked."""
    if scheme.kind == "independent":
        return marginals
    return marginals / probability_asked(marginals, scheme).clamp(min=LEAST)


def likeliest(conditional: torch.Tensor, scheme: Scheme) -> tuple[torch.Tensor, torch.Tensor]:
    """Find the likeliest answer to each question, (B, Q), and its probability; independent fractions are yes or no."""
    if scheme.kind == "independent":
        both = torch.stack([conditional, 1.0 - conditional], dim=2).max(dim=2)
        return both.indices, both.values
    best = [conditional[:, w].max(dim=1) for w in scheme.slices]
    return torch.stack([b.indices for b in best], dim=1), torch.stack([b.values for b in best], dim=1)


class PseudoLabels:
    """What the average last said of each galaxy without a label, and the thresholds that follow from that.

    Parameters
    ----------
    galaxies
        How many there are.
    """

    def __init__(self, galaxies: int, scheme: Scheme, how: Unlabelled) -> None:
        self.scheme, self.how = scheme, how
        independent = scheme.kind == "independent"
        self.sizes = [2] * len(scheme.keys) if independent else [w.stop - w.start for w in scheme.slices]
        self.answer = torch.full((galaxies, len(self.sizes)), _UNSEEN)
        self.sure = torch.zeros(galaxies, len(self.sizes))

    def note(self, rows: torch.Tensor, average: torch.Tensor) -> None:
        """Keep what the average says of some rows, (B, A) probabilities among all people."""
        answer, sure = likeliest(conditional_on_asked(average, self.scheme), self.scheme)
        asked = probability_asked(average, self.scheme)
        if self.scheme.kind != "independent":
            asked = asked[:, [w.start for w in self.scheme.slices]]
        self.answer[rows] = torch.where(asked >= _LEAST_ASKED, answer, _NOT_ASKED).cpu()
        self.sure[rows] = sure.float().cpu()

    def thresholds(self) -> torch.Tensor:
        """Return that of each answer, (Q, K); K is the most answers that any question has."""
        out = torch.full((len(self.sizes), max(self.sizes)), self.how.threshold)
        of_kind = _by_learning if self.how.thresholds == "learnt" else _by_share
        for question, size in enumerate(self.sizes):
            answer, sure = self.answer[:, question], self.sure[:, question]
            out[question, :size] = of_kind(answer, sure, size, self.how.threshold)
        # The likeliest of K answers has at least 1 / K, so that lower thresholds would mean the same.
        least = torch.tensor([[min(1.0 / size, self.how.threshold)] for size in self.sizes])
        return torch.maximum(out, least)


def _by_learning(answer: torch.Tensor, sure: torch.Tensor, size: int, most: float) -> torch.Tensor:
    """Scale the threshold by b / (2 - b), b the galaxies sure of an answer for each of the most frequent.

    As long as those that are sure of nothing are more, these stand for the most frequent (Zhang et al. 2021).
    """
    counts = torch.bincount(answer[(sure >= most) & (answer >= 0)], minlength=size).float()
    unsure = float(((sure < most) & (answer != _NOT_ASKED)).sum())
    learnt = counts / max(float(counts.max()), unsure, 1.0)
    return most * learnt / (2.0 - learnt)


def _by_share(answer: torch.Tensor, sure: torch.Tensor, size: int, most: float) -> torch.Tensor:
    """Take as large a share of each answer's galaxies as of the most frequent answer's, the surest ones.

    The share is that of the galaxies with that answer that are as sure as the threshold (Jiang et al. 2023).
    """
    counts = torch.bincount(answer[answer >= 0], minlength=size)
    first = int(counts.argmax())
    share = float((sure[answer == first] >= most).float().mean()) if int(counts[first]) else 0.0
    limits = torch.full((size,), most)
    for number, n in enumerate(counts.tolist()):
        taken = round(share * n)
        if taken:
            limits[number] = sure[answer == number].topk(taken).values[-1].clamp(max=most)
    return limits
