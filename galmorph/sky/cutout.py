"""Cutout: the pixels around one position, on the survey's own grid."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

__all__ = ["Cutout", "FloatArray", "IntArray"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]


@dataclass(frozen=True)
class Cutout:
    """Pixels, weights and place of one source; never resampled.

    Parameters
    ----------
    planes
        What the stamp is warped from, (C, H, W) float32, native byte order. One plane of linear flux for a single
        band; three planes in [0, 1] (red, green, blue) for colour. NaN where there is no data.
    detection
        Linear flux for detection and measuring, (H, W) float32, NaN where there is no data. For one band this is
        ``planes[0]`` itself; for colour it is the intensity (sum of the scaled bands) that Lupton et al. (2004)
        stretch.
    weight
        Inverse variance on the grid of `detection`, (H, W) float32, 0 where there is no data; or None.
    x, y
        Position of the source in cutout pixels: 0-based, integers at pixel centres. Not necessarily the middle:
        the cutout is clipped at the edges of its tile.
    origin
        ``(x0, y0)``: tile coordinates of cutout pixel ``[0, 0]``.
    clipped
        ``(left, right, bottom, top)``: True where the requested window went past that edge of the tile.
    scale_arcsec
        Pixel scale in arcsec; NaN for display images (JPEG, PNG) that do not know it.
    tile
        Number of the tile in its source.
    labels
        Segmentation map that came with the image, (H, W): 0 for the sky, any positive number for an object; or None.
    """

    planes: FloatArray
    detection: FloatArray
    weight: FloatArray | None
    x: float
    y: float
    origin: tuple[int, int]
    clipped: tuple[bool, bool, bool, bool]
    scale_arcsec: float
    tile: int
    labels: IntArray | None = None

    @cached_property
    def shape(self) -> tuple[int, int]:
        """Height and width in pixels."""
        height, width = self.detection.shape
        return height, width
