"""Measurement: position, size, shape and brightness of one galaxy on a cutout."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.asymmetry import asymmetry
from galmorph.stamps.compiled import compiled, inner, uninterrupted
from galmorph.stamps.frame import Frame
from galmorph.stamps.galaxy import Source
from galmorph.stamps.radii import Radii, light_within
from galmorph.stamps.scene import Scene, object_at
from galmorph.stamps.segment import NEIGHBOUR_EXTENT, Segmentation, moved_far, neighbour_mask
from galmorph.stamps.window import Window

__all__ = ["LOW_SNR", "Measurement", "measure", "reach_of", "undetected"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

LOW_SNR = 10.0
"""Signal-to-noise ratio below which a row is marked: that of the faintest mocks on which measuring was tested."""
# Neighbours are masked to so many of their semi-axes, and less where that hides the galaxy.
_NEIGHBOUR_EXTENTS = NEIGHBOUR_EXTENT, 4.0, 3.0
# Largest r_P in isophotal radii, and largest relative error of it, where masks had to shrink.
_BLENDED_FARTHEST, _BLENDED_WORST = 4.0, 0.3
# Largest intrinsic r_P, in widths of the point-spread function, of what looks like a point.
_POINT_LIKE = 0.6
# Stands for a mask without missing pixels.
_ALL = np.zeros((0, 0), np.bool_)


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
    scene = Scene.of(pixels, weight, segmentation)
    segmentation, chosen = object_at(scene, weight, segmentation, x, y)
    if chosen < 0:
        # Nothing stands out here, so nothing is known to be a neighbour either.
        return undetected(x, y, segmentation, scene.missing_at(x, y))
    for extent in _NEIGHBOUR_EXTENTS:
        neighbours = neighbour_mask(segmentation, chosen, extent)
        galaxy = Source.of(scene, segmentation, chosen, neighbours, psf_fwhm_px)
        window, flags = galaxy.windowed()
        if centroid == "isophotal":
            window, flags = galaxy.isophotal(window)
        frame, radii = galaxy.radii(window)
        if extent < NEIGHBOUR_EXTENT and radii is not None and not _is_credible(radii, galaxy.isophotal_px):
            radii = None
        if radii is not None or len(segmentation.objects) == 1:
            break
    if math.hypot(window.x - x, window.y - y) > moved_far(galaxy.row):
        flags |= Flag.CENTROID_MOVED
    if centroid == "windowed":
        window = galaxy.pinpointed(galaxy.refined(window, radii))
    return _measurement(scene, galaxy, window, frame, radii, flags, saturation)


def _is_credible(radii: Radii, isophotal_px: float) -> bool:
    """Tell whether a radius measured amid the wings of neighbours can be the galaxy's own."""
    return radii.rpet < _BLENDED_FARTHEST * isophotal_px and radii.rpet_err < _BLENDED_WORST * radii.rpet


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


def _measurement(
    scene: Scene,
    galaxy: Source,
    window: Window,
    frame: Frame,
    radii: Radii | None,
    flags: Flag,
    saturation: float | None,
) -> Measurement:
    """Put the values together, and flag them."""
    nan = float("nan")
    sky, segmentation = galaxy.segmentation.sky, galaxy.segmentation
    aperture = radii.rpet if radii is not None else galaxy.isophotal_px
    flags |= _radius_flags(radii, galaxy.psf_fwhm_px)
    flux, flux_err = (radii.flux, radii.flux_err) if radii is not None else _plain_flux(galaxy, frame)
    noise = galaxy.noise * math.sqrt(math.pi) * aperture
    snr = flux / noise if noise > 0 else nan
    flags |= _aperture_flags(scene, window, aperture, galaxy.neighbours, saturation)
    if not snr >= LOW_SNR:
        flags |= Flag.LOW_SNR
    turned, turned_err = asymmetry(frame, radii.rpet, galaxy.noise, sky.n_pixels) if radii is not None else (nan, nan)
    r20, r50, r80 = radii.light if radii is not None else (nan, nan, nan)
    r20_err, r50_err, r80_err = radii.light_err if radii is not None else (nan, nan, nan)
    return Measurement(
        x=window.x,
        y=window.y,
        position_err_px=window.position_err_px,
        rpet_px=radii.rpet if radii is not None else nan,
        rpet_err_px=radii.rpet_err if radii is not None else nan,
        r50_px=r50,
        flux=flux,
        snr=snr,
        mean_brightness=flux / (np.pi * aperture**2),
        sky_level=sky.level,
        sky_sigma=sky.sigma,
        flags=flags,
        reach_px=reach_of((window.x, window.y), scene.pixels.shape),
        extent_px=3.0 * float(galaxy.row["a"]),
        segmentation=segmentation,
        neighbours=galaxy.neighbours,
        r50_err_px=r50_err,
        r20_px=r20,
        r20_err_px=r20_err,
        r80_px=r80,
        r80_err_px=r80_err,
        concentration=5.0 * math.log10(r80 / r20) if r20 > 0 else nan,
        concentration_err=radii.concentration_err if radii is not None else nan,
        asymmetry=turned,
        asymmetry_err=turned_err,
        ellipticity=window.ellipticity,
        ellipticity_err=window.ellipticity_err,
        position_angle_deg=window.ellipse.angle_deg,
        position_angle_err_deg=window.angle_err_deg,
        flux_err=flux_err,
        intrinsic_rpet_px=radii.intrinsic if radii is not None and galaxy.psf_fwhm_px else nan,
        intrinsic_rpet_err_px=radii.intrinsic_err if radii is not None and galaxy.psf_fwhm_px else nan,
    )


