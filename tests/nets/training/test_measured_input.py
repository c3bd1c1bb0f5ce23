"""A network that takes the morphometry learns from it, and is stopped and resumed like others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.learning.pipeline import load_pipeline
from galmorph.learning.training import check_settings
from galmorph.nets.architecture.fusion import LateFusion
from galmorph.nets.architecture.network import NetworkConfig
from galmorph.nets.training.loop import Trainer
from galmorph.nets.training.settings import Augmentation, EnsembleSettings, TrainingSettings
from galmorph.nets.training.training_set import TrainingSet
from galmorph.stamps.morphometry import MORPHOMETRY

ALONE = NetworkConfig("measured\ndense 8 relu\ndense answers", name="alone", views="one")
LATE = NetworkConfig(
    "conv 4 3x3 stride 4 relu\nglobalpool mean\nmorphometry 8\ndense answers", name="late", views="one"
)


def alike(n: int = 40) -> TrainingSet:
    """Make galaxies that look the same, while a radius tells the labels of even and odd ones."""
    values = np.zeros((n, 2, len(MORPHOMETRY)), np.float32)
    values[:, 0], values[:, 1] = np.random.default_rng(1).normal(0, 0.1, (n, len(MORPHOMETRY))), 0.05
    values[:, 0, 0] += np.where(np.arange(n) % 2, 1.0, -1.0)
    one = tiny.canvases(1)[0]
    return TrainingSet.build([replace(one, morphometry=v) for v in values], tiny.labels(n), tiny.RECIPE)


def trainer(epochs: int = 30, config: NetworkConfig = LATE) -> Trainer:
    settings = TrainingSettings(epochs=epochs, batch=10, seed=2, bfloat16=False, learning_rate=0.03, average=0.9)
    return Trainer(alike(), alike(), tiny.TREE, config, Augmentation(), settings)


def test_it_learns_what_no_stamp_shows():
    """Where the radius is missing the answer stays between both classes."""
    taught = trainer()
    list(taught.epochs())
    part = alike()
    stamps = part.stamps(torch.arange(4), None, torch.Generator())
    with torch.inference_mode():
        fractions = taught.best.columns(stamps, part.measured(torch.arange(4), None, torch.Generator()))[:, 0]
        without = taught.best.columns(stamps)[:, 0]
    assert (fractions[::2] > 0.7).all()
    assert (fractions[1::2] < 0.35).all()
    assert ((without > 0.3) & (without < 0.7)).all()


def test_the_standard_is_that_of_the_training_galaxies():
    (layer,) = (layer for layer in trainer().best.layers if isinstance(layer, LateFusion))
    values = alike().morphometry[:, 0]
    torch.testing.assert_close(layer.mean, values.mean(dim=0))
    torch.testing.assert_close(layer.deviation, values.std(dim=0))


def test_a_resumed_run_misreads_as_an_uninterrupted_one(tmp_path):
    whole, first, second = trainer(4), trainer(4), trainer(4)
    list(whole.epochs())
    next(first.epochs())
    first.save(tmp_path / "state.safetensors")
    second.resume(tmp_path / "state.safetensors")
    list(second.epochs())
    assert second.history == whole.history


def test_images_that_are_degraded_are_refused():
    """Their morphometry is that of the original images."""
    network = {"name": "lite0", "morphometry": 8}
    pipeline = load_pipeline("candels-degraded", {"network": network})
    with pytest.raises(PipelineError, match=r"takes the morphometry.*set morphometry = 0"):
        check_settings(pipeline)


def test_a_frozen_network_learns_by_its_answers_alone():
    """Features, statistics of their norms included, stay as they were at the start; the morphometry is learnt from."""
    settings = TrainingSettings(
        epochs=12, batch=10, bfloat16=False, learning_rate=0.03, average=0.5, weight_decay=0.1, frozen=True
    )
    config = replace(
        LATE, layers="conv 4 3x3 stride 4 batchnorm relu\nglobalpool mean\ndropout 0.5\nmorphometry 8\ndense answers"
    )
    frozen = Trainer(alike(), alike(), tiny.TREE, config, Augmentation(), settings)
    before = {k: v.clone() for k, v in frozen.network.state_dict().items()}
    losses = [epoch.validation_loss for epoch in frozen.epochs()]
    assert losses[-1] < losses[0]
    for network in (frozen.network, frozen.averaged, frozen.best):
        changed = {k for k, v in network.state_dict().items() if not torch.allclose(v, before[k])}
        assert changed
        assert all(network.is_answering(k) for k in changed)
    assert frozen.network.layers[2].training


def test_what_is_frozen_needs_a_start():
    with pytest.raises(PipelineError, match="name a checkpoint as start"):
        EnsembleSettings(frozen=True)


def test_what_is_measured_alone_is_learnt_without_any_stamp(monkeypatch):
    """None is cut, which would take nearly all of the time."""
    monkeypatch.setattr(TrainingSet, "stamps", None)
    taught, part = trainer(config=ALONE), alike()
    losses = [epoch.validation_loss for epoch in taught.epochs()]
    assert losses[-1] < 0.8 * losses[0]
    with torch.inference_mode():
        values = part.measured(torch.arange(4), None, torch.Generator())
        fractions = taught.best.columns(torch.zeros(4, 1, 1, 1), values)[:, 0]
    assert (fractions[::2] > 0.7).all()
    assert (fractions[1::2] < 0.35).all()
