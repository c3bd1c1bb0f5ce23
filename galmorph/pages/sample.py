"""Sample: galaxies as a network sees them, to look into it with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import CheckpointError, ImageError, SurveyError
from galmorph.learning.scoring import labelled_table
from galmorph.learning.viewed import stamps_of_rows
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.evaluate import evaluate
from galmorph.pages.agreement import Judged
from galmorph.progress import Progress, silent
from galmorph.runs.gather import Gathering
from galmorph.runs.simulated import field_gathering
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageSource
from galmorph.sky.mock import MockField, simulate
from galmorph.stamps.morphometry import MORPHOMETRY

__all__ = ["Sample", "labelled_sample", "simulated_sample"]

FloatArray = npt.NDArray[np.float64]
Single = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

_SIMULATED_ROWS = 80


@dataclass(frozen=True)
class Sample:
    """N galaxies.

    Parameters
    ----------
    stamps
        (N, C, S, S) stretched stamps; of several views the first.
    morphometry
        (N, K) as of :func:`galmorph.stamps.morphometry.morphometry`.
    names
        What to call them.
    conditional
        (N, A) calibrated probabilities given that each question is asked, of all networks and views.
    n_first
        Answers of the first question, which come first.
    rows_up
        Whether the rows of the stamps run upwards, as on FITS images.
    judged
        With their labels; None where there are none.
    scores
        As :func:`galmorph.nets.evaluate.evaluate` gives them; empty without labels.
    stars
        (N,) whether they are simulated stars; None where that is not known.
    """

    stamps: Single
    morphometry: Single
    names: list[str]
    conditional: FloatArray
    n_first: int
    rows_up: bool
    judged: Judged | None = None
    scores: dict[str, Any] | None = None
    stars: npt.NDArray[np.bool_] | None = None


def labelled_sample(
    checkpoint: Checkpoint,
    catalog: Catalog,
    images: ImageSource,
    *,
    split: str,
    rows: int | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> Sample:
    """Show one part of a labelled table to a checkpoint's network.

    Parameters
    ----------
    split
        ``'train'``, ``'validation'``, ``'test'`` or ``'all'``, as the table was divided for training.
    rows
        At most so many rows, drawn by lot.
    seed
        Of the lot.

    Raises
    ------
    PipelineError, SchemeError
        If the part is unknown or empty, or the labels are not the scheme's.
    ImageError
        If no row has an image.
    """
    table = labelled_table(checkpoint, catalog, images, split)
    wanted = table.rows(split)
    if rows is not None:
        wanted = np.sort(np.random.default_rng(seed).permutation(wanted)[:rows])
    stamps, morphometry, conditional, kept = _shown_to(
        checkpoint, table.gathering, wanted, observation=table.observation, progress=progress
    )
    if len(kept) == 0:
        raise ImageError(
            f"none of the {len(wanted)} rows of split '{split}' has an image: expected images of the labelled "
            "galaxies; check --image"
        )
    labels = table.labels.take(kept)
    return Sample(
        stamps,
        morphometry,
        _names(catalog, kept),
        conditional,
        len(checkpoint.scheme.questions[0].answers),
        images.is_linear,
        Judged(checkpoint.scheme, conditional, labels),
        evaluate(conditional, labels, checkpoint.scheme, table.constant),
    )


def _names(catalog: Catalog, rows: npt.NDArray[np.intp]) -> list[str]:
    names = catalog.files if catalog.id_column is None else None
    return [names[row] for row in rows.tolist()] if names else [str(i) for i in catalog.ids[rows].tolist()]


def simulated_sample(checkpoint: Checkpoint, *, seed: int = 0) -> Sample:
    """Simulate a field of the checkpoint's survey and band, and show its sources to the network.

    Raises
    ------
    CheckpointError
        If nothing is written about what that survey's fields look like.
    PipelineError
        If GalSim is not installed.
    """
    envelope = checkpoint.envelope
    band = envelope.band
    try:
        field = simulate(envelope.survey, band, rows=_SIMULATED_ROWS, seed=seed)
    except SurveyError as error:
        raise CheckpointError(
            f"no galaxies can be simulated for checkpoint '{checkpoint.name}' ({error}): leave out --pictures simulated"
        ) from error
    stamps, morphometry, conditional, kept = _field_stamps(checkpoint, field, band)
    kinds = [str(k).replace("_", " ") for k in field.truth["type"]]
    names = [f"{kinds[row]} {row}" for row in kept.tolist()]
    return Sample(
        stamps,
        morphometry,
        names,
        conditional,
        len(checkpoint.scheme.questions[0].answers),
        rows_up=True,
        stars=np.array([kinds[row] == "star" for row in kept.tolist()], bool),
    )


def _shown_to(
    checkpoint: Checkpoint, gathering: Gathering, rows: IntArray, **settings: Any
) -> tuple[Single, Single, FloatArray, IntArray]:
    """Return stamps in their first view, morphometry, answers of all views, (M, A), and the M rows with an image."""
    recipe = checkpoint.recipe
    stamps = [np.zeros((0, recipe.planes, recipe.size, recipe.size), np.float32)]
    measured = [np.zeros((0, len(MORPHOMETRY)), np.float32)]
    conditional, kept = [np.zeros((0, len(checkpoint.scheme.keys)))], [np.zeros(0, np.intp)]
    for batch in stamps_of_rows(checkpoint, gathering, rows, **settings):
        # A copy, lest the other views stay in memory.
        stamps.append(batch.stamps[:, 0].copy())
        measured.append(batch.morphometry)
        conditional.append(checkpoint.answer(batch.stamps, batch.shares, morphometry=batch.morphometry).conditional)
        kept.append(batch.rows)
    return np.concatenate(stamps), np.concatenate(measured), np.concatenate(conditional), np.concatenate(kept)


def _field_stamps(checkpoint: Checkpoint, field: MockField, band: str) -> tuple[Single, Single, FloatArray, IntArray]:
    envelope, half_width = checkpoint.envelope, checkpoint.recipe.half_width_rpet
    with field_gathering(field, envelope.survey, band, half_width) as gathering:
        return _shown_to(checkpoint, gathering, np.arange(len(field.catalog)))
