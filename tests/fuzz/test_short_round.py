"""A short round of each class; `make fuzz` makes a long one."""

from __future__ import annotations

import ctypes

import pytest

from .classes import CLASSES, subject_of
from .damage import ANY, damaged
from .dice import thrown
from .pool import item_of, run
from .subject import Item

COUNTS = {"catalogs": 100, "images": 60, "checkpoints": 60, "onnx": 15, "texts": 100}


# Exporting the network that is damaged takes ten seconds.
@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.long] * (name == "onnx")) for name in COUNTS])
def test_what_is_damaged_is_read_or_refused_in_one_line(name):
    tally = run(subject_of(name), 12, 0, COUNTS[name])
    assert [f"{find.kind}: {find.text}" for find in tally.finds] == []
    assert tally.inputs == COUNTS[name]
    assert tally.outcomes["refused"] > COUNTS[name] // 10
    assert tally.outcomes["opened"] > COUNTS[name] // 30


@pytest.mark.parametrize("name", sorted(CLASSES.keys() - {"onnx"}))
def test_an_input_is_drawn_again_from_its_seed_and_number(name):
    first, second = subject_of(name), subject_of(name)
    ours, again = first.seeds(), second.seeds()
    for number in range(20):
        assert item_of(first, ours, 3, number).files == item_of(second, again, 3, number).files, number


class Failing:
    """Fails at all but sound inputs."""

    name = "failing"

    def seeds(self):
        return [Item.of("a", b"sound")]

    def damaged(self, dice, item, items):
        del dice, item, items
        return Item.of("a", b"damaged")

    def examine(self, path, dice):
        del dice
        if path.read_bytes() != b"sound":
            raise KeyError("lost")

    def compare(self, path, opened):
        """Nothing to compare."""


class Crashing(Failing):
    """Ends its process at each third input."""

    name = "crashing"

    def damaged(self, dice, item, items):
        return super().damaged(dice, item, items) if dice.one_in(3) else item

    def examine(self, path, dice):
        del dice
        if path.read_bytes() != b"sound":
            ctypes.string_at(0)


def test_an_exception_is_a_find():
    tally = run(Failing(), 0, 0, 10)
    assert tally.kinds.total() == 10
    assert all(find.kind.startswith("exception KeyError") for find in tally.finds)


def test_a_crash_is_a_find_and_the_others_go_on():
    tally = run(Crashing(), 0, 0, 30)
    assert tally.inputs == 30
    assert 3 <= tally.kinds.total() < 20
    assert all(find.kind.startswith("crash SIGSEGV") for find in tally.finds)


def test_damage_of_nothing_is_something():
    for number in range(200):
        assert isinstance(damaged(thrown("nothing", 0, number), b"", [b""], ANY), bytes)
