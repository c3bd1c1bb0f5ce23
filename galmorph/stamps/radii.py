"""Radii: how large a galaxy is, from its own profile where that is good and from templates where it is not."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.frame import Frame
from galmorph.stamps.petrosian import ETA, INNER, OUTER, Sampling, count_seen, crossings, eta, inside, sampling
from galmorph.stamps.profile import ring_means
from galmorph.stamps.rings import ring_edges
from galmorph.stamps.shared import shared
from galmorph.stamps.template import (
    SHARES,
    LightRadii,
    Match,
    Templates,
    light_radii,
    match,
    plane_of,
    templates,
    width_class,
)

__all__ = ["Radii", "light_within", "measured_radii", "radii_of", "unknown_radii"]

Array = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]

# How far galaxies deviate from Sérsic profiles: in the match, and where their own profile replaces the template.
_UNLIKE = 0.1
# Accuracy that a template's Petrosian radius is never credited with beyond.
_FLOOR = 0.05
# Least fall of the ratio per unit of ln r that an error is propagated with. At r_P that of a Sérsic profile is .38
# (n = 1), .22 (n = 2) and .12 (n = 4) before the point-spread function, which makes it steeper.
_LEAST_SLOPE = 0.15
# The first crossing of a profile with a smaller relative error than this is no accident of noise.
_CLEAR = 0.08
# Share of the aperture that must be seen: half a galaxy can be measured, a quarter of one cannot.
_LEAST_SEEN = 0.45
# Noise of an image without any, relative to its brightest ring: some rounding of single precision.
_EXACT = 1e-6
# Width in ln r of a difference quotient from .9 r to 1.1 r.
_TENTH = float(np.log(1.1 / 0.9))
# Noise of a black image: its square is not yet zero.
_TINY = 1e-120
# What linear propagation leaves out (the choice of the first crossing, the centre, the rings' interpolation), as
# measured on noisy Sérsic galaxies: ratios of the true scatter to the propagated errors.
_RADIUS_GAIN, _LIGHT_GAIN, _FLUX_GAIN, _CONTRAST_GAIN, _INTRINSIC_GAIN = 1.18, 1.3, 1.2, 1.0, 1.15
# Light of masked neighbours reaches past their masks: errors grow with the masked share of the aperture, up to so much.
_NEIGHBOUR_GAIN, _NEIGHBOUR_LIMIT = 4.0, 2.0


class Radii(NamedTuple):
    """Radii in pixels with errors; NaN where unknown.

    Parameters
    ----------
    rpet, rpet_err
        Petrosian radius.
    light, light_err
        Radii with 20, 50 and 80 % of the flux inside the Petrosian radius.
    concentration_err
        Error of 5 log10(r80 / r20).
    intrinsic, intrinsic_err
        Petrosian radius before the point-spread function.
    flux, flux_err
        Inside the Petrosian radius.
    """

    rpet: float
    rpet_err: float
    light: LightRadii
    light_err: LightRadii
    concentration_err: float
    intrinsic: float
    intrinsic_err: float
    flux: float
    flux_err: float


def radii_of(
    frame: Frame,
    noise: float,
    sky_error: float,
    sky_px: tuple[float, float],
    psf_fwhm_px: float | None,
    axis_ratio: float = 0.6,
) -> Radii | None:
    """Combine the Petrosian radius of the profile itself with that of the templates that fit it, by their errors.

    Parameters
    ----------
    frame
        About the galaxy's centre.
    noise, sky_error
        Effective noise per image pixel, and the error of the sky's level.
    sky_px
        Between which distances from the galaxy the sky was measured, image pixels.
    psf_fwhm_px
        Width of the point-spread function in image pixels.
    axis_ratio
        Of the galaxy, for the choice of templates.

    Returns
    -------
    None where neither has a radius.
    """
    scale = frame.scale_px
    width = width_class(None if psf_fwhm_px is None else psf_fwhm_px / scale)
    library = templates(width, plane_of(axis_ratio))
    radii = measured_radii(
        frame, sampling_of(frame.rings.half), library, noise, sky_error, (sky_px[0] / scale, sky_px[1] / scale)
    )
    return radii if math.isfinite(radii.rpet) else None


@shared(maxsize=16)
def sampling_of(half: int) -> Sampling:
    """Return the sampling of the rings of a frame."""
    return sampling(ring_edges(half))


@compiled
def light_within(frame: Frame, aperture_px: float) -> tuple[Array, float, float]:
    """Mean flux per pixel of each ring, (n,), zero where none is seen; half-light radius and flux of an aperture."""
    circles, scale = frame.rings, float(frame.scale_px)
    mean, _ = ring_means(frame)
    flux = np.empty(len(mean))
    for i in range(len(mean)):
        mean[i] = 0.0 if math.isnan(mean[i]) else mean[i]
        flux[i] = mean[i] * circles.area[i]
    light, total = light_radii(flux, circles.edges, aperture_px / scale)
    return mean, light.r50 * scale, total * scale**2


class _Estimate(NamedTuple):
    """A Petrosian radius in frame pixels and its relative error; NaN and infinite where there is none."""

    radius: float
    error: float


class _Rings(NamedTuple):
    """Rings in frame pixels: mean flux per image pixel, its variance (infinite where there are no good pixels), area.

    The share of good pixels in each is empty where all are good; `last` is the number of the first ring after all that
    have some.
    """

    edges: Array
    mean: Array
    variance: Array
    area: Array
    share: Array
    sky_error: float
    last: int


@compiled
def measured_radii(
    frame: Frame,
    circles: Sampling,
    library: Templates,
    noise: float,
    sky_error: float,
    sky_px: tuple[float, float],
) -> Radii:
    """Measure a frame; all is NaN where neither the profile nor the templates have a radius."""
    rings = _rings(frame, noise, sky_error)
    fit, model, trust = _matched(library, rings, sky_px)
    left = 0.0 if math.isnan(fit.sky) else fit.sky
    mean, blend = np.empty(len(model)), np.empty(len(model))
    for i in range(len(model)):
        mean[i] = rings.mean[i] - left if math.isfinite(rings.variance[i]) else model[i]
        blend[i] = model[i] + trust[i] * (mean[i] - model[i])
    template = _from_template(fit, circles, _flux_of(rings, blend))
    direct = _direct(rings, circles, mean, blend, template.radius)
    if not _is_seen(rings, direct.radius if math.isfinite(direct.radius) else template.radius):
        return unknown_radii()
    return _combined(rings, mean, blend, direct, template, fit, frame.scale_px)


@inner
def _rings(frame: Frame, noise: float, sky_error: float) -> _Rings:
    circles, scale = frame.rings, frame.scale_px
    mean, used = ring_means(frame)
    n = count_seen(used, circles.area)
    # A rendered image may have no noise at all.
    brightest = 0.0
    for i in range(len(mean)):
        if math.isfinite(mean[i]):
            brightest = max(brightest, abs(mean[i]))
    floor = max(_EXACT * brightest, _TINY)
    variance = np.full(len(mean), np.inf)
    last = 0
    for i in range(len(mean)):
        if i < n and math.isfinite(mean[i]):
            variance[i] = max(noise, floor) ** 2 / (used[i] * scale**2)
            last = i + 1
        else:
            mean[i] = 0.0
    share = np.ones(len(used) if frame.good.size else 0)
    for i in range(len(share)):
        if circles.full[i] > 0:
            share[i] = used[i] / circles.full[i]
    return _Rings(circles.edges, mean, variance, circles.area, share, max(sky_error, floor), last)


@inner
def _matched(library: Templates, rings: _Rings, sky_px: tuple[float, float]) -> tuple[Match, Array, Array]:
    """Match the templates; return the model in all rings and how far each ring's own mean is trusted, 0 to 1."""
    n = len(rings.mean)
    groups = library.groups[: min(int(np.searchsorted(library.groups, n - 1)), len(library.mean))]
    mean, variance, cautious, count = _grouped(rings, groups)
    fit = match(library, mean, cautious, rings.sky_error, sky_px)
    model, trust = np.zeros(n), np.ones(n)
    if math.isnan(fit.sky):
        return fit, model, trust
    in_group, misfit = np.zeros(len(groups)), 0.0
    for g in range(len(groups)):
        flux, area = 0.0, 0.0
        for i in range(groups[g], _end(groups, g, n)):
            flux, area = flux + fit.ring_flux[i], area + rings.area[i]
        in_group[g] = flux / area
        misfit += (mean[g] - fit.sky - in_group[g]) ** 2 / variance[g]
    misfit = max(misfit / max(count - 4, 1), 1.0)
    for g in range(len(groups)):
        unlike = misfit * (_UNLIKE * in_group[g]) ** 2
        for i in range(groups[g], _end(groups, g, n)):
            trust[i] = unlike / (unlike + variance[g]) if math.isfinite(rings.variance[i]) else 0.0
    for i in range(n):
        model[i] = fit.ring_flux[i] / rings.area[i]
    return fit, model, trust


