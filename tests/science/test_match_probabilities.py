"""Probabilities of pairs, on simulated catalogues whose true pairs are known: of those with p = .8, 80 % are real."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from astropy.table import Table

from galmorph import match

ARCSEC = 1.0 / 3600.0
SCATTER = 0.4
SIDE = 0.5
BINS = np.array([0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])


def mock(seed: int, *, rows: int, others: int, real: float, gradient: bool = False, errors: bool = False):
    """Return two catalogues of a field of half a degree; `real` of the first have a row of the same number there."""
    rng = np.random.default_rng(seed)
    first = Table({"n": np.arange(rows), "ra": rng.uniform(0, SIDE, rows), "dec": rng.uniform(0, SIDE, rows)})
    count = int(real * rows)
    sigma = rng.uniform(0.1, 0.8, rows) if errors else np.full(rows, SCATTER)
    if errors:
        first["err"] = sigma
    shift = rng.normal(size=(2, count)) * sigma[:count] * ARCSEC
    across = rng.beta(1, 3, others) if gradient else rng.uniform(size=others)
    margin = 0.02
    field = -margin + (SIDE + 2 * margin) * np.stack([across, rng.uniform(size=others)])
    second = Table({"m": np.concatenate([np.arange(count), np.full(others, -1)])})
    second["ra"] = np.concatenate([first["ra"][:count] + shift[0], field[0]])
    second["dec"] = np.concatenate([first["dec"][:count] + shift[1], field[1]])
    return first, second[rng.permutation(len(second))]


CASES = {
    "few chances": {"rows": 20_000, "others": 30_000, "real": 0.7},
    "a crowd": {"rows": 20_000, "others": 300_000, "real": 0.5},
    "few real ones": {"rows": 20_000, "others": 200_000, "real": 0.1},
    "denser on one side": {"rows": 20_000, "others": 200_000, "real": 0.5, "gradient": True},
    "each row with an error of its own": {"rows": 20_000, "others": 200_000, "real": 0.5, "errors": True},
}


@pytest.fixture(scope="module", params=CASES)
def pairs(request):
    """Match a simulated pair of catalogues; return the table of all pairs."""
    case = CASES[request.param]
    first, second = mock(3, **case)
    errors = {"error": ["err", "-"], "sigmas": 6.0} if case.get("errors") else {}
    table = match(first, second, radius="4arcsec", find="all", probability=True, **errors)
    table["real"] = table["n"] == table["m"]
    return table


def test_of_pairs_with_a_probability_so_many_are_real(pairs):
    p, real = np.asarray(pairs["MatchProbability"]), np.asarray(pairs["real"])
    for low, high in itertools.pairwise(BINS):
        inside = (p >= low) & (p <= high)
        if inside.sum() < 200:
            continue
        noise = np.sqrt(np.maximum(p[inside] * (1 - p[inside]), 1e-4).mean() / inside.sum())
        assert abs(real[inside].mean() - p[inside].mean()) < 0.03 + 3 * noise, (low, high)


def test_the_sum_of_probabilities_is_the_number_of_real_pairs(pairs):
    assert np.sum(pairs["MatchProbability"]) == pytest.approx(np.sum(pairs["real"]), rel=0.05)


def test_candidates_of_a_row_share_at_most_one(pairs):
    shares = np.bincount(pairs["n"], weights=pairs["MatchProbability"])
    assert shares.max() <= 1.0 + 1e-12
    assert np.asarray(pairs["MatchProbability"]).min() >= 0.0


def test_the_likeliest_is_oftener_right_than_the_nearest_where_errors_differ():
    first, second = mock(4, **CASES["each row with an error of its own"])
    nearest = match(first, second, radius="4arcsec", find="best1")
    weighted = match(first, second, radius="4arcsec", find="best1", error=["err", "-"], sigmas=6, probability=True)
    likely = weighted[np.asarray(weighted["MatchProbability"]) > 0.5]
    assert np.mean(likely["n"] == likely["m"]) > np.mean(nearest["n"] == nearest["m"]) + 0.05


def test_catalogues_that_have_nothing_in_common_have_no_likely_pairs():
    first, second = mock(5, rows=5000, others=200_000, real=0.0)
    table = match(first, second, radius="4arcsec", find="all", probability=True)
    assert len(table) > 5000
    assert np.sum(table["MatchProbability"]) < 0.05 * len(first)


def test_rows_at_the_very_same_position_are_real():
    first, second = mock(6, rows=1000, others=1000, real=0.0)
    same = Table({"m": first["n"], "ra": first["ra"], "dec": first["dec"]})
    table = match(first, same, radius="1arcsec", find="best1", probability=True)
    assert np.all(np.asarray(table["MatchProbability"]) > 0.999)
    assert len(match(first[:1], second[:1], radius="1deg", probability=True)) in (0, 1)
