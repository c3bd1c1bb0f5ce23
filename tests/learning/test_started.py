"""Trainings that start from a checkpoint: by both commands, resumed, and refused."""

from __future__ import annotations

import json
from dataclasses import replace

import drawn
import pytest
import torch

from galmorph.cli import main
from galmorph.errors import PipelineError
from galmorph.learning.comparison import compare
from galmorph.learning.pipeline import load_training
from galmorph.learning.training import train
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.file import load_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train a checkpoint for a few epochs, and write a pipeline that starts from it and one of another network."""
    root = drawn.write(tmp_path_factory.mktemp("started"))
    (root / "scratch.toml").write_text(drawn.PIPELINE + drawn.INPUTS)
    (root / "fine.toml").write_text('extends = "scratch.toml"\n[train]\nstart = "old/old.safetensors"\n')
    wide = drawn.PIPELINE.replace("conv 8", "conv 24").replace("residual 8", "residual 24")
    (root / "wide.toml").write_text(wide.replace("[train]", '[train]\nstart = "old/old.safetensors"') + drawn.INPUTS)
    learn(replace(load_training(root / "scratch.toml", {"train": {"epochs": 4, "seed": 9}}), name="old"), root / "old")
    return root


def learn(pipeline, output, **how):
    return train(*pipeline.named_inputs(), pipeline, output, **how)


def fine(folder, **settings):
    return load_training(folder / "fine.toml", {"train": {"epochs": 3, **settings}})


def test_the_first_epoch_is_better_than_from_scratch(folder, tmp_path):
    """The weights are used, and settings and seeds are otherwise the same."""
    begun, fresh = learn(fine(folder), tmp_path / "begun"), learn(fine(folder, start=""), tmp_path / "fresh")
    first, other = (made.card["curves"][0][0] for made in (begun, fresh))
    assert first["train_loss"] < other["train_loss"]
    assert first["validation_loss"] < other["validation_loss"]
    assert "start" not in fresh.card


def test_both_commands_start_alike_and_say_so(folder, tmp_path, capsys):
    """The file lies beside the pipeline; card and log name the checkpoint and how much is taken."""
    common = ["--epochs", "2", "--threads", "1", "--device", "cpu"]
    data = [str(folder / "labels.csv"), "--image", str(folder / "images.zip"), "--pipeline", str(folder / "fine.toml")]
    assert main(["train", *data, *common, "-o", str(tmp_path / "one")]) == 0
    assert main(["run", str(folder / "fine.toml"), *common, "-o", str(tmp_path / "two")]) == 0
    card = json.loads((tmp_path / "one" / "fine.json").read_text())
    assert card["sha256"] == load_checkpoint(tmp_path / "two" / "fine" / "fine.safetensors").sha256
    old = load_checkpoint(folder / "old" / "old.safetensors")
    assert card["start"] == {"name": "old", "sha256": old.sha256, "taken": [card["weights"]], "of": card["weights"]}
    said = f"network 1: starts with {card['weights']} of {card['weights']} weights from old (sha256 {old.sha256[:12]})"
    assert capsys.readouterr().err.count(said) == 2


def test_each_network_starts_from_the_next_of_an_ensemble(folder, tmp_path):
    """At a learning rate of next to nothing, weights stay as they were; the third network has those of the first."""
    second = replace(load_training(folder / "scratch.toml", {"train": {"epochs": 1, "seed": 4}}), name="second")
    paths = [folder / "old" / "old.safetensors", learn(second, tmp_path / "second").path]
    ensemble(paths, tmp_path / "both.safetensors")
    begun = fine(folder, start=str(tmp_path / "both.safetensors"), members=3, epochs=1, learning_rate=1e-12)
    made = learn(begun, tmp_path / "three")
    old = members_of(load_checkpoint(tmp_path / "both.safetensors").network)
    for number, network in enumerate(members_of(made.checkpoint.network)):
        for (key, weight), other in zip(network.named_parameters(), old[number % 2].parameters(), strict=True):
            torch.testing.assert_close(weight, other, rtol=1e-3, atol=1e-6, msg=key)
    assert len(made.card["start"]["taken"]) == 3


@pytest.mark.parametrize(
    ("network", "epoch"),
    [pytest.param(1, 2, marks=pytest.mark.long), pytest.param(2, 0, marks=pytest.mark.long), (2, 1)],
)
def test_a_stopped_run_resumed_equals_an_uninterrupted_one(folder, tmp_path, network, epoch):
    """The first network stopped in the middle, the second before and after its first epoch."""
    asked = fine(folder, members=2)
    whole = learn(asked, tmp_path / "whole")

    def stop(what, done, _total, remark=""):
        if what == "training" and done == epoch and remark.startswith(f"network {network}"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(asked, tmp_path / "parts", progress=stop)
    resumed = learn(asked, tmp_path / "parts", resume=True)
    assert resumed.checkpoint.sha256 == whole.checkpoint.sha256
    assert resumed.card["curves"] == whole.card["curves"]
    assert resumed.card["start"] == whole.card["start"]


def test_another_start_is_another_run(folder, tmp_path):
    """By its contents: a copy elsewhere is the same, other weights under the same name are not."""
    learn(fine(folder, epochs=1), tmp_path / "run")
    copy = tmp_path / "copy" / "old.safetensors"
    copy.parent.mkdir()
    copy.write_bytes((folder / "old" / "old.safetensors").read_bytes())
    learn(fine(folder, epochs=1, start=str(copy)), tmp_path / "run", resume=True)
    others = replace(load_training(folder / "scratch.toml", {"train": {"epochs": 1, "seed": 2}}), name="old")
    learn(others, tmp_path / "others")
    for start in ("", str(tmp_path / "others" / "old.safetensors")):
        with pytest.raises(PipelineError, match=r"\[train\] start was 'old, sha256 .{12}' and is"):
            learn(fine(folder, epochs=1, start=start), tmp_path / "run", resume=True)


def test_what_cannot_start_is_refused_before_anything_is_trained(folder, tmp_path):
    """An unknown checkpoint, one of another network, and what is no name; a whole experiment is looked at first."""
    good = fine(folder)
    refused = {
        r"\[train\] start: unknown checkpoint 'sdss-rbg'.*did you mean 'sdss-rgb'": fine(folder, start="sdss-rbg"),
        "expected at least half": load_training(folder / "wide.toml"),
    }
    for words, bad in refused.items():
        with pytest.raises(PipelineError, match=words):
            compare([good, replace(bad, name="bad")], tmp_path / "out")
        with pytest.raises(PipelineError, match=words):
            learn(bad, tmp_path / "out")
    assert not (tmp_path / "out").exists()
