"""Arguments: public functions refuse what is not of the type that they say, and name the parameter."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u

import galmorph
from galmorph import api
from galmorph.arguments import checked
from galmorph.errors import ArgumentError, GalmorphError
from galmorph.pages.answered_rows import BinEdges
from galmorph.sky.matched import Each

LEFT = {"Any", "Images", "Images | None", "Images | ImageSource", "Progress | bool | None", "Sequence[Any] | str | int"}
"""What the functions look at themselves: tables, images, and values that name rows."""


@checked
def report(
    text: str = "",
    is_new: bool = False,
    number: int | None = None,
    share: float = 0.0,
    hdu: int | str | None = None,
    output: str | Path | None = None,
    edges: Sequence[float] = (),
    names: Sequence[str] | str = (),
    files: str | Path | Sequence[str | Path] = (),
    kinds: Mapping[str, float] | None = None,
    bins: Mapping[str, BinEdges] | None = None,
    each: Each = None,
    radius: float | str | u.Quantity = 1.0,
    table: Sequence[object] | None = None,
) -> dict[str, object]:
    """Return what came in."""
    return {name: value for name, value in locals().items() if name in inspect.signature(report).parameters}


@pytest.mark.parametrize(
    ("name", "value", "plain"),
    [
        ("text", "a", "a"),
        ("text", np.str_("a"), "a"),
        ("text", Path("a/b.toml"), str(Path("a/b.toml"))),
        ("is_new", np.True_, True),
        ("number", 3, 3),
        ("number", np.int16(3), 3),
        ("number", np.array(3), 3),
        ("number", None, None),
        ("share", 1, 1),
        ("share", np.float32(0.5), 0.5),
        ("hdu", np.int64(2), 2),
        ("output", "a.fits", "a.fits"),
        ("output", Path("a.fits"), Path("a.fits")),
        ("edges", [1, 2.0, np.float64(3.0)], [1, 2.0, 3.0]),
        ("edges", (n for n in (1, 2)), [1, 2]),
        ("names", "a", "a"),
        ("names", iter(["a", "b"]), ["a", "b"]),
        ("files", [Path("a"), "b"], [Path("a"), "b"]),
        ("kinds", {"a": 1.0}, {"a": 1.0}),
        ("bins", {"a": [1, 2.0], "b": 3}, {"a": [1, 2.0], "b": 3}),
        ("bins", {"a": np.int64(3)}, {"a": 3}),
        ("each", ["ra", None], ["ra", None]),
        ("radius", "1 arcsec", "1 arcsec"),
        ("radius", 1.0 * u.arcsec, 1.0 * u.arcsec),
        ("table", 7, 7),
    ],
)
def test_what_may_be_arrives_as_plain_values(name, value, plain):
    arrived = report(**{name: value})[name]
    assert arrived == plain
    assert isinstance(arrived, type(plain)) or isinstance(value, str)


def test_other_paths_become_paths():
    class Other(os.PathLike):
        def __fspath__(self) -> str:
            return "a.fits"

    assert report(output=Other())["output"] == Path("a.fits")


def test_arrays_of_texts_are_lists_of_texts():
    assert report(names=np.array(["a", "b"]))["names"].tolist() == ["a", "b"]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("text", 3, "text = 3 was given to report: expected a text; give one of these"),
        ("text", None, "expected a text"),
        ("text", b"a", "expected a text"),
        ("is_new", "no", "is_new = 'no' was given to report: expected True or False"),
        ("is_new", 1, "expected True or False"),
        ("is_new", None, "expected True or False"),
        ("number", "2", "number = '2' was given to report: expected a whole number or None"),
        ("number", 2.0, "expected a whole number or None"),
        ("number", True, "expected a whole number or None"),
        ("share", "1", "expected a number"),
        ("share", 1j, "expected a number"),
        ("hdu", 1.5, "expected a whole number, a text or None"),
        ("output", 3, "expected a text, a path or None"),
        ("output", b"a", "expected a text, a path or None"),
        ("edges", 3, "expected a list of numbers"),
        ("edges", "123", "expected a list of numbers"),
        ("edges", [1, "2"], "expected a list of numbers"),
        ("names", 5, "expected a text or a list of texts"),
        ("names", ["a", 5], "expected a text or a list of texts"),
        ("files", [3], "expected a text, a path or a list of texts or paths"),
        ("kinds", [1], "expected a dictionary of texts and numbers or None"),
        ("kinds", {"a": "1"}, "expected a dictionary of texts and numbers or None"),
        ("kinds", {1: 1.0}, "expected a dictionary of texts and numbers or None"),
        ("bins", {"a": 2.5}, "expected a dictionary of texts and whole numbers or lists or None"),
        ("bins", {"a": [1, "2"]}, "expected a dictionary of texts and whole numbers or lists or None"),
        ("each", ["ra", 3], "expected a text, a list of texts or None or None"),
        ("radius", [1], "expected a number, a text or a quantity"),
        ("edges", [["a long list of what is no number"] * 9], "edges of type list was given to report: expected"),
    ],
)
def test_what_cannot_be_is_refused_with_the_name_of_its_parameter(name, value, expected):
    with pytest.raises(ArgumentError, match=expected):
        report(**{name: value})


def test_arguments_without_names_are_checked_too():
    with pytest.raises(ArgumentError, match="is_new = 'no'"):
        report("a", "no")


def test_what_the_function_does_not_have_is_for_python_to_say():
    with pytest.raises(TypeError, match="unexpected keyword argument 'nothing'"):
        report(nothing=3)
    with pytest.raises(TypeError, match="positional arguments"):
        report("", False, None, 0.0, None, None, (), (), (), None, None, None, 1.0, None, "too much")


@pytest.mark.parametrize("name", api.__all__)
def test_the_parameters_of_public_functions_are_checked(name):
    """A new annotation is one that is understood, or stands in LEFT."""
    function = getattr(galmorph, name)
    assert hasattr(function, "__wrapped__")
    for parameter in inspect.signature(function).parameters.values():
        if parameter.annotation not in LEFT and parameter.default is not inspect.Parameter.empty:
            with pytest.raises(ArgumentError, match=f"{parameter.name} of type Nothing"):
                function(**{parameter.name: Nothing()})


class Nothing:
    """What nobody expects, and shows itself at length."""

    def __repr__(self) -> str:
        return "nothing" * 20


@pytest.mark.parametrize(
    ("name", "asked"),
    [
        ("classify", {"overwrite": "no"}),
        ("classify", {"workers": "2"}),
        ("measure", {"band": 3}),
        ("evaluate", {"split": None}),
        ("train", {"epochs": 2.5}),
        ("simulate", {"rows": "10"}),
        ("describe_flags", {"flags": b"BLEND"}),
    ],
)
def test_public_functions_refuse_before_they_look_at_anything_else(name, asked):
    needed = {"checkpoint", "catalog", "labels", "images", "pipeline", "output"}
    function = getattr(galmorph, name)
    parameters = inspect.signature(function).parameters
    least = {each: "none" for each in needed & {*parameters} if parameters[each].default is inspect.Parameter.empty}
    with pytest.raises(GalmorphError, match=f"{next(iter(asked))} = .* was given to {name}: expected"):
        function(**least, **asked)
