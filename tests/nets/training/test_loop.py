"""Training: stops, resumes and repeats as told, and learns."""

from __future__ import annotations

import dataclasses
import json
import pickle

import numpy as np
import pytest
import tiny
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from galmorph.errors import DivergedError, PipelineError
from galmorph.nets.architecture.network import load_network
from galmorph.nets.training import loop
from galmorph.nets.training.loop import Epoch, Trainer
from galmorph.nets.training.loss.interface import Loss
from galmorph.nets.training.settings import Augmentation, Observation, TrainingSettings, Unlabelled
from galmorph.nets.training.training_set import TrainingSet, canvas_side
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe
from galmorph.toml import build

OBSERVED = Augmentation(observation=Observation(0.17, 0.07, 0.06, (0.3, 1.0), (15.0, 100.0)))


SETTINGS = TrainingSettings(epochs=2, batch=4, bfloat16=False)


def set_with(**tensors: torch.Tensor) -> TrainingSet:
    """Make the tiny set with other tensors."""
    return dataclasses.replace(tiny.training_set(), **tensors)


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    """All that a run carries along, in one dictionary."""
    parts = {"network": trainer.network, "averaged": trainer.averaged, "best": trainer.best}
    return {f"{name}.{k}": v.clone() for name, part in parts.items() for k, v in part.state_dict().items()}


def assert_equal(one: Trainer, other: Trainer) -> None:
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    assert all(torch.equal(a[k], b[k]) for k in a), [k for k in a if not torch.equal(a[k], b[k])]
    assert (one.done, one.best_loss, one.since_best, one.history) == (
        other.done,
        other.best_loss,
        other.since_best,
        other.history,
    )


@pytest.mark.parametrize("ranges", [None, OBSERVED], ids=["plain", "observed"])
@pytest.mark.parametrize("stop_after", [1, 3])
def test_a_resumed_run_equals_an_uninterrupted_one(tmp_path, ranges, stop_after):
    whole = tiny.trainer(ranges)
    list(whole.epochs())
    first = tiny.trainer(ranges)
    for epoch in first.epochs():
        if epoch.number == stop_after:
            break
    first.save(tmp_path / "state.safetensors")
    second = tiny.trainer(ranges)
    second.resume(tmp_path / "state.safetensors")
    assert second.done == stop_after
    list(second.epochs())
    assert_equal(second, whole)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["state.safetensors"]


def test_the_same_seed_trains_the_same_weights_and_another_seed_others():
    one, again, other = (tiny.trainer(epochs=1, seed=s) for s in (5, 5, 6))
    for trainer in (one, again, other):
        list(trainer.epochs())
    assert_equal(one, again)
    assert not torch.equal(one.network.layers[0][0].weight, other.network.layers[0][0].weight)


def test_what_happens_between_epochs_does_not_disturb_the_run():
    quiet, disturbed = tiny.trainer(), tiny.trainer()
    list(quiet.epochs())
    for _ in disturbed.epochs():
        torch.rand(100)
        disturbed.validation_loss()
    assert_equal(disturbed, quiet)


def test_training_learns_which_galaxies_are_round():
    trainer = tiny.trainer(Augmentation(zoom=1.05, shift=0.02), epochs=40, learning_rate=0.02, patience=40, average=0.9)
    epochs = list(trainer.epochs())
    assert trainer.best_loss < 0.8 * epochs[0].validation_loss
    stamps = tiny.training_set().stamps(torch.arange(12), None, torch.Generator())
    with torch.no_grad():
        p = torch.softmax(trainer.best(stamps)[:, :2], dim=1)[:, 0]
    assert p[0::2].min() > p[1::2].max()


def test_epochs_tell_their_number_losses_and_which_was_best():
    trainer = tiny.trainer()
    epochs = list(trainer.epochs())
    assert [e.number for e in epochs] == [1, 2, 3, 4]
    assert [e.is_last for e in epochs] == [False, False, False, True]
    losses = [e.validation_loss for e in epochs]
    assert [e.is_best for e in epochs] == [loss < min([np.inf, *losses[:i]]) for i, loss in enumerate(losses)]
    assert trainer.best_loss == min(losses)
    assert [h["validation_loss"] for h in trainer.history] == losses
    assert all(np.isfinite((e.train_loss, e.learning_rate)).all() for e in epochs)
    assert list(trainer.epochs()) == []  # it is over


