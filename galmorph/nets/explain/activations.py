"""Activations: what the layers of a network make of a stamp."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from galmorph.nets.architecture.centroids import CentroidEncoding
from galmorph.nets.architecture.fusion import LateFusion
from galmorph.nets.architecture.layers import ORDER
from galmorph.nets.architecture.network import Network, through_layer

__all__ = ["Activation", "activations", "centroid_responses", "last_weights", "unit_responses"]

FloatArray = npt.NDArray[np.float32]
_BATCH = 64


@dataclass(frozen=True)
class Activation:
    """What one layer gives for one stamp.

    Parameters
    ----------
    line
        The layer as it is written.
    values
        (M, H, W) maps, or (F,) numbers.
    per_field
        Maps that belong together: 8 orientations of a field, or 1.
    parts
        Of a stamp that goes through the network in so many parts, those of the first are given.
    """

    line: str
    values: FloatArray
    per_field: int = 1
    parts: int = 1

    def strongest(self, n: int) -> list[int]:
        """Choose at most `n` maps of different fields: those that vary most over the stamp, in their order."""
        spread = self.values.std(axis=(1, 2)).reshape(-1, self.per_field)
        fields = np.argsort(-spread.max(axis=1), kind="stable")[:n]
        return sorted((fields * self.per_field + spread[fields].argmax(axis=1)).tolist())


def activations(network: Network, stamp: FloatArray, morphometry: FloatArray | None = None) -> Iterator[Activation]:
    """Show a stamp, (C, S, S), and its morphometry, (K,), to a network; yield what each layer makes of it, in order.

    Layers that do nothing outside training (dropout) are left out.
    """
    x = stamps = torch.from_numpy(np.ascontiguousarray(stamp[None]))
    beside = None if morphometry is None else torch.from_numpy(np.ascontiguousarray(morphometry[None]))
    with torch.inference_mode():
        for layer, (line, shape) in zip(network.layers, network.outline, strict=True):
            x = through_layer(layer, x, stamps, beside)
            if isinstance(layer, nn.Dropout):
                continue
            # A copy: the next layer may compute in place.
            yield Activation(line.text, x[0].float().cpu().numpy().copy(), ORDER if shape.square else 1, shape.parts)


def unit_responses(network: Network, stamps: FloatArray) -> FloatArray:  # (N, C, S, S) -> (N, F)
    """Compute what the last dense layer sees of each stamp."""
    with torch.inference_mode():
        features = [
            network.features(torch.from_numpy(stamps[i : i + _BATCH])).flatten(1).float().cpu().numpy()
            for i in range(0, len(stamps), _BATCH)
        ]
    return np.concatenate(features)


def centroid_responses(network: Network, stamps: FloatArray) -> FloatArray | None:  # (N, C, S, S) -> (N, M)
    """Compute how much each centroid has in common with the patch of a stamp that is most like it, in any orientation.

    None for networks that have no centroids.
    """
    places = [number for number, layer in enumerate(network.layers) if isinstance(layer, CentroidEncoding)]
    if not places:
        return None
    with torch.inference_mode():
        parts = [
            _likeness(network, torch.from_numpy(stamps[i : i + _BATCH]), places[0])
            for i in range(0, len(stamps), _BATCH)
        ]
    return np.concatenate(parts)


def _likeness(network: Network, x: torch.Tensor, number: int) -> FloatArray:
    for layer in network.layers[: number + 1]:
        x = layer(x)
    per_field = ORDER if network.outline[number][1].square else 1
    # Likeness and its opposite follow each other, each in all orientations.
    likeness = x.flatten(2).amax(dim=2).reshape(len(x), -1, 2, per_field)[:, :, 0].amax(dim=2)
    return np.asarray(likeness.float().cpu().numpy())


def last_weights(network: Network) -> FloatArray | None:
    """Return the weights, (A, F), by which the last dense layer makes answers of what it sees of a stamp.

    Those of the morphometry, which follow, are left out. None where that layer does not give one number per answer
    (such as after maxout).
    """
    linear = [m for layer in network.layers for m in layer.modules() if isinstance(m, nn.Linear)]
    if not linear or linear[-1].out_features != len(network.scheme.keys):
        return None
    fused = sum(layer.dense.out_features for layer in network.layers if isinstance(layer, LateFusion))
    weights = linear[-1].weight.detach().float().cpu().numpy()
    return np.ascontiguousarray(weights[:, : weights.shape[1] - fused])
