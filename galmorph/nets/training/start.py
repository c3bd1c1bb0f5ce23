"""Start: the weights of a checkpoint, or those of ImageNet, with which networks begin to learn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from galmorph.errors import CheckpointError, PipelineError
from galmorph.nets.architecture.network import Network, NetworkConfig, members_of, n_weights
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.checkpoint.lookup import checksum, find_checkpoint
from galmorph.nets.training.imagenet import IMAGENET, PRETRAINED_SHA256, fitting_weights, imagenet_weights
from galmorph.sky.scheme import Scheme
from galmorph.stamps.recipe import Recipe

__all__ = ["Start", "load_start", "mark_of"]

Weights = Mapping[str, torch.Tensor]
# Where less than this share of the weights fits, it is another network, and what fits is chance.
_LEAST = 0.5


@dataclass(frozen=True)
class Start:
    """What new networks take from those of a checkpoint.

    Parameters
    ----------
    name, sha256
        Of the checkpoint.
    weights
        Of each of its networks, those that fit, statistics of normalisation included.
    taken
        The number of trainable weights among them, for each of its networks.
    total
        The number that a new network has.
    """

    name: str
    sha256: str
    weights: Sequence[Weights]
    taken: Sequence[int]
    total: int

    def member(self, number: int) -> Weights:
        """Return the weights that network `number`, from 1, begins with: each of the checkpoint's in turn."""
        return self.weights[(number - 1) % len(self.weights)]

    def about(self, members: int) -> dict[str, Any]:
        """Return plain values: the checkpoint, and how many of the weights of each new network come from it."""
        taken = [self.taken[number % len(self.taken)] for number in range(members)]
        return {"name": self.name, "sha256": self.sha256, "taken": taken, "of": self.total}

    def __str__(self) -> str:
        """Say how much is taken, and from where."""
        numbers = " or ".join(str(n) for n in sorted(set(self.taken)))
        return f"{numbers} of {self.total} weights from {self.name} (sha256 {self.sha256[:12]})"


def load_start(name: str | Path, config: NetworkConfig, recipe: Recipe, scheme: Scheme) -> Start:
    """Find the weights of a checkpoint that fit a network.

    Those with the same name and shape do. The last layer, whose weights stand for answers, fits only where the answers
    are the same.

    Parameters
    ----------
    name
        Of a checkpoint that ships, or its file; ``imagenet`` for the published weights of EfficientNet-lite0.
    config, recipe, scheme
        Of the networks that are to learn.

    Raises
    ------
    PipelineError
        If there is no such checkpoint, or if less than half of the weights of each of its networks fit.
    """
    with torch.device("meta"):
        new = Network(config, recipe, scheme)
    if str(name) == IMAGENET:
        weights = fitting_weights(imagenet_weights(), new)
        return Start(IMAGENET, PRETRAINED_SHA256, [weights], [_trainable(weights, new)], n_weights(new))
    try:
        checkpoint = load_checkpoint(name)
    except CheckpointError as error:
        raise PipelineError(f"[train] start: {error}") from error
    fitting = [_fitting(old, new) for old in members_of(checkpoint.network)]
    taken = [_trainable(weights, new) for weights in fitting]
    total = n_weights(new)
    # A checkpoint may have networks of other kinds beside these: of what is measured, say.
    alike = [number for number, count in enumerate(taken) if count >= _LEAST * total]
    if not alike:
        raise PipelineError(
            f"[train] start = '{name}' (network '{checkpoint.config.name}') fits {max(taken)} of the {total} weights "
            f"of network '{config.name}', expected at least half: start from a checkpoint of the same network, or none"
        )
    return Start(checkpoint.name, checkpoint.sha256, [fitting[n] for n in alike], [taken[n] for n in alike], total)


def _trainable(weights: Weights, new: Network) -> int:
    """Count the trainable ones among some weights of a network."""
    trainable = {key for key, _ in new.named_parameters()}
    return sum(v.numel() for k, v in weights.items() if k in trainable)


def _fitting(old: Network, new: Network) -> Weights:
    shapes = {key: value.shape for key, value in new.state_dict().items()}
    same = old.scheme.keys == new.scheme.keys
    return {
        key: value
        for key, value in old.state_dict().items()
        if shapes.get(key) == value.shape and (same or not new.is_answering(key))
    }


def mark_of(name: str | Path, what: str = "[train] start") -> str:
    """Return what tells a start from others, wherever its file lies: its name and the beginning of its checksum.

    Raises
    ------
    PipelineError
        If there is no such checkpoint.
    """
    if str(name) == IMAGENET:
        return f"{IMAGENET}, sha256 {PRETRAINED_SHA256[:12]}"
    try:
        path = find_checkpoint(name)
    except CheckpointError as error:
        raise PipelineError(f"{what}: {error}") from error
    return f"{path.stem}, sha256 {checksum(path)[:12]}"
