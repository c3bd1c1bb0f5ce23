"""Galaxies without a label: drawn beside the labelled ones, learnt from, and no obstacle to stopping and resuming."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from galaxies import noise, sersic

from galmorph.nets.training.consistency import disagreement
from galmorph.nets.training.loop import Trainer
from galmorph.nets.training.settings import Augmentation, TrainingSettings, Unlabelled
from galmorph.nets.training.training_set import Canvas, TrainingSet, canvas
from galmorph.sky.scheme import Labels

SCHEME = tiny.scheme_of("exclusive", 2)
HOW = Unlabelled(weight=1.0, share=3.0, distance="divergence", warmup=0.2)
# Views that differ much, so that there is something to agree about.
RANGES = Augmentation(zoom=1.25, shift=0.2, brightness=0.6)


def pictures(n: int, seed: int) -> list[Canvas]:
    """Draw round galaxies (even numbers) and flat ones (odd numbers) of many sizes, faint against the sky."""
    rng = np.random.default_rng(seed)
    made = []
    for i in range(n):
        q = rng.uniform(0.15, 0.35) if i % 2 else rng.uniform(0.7, 1.0)
        image = sersic((81, 81), 40, 40, re=rng.uniform(3, 7), q=q, theta=rng.uniform(0, 3), flux=1500.0)
        made.append(canvas((image + noise((81, 81), 5.0, seed * 1000 + i))[None], 40.0, 40.0, 16.0, 4.0, tiny.RECIPE))
    return made


def mixed(n: int, others: list[Canvas]) -> TrainingSet:
    """Make a set of n galaxies with a class and of others without."""
    counts = np.zeros((n + len(others), 2))
    counts[:n] = np.eye(2)[np.arange(n) % 2]
    totals = np.repeat(counts.sum(axis=1, keepdims=True), 2, axis=1)
    return TrainingSet.build(pictures(n, 1) + others, Labels(counts, totals), tiny.RECIPE)


@pytest.fixture(scope="module")
def others() -> list[Canvas]:
    return pictures(40, 2)


def trainer(others: list[Canvas], how: Unlabelled | None = HOW, **settings: object) -> Trainer:
    chosen = {"epochs": 4, "batch": 4, "seed": 5, "bfloat16": False, "unlabelled": how, **settings}
    return Trainer(
        mixed(10, others),
        mixed(10, []),
        SCHEME,
        tiny.CONFIG,
        RANGES,
        TrainingSettings(**chosen),  # type: ignore[arg-type]
    )


def weights(made: Trainer) -> dict[str, torch.Tensor]:
    return {**made.network.state_dict(), **{f"averaged.{k}": v for k, v in made.averaged.state_dict().items()}}


def same(one: Trainer, other: Trainer) -> bool:
    a, b = weights(one), weights(other)
    return all(torch.equal(a[k], b[k]) for k in a)


def test_an_epoch_shows_the_labelled_galaxies_once_and_others_in_the_stated_ratio(others):
    """Ten labelled galaxies in batches of four are two steps; each has twelve of the others, in two views."""
    made = trainer(others)
    assert made.steps_per_epoch == 2
    batches = list(made._unlabelled_batches())
    assert [b.view.stamps.shape for b in batches[:2]] == [(12, 1, 16, 16)] * 2
    assert all(not torch.equal(b.view.stamps, b.again.stamps) for b in batches)
    assert made.labelled.tolist() == list(range(10))
    assert made.unlabelled.tolist() == list(range(10, 50))


def test_without_the_setting_galaxies_without_a_label_change_nothing(others):
    """They may lie in the set."""
    alone, beside = trainer([], None), trainer(others, None)
    for made in (alone, beside):
        list(made.epochs())
    assert same(alone, beside)
    assert "disagreement" not in alone.history[0]


def test_with_nothing_unlabelled_the_setting_changes_nothing(others):
    """Nor does a share of 0."""
    plain, empty, none = trainer([], None), trainer([]), trainer(others, Unlabelled(share=0.0))
    for made in (plain, empty, none):
        list(made.epochs())
    assert same(plain, empty)
    assert same(plain, none)


def test_the_same_seed_repeats_and_other_galaxies_change_the_weights(others):
    """What is learnt depends on the galaxies without a label."""
    one, again, other = trainer(others), trainer(others), trainer(pictures(40, 3))
    for made in (one, again, other):
        list(made.epochs())
    assert same(one, again)
    assert not same(one, other)
    assert one.history[0]["disagreement"] > 0


@pytest.mark.parametrize(("stop_after", "thresholds"), [(1, "fixed"), (3, "fixed"), (2, "learnt"), (2, "aligned")])
def test_a_resumed_run_equals_an_uninterrupted_one(others, tmp_path, stop_after, thresholds):
    """Draws of unlabelled galaxies, the warm-up, and how sure of each it was go on where they were."""
    how = replace(HOW, threshold=0.6, thresholds=thresholds)
    whole, first, second = (trainer(others, how) for _ in range(3))
    list(whole.epochs())
    for epoch in first.epochs():
        if epoch.number == stop_after:
            break
    first.save(tmp_path / "state.safetensors")
    second.resume(tmp_path / "state.safetensors")
    list(second.epochs())
    assert same(second, whole)
    assert second.history == whole.history


@pytest.mark.parametrize("thresholds", ["learnt", "aligned"])
def test_thresholds_by_answer_change_what_is_learnt_unless_all_answers_count(others, thresholds):
    """A threshold below chance keeps all questions whoever sets it; a high one is lowered."""
    for threshold, alike in ((0.5, True), (0.55, False)):
        fixed, moving = (
            trainer(others, replace(HOW, threshold=threshold, thresholds=how)) for how in ("fixed", thresholds)
        )
        for made in (fixed, moving):
            list(made.epochs())
        assert same(fixed, moving) == alike
        assert (moving.pseudo_labels.answer >= 0).any()


def test_the_average_that_teaches_has_statistics_that_fit_it(others):
    """Its batch normalisation has followed the network's: in the mean it normalises what it sees."""
    made = trainer(others, epochs=60, average=0.9)
    list(made.epochs())
    first = made.averaged.layers[0]
    convolution, norm = first[0], first[1]
    stamps = made.training.stamps(torch.arange(50), RANGES, torch.Generator().manual_seed(1))
    with torch.no_grad():
        maps = convolution(stamps)
    seen, kept = maps.var(dim=(0, 2, 3)), norm.running_var
    assert float((seen / kept).log().abs().max()) < 0.35
    assert not torch.allclose(kept, torch.ones_like(kept), atol=0.05)


def test_views_of_galaxies_it_never_saw_agree_better(others):
    """The proof that galaxies without a label are learnt from: beside a run without them, answers to two random views
    of yet other galaxies of their kind are much nearer to each other, and classes are told no worse.
    """
    apart, right = [], []
    unseen = mixed(80, [])
    for how in (None, HOW):
        made = trainer(others, how, epochs=60, learning_rate=0.01, average=0.9, patience=60)
        list(made.epochs())
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            one, other = (
                made.loss.marginals(made.averaged(unseen.stamps(torch.arange(80), RANGES, generator))) for _ in range(2)
            )
        apart.append(float(disagreement(one, other, SCHEME, Unlabelled())))
        right.append(float((one.argmax(1) == unseen.counts.argmax(1)).float().mean()))
    assert apart[1] < 0.7 * apart[0]
    assert right[1] >= right[0] - 0.1
    assert right[1] > 0.65
