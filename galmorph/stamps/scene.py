"""Scene: the pixels of a cutout, which of them count, and the object that a position means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.segment import Segmentation, distance_of, is_misplaced, pick, relative_noise, segment

__all__ = ["Scene", "object_at"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Deblending contrast at which a smaller source is looked for: a tenth of SExtractor's default.
_FINEST_CONTRAST = 0.0005


@dataclass(frozen=True)
class Scene:
    """What a galaxy is measured on.

    Parameters
    ----------
    pixels
        Linear flux, (H, W).
    finite, weighted
        Which are finite, and which have weight, (H, W); None where all do.
    usable
        Which count: both, and those of a segmentation that was made elsewhere, (H, W).
    """

    pixels: FloatArray
    finite: BoolArray | None
    weighted: BoolArray | None
    usable: BoolArray

    @classmethod
    def of(cls, pixels: FloatArray, weight: FloatArray | None, segmentation: Segmentation | None) -> Scene:
        """See which pixels count: those of a segmentation that is there already, finite ones, and those with weight."""
        finite = np.isfinite(pixels)
        usable = finite
        weighted = None
        if weight is not None:
            weighted = np.isfinite(weight) & (weight > 0)
            usable = finite & weighted
        if segmentation is not None:
            usable = usable & segmentation.usable
        every = bool(finite.all())
        return cls(pixels, None if every else finite, weighted, usable)

    def missing_at(self, x: float, y: float) -> Flag:
        """Say what is missing at a position without a source."""
        height, width = self.usable.shape
        if self.usable.size == 0 or not np.isfinite(x + y):
            return Flag.MASKED_PIXELS
        row, column = round(min(max(y, 0.0), height - 1.0)), round(min(max(x, 0.0), width - 1.0))
        masked = Flag(0) if self.finite is None or self.finite[row, column] else Flag.MASKED_PIXELS
        weighted = self.weighted is None or self.weighted[row, column]
        return masked if weighted else masked | Flag.ZERO_WEIGHT


def object_at(
    scene: Scene, weight: FloatArray | None, segmentation: Segmentation | None, x: float, y: float
) -> tuple[Segmentation, int]:
    """Segment the cutout and choose the object at the position.

    A position far from the middle of its object may be a smaller source in front of it: if deblending at a lower
    contrast finds one close by, that is meant.
    """
    if segmentation is not None:
        return segmentation, pick(segmentation, x, y)
    noise = relative_noise(weight, scene.usable)
    segmentation = segment(scene.pixels, scene.usable, relative_noise=noise)
    chosen = pick(segmentation, x, y)
    if not is_misplaced(segmentation, chosen, x, y):
        return segmentation, chosen
    segmentation = segment(scene.pixels, scene.usable, relative_noise=noise, join_clumps=False)
    chosen = pick(segmentation, x, y)
    if not is_misplaced(segmentation, chosen, x, y):
        return segmentation, chosen
    finest = segment(
        scene.pixels, scene.usable, relative_noise=noise, deblend_contrast=_FINEST_CONTRAST, join_clumps=False
    )
    other = pick(finest, x, y)
    closer = other >= 0 and distance_of(finest, other, x, y) < 0.5 * distance_of(segmentation, chosen, x, y)
    return (finest, other) if closer else (segmentation, chosen)
