"""PositionError: how well positions are known: circles and ellipses of one standard deviation, row by row."""

from __future__ import annotations

import numpy as np

from galmorph.sky.matching.separations import ARCSEC, FloatArray, SkyPositions

__all__ = ["circles", "ellipses", "normalised", "sigmas_arcsec"]


def circles(sigma_arcsec: FloatArray) -> FloatArray:
    """Return the covariances of errors that are the same in each direction, (N, 3): see `SkyPositions`."""
    variance = np.square(sigma_arcsec)
    return np.stack([variance, variance, np.zeros_like(variance)], axis=1)


def ellipses(major_arcsec: FloatArray, minor_arcsec: FloatArray, angle_deg: FloatArray) -> FloatArray:
    """Return the covariances of elliptical errors, (N, 3): see `SkyPositions`.

    Parameters
    ----------
    major_arcsec, minor_arcsec
        Semi-axes of one standard deviation.
    angle_deg
        Of the major axis from north to east.
    """
    sine, cosine = np.sin(np.radians(angle_deg)), np.cos(np.radians(angle_deg))
    major, minor = np.square(major_arcsec), np.square(minor_arcsec)
    east = major * sine**2 + minor * cosine**2
    north = major * cosine**2 + minor * sine**2
    return np.stack([east, north, (major - minor) * sine * cosine], axis=1)


def normalised(first: SkyPositions, second: SkyPositions, separation_arcsec: FloatArray) -> FloatArray | None:
    """Return separations in units of the combined error in their direction; None where there are no errors.

    Covariances add up. A row whose error is missing pairs with nothing (NaN), as one without a position does; two
    without any error only pair where they coincide.
    """
    if (total := _combined(first, second)) is None:
        return None
    east, north = _offsets(first, second)
    determinant = _determinant(total)
    numerator = total[:, 1] * east**2 - 2.0 * total[:, 2] * east * north + total[:, 0] * north**2
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.sqrt(np.maximum(numerator, 0.0) / determinant)
    return np.where((separation_arcsec == 0.0) & np.isfinite(determinant), 0.0, distance)


def sigmas_arcsec(first: SkyPositions, second: SkyPositions) -> FloatArray | None:
    """Return the combined errors of pairs, of a circle as large as the ellipse; None where there are no errors."""
    if (total := _combined(first, second)) is None:
        return None
    return np.asarray(np.maximum(_determinant(total), 0.0) ** 0.25)


def _combined(first: SkyPositions, second: SkyPositions) -> FloatArray | None:
    """Return the sums of the covariances of both positions, (N, 3); None where neither has errors."""
    terms = [p.covariance_arcsec2 for p in (first, second) if p.covariance_arcsec2 is not None]
    return sum(terms[1:], start=terms[0]) if terms else None


def _determinant(covariance: FloatArray) -> FloatArray:
    return np.asarray(covariance[:, 0] * covariance[:, 1] - covariance[:, 2] ** 2)


def _offsets(first: SkyPositions, second: SkyPositions) -> tuple[FloatArray, FloatArray]:
    """Return where the second is from the first, toward east and north, in arcsec; for angles of up to a degree."""
    turn = np.radians((second.ra_deg - first.ra_deg + 180.0) % 360.0 - 180.0)
    dec1, dec2 = np.radians(first.dec_deg), np.radians(second.dec_deg)
    # By the tangent plane at the first: right at the poles, too, where differences in right ascension are not.
    east = np.cos(dec2) * np.sin(turn)
    north = np.sin(dec2 - dec1) + 2.0 * np.sin(dec1) * np.cos(dec2) * np.sin(turn / 2.0) ** 2
    return east * ARCSEC, north * ARCSEC
