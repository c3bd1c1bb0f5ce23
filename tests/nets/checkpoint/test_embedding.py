"""The embedding: distances, their limit, and what it calls outside."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import mahalanobis

from galmorph.nets.checkpoint import embedding
from galmorph.nets.checkpoint.embedding import Embedding, fit_embedding


def features(n: int, seed: int, wide: int = 10) -> np.ndarray:
    """Draw correlated features of very different variances."""
    mixing = np.random.default_rng(99).normal(0, 1, (wide, wide)) * np.geomspace(1.0, 0.05, wide)
    return 3.0 + np.random.default_rng(seed).normal(0, 1, (n, wide)) @ mixing.T


def test_the_distance_is_that_of_mahalanobis():
    """With all axes kept it is scipy's, to the shrinkage of a thousandth of the mean variance."""
    training = features(4000, 1)
    found = fit_embedding(training, features(100, 2))
    assert found is not None
    new = features(20, 3)
    shrunk = 0.999 * np.cov(training.T) + 0.001 * np.trace(np.cov(training.T)) / 10 * np.eye(10)
    inverse = np.linalg.inv(shrunk)
    expected = [mahalanobis(x, training.mean(0), inverse) for x in new]
    assert found.distance(new) == pytest.approx(expected, rel=1e-3)


def test_about_one_in_a_hundred_new_ones_is_called_outside():
    """The limit of 2 000 has a relative error of a fifth; 4 standard deviations are .012."""
    found = fit_embedding(features(4000, 1), features(2000, 2), false_alarms=0.01)
    assert (found.distance(features(20_000, 3)) > found.limit).mean() == pytest.approx(0.01, abs=0.012)


@pytest.mark.parametrize("false_alarms", ["0.01", "0.05", "0.1", "0.5"])
@pytest.mark.parametrize("n", [20, 38, 39, 40, 98, 99, 100, 101, 199])
def test_the_limit_is_the_distance_of_exactly_the_rank_of_conformal_prediction(n, false_alarms):
    """The ceil((n + 1) (1 - false alarms))-th of n distances; the largest where there are not so many."""
    held = features(n, n)
    found = fit_embedding(features(400, 1), held, false_alarms=float(false_alarms))
    distances = np.sort(found.distance(held))
    rank = math.ceil((n + 1) * (1 - Fraction(false_alarms)))
    assert found.limit == distances[min(rank, n) - 1]
    assert (distances > found.limit).sum() == max(n - rank, 0)
    assert len(set(distances)) == n


def test_stamps_in_turn_are_called_outside_exactly_as_often_as_allowed():
    """Of 40 stamps, each judged by the limit of the 39 others, 2 lie outside at 5 %: never 1, never 3."""
    training, held = features(400, 1), features(40, 7)
    outside = 0
    for row in range(40):
        found = fit_embedding(training, np.delete(held, row, axis=0), false_alarms=0.05)
        outside += int(found.distance(held[[row]])[0] > found.limit)
    assert outside == 2


@pytest.mark.parametrize("fewest", [19, 20])
def test_twenty_stamps_are_just_enough(fewest):
    enough = fewest == 20
    assert (fit_embedding(features(fewest, 1), features(50, 2)) is not None) == enough
    assert (fit_embedding(features(50, 1), features(fewest, 2)) is not None) == enough


def test_what_leaves_the_usual_directions_is_outside():
    """A step of 1 along the direction of least variance, .05, against one along that of most."""
    training = features(4000, 1)
    found = fit_embedding(training, features(500, 2))
    _, vectors = np.linalg.eigh(np.cov(training.T))
    assert found.distance(training.mean(0) + vectors[:, 0][None])[0] > found.limit
    assert found.distance(training.mean(0) + vectors[:, -1][None])[0] < found.limit


def test_directions_beyond_the_axes_kept_count_as_one():
    """With 200 features of variance 1 but for 3, 64 axes are kept; a step across all is seen by what is left."""
    rng = np.random.default_rng(4)
    training, held = (rng.normal(0, 1, (3000, 200)) * np.where(np.arange(200) < 3, 10.0, 0.5) for _ in range(2))
    found = fit_embedding(training, held)
    assert found.axes.shape == (200, 64)
    strange = held[:50] + np.where(np.arange(200) < 3, 0.0, 1.0)
    assert (found.distance(strange) > found.limit).mean() > 0.9
    assert sum(a.nbytes for a in found.tensors().values()) < 0.5e6


def test_wide_features_stay_small_in_the_file(monkeypatch):
    """Seen with a fifth of the numbers: axes of 2048 features take a second to find."""
    assert 4 * embedding._NUMBERS < 0.5e6
    monkeypatch.setattr(embedding, "_NUMBERS", embedding._NUMBERS // 5)
    rng = np.random.default_rng(5)
    found = fit_embedding(rng.normal(0, 1, (60, 400)), rng.normal(0, 1, (30, 400)))
    assert found.axes.shape == (400, 50)
    assert sum(a.nbytes for a in found.tensors().values()) < 0.1e6
    assert np.isfinite(found.limit)


@pytest.mark.parametrize(
    ("training", "held"),
    [(features(10, 1), features(100, 2)), (features(100, 1), features(5, 2)), (np.ones((50, 4)), np.ones((50, 4)))],
    ids=["few to train", "few to hold", "all the same"],
)
def test_too_little_gives_no_embedding(training, held):
    assert fit_embedding(training, held) is None


def test_it_comes_back_from_its_parts():
    found = fit_embedding(features(100, 1), features(50, 2))
    back = Embedding.from_dict(found.to_dict(), found.tensors())
    new = features(9, 3)
    assert np.array_equal(back.distance(new), found.distance(new))
    assert (back.limit, back.false_alarms) == (found.limit, 0.01)


def test_parts_that_do_not_fit_are_refused():
    found = fit_embedding(features(100, 1), features(50, 2))
    with pytest.raises(ValueError, match="do not fit"):
        Embedding.from_dict(found.to_dict(), found.tensors() | {"mean": np.zeros(3, np.float32)})
