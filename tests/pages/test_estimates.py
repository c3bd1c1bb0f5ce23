"""Estimates: intervals hold planted shares as often as they say, with a known confusion and a shift of the classes."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from galmorph.pages.estimates import METHODS, Asked, Judge, estimates

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
    confusion = np.zeros((3, 3), np.int64)
    np.add.at(confusion, (classes, chances(seen, fitted).argmax(axis=1)), 1)
    p, every = chances(galaxies(shares, SIZE, rng)[0], fitted), np.ones(SIZE)
    asked = Asked(p, every, every, every, p.argmax(axis=1))
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


@pytest.mark.parametrize("method", ["em", "bbse"])
def test_corrected_intervals_hold_planted_shares_of_another_population(shifted, method):
    inner, outer = coverage(shifted, method, OTHERS)
    assert 0.60 <= inner <= 0.78, inner
    assert 0.90 <= outer <= 0.99, outer


@pytest.mark.parametrize("method", ["prob", "em", "bbse"])
def test_all_intervals_hold_the_shares_of_a_population_like_the_classifier_s(alike, method):
    inner, outer = coverage(alike, method, LEARNT)
    assert 0.60 <= inner <= 0.78, inner
    assert 0.90 <= outer <= 0.99, outer


@pytest.mark.parametrize("method", ["raw", "prob"])
def test_what_is_not_corrected_misses_the_shares_of_another_population(shifted, method):
    assert coverage(shifted, method, OTHERS)[1] < 0.6
    mean = np.mean([each[method].share for each in shifted], axis=0)
    assert abs(mean - OTHERS).max() > 0.08


def test_corrected_shares_are_not_off_on_average(shifted):
    for method in ("em", "bbse"):
        shares = np.array([each[method].share for each in shifted])
        assert shares.mean(axis=0) == pytest.approx(OTHERS, abs=3 * shares.std(axis=0).max() / np.sqrt(CATALOGUES))


def test_stated_errors_are_the_scatter(shifted):
    for method in ("em", "bbse"):
        scatter = np.array([each[method].share for each in shifted]).std(axis=0)
        stated = np.mean([each[method].err for each in shifted], axis=0)
        assert stated == pytest.approx(scatter, rel=0.3)


def test_errors_of_galaxies_and_classifier_add_in_squares(shifted):
    for method in ("em", "bbse"):
        of = [each[method] for each in shifted]
        both = np.mean([np.hypot(e.err_galaxies, e.err_classifier) for e in of], axis=0)
        assert np.mean([e.err for e in of], axis=0) == pytest.approx(both, rel=0.15)


def test_without_a_record_there_are_no_errors_of_the_classifier():
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]])
    every = np.ones(3)
    asked = Asked(p, every, every, every, p.argmax(axis=1))
    rng = np.random.default_rng(1)
    of = estimates(asked, Judge.of(asked, None, 0, np.nan, None, 100, rng), rng)
    assert of["prob"].share == pytest.approx(p.mean(axis=0))
    assert np.isnan(of["prob"].err_classifier).all()
    assert np.isfinite(of["prob"].low).all()
    assert np.isnan(of["em"].share).all()
    assert np.isnan(of["bbse"].share).all()


def test_of_no_galaxies_nothing_is_known():
    none = np.zeros(0)
    asked = Asked(np.zeros((0, 2)), none, none, none, np.zeros(0, np.int64))
    rng = np.random.default_rng(1)
    of = estimates(asked, Judge.of(asked, np.array([0.5, 0.5]), 9, 0.1, np.eye(2, dtype=np.int64), 100, rng), rng)
    assert set(of) == set(METHODS)
    assert all(np.isnan(each.share).all() for each in of.values())
