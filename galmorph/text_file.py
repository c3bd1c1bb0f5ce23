"""TextFile: a small file of text, TOML or JSON, read whole and decoded, or refused for a reason of one line.

What people write by hand, and what is written for people, has some kilobytes and a few levels of tables. A pipe that
never ends, a gigabyte, another encoding or ten thousand brackets are told before a parser meets them.
"""

from __future__ import annotations

import json
import math
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from galmorph.limits import LIMITS

__all__ = ["check_keys", "check_values", "read_json", "read_text"]

_MOST_LEVELS = 32
_MOST_DOTS = 100
_LARGEST = 2**63
# tomllib takes the square of the number of dots in a key, and recurses into brackets.
_NOT_IN_KEYS = re.compile(r"[,=\[\]{}#\n]")
_DOT_OF_KEY = re.compile(r"[\w\"'-][ \t]*\.")
_BYTE_ORDER = {b"\xff\xfe": "UTF-16", b"\xfe\xff": "UTF-16", b"\x00": "binary"}


def read_text(path: Path) -> str:
    """Read a file of UTF-8, with a byte-order mark or without.

    Raises
    ------
    ValueError
        If it is no file of text, empty or too long; the message is a reason.
    OSError
        If it cannot be opened or read.
    """
    mode = path.stat().st_mode
    if not stat.S_ISREG(mode):
        kind = "a folder" if stat.S_ISDIR(mode) else "a pipe" if stat.S_ISFIFO(mode) else "a device or socket"
        raise ValueError(f"it is {kind}, no file")
    most = LIMITS["text_bytes"]
    with open(path, "rb") as stream:
        content = stream.read(most.number + 1)
    if len(content) > most.number:
        raise ValueError(f"it has more bytes than {most}")
    for mark, encoding in _BYTE_ORDER.items():
        if content.startswith(mark):
            raise ValueError(f"it is {encoding}, not UTF-8")
    text = content.decode("utf-8-sig")
    if not text.strip():
        raise ValueError("it is empty")
    return text


def check_keys(text: str) -> None:
    """Refuse text of TOML whose keys are nested deeper than settings ever are.

    Raises
    ------
    ValueError
        If there is such a key.
    """
    if any(len(_DOT_OF_KEY.findall(piece)) > _MOST_DOTS for piece in _NOT_IN_KEYS.split(text)):
        raise ValueError(f"a key has more than {_MOST_DOTS} parts")


def read_json(text: str | bytes) -> Any:
    """Parse JSON, without what Python's reader adds to it (NaN, repeated keys, any depth, endless numbers).

    Raises
    ------
    ValueError
        If it is none; the message is a reason.

    Examples
    --------
    >>> read_json('{"temperatures": [1.0, 1e999]}')
    Traceback (most recent call last):
    ValueError: temperatures.1 is inf, expected a finite number
    """
    try:
        value = json.loads(text, parse_constant=_refused, object_pairs_hook=_unique)
    except RecursionError:
        raise ValueError(f"it is nested more than {_MOST_LEVELS} deep") from None
    check_values(value)
    return value


def _refused(constant: str) -> Any:
    raise ValueError(f"it holds {constant}, expected finite numbers")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key '{next(k for k in keys if keys.count(k) > 1)[:80]}' is there twice")
    return table


def check_values(value: Any) -> None:
    """Refuse nesting and numbers that no setting has.

    Raises
    ------
    ValueError
        Naming the key, with those above it.
    """
    level: list[tuple[str, Any]] = [("", value)]
    for _ in range(_MOST_LEVELS):
        for key, each in level:
            _check_number(key, each)
        level = [below for key, each in level for below in _below(key, each)]
        if not level:
            return
    raise ValueError(f"'{level[0][0][:80]}' is nested more than {_MOST_LEVELS} deep")


def _below(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        yield from ((f"{key}.{name}" if key else str(name), each) for name, each in value.items())
    elif isinstance(value, list):
        yield from ((f"{key}.{number}" if key else str(number), each) for number, each in enumerate(value))


def _check_number(key: str, value: Any) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{key} is {value}, expected a finite number")
    if isinstance(value, int) and abs(value) >= _LARGEST:
        raise ValueError(f"{key} is a number of {value.bit_length()} bits, expected one of at most 63")
