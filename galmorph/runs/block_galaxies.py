"""BlockGalaxies: rows whose cutouts lie on one block of a tile, measured together; arrays, until somebody looks at one.

A :class:`Galaxy` holds a cutout and a measurement, which take longer to make than most galaxies take to be measured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.runs.blocks import Block
from galmorph.sky.cutout import Cutout
from galmorph.stamps.batch import Batch, Scene, Values
from galmorph.stamps.measure import Measurement, measurement_of
from galmorph.stamps.segment import Segmentation

__all__ = ["BlockGalaxies", "Galaxy"]

IntArray = npt.NDArray[np.intp]
DoubleArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Galaxy:
    """A row with its cutout and measurement; both None where there is no image."""

    row: int
    flags: Flag
    cutout: Cutout | None = None
    measured: Measurement | None = None


@dataclass(frozen=True)
class BlockGalaxies:
    """N rows of a block, whose cutouts have the same half-width.

    Parameters
    ----------
    block
        Where they lie.
    rows
        (N,) their numbers.
    x, y
        (N,) positions on the tile.
    half_px
        Half-width of the cutouts.
    scales_arcsec
        (N,) pixel scale at each.
    windows
        (N, 4) as of :meth:`Block.windows`.
    objects, scene
        Those of the block that lie in these windows, and perhaps others; and the block with them.
    batch
        What is measured of them, and perhaps of others.
    numbers
        (N,) which of the batch they are.
    """

    block: Block
    rows: IntArray
    x: DoubleArray
    y: DoubleArray
    half_px: int
    scales_arcsec: DoubleArray
    windows: npt.NDArray[np.int64]
    objects: Segmentation
    scene: Scene
    batch: Batch
    numbers: IntArray

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.rows)

    def __iter__(self) -> Iterator[Galaxy]:
        """Make one galaxy after the other."""
        return (self.galaxy(k) for k in range(len(self)))

    def some(self, chosen: npt.NDArray[np.bool_]) -> BlockGalaxies:
        """Return those where `chosen`, (N,), is True."""
        if chosen.all():
            return self  # with what was asked of them before
        return replace(
            self,
            rows=self.rows[chosen],
            x=self.x[chosen],
            y=self.y[chosen],
            scales_arcsec=self.scales_arcsec[chosen],
            windows=self.windows[chosen],
            numbers=self.numbers[chosen],
        )

    @cached_property
    def flags(self) -> npt.NDArray[np.int64]:
        """Bits of :class:`~galmorph.flags.Flag`, (N,)."""
        return self.batch.flags[self.numbers]

    @property
    def states(self) -> npt.NDArray[np.int64]:
        """What became of each, (N,), as of :class:`~galmorph.stamps.batch.Batch`."""
        return self.batch.states[self.numbers]

    @cached_property
    def values(self) -> dict[str, DoubleArray]:
        """What is measured of each, (N,), by its name in :class:`~galmorph.stamps.batch.Values`."""
        return dict(zip(Values._fields, self.batch.values[self.numbers].T, strict=True))

    @cached_property
    def origins(self) -> npt.NDArray[np.int64]:
        """Tile coordinates (x, y) of the first pixel of each cutout, (N, 2)."""
        return self.windows[:, [1, 0]] + self.block.pixels.origin

    @property
    def places(self) -> DoubleArray:
        """The positions (x, y) in pixels of each cutout, (N, 2)."""
        return np.stack([self.x, self.y], axis=1) - self.origins

    @property
    def centres(self) -> DoubleArray:
        """The measured centres (x, y) in pixels of each cutout, (N, 2); the positions where there is none."""
        measured = np.stack([self.values["x"], self.values["y"]], axis=1)
        return np.where(np.isfinite(measured[:, :1]), measured, self.places)

    @cached_property
    def clipped(self) -> BoolArray:
        """Past which edges of the tile each cutout would go, (N, 4): left, right, bottom, top."""
        first = np.floor(np.stack([self.x, self.y], axis=1) + 0.5).astype(np.int64) - self.half_px
        before = first < self.origins
        after = first + 2 * self.half_px + 1 > self.origins + self.windows[:, [3, 2]]
        return np.stack([before[:, 0], after[:, 0], before[:, 1], after[:, 1]], axis=1)

    def cutout(self, k: int) -> Cutout:
        """Cut out the pixels of the k-th."""
        at = float(self.x[k]), float(self.y[k])
        return self.block.cutout(self.windows[k].tolist(), at, self.half_px, float(self.scales_arcsec[k]))

    def galaxy(self, k: int) -> Galaxy:
        """Make the k-th galaxy, which is measured."""
        number = int(self.numbers[k])
        segmentation = self.objects.part(self.windows[k].tolist(), self.batch.sky(number))
        measured = measurement_of(self.batch, number, segmentation)
        return Galaxy(int(self.rows[k]), measured.flags, self.cutout(k), measured)
