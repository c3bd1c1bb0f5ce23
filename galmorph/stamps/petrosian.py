"""Petrosian radius: where the brightness of a ring falls to a fifth of the mean brightness inside it."""

from __future__ import annotations

import math
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
    ring, part
        (3 G,) the ring that the edge of each circle lies in, and of the annulus about it inside and outside, and the
        share of that ring inside the edge.
    scale
        Area of the circles over that of the annuli.
    """

    radius: Array
    inside: Array
    annulus: Array
    ring: npt.NDArray[np.intp]
    part: Array
    scale: float

    def eta(self, flux: Array) -> Array:
        """Mean brightness of the annuli over the mean inside the circles, (G, ...); NaN where there is no light.

        The flux, (n, ...), is that of whole rings.
        """
        part = self.part.reshape(-1, *(1,) * (flux.ndim - 1))
        # Whole rings up to the one that the edge lies in, less what of that is outside.
        grown = (np.cumsum(flux, axis=0) - flux).take(self.ring, axis=0) + flux.take(self.ring, axis=0) * part
        within, low, high = grown.reshape(3, len(self.radius), *flux.shape[1:])
        light = within > 0
        ratio = np.full(within.shape, np.nan)
        np.divide((high - low) * self.scale, within, out=ratio, where=light)
        return ratio

    def eta_at(self, rows: list[int], flux: Array) -> list[float]:
        """Return the ratio at some circles only."""
        pairs = [(float(self.inside[i] @ flux), float(self.annulus[i] @ flux)) for i in rows]
        return [around * self.scale / within if within > 0 else math.nan for within, around in pairs]


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
    along = np.concatenate([radius, inner * radius, outer * radius])
    ring = np.clip(np.searchsorted(ring_edges, along, side="right") - 1, 0, len(ring_edges) - 2)
    part = np.minimum((along**2 - ring_edges[ring] ** 2) / np.diff(ring_edges**2)[ring], 1.0)
    return Sampling(radius, inside, annulus, ring, part, 1.0 / (outer**2 - inner**2))


def sampling(edges: Array, definition: Definition = "sdss") -> Sampling:
    """Return the sampling of rings; made once for the same edges."""
    return _sampling(np.ascontiguousarray(edges, np.float64).tobytes(), definition)


def crossings(radius: Array, ratio: Array) -> Array:
    """Radii where the ratio falls through ETA, interpolated."""
    low = ratio < ETA
    below = np.flatnonzero(low[1:] & (ratio[:-1] >= ETA))
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
    ratio = circles.eta(flux)
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
    scarce = np.flatnonzero(used[8:] < 0.2 * area[8:]) + 8
    # The first of them is the last one, but for a narrow ring or two.
    gaps = (int(i) for i in scarce if used[i - 1 : i + 2].sum() < 0.2 * area[i - 1 : i + 2].sum())
    return next(gaps, len(used))
