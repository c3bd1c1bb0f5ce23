"""Label shift: shares of classes by EM, errors of means and of calibrations."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.nets.label_shift import (
    Grouped,
    bootstrap_weights,
    calibration_draws,
    likely_shares,
    mean_shares,
    pseudo_counts,
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
    odds = calibration_draws(rows, source, 400, rmse, 4000, rng)
    means = mean_shares(rows.p, np.broadcast_to(1.0, (4000, 5000)), odds)
    expected = np.sqrt((p[:, 0] * (1 - p[:, 0])).mean() / 400)
    assert means[:, 0].std() == pytest.approx(expected, rel=0.1)


def test_labels_that_scatter_less_than_classes_tell_more():
    source = np.array([0.6, 0.4])
    p = rows_of(source.tolist(), source.tolist(), 1000, 8, apart=1.0)
    rows = Grouped.of(p, np.ones(1000))
    rmse = float(np.sqrt((p * (1 - p)).mean()))
    odds = [calibration_draws(rows, source, 400, each, 2000, np.random.default_rng(8)) for each in (rmse, rmse / 2)]
    wide, narrow = (np.log(each[:, 0] / each[:, 1]).std() for each in odds)
    assert narrow == pytest.approx(wide / 2, rel=0.1)


def test_grouped_rows_have_the_covariance_of_their_mean():
    p = rows_of([0.5, 0.5], [0.5, 0.5], 20_000, 4)
    rows = Grouped.of(p, np.ones(len(p)))
    assert rows.covariance == pytest.approx(np.cov(p.T) / len(p), rel=0.01)
    few = Grouped.of(np.tile([1.0, 0.0], (50, 1)), np.ones(50))
    assert few.covariance[1, 1] == pytest.approx(0.25 / 51**2)  # one galaxy more could be of either