class Stubborn(Trainer):
    """A trainer whose validation loss follows a list."""

    losses: tuple[float, ...] = (3.0, 2.0, 2.5, 2.0, 2.1, 2.2, 0.5)

    def validation_loss(self) -> float:
        return self.losses[self.done]


def test_patience_stops_a_run_that_no_longer_improves_and_the_best_weights_stay():
    part = tiny.training_set(8)
    settings = TrainingSettings(epochs=7, batch=4, patience=3, bfloat16=False)
    trainer = Stubborn(part, part, tiny.TREE, tiny.CONFIG, Augmentation(), settings)
    kept: dict[str, torch.Tensor] = {}
    epochs: list[Epoch] = []
    for epoch in trainer.epochs():
        epochs.append(epoch)
        if epoch.is_best:
            kept = {k: v.clone() for k, v in trainer.averaged.state_dict().items()}
    assert [e.is_best for e in epochs] == [True, True, False, False, False]
    assert epochs[-1].is_last
    assert all(torch.equal(kept[k], v) for k, v in trainer.best.state_dict().items())


def test_the_learning_rate_rises_for_a_tenth_and_falls_to_nothing():
    trainer = tiny.trainer(epochs=20, learning_rate=0.1)
    rates = [trainer._learning_rate(step) for step in range(20 * trainer.steps_per_epoch)]
    top = int(np.argmax(rates))
    assert max(rates) == pytest.approx(0.1)
    assert top <= 0.1 * len(rates)
    assert np.all(np.diff(rates[: top + 1]) > 0)
    assert np.all(np.diff(rates[top + 1 :]) < 0)
    assert rates[-1] < 0.001


def test_the_steps_of_sgd_fall_to_a_tenth_at_72_and_92_percent():
    """The schedule of Dieleman et al. (2015)."""
    trainer = tiny.trainer(epochs=25, learning_rate=0.04, optimiser="sgd")
    steps = 25 * trainer.steps_per_epoch
    rates = [trainer._learning_rate(step) for step in range(steps)]
    assert rates == pytest.approx([0.04] * 54 + [0.004] * 15 + [0.0004] * 6)
    group = trainer.optimiser.param_groups[0]
    assert (group["momentum"], group["nesterov"]) == (0.9, True)


def test_sgd_resumes_with_its_momentum(tmp_path):
    """Stopped and resumed equals uninterrupted."""
    whole, first, second = (tiny.trainer(optimiser="sgd", learning_rate=0.01) for _ in range(3))
    list(whole.epochs())
    next(first.epochs())
    first.save(tmp_path / "state.safetensors")
    second.resume(tmp_path / "state.safetensors")
    list(second.epochs())
    assert_equal(second, whole)


def test_an_unknown_optimiser_is_refused():
    """With the nearest."""
    with pytest.raises(PipelineError, match="did you mean 'sgd'"):
        TrainingSettings(optimiser="sdg")


def test_the_average_of_the_weights_lags_behind_them():
    trainer = tiny.trainer(epochs=3)
    list(trainer.epochs())
    raw, averaged = (part.layers[0][0].weight.detach() for part in (trainer.network, trainer.averaged))
    assert not torch.equal(raw, averaged)
    assert float((raw - averaged).abs().max()) < 0.2


def losses_with(monkeypatch, *, has_it: bool, wanted: bool) -> list[float]:
    monkeypatch.setattr(loop, "computes_bfloat16", lambda _: has_it)
    trainer = tiny.trainer(bfloat16=wanted, epochs=2)
    losses = [e.train_loss for e in trainer.epochs()]
    assert trainer.network.layers[0][0].weight.dtype == torch.float32
    return losses


def test_bfloat16_trains_too_where_the_device_has_it(monkeypatch):
    single = losses_with(monkeypatch, has_it=True, wanted=False)
    half = losses_with(monkeypatch, has_it=True, wanted=True)
    assert half != single
    assert half == pytest.approx(single, rel=0.02)
    assert losses_with(monkeypatch, has_it=False, wanted=True) == single


