"""Light: one component of a simulated galaxy, and the shape that several of them make.

Lengths are in arcsec, angles in degrees from the x axis of the image towards its y axis.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import gamma, gammaincinv

__all__ = ["FloatArray", "Light", "Point", "Shape", "Smooth", "Texture", "half_light_arcsec", "sersic_b"]

FloatArray = npt.NDArray[np.float64]

# Points on a sunflower's spiral stand for the light of a component: so many give a half-light radius good to 0.5 %.
_PHOTONS = 2500
_GOLDEN_ANGLE = np.pi * (3 - 5**0.5)


class Light(Protocol):
    """What every component can do."""

    @property
    def share(self) -> float:
        """Part of the galaxy's flux in the reference band."""

    @property
    def tint(self) -> float:
        """Colour: 0 for the youngest stars, 1 for the oldest."""

    def profile(self, galsim: Any) -> Any:
        """Make the GalSim profile, of unit flux, before the PSF."""

    def photons(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sample the light: x and y in arcsec and weights that sum to `share`, (N,) each."""

    def reach_arcsec(self, flux_arcsec2: float) -> float:
        """Return the radius beyond which the surface brightness of unit flux stays below `flux_arcsec2`."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """A star."""

    share: float = 1.0
    tint: float = 1.0

    def profile(self, galsim: Any) -> Any:
        """Make the GalSim profile."""
        return galsim.DeltaFunction()

    def photons(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sample the light."""
        return np.zeros(1), np.zeros(1), np.full(1, self.share)

    def reach_arcsec(self, flux_arcsec2: float) -> float:  # noqa: ARG002 (the PSF is added to all)
        """Return 0: a point has no radius."""
        return 0.0


@dataclass(frozen=True, kw_only=True)
class Smooth:
    """An elliptical Sérsic profile; `r_e` is the half-light semi-major axis."""

    share: float
    tint: float
    r_e: float
    n: float
    q: float
    angle: float
    x: float = 0.0
    y: float = 0.0

    def profile(self, galsim: Any) -> Any:
        """Make the GalSim profile."""
        index = round(self.n, 1)  # GalSim tabulates each index once
        round_one = galsim.Sersic(index, half_light_radius=self.r_e * self.q**0.5)
        return round_one.shear(q=self.q, beta=self.angle * galsim.degrees).shift(self.x, self.y)

    def photons(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sample the light."""
        inside = (np.arange(_PHOTONS) + 0.5) / _PHOTONS
        radius = self.r_e * (gammaincinv(2 * self.n, inside) / sersic_b(self.n)) ** self.n
        turn = _GOLDEN_ANGLE * np.arange(_PHOTONS)
        x, y = _tilted(radius * np.cos(turn), radius * np.sin(turn), self.q, self.angle)
        return x + self.x, y + self.y, np.full(_PHOTONS, self.share / _PHOTONS)

    def reach_arcsec(self, flux_arcsec2: float) -> float:
        """Return the radius of the visible part."""
        b = sersic_b(self.n)
        area = 2 * np.pi * self.n * self.r_e**2 * self.q * gamma(2 * self.n) * np.exp(b) / b ** (2 * self.n)
        height = 1 + np.log(self.share / area / flux_arcsec2) / b
        return float(np.hypot(self.x, self.y) + self.r_e * max(height, 0.0) ** self.n)


@dataclass(frozen=True, kw_only=True)
class Texture:
    """A picture of a disc from above, (S, S), inclined; `half_width` arcsec from its middle to its side."""

    share: float
    tint: float
    picture: npt.NDArray[np.float32]
    half_width: float
    q: float
    angle: float

    def profile(self, galsim: Any) -> Any:
        """Make the GalSim profile."""
        pixel = 2 * self.half_width / len(self.picture)
        image = galsim.Image(self.picture, scale=pixel)
        # The pictures fade to zero inside their sides: no need to search how far their transform reaches.
        face_on = galsim.InterpolatedImage(
            image, flux=1.0, x_interpolant="cubic", calculate_stepk=False, calculate_maxk=False
        )
        squeezed = face_on.dilate(self.q**0.5).shear(q=self.q, beta=0 * galsim.degrees)
        return squeezed.rotate(self.angle * galsim.degrees)

    def photons(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Sample the light."""
        side = len(self.picture)
        at = (np.arange(side) - (side - 1) / 2) * (2 * self.half_width / side)
        u, v = np.meshgrid(at, at)
        x, y = _tilted(u.ravel(), v.ravel(), self.q, self.angle)
        weight = self.picture.ravel().astype(float)
        return x, y, self.share * weight / weight.sum()

    def reach_arcsec(self, flux_arcsec2: float) -> float:
        """Return the radius of the visible part."""
        pixel = 2 * self.half_width / len(self.picture)
        visible = self.picture / self.picture.sum() * self.share / (pixel**2 * self.q) > flux_arcsec2
        rows, columns = np.nonzero(visible)
        middle = (len(self.picture) - 1) / 2
        return float(pixel * np.hypot(rows - middle, columns - middle).max(initial=0.0))


@dataclass(frozen=True)
class Shape:
    """The light of one source, its centre at (0, 0).

    Parameters
    ----------
    kind
        Such as ``spiral``.
    lights
        Components whose shares sum to 1.
    q, angle
        Axis ratio and direction of the major axis of the main body.
    n
        Sérsic index of the brightest smooth component; NaN for stars.
    bulge_share
        Part of the flux in a bulge.
    """

    kind: str
    lights: tuple[Light, ...]
    q: float
    angle: float
    n: float
    bulge_share: float

    def reach_arcsec(self, flux_arcsec2: float) -> float:
        """Return the radius beyond which unit flux stays below `flux_arcsec2`, before the PSF."""
        return max(light.reach_arcsec(flux_arcsec2) for light in self.lights)


def sersic_b(n: float) -> float:
    """Return b of the Sérsic profile exp(-b (r / r_e)^(1/n)): half of the light lies within r_e."""
    return float(gammaincinv(2 * n, 0.5))


def half_light_arcsec(shape: Shape) -> float:
    """Semi-major axis of the ellipse, of the shape's axis ratio and direction, that holds half of the light.

    Light before the PSF in the reference band, about its centroid; found from samples, good to 0.5 %.
    """
    x, y, weight = (np.concatenate(part) for part in zip(*(p.photons() for p in shape.lights), strict=True))
    x, y = x - np.average(x, weights=weight), y - np.average(y, weights=weight)
    turn = np.radians(shape.angle)
    along, across = x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)
    radius = np.hypot(along, across / shape.q)
    order = np.argsort(radius)
    return float(np.interp(0.5, np.cumsum(weight[order]) / weight.sum(), radius[order]))


def _tilted(u: FloatArray, v: FloatArray, q: float, angle: float) -> tuple[FloatArray, FloatArray]:
    """Squeeze v by q, then turn by `angle` degrees."""
    turn = np.radians(angle)
    return u * np.cos(turn) - q * v * np.sin(turn), u * np.sin(turn) + q * v * np.cos(turn)
