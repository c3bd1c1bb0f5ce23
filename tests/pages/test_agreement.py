"""Agreement: bins, intervals, confusions, and which galaxies are worst and best."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from galmorph.pages.agreement import Judged
from galmorph.pages.binning import binned, wilson
from galmorph.sky.scheme import Labels, Scheme

SHARES = arrays(np.float64, 40, elements=st.floats(0, 1))


def scheme(kind: str = "tree") -> Scheme:
    questions = [{"name": "a", "answers": ["x", "y"]}]
    if kind == "tree":
        questions.append({"name": "b", "parents": ["a__y"], "answers": ["p", "q"]})
    return Scheme.from_dict({"name": "t", "title": "t", "reference": "none", "kind": kind, "questions": questions})


@settings(max_examples=50, deadline=None)
@given(SHARES, SHARES)
def test_bins_keep_every_value_and_the_means(predicted, observed):
    found = binned(predicted, observed)
    assert found.count.sum() == 40
    assert (found.count > 0).all()
    assert (found.count * found.predicted).sum() == pytest.approx(predicted.sum())
    assert (found.count * found.observed).sum() == pytest.approx(observed.sum())
    # A fraction between 0 and 1 scatters at most as a draw of 0 or 1 does.
    assert (found.scatter <= np.sqrt(found.observed * (1 - found.observed)) + 1e-9).all()
    assert ((found.low <= found.observed + 1e-12) & (found.observed <= found.high + 1e-12)).all()


@pytest.mark.parametrize(("right", "n"), [(0, 4), (3, 7), (50, 50), (312, 1000)])
def test_the_interval_is_wilson_s(right, n):
    level = 2 * stats.norm.cdf(1.0) - 1
    expected = stats.binomtest(right, n).proportion_ci(level, method="wilson")
    low, high = wilson(np.array([right / n]), np.array([n]))
    assert (low[0], high[0]) == pytest.approx((expected.low, expected.high), abs=1e-9)


def judged() -> Judged:
    conditional = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.4, 0.6], [0.95, 0.05], [0.6, 0.4]])
    conditional = np.concatenate([conditional, np.full((6, 2), 0.5)], axis=1)
    counts = np.array([[9, 1], [2, 8], [1, 9], [9, 1], [10, 0], [1, 1]], float)
    below = np.array([[0, 1], [6, 2], [2, 7], [0, 1], [0, 0], [0, 1]], float)
    totals = np.repeat(np.stack([counts.sum(1), below.sum(1)], 1), 2, axis=1)
    return Judged(scheme(), conditional, Labels(np.concatenate([counts, below], axis=1), totals))


def test_questions_count_where_enough_people_were_asked():
    assert judged().counted(0).tolist() == [True] * 5 + [False]
    assert judged().counted(1).tolist() == [False, True, True, False, False, False]


def test_confusion_counts_galaxies_by_most_votes_and_likeliest_answer():
    assert judged().confusion(0).tolist() == [[2, 1], [1, 1]]
    assert judged().confusion(1).sum() == 2


def test_the_worst_are_wrong_and_farthest_off_first():
    assert judged().worst(9) == [2, 3]
    distance = judged().distance()
    assert distance[2] == pytest.approx(0.6)
    assert distance[3] == pytest.approx(0.5)
    assert np.isnan(distance[5])
    assert judged().worst(1) == [2]


def test_the_best_are_right_and_most_certain_first():
    assert judged().best(5) == [[4, 0], [1]]
    assert judged().best(1) == [[4], [1]]


def test_a_question_that_nobody_was_asked_has_no_bins():
    found = binned(np.zeros(0), np.zeros(0))
    assert len(found.count) == len(found.low) == 0
