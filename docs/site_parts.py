"""Parts of the site that are made when it is built: the commands' help, tables from cards, sizes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import galmorph
from galmorph.cli import COMMANDS, parse
from galmorph.flags import MEANINGS, RECOMMENDED_CUT, REMEDIES
from galmorph.shipped import shipped

__all__ = ["PARTS", "filled", "setup"]

DOCS = Path(__file__).parent
_MARK = re.compile(r"<!-- generated: (\w+) -->")
_WIDTH = 90
_FUNCTIONS = {
    "Catalogues and images": (
        "classify measure match compare count fetch dry_run status overlay view simulate read_catalog open_images "
        "positions default_output cache"
    ),
    "Networks": (
        "train run tune evaluate calibrate ensemble export inspect load_checkpoint load_pipeline usual_checkpoint"
    ),
    "Likeness": "embed similar outliers",
    "Stores and services": "open_store prepare answer",
}
_OTHERS = "What ships, and the rest"


def _help(*words: str) -> str:
    """Return what a command prints when it is asked for help."""
    os.environ["COLUMNS"] = str(_WIDTH)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        parse([*words, "--help"])
    return re.sub(r"\x1b\[[0-9;]*m", "", printed.getvalue()).strip()


def options() -> str:
    """Write a section for each command."""
    sections = [f"```text\n{_help()}\n```"]
    sections += [f"## galmorph {name}\n\n```text\n{_help(name)}\n```" for name in COMMANDS]
    return "\n\n".join(sections)


def _cards() -> dict[str, Mapping[str, Any]]:
    """Read the cards of the checkpoints that ship."""
    paths = sorted((shipped("catalogs") / "checkpoints").glob("*.json"))
    return {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in paths}


def _first_question(part: Mapping[str, Any]) -> Mapping[str, Any]:
    return next(iter(part["questions"].values()))


def _row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def _table(header: tuple[str, ...], rows: list[tuple[object, ...]]) -> str:
    return "\n".join([_row(*header), _row(*("---" for _ in header)), *(_row(*row) for row in rows)])


def checkpoints() -> str:
    """Write which checkpoint is for which images, and what it answers."""
    header = ("checkpoint", "survey", "bands", "pixel", "answers (scheme)", "learnt from")
    rows: list[tuple[object, ...]] = []
    for name, card in _cards().items():
        envelope = card["calibration"]["envelope"]
        scale = envelope["scale_arcsec"]
        pixel = f"{scale:g}″" if scale else "any"
        about, bands = re.split(r"(?<!al)\. ", card["data"])[0], ", ".join(envelope["bands"])
        rows.append((f"`{name}`", envelope["survey"], bands, pixel, f"`{card['scheme']}`", about))
    return _table(header, rows)


def scores() -> str:
    """Write what the test parts say of the first question of each checkpoint."""
    header = (
        "checkpoint",
        "test galaxies",
        "likeliest class right",
        "RMSE of shares",
        "of the mean",
        "signal explained",
        "sets hold a vote",
        "page",
    )
    rows: list[tuple[object, ...]] = []
    for name, card in _cards().items():
        test, first = card["test"], _first_question(card["test"])
        right = f"{test['accuracy']:.0%}" if "accuracy" in test else "–"
        sets = test["sets"]
        coverage = f"{sets['coverage']:.1%} ± {sets['coverage_err']:.1%} (nominal {sets['nominal']:.0%})"
        page = f'<a href="checkpoints/{name}.html">look into it</a>'
        explained = first.get("signal_explained")
        told = "–" if explained is None else f"{explained:.2f}"
        rmse, constant = f"{first['rmse']:.3f}", f"{first['constant']:.3f}"
        rows.append((f"`{name}`", test["rows"], right, rmse, constant, told, coverage, page))
    return _table(header, rows)


def envelopes() -> str:
    """Write what the training images were like: outside, a row is flagged."""
    header = ("checkpoint", "S/N in the Petrosian radius", "Petrosian radius in pixels", "in widths of the PSF")
    limits = ("snr", "rpet_px", "rpet_psf")
    rows: list[tuple[object, ...]] = [
        (f"`{name}`", *(_range(card["calibration"]["envelope"].get(limit)) for limit in limits))
        for name, card in _cards().items()
    ]
    return _table(header, rows)


def _range(limits: list[float | None] | None) -> str:
    """Write two limits, of which the upper one may be none."""
    low, high = limits or (None, None)
    if high is None:
        return "any size" if not low else f"{low:.1f} and more"
    return f"{low:.1f} to {high:.0f}"


def recalls() -> str:
    """Write, for checkpoints that name classes, which share of each class of the test part they find."""
    blocks = []
    for name, card in _cards().items():
        recall = card["test"].get("recall", {})
        present = [(f"`{answer}`", f"{share:.0%}") for answer, share in recall.items() if share is not None]
        if present:
            blocks.append(f"**{name}** finds " + ", ".join(f"{share} of {answer}" for answer, share in present) + ".")
    return "\n\n".join(blocks)


def flags() -> str:
    """Write of each flag what it means, what to do, and whether the recommended cut leaves its rows out."""
    rows: list[tuple[object, ...]] = [
        (f"`{flag.name}`", "cut" if flag & RECOMMENDED_CUT else "keep", meaning, REMEDIES[flag])
        for flag, meaning in MEANINGS.items()
    ]
    return _table(("flag", "for statistics", "what it means", "what to do"), rows)


def functions() -> str:
    """Write tables of all public functions, those of no group in the last."""
    groups = {title: [name for name in text.split() if name in galmorph.__all__] for title, text in _FUNCTIONS.items()}
    grouped = {name for group in groups.values() for name in group}
    groups[_OTHERS] = [name for name in galmorph.__all__ if name not in grouped]
    head = "```{eval-rst}\n.. autosummary::\n   :toctree: api\n\n"
    tables = {title: "".join(f"   {name}\n" for name in group) for title, group in groups.items() if group}
    return "\n\n".join(f"## {title}\n\n{head}{table}```" for title, table in tables.items())


def install() -> str:
    """Write what an installation takes, from docs/benchmarks/install.json."""
    sizes = json.loads((DOCS / "benchmarks" / "install.json").read_text(encoding="utf-8"))
    plain = sizes["plain"]
    rows: list[tuple[object, ...]] = [("plain", plain["packages"], f"{plain['megabytes']:.0f}", "–")]
    for extra, size in sizes["extras"].items():
        largest = ", ".join(f"{each['name']} {each['megabytes']:.0f}" for each in size["largest"])
        rows.append((f"`[{extra}]`", f"+{size['packages']}", f"+{size['megabytes']:.0f}", largest))
    return _table(("install", "packages", "MB on disk", "largest of what it adds, MB"), rows)


def dependencies() -> str:
    """Write the packages that a plain installation asks for, with what they take."""
    sizes = json.loads((DOCS / "benchmarks" / "install.json").read_text(encoding="utf-8"))
    rows: list[tuple[object, ...]] = [
        (f"`{each['name']}`", f"{each['megabytes']:.0f}", f"{each['with_its_own']:.0f}", each["for"])
        for each in sizes["plain"]["asked_for"]
    ]
    return _table(("package", "MB", "with what it alone brings", "what for"), rows)


def contributing() -> str:
    """Return CONTRIBUTING.md without its title, its links as from here."""
    text = (DOCS.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    return text.partition("\n")[2].replace("](docs/", "](")


def minutes() -> str:
    """Write how long the pages' commands took, from docs/benchmarks/minutes.json."""
    measured = json.loads((DOCS / "benchmarks" / "minutes.json").read_text(encoding="utf-8"))
    rows: list[tuple[object, ...]] = [
        (f"[{page}]({page}.md)", f"{times['install_s']:.0f} s", f"{times['work_s']:.0f} s", times["torch"])
        for page, times in measured["pages"].items()
        if (DOCS / f"{page}.md").exists()
    ]
    return _table(("page", "installing", "everything else", "PyTorch"), rows)


