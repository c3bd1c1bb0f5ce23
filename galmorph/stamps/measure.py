"""Measurement: position, size, shape and brightness of one galaxy on a cutout."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.asymmetry import asymmetry
from galmorph.stamps.centroid import barycentre
from galmorph.stamps.compiled import compiled, inner, uninterrupted
from galmorph.stamps.frame import Frame, frame_about, frame_size
from galmorph.stamps.petrosian import ETA, petrosian_radius
from galmorph.stamps.profile import Profile, radial_profile
from galmorph.stamps.radii import Radii, light_within, radii_of
from galmorph.stamps.segment import (
    NEIGHBOUR_EXTENT,
    SKY_EXTENT,
    Segmentation,
    distance_of,
    is_misplaced,
    moved_far,
    neighbour_mask,
    pick,
    relative_noise,
    segment,
)
from galmorph.stamps.window import Window, ellipse_of, fit_window, sharpest

__all__ = [
    "ETA",
    "LOW_SNR",
    "Measurement",
    "Profile",
    "measure",
    "nothing",
    "petrosian_radius",
    "radial_profile",
    "reach_of",
]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Window of the centroid: Gaussian of so many half-light radii, at least so many widths of the point-spread function.
_WINDOW = 0.8
_LEAST_FWHM = 0.5
_SAME_WIDTH = 0.08
# Windows for the position alone: below these sizes there is the core of the point-spread function, and pixels.
_NARROWEST_FWHM = 0.5
_NARROWEST_PX = 1.5
LOW_SNR = 10.0
"""Signal-to-noise ratio below which a row is marked."""
_FINEST_CONTRAST = 0.0005
# Neighbours are masked to so many of their semi-axes, and less where that hides the galaxy.
_NEIGHBOUR_EXTENTS = NEIGHBOUR_EXTENT, 4.0, 3.0
# Largest r_P in isophotal radii, and largest relative error of it, where masks had to shrink.
_BLENDED_FARTHEST, _BLENDED_WORST = 4.0, 0.3
# Largest r_P in isophotal radii, of bright galaxies and of faint ones.
_FARTHEST = 5.0, 9.0
# A radius that is known no better than this is not known.
_WORST = 0.6
# Largest intrinsic r_P, in widths of the point-spread function, of what looks like a point.
_POINT_LIKE = 0.6
# The sky next to a galaxy is not that of the whole cutout: error of its level in units of the noise per pixel.
_SKY_SYSTEMATIC = 0.005
# First guess of a frame's half-width in isophotal radii, of bright galaxies and of faint ones.
_FIRST_FRAME = 0.8, 5.0
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
        Distance from the centroid to the nearest edge of the cutout.
    extent_px
        Isophotal extent along the major axis (three times SEP's semi-axis).
    found
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
    found: Segmentation
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
    found: Segmentation | None = None,
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
    found
        Segmentation of this very cutout made elsewhere; None to detect here.
    centroid
        Which centre is the galaxy's position, and that of its circles: one of
        :data:`galmorph.stamps.centroid.CENTROIDS`.

    Returns
    -------
    Measurement
        May set MASKED_PIXELS, ZERO_WEIGHT, SATURATED, NO_SOURCE, NO_CENTROID, CENTROID_MOVED, NO_PETROSIAN, BLEND,
        LOW_SNR, UNRESOLVED. Without a source at the position, position and radius are NaN.

    References
    ----------
    Petrosian 1976, ApJ 210, L53; Blanton et al. 2001, AJ 121, 2358; Bertin & Arnouts 1996, A&AS 117, 393.
    """
    scene = _Scene.of(pixels, weight, found)
    found, chosen = _object_at(scene, weight, found, x, y)
    if chosen < 0:
        # Nothing stands out here, so nothing is known to be a neighbour either.
        return nothing(x, y, found, scene.missing_at(x, y))
    for extent in _NEIGHBOUR_EXTENTS:
        neighbours = neighbour_mask(found, chosen, extent)
        galaxy = _Galaxy.of(scene, found, chosen, neighbours, psf_fwhm_px)
        window, flags = galaxy.centred()
        if centroid == "isophotal":
            window, flags = galaxy.balanced(window)
        frame, radii = galaxy.sized(window)
        if extent < NEIGHBOUR_EXTENT and radii is not None and not _is_credible(radii, galaxy.isophotal_px):
            radii = None
        if radii is not None or len(found.objects) == 1:
            break
    if math.hypot(window.x - x, window.y - y) > moved_far(galaxy.row):
        flags |= Flag.CENTROID_MOVED
    if centroid == "windowed":
        window = galaxy.pinpointed(galaxy.refined(window, radii))
    return _measurement(scene, galaxy, window, frame, radii, flags, saturation)


