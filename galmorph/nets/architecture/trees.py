"""Trees: decision trees as arrays, which are walked down by looking numbers up.

The trees of all answers lie in one list of nodes. A node sends features x to its left child where x[feature] is at
most its threshold and else to its right one; a leaf is a child of itself. So as many steps as the deepest tree has take
every stamp to its leaf in every tree at once.
"""

from __future__ import annotations

import torch
from torch import nn

from galmorph.errors import CheckpointError

__all__ = ["DEEPEST", "Trees"]

DEEPEST = 64
"""Steps from a root to the farthest leaf, at most: trees that tell 10⁶ galaxies apart have some 40."""
_LEAST = 1e-6
"""Probability of an answer that no tree gives."""


class Trees(nn.Module):
    """The sum over trees of what stands in the leaves that features fall into, as logits.

    Parameters
    ----------
    features, answers
        Numbers that come in, and logits that go out.
    trees, nodes, depth
        Numbers of trees and of all nodes, and steps from a root to the farthest leaf.
    width
        Numbers in a leaf: they are added to as many answers in a row.
    are_shares
        Whether sums are probabilities, as those of a forest are, whose leaves hold shares of galaxies; else they are
        logits, as those of boosted trees are (Friedman 2001, Ann. Stat. 29, 1189).
    independent
        Whether each answer has a probability by itself.
    """

    feature: torch.Tensor
    left: torch.Tensor
    right: torch.Tensor
    root: torch.Tensor
    answer: torch.Tensor
    threshold: torch.Tensor
    value: torch.Tensor
    start: torch.Tensor

    def __init__(
        self,
        features: int,
        answers: int,
        *,
        trees: int,
        nodes: int,
        depth: int,
        width: int,
        are_shares: bool,
        independent: bool = False,
    ) -> None:
        super().__init__()
        self.features, self.answers, self.depth, self.width = features, answers, depth, width
        self.are_shares, self.independent = are_shares, independent
        for name, count in (("feature", nodes), ("left", nodes), ("right", nodes), ("root", trees), ("answer", trees)):
            self.register_buffer(name, torch.zeros(count, dtype=torch.int64))
        # One after another: arrays with two axes are stored in half precision where there are many.
        for name, count in (("threshold", nodes), ("value", nodes * width), ("start", answers)):
            self.register_parameter(name, nn.Parameter(torch.zeros(count), requires_grad=False))

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, F) -> (B, A)
        """Walk down, and add up in double precision: hundreds of trees change the last digit of single."""
        node = self.root.expand(x.shape[0], -1)  # len(x) would fix the batch of ONNX files
        for _ in range(self.depth):
            is_left = x.gather(1, self.feature[node]) <= self.threshold[node]
            node = torch.where(is_left, self.left[node], self.right[node])
        leaves = self.value.view(-1, self.width)[node].double()  # (B, T, width)
        sums = x.new_zeros(x.shape[0], self.answers + self.width, dtype=torch.float64)
        for number in range(self.width):
            sums = sums.index_add(1, self.answer + number, leaves[..., number])
        sums = sums[:, : self.answers] + self.start
        return (self._logits(sums) if self.are_shares else sums).float()

    def _logits(self, shares: torch.Tensor) -> torch.Tensor:
        logs = shares.clamp(min=_LEAST).log()
        return logs - (1.0 - shares).clamp(min=_LEAST).log() if self.independent else logs

    def check(self) -> None:
        """Refuse nodes that lead nowhere.

        Raises
        ------
        CheckpointError
            If a number is out of its range, or a leaf lies deeper than the text of the network says.
        """
        nodes = len(self.feature)
        limits = {"feature": self.features, "left": nodes, "right": nodes, "root": nodes, "answer": self.answers}
        for name, limit in limits.items():
            numbers = getattr(self, name)
            if len(numbers) and not 0 <= int(numbers.min()) <= int(numbers.max()) < limit:
                raise CheckpointError(
                    f"trees have numbers from {int(numbers.min())} to {int(numbers.max())} in "
                    f"'{name}', expected numbers from 0 to {limit - 1}"
                )
        if self._ends() > 0:
            raise CheckpointError(f"trees lead on after {self.depth} steps, expected leaves")

    def _ends(self) -> int:
        """Count the nodes that are reached after as many steps as there should be, and are no leaves."""
        node = self.root.unique()  # type: ignore[no-untyped-call]
        for _ in range(self.depth):
            # Each node once: broken trees, whose branches meet, would else double with each step.
            node = torch.cat([self.left[node], self.right[node]]).unique()  # type: ignore[no-untyped-call]
        return int(((self.left[node] != node) | (self.right[node] != node)).sum())
