"""TOML: tables of settings, read into frozen dataclasses that say what may stand in them, and written again.

A dataclass is all there is to say about a table: its fields are the keys, their annotations what is expected, their
defaults what holds where nothing is said, and its ``__post_init__`` which values make sense. What does not fit is said
with the file, the section, the key and what was expected. Tables in tables are dataclasses in dataclasses.
"""

from __future__ import annotations

import dataclasses
import json
import math
import re
import tomllib
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

from galmorph.errors import GalmorphError, PipelineError, unknown_name
from galmorph.text_file import check_keys, check_values, read_text

__all__ = ["apart", "build", "expecting", "others", "read_file", "to_table", "to_text"]

T = TypeVar("T")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_WORDS: dict[Any, tuple[str, str]] = {
    bool: ("true or false", "true or false"),
    int: ("a whole number", "whole numbers"),
    float: ("a number", "numbers"),
    str: ("a text", "texts"),
}


def read_file(path: Path, what: str, error: type[GalmorphError] = PipelineError) -> dict[str, Any]:
    """Read a file of TOML.

    Parameters
    ----------
    path
        The file.
    what
        What it is, for messages: ``"pipeline"``.
    error
        What is raised if it cannot be read or is broken.
    """
    try:
        text = read_text(path)
        check_keys(text)
        table = tomllib.loads(text)
        check_values(table)
    except OSError as problem:
        reason = problem.strerror or problem
        raise error(f"{what} '{path}' cannot be read ({reason}): give the path of an existing file") from problem
    except ValueError as problem:  # TOMLDecodeError, UnicodeDecodeError
        raise error(f"{what} '{path}' cannot be read ({problem}): correct the file") from problem
    except RecursionError as problem:
        raise error(f"{what} '{path}' cannot be read (it is nested too deep): correct the file") from problem
    return table


def expecting(words: str) -> dict[str, str]:
    """Make the metadata of a field whose value is better described than by its type."""
    return {"expected": words}


def others() -> Any:
    """Make the field of a dataclass that receives the keys which no other field has."""
    return dataclasses.field(default_factory=dict, metadata={"others": "true"})


def apart(default: Any, *, compare: bool = True) -> Any:
    """Make the field of a dataclass that is no key of its table, and may not matter where two are compared."""
    return dataclasses.field(default=default, compare=compare, metadata={"apart": "true"})


@dataclass(frozen=True)
class _Place:
    """Where a table stands, and what is raised about it."""

    what: str
    section: str
    error: type[GalmorphError]

    def below(self, key: str) -> _Place:
        return dataclasses.replace(self, section=f"{self.section}.{key}" if self.section else key)

    def complaint(self, words: str, error: type[GalmorphError] | None = None) -> GalmorphError:
        where = f"{self.what}, [{self.section}]" if self.section else self.what
        return (error or self.error)(f"{where}: {words}")


def build(
    kind: type[T],
    table: Mapping[str, Any],
    what: str,
    section: str = "",
    *,
    error: type[GalmorphError] = PipelineError,
) -> T:
    """Build a dataclass from a table.

    Lists become tuples; a single text where a list of texts is expected is a list of one. Of several dataclasses in an
    annotation the one is built whose field of one literal word, such as ``method: Literal["hash"] = "hash"``, the table
    names; the first if it names none.

    Parameters
    ----------
    kind
        The dataclass.
    table
        Its contents.
    what, section
        Where they stand, for messages: ``"pipeline 'mine.toml'"`` and ``"train"``.
    error
        What is raised if a key is unknown or missing, or a value of another type than the field's; errors of the
        dataclass itself keep their type.

    Examples
    --------
    >>> @dataclass(frozen=True)
    ... class Stars:
    ...     count: int
    ...     sizes: tuple[float, ...] = ()
    >>> build(Stars, {"count": 3, "sizes": [1.0, 2.5]}, "pipeline 'mine'", "stars")
    Stars(count=3, sizes=(1.0, 2.5))
    >>> build(Stars, {"cuont": 3}, "pipeline 'mine'", "stars")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    galmorph.errors.PipelineError: pipeline 'mine', [stars]: unknown key 'cuont': known are count, sizes; did you ...
    """
    place = _Place(what, section, error)
    if not isinstance(table, Mapping):
        raise place.complaint(f"{table!r}, expected a table of settings")
    return _build(kind, table, place)


