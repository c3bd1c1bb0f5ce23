"""Templates: circular profiles of Sérsic galaxies behind a point-spread function, and how well each fits a galaxy."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.petrosian import crossings, eta, sampling
from galmorph.stamps.rings import interpolated, ring_edges
from galmorph.stamps.shared import shared

__all__ = [
    "WIDTH_CLASSES",
    "LightRadii",
    "LogRadii",
    "Match",
    "Templates",
    "light_radii",
    "match",
    "plane_of",
    "templates",
    "width_class",
    "width_number",
]

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

INDICES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 3.8, 5.0, 6.3)
"""Sérsic indices of the templates: twice as many change the radii of mocks by .1 %, half as many by .4 %."""
AXIS_RATIOS = (0.35, 0.6, 0.9)
"""Of the templates: one alone, or twice as many, change radii by less than .01 %."""
SHARES = (0.2, 0.5, 0.8)
"""Of the light inside :class:`LightRadii`; concentration is that of r80 and r20 (Kent 1985, Bershady et al. 2000)."""
WIDTH_CLASSES = 512
"""Width classes that are told apart: the last is for 6e10 pixels and more."""
HALF = 64
"""Half-width of the largest frame, whose rings the templates have."""
# Logarithmic step between the templates' half-light radii: half of it changes radii by .005 %, twice by up to .1 %.
_STEP = 0.08
# Largest half-light radius of a template, pixels of a frame: the Petrosian radii of most then lie outside of it.
_LARGEST_PX = 45.0
# Wings of a Moffat profile with this exponent resemble seeing and space telescopes alike (Trujillo et al. 2001).
_BETA = 4.0
# How much of a template's light where the sky is measured goes into it (clipping takes the rest), and at most how
# many errors of the sky.
_WINGS, _MOST_WINGS = 0.8, 2.0
# Where a template's brightness is taken for that of the sky's ring at the latest, pixels: inside the last groups.
_FARTHEST_SKY = 56
# Circles that profiles are spread from: the smallest, pixels, and their logarithmic step. Half of the step, or a
# quarter of the smallest, changes radii by .05 %.
_SMALLEST_PX, _FINE_STEP = 0.02, 0.04
# Groups of rings that the match compares, as radii between them.
_GROUPS = np.array(
    [0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 33, 37, 42, 47, 53, 59, 65],
    dtype=np.float64,
)
# Templates less likely than the likeliest by so much in the logarithm do not count.
_LEAST_LIKELY = 8.0


class LightRadii(NamedTuple):
    """Radii of the circles with 20, 50 and 80 % of the flux inside an aperture, or something of each of them."""

    r20: float
    r50: float
    r80: float


class LogRadii(NamedTuple):
    """Natural logarithms of radii behind a point-spread function, and of the Petrosian radius before it."""

    rpet: float
    r20: float
    r50: float
    r80: float
    intrinsic_rpet: float


class Templates(NamedTuple):
    """K profiles of total flux 1 on frame pixels, for one width of the point-spread function.

    Parameters
    ----------
    ring_flux
        (K, n) flux in each ring of a frame.
    mean
        (g, K) mean flux per pixel in each group of rings.
    groups
        (g + 1,) number of the first ring of each group, and the end.
    log_radii
        (K, 5) the :class:`LogRadii` of each.
    """

    ring_flux: FloatArray
    mean: FloatArray
    groups: npt.NDArray[np.intp]
    log_radii: Array


@shared(maxsize=96)
def templates(width_class: int, plane: int) -> Templates:
    """Make the templates of a width class and an axis ratio, by their numbers.

    See :func:`width_class` and :func:`plane_of`; a set takes some hundredths of a second and is kept.
    """
    fwhm = _width_of(width_class)
    sizes = np.exp(np.arange(np.log(0.25 * max(fwhm, 1.2)), np.log(_LARGEST_PX), _STEP))
    edges = ring_edges(HALF)
    fine = np.exp(np.arange(np.log(_SMALLEST_PX), np.log(40 * _LARGEST_PX), _FINE_STEP))
    spread = _spread(fine, edges, fwhm)
    ring_flux, sharp = [], []
    q = AXIS_RATIOS[plane]
    for n in INDICES:
        grown = light_inside(np.concatenate([fine[:1] * 0, fine])[None, :] / sizes[:, None], n, q)
        ring_flux.append(np.diff(grown, axis=1) @ spread)
        sharp.append(np.log(sizes * intrinsic_ratio(n, q)))
    flux = np.concatenate(ring_flux)
    groups = np.searchsorted(edges, _GROUPS)
    area = np.add.reduceat(np.pi * np.diff(edges**2), groups[:-1])
    mean = (np.add.reduceat(flux, groups[:-1], axis=1)[:, : len(area)] / area)[:, :-1]
    radii = np.column_stack([_radii(flux, edges), np.concatenate(sharp)])
    finite = np.isfinite(radii).all(axis=1)
    small = np.ascontiguousarray(mean[finite].T, np.float32)
    return Templates(flux[finite].astype(np.float32), small, groups[:-1], radii[finite])


@compiled
def plane_of(axis_ratio: float) -> int:
    """Return the number of the axis ratio of templates next to a galaxy's."""
    nearest = 0
    for i in range(1, len(AXIS_RATIOS)):
        if abs(AXIS_RATIOS[i] - axis_ratio) < abs(AXIS_RATIOS[nearest] - axis_ratio):
            nearest = i
    return nearest


