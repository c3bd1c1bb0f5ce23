"""Network: a convnet built from a few settings that travel with its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeVar

import torch
from torch import nn

from galmorph.errors import PipelineError, unknown_name
from galmorph.nets.layers import ORDER, ResidualBlock, SquareConv, SquareNorm, TreeHead, turned

__all__ = ["Ensemble", "Network", "NetworkConfig", "members_of", "n_weights", "views"]


AnyModule = TypeVar("AnyModule", bound=nn.Module)
_SYMMETRIES = ("none", "square")


@dataclass(frozen=True)
class NetworkConfig:
    """Architecture of a residual convnet.

    Parameters
    ----------
    channels
        Of each stage; each stage after the first halves the resolution.
    blocks
        Residual blocks in each stage.
    stem_width
        Side of the first convolution, which has stride 2.
    dropout
        Of the pooled features.
    symmetry
        ``'square'``: convolutions commute with flips and quarter turns and the answers are invariant to them; channels
        are multiples of eight and `stem_width` is even. ``'none'``: the answers are averaged over the eight views.
    """

    channels: tuple[int, ...] = (32, 64, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    stem_width: int = 5
    dropout: float = 0.3
    symmetry: str = "none"

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks) or not self.channels:
            raise PipelineError(
                f"network with {len(self.channels)} channels and {len(self.blocks)} blocks: expected one number of "
                "blocks for each stage"
            )
        if self.symmetry not in _SYMMETRIES:
            raise PipelineError(unknown_name("symmetry of a network", self.symmetry, _SYMMETRIES))
        if self.symmetry == "square" and (self.stem_width % 2 or any(c % ORDER for c in self.channels)):
            raise PipelineError(
                f"network with channels {list(self.channels)} and a first convolution of width {self.stem_width}: "
                "symmetry 'square' needs multiples of 8 and an even width"
            )

    def to_dict(self) -> dict[str, Any]:
        """Return plain values for a checkpoint."""
        return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(self).items()}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> NetworkConfig:
        """Build from a table of settings; an unknown one is a PipelineError."""
        known = {f.name for f in fields(cls)}
        if unknown := set(settings) - known:
            raise PipelineError(unknown_name("setting of a network", sorted(unknown)[0], known))
        plain: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in settings.items()}
        return cls(**plain)


class Network(nn.Module):
    """Stamps to one logit per answer of a scheme."""

    def __init__(self, config: NetworkConfig, planes: int, answers: int) -> None:
        super().__init__()
        square = config.symmetry == "square"
        width = config.channels[0]
        self.invariant = square
        self.stem = _stem(config, planes)
        stages: list[nn.Module] = []
        for stage, (channels, blocks) in enumerate(zip(config.channels, config.blocks, strict=True)):
            for block in range(blocks):
                stages.append(ResidualBlock(width, channels, 2 if stage and not block else 1, square=square))
                width = channels
        self.body = nn.Sequential(*stages)
        self.head = TreeHead(width, answers, config.dropout, per_field=ORDER if square else 1)

    def forward(self, stamps: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, A)
        """Compute logits."""
        logits: torch.Tensor = self.head(self.body(self.stem(stamps)))
        return logits


def _stem(config: NetworkConfig, planes: int) -> nn.Sequential:
    """Build the first convolution, which halves the resolution."""
    first, wide = config.channels[0], config.stem_width
    if config.symmetry == "square":
        convolution: nn.Module = SquareConv(planes, first, wide, 2, wide // 2 - 1, image=True)
        return nn.Sequential(convolution, SquareNorm(first), nn.ReLU(inplace=True))
    convolution = nn.Conv2d(planes, first, wide, 2, wide // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(first), nn.ReLU(inplace=True))


class Ensemble(nn.Module):
    """Networks of one architecture whose probabilities are averaged."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)


def members_of(network: Network | Ensemble) -> list[Network]:
    """List the networks that answer together."""
    return list(network.members) if isinstance(network, Ensemble) else [network]  # type: ignore[arg-type]


def views(network: Network, stamps: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the views of stamps, (B, C, S, S), over which a network's answers are averaged.

    One where its answers are invariant to the symmetries of the square, else all eight orientations.
    """
    for element in range(1 if network.invariant else ORDER):
        yield turned(stamps, element)


def channels_last(network: AnyModule) -> AnyModule:
    """Order the kernels of plain convolutions as the CPU computes them fastest; return the network."""
    for weight in network.parameters():
        if weight.ndim == 4:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last)
    return network


def n_weights(network: nn.Module) -> int:
    """Count the trainable weights."""
    return sum(p.numel() for p in network.parameters())
