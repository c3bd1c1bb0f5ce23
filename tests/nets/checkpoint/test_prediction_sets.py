"""Prediction sets: how many votes they hold, in which order they are told, and what they refuse."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import PipelineError
from galmorph.nets.checkpoint.prediction_sets import KINDS, PredictionSets, first_probabilities, first_votes, fit_sets
from galmorph.nets.evaluate import score_sets
from galmorph.sky.scheme import Labels

NAMES = ["a", "b", "c", "d"]


def drawn(n: int, seed: int, votes: int, sharpness: float = 1.5) -> tuple[np.ndarray, np.ndarray]:
    """Draw probabilities of four answers, not calibrated, and fractions of so many votes."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 1.5, (n, 4))
    shown, true = (np.exp(s) / np.exp(s).sum(1, keepdims=True) for s in (logits, sharpness * logits))
    return shown, rng.multinomial(votes, true) / votes


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("votes", [1, 30])
def test_sets_hold_the_nominal_share_of_new_votes(kind, votes):
    """Fitted to 4 000 rows of one vote, the threshold leaves an error of .006; 4 of them are allowed."""
    first, fractions = drawn(4000, 1, votes)
    sets = fit_sets(first, fractions, coverage=0.85, kind=kind)
    new, truth = drawn(20_000, 2, votes)
    assert (sets.members(new) * truth).sum(axis=1).mean() == pytest.approx(0.85, abs=0.025)


@pytest.mark.parametrize("kind", KINDS)
def test_small_calibration_parts_cover_at_least_the_nominal_share_on_average(kind):
    """The finite-sample quantile: over 400 parts of 19 rows the mean coverage is .9 to .95, as the theorem says."""
    new, truth = drawn(2000, 3, 1)
    covered = []
    for seed in range(400):
        sets = fit_sets(*drawn(19, 100 + seed, 1), coverage=0.9, kind=kind)
        covered.append((sets.members(new) * truth).sum(axis=1).mean())
    assert 0.895 < np.mean(covered) < 0.955


