"""Finding: best, best1, best2 and all."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.errors import CatalogError
from galmorph.sky.matching.finding import find_pairs, kept
from galmorph.sky.matching.pairs import Pairs, Reach
from galmorph.sky.matching.separations import SkyPositions


def pairs(*triples):
    first, second, separation = zip(*triples, strict=True)
    return Pairs(np.array(first), np.array(second), np.array(separation, dtype=float))


def rows(chosen):
    return list(zip(chosen.first.tolist(), chosen.second.tolist(), strict=True))


CHAIN = pairs((0, 0, 0.5), (0, 1, 0.2), (1, 1, 0.1), (1, 2, 0.4), (2, 2, 0.9))


@pytest.mark.parametrize(
    ("find", "expected"),
    [
        ("all", [(0, 0), (0, 1), (1, 1), (1, 2), (2, 2)]),
        ("best1", [(0, 1), (1, 1), (2, 2)]),
        ("best2", [(0, 0), (1, 1), (1, 2)]),
        ("best", [(0, 0), (1, 1), (2, 2)]),
    ],
)
def test_of_a_chain(find, expected):
    assert rows(kept(CHAIN, find)) == expected


def test_one_to_one_takes_the_best_of_all_first_then_of_what_is_left():
    assert rows(kept(pairs((0, 0, 0.3), (0, 1, 0.2), (1, 1, 0.25)), "best")) == [(0, 1)]


def test_of_equal_separations_the_earlier_row_is_best():
    equal = pairs((0, 1, 0.2), (0, 3, 0.2), (1, 3, 0.2))
    assert rows(kept(equal, "best1")) == [(0, 1), (1, 3)]
    assert rows(kept(equal, "best2")) == [(0, 1), (0, 3)]


@pytest.mark.parametrize("find", ["best", "best1", "best2", "all"])
def test_no_pairs_are_no_pairs(find):
    none = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    assert len(kept(none, find)) == 0


def test_another_word_is_refused_with_those_there_are():
    nothing = SkyPositions(np.empty(0), np.empty(0))
    with pytest.raises(CatalogError, match=r"unknown way .*'nearest': known are all, best, best1, best2"):
        find_pairs(nothing, nothing, Reach(1.0), "nearest")