@inner
def _grouped(rings: _Rings, first: IntArray) -> tuple[Array, Array, Array, int]:
    """Average groups of rings by the first of each; variances, these with the unlikeness, and how many are seen."""
    mean, variance = np.zeros(len(first)), np.full(len(first), np.inf)
    cautious, count = np.full(len(first), np.inf), 0
    for g in range(len(first)):
        total, weight = 0.0, 0.0
        for i in range(first[g], _end(first, g, len(rings.mean))):
            total, weight = total + rings.mean[i] / rings.variance[i], weight + 1.0 / rings.variance[i]
        if weight > 0:
            mean[g], variance[g], count = total / weight, 1.0 / weight, count + 1
            cautious[g] = variance[g] + (_UNLIKE * max(mean[g], 0.0)) ** 2
    return mean, variance, cautious, count


@inner
def _end(first: IntArray, g: int, n: int) -> int:
    """Return where a group of rings ends, the last at the end of all."""
    return int(first[g + 1]) if g + 1 < len(first) else n


@inner
def _flux_of(rings: _Rings, mean: Array) -> Array:
    flux = np.empty(len(mean))
    for i in range(len(mean)):
        flux[i] = mean[i] * rings.area[i]
    return flux


@inner
def _direct(rings: _Rings, circles: Sampling, mean: Array, blend: Array, expected: float) -> _Estimate:
    """Return the first radius where the profile itself falls to ETA; its error from the slope of the smooth one."""
    n = int(np.searchsorted(circles.radius, rings.edges[rings.last] / OUTER, side="right"))
    falls = crossings(circles.radius[:n], eta(circles, _flux_of(rings, mean))[:n])
    if len(falls) == 0:
        return _Estimate(math.nan, math.inf)
    smooth = eta(circles, _flux_of(rings, blend))
    first = _direct_at(falls[0], rings, circles, mean, smooth)
    if len(falls) == 1 or first.error < _CLEAR or not math.isfinite(expected):
        return first
    # Noise makes several: the one nearest to the smooth profile's.
    nearest = 0
    for i in range(1, len(falls)):
        if abs(math.log(falls[i] / expected)) < abs(math.log(falls[nearest] / expected)):
            nearest = i
    return _direct_at(falls[nearest], rings, circles, mean, smooth)


