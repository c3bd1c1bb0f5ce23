"""Experiment: pipelines trained and scored, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galmorph.errors import OutputError, PipelineError, unknown_name
from galmorph.learning.assembly import KeptSets
from galmorph.learning.inputs import Inputs
from galmorph.learning.pipeline import PARTS, Pipeline, split_rows
from galmorph.learning.scoring import evaluate_checkpoint, labels_from, names_of
from galmorph.learning.training import RECORD, Observer, check_record, named_progress, record_of, train, unobserved
from galmorph.nets.architecture.network import NetworkConfig, outline
from galmorph.nets.checkpoint.card import add_to_card, read_card
from galmorph.nets.training.settings import Augmentation, EnsembleSettings
from galmorph.nets.training.start import load_start
from galmorph.progress import Progress, silent
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.images import ImageSource
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe
from galmorph.toml import build

__all__ = ["check_settings", "compare", "least_loss", "open_inputs", "side_by_side", "write_table"]

_SCORES = ("rmse", "signal_explained", "calibration_error")


def compare(
    pipelines: Sequence[Pipeline],
    folder: Path,
    *,
    part: str = "test",
    resume: bool = False,
    device: str = "cpu",
    progress: Progress = silent,
    on_epoch: Observer = unobserved,
) -> Table:
    """Train and score pipelines one after the other, from the inputs that each names.

    Parameters
    ----------
    pipelines
        One or more; their names differ.
    folder
        Receives a folder for each, as of :func:`galmorph.learning.training.train`, and ``comparison.ecsv``.
    part
        Part of the labels that is scored: ``'test'``, or ``'validation'``.
    resume
        Go on where another call was stopped; pipelines that are done stay as they are.
    device, progress, on_epoch
        As for :func:`galmorph.learning.training.train`.

    Returns
    -------
    Table of :func:`side_by_side`.

    Raises
    ------
    PipelineError, SchemeError, CatalogError, CheckpointError, ImageError, OutputError
        Before anything is trained, if settings or inputs of one of them do not fit.
    """
    names = [p.name for p in pipelines]
    if not names or len(set(names)) < len(names):
        raise PipelineError(f"pipelines {', '.join(names)}: expected one or more with names that differ")
    if part not in PARTS:
        raise PipelineError(unknown_name("part", part, PARTS))
    for pipeline in pipelines:
        _check(pipeline, folder / pipeline.name, part, resume=resume)
    cards, kept = {}, KeptSets()
    for pipeline in pipelines:
        cards[pipeline.name] = _one(pipeline, folder / pipeline.name, part, resume, device, progress, on_epoch, kept)
        table = side_by_side(cards, part)
        write_table(table, folder / "comparison.ecsv")
    return table


def open_inputs(pipeline: Pipeline) -> tuple[Catalog, ImageSource]:
    """Open the labels and images that a pipeline names; the caller closes the images."""
    inputs = Inputs.from_dict(pipeline.inputs, pipeline.name)
    return inputs.open(pipeline.images["survey"], pipeline.images["band"])


def check_settings(pipeline: Pipeline) -> None:
    """Refuse settings that mean nothing, before anything is read or trained.

    Raises
    ------
    PipelineError, SchemeError, CheckpointError
        If so.
    """
    recipe, scheme = Recipe.from_dict(pipeline.recipe), load_scheme(pipeline.scheme)
    where = f"pipeline '{pipeline.name}'"
    build(Augmentation, pipeline.augmentation, where, "augmentation").check(recipe)
    config = NetworkConfig.from_dict(pipeline.network)
    outline(config, recipe, scheme)
    if start := build(EnsembleSettings, pipeline.train, where, "train").start:
        load_start(start, config, recipe, scheme)


def _check(pipeline: Pipeline, folder: Path, part: str, *, resume: bool) -> None:
    check_settings(pipeline)
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise OutputError(f"folder '{folder}' is not empty: go on with --resume or choose another with -o")
    check_record(folder, record_of(pipeline))
    catalog, images = open_inputs(pipeline)
    images.close()
    labels = labels_from(catalog, load_scheme(pipeline.scheme), pipeline.fractions)
    parts = split_rows(pipeline.split, names_of(catalog), catalog.table)
    if not ((parts == part) & (labels.totals.max(axis=1) > 0)).any():
        raise PipelineError(
            f"pipeline '{pipeline.name}' leaves no labelled row in the {part} part: change its [split], or score "
            "another part with --split"
        )


def _one(
    pipeline: Pipeline,
    folder: Path,
    part: str,
    resume: bool,
    device: str,
    progress: Progress,
    on_epoch: Observer,
    kept: KeptSets,
) -> Mapping[str, Any]:
    """Train and score a pipeline, unless that is done; return the card."""
    path = folder / f"{pipeline.name}.safetensors"
    if resume and (folder / RECORD).exists() and path.exists():
        card = read_card(path)
        if card.get(part, {}).get("sha256", "") == card.get("sha256"):
            return card
    report = named_progress(progress, pipeline.name)
    catalog, images = open_inputs(pipeline)
    with closing(images):
        made = train(
            catalog,
            images,
            pipeline,
            folder,
            resume=resume,
            device=device,
            progress=report,
            on_epoch=on_epoch,
            kept=kept,
        )
        scores = evaluate_checkpoint(made.checkpoint, catalog, images, part=part, progress=report)
    add_to_card(path.with_suffix(".json"), part, scores)
    return read_card(path)


def least_loss(card: Mapping[str, Any]) -> float:
    """Return the validation loss of the weights that were kept, the mean over the networks of an ensemble."""
    losses = [[float(epoch["validation_loss"]) for epoch in curve] for curve in card["curves"]]
    return float(np.mean([min((v for v in member if np.isfinite(v)), default=np.inf) for member in losses]))


def side_by_side(cards: Mapping[str, Mapping[str, Any]], part: str) -> Table:
    """Lay the scores of checkpoints beside each other.

    Parameters
    ----------
    cards
        By name; each has the scores of the part.

    Returns
    -------
    A row for each measure, of the whole (``question`` is empty), of the answers to all questions pooled, of each
    question and of each class; a column for each checkpoint, NaN where a measure is not one of its.
    """
    columns = {name: _measures(card, part) for name, card in cards.items()}
    # In the order in which they first come up.
    rows = list(dict.fromkeys(key for measures in columns.values() for key in measures))
    table = Table({"question": [r[0] for r in rows], "measure": [r[1] for r in rows]}, meta={"part": part})
    for name, measures in columns.items():
        table[name] = np.array([measures.get(row, np.nan) for row in rows], np.float64)
        table[name].info.format = ".5g"
    return table


def _measures(card: Mapping[str, Any], part: str) -> dict[tuple[str, str], float]:
    scores = card[part]
    found = {("", "weights"): card["weights"], ("", "rows"): scores["rows"], ("", "validation_loss"): least_loss(card)}
    found |= {("", name): scores[name] for name in ("accuracy", "calibration_error") if name in scores}
    found |= {("(pooled)", name): scores["pooled"][name] for name in _SCORES[:2] if name in scores["pooled"]}
    for question, of in scores["questions"].items():
        found |= {(question, name): of[name] for name in ("rows", *_SCORES) if name in of}
    found |= {(key, "recall"): value for key, value in scores.get("recall", {}).items()}
    return {key: np.nan if value is None else float(value) for key, value in found.items()}


def write_table(table: Table, path: Path) -> None:
    """Write a table as ECSV, whole or not at all."""
    with replacing(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
