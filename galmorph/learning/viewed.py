"""Viewed: rows as a checkpoint sees them, with what was measured of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.flags import UNCLASSIFIABLE
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.nets.training.observation import degrade
from galmorph.nets.training.settings import Observation
from galmorph.progress import Progress, silent
from galmorph.runs.gather import Gathering, gather, views_of
from galmorph.stamps.cutting import stretch_in_place
from galmorph.stamps.morphometry import stacked
from galmorph.stamps.recipe import Recipe, Stamp
from galmorph.stamps.views import Views, read_views
from galmorph.toml import build

__all__ = ["StampBatch", "Viewed", "check_views", "observation_of", "stamps_of_rows", "view_rows"]

FloatArray = npt.NDArray[np.float64]
_TOGETHER = 512


@dataclass(frozen=True)
class Viewed:
    """M rows that have an image.

    Parameters
    ----------
    rows
        Their numbers in the catalogue.
    conditional
        (M, A) probabilities given that a question is asked.
    features
        (M, F) what the network's last dense layer sees.
    snr, rpet_px, scale_arcsec
        As measured on their images, not on degraded ones; NaN where unknown.
    """

    rows: npt.NDArray[np.intp]
    conditional: FloatArray
    features: FloatArray
    snr: FloatArray
    rpet_px: FloatArray
    scale_arcsec: FloatArray


def observation_of(checkpoint: Checkpoint) -> Observation | None:
    """Return how the training images had been degraded to another survey; None if they had not."""
    if not checkpoint.observation:
        return None
    return build(Observation, checkpoint.observation, f"checkpoint '{checkpoint.name}'", "observation")


def check_views(views: Views, observation: Observation | None) -> None:
    """Refuse several views of degraded images.

    Raises
    ------
    PipelineError
        Each view would have noise of its own, whose average is less.
    """
    if observation is not None and len(views) > 1:
        raise PipelineError(
            f"{len(views)} views of images that are degraded to another survey: expected views = 'one', since each "
            "view would have noise of its own; leave out the views or the observation"
        )


def view_rows(
    checkpoint: Checkpoint,
    gathering: Gathering,
    rows: npt.NDArray[np.intp],
    *,
    observation: Observation | None = None,
    device: str = "cpu",
    views: str | None = None,
    half: bool = False,
    progress: Progress = silent,
) -> Viewed:
    """Show some rows to a checkpoint's network, optionally degraded to another survey.

    Parameters
    ----------
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.
    half
        Whether convolutions are computed in bfloat16.

    Raises
    ------
    PipelineError
        If several views are asked of degraded images.
    """
    answers = [checkpoint.answer(np.zeros((0, 1, *_shape(checkpoint.recipe)), np.float32))]
    kept = [np.zeros((4, 0))]
    batches = stamps_of_rows(checkpoint, gathering, rows, observation=observation, views=views, progress=progress)
    for batch in batches:
        each = checkpoint.answer(batch.stamps, batch.shares, morphometry=batch.morphometry, device=device, half=half)
        answers.append(each)
        kept.append(np.stack([batch.rows.astype(np.float64), batch.snr, batch.rpet_px, batch.scale_arcsec]))
    columns = np.concatenate(kept, axis=1)
    answers = answers[1:] or answers
    conditional, features = (
        np.concatenate(part) for part in zip(*((f.conditional, f.features) for f in answers), strict=True)
    )
    return Viewed(columns[0].astype(np.intp), conditional, features, *columns[1:])


def _shape(recipe: Recipe) -> tuple[int, int, int]:
    return recipe.planes, recipe.size, recipe.size


@dataclass(frozen=True)
class StampBatch:
    """Stretched stamps of some galaxies, ready for a network.

    Parameters
    ----------
    stamps
        (N, V, C, S, S), the first view of each galaxy first.
    shares
        Weight of each view, (V,).
    rows
        Of the catalogue, (N,).
    snr, rpet_px, scale_arcsec
        As measured on their images, not on degraded ones, (N,); NaN where unknown.
    morphometry
        (N, K) as of :func:`galmorph.stamps.morphometry.morphometry`.
    """

    stamps: npt.NDArray[np.float32]
    shares: FloatArray
    rows: npt.NDArray[np.intp]
    snr: FloatArray
    rpet_px: FloatArray
    scale_arcsec: FloatArray
    morphometry: npt.NDArray[np.float32]


def stamps_of_rows(
    checkpoint: Checkpoint,
    gathering: Gathering,
    rows: npt.NDArray[np.intp],
    *,
    observation: Observation | None = None,
    views: str | None = None,
    progress: Progress = silent,
) -> Iterator[StampBatch]:
    """Cut the stamps of those rows that have an image; the arguments and errors as for :func:`view_rows`."""
    wanted = read_views(checkpoint.recipe.views if views is None else views)
    check_views(wanted, observation)
    matrices, shares = checkpoint.distinct_views(wanted)
    waiting: list[Stamp] = []
    kept: list[tuple[int, float, float, float]] = []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        progress("predicting", done, len(rows))
        if galaxy.measured is None or galaxy.cutout is None or galaxy.flags & UNCLASSIFIABLE:
            continue
        waiting.append(views_of(galaxy, gathering.images, checkpoint.recipe, matrices))
        kept.append((galaxy.row, galaxy.measured.snr, galaxy.measured.rpet_px, galaxy.cutout.scale_arcsec))
        # The noise that degrades images is drawn for all of them at once.
        if observation is None and len(waiting) * len(shares) >= _TOGETHER:
            yield _batch(waiting, _stretched(waiting, checkpoint.recipe, None), shares, kept)
            waiting, kept = [], []
    if waiting:
        yield _batch(waiting, _stretched(waiting, checkpoint.recipe, observation), shares, kept)


def _batch(
    stamps: Sequence[Stamp],
    stretched: npt.NDArray[np.float32],
    shares: FloatArray,
    kept: list[tuple[int, float, float, float]],
) -> StampBatch:
    rows, snr, rpet_px, scale_arcsec = np.array(kept, dtype=np.float64).T
    morphometry = stacked([stamp.morphometry for stamp in stamps])
    return StampBatch(stretched, shares, rows.astype(np.intp), snr, rpet_px, scale_arcsec, morphometry)


def _stretched(stamps: list[Stamp], recipe: Recipe, observation: Observation | None) -> npt.NDArray[np.float32]:
    """Stretch stamps with views, perhaps degraded as a whole, to (N, V, C, S, S)."""
    pixels, scale = np.stack([stamp.pixels for stamp in stamps]), np.array([stamp.brightness for stamp in stamps])
    if observation is not None:
        degraded = degrade(pixels[:, 0], scale, observation, recipe.half_width_rpet, seed=len(stamps))
        pixels = np.ascontiguousarray(degraded[:, None], np.float32)
        scale = np.ones(len(stamps))
    stretch_in_place(pixels, scale, recipe)
    return pixels