def _build(kind: type[T], table: Mapping[str, Any], place: _Place) -> T:
    spec, hints = _fields(kind), typing.get_type_hints(kind)
    rest = next((name for name, field in spec.items() if "others" in field.metadata), None)
    keys = [name for name in spec if name != rest]
    loose = {key: value for key, value in table.items() if key not in keys}
    if loose and rest is None:
        raise place.complaint(unknown_name("key", sorted(loose)[0], keys))
    if missing := [name for name in keys if name not in table and _is_required(spec[name])]:
        raise place.complaint(f"lacks '{missing[0]}': add it")
    values = {name: _value(hints[name], table[name], place, spec[name]) for name in keys if name in table}
    if rest is not None:
        values[rest] = _table(hints[rest], loose, place)
    try:
        return kind(**values)
    except GalmorphError as problem:
        raise place.complaint(str(problem), type(problem)) from problem


def _fields(kind: Any) -> dict[str, dataclasses.Field[Any]]:
    return {f.name: f for f in dataclasses.fields(kind) if "apart" not in f.metadata and not f.name.startswith("_")}


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING


def _value(hint: Any, value: Any, place: _Place, field: dataclasses.Field[Any]) -> Any:
    """Return a value as its field has it."""
    if value is None and type(None) in typing.get_args(hint):
        return None  # tables from JSON may say so
    kinds = [kind for kind in _members(hint) if _fits(kind, value)]
    if kinds and dataclasses.is_dataclass(kinds[0]):
        return _build(_tagged(kinds, value, place.below(field.name)), value, place.below(field.name))
    if kinds:
        return _made(kinds[0], value, place.below(field.name))
    if words := [str(word) for kind in _members(hint) for word in _words(kind)]:
        raise place.complaint(unknown_name(field.name, str(value), words))
    expected = field.metadata.get("expected") or " or ".join(dict.fromkeys(map(_expected, _members(hint))))
    raise place.complaint(f"{field.name} = {value!r}, expected {expected}")


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the types between which an annotation leaves the choice, without None, which TOML does not have."""
    if typing.get_origin(hint) in (Union, types.UnionType):
        return tuple(kind for kind in typing.get_args(hint) if kind is not type(None))
    return (hint,)


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of a type; what is in tables is looked at when they are built."""
    origin = typing.get_origin(hint)
    if hint is Any:
        return True
    if origin in (Union, types.UnionType):
        nothing = value is None and type(None) in typing.get_args(hint)
        return nothing or any(_fits(kind, value) for kind in _members(hint))
    if origin is Literal:
        return any(type(value) is type(word) and value == word for word in _words(hint))
    if dataclasses.is_dataclass(hint) or origin is Mapping:
        return isinstance(value, Mapping)
    if origin is tuple:
        return _fits_tuple(typing.get_args(hint), value)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return isinstance(value, hint) and isinstance(value, bool) == (hint is bool)


def _fits_tuple(kinds: tuple[Any, ...], value: Any) -> bool:
    if isinstance(value, str):
        return kinds == (str, ...)
    if not isinstance(value, list | tuple):
        return False
    each = kinds[:1] * len(value) if kinds[-1] is ... else kinds
    return len(each) == len(value) and all(map(_fits, each, value))


def _tagged(kinds: Sequence[Any], table: Mapping[str, Any], place: _Place) -> Any:
    """Choose between dataclasses by the word of the field that is one literal word in all of them."""
    if len(kinds) == 1:
        return kinds[0]
    hints = [typing.get_type_hints(kind) for kind in kinds]
    tag = next(n for n in _fields(kinds[0]) if all(len(_words(of.get(n))) == 1 for of in hints))
    by_word = {_words(of[tag])[0]: kind for of, kind in zip(hints, kinds, strict=True)}
    word = str(table.get(tag, next(iter(by_word))))
    if word not in by_word:
        raise place.complaint(unknown_name(tag, word, by_word))
    return by_word[word]


