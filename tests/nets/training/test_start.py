"""Starts: what networks take over from a checkpoint, and what they do not."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.nets.architecture.network import Ensemble, Network, n_weights
from galmorph.nets.checkpoint.file import save_checkpoint
from galmorph.nets.training.settings import EnsembleSettings
from galmorph.nets.training.start import load_start, mark_of
from galmorph.toml import build


@pytest.fixture
def path(tmp_path):
    """Write a checkpoint of two networks, in whole precision."""
    both = Ensemble([tiny.network(1), tiny.network(2)]).eval()
    return save_checkpoint(tiny.checkpoint(network=both), tmp_path / "two.safetensors")


def test_all_weights_of_the_same_network_are_taken(path):
    """Each new network begins with the next of the checkpoint's, and the third with the first again."""
    start = load_start(path, tiny.CONFIG, tiny.RECIPE, tiny.TREE)
    assert start.taken == [start.total] * 2 == [n_weights(tiny.network())] * 2
    for number, seed in ((1, 1), (2, 2), (3, 1)):
        old = tiny.network(seed).state_dict()
        assert start.member(number).keys() == old.keys()
        for key, weight in start.member(number).items():
            torch.testing.assert_close(weight, old[key], rtol=1e-3, atol=1e-6)
    assert start.about(3)["taken"] == [start.total] * 3
    assert str(start).startswith(f"{start.total} of {start.total} weights from tiny (sha256 ")


@pytest.mark.parametrize("answers", [3, 5])
def test_weights_of_other_answers_are_not_taken(path, answers):
    """Also where their number is the same: five answers stand for other things here."""
    scheme = tiny.scheme_of("exclusive", answers)
    start = load_start(path, tiny.CONFIG, tiny.RECIPE, scheme)
    last = len(tiny.network().layers) - 1
    new = Network(tiny.CONFIG, tiny.RECIPE, scheme)
    assert set(new.state_dict()) - set(start.member(1)) == {f"layers.{last}.weight", f"layers.{last}.bias"}
    assert start.taken[0] == start.total - n_weights(new.layers[last])


def test_another_setting_of_the_stamps_does_not_matter_and_other_planes_cost_one_layer(path):
    """Convolutions fit stamps of any size; the first depends on the planes alone."""
    larger = load_start(path, tiny.CONFIG, replace(tiny.RECIPE, size=32), tiny.TREE)
    assert larger.taken[0] == larger.total
    colour = load_start(path, tiny.CONFIG, replace(tiny.RECIPE, planes=3), tiny.TREE)
    assert {k for k in tiny.network().state_dict() if k not in colour.member(1)} == {"layers.0.0.weight"}


def test_a_trainer_takes_them_everywhere(path):
    """The network, its average and the best begin alike, with what fits; the first epoch is another one."""
    start = load_start(path, tiny.CONFIG, tiny.RECIPE, tiny.TREE)
    plain, begun = tiny.trainer(epochs=1), tiny.trainer(epochs=1)
    begun.begin_with(start.member(2))
    for part in (begun.network, begun.averaged, begun.best):
        assert all(torch.equal(part.state_dict()[key], weight) for key, weight in start.member(2).items())
    assert begun.validation_loss() != plain.validation_loss()
    assert next(begun.epochs()).train_loss != next(plain.epochs()).train_loss


def test_a_partial_start_leaves_the_rest_random():
    """What is not given stays as the seed made it."""
    trainer, fresh = tiny.trainer(), tiny.trainer()
    key = "layers.0.0.weight"
    trainer.begin_with({key: torch.zeros_like(trainer.network.state_dict()[key])})
    assert not trainer.averaged.state_dict()[key].any()
    for name, weight in trainer.network.state_dict().items():
        assert name == key or torch.equal(weight, fresh.network.state_dict()[name])


def test_networks_of_another_kind_beside_these_are_left_out(tmp_path):
    """As in candels-h, which also asks networks that take what is measured alone."""
    mixed = Ensemble([tiny.fused(1), tiny.network(2)]).eval()
    path = save_checkpoint(tiny.checkpoint(network=mixed), tmp_path / "mixed.safetensors")
    start = load_start(path, tiny.CONFIG, tiny.RECIPE, tiny.TREE)
    assert start.taken == [start.total]
    assert start.about(3)["taken"] == [start.total] * 3


def test_another_network_is_refused(path):
    """A handful of numbers with the same shape would be chance."""
    wide = replace(
        tiny.CONFIG, layers=tiny.CONFIG.layers.replace("conv 4", "conv 12").replace("residual 4", "residual 12")
    )
    with pytest.raises(PipelineError, match=r"fits \d+ of the \d+ weights .* expected at least half: start from"):
        load_start(path, wide, tiny.RECIPE, tiny.TREE)


def test_a_missing_or_broken_checkpoint_is_said_to_be_the_start(tmp_path):
    """The message names the setting and what ships."""
    with pytest.raises(
        PipelineError, match=r"\[train\] start: unknown checkpoint 'sdss-rgbb'.*did you mean 'sdss-rgb'"
    ):
        load_start("sdss-rgbb", tiny.CONFIG, tiny.RECIPE, tiny.TREE)
    with pytest.raises(PipelineError, match=r"\[train\] start: unknown checkpoint 'none'"):
        mark_of("none")
    (tmp_path / "broken.safetensors").write_bytes(b"no weights")
    with pytest.raises(PipelineError, match=r"\[train\] start: .*corrupt"):
        load_start(tmp_path / "broken.safetensors", tiny.CONFIG, tiny.RECIPE, tiny.TREE)


def test_a_start_is_told_by_its_name_and_contents_not_by_its_folder(path, tmp_path):
    """A copy elsewhere is the same start, another file of the same name is not."""
    copy = tmp_path / "elsewhere" / path.name
    copy.parent.mkdir()
    copy.write_bytes(path.read_bytes())
    assert mark_of(path) == mark_of(copy)
    checksum = hashlib.sha256(path.read_bytes()).hexdigest()
    assert mark_of(path) == f"two, sha256 {checksum[:12]}"
    assert load_start(path, tiny.CONFIG, tiny.RECIPE, tiny.TREE).about(1)["sha256"] == checksum
    save_checkpoint(tiny.checkpoint(), copy)
    assert mark_of(path) != mark_of(copy)


def test_the_section_of_a_pipeline_is_divided():
    """What concerns all networks together is apart from the loop of each."""
    asked = build(EnsembleSettings, {"members": 3, "start": "sdss-rgb", "epochs": 7}, "pipeline")
    assert (asked.members, asked.start, asked.loop.epochs) == (3, "sdss-rgb", 7)
    assert EnsembleSettings().start == ""
    for wrong, words in (
        ({"members": True}, "members = True"),
        ({"members": 0}, "members = 0: expected a whole number from 1"),
        ({"start": 3}, "start = 3, expected a text"),
    ):
        with pytest.raises(PipelineError, match=words):
            build(EnsembleSettings, wrong, "pipeline")
