"""Centroid: which centre of a galaxy's light is its position."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner

__all__ = ["CENTROIDS", "IsophotalCentroid", "isophotal_centroid"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

CENTROIDS = ("windowed", "isophotal")
"""``windowed``: of the light in an elliptical Gaussian window; ``isophotal``: of the galaxy's own segment."""

# Noise d of the filtered image moves the rim by d * fall_px / threshold, and takes or adds light of the threshold's
# brightness there. Its variance per pixel of rim is at least 0.375 noise² for SEP's filter; islands that noise joins to
# the object add to it. Measured on noisy Sérsic galaxies.
_RIM = 0.8


class IsophotalCentroid(NamedTuple):
    """Flux-weighted mean position of some pixels and its error per axis, in pixels; NaN where they have no light."""

    x: float
    y: float
    error_px: float


@compiled
def isophotal_centroid(clean: FloatArray, own: BoolArray, noise: float, fall_px: float = 0.0) -> IsophotalCentroid:
    """Find the barycentre of the pixels of an object: X_IMAGE and Y_IMAGE of SExtractor.

    Negative pixels count as such. The error has two parts: that of the same pixels in noise (ERRX2_IMAGE and
    ERRY2_IMAGE, averaged), and that of which pixels the noise makes the object's, which is about as large again.

    Parameters
    ----------
    clean
        (H, W) sky-subtracted flux, finite.
    own
        (H, W) True on the object's pixels.
    noise
        Effective noise per pixel.
    fall_px
        Scale length of the brightness at the object's rim, where the same noise decided which pixels are the
        object's; 0 where it did not.

    Returns
    -------
    IsophotalCentroid
        NaN where negative pixels leave no light, or push it out of the box about the object.

    References
    ----------
    Bertin & Arnouts 1996, A&AS 117, 393.
    """
    total, first_x, first_y = 0.0, 0.0, 0.0
    left, right, bottom, top = own.shape[1], -1, own.shape[0], -1
    for i in range(own.shape[0]):
        for j in range(own.shape[1]):
            if own[i, j]:
                total, first_x, first_y = total + clean[i, j], first_x + j * clean[i, j], first_y + i * clean[i, j]
                left, right, bottom, top = min(left, j), max(right, j), min(bottom, i), max(top, i)
    if not total > 0:
        return IsophotalCentroid(math.nan, math.nan, math.nan)
    x, y = first_x / total, first_y / total
    if not (left <= x <= right and bottom <= y <= top):
        return IsophotalCentroid(math.nan, math.nan, math.nan)
    spread, rim = _spread(own, x, y)
    variance = 0.5 * (spread + _RIM * fall_px**2 * rim)
    return IsophotalCentroid(x, y, noise * math.sqrt(variance) / total)


@inner
def _spread(own: BoolArray, x: float, y: float) -> tuple[float, float]:
    """Add up the squares of the distances of an object's pixels from a point: of all, and of those at its rim."""
    spread, rim = 0.0, 0.0
    for i in range(own.shape[0]):
        for j in range(own.shape[1]):
            square = (j - x) ** 2 + (i - y) ** 2 if own[i, j] else 0.0
            spread += square
            rim += square if own[i, j] and _is_at_the_rim(own, i, j) else 0.0
    return spread, rim


@inner
def _is_at_the_rim(own: BoolArray, i: int, j: int) -> bool:
    """Tell whether a pixel lies beside one of the image that is not the object's."""
    height, width = own.shape
    along = (j > 0 and not own[i, j - 1]) or (j + 1 < width and not own[i, j + 1])
    return along or (i > 0 and not own[i - 1, j]) or (i + 1 < height and not own[i + 1, j])
