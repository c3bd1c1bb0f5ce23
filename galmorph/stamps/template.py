"""Templates: circular profiles of Sérsic galaxies behind a point-spread function, and how well each fits a galaxy."""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from scipy import special

from galmorph.stamps.petrosian import crossings, sampling
from galmorph.stamps.rings import ring_edges

__all__ = ["Match", "Templates", "light_radii", "match", "plane_of", "templates", "width_class"]

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]

INDICES = (0.5, 0.7, 1.0, 1.4, 2.0, 2.8, 3.8, 5.0, 6.3)
AXIS_RATIOS = (0.35, 0.6, 0.9)
SHARES = (0.2, 0.5, 0.8)
HALF = 64
_STEP = 0.08
_LARGEST_PX = 45.0
# Wings of a Moffat profile with this exponent resemble seeing and space telescopes alike (Trujillo et al. 2001).
_BETA = 4.0
# How much of a template's light where the sky is measured goes into it (clipping takes the rest), and at most how
# many errors of the sky.
_WINGS = 0.8
_MOST_WINGS = 2.0
_FINE_STEP = 0.04
_SMALLEST_PX = 0.02
# Groups of rings that the match compares, as radii between them.
_GROUPS = (0, 1, 1.5, 2, 2.5, 3, 3.5, 4, 5, 6, 7, 8, 9, 10, 12, 14, 16, 18, 20, 23, 26, 29, 33, 37, 42, 47, 53, 59, 65)


@dataclass(frozen=True)
class Templates:
    """K profiles of total flux 1 on frame pixels, for one width of the point-spread function.

    Parameters
    ----------
    ring_flux
        (K, n) flux in each ring of a frame.
    mean, square
        (g, K) mean flux per pixel in each group of rings, and its square.
    groups
        (g + 1,) number of the first ring of each group, and the end.
    log_radii
        (K, 5) natural logarithms of r_P, r20, r50, r80 as seen, and of r_P without the point-spread function.
    """

    ring_flux: FloatArray
    mean: FloatArray
    square: FloatArray
    groups: npt.NDArray[np.intp]
    log_radii: Array


@lru_cache(maxsize=96)
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
    known = np.isfinite(radii).all(axis=1)
    small = np.ascontiguousarray(mean[known].T, np.float32)
    return Templates(flux[known].astype(np.float32), small, small**2, groups[:-1], radii[known])


def plane_of(axis_ratio: float) -> int:
    """Return the number of the axis ratio of templates next to a galaxy's."""
    return min(range(len(AXIS_RATIOS)), key=lambda i: abs(AXIS_RATIOS[i] - axis_ratio))


def width_class(fwhm_px: float | None) -> int:
    """Return the number of the class of point-spread functions that a width in frame pixels belongs to; 5 % wide."""
    return 0 if fwhm_px is None else max(0, round(np.log(max(fwhm_px, 0.5) / 0.5) / 0.05))


def _width_of(number: int) -> float:
    return 0.5 * float(np.exp(0.05 * number))


def light_inside(x: Array, n: float, q: float) -> Array:
    """Share of a Sérsic galaxy's light inside circles of x circularised half-light radii, for axis ratio q."""
    grid, inside = _grown(n, q)
    return np.asarray(np.interp(np.log(np.maximum(x, 1e-6)), grid, inside, left=0.0))


@lru_cache(maxsize=64)
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
    ratio = circles.eta(flux.T)
    found = np.full((len(flux), 4), np.nan)
    for k in range(len(flux)):
        radius = crossings(circles.radius, ratio[:, k])
        if len(radius):
            found[k] = radius[0], *light_radii(flux[k], edges, float(radius[0]))[0]
    return np.asarray(np.log(found))


def light_radii(
    ring_flux: Array, edges: Array, aperture: float, shares: tuple[float, ...] = SHARES
) -> tuple[Array, float]:
    """Radii of the circles with shares of the flux inside an aperture, and that flux."""
    inside = min(bisect_left(edges, aperture), len(ring_flux))
    # Circles up to the aperture, and the aperture; beyond the last ring there is nothing.
    square = edges[: inside + 1] ** 2
    grown = np.zeros(inside + 1)
    np.cumsum(ring_flux[:inside], out=grown[1:])
    last = min(aperture**2, float(square[-1]))
    part = (last - float(square[-2])) / float(square[-1] - square[-2]) if inside else 1.0
    total = float(grown[-1]) - (1.0 - part) * float(ring_flux[inside - 1]) if inside else 0.0
    square[-1], grown[-1] = aperture**2, total
    np.maximum.accumulate(grown, out=grown)
    radii: Array = np.sqrt(np.interp([share * total for share in shares], grown, square))
    return radii, total


