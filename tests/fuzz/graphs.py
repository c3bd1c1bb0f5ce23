"""Graphs: exported networks (ONNX), damaged; what opens gives the probabilities of its checkpoint."""

from __future__ import annotations

import io
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint, save_checkpoint
from galmorph.nets.checkpoint.onnx_file import with_onnx, write_onnx

from . import damage, markup
from .dice import Dice
from .subject import DifferenceError, Item
from .weights import checkpoint


class Graphs:
    """ONNX files."""

    name = "onnx"

    def __init__(self) -> None:
        self._checkpoint, self._sound = _exported()
        self._stamps = np.random.default_rng(2).normal(0, 1, (3, 1, 1, 16, 16)).astype(np.float32)
        self._answers = self._checkpoint.answer(self._stamps).conditional

    def seeds(self) -> list[Item]:
        return [Item.of("a.onnx", self._sound)]

    def damaged(self, dice: Dice, item: Item, items: Sequence[Item]) -> Item:
        del items
        content = item.files[item.name]
        ways = (_rewritten, _rewritten, _retold, *damage.ANY)
        return Item.of(item.name, damage.damaged(dice, content, [content], ways))

    def examine(self, path: Path, dice: Dice) -> object:
        del dice
        return with_onnx(self._checkpoint, path).answer(self._stamps).conditional

    def compare(self, path: Path, opened: object) -> None:
        del path
        difference = np.abs(np.asarray(opened) - self._answers).max()
        if not difference < 1e-3:
            raise DifferenceError(f"probabilities: {difference:.3g} from torch's")


def _exported() -> tuple[Checkpoint, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        saved = load_checkpoint(save_checkpoint(checkpoint(), Path(folder) / "a.safetensors", {"title": "random"}))
        path, _ = write_onnx(saved, Path(folder) / "a.onnx")
        return saved, path.read_bytes()


def _parsed(content: bytes) -> Any:
    try:
        return onnx.load_model(io.BytesIO(content))
    except Exception:  # noqa: BLE001  (it is damaged already)
        return None


def _rewritten(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change nodes, their settings, weights or shapes."""
    del others
    model = _parsed(content)
    if model is None or not model.graph.node:
        return content
    for _ in range(dice.few(3)):
        dice.choice((_node, _setting, _weight, _weight, _shape))(dice, model.graph)
    return model.SerializeToString()


def _node(dice: Dice, graph: Any) -> None:
    node = dice.choice(list(graph.node))
    which = dice.randrange(4)
    if which == 0:
        graph.node.remove(node)
    elif which == 1:
        graph.node.append(node)
    elif which == 2:
        node.op_type = dice.choice(
            ("Relu", "Identity", "Conv", "Reshape", "Tile", "Expand", "Loop", "If", "Range", "Nonsense")
        )
    elif node.input:
        node.input[dice.randrange(len(node.input))] = dice.choice([n for other in graph.node for n in other.output])


def _setting(dice: Dice, graph: Any) -> None:
    settings = [a for node in graph.node for a in node.attribute]
    if settings:
        setting = dice.choice(settings)
        setting.i = dice.choice((0, -1, 1, 2, 3, 1000, 2**31, 2**62))
        if setting.ints:
            setting.ints[dice.randrange(len(setting.ints))] = dice.choice((0, -1, 1, 3, 1000, 2**31, 2**62))


def _weight(dice: Dice, graph: Any) -> None:
    weights = [w for w in graph.initializer if w.raw_data]
    if not weights:
        return
    weight = dice.choice(weights)
    which = dice.randrange(4)
    if which == 0:
        weight.raw_data = bytes(len(weight.raw_data))
    elif which == 1:
        weight.raw_data = damage.damaged(dice, weight.raw_data, [weight.raw_data], damage.ANY[:3])
    elif which == 2:
        weight.data_type = dice.choice((0, 1, 2, 6, 7, 8, 10, 11, 99))
    else:
        location = weight.external_data.add()
        location.key, location.value = "location", dice.choice(("a.onnx", "../a", "/dev/zero", "/etc/passwd", ""))
        weight.data_location = onnx.TensorProto.EXTERNAL
        weight.ClearField("raw_data")


def _shape(dice: Dice, graph: Any) -> None:
    tensors = [w for w in graph.initializer if w.dims]
    if tensors:
        tensor = dice.choice(tensors)
        tensor.dims[dice.randrange(len(tensor.dims))] = dice.choice((0, -1, 1, 7, 2**31, 2**62))


def _retold(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change what the file says of itself."""
    model = _parsed(content)
    if model is None or not model.metadata_props:
        return content
    entry = dice.choice(list(model.metadata_props))
    # Letters that are none come as bytes.
    value = entry.value if isinstance(entry.value, bytes) else entry.value.encode()
    told = markup.json_tree(dice, value, others)
    entry.value = damage.damaged(dice, told, others, markup.TEXT).decode("utf-8", "replace") if dice.one_in(2) else told
    return model.SerializeToString()
