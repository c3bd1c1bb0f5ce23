"""Separation: angles between positions on the sky, exact down to those that are nought."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["ARCSEC", "SkyPositions", "chord_of", "separations_arcsec", "tangents", "unit_vectors"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]

ARCSEC = 180.0 * 3600.0 / np.pi
"""Seconds of arc in a radian."""


@dataclass(frozen=True)
class SkyPositions:
    """Where the rows of a catalogue are, and how well that is known.

    Parameters
    ----------
    ra_deg, dec_deg
        ICRS degrees, (N,); NaN where a row has none, which then pairs with nothing.
    covariance_arcsec2
        Of the errors toward east and north: variances of both, and their covariance, (N, 3); None where positions
        have no errors.
    """

    ra_deg: FloatArray
    dec_deg: FloatArray
    covariance_arcsec2: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.ra_deg)

    def __getitem__(self, rows: IntArray) -> SkyPositions:
        covariance = None if self.covariance_arcsec2 is None else self.covariance_arcsec2[rows]
        return SkyPositions(self.ra_deg[rows], self.dec_deg[rows], covariance)

    @property
    def finite_rows(self) -> IntArray:
        """Rows that have a position."""
        return np.flatnonzero(np.isfinite(self.ra_deg) & np.isfinite(self.dec_deg))


def unit_vectors(ra_deg: FloatArray, dec_deg: FloatArray) -> FloatArray:
    """Return the directions of positions, (N, 3)."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    vectors = np.empty((len(ra), 3))
    across = _across(dec)
    vectors[:, 0], vectors[:, 1], vectors[:, 2] = across * np.cos(ra), across * np.sin(ra), np.sin(dec)
    return vectors


def tangents(ra_deg: FloatArray, dec_deg: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the directions of east and north at positions, (N, 3) each."""
    ra, dec = np.radians(ra_deg), np.radians(dec_deg)
    east = np.stack([-np.sin(ra), np.cos(ra), np.zeros_like(ra)], axis=1)
    north = np.stack([-np.sin(dec) * np.cos(ra), -np.sin(dec) * np.sin(ra), np.cos(dec)], axis=1)
    return east, north


def separations_arcsec(first: SkyPositions, second: SkyPositions) -> FloatArray:
    """Return the angles between positions, row by row, in arcsec.

    By haversines, whose rounding is relative to the angle itself: the arc cosine of a product of unit vectors has an
    error of milliarcseconds. The order of the two makes no difference to the last bit.
    """
    dec1, dec2 = np.radians(first.dec_deg), np.radians(second.dec_deg)
    along = np.sin(np.radians(second.dec_deg - first.dec_deg) / 2.0)
    across = np.sin(np.radians(second.ra_deg - first.ra_deg) / 2.0)
    weight = _across(dec1) * _across(dec2)
    haversine = np.minimum(along * along + weight * (across * across), 1.0)
    return np.asarray(2.0 * ARCSEC * np.arcsin(np.sqrt(haversine)))


def chord_of(angle_arcsec: float) -> float:
    """Return the distance of unit vectors that are an angle apart, a little more rather than less.

    Unit vectors are rounded to 2e-16, so that their distances are wrong by some 1e-10 arcsec.
    """
    return float(2.0 * np.sin(angle_arcsec / ARCSEC / 2.0) * (1.0 + 1e-12) + 2e-15)


def _across(dec: FloatArray) -> FloatArray:
    """Return the cosine of declinations, nought at the poles, where all right ascensions are one position."""
    cosine = np.cos(dec)
    cosine[np.abs(cosine) < 1e-16] = 0.0
    return cosine
