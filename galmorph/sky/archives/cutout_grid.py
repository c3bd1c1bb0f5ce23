"""CutoutGrid: square cells that cover the sky without gaps, always the same ones.

A cutout is asked for about the middle of the cell in which a row lies, not about the row: rows that are near each other
share one, and what a row is measured on does not depend on which other rows a catalogue has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CutoutGrid"]

DoubleArray = npt.NDArray[np.float64]
LongArray = npt.NDArray[np.int64]
_DECIMALS = 6
"""Of the middles in degrees: far less than a pixel, and the same text everywhere."""


@dataclass(frozen=True)
class CutoutGrid:
    """Rings of equal height in declination, each divided into as many cells as make none wider than high.

    Parameters
    ----------
    step_deg
        Height of a cell, at most.
    """

    step_deg: float

    def cells_of(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> LongArray:
        """Return ring and number in the ring, (N, 2), of ICRS degrees on the sky."""
        ring = np.clip((np.asarray(dec_deg) + 90.0) / self._height_deg, 0, self._rings - 1).astype(np.int64)
        count = self._in_ring(ring)
        turn = (np.asarray(ra_deg) % 360.0) / 360.0
        return np.stack([ring, np.minimum((turn * count).astype(np.int64), count - 1)], axis=1)

    def middles(self, cells: LongArray) -> tuple[DoubleArray, DoubleArray]:
        """Return the middles of cells, (N, 2), in ICRS degrees."""
        ring, number = cells[:, 0], cells[:, 1]
        ra = (number + 0.5) / self._in_ring(ring) * 360.0
        dec = (ring + 0.5) * self._height_deg - 90.0
        return np.round(ra, _DECIMALS) % 360.0, np.round(dec, _DECIMALS)

    @property
    def _rings(self) -> int:
        return int(np.ceil(180.0 / self.step_deg))

    @property
    def _height_deg(self) -> float:
        return 180.0 / self._rings

    def _in_ring(self, ring: LongArray) -> LongArray:
        """Return how many cells rings have: by their longer edge, the one nearer to the equator."""
        edges = np.abs(np.stack([ring, ring + 1]) * self._height_deg - 90.0).min(axis=0)
        edges = np.where(
            (ring + 1) * self._height_deg > 90.0, np.where(ring * self._height_deg < 90.0, 0, edges), edges
        )
        return np.maximum(np.ceil(360.0 * np.cos(np.radians(edges)) / self._height_deg), 1).astype(np.int64)
