"""Scoring: checkpoints on labelled rows, divided into parts as they were for training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, SchemeError, unknown_name
from galmorph.learning.calibration import CalibrationSettings, fit_checkpoint, score_viewed
from galmorph.learning.pipeline import PARTS, split_rows
from galmorph.learning.viewed import observation_of, view_rows
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.evaluate import evaluate, mean_fractions
from galmorph.nets.training.settings import Observation
from galmorph.progress import Progress, silent
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource
from galmorph.sky.scheme import Labels, Scheme

__all__ = [
    "LabelledPart",
    "calibrate_checkpoint",
    "evaluate_checkpoint",
    "labelled_part",
    "labels_from",
    "names_of",
]

FloatArray = npt.NDArray[np.float64]


def labels_from(catalog: Catalog, scheme: Scheme, fractions: Mapping[str, Any]) -> Labels:
    """Make labels from a table; with `fractions`, from votes of another scheme.

    Parameters
    ----------
    fractions
        Answer → list of columns whose votes count for it; ``votes`` → the columns whose sum is the number of
        votes. Empty: the table has the scheme's own columns.
    """
    if not fractions:
        return scheme.labels(catalog.table)
    names = [*scheme.keys, "votes"]
    if missing := [n for n in names if n not in fractions]:
        raise PipelineError(f"[fractions] lacks '{missing[0]}': expected one entry each for {', '.join(names)}")
    columns = set(catalog.table.colnames)
    if absent := sorted({c for n in names for c in fractions[n]} - columns):
        raise SchemeError(f"the labels have no column '{absent[0]}', which [fractions] of the pipeline names")

    def votes(name: str) -> npt.NDArray[np.float64]:
        summed: FloatArray = np.sum([np.asarray(catalog.table[c], dtype=np.float64) for c in fractions[name]], axis=0)
        return summed

    total = votes("votes")[:, None]
    counts = np.minimum(np.stack([votes(k) for k in scheme.keys], axis=1), total)
    return Labels(counts, np.repeat(total, len(scheme.keys), axis=1))


def names_of(catalog: Catalog) -> list[str]:
    """Return the names of rows by which they are divided into parts: files, or else ids."""
    return catalog.files or [str(i) for i in catalog.ids]


@dataclass(frozen=True)
class LabelledPart:
    """One part of a labelled table, divided as it was for training.

    Parameters
    ----------
    labels
        Of all rows of the table.
    rows
        Those of the part that have a label.
    constant
        (A,) mean fractions of the training part.
    observation
        How its images are degraded; None for not at all.
    gathering
        Table and images.
    """

    labels: Labels
    rows: npt.NDArray[np.intp]
    constant: FloatArray
    observation: Observation | None
    gathering: Gathering


def evaluate_checkpoint(
    checkpoint: Checkpoint,
    catalog: Catalog,
    images: ImageSource,
    *,
    part: str = "test",
    views: str | None = None,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Score a checkpoint on one part of a labelled table, divided as it was for training.

    Parameters
    ----------
    part
        ``'train'``, ``'validation'``, ``'test'``, or ``'all'``.
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.

    Raises
    ------
    PipelineError
        If the part is unknown or empty, or the views are.
    """
    found = labelled_part(checkpoint, catalog, images, part)
    viewed = view_rows(
        checkpoint, found.gathering, found.rows, observation=found.observation, views=views, progress=progress
    )
    labels = found.labels.take(viewed.rows)
    scores = evaluate(viewed.conditional, labels, checkpoint.scheme, found.constant)
    scores |= score_viewed(checkpoint, viewed, labels)
    seen = checkpoint.recipe.views if views is None else views
    return {"checkpoint": checkpoint.name, "sha256": checkpoint.sha256, "part": part, "views": seen, **scores}


def labelled_part(checkpoint: Checkpoint, catalog: Catalog, images: ImageSource, part: str) -> LabelledPart:
    """Find one part of a labelled table again, as :func:`evaluate_checkpoint` scores it.

    A table with the scheme's own columns, for a checkpoint that learnt from votes of another scheme, is new to it: all
    of its rows are scored, on images as they are, and the constant is their own mean.

    Raises
    ------
    PipelineError
        If the part is unknown or empty.
    """
    if part not in (*PARTS, "all"):
        raise PipelineError(unknown_name("part", part, (*PARTS, "all")))
    foreign = bool(checkpoint.fractions) and checkpoint.scheme.has_columns(catalog.table)
    labels = labels_from(catalog, checkpoint.scheme, {} if foreign else checkpoint.fractions)
    labelled = labels.totals.max(axis=1) > 0
    parts = _parts(checkpoint, catalog, part, foreign=foreign)
    wanted = labelled & ((parts == part) | (part == "all"))
    if not wanted.any():
        raise PipelineError(f"part '{part}' of the labels is empty: the checkpoint's split leaves no row there")
    constant = mean_fractions(labels.take(np.flatnonzero(parts == "train")), checkpoint.scheme)
    gathering = Gathering(catalog, images, checkpoint.recipe.half_width_rpet)
    observation = None if foreign else observation_of(checkpoint)
    return LabelledPart(labels, np.flatnonzero(wanted), constant, observation, gathering)


def _parts(checkpoint: Checkpoint, catalog: Catalog, part: str, *, foreign: bool = False) -> npt.NDArray[np.str_]:
    """Divide rows as for the training; without such a division there is one part, as good as trained on."""
    if checkpoint.split and not foreign:
        return split_rows(checkpoint.split, names_of(catalog), catalog.table)
    if part != "all":
        raise PipelineError(f"checkpoint '{checkpoint.name}' {_without_part(part, foreign=foreign)}")
    return np.full(len(catalog), "train")


def _without_part(part: str, *, foreign: bool) -> str:
    """Say why a table is not divided: it is new to the checkpoint, or several trainings were joined."""
    if foreign:
        return (
            "learnt from votes of another scheme, so that a table with the fractions of its own has no "
            f"{part} part: ask for --split all"
        )
    return (
        f"was joined of some with different splits, so that it has no {part} part: give labels that none of them has "
        "seen, and --split all"
    )


def calibrate_checkpoint(
    checkpoint: Checkpoint,
    catalog: Catalog,
    images: ImageSource,
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
    labels = labels_from(catalog, checkpoint.scheme, checkpoint.fractions)
    parts = _parts(checkpoint, catalog, "validation")
    gathering = Gathering(catalog, images, checkpoint.recipe.half_width_rpet)
    chosen = settings or CalibrationSettings()
    fitted = fit_checkpoint(checkpoint, gathering, labels, parts, chosen, progress=progress)
    constant = mean_fractions(labels.take(np.flatnonzero(parts == "train")), checkpoint.scheme)
    scores = evaluate(fitted.held.conditional, labels.take(fitted.held.rows), checkpoint.scheme, constant)
    kept = {k: v for k, v in (card or {}).items() if k not in (*PARTS, "all")}
    return fitted.checkpoint, {**kept, "validation": scores, "calibration": dict(fitted.about)}
