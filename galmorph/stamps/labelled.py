"""Labelled: segmentations that come from a map of labels instead of from detection on the cutout."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

from galmorph.stamps.background import clipped_sky, correlation_px
from galmorph.stamps.isophote import OBJECT_DTYPE
from galmorph.stamps.segment import Segmentation

__all__ = ["compact", "segmentation_of"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]

# Side of the square that labels are grown by before the sky is measured: two pixels of wings on each side.
_SKY_MARGIN_PX = 5
# Share and number of pixels that are enough sky: a hundred fix the level to a tenth of the noise.
_LEAST_SKY, _FEWEST_SKY = 0.05, 100
# Of light that is spread evenly over a pixel, px² along an axis.
_PIXEL_VARIANCE = 1.0 / 12.0


def segmentation_of(pixels: FloatArray, usable: BoolArray, labels: IntArray) -> Segmentation:
    """Describe the objects of a label map by their moments, as SEP does for those that it detects.

    Parameters
    ----------
    pixels
        Linear flux, (H, W).
    usable
        (H, W) True where a pixel counts.
    labels
        (H, W); 0 for the sky, any positive number for the pixels of an object.

    References
    ----------
    Bertin & Arnouts 1996, A&AS 117, 393 (moments of an isophotal object).
    """
    numbered, _ = compact(labels)
    sky = clipped_sky(pixels, _sky_pixels(usable, numbered))
    objects = _moments(np.where(usable, pixels - np.float32(sky.level), np.float32(0.0)), numbered)
    return Segmentation(numbered, objects, sky, correlation_px(pixels, usable, sky), usable)


def compact(labels: IntArray) -> tuple[IntArray, npt.NDArray[np.intp]]:
    """Give the labels of a map, (H, W), numbers from 1 without gaps; also return what each had been, (K,)."""
    present, inverse = np.unique(labels, return_inverse=True)
    is_object = present > 0
    number = np.where(is_object, np.cumsum(is_object), 0).astype(np.int32)
    return number[inverse].reshape(labels.shape), present[is_object].astype(np.intp)


def _sky_pixels(usable: BoolArray, labels: IntArray) -> BoolArray:
    """Choose the pixels that the sky is measured on; all usable ones, clipped, where a map leaves next to none."""
    # Maps end where their threshold was: leave a margin for the wings, if that leaves any sky.
    grown = scipy.ndimage.maximum_filter(labels, size=_SKY_MARGIN_PX, mode="nearest") > 0
    away: BoolArray
    for away in (usable & ~grown, usable & (labels == 0)):
        if np.count_nonzero(away) > max(_LEAST_SKY * away.size, _FEWEST_SKY):
            return away
    return usable


def _moments(flux: FloatArray, labels: IntArray) -> npt.NDArray[np.void]:
    n = int(labels.max()) + 1 if labels.size else 1
    rows, columns = np.nonzero(labels)
    which = labels[rows, columns]
    own = flux[rows, columns].astype(np.float64)
    # Negative pixels would move a faint object's centre out of it; an object without light is all its pixels alike.
    light = np.maximum(own, 0.0)
    light = np.where((np.bincount(which, light, n) > 0)[which], light, 1.0)
    total = np.maximum(np.bincount(which, light, n), 1e-300)

    def mean(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return (np.bincount(which, light * values, n) / total)[1:]

    x, y = mean(columns.astype(np.float64)), mean(rows.astype(np.float64))
    dx, dy = columns - x[which - 1], rows - y[which - 1]
    xx, yy, xy = mean(dx * dx) + _PIXEL_VARIANCE, mean(dy * dy) + _PIXEL_VARIANCE, mean(dx * dy)
    spread = np.hypot(0.5 * (xx - yy), xy)
    objects = np.zeros(n - 1, OBJECT_DTYPE)
    objects["x"], objects["y"] = x, y
    objects["x2"], objects["y2"], objects["xy"] = xx, yy, xy
    objects["a"] = np.sqrt(0.5 * (xx + yy) + spread)
    objects["b"] = np.sqrt(np.maximum(0.5 * (xx + yy) - spread, _PIXEL_VARIANCE))
    objects["theta"] = 0.5 * np.arctan2(2.0 * xy, xx - yy)
    objects["flux"] = np.bincount(which, own, n)[1:]
    objects["npix"] = objects["tnpix"] = np.bincount(which, minlength=n)[1:]
    return objects
