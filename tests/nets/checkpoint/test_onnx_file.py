"""Checkpoints as ONNX files: the same answers, whatever the network, the batch and the runtime."""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import CheckpointError
from galmorph.nets.architecture.network import Ensemble, NetworkConfig
from galmorph.nets.checkpoint import onnx_file as exported
from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint
from galmorph.nets.checkpoint.onnx_file import Answering, onnx_runner, with_onnx, write_onnx
from galmorph.stamps.recipe import Recipe
from galmorph.toml import build

OTHERS = NetworkConfig(
    "conv 6 3x3 pad 1 relu untied\nlrn 3x3 pad 1\nblur\nconvnext\nlayernorm\npool 2x2\ndense 8 maxout 2\n"
    "dense answers\nrectify clip 5",
    name="others",
    views="one",
)


def test_what_is_exported_is_what_a_checkpoint_predicts():
    """Shares and orientations included, before calibration."""
    made = tiny.checkpoint(
        network=Ensemble([tiny.network(1), tiny.network(2, config=OTHERS)], (1.0, 3.0)), temperatures=(1.0, 1.0)
    )
    with torch.inference_mode():
        mean, passes, features = Answering(made)(torch.from_numpy(tiny.stamps(4)))
    np.testing.assert_allclose(mean.numpy(), made.predict(tiny.stamps(4)), atol=1e-6)
    assert passes.shape == (9, 4, 5)
    np.testing.assert_allclose(features.numpy(), made.answer(tiny.stamps(4)[:, None]).features, rtol=1e-5, atol=1e-6)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Save a checkpoint of two different networks, export it, and return both files."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    folder = tmp_path_factory.mktemp("onnx")
    both = Ensemble([tiny.network(1, config=tiny.SQUARE), tiny.network(2, config=OTHERS)], (1.0, 3.0))
    path = save_checkpoint(tiny.checkpoint(network=both), folder / "two.safetensors")
    write_onnx(load_checkpoint(path), folder / "two.onnx", tiny.stamps(3))
    return path, folder / "two.onnx"


def test_the_file_answers_as_torch_does(saved):
    """To 1e-4, for batches of any length, with the same spread."""
    checkpoint = load_checkpoint(saved[0])
    other = with_onnx(checkpoint, saved[1])
    for n in (1, 2, 7):
        views = np.stack([tiny.stamps(n), tiny.stamps(n, seed=1)], axis=1)
        ours, theirs = checkpoint.answer(views), other.answer(views)
        np.testing.assert_allclose(theirs.conditional, ours.conditional, atol=1e-4)
        np.testing.assert_allclose(theirs.spread, ours.spread, atol=1e-4)
        np.testing.assert_allclose(theirs.features, ours.features, rtol=1e-4, atol=1e-4)
    assert other == checkpoint


def test_the_file_says_all_that_the_checkpoint_says(saved):
    """Recipe, scheme, calibration and envelope are JSON in the metadata; the batch is free."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(saved[1])
    inside = json.loads({p.key: p.value for p in model.metadata_props}["galmorph"])
    checkpoint = load_checkpoint(saved[0])
    assert build(Recipe, inside["recipe"], "the metadata") == checkpoint.recipe
    assert inside["temperatures"] == list(checkpoint.temperatures)
    assert inside["scheme"] == checkpoint.scheme.to_dict()
    assert inside["envelope"]["bands"] == ["r"]
    assert inside["sha256"] == checkpoint.sha256 == hashlib.sha256(saved[0].read_bytes()).hexdigest()
    (stamps,) = model.graph.input
    assert stamps.name == "stamps"
    assert [d.dim_value for d in stamps.type.tensor_type.shape.dim] == [0, 1, 16, 16]
    assert [o.name for o in model.graph.output] == ["conditional", "passes", "features"]


def test_a_file_of_another_checkpoint_is_refused(saved, tmp_path):
    """As are no file and no ONNX; each in one line."""
    other = load_checkpoint(save_checkpoint(tiny.checkpoint(), tmp_path / "other.safetensors"))
    with pytest.raises(CheckpointError, match="was exported from checkpoint 'tiny'"):
        with_onnx(other, saved[1])
    with pytest.raises(CheckpointError, match="export it first"):
        with_onnx(other, tmp_path / "none.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read as ONNX"):
        onnx_runner(tmp_path / "bad.onnx")


def changed(path, change):
    """Write a copy of a file with another graph, whose metadata still name the sound checkpoint."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(path)
    change(model)
    other = path.with_name("changed.onnx")
    other.write_bytes(model.SerializeToString())
    return other


def weights_of(model):
    """Return the kernels in a graph, the largest first."""
    kernels = [each for each in model.graph.initializer if len(each.raw_data) >= 64 and each.data_type == 1]
    return sorted(kernels, key=lambda each: -len(each.raw_data))


