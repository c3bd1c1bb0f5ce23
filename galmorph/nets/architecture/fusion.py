"""Fusion: what is measured of a galaxy joins the features of its stamp, right before the answers."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.stamps.morphometry import MORPHOMETRY

__all__ = ["LateFusion"]

# Training galaxies reach 4; what lies further is a measurement gone wrong rather than a galaxy.
_FARTHEST = 4.0
_FEWEST = 10


class LateFusion(nn.Module):
    """Sets numbers made of the morphometry beside the features of a stamp.

    Each value is standardised by the mean and the standard deviation of the training galaxies. One that is missing, or
    lies more than four standard deviations away, enters as absent: as the mean, with an indicator of its own.

    Parameters
    ----------
    numbers
        So many are made, by one dense layer with a rectifier.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * len(MORPHOMETRY), numbers)
        self.register_buffer("mean", torch.zeros(len(MORPHOMETRY)))
        self.register_buffer("deviation", torch.ones(len(MORPHOMETRY)))

    def forward(
        self, x: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, F), (B, K) -> (B, F + numbers)
        """Join; without any morphometry all of it is absent."""
        if morphometry is None:
            morphometry = x.new_full((len(x), len(self.mean)), torch.nan)
        away = (morphometry.to(x.dtype) - self.mean) / self.deviation
        present = away.abs() <= _FARTHEST  # not so for NaN
        values = torch.where(present, away, torch.zeros_like(away))
        numbers = F.relu(self.dense(torch.cat([values, present.to(x.dtype)], dim=1)))
        return torch.cat([x, numbers], dim=1)

    @torch.no_grad()
    def standardise(self, morphometry: torch.Tensor) -> None:
        """Take mean and standard deviation of training galaxies, (N, K), where enough of them have a value."""
        for number, column in enumerate(morphometry.T):
            values = column[torch.isfinite(column)]
            if len(values) >= _FEWEST and values.std() > 0:
                self.mean[number], self.deviation[number] = values.mean(), values.std()
