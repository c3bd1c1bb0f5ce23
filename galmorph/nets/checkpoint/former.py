"""Former: checkpoints of format 1, translated into those of format 2."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch

from galmorph.errors import CheckpointError, unknown_name

__all__ = ["translated"]

_FORMER_KEYS = {"channels", "blocks", "stem_width", "dropout", "symmetry"}


def translated(
    contents: Mapping[str, Any], weights: Mapping[str, torch.Tensor]
) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Translate the header and the names of the weights of a file of format 1 into those of format 2.

    There the network was always a first convolution (`stem`), residual blocks (`body`) and a linear map of pooled
    features (`head`).
    """
    given = contents["network"]
    if unknown := sorted(set(given) - _FORMER_KEYS):
        raise CheckpointError(unknown_name("setting of a network", unknown[0], _FORMER_KEYS))
    square = given.get("symmetry", "none") == "square"
    word, wide = (" square" if square else ""), given["stem_width"]
    pad = wide // 2 - square
    lines = [f"conv {given['channels'][0]} {wide}x{wide} stride 2 pad {pad}{word} batchnorm relu"]
    for stage, (channels, blocks) in enumerate(zip(given["channels"], given["blocks"], strict=True)):
        lines += [f"residual {channels}{' stride 2' if stage and not b else ''}{word}" for b in range(blocks)]
    last = len(lines) + 2
    lines += ["globalpool mean maximum", "dropout $dropout", "dense answers"]
    network = {
        "name": "galmorph" if square else "plain",
        "views": "one" if square else "eight",
        "settings": {"dropout": given["dropout"]},
        "layers": "\n".join(lines),
    }
    return {**contents, "network": network}, {_translated_name(k, last): v for k, v in weights.items()}


def _translated_name(name: str, last: int) -> str:
    name = re.sub(r"(^|\.)stem\.", r"\1layers.0.", name)
    name = re.sub(r"(^|\.)body\.(\d+)\.", lambda m: f"{m[1]}layers.{int(m[2]) + 1}.", name)
    return re.sub(r"(^|\.)head\.linear\.", rf"\g<1>layers.{last}.", name)
