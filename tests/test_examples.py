"""The examples in docstrings run and print what they say."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import galmorph

ROOT = Path(galmorph.__file__).parent


def modules_with_examples() -> list[str]:
    paths = [
        path
        for path in sorted(ROOT.rglob("*.py"))
        if re.search(r"^ +>>> ", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    dotted = (".".join(path.relative_to(ROOT.parent).with_suffix("").parts) for path in paths)
    return [name.removesuffix(".__init__") for name in dotted]


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples_print_what_they_say(name):
    done = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert done.attempted
    assert not done.failed