PARTS: dict[str, Callable[[], str]] = {
    each.__name__: each
    for each in (
        checkpoints,
        contributing,
        dependencies,
        envelopes,
        flags,
        functions,
        install,
        minutes,
        options,
        recalls,
        scores,
    )
}


def filled(text: str) -> str:
    """Put what is generated in the place of its marks."""
    return _MARK.sub(lambda mark: PARTS[mark[1]](), text)


def _read(_app: object, _name: str, source: list[str]) -> None:
    source[0] = filled(source[0].replace("](../CONTRIBUTING.md)", "](contributing.md)"))


def _copy_pages(app: Any, failure: Exception | None) -> None:
    """Put the pages of checkpoints beside those of the site."""
    if failure is None and app.builder.format == "html":
        shutil.copytree(DOCS / "checkpoints", Path(app.outdir) / "checkpoints", dirs_exist_ok=True)


def _no_formula(_translator: object, node: Any) -> None:
    raise ValueError(f"a formula, '{node.astext()}', but the site has no script that draws one: write it as text")


def setup(app: Any) -> dict[str, bool]:
    """Tell Sphinx what is made when."""
    (DOCS / "api_functions.rst").write_text(f".. currentmodule:: galmorph\n\n{functions()}", encoding="utf-8")
    app.add_html_math_renderer("none", (_no_formula, None), (_no_formula, None))
    app.connect("source-read", _read)
    app.connect("build-finished", _copy_pages)
    return {"parallel_read_safe": True}
