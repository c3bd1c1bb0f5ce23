"""Estimates: intervals hold planted shares as often as they say, with a known confusion and a shift of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from galmorph.nets.soft_confusion import SoftConfusion
from galmorph.pages.estimates import METHODS, Asked, Judge, ShareEstimate, estimates

CATALOGUES = 120
SIZE = 250
CALIBRATED_ON = 250
LEARNT = np.array([0.5, 0.3, 0.2])
OTHERS = np.array([0.2, 0.35, 0.45])
MIDDLES = 1.5 * np.eye(3)


def galaxies(shares: np.ndarray, n: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw features, (n, 3), and classes, (n,)."""
    classes = rng.choice(3, n, p=shares)
    return MIDDLES[classes] + rng.normal(size=(n, 3)), classes


def chances(seen: np.ndarray, intercepts: np.ndarray) -> np.ndarray:
    scores = seen @ MIDDLES.T + np.append(intercepts, 0.0)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def counted(shares: np.ndarray, seed: int) -> dict:
    """Calibrate a classifier on a few galaxies, measure its confusion on others, and count a catalogue of shares."""
    rng = np.random.default_rng(seed)
    seen, classes = galaxies(LEARNT, CALIBRATED_ON, rng)
    labels = np.eye(3)[classes]
    fitted = minimize(lambda b: -np.log((chances(seen, b) * labels).sum(axis=1)).mean(), np.zeros(2)).x
    rmse = float(np.sqrt(((labels - chances(seen, fitted)) ** 2).mean()))
    learnt = labels.mean(axis=0)
    seen, classes = galaxies(LEARNT, CALIBRATED_ON, rng)
    confusion = SoftConfusion.of(chances(seen, fitted), np.eye(3)[classes])
    p, every = chances(galaxies(shares, SIZE, rng)[0], fitted), np.ones(SIZE)
    asked = Asked(p, every, every, p.argmax(axis=1))
    judge = Judge.of(asked, learnt, CALIBRATED_ON, rmse, confusion, 200, rng)
    return dict(estimates(asked, judge, rng))


@pytest.fixture(scope="module")
def shifted() -> list[dict]:
    return [counted(OTHERS, seed) for seed in range(CATALOGUES)]


@pytest.fixture(scope="module")
def alike() -> list[dict]:
    return [counted(LEARNT, seed) for seed in range(CATALOGUES)]


def coverage(many: list[dict], method: str, truth: np.ndarray) -> tuple[float, float]:
    """Return how often the intervals of 68 and 95 % hold the truth, of all classes."""
    of = [each[method] for each in many]
    inner = np.mean([(e.low <= truth) & (truth <= e.high) for e in of])
    outer = np.mean([(e.low95 <= truth) & (truth <= e.high95) for e in of])
    return float(inner), float(outer)


def test_adjusted_intervals_hold_planted_shares_of_another_population(shifted):
    inner, outer = coverage(shifted, "pacc", OTHERS)
    assert 0.60 <= inner <= 0.78, inner
    assert 0.90 <= outer <= 0.99, outer


@pytest.mark.parametrize("method", ["prob", "pacc"])
def test_all_intervals_hold_the_shares_of_a_population_like_the_classifier_s(alike, method):
    inner, outer = coverage(alike, method, LEARNT)
    assert 0.60 <= inner <= 0.78, inner
    assert 0.90 <= outer <= 0.99, outer


@pytest.mark.parametrize("method", ["raw", "prob"])
def test_what_is_not_corrected_misses_the_shares_of_another_population(shifted, method):
    assert coverage(shifted, method, OTHERS)[1] < 0.6
    mean = np.mean([each[method].share for each in shifted], axis=0)
    assert abs(mean - OTHERS).max() > 0.08


def test_adjusted_shares_are_not_off_on_average(shifted):
    shares = np.array([each["pacc"].share for each in shifted])
    assert shares.mean(axis=0) == pytest.approx(OTHERS, abs=3 * shares.std(axis=0).max() / np.sqrt(CATALOGUES))


def test_stated_errors_are_the_scatter(shifted):
    scatter = np.array([each["pacc"].share for each in shifted]).std(axis=0)
    assert np.mean([each["pacc"].err for each in shifted], axis=0) == pytest.approx(scatter, rel=0.3)


