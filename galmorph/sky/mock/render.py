"""Render: from sources to pixels: the PSF, noiseless stamps, a field with noise. GalSim convolves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.ndimage import correlate1d

from galmorph.errors import PipelineError
from galmorph.sky.mock.population import MockSource
from galmorph.sky.mock.setting import Conditions, Setting

__all__ = [
    "NoiselessImage",
    "Psf",
    "add_noise",
    "draw_noiseless",
    "load_galsim",
    "make_psf",
    "paint",
    "pixel_rms",
    "weight_map",
]

FloatArray = npt.NDArray[np.float64]
Pixels = npt.NDArray[np.float32]

_INVISIBLE = 0.05
"""A stamp ends where the surface brightness falls below this part of the noise of a pixel."""
_LARGEST_HALF_PX = 420
"""Half-width at which the image of a source ends in any case: the cost of convolving grows with its area."""
_SKY_RESIDUAL = 0.03
"""Amplitude of what sky subtraction leaves, in units of the noise of a pixel."""


@dataclass(frozen=True)
class Psf:
    """A point-spread function and how far its wings reach.

    Parameters
    ----------
    profile
        GalSim profile, unit flux; the pixel is part of it.
    fwhm_arcsec
        Full width at half maximum.
    model
        What it is, in words, for the header.
    wings
        Largest value of unit flux beyond radius 0, 1, 2 ... pixels, (R,).
    """

    profile: Any
    fwhm_arcsec: float
    model: str
    wings: FloatArray

    def reach_px(self, flux: float) -> int:
        """Radius in pixels beyond which a star of unit flux stays below `flux` per pixel."""
        return int(np.searchsorted(-self.wings, -flux))


@dataclass(frozen=True)
class NoiselessImage:
    """A noiseless source alone, in image units, (S, S), and the field's pixel at its corner ``[0, 0]``."""

    pixels: Pixels
    x0: int
    y0: int


def load_galsim() -> Any:
    """Import GalSim.

    Raises
    ------
    PipelineError
        If it is not installed.
    """
    try:
        import galsim  # noqa: PLC0415 (an optional extra)
    except ImportError as error:
        raise PipelineError(
            "simulating was asked for, which needs GalSim, and GalSim is not installed: "
            "pip install 'galmorph[simulate]'"
        ) from error
    return galsim


def make_psf(galsim: Any, conditions: Conditions, kind: str) -> Psf:
    """Make the PSF of a band with its measured full width at half maximum.

    In space it is the diffraction pattern of a mirror with a central shadow of 0.33 and four struts, blurred
    by a Gaussian that stands for the detector; on the ground a Kolmogorov profile.
    """
    fwhm, scale = conditions.band.psf_fwhm_arcsec, conditions.band.scale_arcsec
    if kind == "ground":
        profile, model = galsim.Kolmogorov(fwhm=fwhm), "Kolmogorov"
    else:
        mirror = galsim.OpticalPSF(
            lam_over_diam=0.72 * fwhm,
            obscuration=0.33,
            nstruts=4,
            strut_thick=0.02,
            strut_angle=45 * galsim.degrees,
        )
        blurred = galsim.Convolve(mirror, galsim.Gaussian(fwhm=0.6 * fwhm))
        profile, model = blurred.dilate(fwhm / blurred.calculateFWHM()), "obscured mirror * Gaussian"
    return Psf(profile, fwhm, model, _wings(profile, scale))