def _plain_flux(galaxy: Source, frame: Frame) -> tuple[float, float]:
    """Flux inside the isophotal radius and its error, where there is no Petrosian radius."""
    radius = galaxy.isophotal_px
    flux = light_within(frame, radius)[2]
    area = np.pi * radius**2
    return flux, math.hypot(galaxy.noise * math.sqrt(area), galaxy.sky_error * area)


def _radius_flags(radii: Radii | None, psf_fwhm_px: float | None) -> Flag:
    if radii is None:
        return Flag.NO_PETROSIAN
    # r_P of a Gaussian is 0.971 FWHM (eta = 0.2); within a quarter of that the profile is the PSF's. PSFs with wings
    # are larger: without the PSF a point source is left with half its width, the smallest galaxies with all of it.
    if psf_fwhm_px and (radii.rpet < 1.21 * psf_fwhm_px or radii.intrinsic < _POINT_LIKE * psf_fwhm_px):
        return Flag.UNRESOLVED
    return Flag(0)


def _aperture_flags(
    scene: Scene, window: Window, aperture: float, neighbours: BoolArray, saturation: float | None
) -> Flag:
    finite, weighted = (_ALL if mask is None else mask for mask in (scene.finite, scene.weighted))
    limit = float("nan") if saturation is None else saturation
    pixels = np.ascontiguousarray(scene.pixels, np.float32)
    missing, weightless, blended, saturated = _aperture(
        pixels, finite, weighted, neighbours, window.x, window.y, aperture, limit
    )
    flags = Flag.MASKED_PIXELS if missing else Flag(0)
    flags |= Flag.ZERO_WEIGHT if weightless else Flag(0)
    flags |= Flag.BLEND if blended else Flag(0)
    return flags | Flag.SATURATED if saturated else flags


@compiled
def _aperture(
    pixels: FloatArray,
    finite: BoolArray,
    weighted: BoolArray,
    neighbours: BoolArray,
    x: float,
    y: float,
    radius: float,
    saturation: float,
) -> tuple[bool, bool, bool, bool]:
    """Tell whether pixels in a circle are missing, have no weight, belong to neighbours, are saturated.

    An empty map stands for one where all pixels are finite or weighted; a saturation of NaN for none known.
    """
    height, width = pixels.shape
    inside, others, count, missing, weightless = 0, 0, 0, False, False
    values = np.empty(height * width, np.float32)
    for i in range(max(math.ceil(y - radius), 0), min(math.floor(y + radius), height - 1) + 1):
        for j in range(max(math.ceil(x - radius), 0), min(math.floor(x + radius), width - 1) + 1):
            if (j - x) ** 2 + (i - y) ** 2 > radius * radius:
                continue
            inside += 1
            others += neighbours[i, j]
            weightless = weightless or (weighted.size > 0 and not weighted[i, j])
            if finite.size > 0 and not finite[i, j]:
                missing = True
            else:
                values[count] = pixels[i, j]
                count += 1
    return missing, weightless, others > 0.1 * inside, _is_saturated(values[:count], saturation)


@inner
def _is_saturated(values: FloatArray, saturation: float) -> bool:
    if values.size == 0:
        return False
    peak = values.max()
    if peak >= saturation:
        return True
    # A plateau: several pixels that share the very same highest value, far above the median or filling much of it.
    top, above, below = 0, 0, 0
    for value in values:
        top += value == peak
        above += value < 0.1 * peak
        below += value > -0.1 * peak
    far = 2 * min(above, below) > values.size
    return bool(values.size > 20 and top >= 4 and (far or top > 0.1 * values.size))
