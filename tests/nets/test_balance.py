"""Balance: weights that make rare answers count as much as common ones, or somewhat less."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from galmorph.nets.balance import class_weights
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
