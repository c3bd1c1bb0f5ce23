"""Scores against hand computations."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tiny
from scipy import stats

from galmorph.nets.evaluate import (
    MIN_VOTES,
    countable,
    evaluate,
    expected_calibration_error,
    mean_fractions,
    signal_explained,
)
from galmorph.sky.scheme import Labels, load_scheme


def drawn(n: int = 400, votes: int = 25, seed: int = 3) -> tuple[Labels, np.ndarray]:
    """Draw votes of the tiny tree and the probabilities that they were drawn from."""
    rng = np.random.default_rng(seed)
    truth = np.concatenate([rng.dirichlet([1.5, 1.5], n), rng.dirichlet([1, 1, 1], n)], axis=1)
    counts = np.zeros((n, 5))
    for i in range(n):
        counts[i, :2] = rng.multinomial(votes, truth[i, :2])
        counts[i, 2:] = rng.multinomial(int(counts[i, 1]), truth[i, 2:])
    totals = np.repeat(np.stack([counts[:, :2].sum(1), counts[:, 2:].sum(1)], 1), (2, 3), axis=1)
    return Labels(counts, totals), truth


def test_the_signal_explained_by_hand():
    truth = np.array([[0.8, 0.2], [0.4, 0.6]])
    predicted = np.array([[0.7, 0.3], [0.5, 0.5]])
    totals = np.full((2, 2), 20.0)
    constant = np.array([0.5, 0.5])
    # RMSE² = .01; constant² = (.09 + .09 + .01 + .01) / 4 = .05; floor² = (.16 + .16 + .24 + .24) / 20 / 4 = .01
    scores = signal_explained(truth, predicted, totals, constant)
    assert scores["rmse"] == pytest.approx(0.1)
    assert scores["constant"] == pytest.approx(np.sqrt(0.05))
    assert scores["floor"] == pytest.approx(0.1)
    assert scores["signal_explained"] == pytest.approx(1.0)
    worse = signal_explained(truth, predicted[::-1], totals, constant)
    assert worse["signal_explained"] == pytest.approx(1 - (0.09 - 0.01) / (0.05 - 0.01))


def test_the_constant_explains_nothing_and_the_truth_about_everything():
    labels, truth = drawn()
    where, constant = slice(0, 2), mean_fractions(drawn()[0], tiny.TREE)[:2]
    args = labels.fractions[:, where], labels.totals[:, where], constant
    flat = signal_explained(args[0], np.broadcast_to(constant, args[0].shape), *args[1:])
    assert flat["signal_explained"] == pytest.approx(0.0, abs=1e-9)
    best = signal_explained(args[0], truth[:, where], *args[1:])
    # y (1 - y) / n underestimates the binomial variance by a part in n, here 4 %.
    assert best["signal_explained"] == pytest.approx(1.0, abs=0.03)


def test_classes_and_fractions_have_no_binomial_floor():
    truth = np.array([[1.0, 0.0], [0.0, 1.0]])
    scores = signal_explained(truth, np.full((2, 2), 0.25), np.ones((2, 2)), np.full(2, 0.5))
    assert scores["floor"] == 0.0
    assert scores["signal_explained"] == pytest.approx(1 - (0.75**2 + 0.25**2) / 2 / 0.25)


def test_a_sample_without_signal_has_no_explained_signal():
    truth = np.full((4, 2), 0.5)
    assert "signal_explained" not in signal_explained(truth, truth, np.full((4, 2), 10.0), np.full(2, 0.5))


def test_the_calibration_error_by_hand():
    confidence = np.array([0.05, 0.15, 0.15, 0.95, 1.0])
    outcome = np.array([0.0, 0.0, 1.0, 1.0, 1.0])
    # bins of a tenth: {.05}: gap .05, {.15, .15}: gap .35, {.95, 1}: gap .025
    assert expected_calibration_error(confidence, outcome, bins=10) == pytest.approx((0.05 + 2 * 0.35 + 2 * 0.025) / 5)


def test_honest_probabilities_are_calibrated_and_bold_ones_not():
    rng = np.random.default_rng(1)
    p = rng.uniform(size=20_000)
    happened = (rng.uniform(size=p.size) < p).astype(float)
    assert expected_calibration_error(p, happened) < 0.02
    assert expected_calibration_error(np.round(p), happened) > 0.2


def test_mean_fractions_leave_out_questions_asked_of_few():
    counts = np.array([[4.0, 6.0, 1.0, 1.0, 0.0], [8.0, 2.0, 0.0, 3.0, 3.0]])
    totals = np.array([[10.0] * 2 + [2.0] * 3, [10.0] * 2 + [6.0] * 3])
    assert MIN_VOTES == 3
    assert mean_fractions(Labels(counts, totals), tiny.TREE) == pytest.approx([0.6, 0.4, 0.0, 0.5, 0.5])


def test_an_answer_nobody_gave_a_label_for_is_even():
    nobody = Labels(np.zeros((2, 5)), np.zeros((2, 5)))
    assert mean_fractions(nobody, tiny.TREE) == pytest.approx([0.5] * 5)


def test_the_report_of_a_tree_repeats_the_formulas_per_question_and_pooled():
    labels, truth = drawn()
    predicted = 0.7 * truth + 0.3 * np.repeat([0.5, 1 / 3], (2, 3))
    constant = mean_fractions(labels, tiny.TREE)
    scores = evaluate(predicted, labels, tiny.TREE, constant)
    assert scores["rows"] == 400
    assert list(scores["questions"]) == ["a", "b"]
    rows = labels.totals[:, 2] >= MIN_VOTES
    assert scores["questions"]["a"]["rows"] == 400
    assert scores["questions"]["b"]["rows"] == rows.sum() < 400
    where = slice(2, 5)
    by_hand = signal_explained(
        labels.fractions[rows, where], predicted[rows, where], labels.totals[rows, where], constant[where]
    )
    assert {k: scores["questions"]["b"][k] for k in by_hand} == pytest.approx(by_hand)
    rank = stats.spearmanr(labels.fractions[:, 0], predicted[:, 0]).statistic
    assert scores["questions"]["a"]["spearman"]["a__x"] == pytest.approx(rank)
    # Pooled: every answer of every question that counts, once.
    counted = np.concatenate([np.ones((400, 2), bool), np.repeat(rows[:, None], 3, 1)], axis=1)
    error = (labels.fractions - predicted)[counted]
    assert scores["pooled"]["rmse"] == pytest.approx(np.sqrt((error**2).mean()))


def test_the_report_of_classes_counts_the_confusion():
    scheme = tiny.scheme_of("exclusive")
    truth, said = [0, 0, 0, 1, 1, 2], [0, 0, 1, 1, 1, 0]
    labels = scheme.labels({"label": [*(f"k{t}" for t in truth), ""]})
    conditional = np.full((7, 3), 0.1)
    conditional[range(6), said] = 0.8
    scores = evaluate(conditional, labels, scheme, mean_fractions(labels, scheme))
    assert scores["classes"] == ["k0", "k1", "k2"]
    assert scores["confusion"] == [[2, 1, 0], [0, 2, 0], [1, 0, 0]]
    assert scores["accuracy"] == pytest.approx(4 / 6)
    assert scores["recall"] == pytest.approx({"k0": 2 / 3, "k1": 1.0, "k2": 0.0})
    assert scores["calibration_error"] == pytest.approx(0.8 - 4 / 6)


def test_a_class_that_does_not_occur_has_no_recall_and_a_constant_no_rank():
    scheme = tiny.scheme_of("exclusive")
    labels = scheme.labels({"label": ["k0", "k1", "k0"]})
    scores = evaluate(np.full((3, 3), 1 / 3), labels, scheme, mean_fractions(labels, scheme))
    assert scores["recall"]["k2"] is None
    assert scores["questions"]["only"]["spearman"] == {"k0": None, "k1": None, "k2": None}


def test_no_labels_at_all_give_an_empty_report():
    nobody = Labels(np.zeros((3, 5)), np.zeros((3, 5)))
    scores = evaluate(np.full((3, 5), 0.5), nobody, tiny.TREE, np.full(5, 0.5))
    assert scores["questions"] == {"a": {"rows": 0}, "b": {"rows": 0}}
    assert scores["pooled"] == {}


def test_a_report_is_plain_json():
    labels, truth = drawn(50)
    assert json.loads(json.dumps(evaluate(truth, labels, tiny.TREE, truth.mean(axis=0))))["rows"] == 50


def test_votes_count_from_three_on_and_fractions_always():
    """Just below and at the least number; totals of about 1 are fractions or classes."""
    votes = Labels(np.array([[2.0, 0.0], [3.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 2.0], [3.0, 3.0], [0.0, 0.0]]))
    assert MIN_VOTES == 3
    assert countable(votes).all(axis=1).tolist() == [False, True, False]
    fractions = Labels(np.array([[0.5, 0.5], [0.0, 0.0]]), np.array([[1.0, 1.0], [0.0, 0.0]]))
    assert countable(fractions).all(axis=1).tolist() == [True, False]


@pytest.mark.parametrize("total", [1.001, 0.999, 1.3])
def test_fractions_that_were_rounded_or_debiased_count_and_have_no_binomial_floor(total):
    """They are no votes of so many people: with one, no question would have counted."""
    scheme = load_scheme("gz2-simple")
    shares = np.random.default_rng(5).dirichlet(np.ones(5), 40)
    labels = Labels(shares * total, np.full((40, 5), total))
    assert countable(labels).all()
    scores = evaluate(np.full((40, 5), 0.2), labels, scheme, mean_fractions(labels, scheme))
    assert scores["questions"][scheme.questions[0].name]["rows"] == 40
    assert scores["pooled"]["floor"] == 0.0
    assert scores["pooled"]["rmse"] == pytest.approx(float(np.sqrt(((shares - 0.2) ** 2).mean())))


def test_any_of_several_largest_shares_is_right_and_clear_galaxies_are_scored_apart():
    """Four galaxies: hit, a tie of which one is hit, missed, and a clear one that is hit."""
    scheme = tiny.scheme_of("exclusive", 3)
    shares = np.array([[0.6, 0.4, 0.0], [0.5, 0.5, 0.0], [0.2, 0.2, 0.6], [0.0, 1.0, 0.0]])
    guess = np.array([[0.5, 0.3, 0.2], [0.3, 0.4, 0.3], [0.6, 0.2, 0.2], [0.1, 0.8, 0.1]])
    labels = Labels(shares, np.full((4, 3), 1.0 + 1e-9))  # shares that were rounded
    scores = evaluate(guess, labels, scheme, np.full(3, 1 / 3))
    assert scores["accuracy"] == 0.75
    assert scores["clear"] == {"rows": 1, "accuracy": 1.0}
    (question,) = scores["questions"].values()
    assert question["rows"] == 4
    pearson = np.corrcoef(shares[:, 0], guess[:, 0])[0, 1]
    assert question["pearson"][scheme.keys[0]] == pytest.approx(pearson)


def test_the_noise_of_labels_is_the_floor_where_nobody_knows_how_many_voted():
    """With numbers of votes these say it."""
    truth, guess, constant = np.array([[1.0, 0.0], [0.4, 0.6]]), np.full((2, 2), 0.5), np.full(2, 0.4)
    scores = signal_explained(truth, guess, np.ones((2, 2)), constant, noise=0.15)
    assert scores["floor"] == pytest.approx(0.15)
    counted = signal_explained(truth, guess, np.full((2, 2), 10.0), constant, noise=0.15)
    assert counted["floor"] == pytest.approx((0.4 * 0.6 / 10 / 2) ** 0.5)
    assert load_scheme("candels-shares").noise == 0.15