@lru_cache(maxsize=256)
def _weights_between(low: int, high: int) -> FloatArray:
    edges = np.asarray(_GROUPS, np.float64)[:-1]
    inside = np.clip(edges[1:], low, max(high, low + 1)) ** 2 - np.clip(edges[:-1], low, max(high, low + 1)) ** 2
    # Next to no light lies beyond the last group.
    return (inside / max(float(high) ** 2 - low**2, 1.0)).astype(np.float32)


def _between(low: float, high: float) -> FloatArray:
    """Weights of the groups of rings in the mean brightness between two radii."""
    return _weights_between(min(round(low), 56), round(high))


@dataclass(frozen=True)
class Match:
    """What the likeliest templates say, weighted by their probabilities.

    Parameters
    ----------
    ring_flux
        (n,) their mean, scaled to the galaxy.
    sky
        What is left of the sky, per pixel.
    mean, spread
        (5,) mean and standard deviation of the logarithms of the radii.
    """

    ring_flux: Array
    sky: float
    mean: Array
    spread: Array


def match(
    known: Templates, data: Array, variance: Array, sky_error: float, sky_px: tuple[float, float]
) -> Match | None:
    """Compare a galaxy's profile with all templates, each at its own amplitude and with a free sky.

    Parameters
    ----------
    data, variance
        (g,) mean flux per pixel in groups of rings and its variance, infinite where there are no pixels.
    sky_error
        Standard deviation of what is left of the sky, per pixel.
    sky_px
        Between which radii in frame pixels the sky was measured: a template's light there was subtracted with it.

    Returns
    -------
    None where no template fits with positive flux.
    """
    weight = 1.0 / variance
    # Keeps single precision in range.
    unit = math.sqrt(float(weight.max()))
    if not unit > 0:
        return None
    weight, data, sky_error = weight / unit**2, data * unit, sky_error * unit
    light = _Sums.of(known, weight, data, sky_px).without_wings(sky_error)
    c, e = light.whole + sky_error**-2.0, light.first
    gain = light.d - light.b * (e / c)
    amplitude = gain / (light.a - light.b * light.b / c)
    better = gain * amplitude
    # Evidence: the amplitude and the sky are integrated over, the amplitude with a prior flat in its logarithm; the
    # logarithms of the amplitude and of its error add up to this one.
    log_p = np.full(len(better), -np.inf, np.float32)
    np.log(better, out=log_p, where=amplitude > 0)
    np.subtract(better, log_p, out=log_p, where=amplitude > 0)
    log_p *= np.float32(0.5)
    top = float(log_p.max())
    if not math.isfinite(top):
        return None
    rows = np.flatnonzero(log_p > top - 8.0)
    p = np.exp((log_p[rows] - top).astype(np.float64))
    p /= p.sum()
    share = p * amplitude[rows].astype(np.float64) / unit
    sky = e / c / unit - float(share @ (light.b[rows] / c + light.wings[rows]))
    radii = known.log_radii.take(rows, axis=0)
    mean = p @ radii
    radii -= mean
    spread = np.sqrt(p @ (radii * radii))
    ring_flux = share.astype(np.float32) @ known.ring_flux.take(rows, axis=0)
    return Match(ring_flux.astype(np.float64), sky, mean, spread)


@dataclass(frozen=True)
class _Sums:
    """Weighted sums over groups of rings: of template squared, template, and template times data, (K,).

    `wings` is the light of each that was subtracted with the sky, `whole` the sum of the weights, `first` that of the
    weighted data.
    """

    a: FloatArray
    b: FloatArray
    d: FloatArray
    wings: FloatArray
    whole: float
    first: float

    @classmethod
    def of(cls, known: Templates, weight: Array, data: Array, sky_px: tuple[float, float]) -> _Sums:
        n = len(data)
        weighted = weight * data
        # Products of vectors: BLAS copies the matrix first if there are several rows.
        w = weight.astype(np.float32)
        a, b, d = w @ known.square[:n], w @ known.mean[:n], weighted.astype(np.float32) @ known.mean[:n]
        wings: FloatArray = _WINGS * (_between(*sky_px) @ known.mean)
        return cls(a, b, d, wings, float(weight.sum()), float(weighted.sum()))

    def without_wings(self, sky_error: float) -> _Sums:
        """Take off every template what of it was subtracted with the sky."""
        whole, first = self.whole, self.first
        # More than an error of the sky is not blamed on the wings: the profiles' last parts are guesses.
        flux = np.maximum(self.d - self.b * (first / whole), 1e-30)
        square = np.maximum(self.a - self.b * self.b / whole, 1e-30)
        wings: FloatArray = np.minimum(self.wings, np.float32(_MOST_WINGS * sky_error) * square / flux)
        taken = wings * np.float32(whole)
        a = self.a + wings * (taken - np.float32(2.0) * self.b)
        return _Sums(a, self.b - taken, self.d - wings * np.float32(first), wings, whole, first)
