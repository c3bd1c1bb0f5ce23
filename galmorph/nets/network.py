"""Network: a convnet built from a few settings that travel with its weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn

from galmorph.errors import PipelineError, unknown_name
from galmorph.nets.layers import ResidualBlock, TreeHead

__all__ = ["Ensemble", "Network", "NetworkConfig", "eight_views", "members_of", "n_weights"]


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
    """

    channels: tuple[int, ...] = (32, 64, 128, 192)
    blocks: tuple[int, ...] = (1, 1, 1, 1)
    stem_width: int = 5
    dropout: float = 0.3

    def __post_init__(self) -> None:
        if len(self.channels) != len(self.blocks) or not self.channels:
            raise PipelineError(
                f"network with {len(self.channels)} channels and {len(self.blocks)} blocks: expected one number of "
                "blocks for each stage"
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
        first = config.channels[0]
        pad = config.stem_width // 2
        self.stem = nn.Sequential(
            nn.Conv2d(planes, first, config.stem_width, 2, pad, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(inplace=True),
        )
        stages: list[nn.Module] = []
        width = first
        for stage, (channels, blocks) in enumerate(zip(config.channels, config.blocks, strict=True)):
            for block in range(blocks):
                stages.append(ResidualBlock(width, channels, stride=2 if stage and not block else 1))
                width = channels
        self.body = nn.Sequential(*stages)
        self.head = TreeHead(width, answers, config.dropout)

    def forward(self, stamps: torch.Tensor) -> torch.Tensor:  # (B, C, S, S) -> (B, A)
        """Compute logits."""
        logits: torch.Tensor = self.head(self.body(self.stem(stamps)))
        return logits


class Ensemble(nn.Module):
    """Networks of one architecture whose probabilities are averaged."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)


def members_of(network: Network | Ensemble) -> list[Network]:
    """List the networks that answer together."""
    return list(network.members) if isinstance(network, Ensemble) else [network]  # type: ignore[arg-type]


def eight_views(stamps: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the stamps, (B, C, S, S), in the eight orientations of the square."""
    for mirrored in (stamps, stamps.flip(-1)):
        for quarter in range(4):
            yield torch.rot90(mirrored, quarter, (-2, -1))


def n_weights(network: nn.Module) -> int:
    """Count the trainable weights."""
    return sum(p.numel() for p in network.parameters())
