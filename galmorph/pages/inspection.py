"""Inspection: one HTML page about a checkpoint, to look at in any browser, also offline and printed."""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

import galmorph
from galmorph.errors import CatalogError, OutputError, PipelineError, unknown_name
from galmorph.nets.architecture.network import members_of, n_weights, outline, shares_of
from galmorph.nets.checkpoint.card import add_to_card, read_card, read_card_file
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.nets.checkpoint.shelf import find_checkpoint
from galmorph.pages.agreement import Judged, binned
from galmorph.pages.contact import colour_of, short_names
from galmorph.pages.curves import FEW, MOST_DOTS, loss_curves, reliability_diagram, votes_diagram
from galmorph.pages.exhibits import (
    SALIENCY_SIGMA_PX,
    examples,
    filter_exhibits,
    galaxy_card,
    layer_exhibits,
    liveliest,
    saliency_exhibits,
    unit_exhibits,
)
from galmorph.pages.figures import count_text
from galmorph.pages.sample import Sample, labelled_sample, simulated_sample
from galmorph.progress import Progress, silent
from galmorph.shipped import shipped
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.images import ImageSource
from galmorph.stamps.views import read_views

__all__ = ["PICTURES", "check_asked", "check_page", "inspect_checkpoint"]

PICTURES = ("all", "none", "simulated")
"""Which galaxies a page shows: those of the labels, none, or simulated ones."""

_PAGES = Path(__file__).parent / "templates"
_MISTAKES = 24
_CERTAIN = 30
_SCORES = (
    ("rows", "galaxies"),
    ("signal_explained", "signal explained"),
    ("rmse", "RMSE"),
    ("constant", "RMSE of the mean"),
    ("floor", "floor of the votes"),
    ("accuracy", "accuracy"),
    ("calibration_error", "calibration error"),
    ("coverage", "coverage of the sets"),
)


