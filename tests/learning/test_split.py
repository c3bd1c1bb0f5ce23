"""Splits: the same rows are for the same thing every time, and neighbours stay together."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Angle
from astropy.table import Column, MaskedColumn, QTable, Table

from galmorph.errors import PipelineError
from galmorph.learning.split import named_by, read_split, rows_with, settled
from galmorph.toml import to_table


def test_settled_blocks_divide_a_part_of_the_rows_and_more_of_them_alike():
    """Blocks as large as each other would begin elsewhere, and rows that trained be tested."""
    rng = np.random.default_rng(3)
    names = [f"a_{n}.jpg" for n in rng.permutation(4000)[:900]]
    split = read_split({"method": "contiguous", "blocks": 20, "validation": [2, 9], "test": [4, 18]}, "p")
    parts = split.divide(names, {})
    fixed = settled(split, names, "file")
    assert len(fixed.starts) == 20
    assert fixed.divide(names, {}).tolist() == parts.tolist()
    assert fixed.divide(names[:100], {}).tolist() == parts[:100].tolist()
    assert split.divide(names[:100], {}).tolist() != parts[:100].tolist()
    more = fixed.divide([*names, *(f"b_{n}.jpg" for n in range(4000))], {})
    assert more[:900].tolist() == parts.tolist()
    assert read_split(to_table(fixed), "p") == fixed
    assert settled(fixed, names[:100], "id") == fixed
    for other in (
        {"test": 0.2, "validation": 0.3, "named_by": "id"},
        {"method": "sky", "test": 0.2, "validation": 0.3},
    ):
        assert settled(read_split(other, "p"), names, "id") == read_split(other, "p")


def test_a_settled_split_says_what_the_names_are_unless_it_says_so_already():
    for settings in (
        {"test": 0.2, "validation": 0.3},
        {"method": "contiguous", "blocks": 1, "test": [], "validation": []},
    ):
        split = settled(read_split(settings, "p"), ["a"], "file")
        assert named_by(split) == "file"
        assert named_by(settled(split, ["a"], "id")) == "file"
    assert named_by(settled(read_split({"method": "sky", "test": 0.2, "validation": 0.3}, "p"), ["a"], "id")) == ""


def test_blocks_that_numbers_do_not_tell_apart_are_not_settled():
    split = read_split({"method": "contiguous", "blocks": 3, "validation": [0], "test": [1]}, "p")
    for names in (["a_1", "a_2"], ["a_1"] * 9, ["one", "two", "three", "four"], []):
        assert settled(split, names, "file") == replace(split, named_by="file")


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


NUMBERS = np.arange(60)


@pytest.mark.parametrize(
    "column",
    [
        NUMBERS.astype(float),
        NUMBERS.astype(np.int16),
        NUMBERS.astype("S3"),
        np.array([f"{n}  " for n in NUMBERS]),
        Table({"group": MaskedColumn(NUMBERS, mask=False)})["group"],
        NUMBERS.astype(object),
    ],
    ids=["float", "int16", "bytes", "padded", "masked", "object"],
)
def test_a_value_is_the_same_however_a_table_keeps_it(column):
    """A frame with one cell empty makes floats of whole numbers: test rows were those of training then."""
    names, split = [f"{n}.jpg" for n in NUMBERS], {"test": 0.3, "validation": 0.3, "by": "group"}
    parts = read_split(split, "p").divide(names, {"group": NUMBERS}).tolist()
    assert read_split(split, "p").divide(names, {"group": column}).tolist() == parts


@pytest.mark.parametrize(
    "column", [np.where(NUMBERS < 50, np.nan, NUMBERS), MaskedColumn(NUMBERS, mask=NUMBERS < 50)], ids=["nan", "masked"]
)
def test_rows_without_a_value_stand_for_themselves(column):
    names, split = [f"{n}.jpg" for n in NUMBERS], {"test": 0.3, "validation": 0.3, "by": "group"}
    parts = read_split(split, "p").divide(names, Table({"group": column})).tolist()
    assert parts[:50] == read_split({**split, "by": ""}, "p").divide(names[:50], {}).tolist()
    assert parts[50:] == read_split(split, "p").divide(names[50:], {"group": NUMBERS[50:]}).tolist()


@pytest.mark.parametrize(
    ("value", "column", "rows"),
    [
        (1, np.array([1.0, 2.0, np.nan]), [0]),
        (1.0, np.array([1, 2, 3]), [0]),
        ("1", np.array([1.0, 2.0, 3.0]), [0]),
        (0.1, np.array([0.1, 0.2, 0.3], np.float32), [0]),
        (True, np.array([True, False, True]), [0, 2]),
        (True, np.array(["true", "False", "TRUE"]), [0, 2]),
        ("a", np.array(["a ", "b", "A"]), [0]),
        ("a", np.array([b"a", b"b", b"c"]), [0]),
        (0, MaskedColumn([0, 0, 1], mask=[False, True, False]), [0]),
        ("--", MaskedColumn(["a", "a", "--"], mask=[False, True, False]), [2]),
        ("", MaskedColumn(["a", "a", "a"], mask=[False, True, False]), [1]),
    ],
)
def test_rows_are_chosen_by_what_a_value_means(value, column, rows):
    marked = rows_with({"block": value}, 3, Table({"block": column}))
    assert np.flatnonzero(marked).tolist() == rows


def test_a_column_of_several_values_divides_nothing():
    with pytest.raises(PipelineError, match="column 'group' of the labels, which has several values in each row"):
        read_split({"test": 0.3, "validation": 0.3, "by": "group"}, "p").divide(["a", "b"], {"group": np.ones((2, 3))})


RA, DEC = np.random.default_rng(8).uniform([[0.0], [-89.9]], [[360.0], [89.9]], (2, 300))


@pytest.mark.parametrize(
    "table",
    [
        Table({"ra": RA - 360.0, "dec": DEC}),
        Table({"ra": Column(RA / 15.0, unit="hourangle"), "dec": DEC}),
        QTable({"ra": RA * 60.0 * u.arcmin, "dec": DEC * u.deg}),
        Table({"ra": Angle(RA * u.deg).to_string("hourangle", sep=":", precision=12), "dec": DEC}),
        Table({"ra": [f"{ra:.12f}" for ra in RA], "dec": [f"{dec:.13f}" for dec in DEC]}),
    ],
    ids=["below 0", "hours", "arcmin", "sexagesimal", "text"],
)
def test_a_place_is_the_same_however_a_table_spells_it(table):
    names, split = ["x"] * len(RA), read_split({"method": "sky", "test": 0.3, "validation": 0.3}, "p")
    assert split.divide(names, table).tolist() == split.divide(names, {"ra": RA, "dec": DEC}).tolist()


def test_right_ascensions_of_0_and_360_are_one_place():
    names, split = ["x"] * len(DEC), read_split({"method": "sky", "test": 0.3, "validation": 0.3}, "p")
    parts = [split.divide(names, {"ra": np.full(len(DEC), ra), "dec": DEC}).tolist() for ra in (0.0, 360.0, -360.0)]
    assert parts[0] == parts[1] == parts[2]


def test_rows_at_masked_positions_are_at_no_place_whatever_lies_below():
    names, split = ["x"] * len(RA), read_split({"method": "sky", "test": 0.3, "validation": 0.3}, "p")
    masked = split.divide(names, Table({"ra": MaskedColumn(RA, mask=True), "dec": DEC}))
    assert len(set(masked.tolist())) == 1


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
