"""docs/architecture.md and its drawing say what is there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`((?:galmorph|tests|docs)/[\w/.]+)`", TEXT)))
# Rows of the table "Where is it?" that name functions: the words before "of" or "in" a module.
ROWS = re.findall(r"^\| [^|]+ \| ([^|]+) \|$", TEXT, flags=re.MULTILINE)
NAMED = [
    (name, path)
    for row in ROWS
    for names, path in re.findall(r"((?:`\w+`(?:, | and | of )?)+) (?:in|of) `(galmorph/[\w/]+\.py)`", row)
    for name in re.findall(r"`(\w+)`", names)
]


def test_the_table_names_functions():
    assert len(PATHS) > 20
    assert len(NAMED) >= 8


@pytest.mark.parametrize("path", PATHS)
def test_every_file_that_is_named_is_there(path):
    assert (ROOT / path).exists()


@pytest.mark.parametrize(("name", "path"), NAMED)
def test_every_function_is_where_the_table_says(name, path):
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    defined = {n.name for n in ast.walk(tree) if isinstance(n, ast.FunctionDef | ast.ClassDef)}
    assert name in defined


def test_the_drawing_is_that_of_today():
    script = ROOT / "docs" / "draw_architecture.py"
    done = subprocess.run([sys.executable, str(script), "--check"], check=False, timeout=60)
    assert done.returncode == 0, "run: python docs/draw_architecture.py"
