"""Growth: Petrosian radius and light radii from the flux inside circles, as textbooks have them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.background import Sky
from galmorph.stamps.measure import LOW_SNR, Measurement, reach_of
from galmorph.stamps.petrosian import ETA, INNER, OUTER
from galmorph.stamps.segment import Segmentation

__all__ = ["Growth", "Plain", "growth_of", "measurement"]

DoubleArray = npt.NDArray[np.float64]
# Circles of the curve of growth, from one pixel on: on a cutout of 128 pixels each is 7 % larger than the one before.
_STEPS, _FIRST_PX = 60, 1.0
_NAN = float("nan")


@dataclass(frozen=True)
class Growth:
    """Petrosian radius (SDSS definition), and the circles with 20, 50 and 80 % of the flux inside it, in pixels."""

    rpet_px: float
    light_px: tuple[float, float, float]
    flux: float


@dataclass(frozen=True)
class Plain:
    """What a library says of one galaxy: centre and its error, shape, and noise per pixel."""

    x: float
    y: float
    position_err_px: float
    semi_major_px: float
    ellipticity: float
    position_angle_deg: float
    sky: Sky


def growth_of(inside: Callable[[DoubleArray], DoubleArray], largest_px: float) -> Growth:
    """Find the radii on a curve of growth.

    Parameters
    ----------
    inside
        Flux inside circles of the given radii (pixels).
    largest_px
        Radius of the largest circle that the cutout holds.
    """
    radius = np.geomspace(_FIRST_PX, max(largest_px / OUTER, 2.0 * _FIRST_PX), _STEPS)
    within = inside(radius)
    around = inside(OUTER * radius) - inside(INNER * radius)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = around / (within * (OUTER**2 - INNER**2))
    below = np.flatnonzero((ratio[1:] < ETA) & (ratio[:-1] >= ETA))
    if len(below) == 0:
        return Growth(_NAN, (_NAN, _NAN, _NAN), float(within[-1]))
    i = int(below[0])
    share = (ratio[i] - ETA) / (ratio[i] - ratio[i + 1])
    rpet = float(radius[i] + share * (radius[i + 1] - radius[i]))
    circles = np.linspace(0.0, rpet, _STEPS + 1)[1:]
    flux = np.maximum.accumulate(np.append(0.0, inside(circles)))
    first, half, last = (float(np.interp(s * flux[-1], flux, np.append(0.0, circles))) for s in (0.2, 0.5, 0.8))
    return Growth(rpet, (first, half, last), float(flux[-1]))


def measurement(plain: Plain, growth: Growth, segmentation: Segmentation, shape: tuple[int, ...]) -> Measurement:
    """Put what a library measured into a Measurement; what it does not know is NaN."""
    aperture = growth.rpet_px if np.isfinite(growth.rpet_px) else 3.0 * plain.semi_major_px
    noise = plain.sky.sigma * np.sqrt(np.pi) * aperture
    snr = float(growth.flux / noise) if noise > 0 else _NAN
    flags = Flag(0) if np.isfinite(growth.rpet_px) else Flag.NO_PETROSIAN
    first, half, last = growth.light_px
    return Measurement(
        x=plain.x,
        y=plain.y,
        position_err_px=plain.position_err_px,
        rpet_px=growth.rpet_px,
        rpet_err_px=_NAN,
        r50_px=half,
        flux=growth.flux,
        snr=snr,
        mean_brightness=float(growth.flux / (np.pi * aperture**2)),
        sky_level=plain.sky.level,
        sky_sigma=plain.sky.sigma,
        flags=flags if snr >= LOW_SNR else flags | Flag.LOW_SNR,
        reach_px=reach_of((plain.x, plain.y), shape),
        extent_px=3.0 * plain.semi_major_px,
        segmentation=segmentation,
        neighbours=np.zeros(shape, np.bool_),
        r20_px=first,
        r80_px=last,
        concentration=float(5.0 * np.log10(last / first)) if first > 0 else _NAN,
        ellipticity=plain.ellipticity,
        position_angle_deg=plain.position_angle_deg,
    )