def width_class(fwhm_px: float | None) -> int:
    """Return the number of the class of point-spread functions that a width in frame pixels belongs to; 5 % wide."""
    return width_number(math.nan if fwhm_px is None else fwhm_px)


@compiled
def width_number(fwhm_px: float) -> int:
    """Return the number of a width class; that of the smallest widths where the width is not known (NaN)."""
    return 0 if math.isnan(fwhm_px) else min(max(0, round(math.log(max(fwhm_px, 0.5) / 0.5) / 0.05)), WIDTH_CLASSES - 1)


def _width_of(number: int) -> float:
    return 0.5 * float(np.exp(0.05 * number))


def light_inside(x: Array, n: float, q: float) -> Array:
    """Share of a Sérsic galaxy's light inside circles of x circularised half-light radii, for axis ratio q."""
    grid, inside = _grown(n, q)
    return np.asarray(np.interp(np.log(np.maximum(x, 1e-6)), grid, inside, left=0.0))


@shared(maxsize=64)
def _grown(n: float, q: float) -> tuple[Array, Array]:
    """Logarithms of radii and the share of the light inside them."""
    b = 2.0 * n - 1.0 / 3.0 + 4.0 / (405.0 * n) + 46.0 / (25515.0 * n**2)
    angle = 0.5 * np.pi * (np.arange(12) + 0.5) / 12
    # Radius along each direction in units of the circularised one.
    stretch = 1.0 / np.sqrt(q * np.cos(angle) ** 2 + np.sin(angle) ** 2 / q)
    grid = np.exp(np.arange(np.log(1e-5), np.log(1e5), 0.02))
    inside = special.gammainc(2.0 * n, b * (grid[:, None] / stretch) ** (1.0 / n)) @ stretch**2 / (stretch**2).sum()
    return np.log(grid), np.asarray(inside)


@lru_cache(maxsize=64)
def intrinsic_ratio(n: float, q: float) -> float:
    """Petrosian radius over circularised half-light radius, SDSS definition."""
    x = np.exp(np.arange(np.log(0.3), np.log(6.0), 0.005))
    inside = light_inside(x, n, q)
    ring = light_inside(1.25 * x, n, q) - light_inside(0.8 * x, n, q)
    return float(crossings(x, ring / (1.25**2 - 0.8**2) / inside)[0])


def _spread(fine: Array, edges: Array, fwhm: float) -> Array:
    """Where the light of thin circles goes, (len(fine), n rings): the point-spread function and the pixel."""
    # A pixel adds a variance of 1/12 px²: as much as this to the square of the width.
    width = np.sqrt(fwhm**2 + 8.0 * np.log(2.0) / 12.0)
    core = width / (2.0 * np.sqrt(2.0 ** (1.0 / _BETA) - 1.0))
    middle = np.sqrt(fine * np.concatenate([[0.0], fine[:-1]]))
    middle[0] = 0.5 * fine[0]
    into = np.empty((len(fine), len(edges) - 1))
    step = np.minimum(np.diff(edges), 0.25)
    for i, (low, high, d) in enumerate(zip(edges[:-1], edges[1:], step, strict=True)):
        r = np.arange(low + 0.5 * d, high, d)
        into[:, i] = 2.0 * np.pi * d * (_azimuthal(r[None, :], middle[:, None], core) @ r)
    wide = middle > 6.0 * width
    into[wide] = _sharp(fine, edges)[wide]
    return into


