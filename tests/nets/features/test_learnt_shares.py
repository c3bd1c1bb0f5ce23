"""Shares of classifiers are learnt of galaxies that these have not learnt from."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from galmorph.nets.features.classifier import Classifier, ViewSample, Votes, fit_head
from galmorph.nets.features.learnt_shares import answers_of, learnt_shares, unseen_answers
from galmorph.sky.scheme import Scheme

SMALL = Classifier(method=("logistic", "forest"), logistic=1.0, trees=20, rounds=10, leaf=1)
EXCLUSIVE = tiny.scheme_of("exclusive")
SCHEMES = {"tree": tiny.TREE, "exclusive": EXCLUSIVE, "independent": tiny.scheme_of("independent")}


def votes_of(classes: np.ndarray, views: int = 1) -> Votes:
    counts = np.tile(np.eye(len(EXCLUSIVE.keys))[classes], (views, 1))
    weight = np.full(len(counts), 1.0 / views)
    return Votes(counts, np.ones_like(counts), weight, np.tile(np.arange(len(classes)), views))


def shares_of(x: np.ndarray, votes: Votes, scheme: Scheme, settings: Classifier) -> list[float]:
    heads = [fit_head(method, ViewSample(x, votes, scheme), settings) for method in settings.method]
    return learnt_shares(heads, ViewSample(x, votes, scheme), settings)


def test_views_of_one_galaxy_are_never_told_apart_by_its_own_label():
    rng = np.random.default_rng(0)
    x, classes = rng.normal(size=(200, 12)).astype(np.float32), rng.integers(2, size=200)
    seen, votes = np.concatenate([x, x]), votes_of(classes, 2)
    known = answers_of(fit_head("forest", ViewSample(seen, votes, EXCLUSIVE), SMALL), x, EXCLUSIVE)
    unseen = unseen_answers("forest", ViewSample(seen, votes, EXCLUSIVE), SMALL)
    assert (known.argmax(axis=1) == classes).mean() > 0.95
    assert abs((unseen.argmax(axis=1) == classes).mean() - 0.5) < 0.15


@pytest.mark.parametrize("better", ["logistic", "forest"])
def test_the_better_classifier_has_the_larger_share(better):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(240, 12)).astype(np.float32)
    # A plane through all features, or four corners of two of them, which no plane tells apart.
    classes = (x.sum(axis=1) > 0) if better == "logistic" else (x[:, 0] * x[:, 1] > 0)
    x[:, 2:] *= 1.0 if better == "logistic" else 0.1
    settings = Classifier(method=SMALL.method, logistic=1.0, trees=40, features=0.5)
    shares = dict(zip(settings.method, shares_of(x, votes_of(classes.astype(int)), EXCLUSIVE, settings), strict=True))
    assert sum(shares.values()) == pytest.approx(1.0)
    assert shares[better] > 0.75


@pytest.mark.parametrize("kind", SCHEMES)
def test_votes_of_every_kind_of_scheme_teach_shares(kind):
    scheme, rng = SCHEMES[kind], np.random.default_rng(4)
    answers = len(scheme.keys)
    x = rng.normal(size=(150, 12)).astype(np.float32)
    counts, totals = np.zeros((150, answers)), np.zeros((150, answers))
    for where in scheme.slices:
        likely = np.exp(2.0 * x[:, where])
        fractions = likely / (1 + likely) if kind == "independent" else likely / likely.sum(axis=1, keepdims=True)
        asked = rng.random(150) < 0.8
        totals[asked, where], counts[asked, where] = 10, np.round(10 * fractions[asked])
    votes = Votes(counts, totals, np.ones(150), np.arange(150))
    settings = Classifier(method=("logistic", "boosting"), logistic=1.0, rounds=5)
    linear, boosted = shares_of(x, votes, scheme, settings)
    assert linear > boosted > 0.0  # what the votes follow is linear
    unseen = unseen_answers("logistic", ViewSample(x, votes, scheme), settings)
    for where in scheme.slices:
        if kind != "independent":
            assert unseen[:, where].sum(axis=1) == pytest.approx(1.0)


def test_linear_machines_tell_what_they_said_of_unseen_galaxies_when_they_were_fitted():
    rng = np.random.default_rng(2)
    x = rng.normal(size=(200, 12)).astype(np.float32)
    noisy = rng.integers(2, size=200)
    votes = votes_of(noisy, 2)
    head = fit_head("logistic", ViewSample(np.tile(x, (2, 1)), votes, EXCLUSIVE), SMALL)
    kept = unseen_answers("logistic", ViewSample(np.tile(x, (2, 1)), votes, EXCLUSIVE), SMALL, head=head)
    anew = unseen_answers("logistic", ViewSample(np.tile(x, (2, 1)), votes, EXCLUSIVE), SMALL)
    assert np.corrcoef(kept[:, 0], anew[:, 0])[0, 1] > 0.7  # other folds
    assert abs((kept.argmax(axis=1) == noisy).mean() - 0.5) < 0.15


@pytest.mark.parametrize("count", [1, 3])
def test_hardly_any_galaxy_is_enough(count):
    x = np.random.default_rng(0).normal(size=(count, 12)).astype(np.float32)
    shares = shares_of(x, votes_of(np.arange(count)), EXCLUSIVE, SMALL)
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0.0