@inner
def _direct_at(radius: float, rings: _Rings, circles: Sampling, mean: Array, smooth: Array) -> _Estimate:
    """Return the error of a radius where the profile falls to ETA, from the slope of the smooth one's ratio."""
    at = min(int(np.searchsorted(circles.radius, radius)), len(circles.radius) - 1)
    low, high = max(at - 4, 0), min(at + 4, len(circles.radius) - 1)
    slope = (smooth[high] - smooth[low]) / math.log(circles.radius[high] / circles.radius[low])
    circle = circles.radius[at]
    within, area = _covered(rings, circle), math.pi * circle**2
    inner_edge, outer_edge = _covered(rings, INNER * circle), _covered(rings, OUTER * circle)
    bright = _dot(within, mean) / area
    if not bright > 0:
        return _Estimate(math.nan, math.inf)
    # d ratio / d mean of a ring
    lever = np.zeros(len(within))
    for i in range(len(lever)):
        ring = (outer_edge[i] - inner_edge[i]) / (OUTER**2 - INNER**2)
        lever[i] = (ring - ETA * within[i]) / area
    error = math.sqrt(_noise(rings, lever) + ((1.0 - ETA) * rings.sky_error) ** 2) / bright
    return _Estimate(radius, error / (max(-slope, _LEAST_SLOPE) if math.isfinite(slope) else _LEAST_SLOPE))


