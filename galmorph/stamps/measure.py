"""Measurement: position, size, shape and brightness of one galaxy on a cutout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.batch import LOW_SNR, Batch, MeasureSettings, Values, measure_batch, scene_of
from galmorph.stamps.compiled import uninterrupted
from galmorph.stamps.scene import segmentation_at
from galmorph.stamps.segment import Segmentation, usable_pixels

__all__ = ["LOW_SNR", "Measurement", "measure", "measurement_of", "reach_of", "settings_of", "undetected"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Measurement:
    """What is measured of one galaxy; every value may be NaN.

    Parameters
    ----------
    x, y, position_err_px
        Centroid in cutout pixels and its error per axis.
    rpet_px, rpet_err_px
        Petrosian radius in pixels: SDSS definition, circular annuli from 0.8 r to 1.25 r, eta = 0.2.
    r50_px
        Radius of the circle with half of the flux inside the Petrosian radius.
    flux, snr
        Flux inside the Petrosian radius in image units, and its ratio to the noise of the sky there.
    mean_brightness
        Mean flux per pixel inside the Petrosian radius, in image units: the scale of the stretch.
    sky_level, sky_sigma
        Of the cutout, per pixel.
    flags
        Bits of :class:`galmorph.flags.Flag`.
    reach_px
        Distance from the centroid to the nearest edge of the cutout, be that the image's or not.
    extent_px
        Isophotal extent along the major axis (three times SEP's semi-axis).
    segmentation
        The segmentation it rests on.
    neighbours
        (H, W) True on pixels of other objects.
    r50_err_px, r20_px, r20_err_px, r80_px, r80_err_px
        Circles with 50, 20 and 80 % of the flux inside the Petrosian radius, and errors.
    concentration, concentration_err
        5 log10(r80 / r20), of the flux inside one Petrosian radius (Bershady et al. 2000 take 1.5).
    asymmetry, asymmetry_err
        180-degree asymmetry inside 1.5 Petrosian radii about the centroid, less that of the sky's noise.
    ellipticity, ellipticity_err, position_angle_deg, position_angle_err_deg
        1 - b/a and direction of the major axis, from +x towards +y (-90 to 90), of the light in an elliptical
        Gaussian window of the same shape; not corrected for the point-spread function.
    flux_err
        Error of the flux, with those of the sky and of the radius.
    intrinsic_rpet_px, intrinsic_rpet_err_px
        Petrosian radius before the point-spread function, of the Sérsic profiles that match; NaN where that is unknown.
    """

    x: float
    y: float
    position_err_px: float
    rpet_px: float
    rpet_err_px: float
    r50_px: float
    flux: float
    snr: float
    mean_brightness: float
    sky_level: float
    sky_sigma: float
    flags: Flag
    reach_px: float
    extent_px: float
    segmentation: Segmentation
    neighbours: BoolArray
    r50_err_px: float = float("nan")
    r20_px: float = float("nan")
    r20_err_px: float = float("nan")
    r80_px: float = float("nan")
    r80_err_px: float = float("nan")
    concentration: float = float("nan")
    concentration_err: float = float("nan")
    asymmetry: float = float("nan")
    asymmetry_err: float = float("nan")
    ellipticity: float = float("nan")
    ellipticity_err: float = float("nan")
    position_angle_deg: float = float("nan")
    position_angle_err_deg: float = float("nan")
    flux_err: float = float("nan")
    intrinsic_rpet_px: float = float("nan")
    intrinsic_rpet_err_px: float = float("nan")


@uninterrupted()
def measure(
    pixels: FloatArray,
    x: float,
    y: float,
    *,
    weight: FloatArray | None = None,
    saturation: float | None = None,
    psf_fwhm_px: float | None = None,
    segmentation: Segmentation | None = None,
    centroid: str = "windowed",
) -> Measurement:
    """Measure the galaxy at a position.

    Background, detection and deblending (SEP); neighbours masked out to six of their semi-axes; shape in an elliptical
    Gaussian window of 0.8 half-light radii, centroid in the one that knows it best; Petrosian radius in the SDSS
    definition with circular annuli, each filled from its own unmasked part, combined with that of the Sérsic profiles
    behind the point-spread function that match, by their errors.

    Parameters
    ----------
    pixels
        Linear flux, (H, W) float32; NaN where there is no data.
    x, y
        Where the galaxy should be, in pixels.
    weight
        Inverse variance, (H, W); zero means no data.
    saturation
        Pixels at or above this flux are saturated.
    psf_fwhm_px
        Width of the point-spread function; marks objects that it dominates.
    segmentation
        Segmentation of this very cutout made elsewhere; None to detect here.
    centroid
        Which centre is the galaxy's position, and that of its circles: one of
        :data:`galmorph.stamps.centroid.CENTROIDS`.

    Returns
    -------
    Measurement
        May set MASKED_PIXELS, ZERO_WEIGHT, SATURATED, NO_SOURCE, NO_CENTROID, CENTROID_MOVED, NO_PETROSIAN, BLEND,
        LOW_SNR, UNRESOLVED. Without a source at the position, position and radius are NaN. OFF_EDGE is about the
        stamp, whose width a recipe chooses: it is set where a row is classified.

    References
    ----------
    Petrosian 1976, ApJ 210, L53; Blanton et al. 2001, AJ 121, 2358; Bertin & Arnouts 1996, A&AS 117, 393.
    """
    usable = usable_pixels(pixels, weight)
    if segmentation is None:
        segmentation = segmentation_at(pixels, usable, weight, x, y)
    else:
        usable = segmentation.usable & usable
    scene = scene_of(pixels, weight, segmentation)._replace(usable=np.ascontiguousarray(usable))
    settings = settings_of(psf_fwhm_px, saturation, centroid, is_final=True)
    batch = measure_batch(scene, np.array([[0, 0, *pixels.shape]]), np.array([[x, y]], np.float64), settings)
    return measurement_of(batch, 0, segmentation)


def settings_of(
    psf_fwhm_px: float | None, saturation: float | None, centroid: str, *, is_final: bool
) -> MeasureSettings:
    """Put what :func:`measure` is told into the form that compiled code takes."""
    return MeasureSettings(
        math.nan if psf_fwhm_px is None else float(psf_fwhm_px),
        math.nan if saturation is None else float(saturation),
        centroid == "isophotal",
        is_final,
    )


def measurement_of(batch: Batch, number: int, segmentation: Segmentation) -> Measurement:
    """Take the measurement of this number out of a batch, on the segmentation of its window."""
    values = dict(zip(Values._fields, batch.values[number].tolist(), strict=True))
    del values["sky_pixels"]
    height, width = segmentation.labels.shape
    return Measurement(
        flags=Flag(int(batch.flags[number])),
        segmentation=segmentation,
        neighbours=batch.neighbours[number, :height, :width],
        **values,
    )


def reach_of(centre: tuple[float, float], shape: tuple[int, ...]) -> float:
    """Distance from a centre, (x, y), to the nearest edge of a cutout of this shape, in pixels."""
    height, width = shape
    return float(min(centre[0], centre[1], width - 1 - centre[0], height - 1 - centre[1]))


def undetected(x: float, y: float, segmentation: Segmentation, missing: Flag) -> Measurement:
    """Say that no object was detected at a position, in pixels, and what is missing there."""
    nan = float("nan")
    flags = missing | Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR
    shape, sky = segmentation.labels.shape, segmentation.sky
    neighbours = np.zeros(shape, np.bool_)
    return Measurement(*(nan,) * 9, sky.level, sky.sigma, flags, reach_of((x, y), shape), nan, segmentation, neighbours)
