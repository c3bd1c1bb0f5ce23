"""Tables of settings: what fits a dataclass is built, what does not is named, and what is written is read again."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import PipelineError, SurveyError
from galmorph.toml import build, expecting, others, read_file, to_table, to_text


@dataclass(frozen=True)
class Wave:
    """A table in a table."""

    length: float
    kind: Literal["long", "short"] = "long"


@dataclass(frozen=True)
class Linear:
    """One of two that are told apart by a word."""

    method: Literal["linear"] = "linear"
    slope: float = 1.0


@dataclass(frozen=True)
class Stepped:
    """The other."""

    steps: int
    method: Literal["stepped"] = "stepped"


@dataclass(frozen=True)
class Tide:
    """All that may stand in a table."""

    name: str
    count: int = 1
    deep: bool = False
    ends: tuple[float, float] | float = 0.0
    ports: tuple[str, ...] = ()
    votes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    wave: Wave | None = None
    course: Linear | Stepped = field(default_factory=Linear)
    only: Mapping[str, str | int] = field(default_factory=dict, metadata=expecting("values of columns"))
    hdu: int | str | None = None

    def __post_init__(self) -> None:
        if self.count < 1:
            raise SurveyError(f"count = {self.count}: expected a number from 1")


@dataclass(frozen=True)
class Open:
    """A table whose further keys have no fields."""

    name: str = "x"
    settings: Mapping[str, float | tuple[float, ...]] = others()


FULL = Tide(
    "low", 3, True, (1.0, 2.0), ("a", "b"), {"x": ("y",)}, Wave(1.5, "short"), Stepped(4), {"block": "a", "n": 3}, "SCI"
)
WHERE = "tide 'a.toml'"


@pytest.mark.parametrize("settings", [FULL, Tide("high"), Tide("high", ends=2.5, hdu=3)])
def test_what_is_written_is_read_again(settings):
    """Through the text of a file, into an equal dataclass."""
    assert build(Tide, tomllib.loads(to_text(to_table(settings))), WHERE) == settings


def test_what_is_empty_by_default_is_not_written():
    assert set(to_table(Tide("high"))) == {"name", "count", "deep", "ends", "course"}
    assert "name" in to_table(Tide(""))  # a required one is


def test_one_text_is_a_list_of_one_text():
    made = build(Tide, {"name": "low", "ports": "a", "votes": {"x": "y", "z": ["u", "v"]}}, WHERE)
    assert (made.ports, made.votes) == (("a",), {"x": ("y",), "z": ("u", "v")})


def test_other_keys_go_where_they_are_received():
    made = build(Open, {"name": "plain", "dropout": 0.1, "channels": [8, 16]}, WHERE)
    assert made == Open("plain", {"dropout": 0.1, "channels": (8, 16)})
    assert to_table(made) == {"name": "plain", "dropout": 0.1, "channels": [8, 16]}
    with pytest.raises(PipelineError, match=r"channels = 'many', expected a number or a list of numbers"):
        build(Open, {"channels": "many"}, WHERE)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({}, "lacks 'name'"),
        ({"nmae": "low"}, "did you mean 'name'"),
        ({"name": 5}, "name = 5, expected a text"),
        ({"count": True}, "count = True, expected a whole number"),
        ({"count": 1.0}, "expected a whole number"),
        ({"deep": 1}, "expected true or false"),
        ({"ends": "far"}, "ends = 'far', expected a pair of numbers or a number"),
        ({"ends": [1.0, 2.0, 3.0]}, "expected a pair of numbers"),
        ({"ports": [1]}, r"ports = \[1\], expected a list of texts"),
        ({"wave": 3}, "wave = 3, expected a table of settings"),
        ({"wave": {"length": "a"}}, r"a.toml', \[wave\]: length = 'a', expected a number"),
        ({"wave": {"length": 1, "kind": "shrt"}}, r"\[wave\]: unknown kind 'shrt'.*did you mean 'short'"),
        ({"course": {"method": "steped"}}, r"\[course\]: unknown method 'steped'.*did you mean 'stepped'"),
        ({"course": {"method": "stepped"}}, r"\[course\]: lacks 'steps'"),
        ({"course": {"steps": 3}}, r"\[course\]: unknown key 'steps': known are method, slope"),
        ({"only": True}, "only = True, expected values of columns"),
        ({"votes": {"x": 3}}, r"\[votes\]: x = 3, expected a list of texts"),
    ],
)
def test_what_does_not_fit_is_named(table, said):
    """With the file, the table and what was expected, in one line."""
    with pytest.raises(PipelineError, match=said) as caught:
        build(Tide, {"name": "low", **table} if table and "nmae" not in table else table, WHERE)
    assert str(caught.value).startswith(WHERE)
    assert "\n" not in str(caught.value)


def test_impossible_values_keep_their_error_and_get_a_place():
    with pytest.raises(SurveyError, match=r"tide 'a.toml', \[sea\]: count = 0: expected"):
        build(Tide, {"name": "low", "count": 0}, WHERE, "sea", error=PipelineError)


def test_what_is_no_table_is_refused():
    with pytest.raises(PipelineError, match=r"\[sea\]: 'deep', expected a table"):
        build(Wave, "deep", WHERE, "sea")


def test_the_caller_says_what_is_raised():
    with pytest.raises(SurveyError, match="lacks 'length'"):
        build(Wave, {}, WHERE, error=SurveyError)


@pytest.mark.parametrize("content", [b"a = ", b"\xff\xfe", b"a = 1\na = 2\n"])
def test_a_broken_file_is_named(tmp_path, content):
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(SurveyError, match=r"survey '.*a.toml' cannot be read"):
        read_file(tmp_path / "a.toml", "survey", SurveyError)
    with pytest.raises(PipelineError, match="existing file"):
        read_file(tmp_path / "none.toml", "pipeline")


TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)
LEAVES: Any = TEXTS | st.integers(-(2**62), 2**62) | st.booleans() | st.floats(allow_nan=False)
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3))


@given(st.dictionaries(TEXTS, VALUES, max_size=4))
def test_any_table_is_read_as_it_was_written(table):
    """Keys and texts of any characters, and tables in lists in tables."""
    assert tomllib.loads(to_text(table)) == table
