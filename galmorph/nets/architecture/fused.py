"""Fused: a trained network written out in ordinary convolutions, which give the same for less work."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from itertools import pairwise

from torch import nn
from torch.nn import functional as F  # noqa: N812 - torch's own convention
from torch.nn.utils.fusion import fuse_conv_bn_weights

from galmorph.nets.architecture.layers import ORDER, Convolution, ResidualBlock, SquareConv, SquareNorm
from galmorph.nets.architecture.network import AnyModule, channels_last

__all__ = ["plain"]


def plain(network: AnyModule) -> AnyModule:
    """Copy a network for use alone: group convolutions become ordinary ones, and take in the norms that follow them."""
    copied = copy.deepcopy(network).eval().cpu()
    for parent in list(copied.modules()):
        for name, child in list(parent.named_children()):
            setattr(parent, name, _ordinary(child))
        for first, second in list(_followers(parent)):
            _fuse(parent, first, second)
    return channels_last(copied.requires_grad_(requires_grad=False))


def _ordinary(module: nn.Module) -> nn.Module:
    """Write out a group convolution or its norm; others stay as they are."""
    if isinstance(module, SquareConv):
        return _convolution(module)
    if isinstance(module, Convolution) and module.groups > 1:
        return _evenly_padded(module)
    return _normalisation(module) if isinstance(module, SquareNorm) else module


def _convolution(square: SquareConv) -> nn.Conv2d:
    kernels = square.kernels().detach()
    outputs, inputs, width, _ = kernels.shape
    convolution = nn.Conv2d(inputs, outputs, width, square.stride, square.padding, bias=False)
    convolution.weight = nn.Parameter(kernels)
    return convolution.eval()


def _evenly_padded(convolution: Convolution) -> Convolution:
    """Put zeros before kernels of single maps in place of the maps that are padded at the end alone.

    To copy a map for that takes three times as long as to multiply it by the zeros.
    """
    before, end, _, _ = convolution.padding
    if before < end:
        wider = F.pad(convolution.weight.detach(), (end - before, 0, end - before, 0))
        convolution.weight, convolution.padding = nn.Parameter(wider), (end, end, end, end)
    return convolution


def _normalisation(square: SquareNorm) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(ORDER * len(square.weight)).eval()
    norm.weight.data, norm.bias.data = (v.detach().repeat_interleave(ORDER) for v in (square.weight, square.bias))
    norm.running_mean, norm.running_var = (v.repeat_interleave(ORDER) for v in (square.mean, square.variance))
    return norm


def _followers(parent: nn.Module) -> Iterator[tuple[str, str]]:
    """Name the modules that follow each other within another."""
    if isinstance(parent, ResidualBlock):
        yield from (("first", "norm1"), ("second", "norm2"))
    elif isinstance(parent, nn.Sequential):
        yield from pairwise(name for name, _ in parent.named_children())


def _fuse(parent: nn.Module, first: str, second: str) -> None:
    """Let a convolution take in the norm that follows it, if these two are that."""
    convolution, norm = getattr(parent, first), getattr(parent, second)
    if not isinstance(convolution, nn.Conv2d | Convolution) or not isinstance(norm, nn.BatchNorm2d):
        return
    mean, variance, bias = norm.running_mean, norm.running_var, convolution.bias
    if mean is None or variance is None or (bias is not None and bias.ndim > 1):  # untied biases
        return
    convolution.weight, convolution.bias = fuse_conv_bn_weights(
        convolution.weight, bias, mean, variance, norm.eps, norm.weight, norm.bias
    )
    setattr(parent, second, nn.Identity())