@pytest.mark.parametrize("largest", [0, 1, 2])
@pytest.mark.parametrize("value", [0.0, float("nan"), 1e30])
def test_a_file_with_other_weights_is_refused(saved, largest, value):
    """Though its metadata name the checkpoint: what it answers decides."""

    def change(model):
        kernel = weights_of(model)[largest]
        kernel.raw_data = np.full(len(kernel.raw_data) // 4, value, np.float32).tobytes()

    with pytest.raises(CheckpointError, match=r"differs from checkpoint 'tiny' by .*export it again") as caught:
        with_onnx(load_checkpoint(saved[0]), changed(saved[1], change))
    assert "\n" not in str(caught.value)


def test_a_file_for_other_stamps_or_answers_is_refused(saved):
    def wider(model):
        model.graph.input[0].type.tensor_type.shape.dim[2].dim_value = 99

    def without_features(model):
        del model.graph.output[1:]

    checkpoint = load_checkpoint(saved[0])
    for change, said in ((wider, "as 'stamps', expected N x 1 x 16 x 16"), (without_features, "as 'passes'")):
        with pytest.raises(CheckpointError, match=f"{said}|cannot be r"):
            with_onnx(checkpoint, changed(saved[1], change))


@pytest.mark.parametrize("text", ["[1]", "{", "3", '{"sha256": [1]}'])
def test_metadata_that_are_none_are_refused(saved, text):
    def change(model):
        (entry,) = [entry for entry in model.metadata_props if entry.key == "galmorph"]
        entry.value = text

    with pytest.raises(CheckpointError, match=r"changed.onnx'.*export"):
        with_onnx(load_checkpoint(saved[0]), changed(saved[1], change))


def test_a_file_that_would_answer_otherwise_is_not_written(saved, tmp_path, monkeypatch):
    """The difference from torch is checked before anything is written."""
    monkeypatch.setattr(exported, "TOLERANCE", -1.0)
    with pytest.raises(CheckpointError, match="differs from torch"):
        write_onnx(load_checkpoint(saved[0]), tmp_path / "out.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_takes_what_is_measured_has_a_second_input(tmp_path):
    """The exported file answers as torch does, missing values included."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    fused = load_checkpoint(save_checkpoint(tiny.checkpoint(network=tiny.fused()), tmp_path / "net.safetensors"))
    path, _ = write_onnx(fused, tmp_path / "net.onnx", tiny.stamps(3), tiny.measured(3))
    inputs = [entry.name for entry in runtime.InferenceSession(str(path)).get_inputs()]
    assert inputs == ["stamps", "morphometry"]
    values = tiny.measured(5)
    values[0], values[1, 2] = np.nan, 1e9
    other = with_onnx(fused, path)
    np.testing.assert_allclose(other.predict(tiny.stamps(5), values), fused.predict(tiny.stamps(5), values), atol=1e-4)


def test_a_missing_library_is_named_with_its_extra(monkeypatch, tmp_path):
    """The message says what to install."""
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CheckpointError, match=r"galmorph\[onnx\]"):
        write_onnx(tiny.checkpoint(), tmp_path / "out.onnx")


def test_a_file_takes_the_place_of_the_networks():
    """What it gives for each network and orientation is weighted and calibrated as theirs."""
    made = tiny.checkpoint()
    with torch.inference_mode():
        _, passes, features = Answering(made)(torch.from_numpy(tiny.stamps(3)))
    fake = replace(made, onnx=lambda s, _: (passes.numpy()[:, : len(s)], features.numpy()[: len(s)]))
    np.testing.assert_allclose(fake.predict(tiny.stamps(3)), made.predict(tiny.stamps(3)), atol=1e-6)


@pytest.mark.parametrize("together", [False, True])
def test_what_is_measured_alone_is_exported(tmp_path, together):
    """By itself, where nothing looks at the stamps, and in the company of a network of stamps."""
    pytest.importorskip("onnxscript", reason="onnxscript is not installed")
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    alone = tiny.fused(config=NetworkConfig("measured\ndense 8 relu\ndense answers", name="alone", views="one"))
    network = Ensemble([tiny.network(2, config=OTHERS), alone], (3.0, 2.0)) if together else alone
    saved = load_checkpoint(save_checkpoint(tiny.checkpoint(network=network), tmp_path / "net.safetensors"))
    path, _ = write_onnx(saved, tmp_path / "net.onnx", tiny.stamps(3), tiny.measured(3))
    values = tiny.measured(5)
    values[0] = np.nan
    other = with_onnx(saved, path)
    np.testing.assert_allclose(other.predict(tiny.stamps(5), values), saved.predict(tiny.stamps(5), values), atol=1e-4)