def _azimuthal(r: Array, at: Array, core: float) -> Array:
    """Moffat profile of unit flux at distance r from the middle of a thin circle of radius `at`, averaged."""
    # mean over the angle of (c² + r² + a² - 2 r a cos t)^-beta for the integer beta = 4 has a closed form.
    p, s = core**2 + r**2 + at**2, 2.0 * r * at
    mean = p * (p**2 + 1.5 * s**2) / (p**2 - s**2) ** 3.5
    return np.asarray((_BETA - 1.0) / np.pi * core ** (2.0 * _BETA - 2.0) * mean)


def _sharp(fine: Array, edges: Array) -> Array:
    """Share of each shell between fine radii that lies in each ring, without spreading."""
    low = np.concatenate([[0.0], fine[:-1]])
    top = np.minimum(fine[:, None], edges[1:]) ** 2
    bottom = np.maximum(low[:, None], edges[:-1]) ** 2
    return np.asarray(np.maximum(top - bottom, 0.0) / (fine**2 - low**2)[:, None])


def _radii(flux: Array, edges: Array) -> Array:
    circles = sampling(edges)
    radii = np.full((len(flux), 4), np.nan)
    for k in range(len(flux)):
        radius = crossings(circles.radius, eta(circles, flux[k]))
        if len(radius):
            radii[k] = radius[0], *light_radii(flux[k], edges, float(radius[0]))[0]
    return np.asarray(np.log(radii))


@compiled
def light_radii(ring_flux: Array, edges: Array, aperture: float) -> tuple[LightRadii, float]:
    """Radii of the circles with SHARES of the flux inside an aperture, and that flux."""
    n = min(int(np.searchsorted(edges, aperture)), len(ring_flux))
    # Circles up to the aperture, and the aperture; beyond the last ring there is nothing.
    square, grown = np.zeros(n + 1), np.zeros(n + 1)
    highest, before = 0.0, 0.0
    for i in range(n):
        last = min(aperture, edges[i + 1])
        part = (last**2 - edges[i] ** 2) / (edges[i + 1] ** 2 - edges[i] ** 2)
        total = before + part * ring_flux[i]
        before += ring_flux[i]
        highest = max(highest, total)
        square[i + 1], grown[i + 1] = edges[i + 1] ** 2, highest
    square[n] = aperture**2
    if n == 0:
        return LightRadii(aperture, aperture, aperture), 0.0
    radii = np.empty(3)
    for k in range(3):
        radii[k] = math.sqrt(interpolated(SHARES[k] * total, grown, square))
    return LightRadii(radii[0], radii[1], radii[2]), total


class Match(NamedTuple):
    """What the likeliest templates say, weighted by their probabilities.

    Parameters
    ----------
    ring_flux
        (n,) their mean, scaled to the galaxy.
    sky
        What is left of the sky, per pixel; NaN where no template fits with positive flux.
    mean, spread
        Mean and standard deviation of the logarithms of the radii.
    """

    ring_flux: Array
    sky: float
    mean: LogRadii
    spread: LogRadii


@compiled
def match(library: Templates, data: Array, variance: Array, sky_error: float, sky_px: tuple[float, float]) -> Match:
    """Compare a galaxy's profile with all templates, each at its own amplitude and with a free sky.

    Parameters
    ----------
    data, variance
        (g,) mean flux per pixel in groups of rings and its variance, infinite where there are no pixels.
    sky_error
        Standard deviation of what is left of the sky, per pixel.
    sky_px
        Between which radii in frame pixels the sky was measured: a template's light there was subtracted with it.
    """
    least = variance.min()
    if not math.isfinite(least):
        return _no_match(library)
    # Keeps the sums in range.
    unit = math.sqrt(1.0 / least)
    weight, scaled, sky_error = np.empty(len(data)), np.empty(len(data)), sky_error * unit
    whole, first = 0.0, 0.0
    for g in range(len(data)):
        weight[g], scaled[g] = least / variance[g], data[g] * unit
        whole, first = whole + weight[g], first + weight[g] * scaled[g]
    a, b, d, wings = _sums(library, weight, scaled, _between(sky_px))
    _without_wings(a, b, d, wings, whole, first, sky_error)
    c = whole + 1.0 / sky_error**2
    # The amplitude of each.
    for k in range(len(a)):
        a[k], d[k] = (d[k] - b[k] * (first / c)) / (a[k] - b[k] * b[k] / c), d[k] - b[k] * (first / c)
    chance = _chances(d, a)
    sky, fits = first / c / unit, False
    for k in range(len(a)):
        if chance[k] > 0:
            fits = True
            a[k] *= chance[k] / unit
            sky -= a[k] * (b[k] / c + wings[k])
    return _averaged(library, chance, a, sky) if fits else _no_match(library)


