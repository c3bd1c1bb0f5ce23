"""Blocks: detection on a fixed grid of pieces of each tile, so that a row's answer does not depend on other rows."""

from __future__ import annotations

import logging
import math
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from galmorph.errors import ArchiveError, ImageError
from galmorph.runs.ahead import NOTHING, Window
from galmorph.sky.cutout import Cutout
from galmorph.sky.images import ImageSource, Located
from galmorph.stamps.batch import UNKNOWN_SKY, Scene, scene_of
from galmorph.stamps.mesh import flattened
from galmorph.stamps.segment import Detection, Segmentation, detected, divided, relative_noise, usable_pixels

__all__ = ["BLOCK_PX", "MARGIN_PX", "Block", "Blocks", "block_of", "block_window", "block_windows", "reading_order"]

log = logging.getLogger(__name__)

# A lone row pays for its whole block, a dense catalogue for the margins (tests/benchmarks/bench_blocks.py).
BLOCK_PX = 768
"""Side of a block."""
MARGIN_PX = 64
"""Detected around a block, so that a cutout of this half-width about any of its rows lies inside."""
# Larger cutouts lie inside only where their rows are far from the block's edges. The background of a block takes the
# light of galaxies that need still larger ones.
_LARGEST_HALF_PX = 128
_KEPT = 2  # of 20 MB each
Places = npt.NDArray[np.float64]
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


@dataclass(frozen=True)
class Block:
    """A piece of a tile with its margin, read once for all of its rows.

    Parameters
    ----------
    pixels
        Of all of it.
    flat
        The pixels without their smooth sky, (H, W).
    usable
        Which of them count, (H, W).
    detection
        Its blobs.
    """

    pixels: Cutout
    flat: npt.NDArray[np.float32]
    usable: npt.NDArray[np.bool_]
    detection: Detection

    def objects(self, windows: npt.NDArray[np.int64]) -> Segmentation:
        """Return the objects that windows, (N, 4), touch, as of :func:`galmorph.stamps.segment.divided`."""
        return divided(self.detection, self.flat, self.usable, windows=windows)

    def scene(self, objects: Segmentation) -> Scene:
        """Return the block with some of its objects in the form that batches are measured on."""
        return scene_of(self.pixels.detection, self.pixels.weight, objects, UNKNOWN_SKY)

    def holds(self, x: Places, y: Places, half_px: int) -> npt.NDArray[np.bool_]:
        """Tell which of the cutouts about some positions of the tile lie on the block, but for what is off the tile.

        That is a matter of the position alone.
        """
        if half_px > _LARGEST_HALF_PX:
            return np.zeros(len(x), np.bool_)
        (left, bottom), (height, width) = self.pixels.origin, self.pixels.detection.shape
        at_left, at_right, at_bottom, at_top = self.pixels.clipped
        middle = np.floor(np.stack([x, y], axis=1) + 0.5) - [left, bottom]
        before = (middle - half_px >= 0) | np.array([at_left, at_bottom])
        after = (middle + half_px < [width, height]) | np.array([at_right, at_top])
        return np.asarray((before & after).all(axis=1), np.bool_)

    def windows(self, x: Places, y: Places, half_px: int) -> npt.NDArray[np.int64]:
        """Return where the cutouts of this half-width about some positions of the tile lie.

        Returns
        -------
        (N, 4) first row and column on the block, height and width; clipped where the tile ends.
        """
        (left, bottom), (height, width) = self.pixels.origin, self.pixels.detection.shape
        middle = np.floor(np.stack([y, x], axis=1) + 0.5).astype(np.int64) - [bottom, left]
        first = np.maximum(middle - half_px, 0)
        return np.concatenate([first, np.minimum(middle + half_px + 1, [height, width]) - first], axis=1)

    def cutout(self, window: Sequence[int], at: tuple[float, float], half_px: int, scale_arcsec: float) -> Cutout:
        """Cut the pixels about a position out of the block: what reading them from the file would give.

        Parameters
        ----------
        window
            Where they lie, as of :meth:`windows`.
        at
            The position, (x, y) on the tile.
        scale_arcsec
            Pixel scale at the position.
        """
        (top, first, height, width), (x, y), whole = window, at, self.pixels
        part = slice(top, top + height), slice(first, first + width)
        x0, y0 = whole.origin[0] + first, whole.origin[1] + top
        left, bottom = math.floor(x + 0.5) - half_px, math.floor(y + 0.5) - half_px
        side = 2 * half_px + 1
        pixels = whole.detection[part]
        return Cutout(
            planes=pixels[np.newaxis],
            detection=pixels,
            weight=None if whole.weight is None else whole.weight[part],
            x=x - x0,
            y=y - y0,
            origin=(x0, y0),
            clipped=(left < x0, left + side > x0 + width, bottom < y0, bottom + side > y0 + height),
            scale_arcsec=scale_arcsec,
            tile=whole.tile,
        )


@dataclass
class Blocks:
    """The blocks of a source, each from when a row first needs it on; the last few are kept.

    Parameters
    ----------
    images
        FITS images of one band.
    """

    images: ImageSource
    _kept: OrderedDict[tuple[int, int, int], Block | None] = field(default_factory=OrderedDict)

    def block(self, tile: int, row: int, column: int) -> Block | None:
        """Return a block of a tile; None where some part of it cannot be read, or a map says what the objects are.

        Raises
        ------
        ArchiveError
            If a part of the block was not fetched, which may be there when it is asked for again.
        """
        key = tile, row, column
        if key not in self._kept:
            self._kept[key] = self._detect(key)
            if len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        self._kept.move_to_end(key)
        return self._kept[key]

    def _detect(self, key: tuple[int, int, int]) -> Block | None:
        tile, row, column = key
        try:
            block = self.images.cutout(tile, *block_window(row, column))
        except ArchiveError:
            raise  # a row's answer does not depend on what an archive had to say at the moment
        except (ImageError, OSError) as error:
            log.debug("block %s: %s", key, error)
            return None
        if block.labels is not None:
            return None
        pixels, weight = block.detection, block.weight
        usable = usable_pixels(pixels, weight)
        noise = relative_noise(weight, usable, even=0.0)
        flat = flattened(pixels, usable, _MESH_PX)
        return Block(block, flat, usable, detected(flat, usable, relative_noise=noise))