def test_errors_of_galaxies_and_classifier_add_in_squares(shifted):
    of = [each["pacc"] for each in shifted]
    both = np.mean([np.hypot(e.err_galaxies, e.err_classifier) for e in of], axis=0)
    assert np.mean([e.err for e in of], axis=0) == pytest.approx(both, rel=0.15)


def adjusted(p: np.ndarray, confusion: SoftConfusion, weight: np.ndarray | None = None, seed: int = 5) -> ShareEstimate:
    every, rng = np.ones(len(p)), np.random.default_rng(seed)
    asked = Asked(p, every if weight is None else weight, every, p.argmax(axis=1))
    return estimates(asked, Judge.of(asked, None, 0, np.nan, confusion, 200, rng), rng)["pacc"]


def test_shares_of_votes_are_found_in_other_mixes_where_each_vote_is_a_drawn_galaxy():
    """Galaxies of shares of votes, seen with noise, with weights that are linear in the shares."""
    rng = np.random.default_rng(6)
    votes = rng.dirichlet([1.0, 0.7, 0.4], 6000)
    p = 0.6 * votes + 0.4 * rng.dirichlet([2.0, 1.4, 0.8], 6000)  # part of each answer is the mean
    confusion = SoftConfusion.of(p[:3000], votes[:3000])
    weight = votes[3000:] @ [0.3, 1.0, 3.0]
    truth = weight @ votes[3000:] / weight.sum()
    estimate = adjusted(p[3000:], confusion, weight)
    assert abs(weight @ p[3000:] / weight.sum() - truth).max() > 0.04
    assert estimate.share == pytest.approx(truth, abs=0.02)
    assert ((estimate.low95 <= truth) & (truth <= estimate.high95)).all()


def test_a_classifier_that_does_not_err_is_not_adjusted():
    classes = np.random.default_rng(7).choice(3, 600, p=[0.2, 0.5, 0.3])
    confusion = SoftConfusion(np.diag([4e4, 3e4, 3e4]), np.diag([4e4, 3e4, 3e4]), np.zeros((0, 3, 3)))
    estimate = adjusted(np.eye(3)[classes], confusion)
    assert estimate.share == pytest.approx(np.bincount(classes) / 600, abs=0.005)


def test_the_order_of_the_answers_and_the_unit_of_the_weights_do_not_matter():
    rng = np.random.default_rng(8)
    seen, classes = galaxies(LEARNT, 300, rng)
    confusion = SoftConfusion.of(chances(seen, np.zeros(2)), np.eye(3)[classes])
    p, order = chances(galaxies(OTHERS, 200, rng)[0], np.zeros(2)), [2, 0, 1]
    turned = SoftConfusion(*(each[..., order, :][..., order] for each in vars(confusion).values()))
    share = adjusted(p, confusion).share
    assert adjusted(p[:, order], turned).share == pytest.approx(share[order], abs=1e-4)
    assert adjusted(p, confusion, np.full(200, 7.0)).share == pytest.approx(share, abs=1e-4)
    assert share.sum() == pytest.approx(1.0)


def test_without_a_record_there_are_no_errors_of_the_classifier():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    every = np.ones(3)
    asked = Asked(p, every, every, p.argmax(axis=1))
    rng = np.random.default_rng(1)
    of = estimates(asked, Judge.of(asked, None, 0, np.nan, None, 100, rng), rng)
    assert of["prob"].share == pytest.approx(p.mean(axis=0))
    assert np.isnan(of["prob"].err_classifier).all()
    assert np.isfinite(of["prob"].low).all()
    assert np.isnan(of["pacc"].share).all()


def test_of_no_galaxies_nothing_is_known():
    none = np.zeros(0)
    asked = Asked(np.zeros((0, 2)), none, none, np.zeros(0, np.int64))
    rng = np.random.default_rng(1)
    of = estimates(
        asked, Judge.of(asked, np.array([0.5, 0.5]), 9, 0.1, SoftConfusion.of(np.eye(2), np.eye(2)), 100, rng), rng
    )
    assert set(of) == set(METHODS)
    assert all(np.isnan(each.share).all() for each in of.values())
