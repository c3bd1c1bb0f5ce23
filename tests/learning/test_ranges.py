"""Ranges of a random search: what is drawn lies in them and depends on nothing else."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import PipelineError
from galmorph.learning.ranges import Range, draw_trial, nested, read_ranges

ENDS = st.tuples(st.floats(1e-6, 1e3), st.floats(1.001, 1e3)).map(lambda e: (e[0], e[0] * e[1]))
TABLES = {
    "train": {"learning_rate": {"low": 1e-3, "high": 1e-2, "log": True}, "batch": [16, 32], "members": 1},
    "augmentation": {"observation": {"snr": [[10.0, 20.0], [20.0, 90.0]]}},
}


@given(ENDS, st.booleans(), st.integers(0, 2**32), st.integers(1, 500))
def test_what_is_drawn_lies_between_the_ends(ends, log, seed, number):
    """Rounding to four digits does not leave a range."""
    value = draw_trial([Range("train.x", (), *ends, log)], seed, number)["train.x"]
    assert ends[0] <= value <= ends[1]
    assert math.isclose(value, float(f"{value:.4g}")) or value in ends


@given(st.integers(1, 40), st.integers(1, 40), st.booleans(), st.integers(1, 99))
def test_whole_ends_give_whole_numbers(low, more, log, number):
    """Both ends belong to the range."""
    value = Range("train.x", (), low, low + more, log).draw(np.random.default_rng(number))
    assert isinstance(value, int)
    assert low <= value <= low + more


@given(st.integers(0, 2**32), st.integers(0, 99))
def test_another_range_leaves_the_values_of_the_others(seed, number):
    """Each value follows from the seed, the trial and its own name."""
    few, all_of_them = read_ranges({"train": TABLES["train"]}), read_ranges(TABLES)
    one, other = draw_trial(few, seed, number), draw_trial(all_of_them, seed, number)
    assert {k: v for k, v in other.items() if k.startswith("train")} == one


def test_a_logarithmic_range_is_even_in_factors():
    """Half of 2 000 draws from 0.001 to 0.1 are below 0.01: within 5 standard deviations of a fair coin."""
    wide = read_ranges({"train": {"x": {"low": 1e-3, "high": 1e-1, "log": True}}})
    below = sum(draw_trial(wide, 1, n)["train.x"] < 1e-2 for n in range(1, 2001))
    assert abs(below - 1000) < 5 * math.sqrt(500)


def test_every_choice_comes_up():
    """Also lists, which are values of some settings."""
    ranges = read_ranges(TABLES)
    drawn = [draw_trial(ranges, 1, n) for n in range(1, 60)]
    assert {d["train.batch"] for d in drawn} == {16, 32}
    assert {tuple(d["augmentation.observation.snr"]) for d in drawn} == {(10.0, 20.0), (20.0, 90.0)}


def test_trial_0_has_only_what_all_trials_share():
    """It is the pipeline as it is."""
    assert draw_trial(read_ranges(TABLES), 1, 0) == {"train.members": 1}


def test_paths_become_sections():
    """Tables of tables included."""
    assert nested({"a.b": 1, "a.c.d": 2, "e.f": 3}) == {"a": {"b": 1, "c": {"d": 2}}, "e": {"f": 3}}


@pytest.mark.parametrize(
    ("tables", "expected"),
    [
        ({"train": 3}, "expected a table"),
        ({"train": {"batch": []}}, "empty list"),
        ({"train": {"x": {"low": 1, "hgih": 2}}}, "did you mean 'high'"),
        ({"train": {"x": {"low": 2, "high": 1}}}, "rising"),
        ({"train": {"x": {"low": 0, "high": 1, "log": True}}}, "above 0"),
        ({"train": {"x": {"low": 1}}}, "rising"),
        ({"train": {"x": {"low": "a", "high": 1}}}, "rising"),
        ({"train": {"x": {"low": 0.0, "high": float("inf")}}}, "rising"),
    ],
)
def test_what_is_no_range_is_refused(tables, expected):
    """The setting is named."""
    with pytest.raises(PipelineError, match=expected):
        read_ranges(tables)
