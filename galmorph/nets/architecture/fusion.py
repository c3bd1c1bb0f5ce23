"""Fusion: what is measured of a galaxy joins the features of its stamp, right before the answers, or stands alone."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.stamps.morphometry import MORPHOMETRY

__all__ = ["LateFusion", "Measured", "Standardised"]

# Training galaxies reach 4; what lies further is a measurement gone wrong rather than a galaxy.
_FARTHEST = 4.0
_FEWEST = 10


class Standardised(nn.Module):
    """The morphometry in numbers that a dense layer can take.

    Each value is standardised by the mean and the standard deviation of the training galaxies. One that is missing, or
    lies more than four standard deviations away, enters as absent: as the mean, with an indicator of its own.
    """

    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(len(MORPHOMETRY)))
        self.register_buffer("deviation", torch.ones(len(MORPHOMETRY)))

    def numbers(
        self, x: torch.Tensor, morphometry: torch.Tensor | None
    ) -> torch.Tensor:  # (B, ...), (B, K) -> (B, 2 K)
        """Standardise the morphometry of as many galaxies as `x` has; without any all of it is absent."""
        if morphometry is None:
            morphometry = x.new_full((len(x), len(self.mean)), torch.nan)
        away = (morphometry.to(x.dtype) - self.mean) / self.deviation
        present = away.abs() <= _FARTHEST  # not so for NaN
        values = torch.where(present, away, torch.zeros_like(away))
        return torch.cat([values, present.to(x.dtype)], dim=1)

    @torch.no_grad()
    def standardise(self, morphometry: torch.Tensor) -> None:
        """Take mean and standard deviation of training galaxies, (N, K), where enough of them have a value."""
        for number, column in enumerate(morphometry.T):
            values = column[torch.isfinite(column)]
            if len(values) >= _FEWEST and values.std() > 0:
                self.mean[number], self.deviation[number] = values.mean(), values.std()


class LateFusion(Standardised):
    """Sets numbers made of the morphometry beside the features of a stamp.

    Parameters
    ----------
    numbers
        So many are made, by one dense layer with a rectifier.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.dense = nn.Linear(2 * len(MORPHOMETRY), numbers)

    def forward(
        self, x: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, F), (B, K) -> (B, F + numbers)
        """Join."""
        return torch.cat([x, F.relu(self.dense(self.numbers(x, morphometry)))], dim=1)


class Measured(Standardised):
    """Takes the morphometry in place of the stamp, whose pixels count for nothing."""

    def forward(
        self, x: torch.Tensor, morphometry: torch.Tensor | None = None
    ) -> torch.Tensor:  # (B, C, S, S), (B, K) -> (B, 2 K)
        """Put one for the other."""
        return self.numbers(x, morphometry)
