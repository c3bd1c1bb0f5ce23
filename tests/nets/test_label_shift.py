"""Label shift: shares of classes by EM, errors of calibrations and confusion matrices."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.nets.label_shift import (
    Grouped,
    bootstrap_weights,
    calibration_draws,
    confusion_draws,
    likely_shares,
    mean_shares,
    pseudo_counts,
    smoothed_confusion,
)


def rows_of(shares: list[float], source: list[float], n: int, seed: int, apart: float = 2.0) -> np.ndarray:
    """Return exact probabilities, (n, K), of galaxies of given shares by a classifier that learnt from others."""
    rng = np.random.default_rng(seed)
    middles = apart * np.eye(len(shares))
    seen = middles[rng.choice(len(shares), n, p=shares)] + rng.normal(size=(n, len(shares)))
    scores = seen @ middles.T + np.log(source)
    odds = np.exp(scores - scores.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


def one(p: np.ndarray) -> np.ndarray:
    return np.ones((1, len(p)))


def test_em_finds_the_shares_of_another_population():
    source = [0.6, 0.3, 0.1]
    p = rows_of([0.1, 0.3, 0.6], source, 40_000, 1)
    assert likely_shares(p, one(p), 1 / np.array([source]))[0] == pytest.approx([0.1, 0.3, 0.6], abs=0.01)
    assert abs(mean_shares(p, one(p), np.ones((1, 3)))[0] - [0.1, 0.3, 0.6]).max() > 0.03


def test_em_leaves_shares_that_are_the_classifier_s_own():
    source = [0.5, 0.3, 0.2]
    p = rows_of(source, source, 40_000, 2)
    assert likely_shares(p, one(p), 1 / np.array([source]))[0] == pytest.approx(source, abs=0.01)


def test_em_satisfies_the_equation_of_the_likeliest_shares():
    """The mean of the corrected probabilities is the shares that correct them (Saerens et al. 2002, eq. 2.9)."""
    source = np.array([0.7, 0.3])
    p = rows_of([0.4, 0.6], source.tolist(), 500, 3)
    shares = likely_shares(p, one(p), 1 / source[None])
    corrected = p * shares / source
    corrected /= corrected.sum(axis=1, keepdims=True)
    assert corrected.mean(axis=0) == pytest.approx(shares[0], abs=1e-4)


def test_counts_corrected_by_a_confusion_matrix_are_those_of_its_inverse():
    """Where the shares lie between 0 and 1, as black-box shift estimation has it (Lipton et al. 2018)."""
    confusion = np.array([[0.8, 0.15, 0.05], [0.1, 0.8, 0.1], [0.05, 0.25, 0.7]])
    counts = np.array([0.2, 0.3, 0.5]) @ confusion
    shares = likely_shares(confusion.T, counts[None], np.ones((1, 3)))[0]
    assert shares == pytest.approx(counts @ np.linalg.inv(confusion), abs=1e-3)
    several = np.stack([confusion.T, np.eye(3)])
    twice = likely_shares(several, np.stack([counts, counts]), np.ones((2, 3)))
    assert twice[0] == pytest.approx(shares, abs=1e-5)
    assert twice[1] == pytest.approx(counts, abs=1e-5)


def test_shares_stay_between_0_and_1_where_the_inverse_does_not():
    confusion = np.array([[0.9, 0.1], [0.2, 0.8]])
    shares = likely_shares(confusion.T, np.array([[0.95, 0.05]]), np.ones((1, 2)))[0]
    assert shares == pytest.approx([1.0, 0.0], abs=0.01)


def test_grouped_rows_have_the_same_mean_and_number():
    p = rows_of([0.5, 0.5], [0.5, 0.5], 20_000, 4)
    weight = np.random.default_rng(4).uniform(0.5, 2.0, len(p))
    rows = Grouped.of(p, weight)
    assert len(rows.p) < len(p)
    assert rows.weight @ rows.p == pytest.approx(weight @ p)
    assert rows.effective == pytest.approx(weight.sum() ** 2 / (weight**2).sum())
    few = Grouped.of(p[:100], weight[:100])
    assert np.array_equal(few.p, p[:100])


@pytest.mark.parametrize("n", [200, 20_000])
def test_the_bootstrap_has_the_error_of_a_mean(n):
    p = rows_of([0.5, 0.5], [0.5, 0.5], n, 5)
    rows = Grouped.of(p, np.ones(n))
    rng = np.random.default_rng(5)
    weights = bootstrap_weights(rows, 2000, rng)
    means = mean_shares(rows.p, weights, np.ones((2000, 2)))
    assert means[:, 0].std() == pytest.approx(p[:, 0].std() / np.sqrt(n), rel=0.1)
    assert means[:, 0].mean() == pytest.approx(p[:, 0].mean(), abs=3 * p[:, 0].std() / np.sqrt(n * 2000) + 1e-3)


def test_a_class_that_nobody_saw_gets_an_upper_limit():
    p = np.tile([1.0, 0.0], (50, 1))
    rows, rng = Grouped.of(p, np.ones(50)), np.random.default_rng(6)
    weights, extra = bootstrap_weights(rows, 2000, rng), pseudo_counts(rows, 2000, rng)
    upper = np.percentile(mean_shares(rows.p, weights, np.ones((2000, 2)), extra)[:, 1], 97.5)
    assert 0.02 < upper < 0.08  # of 50 without one, 7 % is the usual limit of 97.5 %


def test_a_calibration_is_uncertain_by_what_its_galaxies_tell():
    """The mean probability of its own galaxies is off as the mean of their classes is, about the probabilities."""
    source = np.array([0.6, 0.4])
    p = rows_of(source.tolist(), source.tolist(), 5000, 7, apart=1.0)
    rows, rng = Grouped.of(p, np.ones(5000)), np.random.default_rng(7)
    rmse = float(np.sqrt((p * (1 - p)).mean()))
    odds, sources = calibration_draws(rows, source, 400, rmse, 4000, rng)
    means = mean_shares(rows.p, np.broadcast_to(1.0, (4000, 5000)), odds)
    expected = np.sqrt((p[:, 0] * (1 - p[:, 0])).mean() / 400)
    assert means[:, 0].std() == pytest.approx(expected, rel=0.1)
    assert sources[:, 0].std() == pytest.approx(np.sqrt(0.6 * 0.4 / 400), rel=0.1)
    assert sources.sum(axis=1) == pytest.approx(1.0)


def test_labels_that_scatter_less_than_classes_tell_more():
    source = np.array([0.6, 0.4])
    p = rows_of(source.tolist(), source.tolist(), 1000, 8, apart=1.0)
    rows = Grouped.of(p, np.ones(1000))
    rmse = float(np.sqrt((p * (1 - p)).mean()))
    odds = [calibration_draws(rows, source, 400, each, 2000, np.random.default_rng(8))[0] for each in (rmse, rmse / 2)]
    wide, narrow = (np.log(each[:, 0] / each[:, 1]).std() for each in odds)
    assert narrow == pytest.approx(wide / 2, rel=0.1)


def test_draws_of_a_confusion_matrix_scatter_by_its_counts():
    confusion = np.array([[80, 20], [0, 0]])
    assert smoothed_confusion(confusion).sum(axis=1) == pytest.approx(1.0)
    drawn = confusion_draws(confusion, 4000, np.random.default_rng(9))
    assert drawn[:, 0, 0].std() == pytest.approx(np.sqrt(0.8 * 0.2 / 102), rel=0.1)
    assert drawn[:, 1, 1].std() > 0.2  # of a class without any galaxy nothing is known