def _wings(profile: Any, scale_arcsec: float) -> FloatArray:
    side = 301
    image = profile.drawImage(nx=side, ny=side, scale=scale_arcsec, method="no_pixel").array
    v, u = np.indices(image.shape) - side // 2
    radius = np.hypot(u, v).astype(int)
    ring = np.zeros(side // 2 + 1)
    inside = radius <= side // 2
    np.maximum.at(ring, radius[inside], np.abs(image[inside]))
    return np.asarray(np.maximum.accumulate(ring[::-1])[::-1], dtype=float)


def draw_noiseless(galsim: Any, source: MockSource, setting: Setting, band_index: int, psf: Psf) -> NoiselessImage:
    """Draw a source alone, convolved with the PSF, on the field's pixel grid."""
    conditions, scale = setting.bands[band_index], setting.scale_arcsec
    parts = [
        light.profile(galsim)
        * (light.share * conditions.flux(source.mag + setting.colour_offset(band_index, light.tint)))
        for light in source.shape.lights
    ]
    blurred = galsim.Convolve(galsim.Sum(parts), psf.profile)
    half = _half_px(source, conditions, psf, scale)
    x, y = round(source.x_px), round(source.y_px)
    image = galsim.Image(2 * half + 1, 2 * half + 1, dtype=np.float32)
    blurred.drawImage(image, scale=scale, method="no_pixel", offset=(source.x_px - x, source.y_px - y))
    return NoiselessImage(image.array, x - half, y - half)


def _half_px(source: MockSource, conditions: Conditions, psf: Psf, scale_arcsec: float) -> int:
    """Half of a stamp's side: to where the light drowns in the noise."""
    flux = conditions.flux(source.mag)
    faint = _INVISIBLE * conditions.sigma / flux
    galaxy = source.shape.reach_arcsec(faint / scale_arcsec**2) / scale_arcsec
    if source.shape.kind == "star":
        return int(min(max(psf.reach_px(faint), 6 * psf.fwhm_arcsec / scale_arcsec), _LARGEST_HALF_PX))
    return int(min(galaxy + 5 * psf.fwhm_arcsec / scale_arcsec + 4, _LARGEST_HALF_PX))


def paint(field: FloatArray, stamp: NoiselessImage) -> None:
    """Add a stamp to a field, in place; what lies outside the field is cut off."""
    height, width = stamp.pixels.shape
    y = slice(max(stamp.y0, 0), min(stamp.y0 + height, field.shape[0]))
    x = slice(max(stamp.x0, 0), min(stamp.x0 + width, field.shape[1]))
    if y.start < y.stop and x.start < x.stop:
        field[y, x] += stamp.pixels[y.start - stamp.y0 : y.stop - stamp.y0, x.start - stamp.x0 : x.stop - stamp.x0]


def weight_map(setting: Setting, conditions: Conditions, side_px: int) -> Pixels:
    """Return the inverse variance of the sky noise as if pixels were independent, (H, W).

    In space it has steps where drizzled exposures overlap; on the ground it is flat.
    """
    depth = np.ones((side_px, side_px))
    if setting.psf == "space":
        depth[: int(0.31 * side_px)] *= 0.85
        depth[:, int(0.74 * side_px) :] *= 0.9
    return np.asarray(depth / conditions.sigma**2, dtype=np.float32)


def pixel_rms(conditions: Conditions, correlation: float) -> float:
    """Return the noise of single pixels, smaller than that of areas after drizzling (Casertano+ 2000)."""
    return float(conditions.sigma * np.sum(_drizzle(correlation) ** 2))


def add_noise(
    rng: np.random.Generator, field: FloatArray, weight: Pixels, conditions: Conditions, correlation: float
) -> Pixels:
    """Add sky noise, photon noise and a residual of the sky to a noiseless field.

    The values are rounded to a sixteenth to an eighth of the noise: finer digits hold no information and do
    not compress.
    """
    rms = 1 / np.sqrt(weight.astype(float))
    photons = np.sqrt(np.maximum(field, 0) / conditions.electrons_per_unit)
    noisy = field + rms * _drizzled_noise(rng, field.shape, correlation)
    noisy += photons * rng.normal(size=field.shape)
    noisy += _SKY_RESIDUAL * pixel_rms(conditions, correlation) * _smooth_residual(rng, field.shape)
    step = 2.0 ** np.floor(np.log2(pixel_rms(conditions, correlation) / 8))
    return np.asarray(np.round(noisy / step) * step, dtype=np.float32)


def _drizzle(correlation: float) -> FloatArray:
    kernel = np.array([correlation, 1.0, correlation])
    return np.asarray(kernel / kernel.sum())


def _drizzled_noise(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> FloatArray:
    """Draw noise smoothed as drizzling does: that of areas is 1 per pixel, that of single pixels less."""
    kernel = _drizzle(correlation)
    rows = correlate1d(rng.normal(size=shape), kernel, axis=0, mode="wrap")
    return np.asarray(correlate1d(rows, kernel, axis=1, mode="wrap"))


def _smooth_residual(rng: np.random.Generator, shape: tuple[int, ...]) -> FloatArray:
    """Draw a few slow waves across the field, of amplitude about 1."""
    v, u = (np.linspace(0, 1, n) for n in shape)
    return np.asarray(sum(_waves(rng, u, v)))


def _waves(rng: np.random.Generator, u: FloatArray, v: FloatArray) -> Iterator[FloatArray]:
    for _ in range(4):
        across, up = rng.uniform(-1.5, 1.5, 2)
        yield 0.5 * np.cos(2 * np.pi * (across * u[None, :] + up * v[:, None] + rng.uniform()))
