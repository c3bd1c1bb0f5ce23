"""Tiny: a network, sets and a checkpoint small enough to train in a test."""

from __future__ import annotations

import numpy as np
import torch
from galaxies import noise, sersic

from galmorph.nets.architecture.network import Network, NetworkConfig
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.training.loop import Trainer
from galmorph.nets.training.settings import Augmentation, TrainingSettings
from galmorph.nets.training.training_set import Canvas, TrainingSet, canvas
from galmorph.sky.scheme import Labels, Scheme
from galmorph.stamps.morphometry import MORPHOMETRY
from galmorph.stamps.recipe import Recipe

CONFIG = NetworkConfig(
    """
    conv 4 3x3 stride 2 pad 1 batchnorm relu   # halves
    residual 4
    globalpool mean maximum
    dropout $dropout
    dense answers
    """,
    name="tiny",
    settings={"dropout": 0.2},
)
SQUARE = NetworkConfig(
    """
    mask 1.0
    conv 16 6x6 stride 2 pad 2 square batchnorm relu
    residual 16 stride 2 square
    residual 16 square
    globalpool mean maximum
    dense answers
    """,
    name="square",
    views="one",
)
"""The same maps in all orientations of the square."""
FUSED = NetworkConfig(
    "conv 4 3x3 stride 2 pad 1 batchnorm relu\nglobalpool mean maximum\nmorphometry $morphometry\ndense answers",
    name="fused",
    settings={"morphometry": 6},
)
"""What is measured joins the features of the stamp."""
RECIPE = Recipe(size=16)
TREE = Scheme.from_dict(
    {
        "name": "tiny",
        "title": "A tiny tree",
        "reference": "none",
        "kind": "tree",
        "questions": [
            {"name": "a", "answers": ["x", "y"]},
            {"name": "b", "parents": ["a__y"], "answers": ["p", "q", "r"]},
        ],
    }
)


def scheme_of(kind: str, answers: int = 3) -> Scheme:
    """Make a scheme of one question."""
    names = [f"k{i}" for i in range(answers)]
    question = {"name": "only", "answers": names}
    return Scheme.from_dict({"name": kind, "title": kind, "reference": "none", "kind": kind, "questions": [question]})


def network(seed: int = 0, config: NetworkConfig = CONFIG, scheme: Scheme = TREE, recipe: Recipe = RECIPE) -> Network:
    """Make a network with random weights, statistics included."""
    torch.manual_seed(seed)
    net = Network(config, recipe, scheme)
    for name, buffer in net.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return net.eval()


def checkpoint(scheme: Scheme = TREE, **changes: object) -> Checkpoint:
    """Make a checkpoint around such a network."""
    settings: dict[str, object] = {
        "name": "tiny",
        "version": "7",
        "network": network(scheme=scheme),
        "scheme": scheme,
        "recipe": RECIPE,
        "envelope": Envelope("sdss", ("r",), 0.396, (10.0, float("inf"))),
        "temperatures": tuple(1.0 + 0.25 * i for i in range(len(scheme.questions))),
        "split": {"test": 0.15, "seed": 3},
    }
    return Checkpoint(**{**settings, **changes})  # type: ignore[arg-type]


def stamps(n: int, seed: int = 0, planes: int = 1) -> np.ndarray:
    """Draw stamps that no symmetry leaves alone, (n, planes, 16, 16)."""
    return np.random.default_rng(seed).normal(0, 1, (n, planes, 16, 16)).astype(np.float32)


def canvases(n: int) -> list[Canvas]:
    """Make round galaxies (even numbers) and flat ones (odd numbers)."""
    made = []
    for i in range(n):
        image = sersic((81, 81), 40, 40, re=5, q=0.25 if i % 2 else 1.0, theta=i, flux=2000.0)
        image = image + noise((81, 81), 0.5, i)
        made.append(canvas(image[None], 40.0, 40.0, 16.0, 4.0, RECIPE))
    return made


def labels(n: int) -> Labels:
    """Give votes that say which are round: 20 on the first question, those for y on the second."""
    counts = np.zeros((n, 5))
    counts[0::2, :2], counts[1::2, :2] = (17, 3), (4, 16)
    counts[0::2, 2:], counts[1::2, 2:] = (1, 1, 1), (2, 10, 4)
    totals = np.repeat(np.stack([counts[:, :2].sum(1), counts[:, 2:].sum(1)], 1), (2, 3), axis=1)
    return Labels(counts, totals)


def training_set(n: int = 12) -> TrainingSet:
    """Make a set of galaxies with labels."""
    return TrainingSet.build(canvases(n), labels(n), RECIPE)


def trainer(ranges: Augmentation | None = None, **settings: object) -> Trainer:
    """Make a trainer with a dozen galaxies."""
    chosen = {"epochs": 4, "batch": 4, "seed": 5, "bfloat16": False, **settings}
    part = training_set()
    return Trainer(part, part, TREE, CONFIG, ranges or Augmentation(), TrainingSettings(**chosen))  # type: ignore[arg-type]


def measured(n: int, seed: int = 0) -> np.ndarray:
    """Draw the morphometry of galaxies, (n, K), about 2 with a standard deviation of 0.5."""
    return np.random.default_rng(seed).normal(2.0, 0.5, (n, len(MORPHOMETRY))).astype(np.float32)


def fused(seed: int = 0, config: NetworkConfig = FUSED) -> Network:
    """Make a network that takes what is measured, with the figures of two hundred galaxies."""
    made = network(seed, config=config)
    made.standardise(torch.from_numpy(measured(200)))
    return made
