"""Inspection: one HTML page about a checkpoint, to look at in any browser, also offline and printed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from galmorph.errors import CatalogError, PipelineError, unknown_name
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.card import add_to_card, read_card, read_card_file
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.pages.agreement import Judged
from galmorph.pages.binning import binned
from galmorph.pages.contact import short_names
from galmorph.pages.diagrams import FEW, MOST_DOTS, reliability_diagram, votes_diagram
from galmorph.pages.exhibits import (
    SALIENCY_SIGMA_PX,
    centroid_exhibits,
    examples,
    galaxy_card,
    layer_exhibits,
    liveliest,
    saliency_exhibits,
    unit_exhibits,
)
from galmorph.pages.look import write_page
from galmorph.pages.portrait import portrait
from galmorph.pages.sample import Sample, labelled_sample, simulated_sample
from galmorph.pages.score_tables import score_tables
from galmorph.pages.verdict import verdict_of
from galmorph.progress import Progress, silent
from galmorph.shipped import shipped
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource
from galmorph.sky.outputs import check_outputs

__all__ = ["PICTURES", "check_asked", "check_page", "inspect_checkpoint"]

PICTURES = ("all", "none", "simulated")
"""Which galaxies a page shows: those of the labels, none, or simulated ones."""

_MISTAKES = 24
_CERTAIN = 30


def inspect_checkpoint(
    checkpoint: str | Path,
    catalog: Catalog | None = None,
    images: ImageSource | None = None,
    *,
    output: str | Path,
    split: str | None = None,
    rows: int | None = None,
    pictures: str = "all",
    overwrite: bool = False,
    card: str | Path | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Path:
    """Write one self-contained page about a checkpoint.

    What it is good for and not, since which figures; what it is and how it scored, its losses, layers and first
    filters; with labelled images how probabilities and votes agree (reliability diagrams, confusion matrices, votes
    against probabilities, worst mistakes); and with galaxies what each layer makes of one, what excites units of
    the last layer, and what answers hang on. An ensemble is scored as a whole and looked into by its first network.

    Parameters
    ----------
    checkpoint
        Name or file.
    catalog, images
        Labels and the images of their galaxies; both or none.
    output
        The page if it ends with ``.html``, else a folder for ``NAME.html``, made where it does not exist.
    split
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
    if seed < 0:
        raise PipelineError(f"seed {seed}: expected a whole number from 0; give another --seed")
    check_asked(labels=catalog is not None, images=images is not None, split=split, rows=rows)
    opened = load_checkpoint(checkpoint)
    page = check_page(output, find_checkpoint(checkpoint).stem, overwrite=overwrite)
    if card is not None:
        read_card_file(card)  # rather now than after all the work
    labelled = shown = None
    chosen = split or "validation"
    if catalog is not None and images is not None:
        labelled = labelled_sample(opened, catalog, images, split=chosen, rows=rows, seed=seed, progress=progress)
        shown = labelled if pictures == "all" else None
    if pictures == "simulated":
        shown = simulated_sample(opened, seed=seed)
    inspection = _Inspection(opened, read_card(checkpoint), find_checkpoint(checkpoint), labelled, shown, chosen, seed)
    write_page(page, "inspection.html.j2", inspection.contents(), option="-o", overwrite=overwrite)
    if card is not None:
        add_to_card(card, "page", _link(page, Path(card)))
    return page


def check_asked(*, labels: bool, images: bool, split: str | None, rows: int | None) -> None:
    """Refuse labels without images, images without labels, and what means nothing without either.

    Raises
    ------
    CatalogError, PipelineError
        If so.
    """
    if labels != images:
        present, missing = ("labels", "images") if labels else ("images", "labels")
        raise CatalogError(f"{present} came without {missing}: expected both or none; add the {missing}")
    if split is not None and not labels:
        raise CatalogError(f"split '{split}' was asked for without labels: expected labels and images; add them")
    if rows is not None and rows < 1:
        raise PipelineError(f"{rows} rows were asked for: expected at least 1; give more or leave out --rows")


def check_page(output: str | Path, name: str, *inputs: Any, overwrite: bool) -> Path:
    """Return the path of the page of a checkpoint called `name`, which is none of the inputs; leaves nothing behind.

    Raises
    ------
    OutputError
        If it exists and may not be replaced, or cannot be written.
    """
    path = Path(output)
    page = path if path.suffix.lower() in (".html", ".htm") else path / (re.sub(r"[^\w.-]", "_", name) + ".html")
    check_outputs([page], *inputs, overwrite=overwrite, is_made=True)
    return page


def _link(page: Path, card: Path) -> str:
    """Name a page for a card: from the root of the repository if both lie in it, else from the card's folder."""
    root = shipped("catalogs").parent.resolve()
    here, there = page.resolve(), card.resolve()
    if here.is_relative_to(root) and there.is_relative_to(root):
        return here.relative_to(root).as_posix()
    return Path(os.path.relpath(here, there.parent)).as_posix()


@dataclass(frozen=True)
class _Inspection:
    """All that goes into a page: the checkpoint, its card and file, and galaxies to score and to show."""

    checkpoint: Checkpoint
    card: Mapping[str, Any]
    path: Path
    labelled: Sample | None
    shown: Sample | None
    split: str
    seed: int

    def contents(self) -> dict[str, Any]:
        """Gather what the template shows."""
        scores = self.labelled.scores if self.labelled else None
        judged = self.labelled.judged if self.labelled else None
        scheme, envelope = self.checkpoint.scheme, self.checkpoint.envelope
        return {
            **portrait(self.checkpoint, self.card, self.path),
            "verdict": verdict_of(scheme, envelope, self.card, judged, self.split, seed=self.seed),
            "scores": score_tables(self.checkpoint.scheme, self.card, scores, self.split),
            "split": self.split,
            "rows": len(self.labelled.names) if self.labelled else 0,
            **self._agreement(),
            **self._looks(),
            **self._mistakes(),
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
        nothing: dict[str, Any] = dict.fromkeys(("through", "units", "centroids", "pairs"), ())
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
            "centroids": centroid_exhibits(network, sample, recipe),
            "pairs": list(saliency_exhibits(network, sample, rows, recipe, answers, seed=self.seed))
            if network.learns_by_gradients  # answers of trees have none
            else (),
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


def _observed(judged: Judged) -> str:
    return "share of galaxies" if judged.scheme.kind == "exclusive" else "mean vote fraction"


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
        bins = binned(predicted[:, number], observed[:, number])
        if judged.scheme.kind == "exclusive":
            svg = reliability_diagram(bins, observed="share of galaxies")
        else:
            svg = votes_diagram(bins, predicted[:, number], observed[:, number], seed=seed)
        yield {
            "title": answer.key.rpartition("__")[2].replace("_", " "),
            "svg": svg,
            "galaxies": len(predicted),
            "mean": float(observed[:, number].mean()),
            "predicted": float(predicted[:, number].mean()),
        }
