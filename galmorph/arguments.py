"""Arguments: what a public function is given is of the types that its annotations say, or is refused in one line.

Python would take ``overwrite="no"`` for yes, and say that an int has no attribute 'upper' where a text was expected.
The annotations are all there is to say. They are read as words when a function is called for the first time, since what
some of them name is loaded on first use only.
"""

from __future__ import annotations

import functools
import inspect
import numbers
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from galmorph.errors import ArgumentError

__all__ = ["checked"]

P = ParamSpec("P")
R = TypeVar("R")

_WORDS = {
    "str": ("a text", "texts"),
    "bool": ("True or False", "booleans"),
    "int": ("a whole number", "whole numbers"),
    "float": ("a number", "numbers"),
    "Path": ("a path", "paths"),
    "Quantity": ("a quantity", "quantities"),
    "Checkpoint": ("a loaded checkpoint", "loaded checkpoints"),
    "Survey": ("a survey", "surveys"),
    "Pipeline": ("a pipeline", "pipelines"),
    "None": ("None", "None"),
    "Any": ("anything", "values"),
}
_BUILT_IN: dict[str, Any] = {"str": str, "Path": Path, "None": type(None), "Any": object}
_ALIASES = {
    "Way": "str",
    "Iterable": "Sequence",
    "Inputs": "Mapping[str, Any]",
    "BinEdges": "int | Sequence[float]",
    "Classes": "str | Mapping[str, str]",
    "Each": "str | Sequence[str | None] | None",
    "EachNumber": "str | float | Sequence[str | float | None] | None",
    "EachHdu": "int | str | Sequence[int | str | None] | None",
    "u.Quantity": "Quantity",
    "TrainPipeline": "Pipeline",
}
_CLASSES = {"Pipeline": ("TrainPipeline", "ClassifyPipeline")}
_PARTS = re.compile(r"[\w.]+(?:\[(?:[^\[\]]|\[[^\[\]]*\])*\])?")
"""Of an annotation: words, each with what stands in brackets behind it."""
_LONGEST = 60
"""Letters of a value that is shown as it is."""


def checked(function: Callable[P, R]) -> Callable[P, R]:
    """Let a function refuse arguments that are not of the types of its annotations, before it does anything.

    A bool is no number, and a number with a point is no whole one. Scalars of numpy become those of Python, paths
    :class:`pathlib.Path`, or texts where only those are expected, and iterators lists where a sequence is. Types that
    are not built in are known by the names of their classes. What is annotated with anything but these is left to the
    function.

    Raises
    ------
    ArgumentError
        From the function, with the name of the parameter, what it was and what was expected.

    Examples
    --------
    >>> @checked
    ... def repeat(text: "str", times: "int | None" = None) -> "str":
    ...     return text * (times or 1)
    >>> repeat("ab", 2)
    'abab'
    >>> repeat("ab", "2")
    Traceback (most recent call last):
    galmorph.errors.ArgumentError: times = '2' was given to repeat: expected a whole number or None; give one of these
    """
    call: Callable[..., R] = function

    @functools.wraps(function)
    def with_checks(*args: P.args, **kwargs: P.kwargs) -> R:
        placed = zip([*_kinds_of(call), *[""] * len(args)], args, strict=False)  # what is too much, Python will say
        named = {name: _checked(call, name, value) for name, value in kwargs.items()}
        return call(*(_checked(call, name, value) for name, value in placed), **named)

    return with_checks


def _checked(function: Callable[..., Any], name: str, value: Any) -> Any:
    kind = _kinds_of(function).get(name)  # none of a name that the function does not have, as Python will say
    if kind is None:
        return value
    plain = kind.plain(value)
    if not kind.has(plain):
        shown = repr(value)
        shown = f"{name} = {shown}" if len(shown) <= _LONGEST else f"{name} of type {type(value).__name__}"
        raise ArgumentError(f"{shown} was given to {function.__name__}: expected {kind}; give one of these")
    return plain


