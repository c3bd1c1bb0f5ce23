"""Teaching: what a checkpoint answers of training galaxies without a label, as votes that another learns from."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.learning.labelled_table import LabelledTable, names_of
from galmorph.learning.pipeline import TrainPipeline
from galmorph.learning.split import named_by, read_split, settled
from galmorph.learning.viewed import view_rows
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.progress import Progress
from galmorph.runs.gather import Gathering
from galmorph.sky.scheme import Labels, Scheme, load_scheme

__all__ = ["Lessons", "as_votes", "load_teacher", "taught"]

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Lessons:
    """Labels of people and, where there are none, of a teacher.

    Parameters
    ----------
    table
        With the votes of both; only the training part has any of the teacher's.
    about
        What a card says of the teacher; empty for none.
    """

    table: LabelledTable
    about: Mapping[str, Any]


def load_teacher(pipeline: TrainPipeline) -> Checkpoint | None:
    """Load the checkpoint that a pipeline's ``[teacher]`` names; None for none.

    Raises
    ------
    CheckpointError
        If there is no such checkpoint.
    PipelineError
        If its answers are not those that the pipeline learns.
    """
    if pipeline.teacher is None:
        return None
    teacher, scheme = load_checkpoint(pipeline.teacher.checkpoint), load_scheme(pipeline.scheme)
    if (teacher.scheme.keys, teacher.scheme.kind) != (scheme.keys, scheme.kind):
        raise PipelineError(
            f"teacher '{teacher.name}' answers by scheme '{teacher.scheme.name}': expected '{scheme.name}', that of "
            f"pipeline '{pipeline.name}'; name a checkpoint with its answers"
        )
    return teacher


def taught(
    table: LabelledTable,
    pipeline: TrainPipeline,
    teacher: Checkpoint | None,
    *,
    device: str = "cpu",
    progress: Progress,
) -> Lessons:
    """Add the answers of a teacher to the rows of the training part that have an image, but no label.

    Hinton et al. 2015, arXiv:1503.02531: probabilities teach more than the likeliest answer would.

    Parameters
    ----------
    teacher
        From :func:`load_teacher`.
    """
    if teacher is None or pipeline.teacher is None:
        return Lessons(table, {})
    _warn_of_held_out(table, teacher)
    rows = np.flatnonzero(~table.is_labelled & (table.splits == "train"))
    catalog, images = table.gathering.catalog, table.gathering.images
    gathering = Gathering(catalog, images, teacher.recipe.half_width_rpet)
    viewed = view_rows(teacher, gathering, rows, observation=table.observation, device=device, progress=progress)
    votes = pipeline.teacher.votes
    labels = as_votes(viewed.conditional, teacher.scheme, votes)
    counts, totals = table.labels.counts.copy(), table.labels.totals.copy()
    counts[viewed.rows], totals[viewed.rows] = labels.counts, labels.totals
    about = {"name": teacher.name, "sha256": teacher.sha256, "votes": votes, "rows": len(viewed.rows)}
    return Lessons(replace(table, labels=Labels(counts, totals)), about)


def as_votes(conditional: npt.NDArray[np.float64], scheme: Scheme, votes: float) -> Labels:
    """Turn probabilities, (N, A), into as many votes; few are asked what seldom comes up."""
    counts = votes * scheme.marginals(conditional)
    return Labels(counts, np.full_like(counts, votes) if scheme.kind == "independent" else scheme.totals(counts))


def _warn_of_held_out(table: LabelledTable, teacher: Checkpoint) -> None:
    """Say so where a teacher may have learnt from the labels of galaxies that are held out here."""
    named = named_by(table.split) if table.split is not None else ""
    names = names_of(table.gathering.catalog, table.gathering.images, named)
    labelled = [names[row] for row in np.flatnonzero(table.is_labelled).tolist()]
    what = f"teacher '{teacher.name}'"
    if teacher.split and settled(read_split(teacher.split, what), labelled, named) == table.split:
        return
    log.warning(
        "teacher '%s' learnt by another division of its labels: where these are the same galaxies, what it says may "
        "give away what is held out, and scores come out too good",
        teacher.name,
    )
