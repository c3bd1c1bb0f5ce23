"""What the documents promise."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest
import small_sky

from galmorph.cli import parse
from galmorph.flags import MEANINGS
from galmorph.pages.descriptions import KINDS, describers
from galmorph.runs.columns import SHAPES, new_columns
from galmorph.runs.results import Results
from galmorph.runs.run_settings import Settings
from galmorph.shipped import shipped
from galmorph.sky.catalog import Column

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
    options = parse(words[1:])
    assert callable(options.do), where


def test_the_table_of_flags_is_the_code_s():
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| (\d+) \| `(\w+)` \| (.*) \|$", text, flags=re.MULTILINE)
    assert rows == [(str(i), str(int(f)), f.name, meaning) for i, (f, meaning) in enumerate(MEANINGS.items())]


class Sky:
    """Images with or without a WCS, for columns without rows."""

    def __init__(self, has_wcs: bool) -> None:
        self.has_wcs = has_wcs

    def sky(self, _tile, x, y):
        return x, y


def _columns(command: str, *, sky: bool) -> list[Column]:
    """Columns that a command can append to a catalogue without rows."""
    checkpoint = None if command == "measure" else small_sky.checkpoint()
    settings = {
        "classify": Settings(errors=True, features=True, rule="huertas-company-2015"),
        "embed": Settings(probabilities=False, features=True, light=8),
        "measure": Settings(),
    }[command]
    results = Results.empty(0, 5 if checkpoint is not None else 0, [shape.field for shape in SHAPES])
    return new_columns(results, Sky(sky), settings, checkpoint)


def _documented() -> dict[str, list[str]]:
    text = (ROOT / "docs" / "columns.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(gm_[^`]+)` \| (.*) \|$", text, flags=re.MULTILINE)
    return {name: [cell.strip() for cell in re.split(r" \|(?= )", cells)] for name, cells in rows}


@pytest.mark.parametrize("sky", [True, False])
@pytest.mark.parametrize("command", ["classify", "embed", "measure"])
def test_the_table_of_columns_says_of_each_what_it_is(command, sky):
    """Which command makes it, type, unit, UCD, and the words of its description that never change."""
    documented = _documented()
    for column in _columns(command, sky=sky):
        name = re.sub(r"gm_p_.*?(_err)?$", r"gm_p_<answer>\1", column.name)
        of, kind, unit, ucd, words = documented[name]
        assert command[0] in of.split(), name
        assert column.values.dtype.kind == "U" if kind == "text" else column.values.dtype == kind, name
        assert column.unit == (unit if sky or unit != "arcsec" else "pixel"), name
        assert f"`{column.ucd}`" == ucd, name
        always = re.split(
            r"[:;]| huertas|Expected fraction| \(fractions|, from north|, from the x", column.description
        )[0]
        assert words.startswith(always), name


def test_the_table_of_columns_lists_no_others():
    made = {
        column.name
        for command in ("classify", "embed", "measure")
        for sky in (True, False)
        for column in _columns(command, sky=sky)
    }
    assert {name for name in _documented() if "<" not in name} <= made


def test_python_in_the_documents_runs(capsys):
    for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))):
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


def test_the_readme_quotes_the_benchmarks_and_names_them():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    results = {
        name: json.loads((ROOT / f"docs/benchmarks/{name}.json").read_text())
        for name in ("candels", "shares", "transfer")
    }
    quoted = {float(n) for n in re.findall(r"\b0\.\d{3}\b", text)}
    for value in (
        results["candels"]["simulated_h_to_24.5"]["rmse"],
        *(results["shares"][predictor]["rmse"][0] for predictor in ("ours", "constant", "forest")),
        results["transfer"]["sdss-gz1"]["its_own_classes"]["as they are"]["accuracy"],
    ):
        assert any(abs(value - n) <= 0.0005 + 1e-9 for n in quoted), value
    assert all(f"`make bench-{name}`" in text for name in results)


def test_every_recorded_benchmark_has_a_script_that_writes_it():
    scripts = {p.stem: p.read_text(encoding="utf-8") for p in (ROOT / "tests" / "benchmarks").glob("bench_*.py")}
    for path in (ROOT / "docs" / "benchmarks").iterdir():
        assert f"docs/benchmarks/{path.stem}." in scripts[f"bench_{path.stem}"], path.name


def test_no_document_mentions_a_private_path():
    for path in [*DOCS, ROOT / "CHANGELOG.md", *ROOT.glob("catalogs/checkpoints/*.json")]:
        assert not re.search(r"/(work|tmp|root|home)/", path.read_text(encoding="utf-8")), path