@inner
def _covered(rings: _Rings, radius: float) -> Array:
    """Area of each ring inside a circle, (n,)."""
    area = inside(rings.edges, radius)
    for i in range(len(area)):
        area[i] *= rings.area[i]
    return area


@inner
def _dot(one: Array, other: Array) -> float:
    total = 0.0
    for i in range(len(one)):
        total += one[i] * other[i]
    return total


@inner
def _noise(rings: _Rings, lever: Array) -> float:
    """Variance of a sum of the rings' means; those that are not seen add none."""
    total = 0.0
    for i in range(len(lever)):
        if math.isfinite(rings.variance[i]):
            total += lever[i] * lever[i] * rings.variance[i]
    return total


@inner
def _from_template(fit: Match, circles: Sampling, blended_flux: Array) -> _Estimate:
    """Return the radius of the blended profile, or the templates' own beyond the frame."""
    if math.isnan(fit.sky):
        return _Estimate(math.nan, math.inf)
    falls = crossings(circles.radius, eta(circles, blended_flux))
    radius = falls[0] if len(falls) else math.exp(fit.mean.rpet)
    return _Estimate(radius, math.hypot(fit.spread.rpet, _FLOOR))


@inner
def _combined(
    rings: _Rings, mean: Array, blend: Array, direct: _Estimate, template: _Estimate, fit: Match, scale: int
) -> Radii:
    if not (math.isfinite(direct.radius) or math.isfinite(template.radius)):
        return unknown_radii()
    share = 1.0 / (1.0 + (direct.error / template.error) ** 2) if math.isfinite(direct.error) else 0.0
    if not math.isfinite(template.radius):
        share = 1.0
    hidden = _hidden(rings, template.radius if math.isfinite(template.radius) else direct.radius)
    log_direct = math.log(direct.radius) if math.isfinite(direct.radius) else 0.0
    log_template = math.log(template.radius) if math.isfinite(template.radius) else 0.0
    radius = math.exp(share * log_direct + (1.0 - share) * log_template)
    error = _RADIUS_GAIN * hidden * (direct.error**-2.0 + template.error**-2.0) ** -0.5
    profile = np.empty(len(mean))
    for i in range(len(mean)):
        profile[i] = share * mean[i] + (1.0 - share) * blend[i]
    light, relative, contrast = _light(rings, profile, radius, error, fit)
    light = LightRadii(light.r20 * scale, light.r50 * scale, light.r80 * scale)
    flux, flux_err = _flux(rings, mean, radius, error)
    sharp = math.exp(fit.mean.intrinsic_rpet)
    return Radii(
        radius * scale,
        radius * error * scale,
        light,
        LightRadii(
            relative.r20 * (light.r20 * hidden * _LIGHT_GAIN),
            relative.r50 * (light.r50 * hidden * _LIGHT_GAIN),
            relative.r80 * (light.r80 * hidden * _LIGHT_GAIN),
        ),
        contrast * hidden * _CONTRAST_GAIN,
        sharp * scale,
        _INTRINSIC_GAIN * sharp * math.hypot(fit.spread.intrinsic_rpet, 0.02) * scale,
        flux * scale**2,
        flux_err * hidden * _FLUX_GAIN * scale**2,
    )