def certain(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw the probability of one vote each, all different, between the two answers there are."""
    right = np.random.default_rng(seed).permutation(np.linspace(0.1, 0.9, n))
    return np.stack([right, 1.0 - right], axis=1), np.tile([1.0, 0.0], (n, 1))


@pytest.mark.parametrize("coverage", ["0.5", "0.68", "0.8", "0.9", "0.95"])
@pytest.mark.parametrize("n", [1, 2, 3, 4, 8, 9, 10, 18, 19, 20, 39, 99])
def test_the_threshold_is_the_score_of_exactly_the_rank_of_conformal_prediction(n, coverage):
    """The ceil((n + 1) coverage)-th least score of n; where there are not so many, none is large enough."""
    first, votes = certain(n, n)
    sets = fit_sets(first, votes, coverage=float(coverage), by_class=True)
    rank = math.ceil((n + 1) * Fraction(coverage))
    scores = np.sort(1.0 - first[:, 0])
    assert sets.thresholds[0] == (scores[rank - 1] if rank <= n else np.inf)
    assert sets.rows == n


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("coverage", ["0.5", "0.8", "0.9"])
@pytest.mark.parametrize("n", [4, 9, 10, 19, 30])
def test_each_row_left_out_in_turn_is_covered_exactly_as_often_as_promised(n, coverage, kind):
    """Of n + 1 rows ceil((n + 1) coverage) lie within the threshold of the others: not one more, and not one less."""
    first, votes = certain(n + 1, n)
    if kind == "aps":  # whose score is the sum of what is likelier: here that of the other answer
        first[:, 0], first[:, 1] = 0.45 * first[:, 0], 1.0 - 0.45 * first[:, 0]
    inside = 0
    for row in range(n + 1):
        others = np.arange(n + 1) != row
        sets = fit_sets(first[others], votes[others], coverage=float(coverage), kind=kind, by_class=True)
        inside += int(sets.members(first[[row]])[0, 0])
    assert inside == math.ceil((n + 1) * Fraction(coverage))


def test_a_score_equal_to_the_threshold_is_inside_and_the_next_is_not():
    sets = PredictionSets("lac", 0.9, (0.25, 0.25))
    assert sets.members(np.array([[0.75, 0.25], [0.75 - 1e-9, 0.25 + 1e-9]]))[:, 0].tolist() == [True, False]


def test_each_class_is_covered_where_it_is_asked_for():
    """A rare answer that is always played down is missed by one threshold for all, and not by its own."""
    rng = np.random.default_rng(5)
    truth = np.eye(4)[rng.choice(4, 6000, p=[0.5, 0.3, 0.15, 0.05])]
    odds = np.exp(2.0 * truth + rng.normal(0, 1, truth.shape) + [0, 0, 0, -2])
    first = odds / odds.sum(1, keepdims=True)
    one = score_sets(fit_sets(first[:3000], truth[:3000]).members(first[3000:]), truth[3000:], NAMES, np.ones(3000))
    own = fit_sets(first[:3000], truth[:3000], by_class=True)
    each = score_sets(own.members(first[3000:]), truth[3000:], NAMES, np.ones(3000))
    assert one["by_class"]["d"]["coverage"] < 0.75
    for name in NAMES:
        assert each["by_class"][name]["coverage"] == pytest.approx(0.9, abs=0.07), name


def test_a_class_with_too_few_votes_is_in_every_set_if_each_has_its_threshold():
    first, fractions = drawn(50, 7, 1)
    fractions[:, 3] = 0.0
    fractions = np.where(fractions.sum(1, keepdims=True) > 0, fractions, [1.0, 0, 0, 0])
    sets = fit_sets(first, fractions, by_class=True)
    assert sets.thresholds[3] == np.inf
    assert sets.members(first)[:, 3].all()


def test_too_few_rows_give_sets_of_all_answers():
    """Eight rows cannot promise 90 %: 8 of 9 is 89 %."""
    first, fractions = drawn(8, 8, 1)
    assert fit_sets(first, fractions).members(first).all()
    assert not fit_sets(*drawn(9, 8, 1)).members(first).all()


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=4), st.floats(0.05, 0.95))
def test_adaptive_sets_are_never_empty_and_hold_the_likeliest(odds, limit):
    """A law of the cumulative score: whoever is in, all likelier answers are in too."""
    first = np.array([odds]) / np.sum(odds)
    sets = PredictionSets("aps", 0.9, (limit,) * len(odds))
    inside = sets.members(first)[0]
    assert inside[first[0].argmax()]
    assert not inside.all() or first[0].min() > 0
    assert min(first[0][inside]) >= max([*first[0][~inside], 0.0])


def test_the_same_galaxy_has_the_same_set_wherever_it_stands():
    first, fractions = drawn(200, 9, 30)
    sets = fit_sets(first, fractions)
    texts = sets.texts(first, NAMES)
    assert np.array_equal(sets.texts(first[::-1], NAMES)[::-1], texts)
    assert sets.texts(first[[17]], NAMES)[0] == texts[17]


def test_answers_stand_in_the_order_of_their_probabilities():
    sets = PredictionSets("lac", 0.9, (0.9,) * 4)
    first = np.array([[0.2, 0.5, 0.25, 0.05], [0.25] * 4, [np.nan] * 4])
    assert sets.texts(first, NAMES).tolist() == ["b|c|a", "a|b|c|d", ""]


def test_the_column_has_room_for_all_answers_whatever_the_values():
    sets = PredictionSets("lac", 0.9, (0.0,) * 4)
    assert sets.texts(np.full((3, 4), np.nan), NAMES).dtype == np.dtype("<U7")


def test_votes_of_independent_fractions_are_ticks():
    """Of 10 people 8 and 4 gave two of the answers: two thirds and one third of the ticks."""
    scheme = tiny.scheme_of("independent")
    votes = Labels(np.array([[8.0, 4, 0], [0, 0, 0]]), np.full((2, 3), 10.0))
    assert np.allclose(first_votes(votes, scheme)[0], [2 / 3, 1 / 3, 0])
    assert np.isnan(first_votes(votes, scheme)[1]).all()
    assert np.allclose(first_probabilities(np.array([[0.8, 0.4, 0.4]]), scheme), [[0.5, 0.25, 0.25]])


def test_the_header_keeps_sets_with_infinite_thresholds():
    sets = PredictionSets("aps", 0.8, (0.5, float("inf")), by_class=True, rows=7)
    assert PredictionSets.from_dict(sets.to_dict()) == sets


@pytest.mark.parametrize("wrong", [{"kind": "apps"}, {"coverage": 0.0}, {"coverage": 1.0}])
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(PipelineError, match=r"did you mean 'aps'|between 0 and 1"):
        fit_sets(*drawn(20, 1, 1), **wrong)


def test_coverage_is_counted_in_votes():
    """By hand: sets {a}, {a, b}, {} with votes (.6, .4), (.5, .5), (1, 0)."""
    members = np.array([[1, 0], [1, 1], [0, 0], [1, 1]], dtype=bool)
    votes = np.array([[0.6, 0.4], [0.5, 0.5], [1.0, 0.0], [np.nan, np.nan]])
    scores = score_sets(members, votes, ["a", "b"], np.array([1.0, 2.0, np.nan, 4.0]), bins=2)
    assert scores["rows"] == 3
    assert scores["coverage"] == pytest.approx((0.6 + 1 + 0) / 3)
    assert scores["size"] == pytest.approx(1.0)
    assert scores["empty"] == pytest.approx(1 / 3)
    assert scores["by_class"]["a"] == pytest.approx({"rows": 2.1, "coverage": 1.1 / 2.1})
    assert scores["by_class"]["b"]["coverage"] == pytest.approx(0.5 / 0.9)
    assert [b["rows"] for b in scores["by_snr"]] == [1, 1]
    assert scores["by_snr"][1]["snr"] == [2.0, 2.0]


def test_rows_without_votes_have_no_score():
    assert score_sets(np.ones((2, 2), bool), np.full((2, 2), np.nan), ["a", "b"], np.ones(2)) == {"rows": 0}
