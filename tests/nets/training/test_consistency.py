"""Agreement: distances that vanish where answers agree, weigh as told, and send no gradient into the average."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.nets.training.consistency import disagreement, strength
from galmorph.nets.training.settings import DISTANCES, Unlabelled
from galmorph.toml import build

P = torch.tensor([[0.6, 0.4, 0.1, 0.1, 0.2], [0.9, 0.1, 0.02, 0.02, 0.06]])
Q = torch.tensor([[0.8, 0.2, 0.1, 0.05, 0.05], [0.3, 0.7, 0.1, 0.1, 0.5]])


@pytest.mark.parametrize("distance", DISTANCES)
def test_equal_answers_are_at_no_distance_and_others_at_some(distance):
    """For trees and for independent fractions."""
    how = Unlabelled(distance=distance)
    for scheme in (tiny.TREE, tiny.scheme_of("independent", 5)):
        assert float(disagreement(P, P, scheme, how)) == pytest.approx(0.0, abs=1e-7)
        assert float(disagreement(P, Q, scheme, how)) > 0.01


def test_distances_are_those_computed_by_hand():
    """Squares summed over answers; a divergence for each question by the probability that it is asked."""
    p, q = P.double().numpy(), Q.double().numpy()
    squared = float(disagreement(P, Q, tiny.TREE, Unlabelled()))
    assert squared == pytest.approx(((p - q) ** 2).sum(1).mean(), rel=1e-5)
    first = (q[:, :2] * np.log(q[:, :2] / p[:, :2])).sum(1)
    given_p, given_q = p[:, 2:] / p[:, 1:2], q[:, 2:] / q[:, 1:2]
    second = q[:, 1] * (given_q * np.log(given_q / given_p)).sum(1)
    found = float(disagreement(P, Q, tiny.TREE, Unlabelled(distance="divergence")))
    assert found == pytest.approx((first + second).mean(), rel=1e-4)


@pytest.mark.parametrize("distance", DISTANCES)
def test_only_the_network_learns_not_its_average(distance):
    """The teacher's answers are given."""
    answers, average = P.clone().requires_grad_(), Q.clone().requires_grad_()
    disagreement(answers, average, tiny.TREE, Unlabelled(distance=distance)).backward()
    assert float(answers.grad.abs().sum()) > 0
    assert average.grad is None


def test_questions_of_which_the_average_is_not_sure_are_left_out():
    """With .75 only the first answers of the first galaxy count; the mean is still over both."""
    found = float(disagreement(P, Q, tiny.TREE, Unlabelled(threshold=0.75)))
    assert found == pytest.approx(float((P - Q)[0, :2].square().sum()) / 2)
    assert float(disagreement(P, Q, tiny.TREE, Unlabelled(threshold=1.0))) == 0.0
    independent = tiny.scheme_of("independent", 5)
    sure = torch.maximum(Q, 1 - Q) >= 0.75
    found = float(disagreement(P, Q, independent, Unlabelled(threshold=0.75)))
    assert found == pytest.approx(float((P - Q).square()[sure].sum()) / 2)


def test_each_answer_may_have_a_threshold_of_its_own():
    """The likeliest answer's counts: .8 suffices for the first, .7 does not for the second."""
    how = Unlabelled(threshold=0.95)
    thresholds = torch.tensor([[0.75, 0.95, 0.95], [0.95, 0.95, 0.95]])
    found = float(disagreement(P, Q, tiny.TREE, how, thresholds))
    assert found == pytest.approx(float((P - Q)[0, :2].square().sum()) / 2)
    thresholds[0] = torch.tensor([0.95, 0.65, 0.0])
    found = float(disagreement(P, Q, tiny.TREE, how, thresholds))
    assert found == pytest.approx(float((P - Q)[1, :2].square().sum()) / 2)
    same = torch.full((2, 3), 0.75)
    assert float(disagreement(P, Q, tiny.TREE, how, same)) == float(
        disagreement(P, Q, tiny.TREE, Unlabelled(threshold=0.75))
    )


def test_a_temperature_below_one_sharpens_what_is_taught():
    """Towards the likeliest answer of each question; a high power is a class."""
    how = Unlabelled(temperature=0.05)
    hard = torch.tensor([[1.0, 0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0, 1.0]])
    assert float(disagreement(P, Q, tiny.TREE, how)) == pytest.approx(float((P - hard).square().sum()) / 2, rel=1e-3)
    independent = tiny.scheme_of("independent", 5)
    found = float(disagreement(P, (Q > 0.5) * 0.4 + 0.3, independent, how))
    assert found == pytest.approx(float((P - (Q > 0.5).float()).square().sum()) / 2, rel=1e-3)


def test_the_strength_rises_in_the_warm_up_and_stays():
    """As exp(-5 (1 - t)²)."""
    how = Unlabelled(weight=2.0, warmup=0.5)
    values = [strength(how, step, 100) for step in range(100)]
    assert values[0] == pytest.approx(2.0 * np.exp(-5.0))
    assert np.all(np.diff(values[:51]) > 0)
    assert values[50:] == [2.0] * 50
    assert strength(Unlabelled(warmup=0.0), 0, 100) == 1.0


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"wieght": 1.0}, "did you mean 'weight'"),
        ({"distance": "square"}, "did you mean 'squared'"),
        ({"threshold": 1.5}, "from 0 to 1"),
        ({"share": "all"}, "expected a number"),
        ({"temperature": 0.0}, "above 0"),
        ({"threshold": 0.9, "thresholds": "learned"}, "did you mean 'learnt'"),
        ({"thresholds": "aligned"}, "expected one above 0"),
    ],
)
def test_settings_that_cannot_be_are_explained(given, words):
    """In one line, with what was expected."""
    with pytest.raises(PipelineError, match=words):
        build(Unlabelled, given, "pipeline")
