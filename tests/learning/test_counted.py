"""Votes as tables have them: one row a person, shares of a number of people, some rows left out."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import PipelineError, SchemeError
from galmorph.learning.labelled_table import labels_from
from galmorph.learning.sections import fractions_of
from galmorph.sky.catalog import catalog_from
from galmorph.sky.scheme import load_scheme

SCHEME = load_scheme("candels-visual")
COLUMNS = dict(zip(SCHEME.keys, (["ClSph"], ["ClDk"], ["ClIr"], ["ClPS"], ["ClUn"]), strict=True))
TICKS = [
    # one classifier each: ID, Hmag, Depth, spheroid, disk, irregular, point source, unclassifiable
    ("a", 22.0, "2epoch", 1, 1, 0, 0, 0),
    ("b", 24.6, "2epoch", 0, 1, 0, 0, 0),
    ("a", 22.0, "2epoch", 0, 1, 1, 0, 0),
    ("c", np.nan, "2epoch", 0, 0, 0, 0, 1),
    ("a", 22.0, "2epoch", 1, 1, 0, 0, 0),
    ("d", 23.0, "10epoch", 0, 1, 0, 0, 0),
    ("", 21.0, "2epoch", 1, 0, 0, 0, 0),
]
NAMES = ("ID", "Hmag", "Depth", "ClSph", "ClDk", "ClIr", "ClPS", "ClUn")


def labels(table: Table, **settings: object):
    table["RAJ2000"], table["DEJ2000"] = 53.0, -27.8
    return labels_from(catalog_from(table), SCHEME, fractions_of({**COLUMNS, **settings}, "p"))


def test_ticks_of_a_galaxy_are_counted_together_and_may_exceed_one():
    made = labels(Table(rows=TICKS, names=NAMES), galaxy="ID", where="Hmag < 24.5 and Depth == 2epoch")
    assert made.totals[:, 0].tolist() == [3, 0, 0, 0, 0, 0, 0]
    np.testing.assert_allclose(made.fractions[0], [2 / 3, 1, 1 / 3, 0, 0])
    assert made.fractions[0].sum() == pytest.approx(2.0)


def test_each_row_is_a_vote_where_nothing_is_said():
    made = labels(Table(rows=TICKS, names=NAMES))
    np.testing.assert_array_equal(made.totals, np.ones((7, 5)))
    np.testing.assert_array_equal(made.counts[0], [1, 1, 0, 0, 0])


def test_shares_are_of_a_number_of_people():
    table = Table({"Ncl": [3, 4, 0], "ClSph": [2 / 3, 0.25, 0.0], "ClDk": [1.0, 1.0, 0.0]})
    for name in ("ClIr", "ClPS", "ClUn"):
        table[name] = 0.0
    made = labels(table, shares_of="Ncl")
    np.testing.assert_allclose(made.counts[:, :2], [[2, 3], [1, 4], [0, 0]])
    assert made.totals[:, 0].tolist() == [3, 4, 0]


def test_missing_numbers_are_no_votes():
    table = Table(rows=TICKS, names=NAMES)
    table["ClDk"] = MaskedColumn(table["ClDk"], mask=[True] + [False] * 6)
    assert labels(table).totals[:, 0].tolist() == [0, 1, 1, 1, 1, 1, 1]


@given(st.lists(st.tuples(st.sampled_from("abc"), *[st.integers(0, 1)] * 5), min_size=1, max_size=20), st.randoms())
def test_no_tick_is_lost_whatever_the_order(rows, random):
    """What a galaxy has does not depend on the order of its rows."""
    sums = []
    for _ in range(2):
        table = Table(rows=rows, names=("ID", *NAMES[3:]))
        made = labels(table, galaxy="ID")
        counts = {name: made.counts[(table["ID"] == name) & (made.totals[:, 0] > 0)] for name in set(table["ID"])}
        assert all(len(each) == 1 for each in counts.values())
        assert made.totals[:, 0].sum() == len(rows)
        sums.append({name: each[0].tolist() for name, each in counts.items()})
        random.shuffle(rows)
    assert sums[0] == sums[1]


@pytest.mark.parametrize(
    ("condition", "rows"),
    [
        ("Hmag < 24.5", [0, 2, 4, 5, 6]),
        ("Hmag >= 24.6", [1]),
        ("Hmag != 22", [1, 5, 6]),
        ("Depth != 2epoch", [5]),
        ("ClPS > -1 and ID == a", [0, 2, 4]),
        ("ID != a", [1, 3, 5]),
    ],
)
def test_a_condition_chooses_rows_none_of_which_lacks_what_it_is_about(condition, rows):
    made = labels(Table(rows=TICKS, names=NAMES), where=condition)
    assert np.flatnonzero(made.totals[:, 0]).tolist() == rows


def test_shares_above_one_are_refused_and_percents_are_shares():
    """Percent without a unit would have counted as the votes of all."""
    table = Table({"Ncl": [4, 4], **{name: [0.0, 0.0] for name in NAMES[3:]}})
    table["ClDk"] = [75.0, 25.0]
    with pytest.raises(SchemeError, match=r"ClDk of 'disk' reach 75: expected shares of the votes in 'Ncl'"):
        labels(table.copy(), shares_of="Ncl")
    table["ClDk"].unit = "%"
    assert labels(table, shares_of="Ncl").counts[:, 1].tolist() == [3.0, 1.0]


def test_negative_numbers_are_refused_in_rows_that_count():
    table = Table({"Ncl": [4, 0], **{name: [0.5, -99.0] for name in NAMES[3:]}})
    with pytest.raises(SchemeError, match="negative votes"):
        labels(table.copy(), shares_of="Ncl")
    assert labels(table, shares_of="Ncl", where="Ncl > 0").totals[:, 0].tolist() == [4.0, 0.0]


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"where": "Hmag < bright"}, PipelineError, r"\[fractions\]: where: 'Hmag < bright' cannot be read"),
        ({"where": "__import__('os')"}, PipelineError, "cannot be read, expected a column"),
        ({"where": "Hmag < 24 or Hmag > 25"}, PipelineError, "cannot be read"),
        ({"where": "Kmag < 24"}, PipelineError, "unknown column 'Kmag'"),
        ({"votes": ["ClUn"], "shares_of": "ClUn"}, PipelineError, "leave one of them out"),
        ({"galaxy": "name"}, SchemeError, "no column 'name'"),
        ({"shares_of": "N"}, SchemeError, "no column 'N'"),
    ],
)
def test_what_cannot_be_counted_is_refused(settings, error, words):
    with pytest.raises(error, match=words):
        labels(Table(rows=TICKS, names=NAMES), **settings)
