"""Weights: checkpoints and their cards, damaged; what loads is finite and answers."""

from __future__ import annotations

import json
import struct
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file

from galmorph.nets.architecture.network import Network, NetworkConfig, members_of
from galmorph.nets.checkpoint.card import read_card, read_card_file
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, read_envelope, save_checkpoint
from galmorph.sky.scheme import Scheme
from galmorph.stamps.recipe import Recipe

from . import damage, markup
from .dice import Dice
from .subject import DifferenceError, Item

LAYERS = """
conv 4 3x3 stride 2 pad 1 batchnorm relu
residual 4
globalpool mean maximum
dense answers
"""
TREE = {
    "name": "tiny",
    "title": "A tiny tree",
    "reference": "none",
    "kind": "tree",
    "questions": [
        {"name": "a", "answers": ["x", "y"]},
        {"name": "b", "parents": ["a__y"], "answers": ["p", "q", "r"]},
    ],
}
RECIPE = Recipe(size=16)


def checkpoint() -> Checkpoint:
    """Make a checkpoint with random weights, always the same ones."""
    torch.set_num_threads(1)
    torch.manual_seed(1)
    scheme = Scheme.from_dict(TREE)
    return Checkpoint(
        name="tiny",
        version="1",
        network=Network(NetworkConfig(LAYERS), RECIPE, scheme).eval(),
        scheme=scheme,
        recipe=RECIPE,
        envelope=Envelope("sdss", ("r",), 0.396, (10.0, float("inf"))),
        temperatures=(1.0, 1.25),
        split={"test": 0.15, "seed": 3},
    )


class Checkpoints:
    """Safetensors and the card beside them."""

    name = "checkpoints"

    def seeds(self) -> list[Item]:
        with tempfile.TemporaryDirectory() as folder:
            path = save_checkpoint(
                checkpoint(), Path(folder) / "a.safetensors", {"title": "random", "test": {"a": 0.5}}
            )
            files = {name: Path(folder, name).read_bytes() for name in ("a.safetensors", "a.json")}
        # Without the card nothing says beforehand that the file is another one.
        alone = Item.of(path.name, files[path.name])
        return [Item(path.name, files), alone, alone]

    def damaged(self, dice: Dice, item: Item, items: Sequence[Item]) -> Item:
        del items
        name = "a.json" if "a.json" in item.files and dice.one_in(2) else "a.safetensors"
        content, others = item.files[name], list(item.files.values())
        ways = (markup.json_tree, *markup.TEXT) if name == "a.json" else (_retold, _retold, _reshaped, _weighed)
        return Item(item.name, {**item.files, name: damage.damaged(dice, content, others, (*ways, *damage.ANY[:3]))})

    def examine(self, path: Path, dice: Dice) -> object:
        read_envelope(path)
        loaded = load_checkpoint(path)
        for network in members_of(loaded.network):
            assert all(torch.isfinite(w).all() for w in network.state_dict().values()), "a weight is not finite"
        recipe = loaded.recipe
        assert recipe.size * recipe.planes < 1 << 16, "stamps are huge"
        loaded.answer(self._stamps(recipe.planes, recipe.size))
        read_card(path)
        if dice.one_in(4) and path.with_suffix(".json").is_file():
            read_card_file(path.with_suffix(".json"))
        return loaded

    def compare(self, path: Path, opened: object) -> None:
        assert isinstance(opened, Checkpoint)
        theirs = load_file(path)
        for name, ours in opened.network.state_dict().items():
            if not torch.equal(ours, theirs[name].float()):
                raise DifferenceError(f"weights: {name}")

    @cached_property
    def _noise(self) -> Any:
        return np.random.default_rng(1)

    def _stamps(self, planes: int, size: int) -> np.ndarray:
        return self._noise.normal(0, 1, (2, 1, planes, size, size)).astype(np.float32)


def parted(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Divide a sound file into its header and the bytes of its arrays."""
    length = struct.unpack("<Q", content[:8])[0] if len(content) >= 8 else 0
    try:
        header = json.loads(content[8 : 8 + length])
    except (ValueError, RecursionError):
        return {}, content
    return (header, content[8 + length :]) if isinstance(header, dict) else ({}, content)


def joined(header: Any, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def _retold(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change what the header of ours says."""
    header, data = parted(content)
    try:
        told = json.loads(header["__metadata__"]["galmorph"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return content
    if dice.one_in(4):
        text = damage.damaged(dice, json.dumps(told).encode(), others, markup.TEXT).decode("utf-8", "replace")
    else:
        text = json.dumps(markup.changed_tree(dice, told))
    header["__metadata__"]["galmorph"] = text
    return joined(header, data)


def _reshaped(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change types, shapes and places of arrays."""
    del others
    header, data = parted(content)
    if not header:
        return content
    return joined(markup.changed_tree(dice, header), data)


def _weighed(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put other numbers among the weights."""
    header, data = parted(content)
    if not header or len(data) < 8:
        return content
    out = bytearray(data)
    for _ in range(dice.few()):
        at = dice.randrange(len(out) // 4) * 4
        value = dice.choice((float("nan"), float("inf"), 1e38, -1e38, 0.0, 1e-45, 3.0))
        out[at : at + 4] = struct.pack("<f", value)
    if dice.one_in(8):
        out = bytearray(len(out))
    if dice.one_in(8):
        out = bytearray(damage.damaged(dice, bytes(out), others))
    return joined(header, bytes(out))
