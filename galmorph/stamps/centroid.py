"""Centroid: which centre of a galaxy's light is its position."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

__all__ = ["CENTROIDS", "IsophotalCentroid", "isophotal_centroid"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

CENTROIDS = ("windowed", "isophotal")
"""``windowed``: of the light in an elliptical Gaussian window; ``isophotal``: of the galaxy's own segment."""

# Noise d of the filtered image moves the rim by d * fall_px / threshold, and takes or adds light of the threshold's
# brightness there. Its variance per pixel of rim is at least 0.375 noise² for SEP's filter; islands that noise joins to
# the object add to it. Measured on noisy Sérsic galaxies.
_RIM = 0.8


@dataclass(frozen=True)
class IsophotalCentroid:
    """Flux-weighted mean position of some pixels and its error per axis, in pixels; NaN where they have no light."""

    x: float
    y: float
    error_px: float


_NOWHERE = IsophotalCentroid(*(float("nan"),) * 3)


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
    rows, columns = np.nonzero(own)
    flux = clean[rows, columns].astype(np.float64)
    total = float(flux.sum())
    if not total > 0:
        return _NOWHERE
    x, y = float(flux @ columns) / total, float(flux @ rows) / total
    if not (columns.min() <= x <= columns.max() and rows.min() <= y <= rows.max()):
        return _NOWHERE
    spread = (columns - x) ** 2 + (rows - y) ** 2
    variance = 0.5 * float(spread.sum() + _RIM * fall_px**2 * (spread @ _rim(own)[rows, columns]))
    return IsophotalCentroid(x, y, noise * float(np.sqrt(variance)) / total)


def _rim(own: BoolArray) -> BoolArray:
    """Mark pixels of an object that lie beside one that is not, (H, W)."""
    beside = np.zeros_like(own)
    beside[1:] |= ~own[:-1]
    beside[:-1] |= ~own[1:]
    beside[:, 1:] |= ~own[:, :-1]
    beside[:, :-1] |= ~own[:, 1:]
    return own & beside
