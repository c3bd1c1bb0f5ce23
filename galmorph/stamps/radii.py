"""Radii: how large a galaxy is, from its own profile where that is good and from templates where it is not."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.stamps.frame import Frame
from galmorph.stamps.petrosian import ETA, crossings, rings_seen, sampling, share_inside
from galmorph.stamps.profile import profile_of
from galmorph.stamps.template import SHARES, Match, Templates, light_radii, match, plane_of, templates, width_class

__all__ = ["Radii", "radii_of"]

Array = npt.NDArray[np.float64]

# How far galaxies deviate from Sérsic profiles: in the match, and where their own profile replaces the template.
_UNLIKE = 0.1
# Accuracy that a template's Petrosian radius is never credited with beyond.
_FLOOR = 0.05
_LEAST_SLOPE = 0.15
# The first crossing of a profile with a smaller relative error than this is no accident of noise.
_CLEAR = 0.08
# Share of the aperture that must be seen: half a galaxy can be measured, a quarter of one cannot.
_LEAST_SEEN = 0.45
_EXACT = 1e-6
_TENTH = float(np.log(1.1 / 0.9))
_TINY = 1e-120
# What linear propagation leaves out (the choice of the first crossing, the centre, the rings' interpolation), as
# measured on noisy Sérsic galaxies: ratios of the true scatter to the propagated errors.
_RADIUS_GAIN, _LIGHT_GAIN, _FLUX_GAIN, _CONTRAST_GAIN, _INTRINSIC_GAIN = 1.18, 1.3, 1.2, 1.0, 1.15
# Light of masked neighbours reaches past their masks: errors grow with the masked share of the aperture, up to so much.
_NEIGHBOUR_GAIN, _NEIGHBOUR_LIMIT = 4.0, 2.0


@dataclass(frozen=True)
class Radii:
    """Radii in pixels with errors; NaN where unknown.

    Parameters
    ----------
    rpet, rpet_err
        Petrosian radius.
    shares, shares_err
        (3,) radii with 20, 50 and 80 % of the flux inside the Petrosian radius.
    concentration_err
        Error of 5 log10(r80 / r20).
    intrinsic, intrinsic_err
        Petrosian radius before the point-spread function.
    flux, flux_err
        Inside the Petrosian radius.
    """

    rpet: float
    rpet_err: float
    shares: Array
    shares_err: Array
    concentration_err: float
    intrinsic: float
    intrinsic_err: float
    flux: float
    flux_err: float


@dataclass(frozen=True)
class _Estimate:
    """A Petrosian radius in frame pixels and its relative error."""

    radius: float
    error: float


_NONE = _Estimate(float("nan"), float("inf"))


@dataclass(frozen=True)
class _Rings:
    """Rings in frame pixels: mean flux per image pixel, its variance (infinite where unseen), area, share seen.

    The share is None where all of every ring is seen.
    """

    edges: Array
    mean: Array
    variance: Array
    area: Array
    seen: Array | None
    sky_error: float


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
    rings = _rings(frame, noise, sky_error)
    width = width_class(None if psf_fwhm_px is None else psf_fwhm_px / scale)
    known = templates(width, plane_of(axis_ratio))
    fit, model, trust = _matched(known, rings, (sky_px[0] / scale, sky_px[1] / scale))
    mean = np.where(np.isfinite(rings.variance), rings.mean - (fit.sky if fit is not None else 0.0), model)
    blend = model + trust * (mean - model)
    template = _NONE if fit is None else _from_template(fit, rings, blend)
    direct = _direct(rings, mean, blend, template.radius)
    if not _is_seen(rings, direct.radius if np.isfinite(direct.radius) else template.radius):
        return None
    return _combined(rings, mean, blend, direct, template, fit, scale)


def _rings(frame: Frame, noise: float, sky_error: float) -> _Rings:
    profile = profile_of(frame)
    scale = frame.scale_px
    known = np.isfinite(profile.mean)
    # A rendered image may have no noise at all.
    floor = _EXACT * float(np.abs(profile.mean[known]).max(initial=0.0))
    with np.errstate(divide="ignore"):
        variance = max(noise, floor, _TINY) ** 2 / profile.used
    variance[~known] = np.inf
    variance[rings_seen(profile) :] = np.inf
    mean = np.where(np.isfinite(variance), profile.mean, 0.0)
    sky_error = max(sky_error, floor, _TINY)
    return _Rings(frame.rings.edges, mean, variance, profile.area / scale**2, _seen(frame), sky_error)


def _seen(frame: Frame) -> Array | None:
    if frame.good is None:
        return None
    full = frame.rings.full
    return np.divide(frame.rings.sums(frame.good), full, out=np.ones(len(full)), where=full > 0)


def _matched(known: Templates, rings: _Rings, sky_px: tuple[float, float]) -> tuple[Match | None, Array, Array]:
    """Match the templates; return the model in all rings and how far each ring's own mean is trusted, 0 to 1."""
    n = len(rings.mean)
    groups = known.groups[: min(bisect_left(known.groups, n - 1), len(known.mean))]
    weight = 1.0 / rings.variance
    total = np.add.reduceat(weight, groups)
    seen = total > 0
    if not seen.any():
        return None, np.zeros(n), np.ones(n)
    variance = np.divide(1.0, total, out=np.full(len(groups), np.inf), where=seen)
    # Where nothing is seen this is zero over one.
    mean = np.add.reduceat(rings.mean * weight, groups) / np.where(seen, total, 1.0)
    fit = match(known, mean, variance + (_UNLIKE * np.maximum(mean, 0.0)) ** 2, rings.sky_error, sky_px)
    if fit is None:
        return None, np.zeros(n), np.ones(n)
    model = fit.ring_flux[:n] / rings.area
    in_group = np.add.reduceat(fit.ring_flux[:n], groups) / np.add.reduceat(rings.area, groups)
    residual = (mean - fit.sky - in_group) ** 2 / variance
    misfit = max(float(residual.sum()) / max(int(seen.sum()) - 4, 1), 1.0)
    unlike = misfit * (_UNLIKE * in_group) ** 2
    trust = unlike / (unlike + variance)
    lengths = np.empty_like(groups)
    np.subtract(groups[1:], groups[:-1], out=lengths[:-1])
    lengths[-1] = n - groups[-1]
    return fit, model, np.where(weight > 0, np.repeat(trust, lengths), 0.0)


