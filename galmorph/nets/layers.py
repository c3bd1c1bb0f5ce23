"""Layers: the parts networks are made of."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention

__all__ = ["ORDER", "ResidualBlock", "SquareConv", "SquareNorm", "TreeHead", "conditional_log_probabilities", "turned"]

ORDER = 8
"""Orientations of the square: four quarter turns, of the image and of its mirror image (the group D4)."""

_ELEMENTS = [(mirror, quarter) for mirror in (0, 1) for quarter in range(4)]


def turned(images: torch.Tensor, element: int) -> torch.Tensor:  # (..., H, W) -> (..., H, W)
    """Mirror images left to right (elements 4 to 7), then turn them by `element` modulo 4 quarters."""
    mirror, quarter = _ELEMENTS[element]
    return torch.rot90(images.flip(-1) if mirror else images, quarter, (-2, -1))


def _relative(g: int, h: int) -> int:
    """Return the element that leads from `g` to `h`: the inverse of g, after h."""
    (mirror, quarter), (other, turns) = _ELEMENTS[g], _ELEMENTS[h]
    # A mirror image turns the other way round.
    between = turns - quarter if mirror == 0 else quarter - turns
    return _ELEMENTS.index((mirror ^ other, between % 4))


_RELATIVE = torch.tensor([[_relative(g, h) for h in range(ORDER)] for g in range(ORDER)])


class SquareConv(nn.Module):
    """Convolution that commutes with flips and quarter turns (Cohen & Welling 2016, arXiv:1602.07576).

    Channels come in fields of eight, one channel per orientation of the square; channel ``8 f + g`` of the output is
    the kernel of field f in orientation g. The sampling points must lie symmetrically on the image, which kernels
    of odd width do at stride 1 and kernels of even width at stride 2 on images of even size.

    Parameters
    ----------
    inputs, outputs
        Channels, multiples of eight; `inputs` of an image are its planes.
    width, stride, padding
        As usual.
    image
        Whether the input is an image instead of fields.
    """

    def __init__(
        self, inputs: int, outputs: int, width: int, stride: int = 1, padding: int = 0, *, image: bool = False
    ) -> None:
        super().__init__()
        fields = (outputs // ORDER, inputs if image else inputs // ORDER, 1 if image else ORDER)
        self.weight = nn.Parameter(torch.empty(*fields, width, width))
        nn.init.normal_(self.weight, std=(2.0 / (inputs * width * width)) ** 0.5)
        self.stride, self.padding, self.image = stride, padding, image

    def kernels(self) -> torch.Tensor:  # (fields, inputs, 1 or 8, k, k) -> (outputs, inputs, k, k)
        """Turn the kernels into all orientations."""
        turns = [turned(self.weight if self.image else self.weight[:, :, _RELATIVE[g]], g) for g in range(ORDER)]
        return torch.stack(turns, dim=1).flatten(2, 3).flatten(0, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, outputs, H/stride, W/stride)
        """Convolve."""
        kernels = self.kernels().contiguous(memory_format=torch.channels_last)
        return F.conv2d(x, kernels, stride=self.stride, padding=self.padding)


class SquareNorm(nn.Module):
    """Batch normalisation whose statistics and weights are shared by the eight orientations of a field."""

    mean: torch.Tensor
    variance: torch.Tensor

    def __init__(self, channels: int, momentum: float = 0.1) -> None:
        super().__init__()
        fields = channels // ORDER
        self.weight = nn.Parameter(torch.ones(fields))
        self.bias = nn.Parameter(torch.zeros(fields))
        self.register_buffer("mean", torch.zeros(fields))
        self.register_buffer("variance", torch.ones(fields))
        self.momentum = momentum

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, C, H, W)
        """Normalise; in training with the batch's own statistics."""
        weight, bias, mean, variance = (
            v.repeat_interleave(ORDER) for v in (self.weight, self.bias, self.mean, self.variance)
        )
        if not self.training:
            return F.batch_norm(x, mean, variance, weight, bias)
        # The statistics of the eight channels differ only by chance; a momentum of 1 puts them into the buffers.
        y = F.batch_norm(x, mean, variance, weight, bias, training=True, momentum=1.0)
        with torch.no_grad():
            means, variances = mean.view(-1, ORDER), variance.view(-1, ORDER)
            self.mean.lerp_(means.mean(1), self.momentum)
            self.variance.lerp_(variances.mean(1) + means.var(1, correction=0), self.momentum)
        return y


class ResidualBlock(nn.Module):
    """Two convolutions with batch normalisation around a shortcut (He et al. 2016, arXiv:1512.03385).

    With `square` they commute with the symmetries of the square.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, *, square: bool = False) -> None:
        super().__init__()
        norm = SquareNorm if square else nn.BatchNorm2d
        widen = inputs != outputs or stride > 1
        if square:
            self.first: nn.Module = SquareConv(inputs, outputs, 4 if stride > 1 else 3, stride, 1)
            self.second: nn.Module = SquareConv(outputs, outputs, 3, 1, 1)
            self.shortcut: nn.Module | None = SquareConv(inputs, outputs, 1) if widen else None
        else:
            self.first = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.second = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.shortcut = nn.Conv2d(inputs, outputs, 1, bias=False) if widen else None
        self.norm1, self.norm2 = norm(outputs), norm(outputs)
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
    """Pooled features to one logit per answer.

    Parameters
    ----------
    features
        Channels.
    per_field
        Channels that are pooled together: 8 for fields over the orientations of the square, which makes the logits
        invariant to them.
    """

    def __init__(self, features: int, answers: int, dropout: float, *, per_field: int = 1) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(2 * features // per_field, answers)
        self.per_field = per_field

    def forward(self, x: torch.Tensor) -> torch.Tensor:  # (B, C, H, W) -> (B, A)
        """Average and maximum over positions and orientations, then a linear map."""
        fields = x.reshape(len(x), -1, self.per_field, *x.shape[2:])
        pooled = torch.cat([fields.mean(dim=(2, 3, 4)), fields.amax(dim=(2, 3, 4))], dim=1)
        logits: torch.Tensor = self.linear(self.dropout(pooled))
        return logits