@dataclass(frozen=True)
class _Kind:
    """What a value may be.

    Parameters
    ----------
    names
        Of types and classes.
    items
        What the items of a sequence may be; None where it may be no sequence.
    values
        What the values of a dictionary may be, which has texts for keys; None where it may be no dictionary.
    """

    names: tuple[str, ...]
    items: _Kind | None = None
    values: _Kind | None = None

    def plain(self, value: Any) -> Any:
        """Return a value as the function has it."""
        if type(value).__module__ == "numpy" and getattr(value, "ndim", None) == 0 and not isinstance(value, str):
            return value.item()
        if isinstance(value, os.PathLike) and not {"str", "Path"}.isdisjoint(self.names):
            # Files of surveys, schemes and others are named where names are: a text will do for both.
            return Path(value) if "Path" in self.names else os.fspath(value)
        return list(value) if self.items and isinstance(value, Iterator) else value

    def has(self, value: Any) -> bool:
        """Tell whether a value is of this kind."""
        if any(_is(name, value) for name in self.names):
            return True
        if isinstance(value, Mapping):
            return self.values is not None and all(
                isinstance(key, str) and self.values.has(self.values.plain(each)) for key, each in value.items()
            )
        if self.items is None or isinstance(value, str | bytes) or not isinstance(value, Iterable):
            return False
        return all(self.items.has(self.items.plain(item)) for item in value)

    def __str__(self) -> str:
        words = [_WORDS[name][0] for name in self.names if name != "None"]
        words += [f"a list of {self.items.several()}"] if self.items else []
        words += [f"a dictionary of texts and {self.values.several()}"] if self.values else []
        *first, last = [*words, *(["None"] if "None" in self.names else [])]
        return f"{', '.join(first)} or {last}" if first else last

    def several(self) -> str:
        """Say what some of this kind are."""
        return " or ".join([*(_WORDS[name][1] for name in self.names), *(["lists"] if self.items else [])])


_ANYTHING = _Kind(("Any",))


def _is(name: str, value: Any) -> bool:
    """Tell whether a value is of a type, or of a class of this name."""
    if name in ("bool", "int", "float"):
        is_number = {"bool": bool, "int": numbers.Integral, "float": numbers.Real}[name]
        return isinstance(value, is_number) and isinstance(value, bool) == (name == "bool")
    if name in _BUILT_IN:
        return isinstance(value, _BUILT_IN[name])
    names = {each.__name__ for each in type(value).__mro__}
    return not names.isdisjoint(_CLASSES.get(name, (name,)))


@functools.cache
def _kinds_of(function: Callable[..., Any]) -> dict[str, _Kind | None]:
    """Return what each parameter may be, in their order; None where that is left to the function."""
    return {name: _kind(str(p.annotation)) for name, p in inspect.signature(function).parameters.items()}


def _kind(annotation: str) -> _Kind | None:
    """Read an annotation; None for one that says too little, or more than is checked here."""
    parts = [part.partition("[") for part in _PARTS.findall(_spelt_out(annotation))]
    names = tuple(word for word, _, _ in parts if word not in ("Sequence", "Mapping"))
    inner = {word: _inner(rest.removesuffix("]")) for word, _, rest in parts if word in ("Sequence", "Mapping")}
    if None in inner.values() or not {*names} <= {*_WORDS} or names == ("Any",):
        return None
    if inner.get("Sequence") is _ANYTHING:  # one thing alone may stand for a list of it, as a number of a row does
        return None
    return _Kind(names, inner.get("Sequence"), inner.get("Mapping"))


def _inner(annotation: str) -> _Kind | None:
    """Read the annotation of the items of a sequence, or of the values of a dictionary after that of its keys."""
    values = annotation.removeprefix("str, ")
    return _ANYTHING if values == "Any" else _kind(values)


def _spelt_out(annotation: str) -> str:
    """Put what an alias stands for in its place."""
    return re.sub(r"[\w.]+", lambda word: _ALIASES.get(word[0], word[0]), annotation)
