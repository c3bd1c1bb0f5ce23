"""Viewed: rows as a checkpoint sees them, with what was measured of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import UNCLASSIFIABLE
from galmorph.nets.augment import Augmentation, Observation, degrade
from galmorph.nets.checkpoint import Checkpoint
from galmorph.runs.gather import Gathering, gather, stamp_of
from galmorph.stamps.recipe import stretch

__all__ = ["Viewed", "observation_of", "view_rows"]

FloatArray = npt.NDArray[np.float64]
Progress = Callable[[str, int, int, str], None]


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


def view_rows(
    checkpoint: Checkpoint,
    gathering: Gathering,
    rows: npt.NDArray[np.intp],
    *,
    observation: Observation | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
) -> Viewed:
    """Show some rows to a checkpoint's network, optionally degraded to another survey."""
    recipe = checkpoint.recipe
    pixels, brightness, kept, measured = [], [], [], []
    for done, galaxy in enumerate(gather(gathering, rows), 1):
        if progress is not None:
            progress("predicting", done, len(rows), "")
        if galaxy.measured is None or galaxy.cutout is None or galaxy.flags & UNCLASSIFIABLE:
            continue
        stamp = stamp_of(galaxy, gathering.images, recipe)
        pixels.append(stamp.pixels)
        brightness.append(stamp.brightness)
        kept.append(galaxy.row)
        measured.append((galaxy.measured.snr, galaxy.measured.rpet_px, galaxy.cutout.scale_arcsec))
    shape = (recipe.planes, recipe.size, recipe.size)
    stamps = np.array(pixels, dtype=np.float32).reshape(-1, *shape)
    scale = np.array(brightness, dtype=np.float64)
    if observation is not None and kept:
        stamps = degrade(stamps, scale, observation, recipe.half_width_rpet, seed=len(kept))
        scale = np.ones(len(kept))
    stretched = stretch(stamps, scale.astype(np.float32)[:, None, None, None], recipe).astype(np.float32)
    conditional, features = checkpoint.predict_with_features(stretched, device=device)
    values = np.array(measured, dtype=np.float64).reshape(-1, 3)
    return Viewed(np.array(kept, dtype=np.intp), conditional, features, *values.T)
