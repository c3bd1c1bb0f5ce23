"""Petrosian radius: where the brightness of a ring falls to a fifth of the mean brightness inside it."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled
from galmorph.stamps.profile import Profile
from galmorph.stamps.shared import shared

__all__ = [
    "ETA",
    "Definition",
    "Sampling",
    "count_seen",
    "crossings",
    "eta",
    "filled",
    "inside",
    "petrosian_radius",
    "rings_seen",
    "sampling",
]

Array = npt.NDArray[np.float64]
Definition = Literal["sdss", "local"]

ETA = 0.2
"""Petrosian ratio of the SDSS definition (Blanton et al. 2001; Petrosian 1976)."""
INNER, OUTER = 0.8, 1.25
"""Edges of the annulus about a radius, in radii (SDSS; Strauss et al. 2002)."""
# The ring of the local definition is thin.
_THIN = 0.05
# Logarithmic step between radii, over which the ratio is interpolated: half of it changes radii of the benchmark's
# mocks by .05 %, twice by .1 %.
_STEP = 0.02
# The smallest radius that is looked at: half of it changes radii by .03 %.
_FIRST_PX = 1.0


class Sampling(NamedTuple):
    """In which rings of a profile the edges of circles lie, and those of the Petrosian annuli about them.

    Parameters
    ----------
    radius
        (G,) of the circles, in units of the profile's edges.
    ring, part
        (3, G) the ring that the edge of each circle lies in, and the inner and outer edge of the annulus about it, and
        the share of that ring inside the edge.
    inner, outer
        Edges of the annuli, in radii.
    """

    radius: Array
    ring: npt.NDArray[np.intp]
    part: Array
    inner: float
    outer: float


@compiled
def eta(circles: Sampling, flux: Array) -> Array:
    """Mean brightness of the annuli over the mean inside the circles, (G,); NaN where there is no light.

    The flux, (n,), is that of whole rings.
    """
    grown = np.zeros(len(flux))
    for i in range(1, len(flux)):
        grown[i] = grown[i - 1] + flux[i - 1]
    ratio = np.empty(len(circles.radius))
    scale = 1.0 / (circles.outer**2 - circles.inner**2)
    for g in range(len(ratio)):
        # Whole rings up to the one that the edge lies in, and the part of that which is inside.
        k, low, high = circles.ring[0, g], circles.ring[1, g], circles.ring[2, g]
        within = grown[k] + flux[k] * circles.part[0, g]
        around = grown[high] + flux[high] * circles.part[2, g] - grown[low] - flux[low] * circles.part[1, g]
        ratio[g] = around * scale / within if within > 0 else math.nan
    return ratio


@compiled
def inside(edges: Array, radius: float) -> Array:
    """Share of each ring between `edges` that lies inside a circle, (n,)."""
    share = np.empty(len(edges) - 1)
    for i in range(len(share)):
        square = edges[i] * edges[i]
        share[i] = min(max((radius * radius - square) / (edges[i + 1] * edges[i + 1] - square), 0.0), 1.0)
    return share


@shared(maxsize=64)
def _sampling(edges: bytes, definition: Definition) -> Sampling:
    ring_edges = np.frombuffer(edges)
    inner, outer = (INNER, OUTER) if definition == "sdss" else (1.0 - _THIN, 1.0 + _THIN)
    last = ring_edges[-1] / outer
    n = max(int(np.log(max(last, 1.01) / _FIRST_PX) / _STEP), 2)
    radius = np.geomspace(_FIRST_PX, last, n)
    along = np.stack([radius, inner * radius, outer * radius])
    ring = np.clip(np.searchsorted(ring_edges, along, side="right") - 1, 0, len(ring_edges) - 2)
    part = np.minimum((along**2 - ring_edges[ring] ** 2) / np.diff(ring_edges**2)[ring], 1.0)
    return Sampling(radius, ring, part, inner, outer)


def sampling(edges: Array, definition: Definition = "sdss") -> Sampling:
    """Return the sampling of rings; made once for the same edges."""
    return _sampling(np.ascontiguousarray(edges, np.float64).tobytes(), definition)


@compiled
def crossings(radius: Array, ratio: Array) -> Array:
    """Radii where the ratio falls through ETA, interpolated."""
    falls = np.empty(len(radius))
    count = 0
    for i in range(len(radius) - 1):
        if ratio[i] >= ETA and ratio[i + 1] < ETA:
            part = (ratio[i] - ETA) / (ratio[i] - ratio[i + 1])
            falls[count] = radius[i] + part * (radius[i + 1] - radius[i])
            count += 1
    return falls[:count]


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
    Radius and error in pixels (NaN where the ratio never falls that low inside the cutout), and whether it does.

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
    ratio = eta(circles, flux)
    falls = crossings(circles.radius, ratio)
    if len(falls) == 0:
        return nothing
    spread = np.divide(profile.area[:n] ** 2, profile.used[:n], out=np.zeros(n), where=profile.used[:n] > 0)
    radius = float(falls[0])
    at = int(np.searchsorted(circles.radius, radius))
    edges, circle = profile.edges[: n + 1], float(circles.radius[at])
    ring = inside(edges, circles.outer * circle) - inside(edges, circles.inner * circle)
    within = inside(edges, circle)
    mean_inside = (within @ flux) / (within @ area)
    error = noise * np.sqrt(ring**2 @ spread) / (ring @ area) / mean_inside
    return radius, float(error * radius / abs(_slope(ratio, at))), True


def filled(mean: Array) -> Array:
    """Replace what is unknown by what lies between its neighbours; zero where nothing is known."""
    finite = np.isfinite(mean)
    if not finite.any():
        return np.zeros_like(mean)
    number = np.arange(len(mean))
    return mean if finite.all() else np.interp(number, number[finite], mean[finite])


def _slope(ratio: Array, at: int) -> float:
    """Fall of the ratio per natural logarithm of the radius, smoothed over a tenth."""
    low, high = max(at - 4, 0), min(at + 3, len(ratio) - 1)
    slope = (ratio[high] - ratio[low]) / ((high - low) * _STEP)
    return float(min(slope, -0.5 * ETA))


def rings_seen(profile: Profile) -> int:
    """Count the rings out to where less than a fifth of one has pixels."""
    return count_seen(profile.used, profile.area)


@compiled
def count_seen(used: Array, area: Array) -> int:
    """Count the rings out to where less than a fifth of the area of one is used.

    A narrow ring that falls between two rows of pixels (the centre on a pixel leaves 9.5 to 9.75 px empty) is judged
    with its neighbours.
    """
    for i in range(8, len(used)):
        if used[i] < 0.2 * area[i]:
            first, end = i - 1, min(i + 2, len(used))
            around, whole = 0.0, 0.0
            for k in range(first, end):
                around, whole = around + used[k], whole + area[k]
            if around < 0.2 * whole:
                return i
    return len(used)
