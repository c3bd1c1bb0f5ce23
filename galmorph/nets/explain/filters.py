"""Filters: what the first convolution of a network looks for."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from galmorph.nets.architecture.layers import ORDER, Convolution, SquareConv
from galmorph.nets.architecture.network import Network

__all__ = ["Filters", "first_filters"]

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Filters:
    """Kernels of the first convolution.

    Parameters
    ----------
    kernels
        (M, C, k, k): all of them, or the first orientation of each field of a group convolution.
    orientations
        (8, C, k, k): the field of the largest weights in all its orientations; empty for plain convolutions.
    shown_field
        Which field that is, from 0.
    """

    kernels: FloatArray
    orientations: FloatArray
    shown_field: int = 0


def first_filters(network: Network) -> Filters | None:
    """Return the kernels of the first convolution that sees the stamp's planes; None where there is no convolution."""
    for module in network.modules():
        if isinstance(module, SquareConv):
            return _fields(module)
        if isinstance(module, Convolution | nn.Conv2d):
            kernels = _plain(module.weight)
            return Filters(kernels, kernels[:0])
    return None


def _fields(module: SquareConv) -> Filters:
    turns = _plain(module.kernels())
    turns = turns.reshape(-1, ORDER, *turns.shape[1:])
    strongest = int(np.square(turns[:, 0]).sum(axis=(1, 2, 3)).argmax())
    return Filters(turns[:, 0], turns[strongest], strongest)


def _plain(weight: torch.Tensor) -> FloatArray:
    return np.ascontiguousarray(weight.detach().float().cpu().numpy())
