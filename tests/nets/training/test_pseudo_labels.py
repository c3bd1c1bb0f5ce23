"""Thresholds of answers: between chance and the fixed one, by how well each is learnt, fixed where all are alike."""

from __future__ import annotations

import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from galmorph.nets.training.pseudo_labels import PseudoLabels, conditional_on_asked, likeliest, probability_asked
from galmorph.nets.training.settings import THRESHOLDS, Unlabelled

CLASSES = tiny.scheme_of("exclusive", 3)
INDEPENDENT = tiny.scheme_of("independent", 2)
KINDS = [kind for kind in THRESHOLDS if kind != "fixed"]


def kept(kind: str, rows: list[tuple[int, float]], threshold: float = 0.9) -> PseudoLabels:
    """Note galaxies of a class with this probability, the rest being split evenly."""
    average = torch.tensor([[p if k == answer else (1.0 - p) / 2.0 for k in range(3)] for answer, p in rows])
    made = PseudoLabels(len(rows), CLASSES, Unlabelled(threshold=threshold, thresholds=kind))
    made.note(torch.arange(len(rows)), average)
    return made


@given(
    kind=st.sampled_from(KINDS),
    rows=st.lists(st.tuples(st.integers(0, 2), st.floats(0.4, 1.0)), min_size=1, max_size=40),
    threshold=st.floats(0.05, 1.0),
)
@settings(max_examples=60, deadline=None)
def test_thresholds_lie_between_chance_and_the_fixed_one(kind, rows, threshold):
    """Whatever the average says."""
    found = kept(kind, rows, threshold).thresholds()
    assert found.shape == (1, 3)
    assert float(found.min()) >= min(1 / 3, threshold) - 1e-6
    assert float(found.max()) <= threshold + 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_answers_that_are_learnt_alike_have_the_fixed_threshold(kind):
    """So that a training goes on as with one for all."""
    rows = [(answer, p) for answer in range(3) for p in (0.95, 0.97, 0.99)]
    assert kept(kind, rows).thresholds().tolist() == [[pytest.approx(0.9)] * 3]


@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_that_is_learnt_less_has_a_lower_threshold(kind):
    """And the most frequent one keeps its own."""
    rows = [(0, 0.99)] * 10 + [(1, 0.97)] * 8 + [(1, 0.7)] * 2 + [(2, 0.6)] * 4
    found = kept(kind, rows).thresholds()[0].tolist()
    assert found[0] == pytest.approx(0.9)
    assert found[0] > found[1] > found[2] >= 1 / 3


def test_the_learnt_threshold_is_that_of_the_formula():
    """Half as many sure galaxies as the most frequent answer: .9 times .5 / 1.5."""
    rows = [(0, 0.99)] * 8 + [(1, 0.99)] * 4 + [(2, 0.99)] * 6 + [(2, 0.5)] * 2
    assert kept("learnt", rows).thresholds()[0].tolist() == pytest.approx([0.9, 1 / 3, 0.9 * 0.75 / 1.25])
    # as long as more are sure of nothing, these stand for the most frequent
    rows = [(0, 0.99)] * 8 + [(1, 0.5)] * 16
    assert kept("learnt", rows).thresholds()[0].tolist() == pytest.approx([1 / 3] * 3)


@given(
    surer=st.integers(0, 9),
    rows=st.lists(st.tuples(st.integers(0, 2), st.floats(0.4, 1.0)), min_size=10, max_size=30),
)
@settings(max_examples=40, deadline=None)
def test_a_learnt_threshold_never_falls_when_a_galaxy_becomes_sure(surer, rows):
    """Of the answer that it becomes sure of."""
    answer, _ = rows[surer]
    before = kept("learnt", rows).thresholds()[0, answer]
    rows[surer] = (answer, 1.0)
    assert kept("learnt", rows).thresholds()[0, answer] >= before - 1e-6


def test_aligned_thresholds_take_the_same_share_of_each_answer():
    """Half of the most frequent answer's galaxies are as sure as .9, and so half of each other's count."""
    rows = (
        [(0, p) for p in (0.99, 0.95, 0.92, 0.6, 0.6, 0.5)] + [(1, p) for p in (0.8, 0.7, 0.6, 0.5)] + [(2, 0.97)] * 2
    )
    found = kept("aligned", rows).thresholds()[0].tolist()
    assert found == pytest.approx([0.9, 0.7, 0.9])
    # where none of the most frequent is sure enough, nothing is taken by a lower one
    assert kept("aligned", [(0, 0.5)] * 3 + [(1, 0.8)]).thresholds()[0].tolist() == pytest.approx([0.9] * 3)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_never_shown_or_never_asked_counts_for_no_answer(kind):
    """The second question of the tree is asked of one galaxy of two; a third galaxy was not shown."""
    made = PseudoLabels(3, tiny.TREE, Unlabelled(threshold=0.8, thresholds=kind))
    made.note(torch.tensor([2, 0]), torch.tensor([[0.05, 0.95, 0.90, 0.03, 0.02], [0.95, 0.05, 0.04, 0.01, 0.0]]))
    assert made.answer.tolist() == [[0, -2], [-1, -1], [1, 0]]
    found = made.thresholds()
    assert found.shape == (2, 3)
    assert float(found[0, :2].min()) >= 0.5
    assert float(found[1, 0]) == pytest.approx(0.8)


def test_independent_fractions_have_a_yes_and_a_no():
    """Each is a question of its own."""
    answer, sure = likeliest(torch.tensor([[0.9, 0.2]]), INDEPENDENT)
    assert answer.tolist() == [[0, 1]]
    assert sure.tolist() == [pytest.approx([0.9, 0.8])]
    made = PseudoLabels(1, INDEPENDENT, Unlabelled(threshold=0.7, thresholds="learnt"))
    made.note(torch.tensor([0]), torch.tensor([[0.9, 0.2]]))
    assert made.thresholds().tolist() == [pytest.approx([0.7, 0.5]), pytest.approx([0.5, 0.7])]


def test_probabilities_are_taken_among_those_who_were_asked():
    """Down the tree, and as they are where there is none."""
    average = torch.tensor([[0.6, 0.4, 0.1, 0.1, 0.2]])
    assert probability_asked(average, tiny.TREE).tolist() == [pytest.approx([1.0, 1.0, 0.4, 0.4, 0.4])]
    assert conditional_on_asked(average, tiny.TREE).tolist() == [pytest.approx([0.6, 0.4, 0.25, 0.25, 0.5])]
    fractions = torch.tensor([[0.6, 0.9]])
    assert conditional_on_asked(fractions, INDEPENDENT).tolist() == fractions.tolist()
