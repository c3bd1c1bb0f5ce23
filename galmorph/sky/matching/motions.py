"""Motion: where stars of known proper motion are at another epoch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from galmorph.sky.matching.separations import ARCSEC, FloatArray, SkyPositions, tangents, unit_vectors

__all__ = ["moved"]


def moved(
    positions: SkyPositions, east_mas_per_yr: FloatArray, north_mas_per_yr: FloatArray, years: FloatArray
) -> SkyPositions:
    """Return positions some years later, moved along straight lines of unit vectors.

    So stars move at the poles, too. From the rigorous motion, which needs distances and radial velocities, it differs
    by 5e-10 arcsec for all but the nearest stars.

    Parameters
    ----------
    positions
        Where they are.
    east_mas_per_yr, north_mas_per_yr
        Proper motions, that in right ascension times the cosine of the declination (as Gaia has it); rows that lack
        one of them, or the years, stay where they are.
    years
        How much later.
    """
    shift_east, shift_north = (motion * years / 1000.0 / ARCSEC for motion in (east_mas_per_yr, north_mas_per_yr))
    is_moving = np.isfinite(shift_east) & np.isfinite(shift_north) & ((shift_east != 0.0) | (shift_north != 0.0))
    rows = np.flatnonzero(is_moving)
    ra_deg, dec_deg = positions.ra_deg.copy(), positions.dec_deg.copy()
    east, north = tangents(ra_deg[rows], dec_deg[rows])
    at = unit_vectors(ra_deg[rows], dec_deg[rows])
    x, y, z = (at + shift_east[rows, None] * east + shift_north[rows, None] * north).T
    ra_deg[rows] = np.degrees(np.arctan2(y, x)) % 360.0
    dec_deg[rows] = np.degrees(np.arctan2(z, np.hypot(x, y)))
    return replace(positions, ra_deg=ra_deg, dec_deg=dec_deg)
