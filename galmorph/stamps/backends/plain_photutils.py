"""photutils' textbook values: clipped sky, segmentation, windowed centroid, curve of growth."""

from __future__ import annotations

import warnings

import numpy as np
from astropy.stats import sigma_clipped_stats
from photutils.aperture import CircularAperture
from photutils.segmentation import SegmentationImage, SourceCatalog, deblend_sources, detect_sources
from photutils.utils.exceptions import NoDetectionsWarning

from galmorph.flags import Flag
from galmorph.stamps.backends.growth import DoubleArray, Plain, growth_of, measurement
from galmorph.stamps.background import Sky
from galmorph.stamps.labelled import segmentation_of
from galmorph.stamps.measure import BoolArray, FloatArray, Measurement, undetected
from galmorph.stamps.segment import Segmentation, pick, usable_pixels

__all__ = ["measure_with_photutils"]

# SExtractor's defaults: 1.5 sigma, five pixels.
_THRESHOLD, _LEAST_PX = 1.5, 5


def measure_with_photutils(
    pixels: FloatArray,
    x: float,
    y: float,
    *,
    weight: FloatArray | None = None,
    saturation: float | None = None,  # noqa: ARG001 - part of the interface
    psf_fwhm_px: float | None = None,  # noqa: ARG001 - likewise
    segmentation: Segmentation | None = None,
    centroid: str = "windowed",
) -> Measurement:
    """Measure with photutils alone, with the settings of its documentation.

    Parameters
    ----------
    pixels, x, y, weight, segmentation, centroid
        As :func:`galmorph.stamps.measure.measure` takes them.
    saturation, psf_fwhm_px
        Not used.

    References
    ----------
    Bradley et al., photutils, doi:10.5281/zenodo.596036.
    """
    usable = usable_pixels(pixels, weight)
    if not usable.any():
        empty = segmentation_of(pixels, usable, np.zeros(pixels.shape, np.int32))
        return undetected(x, y, empty, Flag(0))
    _, level, sigma = (float(v) for v in sigma_clipped_stats(pixels[usable], sigma=3.0))
    sky = Sky(level, sigma, int(usable.sum()))
    clean = np.where(usable, pixels - np.float32(level), np.float32(0.0)).astype(np.float64)
    segmentation = segmentation or _detected(clean, usable, sky)
    chosen = pick(segmentation, x, y)
    if chosen < 0:
        return undetected(x, y, segmentation, Flag(0))
    source = SourceCatalog(
        clean, SegmentationImage(segmentation.labels), mask=~usable, error=np.full(clean.shape, sigma)
    )
    row = source.select_label(chosen + 1)
    centre = tuple(float(v) for v in (row.centroid_win if centroid == "windowed" else row.centroid))

    def inside(radius: DoubleArray) -> DoubleArray:
        sums = [CircularAperture(centre, r).do_photometry(clean, mask=~usable)[0][0] for r in radius.ravel()]
        return np.array(sums, dtype=np.float64)

    plain = Plain(
        centre[0],
        centre[1],
        float("nan"),
        float(row.semimajor_axis.value),
        float(row.ellipticity),
        # Photutils counts it from 0 to 360.
        (float(row.orientation.value) + 90.0) % 180.0 - 90.0,
        sky,
    )
    return measurement(plain, growth_of(inside, min(pixels.shape) / 2), segmentation, pixels.shape)


def _detected(clean: DoubleArray, usable: BoolArray, sky: Sky) -> Segmentation:
    """Detect and deblend; the objects are described by their moments."""
    threshold = max(_THRESHOLD * sky.sigma, 1e-12 * float(np.abs(clean).max()))
    with warnings.catch_warnings():
        # A blank sky is no surprise: the row says so with a flag.
        warnings.simplefilter("ignore", NoDetectionsWarning)
        segments = detect_sources(clean, threshold, n_pixels=_LEAST_PX, mask=~usable)
    labels = np.zeros(clean.shape, np.int32)
    if segments is not None:
        labels = deblend_sources(clean, segments, n_pixels=_LEAST_PX, progress_bar=False).data.astype(np.int32)
    return segmentation_of(clean.astype(np.float32), usable, labels)
