"""Pairs: all that are within reach, and nothing else, wherever they are on the sky."""

from __future__ import annotations

import numpy as np
import pytest
from two_skies import brute_pairs, two_skies

from galmorph.errors import CatalogError
from galmorph.limits import LIMITS
from galmorph.sky.matching import pairs as pairing
from galmorph.sky.matching.finding import find_pairs
from galmorph.sky.matching.pairs import Reach, pairs_within
from galmorph.sky.matching.position_errors import circles
from galmorph.sky.matching.separations import SkyPositions


def positions(*rows):
    ra, dec = np.array(rows, dtype=float).reshape(-1, 2).T
    return SkyPositions(ra, dec)


def as_dictionary(pairs):
    keys = zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)
    return dict(zip(keys, pairs.separation_arcsec.tolist(), strict=True))


@pytest.fixture(scope="module")
def skies():
    return two_skies(10_000, seed=3)


@pytest.fixture(scope="module")
def brute(skies):
    return brute_pairs(*skies, 1.0)


def test_all_pairs_of_ten_thousand_rows_are_those_of_comparing_each_with_each(skies, brute):
    pairs = as_dictionary(pairs_within(*skies, Reach(1.0)))
    assert len(brute) > 5000
    assert pairs.keys() == brute.keys()
    assert np.allclose([pairs[k] for k in brute], list(brute.values()), rtol=0, atol=1e-9)


def test_the_best_of_each_row_is_that_of_comparing_each_with_each(skies, brute):
    best = {}
    for (row, other), separation in sorted(brute.items()):
        if row not in best or separation < best[row][0] - 1e-10:
            best[row] = (separation, other)
    pairs = find_pairs(*skies, Reach(1.0), "best1")
    assert dict(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == {r: o for r, (_, o) in best.items()}


def test_pairs_come_by_row_of_the_first_then_of_the_second(skies):
    pairs = pairs_within(*skies, Reach(2.0))
    assert np.array_equal(np.lexsort((pairs.second, pairs.first)), np.arange(len(pairs)))


def test_bands_of_declination_make_no_difference(skies, monkeypatch):
    whole = pairs_within(*skies, Reach(1.0))
    best = find_pairs(*skies, Reach(1.0), "best1")
    monkeypatch.setattr(pairing, "_AT_ONCE", 200)
    assert as_dictionary(pairs_within(*skies, Reach(1.0))) == as_dictionary(whole)
    assert as_dictionary(find_pairs(*skies, Reach(1.0), "best1")) == as_dictionary(best)


def test_rows_without_a_position_pair_with_nothing():
    first = positions((10, 20), (np.nan, 20), (10, np.nan))
    pairs = pairs_within(first, positions((np.nan, np.nan), (10, 20)), Reach(3600.0))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [1])


@pytest.mark.parametrize("rows", [(), ((np.nan, 1.0),)])
def test_a_catalogue_without_positions_has_no_pairs(rows):
    assert len(pairs_within(positions(*rows), positions((1, 1)), Reach(1.0))) == 0
    assert len(find_pairs(positions((1, 1)), positions(*rows), Reach(1.0), "best2")) == 0


def test_at_the_pole_all_right_ascensions_are_one_position():
    pairs = pairs_within(positions((0, 90), (123, -90)), positions((211, 90), (3, -90)), Reach(1e-6))
    assert as_dictionary(pairs) == {(0, 0): 0.0, (1, 1): 0.0}


def test_the_edge_of_the_radius_is_inside_and_what_is_just_beyond_is_not():
    first, second = positions((0.0, 0.0)), positions((0.0, 1.0 / 3600), (0.0, 1.0000001 / 3600))
    assert pairs_within(first, second, Reach(1.0)).second.tolist() == [0]


def test_tiny_separations_are_exact():
    pairs = pairs_within(positions((200.0, 60.0)), positions((200.0, 60.0 + 1e-10)), Reach(1.0))
    step = (60.0 + 1e-10) - 60.0
    assert pairs.separation_arcsec[0] == pytest.approx(3600.0 * step, rel=1e-12)


def test_more_pairs_than_the_limit_are_refused_and_best1_does_not_need_them(monkeypatch):
    monkeypatch.setenv("GALMORPH_LIMITS", "match_pairs=1000")
    many = SkyPositions(np.full(100, 5.0), np.full(100, 6.0))
    with pytest.raises(CatalogError, match=r"More than 1000 .* pairs"):
        pairs_within(many, many, Reach(1.0))
    assert find_pairs(many, many, Reach(1.0), "best1").second.tolist() == [0] * 100
    assert LIMITS["match_pairs"].number == 1000


def test_with_errors_the_nearest_is_that_in_units_of_them():
    first = SkyPositions(np.array([0.0]), np.array([0.0]), circles(np.array([0.3])))
    sharp_and_vague = circles(np.array([0.1, 1.0]))
    second = SkyPositions(np.array([0.0, 0.0]), np.array([0.8, 1.0]) / 3600, sharp_and_vague)
    pairs = find_pairs(first, second, Reach(3.0, sigmas=5.0), "best1")
    assert pairs.second.tolist() == [1]
    assert pairs.sigmas[0] == pytest.approx(1.0 / np.hypot(0.3, 1.0), rel=1e-6)


def test_rows_beyond_the_sigmas_or_without_an_error_do_not_pair():
    first = SkyPositions(np.zeros(2), np.zeros(2), circles(np.array([0.1, np.nan])))
    second = positions((0.0, 0.25 / 3600), (0.0, 0.35 / 3600))
    pairs = pairs_within(first, second, Reach(1.0, sigmas=3.0))
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([0], [0])
