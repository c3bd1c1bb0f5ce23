"""Markup: XML, JSON, TOML, YAML and lines of text, changed where they have structure."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any

from .dice import NUMBERS, Dice

_TAG = re.compile(r"<[^<>]*>")
_ATTRIBUTE = re.compile(r'([\w:]+)\s*=\s*"([^"]*)"')


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape" if not re.search("[\ud800-\udc7f\udd00-\udfff]", text) else "replace")


def tags(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Drop, repeat, exchange, rename or nest elements of XML, or change what stands between them."""
    del others
    parts = re.split(r"(<[^<>]*>)", _text(content))
    marks = [n for n in range(len(parts)) if n % 2]
    if len(marks) < 2:
        return content
    for _ in range(dice.few(4)):
        _retagged(dice, parts, marks)
    return _bytes("".join(parts))


def _retagged(dice: Dice, parts: list[str], marks: list[int]) -> None:
    at, other = dice.choice(marks), dice.choice(marks)
    which = dice.randrange(7)
    if which == 0:
        parts[at] = ""
    elif which == 1:
        parts[at] *= dice.choice((2, 3, 200, 2000))
    elif which == 2:
        parts[at], parts[other] = parts[other], parts[at]
    elif which == 3:
        parts[at] = re.sub(
            r"\w+",
            dice.choice(("FIELD", "TD", "TR", "TABLE", "RESOURCE", "BINARY", "PARAM", "x:y")),
            parts[at],
            count=1,
        )
    elif which == 4:
        parts[at - 1] = dice.value().replace("<", "")
    elif which == 5:
        first, last = sorted((at, other))
        parts[last] += "".join(parts[first : last + 1])
    else:
        parts[at] = dice.choice(
            ("<!-- -->", "<![CDATA[x]]>", "<!DOCTYPE a [<!ENTITY b 'c'>]>", "&b;", "<?xml version='1.0'?>", "</TR>")
        )


def attributes(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change, drop, repeat or add attributes of XML."""
    del others
    text = _text(content)
    for _ in range(dice.few(4)):
        places = list(_ATTRIBUTE.finditer(text))
        if not places:
            break
        place = dice.choice(places)
        value = dice.value().replace('"', "").replace("<", "")
        new = dice.choice(
            (
                f'{place[1]}="{value}"',
                f'{place[1]}="{value}"',
                "",
                f"{place[0]} {place[0]}",
                f'arraysize="{value}" {place[0]}',
            )
        )
        text = text[: place.start()] + new + text[place.end() :]
    return _bytes(text)


def lines(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Drop, repeat, exchange lines, or take one of another file."""
    rows = content.split(b"\n")
    for _ in range(dice.few(4)):
        at, other = dice.randrange(len(rows)), dice.randrange(len(rows))
        which = dice.randrange(6)
        if which == 0 and len(rows) > 1:
            del rows[at]
        elif which == 1:
            rows[at:at] = [rows[at]] * dice.choice((1, 2, 50))
        elif which == 2:
            rows[at], rows[other] = rows[other], rows[at]
        elif which == 3:
            rows[at] = dice.choice(dice.other(others).split(b"\n"))
        elif which == 4:
            rows[at] = dice.choice((b" ", b"\t", b"# ", b"  - ")) + rows[at]
        else:
            rows[at] += dice.choice((b",", b"#", b"\r", b'"', b"\\", b" ", b"}"))
    return b"\n".join(rows)


def tokens(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put other values where numbers, words and quoted texts stand."""
    del others
    text = _text(content)
    for _ in range(dice.few(4)):
        places = list(re.finditer(r"\"[^\"\n]*\"|'[^'\n]*'|[-+\w.]+|[\[\]{}(),:;=|!-]", text))
        if not places:
            break
        place = dice.choice(places)
        value = dice.value()
        if place[0][0] in "\"'" and not dice.one_in(4):
            value = place[0][0] + value + place[0][0]
        text = text[: place.start()] + value + text[place.end() :]
    return _bytes(text)


def nested(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Put something nested or repeated very often somewhere."""
    del others
    depth = dice.choice((3, 60, 500, 3000))
    opening = dice.choice(("[", "{", "(", "<a>", "- ", '{"a":', "[[", "&a ", "a.", "'", "1,", "#", " "))
    closing = {"[": "]", "{": "}", "(": ")", "<a>": "</a>", '{"a":': "}", "[[": "]]"}.get(opening, "")
    at = dice.randrange(len(content) + 1)
    return content[:at] + (opening * depth + closing * depth).encode() + content[at:]


def _trees(tree: Any) -> list[Any]:
    """All containers of a JSON tree."""
    below = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list) else ()
    own = [tree] if isinstance(tree, dict | list) and tree else []
    return own + [one for part in below for one in _trees(part)]


def anything(dice: Dice, depth: int = 2) -> Any:
    """A value of any type that JSON has."""
    simple = (
        None,
        True,
        False,
        0,
        -1,
        1,
        2**63,
        -(2**31),
        1e308,
        float("nan"),
        float("inf"),
        0.5,
        "",
        "a",
        [],
        {},
        10**30,
    )
    which = dice.randrange(6 if depth else 4)
    if which < 3:
        return dice.choice(simple)
    if which == 3:
        return dice.value()
    if which == 4:
        return [anything(dice, depth - 1) for _ in range(dice.choice((1, 2, 3, 40)))]
    return {dice.value(): anything(dice, depth - 1) for _ in range(dice.few())}


def changed_tree(dice: Dice, tree: Any) -> Any:
    """Change a few values, keys and lists of a JSON tree, in place."""
    for _ in range(dice.few(4)):
        trees = _trees(tree)
        if not trees:
            return tree
        _regrown(dice, dice.choice(trees), trees)
    return tree


def _regrown(dice: Dice, branch: Any, trees: list[Any]) -> None:
    keys = list(branch) if isinstance(branch, dict) else list(range(len(branch)))
    key, which = dice.choice(keys), dice.randrange(7)
    if which < 2:
        branch[key] = anything(dice)
    elif which == 2:
        del branch[key]
    elif which == 3 and isinstance(branch, dict):
        branch[dice.value()] = branch.pop(key)
    elif which == 4:
        branch[key] = json.loads(json.dumps(dice.choice(trees)))
    elif which == 5 and isinstance(branch, list):
        branch[:] = branch * dice.choice((2, 50))
    else:
        number = dice.choice(NUMBERS)
        branch[key] = float(number.replace("D", "e").replace(",", ".")) if _is_float(number) else [branch[key]]


def _is_float(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def json_tree(dice: Dice, content: bytes, others: Sequence[bytes]) -> bytes:
    """Change a JSON document; one that is none any more is left alone."""
    del others
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError):
        return content
    return json.dumps(changed_tree(dice, tree)).encode()


TEXT: tuple[Callable[[Dice, bytes, Sequence[bytes]], bytes], ...] = (lines, lines, tokens, tokens, tokens, nested)