@inner
def _chances(gain: Array, amplitude: Array) -> Array:
    """Probabilities of the templates, (K,); all zero where none has a positive amplitude.

    The evidence: the amplitude and the sky are integrated over, the amplitude with a prior flat in its logarithm; the
    logarithms of the amplitude and of its error add up to this one.
    """
    log_p = np.full(len(gain), -np.inf)
    for k in range(len(gain)):
        if amplitude[k] > 0:
            better = gain[k] * amplitude[k]
            log_p[k] = 0.5 * (better - math.log(better))
    top = log_p.max()
    chance = np.zeros(len(gain))
    if not math.isfinite(top):
        return chance
    for k in range(len(gain)):
        if log_p[k] > top - _LEAST_LIKELY:
            chance[k] = math.exp(log_p[k] - top)
    total = chance.sum()
    for k in range(len(chance)):
        chance[k] /= total
    return chance


@inner
def _averaged(library: Templates, chance: Array, share: Array, sky: float) -> Match:
    """Average the templates by their probabilities, and their light by its shares."""
    mean, spread = np.zeros(5), np.zeros(5)
    ring_flux = np.zeros(library.ring_flux.shape[1])
    for k in range(len(chance)):
        if chance[k] > 0:
            for i in range(5):
                mean[i] += chance[k] * library.log_radii[k, i]
            for i in range(len(ring_flux)):
                ring_flux[i] += share[k] * library.ring_flux[k, i]
    for k in range(len(chance)):
        if chance[k] > 0:
            for i in range(5):
                spread[i] += chance[k] * (library.log_radii[k, i] - mean[i]) ** 2
    for i in range(5):
        spread[i] = math.sqrt(spread[i])
    return Match(ring_flux, sky, _log_radii(mean), _log_radii(spread))


@inner
def _no_match(library: Templates) -> Match:
    unknown = _log_radii(np.full(5, np.nan))
    return Match(np.zeros(library.ring_flux.shape[1]), math.nan, unknown, unknown)


@inner
def _log_radii(values: Array) -> LogRadii:
    return LogRadii(values[0], values[1], values[2], values[3], values[4])


@inner
def _sums(library: Templates, weight: Array, data: Array, between: Array) -> tuple[Array, Array, Array, Array]:
    """Weighted sums over groups of rings, (K,): of template squared, template, template times data, wings.

    The wings are the light of each template that was subtracted with the sky.
    """
    k = library.mean.shape[1]
    a, b, d, wings = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros(k)
    for g in range(len(library.mean)):
        w = weight[g] if g < len(weight) else 0.0
        t, wd, far = library.mean[g], w * data[g] if w > 0 else 0.0, _WINGS * between[g]
        for i in range(k):
            light = t[i]
            a[i] += w * light * light
            b[i] += w * light
            d[i] += wd * light
            wings[i] += far * light
    return a, b, d, wings


@inner
def _without_wings(a: Array, b: Array, d: Array, wings: Array, whole: float, first: float, sky_error: float) -> None:
    """Take off every template what of it was subtracted with the sky."""
    for k in range(len(a)):
        # More than an error of the sky is not blamed on the wings: the profiles' last parts are guesses.
        flux = max(d[k] - b[k] * (first / whole), 1e-30)
        square = max(a[k] - b[k] * b[k] / whole, 1e-30)
        wings[k] = min(wings[k], _MOST_WINGS * sky_error * square / flux)
        taken = wings[k] * whole
        a[k] += wings[k] * (taken - 2.0 * b[k])
        b[k] -= taken
        d[k] -= wings[k] * first


@inner
def _between(sky_px: tuple[float, float]) -> Array:
    """Weights of the groups of rings in the mean brightness between two radii."""
    low, high = float(min(round(sky_px[0]), _FARTHEST_SKY)), float(round(sky_px[1]))
    # A galaxy that fills its cutout leaves no such ring: what lies at `low` counts in full, bounded by _MOST_WINGS.
    end, area = max(high, low + 1.0), max(high**2 - low**2, 1.0)
    weight = np.zeros(len(_GROUPS) - 2)
    # Next to no light lies beyond the last group.
    for g in range(len(weight)):
        inner, outer = min(max(_GROUPS[g], low), end), min(max(_GROUPS[g + 1], low), end)
        weight[g] = (outer**2 - inner**2) / area
    return weight
