"""Scripts beside the package (benchmarks, what draws the documents): what they take from it is there."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = [*sorted((ROOT / "tests" / "benchmarks").glob("*.py")), *sorted((ROOT / "docs").glob("*.py"))]


def missing(text: str) -> list[str]:
    """List what a script imports of galmorph that galmorph does not have."""
    absent = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "galmorph":
            module = importlib.import_module(str(node.module))
            for alias in node.names:
                if not hasattr(module, alias.name):
                    try:
                        importlib.import_module(f"{node.module}.{alias.name}")
                    except ImportError:
                        absent.append(f"{node.module}.{alias.name}")
    return absent


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_there(script):
    assert not missing(script.read_text(encoding="utf-8"))


def test_what_is_not_there_is_noticed():
    text = "from galmorph.errors import GalmorphError, NoSuchError\nfrom galmorph import errors, nowhere\n"
    assert missing(text) == ["galmorph.errors.NoSuchError", "galmorph.nowhere"]