def _words(hint: Any) -> tuple[Any, ...]:
    """Return the literal words between which an annotation leaves the choice, if it does so."""
    return typing.get_args(hint) if typing.get_origin(hint) is Literal else ()


def _made(hint: Any, value: Any, place: _Place) -> Any:
    """Return a fitting value that is no dataclass: lists as tuples, tables as dicts."""
    if typing.get_origin(hint) is Mapping:
        return _table(hint, value, place)
    if isinstance(value, str) and typing.get_origin(hint) is tuple:
        return (value,)
    return _frozen(value)


def _table(hint: Any, value: Mapping[str, Any], place: _Place) -> dict[str, Any]:
    kind = typing.get_args(hint)[1]
    for key, each in value.items():
        if not any(_fits(member, each) for member in _members(kind)):
            expected = " or ".join(dict.fromkeys(map(_expected, _members(kind))))
            raise place.complaint(f"{key} = {each!r}, expected {expected}")
    texts = kind == tuple[str, ...]
    return {k: (v,) if texts and isinstance(v, str) else _frozen(v) for k, v in value.items()}


def _frozen(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return tuple(map(_frozen, value))
    return {k: _frozen(v) for k, v in value.items()} if isinstance(value, Mapping) else value


def _expected(hint: Any) -> str:
    kinds = typing.get_args(hint)
    if typing.get_origin(hint) is not tuple:
        return _WORDS[hint][0] if hint in _WORDS else "a table of settings"
    several = _WORDS.get(kinds[0], ("", "values"))[1]
    return f"a {'list' if kinds[-1] is ... else 'pair' if len(kinds) == 2 else f'list of {len(kinds)}'} of {several}"


def to_table(settings: Any) -> dict[str, Any]:
    """Return a table from which :func:`build` builds an equal dataclass.

    Parameters
    ----------
    settings
        A dataclass; what is None or empty by default is left out, all else is written down.
    """
    table: dict[str, Any] = {}
    for name, field in _fields(settings).items():
        value = getattr(settings, name)
        if "others" in field.metadata:
            table |= _plain(value)
        elif not _is_silent(value, field):
            table[name] = _plain(value)
    return table


def _is_silent(value: Any, field: dataclasses.Field[Any]) -> bool:
    """Whether there is nothing to write: no value, or an empty one that is the default."""
    if value is None:
        return True
    empty = isinstance(value, str | tuple | Mapping) and not value
    return empty and not _is_required(field) and value == _default(field)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return to_table(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, list | tuple) else value


def to_text(table: Mapping[str, Any]) -> str:
    """Write a table as TOML: values first, then a section for each table in it.

    Examples
    --------
    >>> print(to_text({"title": "a field", "train": {"batch": 64, "unlabelled": {"weight": 1.0}}}), end="")
    title = "a field"
    <BLANKLINE>
    [train]
    batch = 64
    <BLANKLINE>
    [train.unlabelled]
    weight = 1.0
    """
    return "\n".join(_blocks(table, ()))


def _blocks(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    lines = [f"{_key(k)} = {_written(v)}\n" for k, v in table.items() if not isinstance(v, Mapping)]
    if lines or (path and not table):
        header = [f"[{'.'.join(map(_key, path))}]\n"] if path else []
        yield "".join(header + lines)
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _blocks(value, (*path, key))


def _key(key: str) -> str:
    return key if _BARE.fullmatch(key) else _escaped(key)


def _written(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_written, value))}]"
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{_key(k)} = {_written(v)}' for k, v in value.items())} }}"
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    """Write a text of several lines as it is, where TOML can; any other as JSON does, which TOML reads."""
    if "\n" in text and "'''" not in text and all(c.isprintable() or c in "\n\t" for c in text):
        return f"'''\n{text}'''"
    return _escaped(text)


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
