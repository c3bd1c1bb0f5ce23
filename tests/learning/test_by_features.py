"""Pipelines with [features] and [classifier]: trained, scored, calibrated, searched and joined like all others."""

from __future__ import annotations

import json

import drawn
import numpy as np
import pytest
import torch

from galmorph.errors import CheckpointError, PipelineError
from galmorph.learning.comparison import compare
from galmorph.learning.pipeline import load_training, pipeline_names
from galmorph.learning.scoring import evaluate_checkpoint
from galmorph.learning.training import check_settings
from galmorph.learning.tuning import Blend, tune
from galmorph.nets.architecture.network import Network, members_of, shares_of
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.checkpoint.onnx_file import TOLERANCE, with_onnx, write_onnx

SECTIONS = """
[features]
centroids = 6
patch = 4
patches = 2000
iterations = 4
rings = 2
pools = ["mean", "maximum", "spread"]
light = 2
root = true
[classifier]
trees = 10
rounds = 5
[tune]
trials = 2
[tune.features]
threshold = { low = 0.1, high = 0.3 }
[tune.classifier]
method = ["svm", "logistic"]
"""


@pytest.fixture(scope="module", name="folder")
def _folder(tmp_path_factory):
    root = drawn.write(tmp_path_factory.mktemp("classical"))
    (root / "classical.toml").write_text(drawn.PIPELINE + SECTIONS + drawn.INPUTS)
    (root / "tiny.toml").write_text(drawn.PIPELINE + drawn.INPUTS)
    return root


@pytest.fixture(scope="module", name="ran")
def _ran(folder):
    return compare([load_training(folder / "classical.toml")], folder / "runs"), folder / "runs" / "classical"


def test_a_pipeline_of_features_runs_as_others_do(ran, folder):
    table, place = ran
    accuracy = table["classical"][(table["measure"] == "accuracy") & (table["question"] == "")]
    assert accuracy[0] > 0.8
    card = json.loads((place / "classical.json").read_text())
    assert len(card["curves"]) == 3
    assert card["settings"]["features"]["centroids"] == 6
    assert card["settings"]["classifier"]["method"] == ["svm", "forest", "boosting"]
    checkpoint = load_checkpoint(place / "classical.safetensors")
    kinds = [member.config.layers.splitlines()[-1].split()[0] for member in members_of(checkpoint.network)]
    assert kinds == ["dense", "forest", "boosting"]
    assert card["shares"] == pytest.approx(shares_of(checkpoint.network), abs=1e-4)
    assert len(set(card["shares"])) > 1
    assert checkpoint.sets is not None
    assert checkpoint.envelope.embedding is None or checkpoint.envelope.embedding.limit > 0
    inputs = load_training(folder / "classical.toml").named_inputs()
    assert evaluate_checkpoint(checkpoint, *inputs)["accuracy"] == pytest.approx(float(accuracy[0]))


def test_shares_may_be_equal(folder):
    short = load_training(folder / "classical.toml", {"classifier": {"shares": "equal"}})
    compare([short], folder / "equal")
    checkpoint = load_checkpoint(folder / "equal" / "classical" / "classical.safetensors")
    assert shares_of(checkpoint.network) == pytest.approx([1 / 3] * 3)


def test_the_same_seed_gives_the_same_file(ran, folder):
    _, place = ran
    compare([load_training(folder / "classical.toml")], folder / "again")
    again = folder / "again" / "classical" / "classical.safetensors"
    assert again.read_bytes() == (place / "classical.safetensors").read_bytes()


