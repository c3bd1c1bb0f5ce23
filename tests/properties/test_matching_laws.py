"""Laws of matching: symmetry, completeness, and every join a part of the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from two_skies import brute_pairs, two_skies

from galmorph.sky.matching.finding import find_pairs
from galmorph.sky.matching.joining import JOINS, join_rows
from galmorph.sky.matching.pairs import Pairs, Reach
from galmorph.sky.matching.separations import SkyPositions

QUICK = settings(max_examples=25, deadline=None)
SEEDS = st.integers(0, 10_000)
COUNTS = st.integers(1, 300)
RADII = st.floats(0.01, 200.0)


def keys(pairs: Pairs) -> list[tuple[int, int]]:
    return list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True))


@QUICK
@given(SEEDS, COUNTS, RADII)
def test_all_pairs_are_those_of_comparing_each_with_each(seed, count, radius):
    skies = two_skies(count, seed)
    pairs = find_pairs(*skies, Reach(radius), "all")
    brute, margin = brute_pairs(*skies, radius * 1.001), 1e-8
    assert set(keys(pairs)) >= {k for k, s in brute.items() if s < radius - margin}
    assert set(keys(pairs)) <= {k for k, s in brute.items() if s < radius + margin}


@QUICK
@given(SEEDS, COUNTS, RADII)
def test_one_to_one_is_the_same_from_both_sides_and_leaves_no_pair_that_is_better(seed, count, radius):
    first, second = two_skies(count, seed)
    best = find_pairs(first, second, Reach(radius), "best")
    assert keys(best) == keys(find_pairs(second, first, Reach(radius), "best").mirrored)
    assert len(set(best.first.tolist())) == len(set(best.second.tolist())) == len(best)
    of_first = dict(zip(best.first.tolist(), best.separation_arcsec.tolist(), strict=True))
    of_second = dict(zip(best.second.tolist(), best.separation_arcsec.tolist(), strict=True))
    everything = find_pairs(first, second, Reach(radius), "all")
    for (i, j), separation in zip(keys(everything), everything.separation_arcsec.tolist(), strict=True):
        assert min(of_first.get(i, np.inf), of_second.get(j, np.inf)) <= separation


@QUICK
@given(SEEDS, COUNTS, RADII)
def test_best1_is_the_mirror_of_best2_and_the_least_of_all(seed, count, radius):
    first, second = two_skies(count, seed)
    best1 = find_pairs(first, second, Reach(radius), "best1")
    assert keys(best1) == keys(find_pairs(second, first, Reach(radius), "best2").mirrored)
    everything = find_pairs(first, second, Reach(radius), "all")
    least = np.full(count, np.inf)
    np.minimum.at(least, everything.first, everything.separation_arcsec)
    assert best1.first.tolist() == np.flatnonzero(np.isfinite(least)).tolist()
    assert np.array_equal(best1.separation_arcsec, least[best1.first])


@QUICK
@given(SEEDS, COUNTS, RADII, st.floats(-360.0, 360.0))
def test_turning_the_sky_about_its_poles_changes_no_pair(seed, count, radius, angle):
    first, second = two_skies(count, seed)
    pairs = find_pairs(first, second, Reach(radius), "all")
    turned: list[SkyPositions] = [replace(p, ra_deg=(p.ra_deg + angle) % 360.0) for p in (first, second)]
    again = find_pairs(*turned, Reach(radius), "all")
    differing = set(keys(pairs)) ^ set(keys(again))
    separations = dict(zip(keys(pairs), pairs.separation_arcsec, strict=True)) | dict(
        zip(keys(again), again.separation_arcsec, strict=True)
    )
    assert all(abs(separations[key] - radius) < 1e-8 for key in differing)


@QUICK
@given(SEEDS, st.integers(1, 100), st.sampled_from(["best", "best1", "best2", "all"]))
def test_rows_of_all_joins_are_rows_of_the_widest_and_none_is_lost(seed, count, find):
    skies = two_skies(count, seed)
    pairs = find_pairs(*skies, Reach(5.0), find)
    rows = {join: join_rows(pairs, count, count, join) for join in JOINS}
    sets = {join: set(zip(r.first.tolist(), r.second.tolist(), strict=True)) for join, r in rows.items()}
    assert all(sets["1or2"] >= of_join for of_join in sets.values())
    assert sets["1and2"] | sets["1xor2"] == sets["1or2"]
    assert sets["1not2"] | sets["2not1"] == sets["1xor2"]
    assert {i for i, _ in sets["all1"]} == set(range(count))
    assert {j for _, j in sets["all2"]} == set(range(count))
