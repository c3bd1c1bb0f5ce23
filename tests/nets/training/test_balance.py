"""Balance: weights that make rare answers count as much as common ones, or somewhat less."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from galmorph.errors import PipelineError
from galmorph.nets.training.balance import class_weights, share_weights
from galmorph.sky.scheme import Labels

SCHEME = tiny.scheme_of("exclusive", 3)


def labels(*numbers: int) -> Labels:
    """So many galaxies of each class, and two without a label."""
    counts = np.repeat(np.eye(3), numbers, axis=0)
    return Labels(np.concatenate([counts, np.zeros((2, 3))]), np.concatenate([np.ones_like(counts), np.zeros((2, 3))]))


def shares(weight: np.ndarray, made: Labels) -> np.ndarray:
    return (made.counts * weight[:, None]).sum(axis=0) / weight[:-2].sum()


def test_no_weights_are_ones():
    """The default."""
    assert class_weights(labels(5, 3, 1), SCHEME, "none").tolist() == [1.0] * 11


def test_balanced_classes_weigh_the_same_in_all():
    """And their mean weight is 1, as is that of galaxies without a label."""
    made = labels(600, 30, 10)
    weight = class_weights(made, SCHEME, "balanced")
    assert shares(weight, made) == pytest.approx([1 / 3] * 3)
    assert weight[:-2].mean() == pytest.approx(1.0)
    assert weight[-2:].tolist() == [1.0, 1.0]


def test_the_effective_number_lies_between_equal_galaxies_and_equal_classes():
    """Cui et al. (2019): 1 - β^n over 1 - β; for few examples as balanced, for many as without weights."""
    made = labels(6000, 2000, 10)
    weight = class_weights(made, SCHEME, "effective")
    ratio = (1 - 0.999**6000) / (1 - 0.999**10)
    assert weight[-3] / weight[0] == pytest.approx(ratio)
    assert 0.01 < shares(weight, made)[2] < 1 / 3


def test_a_galaxy_of_two_minds_weighs_in_between_and_a_class_without_examples_does_no_harm():
    """Votes divide a galaxy among the classes; nobody gave the third answer."""
    counts = np.array([[10.0, 0, 0], [10.0, 0, 0], [5.0, 5.0, 0], [0, 10.0, 0]])
    made = Labels(counts, np.full_like(counts, 10.0))
    weight = class_weights(made, SCHEME, "balanced")
    assert np.isfinite(weight).all()
    assert weight[0] < weight[2] < weight[3]


def test_training_rows_get_the_shares_of_other_rows():
    """60 % of the training rows are of the first class, 20 % of the rows they are to be like."""
    made = labels(8, 7, 5)
    first, second, third = np.arange(8), np.arange(8, 15), np.arange(15, 20)
    train, like = np.zeros(22, bool), np.zeros(22, bool)
    train[[*first[:6], *second[:3], third[0]]] = True
    like[[*first[6:], *second[3:], *third[1:]]] = True
    weight = share_weights(made, train, like)
    weighed = (made.counts[train] * weight[train][:, None]).sum(axis=0)
    np.testing.assert_allclose(weighed / weighed.sum(), [0.2, 0.4, 0.4])
    assert (weight[~train] == 1.0).all()


def test_shares_of_rows_without_labels_are_refused():
    """Nothing can be learnt from them about the classes."""
    made = labels(2, 2, 2)
    like = np.zeros(8, bool)
    like[6:] = True
    with pytest.raises(PipelineError, match="no labelled row outside the test part"):
        share_weights(made, ~like, like)


@pytest.mark.parametrize("method", ["balanced", "effective"])
def test_labels_of_other_rows_leave_the_weights_of_the_training_rows_alone(method):
    """Nothing of the test part, nor of any row that neither trains nor is to be like, reaches the weights."""
    made = labels(8, 7, 5)
    train, like = np.arange(22) % 3 == 0, np.arange(22) % 3 == 1
    other = ~train & ~like
    scrambled = Labels(made.counts.copy(), made.totals.copy())
    scrambled.counts[other] = np.random.default_rng(1).permutation(made.counts[other])[:, ::-1] * 7.0
    scrambled.totals[other] = 7.0
    assert np.array_equal(share_weights(made, train, like), share_weights(scrambled, train, like))
    rows = np.flatnonzero(train)
    weights = [class_weights(given.take(rows), SCHEME, method) for given in (made, scrambled)]
    assert np.array_equal(*weights)