def test_it_joins_with_a_convnet_of_the_same_stamps_and_no_others(ran, folder):
    _, place = ran
    short = load_training(folder / "tiny.toml", {"train": {"epochs": 1}})
    compare([short], folder / "convnet")
    paths = [place / "classical.safetensors", folder / "convnet" / "tiny" / "tiny.safetensors"]
    joined = ensemble(paths, folder / "both.safetensors")
    stamps = np.random.default_rng(0).uniform(0, 1, (3, 3, 16, 16)).astype(np.float32)
    parts = [load_checkpoint(path).with_temperatures((1.0,)).predict(stamps) for path in paths]
    assert joined.with_temperatures((1.0,)).predict(stamps) == pytest.approx(sum(parts) / 2, abs=2e-3)
    other = load_training(folder / "tiny.toml", {"train": {"epochs": 1}, "recipe": {"size": 24}})
    compare([other], folder / "larger")
    with pytest.raises(CheckpointError, match="differ in their recipe: size"):
        ensemble([paths[0], folder / "larger" / "tiny" / "tiny.safetensors"])


def test_it_is_written_as_onnx_which_answers_as_it_does(ran, tmp_path):
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    checkpoint = load_checkpoint(ran[1] / "classical.safetensors")
    stamps = np.random.default_rng(0).uniform(0, 1, (3, 3, 16, 16)).astype(np.float32)
    path, _ = write_onnx(checkpoint, tmp_path / "classical.onnx", stamps)
    assert with_onnx(checkpoint, path).predict(stamps) == pytest.approx(checkpoint.predict(stamps), abs=TOLERANCE)


def test_features_that_networks_share_are_computed_once(ran, monkeypatch):
    checkpoint = load_checkpoint(ran[1] / "classical.safetensors")
    stamps = np.random.default_rng(0).uniform(0, 1, (3, 3, 16, 16)).astype(np.float32)
    shared = checkpoint.predict(stamps)
    members = members_of(checkpoint.network)
    assert members[0].sees_alike(members[2])
    with torch.no_grad():
        next(members[2].parameters()).mul_(1.5)
    assert not members[0].sees_alike(members[2])
    alone = load_checkpoint(ran[1] / "classical.safetensors")
    monkeypatch.setattr(Network, "sees_alike", lambda network, other: network is other)
    assert np.array_equal(shared, alone.predict(stamps))


def test_a_search_draws_features_and_classifiers_and_joins_the_best(folder):
    tuned = tune(load_training(folder / "classical.toml"), folder / "tuned", blend=Blend(2))
    assert set(tuned.table["classifier.method"]) != {""}
    assert tuned.blend is not None
    assert len(members_of(load_checkpoint(tuned.blend).network)) >= 2


@pytest.mark.parametrize(
    ("above", "words"),
    [
        ({"features": {"centroids": 0}}, "centroids = 0"),
        ({"features": {"pools": ["median"]}}, "expected some of mean, maximum, spread"),
        ({"features": {"square": False}}, "square = true"),
        ({"features": {"patch": 40}}, "at most 32"),
        ({"features": {"patch": 17}}, "window of 17 x 17"),
        ({"classifier": {"method": "svn"}}, "svm"),
        ({"classifier": {"shares": "learned"}}, "did you mean 'learnt'"),
    ],
)
def test_settings_that_mean_nothing_are_refused_before_anything_is_read(folder, above, words):
    with pytest.raises(PipelineError, match=words):
        check_settings(load_training(folder / "classical.toml", above))


def test_a_classifier_needs_features_and_a_loop_teaches_no_trees(folder):
    with pytest.raises(PipelineError, match=r"without \[features\]"):
        load_training(folder / "tiny.toml", {"classifier": {}})
    trees = {"network": {"layers": "globalpool mean\nforest 2 9 3"}}
    with pytest.raises(PipelineError, match="ends in trees"):
        check_settings(load_training(folder / "tiny.toml", trees))


def test_the_one_that_ships_has_the_stamps_and_parts_of_the_convnet_beside_it():
    assert "sdss-kmeans" in pipeline_names()
    one, other = load_training("sdss-kmeans"), load_training("sdss-rgb")
    assert (one.recipe, one.split, one.scheme) == (other.recipe, other.split, other.scheme)
    check_settings(one)
