"""Splits: the same rows are for the same thing every time, and neighbours stay together."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.errors import PipelineError
from galmorph.learning.split import read_split


def test_contiguous_parts_are_whole_blocks_in_the_order_of_the_numbers():
    names = [f"ceers_{n}.jpg" for n in (30, 4, 11, 2, 25, 18, 39, 7)]
    split = {"method": "contiguous", "blocks": 4, "validation": [1], "test": [3]}
    parts = read_split(split, "p").divide(names, {})
    by_number = parts[np.argsort([int(n[6:-4]) for n in names])]
    assert by_number.tolist() == ["train"] * 2 + ["validation"] * 2 + ["train"] * 2 + ["test"] * 2


def test_hashed_parts_do_not_depend_on_the_other_rows():
    names = [f"{n}.jpg" for n in range(2000)]
    split = {"test": 0.2, "validation": 0.3}
    parts = read_split(split, "p").divide(names, {})
    assert (parts == "test").mean() == pytest.approx(0.2, abs=0.03)
    assert (parts == "validation").mean() == pytest.approx(0.3, abs=0.03)
    assert read_split(split, "p").divide(names[700:], {}).tolist() == parts[700:].tolist()
    assert read_split({**split, "salt": "another"}, "p").divide(names, {}).tolist() != parts.tolist()


def test_rows_that_are_not_eligible_always_train():
    names = [f"{n}.jpg" for n in range(400)]
    block = np.array(["a", "b"] * 200)
    split = {"test": 0.5, "validation": 0.5, "only": {"block": "a"}}
    parts = read_split(split, "p").divide(names, {"block": block})
    assert set(parts[block == "a"]) == {"test", "validation"}
    assert set(parts[block == "b"]) == {"train"}


def test_a_split_by_a_column_that_is_not_there_is_refused():
    with pytest.raises(PipelineError, match="did you mean 'block'"):
        read_split({"test": 0.5, "validation": 0.5, "only": {"blok": "a"}}, "p").divide(["1.jpg"], {"block": ["a"]})


@pytest.mark.parametrize(
    "split", [{"test": 0.5, "validation": 0.5}, {"method": "contiguous", "blocks": 3, "validation": [0], "test": [1]}]
)
def test_no_rows_divide_into_no_parts(split):
    assert read_split(split, "p").divide([], {}).tolist() == []


def test_a_pair_of_shares_is_a_range_of_hashes():
    """The same rows fall between the same hashes, however the shares are written."""
    ids = [str(i) for i in range(2000)]
    numbers = read_split({"test": 0.3, "validation": 0.2}, "p").divide(ids, {})
    pairs = read_split({"test": [0.0, 0.3], "validation": [0.3, 0.5]}, "p").divide(ids, {})
    assert numbers.tolist() == pairs.tolist()
    moved = read_split({"test": [0.5, 0.6], "validation": [0.1, 0.3]}, "p").divide(ids, {})
    assert abs((moved == "test").mean() - 0.1) < 0.03
    assert not ((moved == "test") & (numbers != "train")).any()


@pytest.mark.parametrize(
    ("test", "validation", "words"),
    [
        ([0.2, 0.5], [0.4, 0.6], "overlap"),
        ([0.5, 0.2], 0.1, "pair of rising numbers"),
        ("half", 0.1, "test = 'half', expected a number or a pair of numbers"),
        (0.8, 0.4, "expected a number"),
    ],
)
def test_shares_that_make_no_split_are_explained(test, validation, words):
    """Parts that overlap, run backwards, are text or make more than all."""
    with pytest.raises(PipelineError, match=words):
        read_split({"test": test, "validation": validation}, "p").divide(["a", "b"], {})
