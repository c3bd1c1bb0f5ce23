"""Centroids: the layers that turn a stamp into features without labels: encoding, pooling over rings, light, roots."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

from galmorph.nets.architecture.layers import ORDER, Convolution, SquareConv
from galmorph.nets.precision import uncast

__all__ = ["CentroidEncoding", "LightPool", "RingPool", "SignedRoot", "ring_numbers"]

_TINY = 1e-6
"""Added under roots, whose slope would be infinite at 0."""


class CentroidEncoding(nn.Module):
    """What the patches about each position have in common with each centroid (Coates & Ng 2012).

    A patch p of n numbers, of all planes, is normalised to (p - mean) / sqrt(variance + contrast²), whitened, and
    projected on centroids of length 1. Whitening and projecting are linear, and the mean of a patch is what kernels
    whose weights sum to 0 leave out, so that all of it is one convolution, one division and one subtraction. A
    projection z becomes max(z - threshold, 0) and max(-z - threshold, 0), two maps.

    Parameters
    ----------
    planes
        Of the stamp.
    centroids
        How many; each has eight orientations where `square` holds.
    width, stride
        Of the patches, in pixels, and from one to the next.
    side
        Of the stamp.
    threshold
        Below which a projection counts for nothing, in units of the projections of whitened patches.
    square
        Whether each centroid is shown in the eight orientations of the square, which follow each other.
    """

    contrast: torch.Tensor

    def __init__(
        self, planes: int, centroids: int, width: int, *, side: int, stride: int, threshold: float, square: bool
    ) -> None:
        super().__init__()
        self.convolution: nn.Module
        if square:
            self.convolution = SquareConv(planes, ORDER * centroids, width, stride, image=True)
        else:
            self.convolution = Convolution(planes, centroids, width, side=side, stride=stride, biased=False)
        self.offset = nn.Parameter(torch.zeros(centroids))
        self.register_buffer("contrast", torch.tensor(0.1))
        self.width, self.stride, self.threshold = width, stride, threshold
        self.per_field = ORDER if square else 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, 2 M, S', S')
        """Encode; the two maps of a centroid follow each other, or the two fields of its orientations."""
        with uncast(x.device):
            z = self.convolution(x) / self._spread(x) - self.offset.repeat_interleave(self.per_field)[:, None, None]
        fields = z.unflatten(1, (-1, 1, self.per_field))
        # In place: there are hundreds of maps, and the time is that of moving them through the memory.
        return torch.cat([fields, -fields], dim=2).sub_(self.threshold).relu_().flatten(1, 3)

    def _spread(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, 1, S', S')
        """Root of the variance of each patch, of its planes together, and the square of the contrast."""
        mean = F.avg_pool2d(x.mean(dim=1, keepdim=True), self.width, self.stride)
        square = F.avg_pool2d(x.square().mean(dim=1, keepdim=True), self.width, self.stride)
        # Of bright flat patches the difference of two large numbers may come out below zero.
        return ((square - mean.square()).clamp(min=0.0) + self.contrast.square()).sqrt()


def ring_numbers(side: int, rings: int) -> torch.Tensor:  # -> (side²,)
    """Return the number, from 0, of the ring about the centre in which each position of a map lies.

    All rings are as wide as each other, and the corners belong to the outermost.
    """
    axis = (torch.arange(side, device="cpu") - (side - 1) / 2) / (side / 2)  # also where there are to be no numbers
    distance = torch.hypot(axis[:, None], axis[None, :])
    return (distance * rings).long().clamp(max=rings - 1).flatten()


class RingPool(nn.Module):
    """Pools of every map over all positions, and over each of some rings about the centre.

    Parameters
    ----------
    side
        Of the maps.
    rings
        How many; 1 for all positions alone.
    mean, maximum
        Which, over positions and orientations.
    spread
        The standard deviation, over the orientations of a field, of the mean over positions: 0 for round galaxies,
        large for edge-on ones.
    per_field
        Maps that are pooled together: 8 for fields over the orientations of the square.
    """

    def __init__(
        self, side: int, rings: int, *, mean: bool, maximum: bool, spread: bool = False, per_field: int = 1
    ) -> None:
        super().__init__()
        numbers = ring_numbers(side, rings)
        self.places = [torch.nonzero(numbers == ring)[:, 0].tolist() for ring in range(rings)]
        share = F.one_hot(numbers, rings).float()
        whole = [torch.full((side**2, 1), 1.0 / side**2, device="cpu")] if rings > 1 else []
        # No buffer: nothing that files keep, or that a device without numbers could lose.
        self.shares = torch.cat([*whole, share / share.sum(dim=0).clamp(min=1.0)], dim=1)
        self.mean, self.maximum, self.spread, self.per_field = mean, maximum, spread, per_field

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, M, S, S) -> (B, F)
        """Pool; the pools of a kind and ring follow each other."""
        fields = x.reshape(x.shape[0], -1, self.per_field, x.shape[2] * x.shape[3])
        pooled = []
        if self.mean or self.spread:
            means = (fields @ self.shares.to(x.device, x.dtype)).permute(0, 3, 1, 2)  # (B, rings, F, 8)
            pooled += [means.mean(dim=3).flatten(1)] if self.mean else []
            pooled += [means.std(dim=3, correction=0).flatten(1)] if self.spread else []
        if self.maximum:
            largest = [fields[..., places].amax(dim=(2, 3)) for places in self.places]
            pooled += [torch.stack(largest).amax(dim=0)] if len(largest) > 1 else []
            pooled += largest
        return torch.cat(pooled, dim=1)


class LightPool(nn.Module):
    """Sets how light is spread over the stamp beside other features, which normalised patches do not know.

    Of each of some rings about the centre: the mean of every plane; the amplitude of its second harmonic around the
    ring, 0 for round galaxies; and the mean difference from the stamp turned by 180 degrees. None of these changes by
    flips and quarter turns.

    Parameters
    ----------
    side
        Of the stamps.
    rings
        How many.
    """

    def __init__(self, side: int, rings: int) -> None:
        super().__init__()
        axis = torch.arange(side, device="cpu") - (side - 1) / 2
        angle = 2.0 * torch.atan2(axis[:, None], axis[None, :]).flatten()
        share = F.one_hot(ring_numbers(side, rings), rings).float()
        share = share / share.sum(dim=0).clamp(min=1.0)
        self.rings = rings
        # No buffer: nothing that files keep, or that a device without numbers could lose.
        self.shares = torch.cat([share, share * angle.cos()[:, None], share * angle.sin()[:, None]], dim=1)

    @staticmethod
    def numbers(planes: int, rings: int) -> int:
        """Count what is set beside the features."""
        return (2 * planes + 1) * rings

    def forward(
        self, x: torch.Tensor, stamps: torch.Tensor
    ) -> torch.Tensor:  # (B, F), (B, C, S, S) -> (B, F + numbers)
        """Join."""
        shares = self.shares.to(stamps.device, stamps.dtype)
        mean, cosine, sine = (stamps.flatten(2) @ shares).split(self.rings, dim=2)  # type: ignore[no-untyped-call]
        amplitude = (cosine.square() + sine.square() + _TINY**2).sqrt()
        uneven = (stamps - stamps.flip((2, 3))).abs().mean(dim=1).flatten(1) @ shares[:, : self.rings]
        return torch.cat([x, mean.flatten(1), amplitude.flatten(1), uneven], dim=1)


class SignedRoot(nn.Module):
    """The root of the size of each number, with its sign: a few patches of large projection no longer outweigh many."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, F) -> (B, F)
        """Compute."""
        return x / (x.abs() + _TINY).sqrt()
