"""Texts: files that people write (surveys, schemes, networks, pipelines) and cards, damaged."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from galmorph.learning.pipeline import TrainPipeline, load_pipeline
from galmorph.nets.architecture.network import load_network, outline
from galmorph.nets.checkpoint.card import read_card_file
from galmorph.shipped import shipped
from galmorph.sky.scheme import Scheme, load_scheme
from galmorph.sky.survey import load_survey
from galmorph.stamps.recipe import Recipe

from . import damage, markup
from .dice import Dice
from .subject import Item
from .weights import TREE

log = logging.getLogger(__name__)

SURVEY = """
name = "drawn"
title = "A drawn survey"
reference = "nobody"
[bands.g]
scale_arcsec = 0.4
zero_point_ab = 22.5
unit = "nanomaggy"
psf_fwhm_arcsec = 1.2
reference = "nobody"
"""
PIPELINE = """
title = "drawn"
scheme = "gz2-simple"
[images]
survey = "sdss"
band = "RGB"
data = "drawn"
[recipe]
size = 32
planes = 3
stretch = "display"
[network]
layers = '''
conv 8 5x5 stride 2 pad 2 batchnorm relu
globalpool mean maximum
dense answers
'''
[augmentation]
zoom = 1.1
[split]
test = 0.25
validation = 0.25
[train]
epochs = 12
batch = 6
learning_rate = 0.01
"""


class Texts:
    """TOML and JSON."""

    name = "texts"

    def seeds(self) -> list[Item]:
        catalogs, pipelines = shipped("catalogs"), shipped("pipelines")
        of = {kind: sorted((catalogs / f"{kind}s").glob("*.toml")) for kind in ("survey", "scheme", "network")}
        of["pipeline"] = sorted(p for p in pipelines.rglob("*.toml") if "extends" not in p.read_text(encoding="utf-8"))
        items = [Item.of(f"{kind}.toml", path.read_bytes()) for kind, paths in of.items() for path in paths]
        items = [i for i in items if not i.name.startswith("pipeline") or b"[images]" in i.files[i.name]]
        card = json.dumps({"name": "drawn", "version": "1", "weights": 12, "settings": {"recipe": {"size": 32}}})
        drawn = {"survey.toml": SURVEY, "pipeline.toml": PIPELINE, "card.json": card}
        return [*items, *(Item.of(name, text.encode()) for name, text in drawn.items())]

    def damaged(self, dice: Dice, item: Item, items: Sequence[Item]) -> Item:
        content, others = item.files[item.name], [i.files[i.name] for i in items]
        ways = (
            (markup.json_tree, *markup.TEXT)
            if item.name.endswith(".json")
            else (*markup.TEXT, *markup.TEXT, damage.bits)
        )
        return Item.of(item.name, damage.damaged(dice, content, others, ways))

    def examine(self, path: Path, dice: Dice) -> object:
        del dice
        return _READERS[path.stem](path)

    def compare(self, path: Path, opened: object) -> None:
        """Nobody else reads them."""


def _survey(path: Path) -> object:
    survey = load_survey(path)
    for band in survey.bands:
        band.mjysr_per_unit()
    return survey


def _network(path: Path) -> object:
    config = load_network(path)
    scheme = load_scheme(config.scheme) if config.scheme else Scheme.from_dict(TREE)
    planes = config.planes or 1
    stretch = "display" if planes == 3 else "asinh"
    return outline(config, Recipe(size=config.size or 64, planes=planes, stretch=stretch), scheme)


def _pipeline(path: Path) -> object:
    pipeline = load_pipeline(path)
    pipeline.to_toml()
    if isinstance(pipeline, TrainPipeline):
        pipeline.settings()
    return pipeline


_READERS: dict[str, Callable[[Path], Any]] = {
    "survey": _survey,
    "scheme": load_scheme,
    "network": _network,
    "pipeline": _pipeline,
    "card": read_card_file,
}
