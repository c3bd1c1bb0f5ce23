"""Every recipe of CONTRIBUTING.md, carried out as it stands on a scratch copy of the repository."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
RECIPES = dict(re.findall(r"^## (An? .*)\n((?:(?!^## ).*\n)*)", TEXT, flags=re.MULTILINE))
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FOLDERS = ("galmorph", "catalogs", "pipelines", "docs", "tests")
FILES = ("pyproject.toml", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "Makefile")


def edited(text: str, block: str) -> str:
    """Put the lines of a block that begin with ``+`` in the place of those with ``-``; the others stand around them."""
    lines = [line or " " for line in block.splitlines()]
    assert {line[0] for line in lines} <= set(" +-")
    before, after = ("\n".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    assert text.count(before) == 1, before
    return text.replace(before, after)


def carry_out(recipe: str, copy: Path) -> list[str]:
    """Write and edit the files of a recipe; return its commands."""
    commands: list[str] = []
    for language, name, block in BLOCK.findall(recipe):
        if language == "sh":
            commands += block.splitlines()
        elif language == "diff":
            (copy / name).write_text(edited((copy / name).read_text(encoding="utf-8"), block), encoding="utf-8")
        else:
            assert not (copy / name).exists()
            (copy / name).parent.mkdir(exist_ok=True)
            (copy / name).write_text(block, encoding="utf-8")
    return commands


@pytest.fixture
def copy(tmp_path) -> Path:
    """Copy what a recipe may touch or use."""
    for name in FOLDERS:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
    for name in FILES:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


def test_there_is_a_recipe_for_each_thing_that_is_added_often():
    things = ("A survey", "A column", "A loss", "A network", "A catalogue format", "An archive")
    assert tuple(RECIPES) == things


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_does_what_it_says(name, copy):
    commands = carry_out(RECIPES[name], copy)
    assert commands
    environment = {**os.environ, "PYTHONPATH": str(copy), "PYTEST_ADDOPTS": "-q -p no:cacheprovider -p no:xdist"}
    environment = {k: v for k, v in environment.items() if not k.startswith(("PYTEST_XDIST", "COV_", "COVERAGE"))}
    programs = {"python": [sys.executable], "galmorph": [sys.executable, "-m", "galmorph"]}
    for command in commands:
        words = shlex.split(command)
        done = subprocess.run(
            [*programs[words[0]], *words[1:]], cwd=copy, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_keeps_to_the_style(name, copy):
    """What it adds passes the linter."""
    ruff = Path(sys.executable).with_name("ruff")
    if not ruff.exists():
        pytest.skip("ruff is not installed")
    carry_out(RECIPES[name], copy)
    for words in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [ruff, *words, "--no-cache", "galmorph", "tests"], cwd=copy, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout
