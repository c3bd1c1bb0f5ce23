"""TangentPlanes: the pixels of many small pictures, north up and east left, each about a position of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from galmorph.sky.images.grid import unit_vectors

__all__ = ["TangentPlanes"]

DoubleArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class TangentPlanes:
    """Square pictures in the tangential projection about their middles; row 0 is the northern one.

    Parameters
    ----------
    ra_deg, dec_deg
        Their middles, (N,), ICRS degrees.
    scale_arcsec
        Their pixel scales, (N,).
    side_px
        Their widths and heights, (N,).
    """

    ra_deg: DoubleArray
    dec_deg: DoubleArray
    scale_arcsec: DoubleArray
    side_px: IntArray

    def __len__(self) -> int:
        return len(self.ra_deg)

    @cached_property
    def middles(self) -> DoubleArray:
        """Directions of their middles, (N, 3)."""
        return unit_vectors(self.ra_deg, self.dec_deg)

    def to_pixel(
        self, number: IntArray, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike
    ) -> tuple[DoubleArray, DoubleArray]:
        """Return 0-based pixel positions of ICRS degrees, each on the picture of a number; NaN outside it."""
        directions, (east, north) = unit_vectors(ra_deg, dec_deg), self._axes(number)
        depth = np.sum(directions * self.middles[number], axis=1)
        with np.errstate(invalid="ignore", divide="ignore"):
            steps = self._pixels_per_radian(number) / np.where(depth > 0, depth, np.nan)
            middle = (self.side_px[number] - 1) / 2
            x, y = (middle - np.sum(directions * axis, axis=1) * steps for axis in (east, north))
            inside = (np.abs(x - middle) <= middle + 0.5) & (np.abs(y - middle) <= middle + 0.5)
        return np.where(inside, x, np.nan), np.where(inside, y, np.nan)

    def to_sky(self, number: IntArray, x: DoubleArray, y: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
        """Return ICRS degrees of 0-based pixel positions, each on the picture of a number."""
        east, north = self._axes(number)
        middle, steps = (self.side_px[number] - 1) / 2, self._pixels_per_radian(number)
        directions = self.middles[number] + east * ((middle - x) / steps)[:, None]
        directions += north * ((middle - y) / steps)[:, None]
        ra = np.degrees(np.arctan2(directions[:, 1], directions[:, 0])) % 360.0
        return ra, np.degrees(np.arctan2(directions[:, 2], np.hypot(directions[:, 0], directions[:, 1])))

    def _pixels_per_radian(self, number: IntArray) -> DoubleArray:
        return np.asarray(np.degrees(3600.0) / self.scale_arcsec[number])

    def _axes(self, number: IntArray) -> tuple[DoubleArray, DoubleArray]:
        """Return the directions towards east and north in the middles of pictures, (N, 3) each."""
        ra, dec = np.radians(self.ra_deg[number]), np.radians(self.dec_deg[number])
        east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=1)
        north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=1)
        return east, north