@dataclass(frozen=True)
class _Scene:
    """Pixels, which of them are finite, have weight, and both; None where all do."""

    pixels: FloatArray
    finite: BoolArray | None
    weighted: BoolArray | None
    usable: BoolArray

    @classmethod
    def of(cls, pixels: FloatArray, weight: FloatArray | None, found: Segmentation | None) -> _Scene:
        finite = np.isfinite(pixels)
        usable = finite
        weighted = None
        if weight is not None:
            weighted = np.isfinite(weight) & (weight > 0)
            usable = finite & weighted
        if found is not None:
            usable = usable & found.usable
        every = bool(finite.all())
        return cls(pixels, None if every else finite, weighted, usable)

    def missing_at(self, x: float, y: float) -> Flag:
        """Say what is missing at a position without a source."""
        height, width = self.usable.shape
        if self.usable.size == 0 or not np.isfinite(x + y):
            return Flag.MASKED_PIXELS
        row, column = round(min(max(y, 0.0), height - 1.0)), round(min(max(x, 0.0), width - 1.0))
        masked = Flag(0) if self.finite is None or self.finite[row, column] else Flag.MASKED_PIXELS
        weighted = self.weighted is None or self.weighted[row, column]
        return masked if weighted else masked | Flag.ZERO_WEIGHT


def _object_at(
    scene: _Scene, weight: FloatArray | None, given: Segmentation | None, x: float, y: float
) -> tuple[Segmentation, int]:
    """Segment the cutout and choose the object at the position.

    A position far from the middle of its object may be a smaller source in front of it: if deblending at a lower
    contrast finds one close by, that is meant.
    """
    if given is not None:
        return given, pick(given, x, y)
    noise = relative_noise(weight, scene.usable)
    found = segment(scene.pixels, scene.usable, relative_noise=noise)
    chosen = pick(found, x, y)
    if not is_misplaced(found, chosen, x, y):
        return found, chosen
    found = segment(scene.pixels, scene.usable, relative_noise=noise, join_clumps=False)
    chosen = pick(found, x, y)
    if not is_misplaced(found, chosen, x, y):
        return found, chosen
    finest = segment(
        scene.pixels, scene.usable, relative_noise=noise, deblend_contrast=_FINEST_CONTRAST, join_clumps=False
    )
    other = pick(finest, x, y)
    closer = other >= 0 and distance_of(finest, other, x, y) < 0.5 * distance_of(found, chosen, x, y)
    return (finest, other) if closer else (found, chosen)


def _is_credible(radii: Radii, isophotal_px: float) -> bool:
    """Tell whether a radius measured amid the wings of neighbours can be the galaxy's own."""
    return radii.rpet < _BLENDED_FARTHEST * isophotal_px and radii.rpet_err < _BLENDED_WORST * radii.rpet


def reach_of(centre: tuple[float, float], shape: tuple[int, ...]) -> float:
    """Distance from a centre, (x, y), to the nearest edge of a cutout of this shape, in pixels."""
    height, width = shape
    return float(min(centre[0], centre[1], width - 1 - centre[0], height - 1 - centre[1]))


def nothing(x: float, y: float, found: Segmentation, missing: Flag) -> Measurement:
    """Say that no object was detected at a position, in pixels, and what is missing there."""
    nan = float("nan")
    flags = missing | Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR
    shape, sky = found.labels.shape, found.sky
    neighbours = np.zeros(shape, np.bool_)
    return Measurement(*(nan,) * 9, sky.level, sky.sigma, flags, reach_of((x, y), shape), nan, found, neighbours)


