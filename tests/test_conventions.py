"""docs/conventions.md: every tick names tests that there are, every dash has its reason."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "conventions.md").read_text(encoding="utf-8")
ROWS = [line.strip("| ").split(" | ") for line in TEXT.splitlines() if re.search(r" \| (✓|–) \| ", line)]


def test_the_table_is_long():
    assert len(ROWS) >= 40


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_a_convention_is_kept_or_has_its_reason(row):
    *_, tick, why = row
    assert len(row) in {3, 4}  # of those that nobody else has the second cell is empty
    tests = re.findall(r"`(tests/[\w/]+\.py)::(\w+|\*)`", why)
    for file, name in tests:
        code = (ROOT / file).read_text(encoding="utf-8")
        assert name == "*" or f"def {name}(" in code, f"{file}::{name}"
    assert tests or "`make" in why or "CHANGELOG" in why or why == "the same" or (tick == "–" and len(why.split()) > 5)


def test_old_names_go_on_as_the_policy_says():
    """What is renamed in the command line is refused with its new name."""
    assert "tests/cli/test_options.py::test_old_words_are_refused_with_the_new_one" in TEXT
