"""What is said of galaxies of each class: means of classes, regressions on shares, their errors, and cards."""

from __future__ import annotations

import json

import numpy as np
import pytest

from galmorph.nets.soft_confusion import SoftConfusion


def said_of(classes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    return rng.dirichlet([1.0, 1.0, 1.0], len(classes)) * 0.5 + 0.5 * np.eye(3)[classes]


def test_of_classes_it_is_the_mean_of_each():
    rng = np.random.default_rng(1)
    classes = rng.choice(3, 3000, p=[0.5, 0.3, 0.2])
    p = said_of(classes, rng)
    sums = SoftConfusion.of(p, np.eye(3)[classes])
    means = np.stack([p[classes == k].mean(axis=0) for k in range(3)])
    assert sums.matrix == pytest.approx(means, abs=1e-3)
    assert sums.matrix.sum(axis=1) == pytest.approx(1.0)
    assert sums.shares == pytest.approx(np.bincount(classes) / 3000)
    mean = np.einsum("k,bkj->bj", sums.shares, sums.drawn(4000, rng))
    assert np.sqrt(np.diag(sums.covariance(sums.shares))) == pytest.approx(mean.std(axis=0), rel=0.1)
    errors = np.stack([p[classes == k].std(axis=0) / np.sqrt((classes == k).sum()) for k in range(3)])
    assert sums.drawn(3000, rng).std(axis=0) == pytest.approx(errors, rel=0.15)


def test_of_shares_of_votes_it_is_what_is_said_of_galaxies_wholly_of_a_class():
    rng = np.random.default_rng(2)
    votes = rng.dirichlet([1.0, 1.0, 1.0], 4000)
    matrix = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.3, 0.6]])
    p = votes @ matrix + 0.02 * (rng.dirichlet([1.0, 1.0, 1.0], 4000) - 1 / 3)
    assert SoftConfusion.of(p, votes).matrix == pytest.approx(matrix, abs=0.01)


def test_parts_add_up():
    rng = np.random.default_rng(3)
    classes = rng.choice(3, 400)
    p, y = said_of(classes, rng), np.eye(3)[classes]
    whole, parts = SoftConfusion.of(p, y), SoftConfusion.of(p[:150], y[:150]) + SoftConfusion.of(p[150:], y[150:])
    assert parts.matrix == pytest.approx(whole.matrix)
    one, other = (each.drawn(2000, np.random.default_rng(4)).std(axis=0) for each in (whole, parts))
    assert other == pytest.approx(one, rel=0.15)


def test_of_a_class_that_nobody_saw_nothing_is_known():
    rng = np.random.default_rng(5)
    classes = rng.choice(2, 200)
    sums = SoftConfusion.of(said_of(classes, rng), np.eye(3)[classes])
    assert sums.drawn(500, rng)[:, 2].std(axis=0).min() > 0.1
    assert sums.drawn(500, rng)[:, 0].std(axis=0).max() < 0.05


def test_a_card_keeps_it():
    rng = np.random.default_rng(6)
    classes = rng.choice(3, 60)
    sums = SoftConfusion.of(said_of(classes, rng), np.eye(3)[classes])
    again = SoftConfusion.from_dict(json.loads(json.dumps(sums.to_dict())), 3)
    assert again.matrix == pytest.approx(sums.matrix, abs=1e-4)
    assert again.modes == pytest.approx(sums.modes, abs=1e-4)


@pytest.mark.parametrize("change", [{"said": [[1.0]]}, {"labels": None}, {"modes": [[1.0, 2.0]]}])
def test_a_broken_entry_is_refused(change):
    entry = {"labels": [[1.0, 0.0], [0.0, 1.0]], "said": [[1.0, 0.0], [0.0, 1.0]], "modes": []}
    assert SoftConfusion.from_dict(entry, 2).galaxies == 2.0
    with pytest.raises((ValueError, TypeError)):
        SoftConfusion.from_dict(entry | change, 2)