def test_weights_of_galaxies_change_what_is_learnt():
    """Those of a set."""
    settings = TrainingSettings(epochs=1, batch=4, seed=5, bfloat16=False)
    parts = [tiny.training_set(), dataclasses.replace(tiny.training_set(), weight=torch.linspace(0.1, 3.0, 12))]
    parts.append(dataclasses.replace(tiny.training_set(), weight=torch.ones(12)))
    plain, weighted, ones = (Trainer(p, parts[0], tiny.TREE, tiny.CONFIG, Augmentation(), settings) for p in parts)
    for trainer in (plain, weighted, ones):
        list(trainer.epochs())
    assert_equal(plain, ones)
    assert not torch.equal(plain.network.layers[0][0].weight, weighted.network.layers[0][0].weight)


@pytest.mark.gpu
@pytest.mark.parametrize("settings", [{}, {"bfloat16": True, "compile": True}], ids=["plain", "bfloat16, compiled"])
def test_a_gpu_learns_what_the_processor_learns(tmp_path, settings):
    """The same views, so nearly the same losses; a stopped run goes on and its state can be read anywhere."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    part, chosen = tiny.training_set(), TrainingSettings(**{"epochs": 3, "batch": 4, "bfloat16": False, **settings})
    runs = [
        Trainer(part, part, tiny.TREE, tiny.CONFIG, Augmentation(), chosen, device)
        for device in ("cpu", "cuda", "cuda")
    ]
    losses = [[e.validation_loss for e in run.epochs()] for run in runs[:2]]
    assert losses[0] == pytest.approx(losses[1], rel=0.05)
    assert all(v.device.type == "cpu" for v in runs[1].best.state_dict().values())
    runs[1].save(tmp_path / "state.safetensors")
    runs[2].resume(tmp_path / "state.safetensors")
    assert_equal(runs[2], runs[1])


# What it sees


def watched(trainer: Trainer) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Note the rows and stamps of every batch that a trainer learns from."""
    batches = []
    shown = trainer._seen

    def stamps(part: TrainingSet, rows: torch.Tensor, ranges: Augmentation | None, generator: torch.Generator):
        made = shown(part, rows, ranges, generator)
        if part is trainer.training:
            batches.append((rows, made.stamps))
        return made

    trainer._seen = stamps
    return batches


def test_every_epoch_shows_all_galaxies_in_another_order_from_another_side():
    """Twelve galaxies in three batches; the chance of two equal orders is one in 5e8."""
    trainer = tiny.trainer(epochs=3)
    trainer.validation = tiny.training_set()
    batches = watched(trainer)
    list(trainer.epochs())
    assert [len(rows) for rows, _ in batches] == [4] * 9
    orders = [torch.cat([rows for rows, _ in batches[e : e + 3]]).tolist() for e in (0, 3, 6)]
    assert all(sorted(order) == list(range(12)) for order in orders)
    assert len({tuple(order) for order in orders}) == 3
    assert list(range(12)) not in orders
    shown = [torch.cat([stamps for _, stamps in batches[e : e + 3]]) for e in (0, 3, 6)]
    upright = tiny.training_set().stamps(torch.arange(12), None, torch.Generator())
    views = [upright, *(stamps[np.argsort(order)] for stamps, order in zip(shown, orders, strict=True))]
    for one in range(4):
        for other in range(one):
            difference = (views[one] - views[other]).abs().amax(dim=(1, 2, 3))
            assert (difference > 0.05).all()  # of stamps whose brightest pixel is about 1


def test_the_views_of_a_batch_are_those_of_its_augmentation():
    """Without any range only rotations and mirror images are left, of which a round galaxy shows nothing."""
    trainer = tiny.trainer(Augmentation(zoom=1.0, shift=0.0, brightness=0.0), epochs=1)
    trainer.validation = tiny.training_set()
    batches = watched(trainer)
    list(trainer.epochs())
    upright = tiny.training_set().stamps(torch.arange(12), None, torch.Generator())
    rows, stamps = (torch.cat(each) for each in zip(*batches, strict=True))
    apart = (stamps - upright[rows]).abs().mean(dim=(1, 2, 3))
    assert (apart > 0).all()
    assert apart[rows % 2 == 0].mean() < 0.4 * apart[rows % 2 == 1].mean()


@pytest.mark.parametrize("loss", ["likelihood", "dirichlet", "cross_entropy"])
def test_the_validation_loss_does_not_depend_on_the_smoothing(loss):
    """It compares runs; the loss that is learnt from does depend on it."""
    plain, smooth = (tiny.trainer(loss=loss, smoothing=s, epochs=1) for s in (0.0, 0.3))
    assert plain.validation_loss() == smooth.validation_loss()
    first, second = next(plain.epochs()), next(smooth.epochs())
    assert first.train_loss != pytest.approx(second.train_loss, rel=1e-3)


