"""Colour: three bands composed as the survey's own colour pictures are, and made linear again.

The stretch is that of Lupton et al. (2004, PASP 116, 133): all three bands of a pixel are multiplied by the
same factor, so that bright centres keep their colour.
"""

from __future__ import annotations

import numpy as np

from galmorph.sky.cutout import FloatArray
from galmorph.sky.survey import ColourParams

__all__ = ["compose", "linear_intensity", "scaled_sum"]


def compose(bands: FloatArray, params: ColourParams) -> FloatArray:
    """Compose a colour picture of three linear bands.

    With R the sum of the scaled bands, each is multiplied by asinh(βR) / (βR). Pixels with a value above 1
    are then divided by their maximum (or cut, where the survey does that), negative values become 0.

    Parameters
    ----------
    bands
        Sky-subtracted flux in the survey's unit per pixel of the survey, (3, H, W), in the order of
        ``params.bands``.
    params
        Scales and nonlinearity.

    Returns
    -------
    numpy.ndarray
        Red, green and blue in [0, 1], (3, H, W) float32; NaN in all three where one band is NaN.

    Examples
    --------
    >>> from galmorph.sky.survey import load_survey
    >>> grey = compose(np.full((3, 1, 1), 0.02, np.float32), load_survey("sdss").colour)
    >>> bool(0 < grey.min() and grey.max() < 1)
    True
    """
    scaled = _scaled(bands, params)
    radius = params.nonlinearity * scaled.sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        factor = np.where(radius == 0, np.float32(1), np.arcsinh(radius) / radius)
    picture = scaled * factor
    if params.clip == "colour":
        picture /= np.maximum(picture.max(axis=0), 1)
    return np.clip(picture, 0, 1).astype(np.float32)


def linear_intensity(picture: FloatArray, params: ColourParams) -> FloatArray:
    """Undo the stretch of a colour picture: the sum of its scaled bands.

    Exact where no channel was cut at 0 or 1: too high where negative noise was cut, too low in saturated
    pixels.

    Parameters
    ----------
    picture
        Red, green and blue in [0, 1], (3, H, W).
    params
        Those with which it was composed.

    Returns
    -------
    numpy.ndarray
        (H, W) float32, in display units; see :func:`scaled_sum`.
    """
    total = picture.sum(axis=0, dtype=np.float32)
    linear = np.sinh(params.nonlinearity * total) / params.nonlinearity - 3 * params.origin
    return np.asarray(linear, np.float32)


def scaled_sum(bands: FloatArray, params: ColourParams) -> FloatArray:
    """Return the sum of the scaled bands, (H, W) float32: the intensity that the stretch is made of."""
    weights = np.asarray(params.scales, np.float32)
    return np.asarray(np.einsum("chw,c->hw", bands, weights), np.float32)


def _scaled(bands: FloatArray, params: ColourParams) -> FloatArray:
    scales = np.asarray(params.scales, np.float32)[:, np.newaxis, np.newaxis]
    return np.asarray(bands * scales + np.float32(params.origin), np.float32)
