"""Experiment: pipelines trained and scored, side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table

from galmorph.errors import OutputError, PipelineError, unknown_name
from galmorph.learning.assembly import KeptSets
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.record import RECORD, check_absent, check_record, check_training, read_by, record_of
from galmorph.learning.scoring import evaluate_checkpoint
from galmorph.learning.split import SPLITS
from galmorph.learning.training import Observer, check_settings, named_progress, train, unobserved
from galmorph.nets.checkpoint.card import add_to_card, read_card
from galmorph.progress import Progress, silent
from galmorph.sky.formats.atomic import alone_in, make_folder, replacing
from galmorph.sky.outputs import check_outputs

__all__ = ["compare", "least_loss", "side_by_side", "write_table"]

_TABLE = "comparison.ecsv"
_SCORES = ("rmse", "signal_explained", "calibration_error")


def compare(
    pipelines: Sequence[TrainPipeline],
    folder: Path,
    *,
    split: str = "test",
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
    split
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
    if split not in SPLITS:
        raise PipelineError(unknown_name("split", split, SPLITS))
    check_absent([folder / _TABLE], resume=resume)
    inputs = [(*p.named_inputs(), *read_by(p)) for p in pipelines]
    check_outputs([folder / _TABLE], inputs, overwrite=True, is_made=True)
    for pipeline in pipelines:
        _check(pipeline, folder / pipeline.name, split, resume=resume)
    cards, kept = {}, KeptSets()
    make_folder(folder)
    with alone_in(folder):
        for pipeline in pipelines:
            place = folder / pipeline.name
            cards[pipeline.name] = _one(pipeline, place, split, resume, device, progress, on_epoch, kept)
            table = side_by_side(cards, split)
            write_table(table, folder / _TABLE)
    return table


def _check(pipeline: TrainPipeline, folder: Path, split: str, *, resume: bool) -> None:
    check_settings(pipeline)
    if folder.exists() and any(folder.iterdir()) and not resume:
        raise OutputError(f"folder '{folder}' is not empty: go on with --resume or choose another with -o")
    check_record(folder, record_of(pipeline))
    check_training(folder, pipeline, *pipeline.named_inputs(), resume=resume)
    with opened(*pipeline.named_inputs()) as (catalog, images):
        table = divided(pipeline, catalog, images)
    if not len(table.rows(split)):
        raise PipelineError(
            f"pipeline '{pipeline.name}' leaves no labelled row in the {split} part: change its [split], or score "
            "another part with --split"
        )


def _one(
    pipeline: TrainPipeline,
    folder: Path,
    split: str,
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
        if card.get(split, {}).get("sha256", "") == card.get("sha256"):
            return card
    report = named_progress(progress, pipeline.name)
    with opened(*pipeline.named_inputs()) as (catalog, images):
        run = train(
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
        scores = evaluate_checkpoint(run.checkpoint, catalog, images, split=split, progress=report)
    add_to_card(path.with_suffix(".json"), split, scores)
    return read_card(path)


def least_loss(card: Mapping[str, Any]) -> float:
    """Return the validation loss of the weights that were kept, the mean over the networks of an ensemble."""
    losses = [[float(epoch["validation_loss"]) for epoch in curve] for curve in card["curves"]]
    return float(np.mean([min((v for v in member if np.isfinite(v)), default=np.inf) for member in losses]))


def side_by_side(cards: Mapping[str, Mapping[str, Any]], split: str) -> Table:
    """Lay the scores of checkpoints beside each other.

    Parameters
    ----------
    cards
        By name; each has the scores of the split.

    Returns
    -------
    A row for each measure, of the whole (``question`` is empty), of the answers to all questions pooled, of their
    shares among all people (``(weighted)``), of each
    question and of each class; a column for each checkpoint, NaN where a measure is not one of its.
    """
    columns = {name: _measures(card, split) for name, card in cards.items()}
    # In the order in which they first come up.
    rows = list(dict.fromkeys(key for measures in columns.values() for key in measures))
    table = Table({"question": [r[0] for r in rows], "measure": [r[1] for r in rows]}, meta={"split": split})
    for name, measures in columns.items():
        table[name] = np.array([measures.get(row, np.nan) for row in rows], np.float64)
        table[name].info.format = ".5g"
    return table


def _measures(card: Mapping[str, Any], split: str) -> dict[tuple[str, str], float]:
    scores = card[split]
    overall = {"weights": card["weights"], "rows": scores["rows"], "validation_loss": least_loss(card)}
    measures = {("", name): value for name, value in overall.items()}
    measures |= {("", name): scores[name] for name in ("accuracy", "calibration_error") if name in scores}
    measures |= {("(pooled)", name): scores["pooled"][name] for name in _SCORES[:2] if name in scores["pooled"]}
    measures |= {("(weighted)", name): value for name, value in scores.get("weighted", {}).items()}
    for question, of in scores["questions"].items():
        measures |= {(question, name): of[name] for name in ("rows", *_SCORES) if name in of}
    measures |= {(key, "recall"): value for key, value in scores.get("recall", {}).items()}
    return {key: np.nan if value is None else float(value) for key, value in measures.items()}


def write_table(table: Table, path: Path) -> None:
    """Write a table as ECSV, whole or not at all."""
    with replacing(path) as temporary:
        table.write(temporary, format="ascii.ecsv", overwrite=True)
