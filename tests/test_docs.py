"""What the documents promise."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from galmorph.cli import _parser
from galmorph.flags import MEANINGS
from galmorph.pages.descriptions import KINDS, describers
from galmorph.runs.columns import column_names
from galmorph.shipped import shipped
from galmorph.sky.scheme import load_scheme

ROOT = Path(__file__).resolve().parents[1]
DOCS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "catalogs" / "samples" / "README.md"]


def _commands(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^\s*\$ (galmorph .*)$", text, flags=re.MULTILINE)


ALL_COMMANDS = [(path.name, command) for path in DOCS for command in _commands(path)]


def test_the_documents_show_commands():
    assert len(ALL_COMMANDS) >= 6


@pytest.mark.parametrize(("where", "command"), ALL_COMMANDS)
def test_every_command_in_the_documents_is_understood(where, command):
    words = shlex.split(command, comments=True)
    options = _parser().parse_args(words[1:])
    assert callable(options.do), where


def test_the_table_of_flags_is_the_code_s():
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE)
    assert rows == [(str(i), str(int(f)), f.name, meaning) for i, (f, meaning) in enumerate(MEANINGS.items())]


def test_the_table_of_columns_names_every_column():
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(gm_\w+)(?:<answer>)?`", text))
    for sky in (True, False):
        for name in column_names(load_scheme("gz2-simple"), "gm_", sky=sky):
            assert name in named or (name.startswith("gm_p_") and "gm_p_" in text), name


def test_python_in_the_documents_runs(capsys):
    for path in (ROOT / "README.md", ROOT / "docs" / "columns.md"):
        for block in re.findall(r"```python\n(.*?)```", path.read_text(encoding="utf-8"), flags=re.DOTALL):
            exec(compile(block, str(path), "exec"), {})
    assert capsys.readouterr().err == ""


def test_the_readme_names_what_ships():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for kind in KINDS:
        for name in describers(kind):
            assert f"`{name}`" in text, f"{kind}: {name}"


def test_the_readme_quotes_the_cards():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    cards = {p.stem: json.loads(p.read_text()) for p in (shipped("catalogs") / "checkpoints").glob("*.json")}
    for name, part in (("sdss-rgb", "test"), ("sdss-rgb", "validation"), ("sdss-gz1", "test")):
        assert f"{cards[name][part]['accuracy']:.3f}" in text
    for name, question in (("nircam-f200w", "smooth_or_featured"), ("candels-h", "morphology")):
        scores = cards[name]["test"]["questions"][question]
        assert f"{scores['signal_explained']:.2f}" in text
        assert f"{scores['rmse']:.3f}" in text


def test_no_document_mentions_a_private_path():
    for path in [*DOCS, ROOT / "CHANGELOG.md", *ROOT.glob("catalogs/checkpoints/*.json")]:
        assert not re.search(r"/(work|tmp|root|home)/", path.read_text(encoding="utf-8")), path
