"""Scene: the objects of a cutout, divided as finely as the position that is asked for needs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.stamps.segment import Segmentation, choice_at, detected, divided, relative_noise

__all__ = ["object_at", "segmentation_at"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Deblending contrast at which a smaller source is looked for: a tenth of SExtractor's default.
_FINEST_CONTRAST = 0.0005


def segmentation_at(
    pixels: FloatArray, usable: BoolArray, weight: FloatArray | None, x: float, y: float
) -> Segmentation:
    """Segment a cutout so that the object at a position is told from those near it; see :func:`object_at`."""
    return object_at(pixels, usable, weight, x, y)[0]


def object_at(
    pixels: FloatArray, usable: BoolArray, weight: FloatArray | None, x: float, y: float
) -> tuple[Segmentation, int]:
    """Segment a cutout and choose the object at a position.

    A position far from the middle of its object may be a smaller source in front of it: if deblending at a lower
    contrast finds one close by, that is meant.

    Parameters
    ----------
    pixels, weight
        Linear flux and inverse variance, (H, W).
    usable
        Which pixels count, (H, W).
    """
    detection = detected(pixels, usable, relative_noise=relative_noise(weight, usable))
    segmentation = divided(detection, pixels, usable)
    choice = choice_at(segmentation, x, y)
    if not choice.is_misplaced:
        return segmentation, choice.row
    segmentation = divided(detection, pixels, usable, join_clumps=False)
    choice = choice_at(segmentation, x, y)
    if not choice.is_misplaced:
        return segmentation, choice.row
    finest = divided(detection, pixels, usable, deblend_contrast=_FINEST_CONTRAST, join_clumps=False)
    other = choice_at(finest, x, y)
    closer = other.row >= 0 and other.distance_px < 0.5 * choice.distance_px
    return (finest, other.row) if closer else (segmentation, choice.row)