def _direct(rings: _Rings, mean: Array, blend: Array, expected: float) -> _Estimate:
    """Return the first radius where the profile itself falls to ETA; its error from the slope of the smooth one."""
    circles = sampling(rings.edges)
    last = int(np.flatnonzero(np.isfinite(rings.variance)).max(initial=-1)) + 1
    n = int(np.searchsorted(circles.radius, rings.edges[last] / 1.25, side="right"))
    found = crossings(circles.radius[:n], circles.eta(mean * rings.area)[:n])
    if len(found) == 0:
        return _NONE
    first = _direct_at(float(found[0]), rings, mean, blend)
    if len(found) == 1 or first.error < _CLEAR or not np.isfinite(expected):
        return first
    # Noise makes several: the one nearest to the smooth profile's.
    nearest = float(found[np.abs(np.log(found / expected)).argmin()])
    return _direct_at(nearest, rings, mean, blend)


def _direct_at(radius: float, rings: _Rings, mean: Array, blend: Array) -> _Estimate:
    """Return the error of a radius where the profile falls to ETA, from the slope of the smooth one."""
    circles = sampling(rings.edges)
    at = min(int(np.searchsorted(circles.radius, radius)), len(circles.radius) - 1)
    low, high = max(at - 4, 0), min(at + 4, len(circles.radius) - 1)
    flux = blend * rings.area
    ends = circles.eta_at([low, high], flux)
    slope = float(ends[1] - ends[0]) / float(np.log(circles.radius[high] / circles.radius[low]))
    inside, ring = circles.inside[at] * rings.area, circles.annulus[at] * rings.area
    area = float(np.pi * circles.radius[at] ** 2)
    bright = float(inside @ mean) / area
    if not bright > 0:
        return _NONE
    # d ratio / d mean of a ring
    lever = ring * (circles.scale / area) - inside * (ETA / area)
    noise = float(lever**2 @ _known(rings.variance))
    error = float(np.sqrt(noise + ((1.0 - ETA) * rings.sky_error) ** 2)) / bright
    return _Estimate(radius, error / max(-slope, _LEAST_SLOPE) if np.isfinite(slope) else error / _LEAST_SLOPE)


def _from_template(fit: Match, rings: _Rings, blend: Array) -> _Estimate:
    """Return the radius of the blended profile, or the templates' own beyond the frame."""
    circles = sampling(rings.edges)
    found = crossings(circles.radius, circles.eta(blend * rings.area))
    radius = float(found[0]) if len(found) else float(np.exp(fit.mean[0]))
    return _Estimate(radius, float(np.hypot(fit.spread[0], _FLOOR)))


