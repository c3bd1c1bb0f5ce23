"""VoteColumn: whatever kind of column votes stand in, the same numbers are read, and what is none is no vote."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.table import Column, MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from galmorph.errors import SchemeError
from galmorph.sky.vote_column import read_votes


@pytest.mark.parametrize(
    "column",
    [
        [3.0, np.nan, 0.0],
        np.array([3.0, np.inf, 0.0], np.float32),
        Column([3.0, np.nan, 0.0]),
        MaskedColumn([3, 7, 0], mask=[False, True, False]),
        np.ma.array([3.0, 0.5, 0.0], mask=[False, True, False]),
        Masked([3.0, 0.5, 0.0] * u.one, mask=[False, True, False]),
        pd.Series([3.0, np.nan, 0.0]),
        pd.Series([3, None, 0], dtype="Int64"),
        pd.Series(["3", None, "0"]),
        np.array([3, None, 0], dtype=object),
        Column([b"3", b"", b"0.0"]),
        Column(["3", " n/a ", "0"]),
    ],
    ids=lambda column: type(column).__name__,
)
def test_a_cell_without_a_number_is_no_vote_in_any_kind_of_column(column):
    np.testing.assert_array_equal(read_votes(column, "smooth"), [3.0, np.nan, 0.0])


def test_what_is_masked_is_not_read_whatever_lies_below():
    column = MaskedColumn([-99.0, 0.4], mask=[True, False])
    np.testing.assert_array_equal(read_votes(column, "smooth"), [np.nan, 0.4])


@pytest.mark.parametrize(
    "column",
    [Column([50.0, 0.0], unit="%"), QTable({"a": [50.0, 0.0] * u.percent})["a"], MaskedColumn([50, 0], unit="%")],
    ids=["column", "quantity", "masked"],
)
def test_percents_are_fractions(column):
    assert read_votes(column, "smooth").tolist() == [0.5, 0.0]


@pytest.mark.parametrize("unit", [None, "ct", "votes of people"])
def test_other_units_are_of_counts(unit):
    column = Table({"a": [50.0, 0.0]})["a"]
    column.unit = u.Unit(unit, parse_strict="silent") if unit else None
    assert read_votes(column, "smooth").tolist() == [50.0, 0.0]


@pytest.mark.parametrize(
    ("column", "words"),
    [
        ([1.0, -99.0], r"'smooth' contains negative votes \(-99 in row 1\): .* leave cells without any empty"),
        (["1", "many"], "'smooth' has 'many' in row 1: expected votes or fractions as numbers"),
        (np.ones((2, 3)), "'smooth' has several values in each row"),
        ([1 + 2j, 1.0], "expected votes or fractions as numbers"),
    ],
)
def test_what_is_no_vote_is_said_with_its_column_and_row(column, words):
    with pytest.raises(SchemeError, match=words):
        read_votes(column, "smooth")


def test_rows_that_do_not_count_are_not_looked_at():
    for column in ([1.0, -99.0], ["1", "many"]):
        np.testing.assert_array_equal(read_votes(column, "smooth", np.array([True, False])), [1.0, np.nan])