@inner
def unknown_radii() -> Radii:
    """Return radii of which none is known."""
    nan, three = math.nan, LightRadii(math.nan, math.nan, math.nan)
    return Radii(nan, nan, three, three, nan, nan, nan, nan, nan)


@inner
def _hidden(rings: _Rings, radius: float) -> float:
    """By how much errors grow for the masked share of a circle of 1.5 radii."""
    if rings.share.size == 0:
        return 1.0
    within = _covered(rings, 1.5 * radius)
    share = 1.0 - _dot(within, rings.share) / max(float(within.sum()), 1e-9)
    return 1.0 + min(_NEIGHBOUR_GAIN * max(share - 0.01, 0.0), _NEIGHBOUR_LIMIT)


@inner
def _is_seen(rings: _Rings, radius: float) -> bool:
    """Tell whether rings are seen out to a radius, and enough of what lies inside it."""
    if not math.isfinite(radius) or rings.edges[rings.last] < radius:
        return False
    if rings.share.size == 0:
        return True
    within = _covered(rings, radius)
    return _dot(within, rings.share) >= _LEAST_SEEN * float(within.sum())


@inner
def _flux(rings: _Rings, mean: Array, radius: float, error: float) -> tuple[float, float]:
    """Flux inside a radius in image units per frame pixel, and its error with those of the sky and the radius."""
    within = _covered(rings, radius)
    flux = _dot(within, mean)
    sky = (within.sum() * rings.sky_error) ** 2
    # d ln F / d ln r at r_P, where the brightness is a fifth of the mean inside and more
    grown = 2.0 * ETA * flux * error
    return flux, math.sqrt(_noise(rings, within) + sky + grown**2)


@inner
def _light(
    rings: _Rings, profile: Array, radius: float, error: float, fit: Match
) -> tuple[LightRadii, LightRadii, float]:
    """Radii with shares of the light, their relative errors, and the error of the concentration."""
    ring_flux = _flux_of(rings, profile)
    light, total = light_radii(ring_flux, rings.edges, radius)
    if not total > 0:
        unknown = LightRadii(math.nan, math.nan, math.nan)
        return unknown, unknown, math.nan
    whole = _covered(rings, radius)
    noise, area = _noise(rings, whole), whole.sum()
    own, common = np.empty(3), np.empty(3)
    for k in range(3):
        part = SHARES[k]
        within = _covered(rings, light[k])
        variance = ((1.0 - 2.0 * part) * _noise(rings, within) + part**2 * noise) / total**2
        sky = (within.sum() - part * area) * rings.sky_error / total
        # d share / d ln r, over a tenth
        rise = _dot(inside(rings.edges, 1.1 * light[k]), ring_flux) - _dot(
            inside(rings.edges, 0.9 * light[k]), ring_flux
        )
        slope = max(rise / (total * _TENTH), 0.05)
        own[k] = math.sqrt(max(variance, 0.0)) / slope
        common[k] = (part * 2.0 * ETA * error + abs(sky)) / slope
    r20, r50, r80 = math.hypot(own[0], common[0]), math.hypot(own[1], common[1]), math.hypot(own[2], common[2])
    contrast = math.sqrt(own[0] ** 2 + own[2] ** 2 + (common[2] - common[0]) ** 2)
    if not math.isnan(fit.sky):
        r20 = _with_template(r20, fit.spread.r20)
        r50 = _with_template(r50, fit.spread.r50)
        r80 = _with_template(r80, fit.spread.r80)
        contrast = _with_template(contrast, fit.spread.r20 + fit.spread.r80)
    return light, LightRadii(r20, r50, r80), 5.0 / math.log(10.0) * contrast


@inner
def _with_template(error: float, other: float) -> float:
    return 1.0 / math.sqrt(1.0 / error**2 + 1.0 / (other**2 + _FLOOR**2))
