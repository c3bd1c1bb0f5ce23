"""MosaicTransfer: whether a mosaic is downloaded as a whole or read in parts, as takes less time.

A row needs the block of detection in which it lies, with the margin about it (:mod:`galmorph.runs.blocks`), of image
and weights: some megabytes in some requests. A whole mosaic needs gigabytes in few. Which is quicker follows from how
many blocks have rows, what of them is here already, and the line (:mod:`galmorph.sky.remote.link`).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.progress import Progress, silent
from galmorph.sky.images.fitsplane import FitsPlane
from galmorph.sky.images.source import ImageSource, Located
from galmorph.sky.images.tiles import TileSource
from galmorph.sky.remote import PartialFile, partial_at
from galmorph.sky.remote.link import Link
from galmorph.sky.remote.partial_file import REQUEST_BYTES

__all__ = ["BLOCK_PX", "MARGIN_PX", "Estimate", "download_if_quicker", "estimate"]

log = logging.getLogger(__name__)

LongArray = npt.NDArray[np.int64]
BLOCK_PX, MARGIN_PX = 768, 64
"""Of the blocks of detection, which are defined in a layer above."""
_FEW_BLOCKS = 8
"""Whatever the line: so few are never worth a whole mosaic."""


@dataclass(frozen=True)
class Estimate:
    """How long the missing parts of a file take that rows need, and all that is missing, in seconds."""

    parts_s: float
    whole_s: float


def download_if_quicker(source: ImageSource, where: Located, progress: Progress = silent) -> None:
    """Download each mosaic that rows need so much of that this takes less time; leave the others with their holes.

    Parameters
    ----------
    source
        Of mosaics, some of which are not all here.
    where
        The rows on them.

    Raises
    ------
    ArchiveError
        If something cannot be had.
    """
    for file, plane, blocks in _planes(source, where):
        times = estimate(file, plane, blocks)
        if len(blocks) > _FEW_BLOCKS and times.whole_s < times.parts_s:
            log.info("%s: %.0f s as a whole, %.0f s in parts", plane.name, times.whole_s, times.parts_s)
            file.fetch_rest(progress)


def estimate(file: PartialFile, plane: FitsPlane, blocks: LongArray, link: Link | None = None) -> Estimate:
    """Return how long the blocks, (N, 2), of a plane take, and the whole of its file."""
    link, manners = link or Link(), file.client.manners
    parts = [file.cost_of(_ranges(plane, block)) for block in blocks]
    size, requests = (sum(each[n] for each in parts) for n in (0, 1))
    missing = file.missing_bytes
    # Neighbours share their margins: together they never need more than all.
    return Estimate(
        link.time_s(min(size, missing), requests, manners),
        link.time_s(missing, -(-missing // REQUEST_BYTES), manners),
    )


def _planes(source: ImageSource, where: Located) -> Iterator[tuple[PartialFile, FitsPlane, LongArray]]:
    """Yield the planes whose files have holes, with the blocks, (N, 2), in which rows lie."""
    if not isinstance(source, TileSource):
        return
    for number, tile in enumerate(source.tiles):
        on = where.tile == number
        place = np.stack([where.y[on], where.x[on]], axis=1)
        blocks = np.unique((np.maximum(place, 0.0) // BLOCK_PX).astype(np.int64), axis=0)
        for plane in (tile.image, tile.weight):
            if plane is not None and len(blocks) and (file := partial_at(plane.path)) is not None:
                yield file, plane, blocks


def _ranges(plane: FitsPlane, block: LongArray) -> LongArray:
    """Return the bytes, (N, 2), of a block and its margin."""
    first = np.maximum(block * BLOCK_PX - MARGIN_PX, 0)
    last = np.minimum((block + 1) * BLOCK_PX + MARGIN_PX, plane.shape)
    return np.array(plane.bytes_of(int(first[0]), int(last[0]), int(first[1]), int(last[1])), np.int64)
