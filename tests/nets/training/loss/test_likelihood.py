"""The negative log likelihood equals what one computes by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from loss_tests import LOGITS, SCHEMES, VOTES, LossTests, named
from scipy import special

from galmorph.sky.scheme import Scheme


class TestLikelihood(LossTests):
    """What every loss keeps."""

    name = "likelihood"
    learns = 0.8


def test_the_tree_loss_is_the_multinomial_likelihood_per_vote_on_the_first_question():
    by_hand = 0.0
    for logit, count in zip(LOGITS, VOTES, strict=True):
        p = np.concatenate([special.softmax(logit[:2]), special.softmax(logit[2:])])
        by_hand -= float((np.array(count) * np.log(p)).sum())
    assert named("likelihood", LOGITS) == pytest.approx(by_hand / 15.0)


def test_a_question_that_was_not_asked_leaves_the_likelihood_of_the_others():
    asked = [[7.0, 3.0, 0.0, 0.0, 0.0]] * 2
    totals = [[10.0] * 2 + [0.0] * 3] * 2
    by_hand = -sum(7 * np.log(p[0]) + 3 * np.log(p[1]) for p in (special.softmax(v[:2]) for v in LOGITS)) / 20.0
    assert named("likelihood", LOGITS, asked, totals) == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ["likelihood", "cross_entropy"])
def test_independent_fractions_have_a_binomial_likelihood(name):
    """Of one vote each, it is the cross-entropy too."""
    counts = [[0.8, 0.6, 0.0, 1.0, 0.5], [0.0] * 5]
    totals = [[1.0] * 5, [0.0] * 5]  # the second row has no label
    p = 1 / (1 + np.exp(-np.array(LOGITS[0])))
    y = np.array(counts[0])
    by_hand = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum()
    assert named(name, LOGITS, counts, totals, SCHEMES["independent"]) == pytest.approx(by_hand)


@pytest.mark.parametrize("name", ["likelihood", "dirichlet", "cross_entropy"])
def test_galaxies_of_two_label_sets_count_as_each_set_does_alone(name):
    """One set answers the first question of a scheme of both, the other the second; neither sees the other's votes."""
    both = Scheme.from_dict(
        {
            "name": "both",
            "title": "two label sets",
            "reference": "none",
            "kind": "tree",
            "questions": [{"name": "a", "answers": ["x", "y"]}, {"name": "b", "answers": ["p", "q", "r"]}],
        }
    )
    first, second = [6.0, 4.0, 0.0, 0.0, 0.0], [0.0, 0.0, 3.0, 3.0, 4.0]
    totals = [[10.0, 10.0, 0.0, 0.0, 0.0], [0.0, 0.0, 10.0, 10.0, 10.0]]
    alone = [
        named(name, [LOGITS[0]], [first], totals[:1], both),
        named(name, [LOGITS[1]], [second], totals[1:], both),
    ]
    assert named(name, LOGITS, [first, second], totals, both) == pytest.approx(np.mean(alone))
    assert alone[1] == pytest.approx(
        named(name, [LOGITS[1][2:]], [second[2:]], [totals[1][2:]], tiny.scheme_of("exclusive", 3))
    )
