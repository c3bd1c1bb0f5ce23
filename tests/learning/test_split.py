"""Splits: the same rows are for the same thing every time, and neighbours stay together."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.errors import PipelineError
from galmorph.learning.split import read_split, settled
from galmorph.toml import to_table


def test_settled_blocks_divide_a_part_of_the_rows_and_more_of_them_alike():
    """Blocks as large as each other would begin elsewhere, and rows that trained be tested."""
    rng = np.random.default_rng(3)
    names = [f"a_{n}.jpg" for n in rng.permutation(4000)[:900]]
    split = read_split({"method": "contiguous", "blocks": 20, "validation": [2, 9], "test": [4, 18]}, "p")
    parts = split.divide(names, {})
    fixed = settled(split, names)
    assert len(fixed.starts) == 20
    assert fixed.divide(names, {}).tolist() == parts.tolist()
    assert fixed.divide(names[:100], {}).tolist() == parts[:100].tolist()
    assert split.divide(names[:100], {}).tolist() != parts[:100].tolist()
    more = fixed.divide([*names, *(f"b_{n}.jpg" for n in range(4000))], {})
    assert more[:900].tolist() == parts.tolist()
    assert read_split(to_table(fixed), "p") == fixed
    assert settled(fixed, names[:100]) == fixed
    for other in ({"test": 0.2, "validation": 0.3}, {"method": "sky", "test": 0.2, "validation": 0.3}):
        assert settled(read_split(other, "p"), names) == read_split(other, "p")


def test_blocks_that_numbers_do_not_tell_apart_are_not_settled():
    split = read_split({"method": "contiguous", "blocks": 3, "validation": [0], "test": [1]}, "p")
    for names in (["a_1", "a_2"], ["a_1"] * 9, ["one", "two", "three", "four"], []):
        assert settled(split, names) == split


@pytest.mark.parametrize("starts", [[1.0], [3.0, 2.0, 1.0], [1.0, 1.0, 2.0]])
def test_starts_that_make_no_blocks_are_explained(starts):
    with pytest.raises(PipelineError, match="expected 3 rising numbers"):
        read_split({"method": "contiguous", "blocks": 3, "validation": [0], "test": [1], "starts": starts}, "p")


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


def test_rows_with_one_value_of_a_column_stay_together():
    """The value is hashed as a name would be, so that rows that stand for themselves are divided as without it."""
    names, split = [f"{n}.jpg" for n in range(600)], {"test": 0.3, "validation": 0.3, "salt": "s", "by": "field"}
    fields = [f"{n // 5}" for n in range(300)] + names[300:]
    parts = read_split(split, "p").divide(names, {"field": np.array(fields)})
    assert all(len(set(parts[n : n + 5])) == 1 for n in range(0, 300, 5))
    assert parts[300:].tolist() == read_split({**split, "by": ""}, "p").divide(names[300:], {}).tolist()
    with pytest.raises(PipelineError, match="by column 'field' of the labels: unknown column 'field'"):
        read_split(split, "p").divide(names, {"name": names})


def test_cells_on_the_sky_fall_into_one_part_whatever_the_names():
    """Two rows at one position stay together, and so do most neighbours; the shares are kept."""
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(150.0, 150.5, 4000), rng.uniform(2.0, 2.5, 4000)
    table = {"method": "sky", "cell_arcmin": 1.0, "test": 0.2, "validation": 0.2}
    split, names = read_split(table, "p"), [str(n) for n in range(4000)]
    parts = split.divide(names, {"ra": ra, "dec": dec})
    assert (parts == "test").mean() == pytest.approx(0.2, abs=0.05)
    assert (parts == "validation").mean() == pytest.approx(0.2, abs=0.05)
    assert split.divide(["twin"] * 4000, {"ra": ra, "dec": dec}).tolist() == parts.tolist()
    assert (split.divide(names, {"ra": ra, "dec": dec + 1.0 / 3600.0}) != parts).mean() < 0.05
    renamed = read_split(table | {"ra": "RA", "dec": "DEC"}, "p").divide(names, {"RA": ra, "DEC": dec})
    assert renamed.tolist() == parts.tolist()


def test_a_cell_without_a_side_is_refused():
    with pytest.raises(PipelineError, match="expected a side above 0"):
        read_split({"method": "sky", "cell_arcmin": 0.0, "test": 0.2, "validation": 0.2}, "p")


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
