"""Interval: the ends belong to it unless it is said otherwise, and no NaN does."""

from __future__ import annotations

import math

import pytest

from galmorph.interval import COUNT, FRACTION, POSITIVE, UNSIGNED, Interval


@pytest.mark.parametrize(
    ("interval", "inside", "outside", "words"),
    [
        (COUNT, (1, 2**70), (0, -1), "a whole number from 1"),
        (UNSIGNED, (0.0, math.inf), (-1e-300,), "a number from 0"),
        (POSITIVE, (1e-300,), (0.0, -1.0), "a number above 0"),
        (FRACTION, (0.0, 1.0), (1.0000001, -0.1), "a number from 0 to 1"),
        (Interval(0.0, 1.0, above=True, below=True), (0.5,), (0.0, 1.0), "a number above 0 to less than 1"),
    ],
    ids=str,
)
def test_numbers_are_inside_or_outside(interval, inside, outside, words):
    assert all(number in interval for number in inside)
    assert not any(number in interval for number in (*outside, math.nan))
    assert str(interval) == words