@dataclass(frozen=True)
class _Galaxy:
    """One object of a segmentation with the pixels that belong to no other."""

    clean: FloatArray
    bad: BoolArray | None
    chosen: int
    found: Segmentation
    neighbours: BoolArray
    psf_fwhm_px: float | None

    @classmethod
    def of(
        cls, scene: _Scene, found: Segmentation, chosen: int, neighbours: BoolArray, psf_fwhm_px: float | None
    ) -> _Galaxy:
        clean = scene.pixels - np.float32(found.sky.level)
        bad: BoolArray | None = neighbours if len(found.objects) > 1 else None
        if not scene.usable.all():
            clean = np.where(scene.usable, clean, np.float32(0.0))
            bad = neighbours | ~scene.usable
        return cls(clean.astype(np.float32, copy=False), bad, chosen, found, neighbours, psf_fwhm_px)

    @cached_property
    def row(self) -> np.void:
        """The object."""
        row: np.void = self.found.objects[self.chosen]
        return row

    @property
    def noise(self) -> float:
        """Effective noise per pixel."""
        return self.found.sky.sigma * self.found.correlation_px

    @property
    def sky_error(self) -> float:
        """Error of the level of the sky near the galaxy, per pixel."""
        sky = self.found.sky
        counted = self.found.correlation_px / math.sqrt(max(sky.n_pixels, 1))
        return math.hypot(counted, _SKY_SYSTEMATIC) * sky.sigma

    @property
    def sky_px(self) -> tuple[float, float]:
        """Between which distances the sky was measured, roughly."""
        return SKY_EXTENT / 3.0 * self.isophotal_px, 0.6 * max(self.clean.shape)

    @cached_property
    def isophotal_px(self) -> float:
        """Isophotal radius."""
        return 3.0 * math.sqrt(self.row["a"] * self.row["b"])

    @property
    def farthest_px(self) -> float:
        """Largest Petrosian radius that the isophote allows."""
        return min(max(2.0 * self._expected, _FARTHEST[0]), _FARTHEST[1]) * self.isophotal_px

    @property
    def _expected(self) -> float:
        """Petrosian over isophotal radius of an exponential disc: 3.6 / ln P if its centre is P thresholds bright."""
        return 3.6 / self._log_contrast

    @cached_property
    def _log_contrast(self) -> float:
        contrast = float(self.row["cpeak"]) / max(float(self.row["thresh"]), 1e-30)
        return math.log(max(contrast, 1.5))

    @property
    def _fall_px(self) -> float:
        """Scale length of an exponential disc with this isophote; 0 for a segment of a map, which has no threshold."""
        return math.sqrt(self.row["npix"] / np.pi) / self._log_contrast if self.row["thresh"] > 0 else 0.0

    def centred(self) -> tuple[Window, Flag]:
        """Fit the window that centroid and shape come from."""
        start = float(self.row["x"]), float(self.row["y"])
        frame = frame_about(self.clean, self.bad, *start, *frame_size(1.2 * self.isophotal_px + 2.0))
        mean, half_light, _ = light_within(frame, self.isophotal_px)
        fill = frame.rings.edges[1:] * frame.scale_px, mean
        sigma = _WINDOW * max(half_light if math.isfinite(half_light) else 0.0, _LEAST_FWHM * (self.psf_fwhm_px or 2.0))
        shape = ellipse_of(float(self.row["a"]), float(self.row["b"]), float(self.row["theta"]), sigma)
        window = fit_window(self.clean, self.bad, start, shape, self.noise, fill)
        moved = math.hypot(window.x - start[0], window.y - start[1])
        if not moved <= 6.0 * max(float(self.row["a"]), 1.0) or self._core_is_bad(start):
            nan = float("nan")
            return Window(*start, window.position_err_px, shape, nan, converged=False), Flag.NO_CENTROID
        return window, Flag(0) if window.converged else Flag.NO_CENTROID

    def balanced(self, window: Window) -> tuple[Window, Flag]:
        """Move the centre of a window to the barycentre of the galaxy's own segment, where that has one."""
        start = float(self.row["x"]), float(self.row["y"])
        own = (self.found.labels == self.chosen + 1) & self.found.usable
        centre = barycentre(self.clean, own, self.noise, self._fall_px)
        if np.isnan(centre.x) or self._core_is_bad(start):
            return replace(window, x=start[0], y=start[1], converged=False), Flag.NO_CENTROID
        return replace(window, x=centre.x, y=centre.y, position_err_px=centre.error_px), Flag(0)

    def refined(self, window: Window, radii: Radii | None) -> Window:
        """Fit the window again where the half-light radius came out different from the first, isophotal one."""
        if radii is None or not window.converged or not radii.shares[1] > 0:
            return window
        sigma = _WINDOW * max(float(radii.shares[1]), _LEAST_FWHM * (self.psf_fwhm_px or 2.0))
        if abs(sigma / window.ellipse.sigma_px - 1.0) < _SAME_WIDTH:
            return window
        again = fit_window(self.clean, self.bad, (window.x, window.y), window.ellipse.resized(sigma), self.noise)
        return again if again.converged and math.hypot(again.x - window.x, again.y - window.y) < sigma else window

    def pinpointed(self, window: Window) -> Window:
        """Centre a window of the size that knows the position best; the shape stays that of the half-light window."""
        if not window.converged:
            return window
        sigma = window.ellipse.sigma_px
        narrowest = max(_NARROWEST_FWHM * (self.psf_fwhm_px or 0.0), _NARROWEST_PX)
        best = sharpest(self.clean, self.bad, window, narrowest)
        # What fills in for missing pixels is good enough for a wide window only.
        if best >= sigma or self._core_is_bad((window.x, window.y), math.ceil(3.0 * best)):
            return window
        narrow = fit_window(self.clean, self.bad, (window.x, window.y), window.ellipse.resized(best), self.noise)
        if not narrow.converged or math.hypot(narrow.x - window.x, narrow.y - window.y) > sigma:
            return window
        return replace(window, x=narrow.x, y=narrow.y, position_err_px=narrow.position_err_px)

    def _core_is_bad(self, centre: tuple[float, float], reach: int = 1) -> bool:
        if self.bad is None:
            return False
        row, column = round(centre[1]), round(centre[0])
        rows, columns = (slice(max(at - reach, 0), max(at + reach + 1, 0)) for at in (row, column))
        return bool(self.bad[rows, columns].any())

    def sized(self, window: Window) -> tuple[Frame, Radii | None]:
        """Measure the radii on a frame that is large enough for them."""
        reach = max(min(max(2.7 * self._expected, _FIRST_FRAME[0]), _FIRST_FRAME[1]) * self.isophotal_px, 12.0)
        farthest = self.farthest_px
        settings = self.noise, self.sky_error, self.sky_px, self.psf_fwhm_px, window.ellipse.axis_ratio
        while True:
            frame = frame_about(self.clean, self.bad, window.x, window.y, *frame_size(reach))
            radii = radii_of(frame, *settings)
            if (radii is not None and 1.5 * radii.rpet <= reach) or reach > farthest:
                break
            reach = max(1.6 * reach, 1.6 * radii.rpet if radii is not None else 0.0)
        fits = radii is not None and radii.rpet <= farthest and radii.rpet_err < _WORST * radii.rpet
        return frame, radii if fits else None


