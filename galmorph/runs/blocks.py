"""Blocks: detection on a fixed grid of pieces of each tile, so that a row's answer does not depend on other rows."""

from __future__ import annotations

import logging
from collections import OrderedDict
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import sep

from galmorph.errors import ArchiveError, ImageError
from galmorph.runs.ahead import NOTHING, Window
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

__all__ = ["BLOCK_PX", "MARGIN_PX", "Blocks", "block_of", "block_window", "block_windows", "reading_order"]

log = logging.getLogger(__name__)

# A lone row pays for its whole block, a dense catalogue for the margins: with 512 and 128 a row costs a third more than
# on cutouts at 40 rows per million pixels, and half as much at 300 (tests/benchmarks/bench_blocks.py).
BLOCK_PX = 512
"""Side of a block."""
MARGIN_PX = 128
"""Detected around a block, so that a cutout of this half-width about any of its rows lies inside."""
_KEPT = 4  # of 5 MB each
_Block = tuple[Segmentation, tuple[int, int]]  # and the column and row of its first pixel
_MESH_PX = 64  # as SExtractor's BACK_SIZE by default


def block_of(where: Located) -> npt.NDArray[np.int64]:
    """Tile and block of each row, (N, 3): tile, block row, block column; -1 where there is no tile."""
    on = where.tile >= 0
    place = np.full((len(where.tile), 3), -1, np.int64)
    place[on, 0] = where.tile[on]
    # Half of the first pixel lies left of zero.
    place[on, 1] = np.maximum(where.y[on], 0.0) // BLOCK_PX
    place[on, 2] = np.maximum(where.x[on], 0.0) // BLOCK_PX
    return place


def block_window(row: int, column: int) -> tuple[float, float, int]:
    """Return x, y and half-width of what is read of a block: it and its margin."""
    middle = BLOCK_PX // 2  # a position in the last half pixel of a block has its cutout about the next pixel
    return column * BLOCK_PX + middle, row * BLOCK_PX + middle, middle + MARGIN_PX


def block_windows(where: Located, rows: npt.NDArray[np.int64]) -> list[Window]:
    """Return what is read of the block in which each of some rows lies."""
    blocks = block_of(where)[rows].tolist()
    return [(tile, *block_window(row, column)) if tile >= 0 else NOTHING for tile, row, column in blocks]


def reading_order(where: Located, rows: npt.NDArray[np.int64] | None = None) -> npt.NDArray[np.int64]:
    """Return rows, by default all that lie on a tile, those of a block one after the other."""
    chosen = np.flatnonzero(where.tile >= 0) if rows is None else rows
    blocks = block_of(where)[chosen]
    return chosen[np.lexsort((blocks[:, 2], blocks[:, 1], blocks[:, 0]))]


@dataclass
class Blocks:
    """Segmentations of the blocks of a source, each from when a row first needs it on; the last few are kept.

    Parameters
    ----------
    images
        FITS images of one band.
    """

    images: ImageSource
    _kept: OrderedDict[tuple[int, int, int], _Block | None] = field(default_factory=OrderedDict)

    def segmentation(self, cutout: Cutout, half_px: int, usable: npt.NDArray[np.bool_]) -> Segmentation | None:
        """Return the segmentation of a cutout from its block; None where it is to be detected on the cutout itself.

        That is so where the cutout is larger than the margin, wherever in the block it lies; where another object may
        be meant; and where some other part of the block cannot be read.

        Raises
        ------
        ArchiveError
            If a part of the block was not fetched, which may be there when it is asked for again.
        """
        if half_px > MARGIN_PX:
            return None
        x, y = cutout.x + cutout.origin[0], cutout.y + cutout.origin[1]
        block = self._whole((cutout.tile, int(max(y, 0.0) // BLOCK_PX), int(max(x, 0.0) // BLOCK_PX)))
        if block is None:
            return None
        whole, (left, top) = block
        corner = cutout.origin[1] - top, cutout.origin[0] - left
        window = window_of(whole, corner, cutout.detection, usable)
        # Where another, smaller source may be meant, its cutout is looked at more closely.
        chosen = pick(window, cutout.x, cutout.y)
        return None if is_misplaced(window, chosen, cutout.x, cutout.y) else window

    def _whole(self, key: tuple[int, int, int]) -> _Block | None:
        if key not in self._kept:
            self._kept[key] = self._detect(key)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _detect(self, key: tuple[int, int, int]) -> _Block | None:
        tile, row, column = key
        try:
            block = self.images.cutout(tile, *block_window(row, column))
        except ArchiveError:
            raise  # a row's answer does not depend on what an archive had to say at the moment
        except (ImageError, OSError) as error:
            log.debug("block %s: %s", key, error)
            return None
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
