"""The site: what is generated is complete, every page is reached, and it builds without a warning or a network."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import galmorph
from galmorph.cli import COMMANDS
from galmorph.flags import Flag
from galmorph.pages.descriptions import names

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), *sorted(DOCS.glob("notebooks/*.md")), *sorted(DOCS.glob("benchmarks/*.md"))]


@pytest.fixture(scope="module")
def parts() -> ModuleType:
    """Load what makes the generated parts; it needs no Sphinx."""
    spec = importlib.util.spec_from_file_location("site_parts", DOCS / "site_parts.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def text_of(name: str) -> str:
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_the_reference_of_commands_is_their_help(parts):
    page = parts.filled(text_of("options"))
    for name in COMMANDS:
        assert f"## galmorph {name}\n" in page
        assert f"galmorph {name} " in page.partition(f"## galmorph {name}\n")[2].partition("## galmorph ")[0]
    assert "--checkpoint" in page


def test_every_mark_has_its_part_and_every_part_is_somewhere(parts):
    marks = {
        mark for page in PAGES for mark in re.findall(r"<!-- generated: (\w+) -->", page.read_text(encoding="utf-8"))
    }
    assert marks == set(parts.PARTS)


def test_the_figures_are_those_of_the_cards(parts):
    page = parts.filled(text_of("choosing"))
    for name in names("checkpoints"):
        card = json.loads((ROOT / "catalogs" / "checkpoints" / f"{name}.json").read_text(encoding="utf-8"))
        rows = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert len(rows) == 3
        assert f"| {card['test']['rows']} |" in rows[1]
        assert f'"checkpoints/{name}.html"' in rows[1]
        assert (ROOT / card["page"]).is_file()


def test_every_page_is_in_a_list_of_contents():
    listed = {
        str((page.parent / name).relative_to(DOCS))
        for page in PAGES
        for block in re.findall(r"```\{toctree\}\n(.*?)```", page.read_text(encoding="utf-8"), flags=re.DOTALL)
        for name in re.findall(r"^(?:\w+ <)?([\w/]+)>?$", block, flags=re.MULTILINE)
    }
    here = {str(page.relative_to(DOCS).with_suffix("")) for page in PAGES} - {"index"}
    assert here <= listed
    assert [name for name in listed - here if not name.startswith("gallery/") and (DOCS / f"{name}.md").exists()] == []


def test_every_function_is_in_the_reference(parts):
    page = parts.filled(text_of("api"))
    blocks = re.findall(r"autosummary::\n   :toctree: api\n\n(.*?)```", page, flags=re.DOTALL)
    assert sorted(name for block in blocks for name in block.split()) == galmorph.__all__


def test_every_flag_has_its_advice_once(parts):
    section = parts.filled(text_of("choosing")).partition("## Which flags to cut")[2]
    rows = re.findall(r"^\| `([A-Z_]+)` \| (cut|keep) \| ", section, flags=re.MULTILINE)
    assert [name for name, _ in rows] == [flag.name for flag in Flag]


def test_the_glossary_is_in_order_and_explains_the_words_of_the_house():
    terms = re.findall(r"^([A-Za-z][\w ,]*)\n  ", text_of("glossary"), flags=re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    assert {"catalogue", "checkpoint", "flag", "part", "recipe", "scheme", "stamp", "survey"} <= set(terms)


def test_a_page_s_commands_are_all_run_by_its_benchmark():
    recorded = json.loads((DOCS / "benchmarks" / "minutes.json").read_text(encoding="utf-8"))["pages"]
    for page in {"start", "own_field"} & set(recorded):
        blocks = re.findall(r"```console\n(.*?)```", text_of(page), flags=re.DOTALL)
        commands = [line.removeprefix("$ ") for block in blocks for line in block.splitlines()]
        assert [each["command"] for each in recorded[page]["commands"]] == commands
    assert "start" in recorded


LOADED = re.compile(r"""<(?:script|img|iframe|source|link)\b[^>]*?(?:src|href)=["'](https?:)?//[^>]*>""")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_site_builds_without_a_warning(tmp_path):
    """With its notebooks and gallery executed; its pages load nothing from elsewhere."""
    missing = [
        name for name in ("sphinx", "myst_nb", "sphinx_gallery", "numpydoc") if not importlib.util.find_spec(name)
    ]
    if missing:
        pytest.skip(f"{', '.join(missing)} not installed: pip install 'galmorph[docs]'")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", DOCS, tmp_path / "html"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    for page in (tmp_path / "html").rglob("*.html"):
        if "checkpoints" not in page.parts:
            assert LOADED.findall(page.read_text(encoding="utf-8")) == [], page
    for style in (tmp_path / "html" / "_static").rglob("*.css"):
        assert not re.search(r"url\(['\"]?https?:", style.read_text(encoding="utf-8")), style
