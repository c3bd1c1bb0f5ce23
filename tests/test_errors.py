"""Errors: the tree is as it is drawn, and messages name what was meant."""

from __future__ import annotations

import ast
import inspect
import pickle
import re
from pathlib import Path

import pytest

import galmorph
from galmorph import errors
from galmorph.errors import unknown_name

ROOT = Path(galmorph.__file__).parent


def drawn() -> dict[str, tuple[str, ...]]:
    """Read the tree in the docstring: the bases of each class, the one above it and the one beside it."""
    bases, above = {}, {0: "GalmorphError"}
    branch = r"(?m)^ {4}((?:│ {3}|  {3})*)[├└]── (\w+) +(?:\((\w+)\))?"
    for bars, name, other in re.findall(branch, errors.__doc__):
        depth = len(bars) // 4
        bases[name] = (above[depth], other) if other else (above[depth],)
        above[depth + 1] = name
    return bases


def test_the_tree_is_as_drawn():
    kinds = {name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)}
    kinds.pop("GalmorphError")
    assert {name: tuple(base.__name__ for base in kind.__bases__) for name, kind in kinds.items()} == drawn()


def test_every_error_can_be_imported():
    assert {"GalmorphError", *drawn()} <= set(errors.__all__)


def defined(path: Path) -> set[str]:
    nodes = [n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.ClassDef)]
    return {node.name for node in nodes for base in node.bases if re.search(r"(Error|Exception)$", ast.unparse(base))}


def test_no_error_is_defined_elsewhere():
    elsewhere = {name for path in ROOT.rglob("*.py") if path != ROOT / "errors.py" for name in defined(path)}
    assert elsewhere == set()


@pytest.mark.parametrize(
    ("name", "hint"), [("F16W", "did you mean 'F160W'?"), ("f160w", "did you mean 'F160W'?"), ("zzz", "known are")]
)
def test_an_unknown_name_lists_what_exists(name, hint):
    text = unknown_name("band", name, ["F160W", "F125W"])
    assert hint in text
    assert "F125W, F160W" in text


@pytest.mark.parametrize("kind", sorted(errors.__all__))
def test_a_message_is_one_line_whatever_is_quoted_in_it(kind):
    if not inspect.isclass(getattr(errors, kind)):
        pytest.skip("a function")
    error = getattr(errors, kind)("catalog 'a\nb\u2028c\x1b[2J\0\udce9' " + "long " * 2000 + "give another")
    assert str(error).isprintable()
    assert str(error).encode()
    assert str(error).startswith("catalog 'a b c")
    assert str(error).endswith("give another")
    assert len(str(error)) < 1300
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_message_that_is_one_line_is_left_as_it_is():
    assert (
        str(errors.CatalogError("Catalog 'α  β.fits': 2 × 3 – expected  4"))
        == "Catalog 'α  β.fits': 2 × 3 – expected  4"
    )