def _measurement(
    scene: _Scene,
    galaxy: _Galaxy,
    window: Window,
    frame: Frame,
    radii: Radii | None,
    flags: Flag,
    saturation: float | None,
) -> Measurement:
    """Put the values together, and flag them."""
    nan = float("nan")
    sky, found = galaxy.found.sky, galaxy.found
    aperture = radii.rpet if radii is not None else galaxy.isophotal_px
    flags |= _radius_flags(radii, galaxy.psf_fwhm_px)
    flux, flux_err = (radii.flux, radii.flux_err) if radii is not None else _plain_flux(galaxy, frame)
    noise = galaxy.noise * math.sqrt(math.pi) * aperture
    snr = flux / noise if noise > 0 else nan
    flags |= _aperture_flags(scene, window, aperture, galaxy.neighbours, saturation)
    if not snr >= LOW_SNR:
        flags |= Flag.LOW_SNR
    uneven = asymmetry(frame, radii.rpet, galaxy.noise, sky.n_pixels) if radii is not None else (nan, nan)
    r20, r50, r80 = radii.shares.tolist() if radii is not None else (nan, nan, nan)
    r20_err, r50_err, r80_err = radii.shares_err.tolist() if radii is not None else (nan, nan, nan)
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
        found=found,
        neighbours=galaxy.neighbours,
        r50_err_px=r50_err,
        r20_px=r20,
        r20_err_px=r20_err,
        r80_px=r80,
        r80_err_px=r80_err,
        concentration=5.0 * math.log10(r80 / r20) if r20 > 0 else nan,
        concentration_err=radii.concentration_err if radii is not None else nan,
        asymmetry=uneven[0],
        asymmetry_err=uneven[1],
        ellipticity=window.ellipticity,
        ellipticity_err=window.ellipticity_err,
        position_angle_deg=window.ellipse.angle_deg,
        position_angle_err_deg=window.angle_err_deg,
        flux_err=flux_err,
        intrinsic_rpet_px=radii.intrinsic if radii is not None and galaxy.psf_fwhm_px else nan,
        intrinsic_rpet_err_px=radii.intrinsic_err if radii is not None and galaxy.psf_fwhm_px else nan,
    )


def _plain_flux(galaxy: _Galaxy, frame: Frame) -> tuple[float, float]:
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
    scene: _Scene, window: Window, aperture: float, neighbours: BoolArray, saturation: float | None
) -> Flag:
    finite, weighted = (_ALL if known is None else known for known in (scene.finite, scene.weighted))
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
    inside, others, seen, missing, weightless = 0, 0, 0, False, False
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
                values[seen] = pixels[i, j]
                seen += 1
    return missing, weightless, others > 0.1 * inside, _is_saturated(values[:seen], saturation)


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