def inspect_checkpoint(
    checkpoint: str | Path,
    catalog: Catalog | None = None,
    images: ImageSource | None = None,
    *,
    output: str | Path,
    part: str | None = None,
    rows: int | None = None,
    pictures: str = "all",
    overwrite: bool = False,
    card: str | Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Path:
    """Write one self-contained page about a checkpoint.

    What it is and how it scored, its losses, layers and first filters; with labelled images how probabilities and
    votes agree (reliability diagrams, confusion matrices, votes against probabilities, worst mistakes); and with
    galaxies what each layer makes of one, what excites units of the last layer, and what answers hang on. An ensemble
    is scored as a whole and looked into by its first network.

    Parameters
    ----------
    checkpoint
        Name or file.
    catalog, images
        Labels and the images of their galaxies; both or none.
    output
        The page if it ends with ``.html``, else a folder for ``NAME.html``, made where it does not exist.
    part
        ``'train'``, ``'validation'`` (default), ``'test'`` or ``'all'`` of the labels, divided as for training.
    rows
        At most so many galaxies of the part, drawn by lot; it holds all their stamps in memory.
    pictures
        ``'all'`` shows galaxies of the labels; ``'none'`` shows none, and names the worst mistakes; so does
        ``'simulated'``, which shows those of a field that is simulated for the checkpoint's survey and band. That needs
        GalSim but no labels.
    overwrite
        Whether an earlier page may be replaced.
    card
        The page is entered into this card of the checkpoint.
    seed
        Of all that is drawn by lot. The same seed gives the same page.
    progress
        Called with what is going on, the number done, the number in all, and a remark.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    CheckpointError
        If there is no such checkpoint or card, or none of its survey can be simulated.
    CatalogError
        If labels come without images, or images or a part without labels.
    PipelineError, SchemeError, ImageError
        If the part is unknown or empty, or labels or images do not fit.
    OutputError
        If the page exists and may not be replaced, or cannot be written.
    """
    if pictures not in PICTURES:
        raise PipelineError(unknown_name("choice of pictures", pictures, PICTURES))
    check_asked(labels=catalog is not None, images=images is not None, part=part, rows=rows)
    opened = load_checkpoint(checkpoint)
    page = check_page(output, find_checkpoint(checkpoint).stem, overwrite=overwrite)
    if card is not None:
        read_card_file(card)  # rather now than after all the work
    labelled = shown = None
    chosen = part or "validation"
    if catalog is not None and images is not None:
        labelled = labelled_sample(opened, catalog, images, part=chosen, rows=rows, seed=seed, progress=progress)
        shown = labelled if pictures == "all" else None
    if pictures == "simulated":
        shown = simulated_sample(opened, seed=seed)
    inspection = _Inspection(opened, read_card(checkpoint), find_checkpoint(checkpoint), labelled, shown, chosen, seed)
    _write(page, inspection.contents())
    if card is not None:
        add_to_card(card, "page", _link(page, Path(card)))
    return page


def check_asked(*, labels: bool, images: bool, part: str | None, rows: int | None) -> None:
    """Refuse labels without images, images without labels, and what means nothing without either.

    Raises
    ------
    CatalogError, PipelineError
        If so.
    """
    if labels != images:
        given, missing = ("labels", "images") if labels else ("images", "labels")
        raise CatalogError(f"{given} came without {missing}: expected both or none; add the {missing}")
    if part is not None and not labels:
        raise CatalogError(f"part '{part}' was asked for without labels: expected labels and images; add them")
    if rows is not None and rows < 1:
        raise PipelineError(f"{rows} rows were asked for: expected at least 1; give more or leave out --rows")


def check_page(output: str | Path, name: str, *, overwrite: bool) -> Path:
    """Return the path of the page of a checkpoint called `name`; leaves nothing behind.

    Raises
    ------
    OutputError
        If it exists and may not be replaced, or cannot be written.
    """
    path = Path(output)
    page = path if path.suffix.lower() in (".html", ".htm") else path / (re.sub(r"[^\w.-]", "_", name) + ".html")
    try:
        taken = page.is_dir() or (page.exists() and not overwrite)
        root = next(p for p in (page.parent, *page.absolute().parents) if p.exists())
        tempfile.TemporaryDirectory(prefix=".galmorph-", dir=root).cleanup()
    except OSError as error:
        raise _unwritable(page, error) from error
    if taken:
        raise OutputError(f"page '{page}' exists already: expected none; choose another with -o or --overwrite")
    return page


def _unwritable(page: Path, error: OSError) -> OutputError:
    return OutputError(
        f"page '{page}' cannot be written ({error.strerror}): expected a place for a file; choose another with -o"
    )


def _link(page: Path, card: Path) -> str:
    """Name a page for a card: from the root of the repository if both lie in it, else from the card's folder."""
    root = shipped("catalogs").parent.resolve()
    here, there = page.resolve(), card.resolve()
    if here.is_relative_to(root) and there.is_relative_to(root):
        return here.relative_to(root).as_posix()
    return Path(os.path.relpath(here, there.parent)).as_posix()


def _write(page: Path, contents: Mapping[str, Any]) -> None:
    # autoescape: names in catalogues and cards may hold anything, also HTML.
    pages = Environment(
        loader=FileSystemLoader(_PAGES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["count"] = count_text
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(page, error) from error
    with replacing(page) as temporary, open(temporary, "w", encoding="utf-8", errors="replace") as stream:
        stream.writelines(pages.get_template("inspection.html.j2").stream(**contents))


@dataclass(frozen=True)
class _Inspection:
    """All that goes into a page: the checkpoint, its card and file, and galaxies to score and to show."""

    checkpoint: Checkpoint
    card: Mapping[str, Any]
    path: Path
    labelled: Sample | None
    shown: Sample | None
    part: str
    seed: int

    def contents(self) -> dict[str, Any]:
        """Gather what the template shows."""
        made, first = self.checkpoint, members_of(self.checkpoint.network)[0]
        layers, _ = outline(made.config, made.recipe, made.scheme)
        return {
            "version": galmorph.__version__,
            "checkpoint": made,
            "scheme": made.scheme,
            "title": str(self.card.get("title", made.scheme.title)),
            "tiles": self._tiles(),
            "facts": self._facts(),
            "settings": self._settings(),
            "scores": self._scores(),
            "losses": self._losses(),
            "layers": layers,
            "total": n_weights(first),
            "members": len(members_of(made.network)),
            "alike": all(member.config == first.config for member in members_of(made.network)),
            "filters": filter_exhibits(first),
            "symmetric": any(shape.square for _, shape in first.outline),
            "part": self.part,
            "rows": len(self.labelled.names) if self.labelled else 0,
            "answers": short_names(made.scheme),
            **self._agreement(),
            **self._looks(),
            **self._mistakes(),
        }

    def _tiles(self) -> list[tuple[str, str]]:
        rows = self.card.get("rows", {}).get("train")
        found = [("weights", count_text(n_weights(self.checkpoint.network)))]
        found += [("training galaxies", count_text(int(rows)))] if isinstance(rows, int) else []
        for part in ("test", "validation"):
            scores = self.card.get(part, {})
            if "accuracy" in scores:
                return [*found, (f"right on the {part} part", f"{100 * scores['accuracy']:.1f}\u202f%")]
            first = scores.get("questions", {}).get(self.checkpoint.scheme.questions[0].name, {})
            if "signal_explained" in first:
                return [*found, (f"signal explained, first question, {part} part", f"{first['signal_explained']:.2f}")]
        return found

    def _facts(self) -> list[tuple[str, str]]:
        made, recipe, envelope = self.checkpoint, self.checkpoint.recipe, self.checkpoint.envelope
        views = len(read_views(recipe.views))
        low, high = envelope.snr
        names = {"fill": "replaced by the galaxy's own profile and noise", "keep": "kept"}
        planes = f"{recipe.planes} plane{'s' if recipe.planes > 1 else ''}"
        stamps = (
            f"{recipe.size} x {recipe.size} pixels, {planes}, reaching {recipe.half_width_rpet:g} Petrosian radii; "
            f"{recipe.stretch} stretch; neighbours {names[recipe.neighbours]}"
        )
        return [
            ("Trained on", str(self.card.get("data") or "not said")),
            (
                "Labels",
                f"{made.scheme.title} ({made.scheme.name}, {len(made.scheme.keys)} answers, {made.scheme.kind})",
            ),
            (
                "Images",
                f"{envelope.survey or 'unknown survey'} {' '.join(envelope.bands)}, {envelope.scale_arcsec:g}″/pixel",
            ),
            ("Signal-to-noise ratio of the training galaxies", f"{_ratio(low)} to {_ratio(high)}"),
            ("Stamps", stamps),
            ("Network", self._networks()),
            ("Views", f"{recipe.views} ({views})" if views != 1 else "one view of each galaxy"),
            ("Temperatures", ", ".join(f"{t:.2f}" for t in made.temperatures)),
            ("Trained", str(self.card.get("trained", "not said"))),
            ("Version", made.version),
            ("File", f"{self.path.name}, {self.path.stat().st_size / 1e6:.1f} MB"),
            ("Its SHA-256", made.sha256),
        ]

    def _networks(self) -> str:
        """Name the networks with their shares, and say how they treat flips and quarter turns."""
        members = members_of(self.checkpoint.network)
        shares = [f"{share:.2f}" for share in shares_of(self.checkpoint.network)]
        names = list(dict.fromkeys(member.config.name or "unnamed" for member in members))
        seen = {
            "invariant to flips and quarter turns"
            if member.invariant and member.views != "eight"
            else "averaged over eight orientations"
            if member.views == "eight"
            else "one orientation"
            for member in members
        }
        text = f"{' + '.join(names)}, {' or '.join(sorted(seen))}"
        if len(members) == 1:
            return text
        weights = f" with weights {', '.join(shares)}" if len(set(shares)) > 1 else ""
        return f"ensemble of {len(members)}{weights}: {text}"

    def _settings(self) -> list[tuple[str, str]]:
        """List the settings of the training that the card has, but for the network and the recipe."""
        made, given = self.checkpoint, dict(self.card.get("settings", {}))
        given.update({"recipe": made.recipe.to_dict(), "split": dict(made.split)})
        given.pop("network", None)
        rows = self.card.get("rows", {})
        found = [("galaxies", ", ".join(f"{part} {count_text(int(n))}" for part, n in rows.items()))] if rows else []
        return found + [(name, _plain(values)) for name, values in given.items() if values]

    def _scores(self) -> list[dict[str, Any]]:
        """Make a table for each part: a row for each question and one for all together."""
        parts = [(p, f"{p.capitalize()} part", self.card[p]) for p in ("validation", "test") if self.card.get(p)]
        questions = [(q.name, q.title) for q in self.checkpoint.scheme.questions]
        found = [{"part": p, "title": title, "again": False, **_table(s, questions)} for p, title, s in parts]
        if self.labelled is None or not self.labelled.scores:
            return found
        here = _table(self.labelled.scores, questions)
        for table in found:
            if table["part"] == self.part and table["rows"] == here["rows"]:
                table["again"] = True
                return found
        return [*found, {"part": "", "title": f"{self.part.capitalize()} part, for this page", "again": False, **here}]

    def _losses(self) -> dict[str, Any] | None:
        curves = self.card.get("curves") or []
        if curves and isinstance(curves[0], Mapping):
            curves = [curves]  # a single network of earlier versions
        if not curves or not all(curves):
            return None
        best = [min(member, key=lambda e: e["validation_loss"]) for member in curves]
        return {
            "svg": loss_curves(curves),
            "members": [
                {"colour": colour_of(i), "epochs": len(member), "best": b["epoch"], "loss": b["validation_loss"]}
                for i, (member, b) in enumerate(zip(curves, best, strict=True))
            ],
        }

    def _agreement(self) -> dict[str, Any]:
        nothing: dict[str, Any] = {"reliability": [], "confusions": [], "votes": [], "most_dots": MOST_DOTS, "few": FEW}
        if self.labelled is None or self.labelled.judged is None:
            return nothing
        judged = self.labelled.judged
        questions = [(n, q) for n, q in enumerate(judged.scheme.questions) if judged.counted(n).any()]
        return nothing | {
            "reliability": [
                {
                    "title": q.title,
                    "svg": reliability_diagram(judged.reliability(n), observed=_observed(judged)),
                    "galaxies": int(judged.counted(n).sum()),
                }
                for n, q in questions
            ],
            "confusions": [_confusion(judged, n) for n, _ in questions],
            "votes": [{"title": q.title, "panels": list(_panels(judged, n, self.seed))} for n, q in questions],
        }

    def _looks(self) -> dict[str, Any]:
        """Show galaxies: what layers, units and answers make of them."""
        nothing: dict[str, Any] = dict.fromkeys(("through", "units", "pairs"), ())
        nothing |= {"galaxy": None, "simulated": False, "smoothed": SALIENCY_SIGMA_PX}
        sample, recipe, answers = self.shown, self.checkpoint.recipe, short_names(self.checkpoint.scheme)
        if sample is None or len(sample.names) == 0:
            return nothing
        network = members_of(self.checkpoint.network)[0]
        by_answer = examples(sample)
        rows = [row for some in by_answer for row in some] or [0]
        galaxy = liveliest(network, sample, rows)
        return nothing | {
            "simulated": sample.judged is None,
            "galaxy": sample.names[galaxy],
            "galaxy_answer": answers[int(sample.conditional[galaxy, : len(answers)].argmax())],
            "through": list(layer_exhibits(network, sample, galaxy, recipe)),
            "units": unit_exhibits(network, sample, recipe, answers),
            "pairs": list(saliency_exhibits(network, sample, rows, recipe, answers, seed=self.seed)),
        }

    def _mistakes(self) -> dict[str, Any]:
        """List the galaxies that are judged worst; those that are shown with their stamps, and the best ones too."""
        sample, recipe = self.labelled, self.checkpoint.recipe
        if sample is None or sample.judged is None:
            return {"worst": (), "certain": (), "wrong": 0, "pictured": False}
        pictured = self.shown is sample
        per_answer = max(2, _CERTAIN // len(short_names(self.checkpoint.scheme)))
        certain = [row for some in sample.judged.best(per_answer) for row in some] if pictured else []
        return {
            "worst": [galaxy_card(sample, row, recipe, pictured=pictured) for row in sample.judged.worst(_MISTAKES)],
            "certain": [galaxy_card(sample, row, recipe) for row in certain],
            "wrong": int(((sample.judged.truth >= 0) & (sample.judged.truth != sample.judged.likeliest)).sum()),
            "pictured": pictured,
        }


def _ratio(value: float) -> str:
    return count_text(round(value)) if np.isfinite(value) else "any"


def _plain(values: Any) -> str:
    """Write settings in words: ``name value, name value``."""
    if isinstance(values, Mapping):
        return ", ".join(f"{k} {_plain(v)}" for k, v in values.items())
    if isinstance(values, list | tuple):
        return json.dumps(values) if values and not isinstance(values[0], str) else " + ".join(map(str, values))
    return str(values).lower() if isinstance(values, bool | None) else str(values)


def _observed(judged: Judged) -> str:
    return "share of galaxies" if judged.scheme.kind == "exclusive" else "mean vote fraction"


def _number(value: Any, name: str) -> str:
    if isinstance(value, Mapping):  # by class or bin, with that of all
        value = next((value[k] for k in ("all", "overall", "mean") if k in value), None)
    if not isinstance(value, int | float) or np.isnan(value) or (name == "floor" and value == 0):
        return "–"
    return count_text(int(value)) if name == "rows" else f"{value:.3f}".replace("-", "−")


def _table(scores: Mapping[str, Any], questions: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Lay out the scores of one part; columns that nothing has are left out."""
    by_question = {name: scores.get("questions", {}).get(name, {}) for name, _ in questions}
    if len(questions) == 1:  # what holds for the class as a whole holds for the only question
        overall = {k: scores[k] for k in ("accuracy", "coverage") if k in scores}
        by_question = {name: {**overall, **found} for name, found in by_question.items()}
    rows = [(title, by_question[name]) for name, title in questions if by_question[name].get("rows")]
    if len(questions) > 1 and scores.get("pooled"):
        rows.append(("all answers together", {"rows": scores.get("rows"), **scores["pooled"]}))
    columns = [(key, title) for key, title in _SCORES if any(_number(s.get(key), key) != "–" for _, s in rows)]
    return {
        "columns": [title for _, title in columns],
        "rows": [(title, [_number(s.get(key), key) for key, _ in columns]) for title, s in rows],
    }


def _confusion(judged: Judged, question: int) -> dict[str, Any]:
    counts = judged.confusion(question)
    totals = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    shares = counts / totals
    asked = judged.scheme.questions[question]
    names = [a.key.rpartition("__")[2].replace("_", " ") for a in asked.answers]
    return {
        "title": asked.title,
        "names": names,
        "right": float(np.trace(counts) / max(int(counts.sum()), 1)),
        "galaxies": int(counts.sum()),
        "rows": [
            {
                "name": name,
                "total": int(counts[i].sum()),
                "cells": list(zip(counts[i].tolist(), shares[i].tolist(), strict=True)),
            }
            for i, name in enumerate(names)
        ],
    }


def _panels(judged: Judged, question: int, seed: int) -> Iterator[dict[str, Any]]:
    """Draw a diagram for each answer: votes against probabilities, or for classes the share that is right."""
    predicted, observed = judged.answers(question)
    for number, answer in enumerate(judged.scheme.questions[question].answers):
        found = binned(predicted[:, number], observed[:, number])
        if judged.scheme.kind == "exclusive":
            svg = reliability_diagram(found, observed="share of galaxies")
        else:
            svg = votes_diagram(found, predicted[:, number], observed[:, number], seed=seed)
        yield {
            "title": answer.key.rpartition("__")[2].replace("_", " "),
            "svg": svg,
            "galaxies": len(predicted),
            "mean": float(observed[:, number].mean()),
            "predicted": float(predicted[:, number].mean()),
        }