def test_the_validation_loss_is_of_upright_stamps_and_the_same_whenever_it_is_computed():
    trainer = tiny.trainer(Augmentation(zoom=2.0, shift=0.5, brightness=1.0))
    calm = tiny.trainer(Augmentation(zoom=1.0, shift=0.0, brightness=0.0))
    assert trainer.validation_loss() == trainer.validation_loss() == calm.validation_loss()


def test_nothing_of_the_validation_part_reaches_the_weights_but_which_epoch_is_kept():
    """Its labels and images scrambled, the network and its average are the same to the last bit."""
    part = tiny.training_set()
    other = set_with(counts=part.counts.flip(0), coefficients=part.coefficients.flip(0))
    runs = [
        Trainer(part, validation, tiny.TREE, tiny.CONFIG, Augmentation(), dataclasses.replace(SETTINGS, epochs=3))
        for validation in (part, other)
    ]
    losses = [[epoch.validation_loss for epoch in run.epochs()] for run in runs]
    one, two = (weights(run) for run in runs)
    assert all(torch.equal(one[k], two[k]) for k in one if not k.startswith("best."))
    assert losses[0] != losses[1]
    assert [h["train_loss"] for h in runs[0].history] == [h["train_loss"] for h in runs[1].history]


# What stops it


def stopped(trainer: Trainer, words: str) -> None:
    """Train; it must stop with an error that says these words, in one line, and leave the weights as they were."""
    before = weights(trainer)
    with pytest.raises(DivergedError, match=words) as caught:
        list(trainer.epochs())
    assert "\n" not in str(caught.value)
    after = weights(trainer)
    assert all(torch.equal(before[k], v) for k, v in after.items() if k.startswith("best."))
    assert all(torch.isfinite(v).all() for v in after.values())
    assert (trainer.done, trainer.history) == (0, [])


def test_a_loss_that_is_no_number_stops_a_training_and_says_where():
    """One galaxy of twelve has such a weight, so one step of the three of the first epoch meets it."""
    weight = torch.ones(12)
    weight[7] = torch.nan
    part = set_with(weight=weight)
    trainer = Trainer(part, tiny.training_set(), tiny.TREE, tiny.CONFIG, Augmentation(), SETTINGS, number=2)
    order = torch.randperm(12, generator=torch.Generator().manual_seed(SETTINGS.seed * 100_003))
    step = order.tolist().index(7) // 4 + 1
    stopped(trainer, rf"network 2: the loss is nan in epoch 1, step {step} of 3: .* lower learning_rate .* bfloat16")


class Steep(Loss):
    """A finite loss whose gradient is infinite where the outputs are 0."""

    def compare(self, outputs, counts, totals, weight):
        return (outputs.sum() * 0.0).sqrt() + counts.sum() * totals.sum() * weight.sum()


def test_a_gradient_that_is_no_number_stops_a_training_before_it_reaches_the_weights():
    trainer = tiny.trainer()
    trainer.loss = Steep(tiny.TREE)
    stopped(trainer, r"network 1: the gradient is nan in epoch 1, step 1 of 3")


def test_pixels_that_are_no_numbers_stop_a_training():
    canvases = tiny.training_set().coefficients.clone()
    canvases[3] = torch.nan
    part = set_with(coefficients=canvases)
    trainer = Trainer(part, tiny.training_set(), tiny.TREE, tiny.CONFIG, Augmentation(), SETTINGS)
    with pytest.raises(DivergedError, match=r"the loss is nan in epoch 1"):
        list(trainer.epochs())


def test_a_validation_loss_that_is_no_number_stops_a_training_after_its_epoch():
    part = tiny.training_set()
    trainer = Trainer(part, set_with(counts=part.counts * torch.nan), tiny.TREE, tiny.CONFIG, Augmentation(), SETTINGS)
    with pytest.raises(DivergedError, match=r"the validation loss is nan in epoch 1, step 3 of 3"):
        list(trainer.epochs())


