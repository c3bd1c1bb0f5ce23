"""Layers: the parts networks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

__all__ = ["ResidualBlock", "TreeHead", "conditional_log_probabilities"]


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions with batch normalisation around a shortcut (He et al. 2016, arXiv:1512.03385)."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if inputs != outputs or stride > 1 else None
        self.stride = stride

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, outputs, H/stride, W/stride)
        """Apply the block."""
        y = F.relu(self.norm1(self.first(x)), inplace=True)
        y = self.norm2(self.second(y))
        if self.shortcut is not None:
            x = self.shortcut(F.avg_pool2d(x, self.stride) if self.stride > 1 else x)
        return F.relu(x + y, inplace=True)


def conditional_log_probabilities(
    logits: torch.Tensor, slices: Sequence[slice], *, independent: bool
) -> torch.Tensor:  # (B, A) -> (B, A)
    """Turn logits into the logarithm of probabilities given that each question is asked.

    The answers of one question share a softmax; independent fractions have a logistic function each.
    """
    if independent:
        return F.logsigmoid(logits)
    return torch.cat([F.log_softmax(logits[:, where], dim=1) for where in slices], dim=1)


class TreeHead(nn.Module):
    """Pooled features to one logit per answer."""

    def __init__(self, features: int, answers: int, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * features, answers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, A)
        """Average and maximum over positions, then a linear map."""
        pooled = torch.cat([x.mean(dim=(2, 3)), x.amax(dim=(2, 3))], dim=1)
        logits: torch.Tensor = self.linear(self.dropout(pooled))
        return logits
