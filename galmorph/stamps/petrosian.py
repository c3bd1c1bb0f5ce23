"""Petrosian radius: where the brightness of a ring falls to a fifth of the mean brightness inside it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from galmorph.stamps.profile import Profile

__all__ = [
    "ETA",
    "Definition",
    "Sampling",
    "crossings",
    "filled",
    "petrosian_radius",
    "rings_seen",
    "sampling",
    "share_inside",
]

Array = npt.NDArray[np.float64]
Definition = Literal["sdss", "local"]

ETA = 0.2
"""Petrosian ratio of the SDSS definition (Blanton et al. 2001; Petrosian 1976)."""
INNER, OUTER = 0.8, 1.25
# The ring of the local definition is thin.
_THIN = 0.05
_STEP = 0.02
_FIRST_PX = 1.0


@dataclass(frozen=True)
class Sampling:
    """Which part of each ring of a profile lies inside circles, and inside the Petrosian annuli about them.

    Parameters
    ----------
    radius
        (G,) of the circles, in units of the profile's edges.
    inside
        (G, n) share of ring i inside circle g.
    annulus
        (G, n) share of ring i inside the Petrosian annulus about circle g.
    """

    radius: Array
    inside: Array
    annulus: Array

    def ratio(self, flux: Array, area: Array) -> Array:
        """Mean brightness of the annuli over the mean inside the circles, (G, ...); NaN where there is no light."""
        within, around = self.inside @ flux, self.annulus @ flux
        scale = (self.inside @ area) / (self.annulus @ area)
        light = within > 0
        return np.where(light, (around.T * scale).T / np.where(light, within, 1.0), np.nan)

    def ratio_at(self, rows: list[int], flux: Array, area: Array) -> Array:
        """Return the ratio at some circles only."""
        within, around = self.inside[rows], self.annulus[rows]
        light = within @ flux
        scale = (within @ area) / (around @ area)
        return np.where(light > 0, around @ flux * scale / np.where(light > 0, light, 1.0), np.nan)


def share_inside(edges: Array, radius: Array) -> Array:
    """Share of the rings between `edges` that lies inside circles, (G, n)."""
    square = edges**2
    share = (radius[:, None] ** 2 - square[:-1]) / np.diff(square)
    return np.asarray(np.minimum(np.maximum(share, 0.0), 1.0))


@lru_cache(maxsize=64)
def _sampling(edges: bytes, definition: Definition) -> Sampling:
    ring_edges = np.frombuffer(edges)
    inner, outer = (INNER, OUTER) if definition == "sdss" else (1.0 - _THIN, 1.0 + _THIN)
    last = ring_edges[-1] / outer
    n = max(int(np.log(max(last, 1.01) / _FIRST_PX) / _STEP), 2)
    radius = np.geomspace(_FIRST_PX, last, n)
    inside = share_inside(ring_edges, radius)
    annulus = share_inside(ring_edges, outer * radius) - share_inside(ring_edges, inner * radius)
    return Sampling(radius, inside, annulus)


def sampling(edges: Array, definition: Definition = "sdss") -> Sampling:
    """Return the sampling of rings; made once for the same edges."""
    return _sampling(np.ascontiguousarray(edges, np.float64).tobytes(), definition)


def crossings(radius: Array, ratio: Array) -> Array:
    """Radii where the ratio falls through ETA, interpolated."""
    below = np.flatnonzero((ratio[1:] < ETA) & (ratio[:-1] >= ETA))
    part = (ratio[below] - ETA) / (ratio[below] - ratio[below + 1])
    return radius[below] + part * (radius[below + 1] - radius[below])


def petrosian_radius(profile: Profile, noise: float, *, definition: Definition = "sdss") -> tuple[float, float, bool]:
    """Find the radius where the mean brightness in 0.8–1.25 r falls to 0.2 of the mean inside r.

    This is the plain value: nothing is assumed about the galaxy.

    Parameters
    ----------
    profile
        From :func:`galmorph.stamps.profile.radial_profile`.
    noise
        Effective noise per pixel for the error.
    definition
        ``'sdss'``, or ``'local'`` for the brightness at r itself (as statmorph and petrofit define it).

    Returns
    -------
    Radius and error in pixels (NaN where the ratio never falls that low inside the cutout), and whether it was found.

    References
    ----------
    Blanton et al. 2001, AJ 121, 2358; Strauss et al. 2002, AJ 124, 1810; Lotz et al. 2004, AJ 128, 163 (local).
    """
    n = rings_seen(profile)
    nothing = float("nan"), float("nan"), False
    if n < 4:
        return nothing
    circles = sampling(profile.edges[: n + 1], definition)
    area = profile.area[:n]
    flux = filled(profile.mean[:n]) * area
    ratio = circles.ratio(flux, area)
    found = crossings(circles.radius, ratio)
    if len(found) == 0:
        return nothing
    spread = np.divide(profile.area[:n] ** 2, profile.used[:n], out=np.zeros(n), where=profile.used[:n] > 0)
    radius = float(found[0])
    at = int(np.searchsorted(circles.radius, radius))
    ring = circles.annulus[at]
    mean_inside = (circles.inside[at] @ flux) / (circles.inside[at] @ area)
    error = noise * np.sqrt(ring**2 @ spread) / (ring @ area) / mean_inside
    return radius, float(error * radius / abs(_slope(ratio, at))), True


def filled(mean: Array) -> Array:
    """Replace what is unknown by what lies between its neighbours; zero where nothing is known."""
    known = np.isfinite(mean)
    if not known.any():
        return np.zeros_like(mean)
    number = np.arange(len(mean))
    return mean if known.all() else np.interp(number, number[known], mean[known])


def _slope(ratio: Array, at: int) -> float:
    """Fall of the ratio per natural logarithm of the radius, smoothed over a tenth."""
    low, high = max(at - 4, 0), min(at + 3, len(ratio) - 1)
    slope = (ratio[high] - ratio[low]) / ((high - low) * _STEP)
    return float(min(slope, -0.5 * ETA))


def rings_seen(profile: Profile) -> int:
    """Count the rings out to where less than a fifth of one has pixels.

    A narrow ring that falls between two rows of pixels (the centre on a pixel leaves 9.5 to 9.75 px empty) is judged
    with its neighbours.
    """
    used, area = profile.used, profile.area
    wide = np.convolve(used, np.ones(3), "same") >= 0.2 * np.convolve(area, np.ones(3), "same")
    covered = (used >= 0.2 * area) | wide
    gap = np.flatnonzero(~covered[8:])
    return int(gap[0]) + 8 if len(gap) else len(covered)