def test_a_training_that_stops_leaves_the_state_of_its_last_whole_epoch(tmp_path):
    """Whoever saved it can look at what there was."""
    trainer = tiny.trainer()
    next(trainer.epochs())
    trainer.save(tmp_path / "state.safetensors")
    trainer.training = set_with(weight=torch.full((12,), torch.inf))
    with pytest.raises(DivergedError, match="in epoch 2"):
        list(trainer.epochs())
    again = tiny.trainer()
    again.resume(tmp_path / "state.safetensors")
    assert again.done == 1
    assert all(torch.isfinite(v).all() for v in weights(again).values())


@pytest.mark.gpu
@pytest.mark.parametrize("name", ["plain", "galmorph", "convnext"])
def test_a_gpu_learns_compiled_in_half_precision_without_losing_its_numbers(name):
    """Networks that ship, on what looks alike to them: a compiled maximum once divided by a count of 0."""
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    config, recipe, scheme = load_network(name), Recipe(size=64, planes=3), load_scheme("gz2-simple")
    generator = torch.Generator().manual_seed(1)
    n, side = 512, canvas_side(recipe)
    counts = torch.nn.functional.one_hot(torch.randint(5, (n,), generator=generator), 5).float()
    pixels = torch.rand(n, 3, side, side, generator=generator).half()
    part = TrainingSet(pixels, torch.full((n,), 32.0), torch.ones(n), counts, torch.ones(n, 5), recipe)
    settings = TrainingSettings(epochs=8, batch=128, bfloat16=True, compile=True, patience=8)
    trainer = Trainer(part, part, scheme, config, Augmentation(), settings, "cuda")
    assert all(np.isfinite((e.train_loss, e.validation_loss)).all() for e in trainer.epochs())


# Its state


def test_a_state_of_a_run_begun_before_a_setting_existed_goes_on(tmp_path):
    """It has the default."""
    trainer = tiny.trainer(epochs=2)
    next(trainer.epochs())
    whole = trainer.settings.to_dict()
    path = tmp_path / "state.safetensors"
    trainer.save(path)
    with safe_open(path, framework="pt") as stream:
        about = json.loads(stream.metadata()["state"])
    about["settings"] = {k: v for k, v in whole.items() if k not in ("loss", "unlabelled")}
    save_file(load_file(path), path, {"state": json.dumps(about)})
    resumed = tiny.trainer(epochs=2)
    resumed.resume(path)
    assert resumed.done == 1


def test_a_state_begun_before_thresholds_went_by_answer_goes_on(tmp_path):
    """They were all the same."""
    trainer = tiny.trainer(epochs=2, unlabelled=Unlabelled(threshold=0.9))
    next(trainer.epochs())
    path = tmp_path / "state.safetensors"
    trainer.save(path)
    with safe_open(path, framework="pt") as stream:
        about = json.loads(stream.metadata()["state"])
    del about["settings"]["unlabelled"]["thresholds"]
    save_file(load_file(path), path, {"state": json.dumps(about)})
    resumed = tiny.trainer(epochs=2, unlabelled=Unlabelled(threshold=0.9))
    resumed.resume(path)
    assert resumed.done == 1


def test_kernels_decay_and_norms_do_not():
    decayed, others = tiny.trainer(weight_decay=0.5).optimiser.param_groups
    assert (decayed["weight_decay"], others["weight_decay"]) == (0.5, 0.0)
    assert all(p.ndim > 1 for p in decayed["params"])
    assert all(p.ndim == 1 for p in others["params"])


def test_a_state_of_other_settings_is_refused(tmp_path):
    trainer = tiny.trainer(epochs=1)
    list(trainer.epochs())
    trainer.save(tmp_path / "state.safetensors")
    with pytest.raises(PipelineError, match="other settings"):
        tiny.trainer(epochs=2).resume(tmp_path / "state.safetensors")


@pytest.mark.parametrize("content", [None, b"", b"\x00" * 100, pickle.dumps({"a": 1})])
def test_a_corrupt_state_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "state.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(PipelineError, match="remove it to start anew") as caught:
        tiny.trainer().resume(path)
    assert "\n" not in str(caught.value)


def test_settings_survive_their_dictionary_and_unknown_ones_are_named():
    settings = TrainingSettings(epochs=3, seed=9)
    assert build(TrainingSettings, settings.to_dict(), "state") == settings
    assert settings.to_dict().keys() == {f.name for f in dataclasses.fields(TrainingSettings)}
    with pytest.raises(PipelineError, match="did you mean 'learning_rate'"):
        build(TrainingSettings, {"learning_rat": 1.0}, "state")