def _combined(
    rings: _Rings, mean: Array, blend: Array, direct: _Estimate, template: _Estimate, fit: Match | None, scale: int
) -> Radii | None:
    if not (np.isfinite(direct.radius) or np.isfinite(template.radius)):
        return None
    share = 1.0 / (1.0 + (direct.error / template.error) ** 2) if np.isfinite(direct.error) else 0.0
    if not np.isfinite(template.radius):
        share = 1.0
    hidden = _hidden(rings, template.radius if np.isfinite(template.radius) else direct.radius)
    logs = [np.log(e.radius) if np.isfinite(e.radius) else 0.0 for e in (direct, template)]
    radius = float(np.exp(share * logs[0] + (1.0 - share) * logs[1]))
    error = _RADIUS_GAIN * hidden * float((direct.error**-2.0 + template.error**-2.0) ** -0.5)
    profile = share * mean + (1.0 - share) * blend
    shares, relative, concentration_err = _light(rings, profile, radius, error, fit)
    flux, flux_err = _flux(rings, mean, radius, error)
    relative, flux_err = relative * hidden * _LIGHT_GAIN, flux_err * hidden * _FLUX_GAIN
    concentration_err *= hidden * _CONTRAST_GAIN
    nan = float("nan")
    return Radii(
        rpet=radius * scale,
        rpet_err=radius * error * scale,
        shares=shares * scale,
        shares_err=shares * relative * scale,
        concentration_err=concentration_err,
        intrinsic=nan if fit is None else float(np.exp(fit.mean[4])) * scale,
        intrinsic_err=nan
        if fit is None
        else _INTRINSIC_GAIN * float(np.exp(fit.mean[4]) * np.hypot(fit.spread[4], 0.02)) * scale,
        flux=flux * scale**2,
        flux_err=flux_err * scale**2,
    )


def _hidden(rings: _Rings, radius: float) -> float:
    """By how much errors grow for the masked share of a circle of 1.5 radii."""
    if rings.seen is None:
        return 1.0
    inside = share_inside(rings.edges, np.array([1.5 * radius]))[0] * rings.area
    share = 1.0 - float(inside @ rings.seen) / max(float(inside.sum()), 1e-9)
    return 1.0 + min(_NEIGHBOUR_GAIN * max(share - 0.01, 0.0), _NEIGHBOUR_LIMIT)


def _is_seen(rings: _Rings, radius: float) -> bool:
    """Tell whether rings are seen out to a radius, and enough of what lies inside it."""
    if not np.isfinite(radius):
        return False
    last = int(np.flatnonzero(np.isfinite(rings.variance)).max(initial=-1)) + 1
    if rings.seen is None or rings.edges[last] < radius:
        return bool(rings.edges[last] >= radius)
    inside = share_inside(rings.edges, np.array([radius]))[0] * rings.area
    return bool(inside @ rings.seen >= _LEAST_SEEN * inside.sum())


def _known(variance: Array) -> Array:
    return np.where(np.isfinite(variance), variance, 0.0)


def _flux(rings: _Rings, mean: Array, radius: float, error: float) -> tuple[float, float]:
    """Flux inside a radius in image units per frame pixel, and its error with those of the sky and the radius."""
    inside = share_inside(rings.edges, np.array([radius]))[0] * rings.area
    flux = float(inside @ mean)
    noise = float(inside**2 @ _known(rings.variance))
    sky = (float(inside.sum()) * rings.sky_error) ** 2
    # d ln F / d ln r at r_P, where the brightness is a fifth of the mean inside and more
    grown = 2.0 * ETA * flux * error
    return flux, float(np.sqrt(noise + sky + grown**2))


def _light(rings: _Rings, profile: Array, radius: float, error: float, fit: Match | None) -> tuple[Array, Array, float]:
    """Radii with shares of the light, their relative errors, and the error of the concentration."""
    ring_flux = profile * rings.area
    shares, total = light_radii(ring_flux, rings.edges, radius)
    if not total > 0:
        nothing = np.full(3, np.nan)
        return nothing, nothing, float("nan")
    part = np.array(SHARES)
    inside = share_inside(rings.edges, np.append(shares, radius)) * rings.area
    noise = inside**2 @ _known(rings.variance)
    variance = ((1.0 - 2.0 * part) * noise[:3] + part**2 * noise[3]) / total**2
    sky = (inside[:3].sum(axis=1) - part * inside[3].sum()) * rings.sky_error / total
    # d share / d ln r, over a tenth
    grown = np.concatenate([[0.0], np.cumsum(ring_flux)])
    around = np.interp(np.concatenate([0.9 * shares, 1.1 * shares]) ** 2, rings.edges**2, grown)
    slope = np.maximum((around[3:] - around[:3]) / (total * _TENTH), 0.05)
    common = (part * 2.0 * ETA * error + np.abs(sky)) / slope
    own = np.sqrt(np.maximum(variance, 0.0)) / slope
    relative = np.hypot(own, common)
    contrast = np.sqrt(own[0] ** 2 + own[2] ** 2 + (common[2] - common[0]) ** 2)
    if fit is not None:
        relative = _with_template(relative, fit.spread[1:4])
        contrast = float(_with_template(np.array([contrast]), fit.spread[[1]] + fit.spread[[3]])[0])
    return shares, relative, 5.0 / np.log(10.0) * float(contrast)


def _with_template(error: Array, other: Array) -> Array:
    return np.asarray((error**-2.0 + (other**2 + _FLOOR**2) ** -1.0) ** -0.5)
