"""Blocks: detection on whole pieces of a tile, where a catalogue is so dense that this is cheaper than cutouts."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import sep

from galmorph.sky.cutout import Cutout
from galmorph.sky.images import ImageSource, Located
from galmorph.stamps.background import clipped_sky
from galmorph.stamps.segment import (
    Segmentation,
    is_misplaced,
    pick,
    relative_noise,
    segment,
    sky_outside,
    usable_pixels,
)

__all__ = ["BLOCK_PX", "CROSSOVER_PER_MPX", "Blocks", "block_of"]

BLOCK_PX = 1024
"""Side of a block."""
MARGIN_PX = 256
"""Detected around a block, so that the largest cutout about any of its rows lies inside."""
CROSSOVER_PER_MPX = 60.0
"""Rows per million pixels above which a block is cheaper than its rows' cutouts (tests/benchmarks/bench_blocks.py)."""
_KEPT = 4  # of 12 MB each
_MESH_PX = 64  # as SExtractor's BACK_SIZE by default


def block_of(where: Located) -> npt.NDArray[np.int64]:
    """Tile and block of each row, (N, 3): tile, block row, block column; -1 where there is no tile."""
    on = where.tile >= 0
    place = np.full((len(where.tile), 3), -1, np.int64)
    place[on, 0] = where.tile[on]
    place[on, 1] = where.y[on] // BLOCK_PX
    place[on, 2] = where.x[on] // BLOCK_PX
    return place


@dataclass
class Blocks:
    """Segmentations of the blocks of a source, each from when a row first needs it on; the last few are kept.

    Parameters
    ----------
    images
        FITS images of one band.
    dense
        Tile, block row and block column of the blocks worth detecting as a whole.
    """

    images: ImageSource
    dense: frozenset[tuple[int, int, int]]
    _kept: OrderedDict[tuple[int, int, int], tuple[Segmentation, tuple[int, int]]] = field(default_factory=OrderedDict)

    @classmethod
    def where_dense(cls, images: ImageSource, where: Located, *, per_mpx: float = CROSSOVER_PER_MPX) -> Blocks:
        """Choose the blocks with at least so many rows per million pixels."""
        places, rows = np.unique(block_of(where), axis=0, return_counts=True)
        worth = (places[:, 0] >= 0) & (rows >= per_mpx * BLOCK_PX**2 / 1e6)
        return cls(images, frozenset((int(t), int(r), int(c)) for t, r, c in places[worth]))

    def segmentation(self, cutout: Cutout, usable: npt.NDArray[np.bool_]) -> Segmentation | None:
        """Return the segmentation of a cutout from its block; None where the block is not dense."""
        x, y = cutout.x + cutout.origin[0], cutout.y + cutout.origin[1]
        key = (cutout.tile, int(y // BLOCK_PX), int(x // BLOCK_PX))
        if key not in self.dense:
            return None
        whole, (left, top) = self._whole(key)
        column, row = cutout.origin[0] - left, cutout.origin[1] - top
        height, width = cutout.shape
        if column < 0 or row < 0 or row + height > whole.labels.shape[0] or column + width > whole.labels.shape[1]:
            return None
        window = window_of(whole, (row, column), cutout.detection, usable)
        # Where another, smaller source may be meant, its cutout is looked at more closely.
        chosen = pick(window, cutout.x, cutout.y)
        return None if is_misplaced(window, chosen, cutout.x, cutout.y) else window

    def _whole(self, key: tuple[int, int, int]) -> tuple[Segmentation, tuple[int, int]]:
        if key not in self._kept:
            self._kept[key] = self._detect(key)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _detect(self, key: tuple[int, int, int]) -> tuple[Segmentation, tuple[int, int]]:
        tile, row, column = key
        middle = (BLOCK_PX - 1) // 2
        block = self.images.cutout(tile, column * BLOCK_PX + middle, row * BLOCK_PX + middle, BLOCK_PX // 2 + MARGIN_PX)
        pixels, weight = block.detection, block.weight
        usable = usable_pixels(pixels, weight)
        level = _background(pixels, usable)
        return segment(pixels - level, usable, relative_noise=relative_noise(weight, usable, even=0.0)), block.origin


def window_of(
    whole: Segmentation, corner: tuple[int, int], pixels: npt.NDArray[np.float32], usable: npt.NDArray[np.bool_]
) -> Segmentation:
    """Cut a window out of a segmentation: the objects that it touches, and its own sky.

    Parameters
    ----------
    corner
        Row and column of the window's first pixel.
    pixels, usable
        Of the window, (H, W).
    """
    (row, column), (height, width) = corner, pixels.shape
    labels = whole.labels[row : row + height, column : column + width]
    present = np.flatnonzero(np.bincount(labels.ravel(), minlength=len(whole.objects) + 1)[1:])
    number = np.zeros(len(whole.objects) + 1, np.int32)
    number[present + 1] = np.arange(1, len(present) + 1)
    objects = whole.objects[present]
    for name, first in (("x", column), ("y", row), ("xpeak", column), ("ypeak", row), ("xcpeak", column)):
        objects[name] = objects[name] - first
    objects["ycpeak"] -= row
    numbered = number[labels]
    sky = sky_outside(pixels, usable, objects, numbered) or clipped_sky(pixels, usable & (numbered == 0))
    return Segmentation(numbered, objects, sky, whole.correlation_px, usable)


def _background(pixels: npt.NDArray[np.float32], usable: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Smooth sky of a block: SEP's mesh of clipped modes."""
    plain = np.where(usable, pixels, np.float32(0.0))
    mesh = sep.Background(plain, mask=~usable, bw=_MESH_PX, bh=_MESH_PX)
    return np.asarray(mesh.back(dtype=np.float32))
