"""Classifiers become layers that answer as scikit-learn does, to the last digit of single precision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

from galmorph.errors import CheckpointError, PipelineError
from galmorph.nets.architecture.kinds import FeatureShape, parse_line
from galmorph.nets.architecture.network import Network, NetworkConfig
from galmorph.nets.architecture.trees import Trees
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint
from galmorph.nets.features.classifier import METHODS, Classifier, Head, ViewSample, Votes, fit_head
from galmorph.stamps.recipe import Recipe

SMALL = Classifier(trees=12, rounds=8, leaf=1)
EXCLUSIVE = tiny.scheme_of("exclusive")
SCHEMES = {"tree": tiny.TREE, "exclusive": EXCLUSIVE, "independent": tiny.scheme_of("independent")}


def examples(answers: int, count: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    classes = rng.integers(answers, size=count)
    return (rng.normal(size=(count, 12)) + np.eye(answers, 12)[classes]).astype(np.float32), classes


def votes_of(classes: np.ndarray, answers: int) -> Votes:
    counts = np.eye(answers)[classes]
    return Votes(counts, np.ones_like(counts), np.ones(len(counts)), np.arange(len(counts)))


def layer(head: Head, scheme=EXCLUSIVE) -> torch.nn.Module:
    last, _ = parse_line(head.line).build(FeatureShape(12), scheme)
    last.load_state_dict({name: torch.from_numpy(array) for name, array in head.arrays.items()})
    return last.eval()


def probabilities(head: Head, x: np.ndarray) -> np.ndarray:
    with torch.inference_mode():
        return torch.softmax(layer(head)(torch.from_numpy(x)).double(), dim=1).numpy()


@pytest.mark.parametrize("present", [2, 3, len(EXCLUSIVE.keys)])
def test_trees_answer_as_scikit_learn_does(present):
    (x, classes), answers = examples(present), len(EXCLUSIVE.keys)
    forest = RandomForestClassifier(12, min_samples_leaf=1, max_features="sqrt", random_state=3)
    boosting = GradientBoostingClassifier(
        n_estimators=8, max_features="sqrt", subsample=0.5, min_samples_leaf=1, random_state=3
    )
    weight = np.ones(len(x))  # newer releases draw otherwise where weights are given
    forest.fit(x, classes, sample_weight=weight)
    boosting.fit(x, classes, sample_weight=weight)
    new = np.concatenate([examples(present, 300, seed=9)[0], x])
    for method, theirs in (("forest", forest), ("boosting", boosting)):
        ours = probabilities(fit_head(method, ViewSample(x, votes_of(classes, answers), EXCLUSIVE), SMALL, seed=3), new)
        among = ours[:, :present] / ours[:, :present].sum(axis=1, keepdims=True)
        # A forest gives no answer less than 1e-6.
        assert np.abs(among - theirs.predict_proba(new)).max() < (1e-6 if method == "boosting" else 5e-6)
        assert ours[:, present:].sum(axis=1).max(initial=0.0) < 1e-3


def test_thresholds_between_two_numbers_of_single_precision_are_rounded_down():
    low = np.float32(1000)
    x = np.array([[low], [np.nextafter(low, np.float32(2000))]] * 20, np.float32).repeat(12, axis=1)
    classes = np.tile([0, 1], 20)
    head = fit_head("forest", ViewSample(x, votes_of(classes, len(EXCLUSIVE.keys)), EXCLUSIVE), SMALL)
    assert (probabilities(head, x).argmax(axis=1) == classes).all()


@pytest.mark.parametrize("kind", SCHEMES)
@pytest.mark.parametrize("method", METHODS)
def test_votes_of_every_kind_of_scheme_are_learnt(kind, method):
    scheme = SCHEMES[kind]
    answers = len(scheme.keys)
    x, _ = examples(answers, 300)
    rng = np.random.default_rng(4)
    totals = np.zeros((300, answers))
    counts = np.zeros((300, answers))
    for where in scheme.slices:
        likely = np.exp(2.0 * x[:, where])
        shares = likely / (1 + likely) if kind == "independent" else likely / likely.sum(axis=1, keepdims=True)
        asked = rng.random(300) < 0.8
        totals[asked, where], counts[asked, where] = 10, np.round(10 * shares[asked], 1)
    votes = Votes(counts, totals, np.ones(300), np.arange(300))
    with torch.inference_mode():
        logits = layer(fit_head(method, ViewSample(x, votes, scheme), SMALL), scheme)(torch.from_numpy(x)).numpy()
    assert np.isfinite(logits).all()
    for answer in range(answers):
        asked = totals[:, answer] > 0
        others = next(w for w in scheme.slices if w.start <= answer < w.stop)
        share = counts[asked, answer] / 10
        margin = logits[asked, answer] - (0 if kind == "independent" else logits[asked, others].mean(axis=1))
        assert np.corrcoef(margin, share)[0, 1] > 0.5


@pytest.mark.parametrize("method", METHODS)
def test_one_class_alone_is_always_the_answer(method):
    x, classes = examples(1, 30)
    p = probabilities(fit_head(method, ViewSample(x, votes_of(classes, len(EXCLUSIVE.keys)), EXCLUSIVE), SMALL), x)
    assert (p[:, 0] > 0.99).all()


@pytest.mark.parametrize("method", METHODS)
def test_a_few_features_of_another_kind_count_as_much_as_many(method):
    rng = np.random.default_rng(2)
    classes = rng.integers(2, size=(2, 160))
    telling = (3.0 * (classes[..., None] == np.arange(2)) + rng.normal(size=(2, 160, 2))).astype(np.float32)
    x, new = np.concatenate([rng.normal(size=(2, 160, 300)).astype(np.float32), telling], axis=2)
    right = []
    for parts in ((), (300, 2)):
        head = fit_head(method, ViewSample(x, votes_of(classes[0], len(EXCLUSIVE.keys)), EXCLUSIVE, parts), SMALL)
        last, _ = parse_line(head.line).build(FeatureShape(302), EXCLUSIVE)
        last.load_state_dict({name: torch.from_numpy(array) for name, array in head.arrays.items()})
        with torch.inference_mode():
            right.append((last.eval()(torch.from_numpy(new)).argmax(dim=1).numpy() == classes[1]).mean())
    assert right[1] > max(0.9, right[0])


def test_settings_that_mean_nothing_are_refused():
    for wrong in (
        {"method": ("svn",)},
        {"method": ()},
        {"trees": 0},
        {"strength": 0.0},
        {"logistic": -1.0},
        {"sampled": 1.5},
    ):
        with pytest.raises(PipelineError):
            Classifier(**wrong)


@pytest.fixture(name="grown")
def _grown() -> dict[str, torch.Tensor]:
    x, classes = examples(3)
    head = fit_head("forest", ViewSample(x, votes_of(classes, len(EXCLUSIVE.keys)), EXCLUSIVE), SMALL)
    return {"line": head.line, **{name: torch.from_numpy(array) for name, array in head.arrays.items()}}


@pytest.mark.parametrize(
    ("name", "value"),
    [("feature", 12), ("feature", -1), ("left", 10**6), ("right", -5), ("root", 10**9), ("answer", 99)],
)
def test_numbers_out_of_range_are_refused(grown, name, value):
    trees = layer(Head(grown["line"], {k: v.numpy() for k, v in grown.items() if k != "line"}))
    assert isinstance(trees, Trees)
    trees.check()
    getattr(trees, name)[0] = value
    with pytest.raises(CheckpointError, match=f"'{name}'"):
        trees.check()


def test_trees_that_never_end_are_refused(grown):
    trees = layer(Head(grown["line"], {k: v.numpy() for k, v in grown.items() if k != "line"}))
    trees.left[:] = torch.roll(torch.arange(len(trees.left)), 1)
    with pytest.raises(CheckpointError, match="lead on"):
        trees.check()


def checkpoint_with(head: Head, **changes: torch.Tensor):
    config = NetworkConfig(f"globalpool mean\n{head.line}", views="one")
    base = tiny.checkpoint(EXCLUSIVE)
    recipe = Recipe(size=8, planes=3)
    network = Network(config, recipe, EXCLUSIVE).eval()
    arrays = {name: torch.from_numpy(array) for name, array in head.arrays.items()} | changes
    network.layers[-1].load_state_dict(arrays)
    return type(base)(
        name="grown",
        version="0",
        network=network,
        scheme=EXCLUSIVE,
        recipe=recipe,
        envelope=base.envelope,
        temperatures=(1.0,) * len(EXCLUSIVE.questions),
    )


@pytest.mark.parametrize("method", METHODS)
def test_files_and_ensembles_answer_as_before(method, tmp_path):
    x, classes = examples(len(EXCLUSIVE.keys))
    x = np.ascontiguousarray(x[:, :3])
    head = fit_head(method, ViewSample(x, votes_of(classes, len(EXCLUSIVE.keys)), EXCLUSIVE), SMALL)
    one = checkpoint_with(head)
    stamps = np.tile(x[:, :, None, None], (1, 1, 8, 8))
    again = load_checkpoint(save_checkpoint(one, tmp_path / "one.safetensors"))
    assert np.array_equal(again.predict(stamps), one.predict(stamps))
    twice = load_checkpoint(save_checkpoint(ensemble([one, one]), tmp_path / "two.safetensors"))
    assert twice.predict(stamps) == pytest.approx(one.predict(stamps), abs=1e-6)


def test_a_file_with_broken_trees_is_refused_in_one_line(tmp_path):
    x, classes = examples(3)
    head = fit_head("forest", ViewSample(x[:, :3], votes_of(classes, len(EXCLUSIVE.keys)), EXCLUSIVE), SMALL)
    broken = torch.from_numpy(head.arrays["left"]) + 10**6
    path = save_checkpoint(checkpoint_with(head, left=broken), tmp_path / "broken.safetensors")
    with pytest.raises(CheckpointError, match="contradicts itself"):
        load_checkpoint(path)


@pytest.mark.parametrize("method", ["forest", "boosting"])
def test_trees_may_learn_from_the_first_views_alone(method):
    (x, classes), answers = examples(3, 60), len(EXCLUSIVE.keys)
    noise = np.random.default_rng(1).normal(size=(2, *x.shape)).astype(np.float32)
    counts = np.tile(np.eye(answers)[classes], (3, 1))
    galaxy = np.tile(np.arange(60), 3)
    votes = Votes(counts, np.ones_like(counts), np.full(180, 1 / 3), galaxy)
    seen = np.concatenate([x, *noise])
    of_one = fit_head(method, ViewSample(seen, votes, EXCLUSIVE), replace(SMALL, tree_views=1))
    alone = fit_head(method, ViewSample(x, votes_of(classes, answers), EXCLUSIVE), SMALL)
    assert np.array_equal(probabilities(of_one, x), probabilities(alone, x))
    of_all = fit_head(method, ViewSample(seen, votes, EXCLUSIVE), replace(SMALL, tree_views=9))
    assert np.array_equal(
        probabilities(of_all, x), probabilities(fit_head(method, ViewSample(seen, votes, EXCLUSIVE), SMALL), x)
    )
