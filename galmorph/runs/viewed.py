"""Viewed: rows as a checkpoint sees them, with what was measured of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError
from galmorph.flags import UNCLASSIFIABLE
from galmorph.nets.augment import Augmentation, Observation, degrade
from galmorph.nets.checkpoint import Answers, Checkpoint
from galmorph.runs.gather import Gathering, gather, views_of
from galmorph.stamps.recipe import Stamp, stretch
from galmorph.stamps.views import Views, read_views

__all__ = ["Viewed", "check_views", "observation_of", "view_rows"]

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[str, int, int, str], None]
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
    return Augmentation.from_dict({"observation": checkpoint.observation}).observation


def check_views(seen: Views, observation: Observation | None) -> None:
    """Refuse several views of degraded images.

    Raises
    ------
    PipelineError
        Each view would have noise of its own, whose average is less.
    """
    if observation is not None and len(seen) > 1:
        raise PipelineError(
            f"{len(seen)} views of images that are degraded to another survey: expected views = 'one', since each view "
            "would have noise of its own; leave out the views or the observation"
        )


def view_rows(
    checkpoint: Checkpoint,
    gathering: Gathering,
    rows: npt.NDArray[np.intp],
    *,
    observation: Observation | None = None,
    device: str = "cpu",
    views: str | None = None,
    progress: Progress | None = None,
) -> Viewed:
    """Show some rows to a checkpoint's network, optionally degraded to another survey.

    Parameters
    ----------
    views
        Over which probabilities are averaged; by default as the checkpoint's recipe says.

    Raises
    ------
    PipelineError
        If several views are asked of degraded images.
    """
    seen = read_views(checkpoint.recipe.views if views is None else views)
    check_views(seen, observation)
    matrices, shares = checkpoint.seen(seen)
    found: list[Answers] = []
    waiting: list[Stamp] = []
    kept: list[tuple[int, float, float, float]] = []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        if progress is not None:
            progress("predicting", done, len(rows), "")
        if galaxy.measured is None or galaxy.cutout is None or galaxy.flags & UNCLASSIFIABLE:
            continue
        waiting.append(views_of(galaxy, gathering.images, checkpoint.recipe, matrices, warp=checkpoint.warp))
        kept.append((galaxy.row, galaxy.measured.snr, galaxy.measured.rpet_px, galaxy.cutout.scale_arcsec))
        # The noise that degrades images is drawn for all of them at once.
        if observation is None and len(waiting) * len(shares) >= _TOGETHER:
            found.append(_answers(checkpoint, waiting, shares, None, device))
            waiting = []
    if waiting or not found:
        found.append(_answers(checkpoint, waiting, shares, observation, device))
    columns = np.array(kept, dtype=np.float64).reshape(-1, 4).T
    conditional, features = (
        np.concatenate(part) for part in zip(*((f.conditional, f.features) for f in found), strict=True)
    )
    return Viewed(columns[0].astype(np.intp), conditional, features, *columns[1:])


def _answers(
    checkpoint: Checkpoint, stamps: list[Stamp], shares: FloatArray, observation: Observation | None, device: str
) -> Answers:
    """Predict from stamps with views, perhaps degraded as a whole."""
    recipe = checkpoint.recipe
    if not stamps:
        return checkpoint.answer(np.zeros((0, len(shares), recipe.planes, recipe.size, recipe.size), np.float32))
    pixels, scale = np.stack([stamp.pixels for stamp in stamps]), np.array([stamp.brightness for stamp in stamps])
    if observation is not None:
        pixels = degrade(pixels[:, 0], scale, observation, recipe.half_width_rpet, seed=len(stamps))[:, None]
        scale = np.ones(len(stamps))
    stretched = stretch(pixels, scale.astype(np.float32)[:, None, None, None, None], recipe).astype(np.float32)
    return checkpoint.answer(stretched, shares, device=device)
