"""Joining: rows and groups of the seven joins."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.sky.matching.joining import groups_of, join_rows, numbered
from galmorph.sky.matching.pairs import Pairs

# Rows 0 to 3 of the first, 0 to 4 of the second.
PAIRS = Pairs(np.array([1, 1, 3]), np.array([2, 0, 4]), np.array([0.1, 0.2, 0.3]))


@pytest.mark.parametrize(
    ("join", "expected"),
    [
        ("1and2", [(1, 2), (1, 0), (3, 4)]),
        ("1or2", [(0, -1), (1, 2), (1, 0), (2, -1), (3, 4), (-1, 1), (-1, 3)]),
        ("all1", [(0, -1), (1, 2), (1, 0), (2, -1), (3, 4)]),
        ("all2", [(1, 0), (-1, 1), (1, 2), (-1, 3), (3, 4)]),
        ("1not2", [(0, -1), (2, -1)]),
        ("2not1", [(-1, 1), (-1, 3)]),
        ("1xor2", [(0, -1), (2, -1), (-1, 1), (-1, 3)]),
    ],
)
def test_rows_of_each_join(join, expected):
    rows = join_rows(PAIRS, 4, 5, join)
    assert list(zip(rows.first.tolist(), rows.second.tolist(), strict=True)) == expected
    assert rows.has_pairs == ((1, 2) in expected)


def test_values_of_pairs_stand_in_the_rows_of_their_pairs():
    rows = join_rows(PAIRS, 4, 5, "all2")
    assert rows.of_pairs(PAIRS.separation_arcsec).tolist() == pytest.approx(
        [0.2, np.nan, 0.1, np.nan, 0.3], nan_ok=True
    )


def test_pairs_that_share_a_row_are_a_group():
    assert [v.tolist() for v in groups_of(PAIRS, 4, 5)] == [[1, 1, 0], [2, 2, 1]]


def test_groups_of_both_catalogues_are_told_apart():
    # Row 2 of the first and row 2 of the second are different rows.
    apart = Pairs(np.array([0, 2]), np.array([2, 1]), np.zeros(2))
    assert groups_of(apart, 3, 3)[1].tolist() == [1, 1]


def test_groups_are_numbered_as_they_come():
    assert [v.tolist() for v in numbered(np.array([7, 3, 7, 9, 3, 7]))] == [[1, 2, 1, 0, 2, 1], [3, 2, 3, 1, 2, 3]]
    assert [v.tolist() for v in numbered(np.empty(0, np.int64))] == [[], []]
