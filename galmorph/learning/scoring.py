"""Scoring: checkpoints on labelled rows, divided into parts as they were for training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from galmorph.errors import PipelineError
from galmorph.learning.calibration import fit_checkpoint, score_viewed
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import LabelledTable, divided_again, warn_of_sameness
from galmorph.learning.sections import CalibrationSettings
from galmorph.learning.split import ALL, SPLITS
from galmorph.learning.viewed import view_rows
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.device import resolve_device
from galmorph.nets.evaluate import evaluate
from galmorph.progress import Progress, silent
from galmorph.runs.run_settings import PRECISIONS, Settings
from galmorph.sky.catalog import Catalog
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput, ImageSource

__all__ = ["calibrate_checkpoint", "evaluate_checkpoint", "labelled_table"]


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    catalog: CatalogInput | Catalog,
    images: ImageInput | ImageSource,
    *,
    split: str = "test",
    views: str | None = None,
    precision: str = PRECISIONS[0],
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score a checkpoint on one part of a labelled table, divided as it was for training.

    Parameters
    ----------
    images
        Where they do not say of which survey and band they are, of the checkpoint's.
    split
        ``'train'``, ``'validation'``, ``'test'``, or ``'all'``.
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.
    precision
        In what convolutions are computed: one of :data:`galmorph.runs.run_settings.PRECISIONS`.

    Raises
    ------
    PipelineError
        If the part is unknown or empty or has no image, or the views are unknown.
    CheckpointError
        If the images are of another number of bands, or the precision is unknown or the processor has it not.
    """
    envelope, settings = checkpoint.envelope, Settings(device="cpu", views=views, precision=precision)
    settings.check(network=True)
    resolve_device(settings.device, half=settings.is_half)
    with opened(catalog, images, envelope.survey, envelope.band) as inputs:
        table = labelled_table(checkpoint, *inputs, split)
        rows = table.rows(split)
        viewed = view_rows(
            checkpoint,
            table.gathering,
            rows,
            observation=table.observation,
            views=views,
            half=settings.is_half,
            progress=progress,
        )
    if not len(viewed.rows):
        raise PipelineError(
            f"none of the {len(rows)} rows of part '{split}' has an image: expected the images that the labels are of; "
            "name them with --image, in the table their files in a column 'file'"
        )
    labels = table.labels.take(viewed.rows)
    scores = evaluate(viewed.conditional, labels, checkpoint.scheme, table.constant)
    scores |= score_viewed(checkpoint, viewed, labels)
    averaged = checkpoint.recipe.views if views is None else views
    about = {"checkpoint": checkpoint.name, "sha256": checkpoint.sha256, "split": split, "views": averaged}
    return about | ({"precision": precision} if settings.is_half else {}) | scores


def labelled_table(checkpoint: Checkpoint, catalog: Catalog, images: ImageSource, split: str) -> LabelledTable:
    """Divide a labelled table, as :func:`evaluate_checkpoint` scores it.

    A table with the scheme's own columns, for a checkpoint that learnt from votes of another scheme, is new to it: all
    of its rows are scored, on images as they are, and the constant is their own mean.

    Raises
    ------
    PipelineError
        If the part is unknown or empty.
    """
    is_new = bool(checkpoint.fractions) and checkpoint.scheme.has_columns(catalog.table)
    table = divided_again(checkpoint, catalog, images, split, is_new=is_new)
    if not len(table.rows(split)):
        raise PipelineError(f"part '{split}' of the labels is empty: the checkpoint's split leaves no row there")
    return table


def calibrate_checkpoint(
    checkpoint: Checkpoint,
    catalog: CatalogInput | Catalog,
    images: ImageInput | ImageSource,
    settings: CalibrationSettings | None = None,
    *,
    card: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> tuple[Checkpoint, dict[str, Any]]:
    """Fit calibration, prediction sets and envelope of a checkpoint anew; its networks stay as they are.

    Parameters
    ----------
    catalog, images
        The labels and images that it was trained on: they are divided as they were then. The validation part is what
        is fitted to, the training part says what stamps usually are like, the test part is not read.
    card
        Of the checkpoint as it was.

    Returns
    -------
    The checkpoint and its card, with new entries ``validation`` and ``calibration``, and without the scores of other
    parts, which were not its.

    Raises
    ------
    PipelineError
        If a part is empty or has no image.
    """
    envelope = checkpoint.envelope
    with opened(catalog, images, envelope.survey, envelope.band) as inputs:
        table = divided_again(checkpoint, *inputs, "validation")
        warn_of_sameness(table, "validation", "fitted")
        fitted = fit_checkpoint(checkpoint, table, settings or CalibrationSettings(), progress=progress)
    held = fitted.held
    scores = evaluate(held.conditional, table.labels.take(held.rows), checkpoint.scheme, table.constant)
    kept = {name: entry for name, entry in (card or {}).items() if name not in (*SPLITS, ALL)}
    return fitted.checkpoint, {**kept, "validation": scores, "calibration": dict(fitted.about)}
