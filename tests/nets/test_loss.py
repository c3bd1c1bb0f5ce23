"""The loss equals what one computes by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from galmorph.nets.loss import negative_log_likelihood

LOGITS = [[0.2, -0.3, 1.0, 0.0, -1.0], [-1.5, 0.4, 0.3, 0.3, 2.0]]


def loss(counts: list[list[float]], totals: list[list[float]], scheme=tiny.TREE, **settings: float) -> float:
    tensors = [torch.tensor(v, dtype=torch.float64) for v in (LOGITS, counts, totals)]
    return float(negative_log_likelihood(*tensors, scheme, **settings))


def softmax(values: list[float]) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


def test_the_tree_loss_is_the_multinomial_likelihood_per_vote_on_the_first_question():
    counts = [[7.0, 3.0, 1.0, 2.0, 0.0], [0.0, 5.0, 0.0, 1.0, 4.0]]
    totals = [[10.0] * 2 + [3.0] * 3, [5.0] * 5]
    by_hand = 0.0
    for logit, count in zip(LOGITS, counts, strict=True):
        p = np.concatenate([softmax(logit[:2]), softmax(logit[2:])])
        by_hand -= float((np.array(count) * np.log(p)).sum())
    assert loss(counts, totals) == pytest.approx(by_hand / 15.0)


def test_a_question_nobody_was_asked_adds_nothing():
    asked = [[7.0, 3.0, 0.0, 0.0, 0.0]] * 2
    totals = [[10.0] * 2 + [0.0] * 3] * 2
    by_hand = -sum(7 * np.log(p[0]) + 3 * np.log(p[1]) for p in (softmax(v[:2]) for v in LOGITS)) / 20.0
    assert loss(asked, totals) == pytest.approx(by_hand)


def test_no_votes_at_all_are_no_loss():
    assert loss([[0.0] * 5] * 2, [[0.0] * 5] * 2) == 0.0


def test_independent_fractions_have_a_binomial_likelihood():
    scheme = tiny.scheme_of("independent", 5)
    counts = [[0.8, 0.6, 0.0, 1.0, 0.5], [0.0] * 5]
    totals = [[1.0] * 5, [0.0] * 5]  # the second row has no label
    p = 1 / (1 + np.exp(-np.array(LOGITS[0])))
    y = np.array(counts[0])
    by_hand = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum()
    assert loss(counts, totals, scheme) == pytest.approx(by_hand)


def test_smoothing_spreads_a_share_of_the_votes_evenly():
    counts, totals = [[10.0, 0.0, 0.0, 6.0, 0.0]] * 2, [[10.0] * 2 + [6.0] * 3] * 2
    smoothed = [[9.5, 0.5, 0.2, 5.6, 0.2]] * 2
    assert loss(counts, totals, smoothing=0.1) == pytest.approx(loss(smoothed, totals))


def test_the_loss_is_least_at_the_vote_fractions():
    fractions = torch.tensor([[0.7, 0.3, 0.2, 0.5, 0.3]])
    totals = torch.tensor([[10.0] * 2 + [3.0] * 3])
    logits = fractions.log().requires_grad_()
    negative_log_likelihood(logits, fractions * totals, totals, tiny.TREE).backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 5), atol=1e-6)
