"""Measurement: centroid, Petrosian radius and signal-to-noise ratio of one galaxy on a cutout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import sep
from scipy import ndimage

from galmorph.flags import Flag
from galmorph.stamps.segment import Segmentation, neighbour_mask, pick, segment
from galmorph.stamps.warp import binned

__all__ = ["ETA", "Measurement", "Profile", "measure", "petrosian_radius", "radial_profile"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

ETA = 0.2
"""Petrosian ratio of the SDSS definition (Blanton et al. 2001; Petrosian 1976)."""
_INNER, _OUTER = 0.8, 1.25
_FINE_PX = 8
_SUBPIXELS = 5
_BIN_PX = 0.25
# Windowed centroid: Gaussian sigma in units of the half-light radius. The optimum for a smooth profile is 0.85
# (Cramér-Rao); 1.3 costs little there and follows the whole of a clumpy galaxy instead of its brightest knot.
_WINDOW = 1.3
# Above twice this width a window spans so many pixels that their averages serve as well.
_WIDE_PX = 5.0
_LOW_SNR = 10.0
_FINE_CONTRAST = 0.0005
# r_P is 0.4 to 1.6 times the isophotal radius; a crossing far beyond it belongs to other light.
_FARTHEST = 2.5
# SEP's bits for an aperture that is truncated or holds masked pixels; both have flags of their own here.
_HARMLESS = sep.APER_TRUNC | sep.APER_HASMASKED


@dataclass(frozen=True)
class Measurement:
    """What is measured of one galaxy; every value may be NaN.

    Parameters
    ----------
    x, y, position_err_px
        Windowed centroid in cutout pixels and its error per axis.
    rpet_px, rpet_err_px
        Petrosian radius in pixels: SDSS definition, circular annuli from 0.8 r to 1.25 r, eta = 0.2.
    r50_px
        Radius of the circle with half of the flux inside the Petrosian radius.
    flux, snr
        Flux inside the Petrosian radius in image units, and its ratio to the noise of the sky there.
    mean_brightness
        Mean flux per pixel inside the Petrosian radius, in image units: the scale of the stretch.
    sky_level, sky_sigma
        Of the cutout, per pixel.
    flags
        Bits of :class:`galmorph.flags.Flag`.
    reach_px
        Distance from the centroid to the nearest edge of the cutout.
    extent_px
        Isophotal extent along the major axis (three times SEP's semi-axis).
    found
        The segmentation it rests on.
    neighbours
        (H, W) True on pixels of other objects.
    """

    x: float
    y: float
    position_err_px: float
    rpet_px: float
    rpet_err_px: float
    r50_px: float
    flux: float
    snr: float
    mean_brightness: float
    sky_level: float
    sky_sigma: float
    flags: Flag
    reach_px: float
    extent_px: float
    found: Segmentation
    neighbours: BoolArray


@dataclass(frozen=True)
class Profile:
    """Circular profile in bins that end at `edge` (pixels): `mean` flux per pixel, geometric `area`, area `used`."""

    edge: npt.NDArray[np.float64]
    mean: npt.NDArray[np.float64]
    area: npt.NDArray[np.float64]
    used: npt.NDArray[np.float64]


def measure(
    pixels: FloatArray,
    x: float,
    y: float,
    *,
    weight: FloatArray | None = None,
    saturation: float | None = None,
    psf_fwhm_px: float | None = None,
    found: Segmentation | None = None,
) -> Measurement:
    """Measure the galaxy at a position.

    Background, detection and deblending (SEP); neighbours masked out to six of their semi-axes; windowed centroid
    (SExtractor's XWIN with a Gaussian of 1.3 half-light radii); Petrosian radius in the SDSS definition with
    circular annuli, each filled from its own unmasked part.

    Parameters
    ----------
    pixels
        Linear flux, (H, W) float32; NaN where there is no data.
    x, y
        Where the galaxy should be, in pixels.
    weight
        Inverse variance, (H, W); zero means no data.
    saturation
        Pixels at or above this flux are saturated.
    psf_fwhm_px
        Width of the point-spread function; marks objects that it dominates.
    found
        Segmentation of this cutout, if it is known already; nothing is detected then.

    Returns
    -------
    Measurement
        May set MASKED_PIXELS, ZERO_WEIGHT, SATURATED, NO_SOURCE, NO_CENTROID, CENTROID_MOVED, NO_PETROSIAN, BLEND,
        LOW_SNR, UNRESOLVED. Without a source at the position, position and radius are NaN.

    References
    ----------
    Petrosian 1976, ApJ 210, L53; Blanton et al. 2001, AJ 121, 2358; Bertin & Arnouts 1996, A&AS 117, 393.
    """
    weighted = np.ones(pixels.shape, np.bool_) if weight is None else np.isfinite(weight) & (weight > 0)
    finite = np.isfinite(pixels)
    usable = finite & weighted
    if found is None:
        found, chosen = _object_at(pixels, usable, _relative_noise(weight, usable), x, y)
    else:
        chosen = pick(found, x, y)
    neighbours = neighbour_mask(found, chosen, pixels.shape)
    if chosen < 0:
        # Nothing stands out here, so nothing is known to be a neighbour either.
        return _nothing(x, y, found, np.zeros_like(neighbours), _missing_at(x, y, finite, weighted))
    clean = np.where(usable, pixels - np.float32(found.sky.level), np.float32(0.0))
    bad = neighbours | ~usable
    row = found.objects[chosen]
    centre, flags = _centroid(clean, bad, row, psf_fwhm_px)
    if np.hypot(centre[0] - x, centre[1] - y) > _moved_far(row):
        flags |= Flag.CENTROID_MOVED
    profile = radial_profile(clean, ~bad, *centre)
    radius, error, fits = petrosian_radius(profile, found.sky.sigma * found.correlation_px)
    isophotal = 3.0 * float(np.sqrt(row["a"] * row["b"]))
    if radius > _FARTHEST * isophotal:
        radius, error, fits = float("nan"), float("nan"), False
    flags |= _radius_flags(radius, psf_fwhm_px)
    aperture = radius if np.isfinite(radius) else isophotal
    flux, r50, noise = _flux_inside(profile, aperture, found)
    snr = flux / noise if noise > 0 else float("nan")
    flags |= _aperture_flags(pixels, centre, aperture, finite, weighted, neighbours, saturation)
    if not snr >= _LOW_SNR:
        flags |= Flag.LOW_SNR
    return Measurement(
        x=centre[0],
        y=centre[1],
        position_err_px=r50 / snr if snr > 0 else float("nan"),
        rpet_px=radius,
        rpet_err_px=error,
        r50_px=r50,
        flux=flux,
        snr=snr,
        mean_brightness=flux / (np.pi * aperture**2),
        sky_level=found.sky.level,
        sky_sigma=found.sky.sigma,
        flags=flags if fits else flags | Flag.NO_PETROSIAN,
        reach_px=_reach(centre, pixels.shape),
        extent_px=3.0 * float(row["a"]),
        found=found,
        neighbours=neighbours,
    )


def _object_at(
    pixels: FloatArray, usable: BoolArray, relative_noise: FloatArray | None, x: float, y: float
) -> tuple[Segmentation, int]:
    """Segment the cutout and choose the object at the position.

    A position far from the middle of its object may be a smaller source in front of it: if deblending at a lower
    contrast finds one close by, that is meant.
    """
    found = segment(pixels, usable, relative_noise=relative_noise)
    chosen = pick(found, x, y)
    if chosen < 0 or _distance(found, chosen, x, y) <= _moved_far(found.objects[chosen]):
        return found, chosen
    finer = segment(pixels, usable, relative_noise=relative_noise, deblend_contrast=_FINE_CONTRAST)
    other = pick(finer, x, y)
    closer = other >= 0 and _distance(finer, other, x, y) < 0.5 * _distance(found, chosen, x, y)
    return (finer, other) if closer else (found, chosen)


def _distance(found: Segmentation, chosen: int, x: float, y: float) -> float:
    row = found.objects[chosen]
    return float(np.hypot(row["x"] - x, row["y"] - y))


def _relative_noise(weight: FloatArray | None, usable: BoolArray) -> FloatArray | None:
    if weight is None or not usable.any():
        return None
    noise = 1.0 / np.sqrt(np.where(usable, weight, 1.0))
    return (noise / np.median(noise[usable])).astype(np.float32)


def _moved_far(row: np.void) -> float:
    return max(2.0, float(np.sqrt(row["a"] * row["b"])))


def _reach(centre: tuple[float, float], shape: tuple[int, int]) -> float:
    height, width = shape
    return float(min(centre[0], centre[1], width - 1 - centre[0], height - 1 - centre[1]))


def _missing_at(x: float, y: float, finite: BoolArray, weighted: BoolArray) -> Flag:
    if finite.size == 0 or not np.isfinite(x + y):
        return Flag.MASKED_PIXELS
    height, width = finite.shape
    row, column = round(min(max(y, 0.0), height - 1.0)), round(min(max(x, 0.0), width - 1.0))
    masked = Flag(0) if finite[row, column] else Flag.MASKED_PIXELS
    return masked if weighted[row, column] else masked | Flag.ZERO_WEIGHT


def _nothing(x: float, y: float, found: Segmentation, neighbours: BoolArray, missing: Flag) -> Measurement:
    nan = float("nan")
    flags = missing | Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR
    shape = neighbours.shape[0], neighbours.shape[1]
    sky = found.sky
    return Measurement(*(nan,) * 9, sky.level, sky.sigma, flags, _reach((x, y), shape), nan, found, neighbours)


def _centroid(
    clean: FloatArray, bad: BoolArray, row: np.void, psf_fwhm_px: float | None
) -> tuple[tuple[float, float], Flag]:
    start = float(row["x"]), float(row["y"])
    reach = 6.0 * float(max(row["a"], 1.0))
    half = _half_light(radial_profile(clean, ~bad, *start), 0.5 * reach)
    floor = 0.5 * psf_fwhm_px if psf_fwhm_px else 1.0
    sigma = _WINDOW * max(half if np.isfinite(half) else 0.0, floor)
    centre, flag = _windowed(clean, bad, start, sigma)
    moved = np.hypot(centre[0] - start[0], centre[1] - start[1])
    # SEP returns the start with flag 0 where the core is masked: look for ourselves.
    if not np.isfinite(moved) or moved > reach or _core_is_bad(bad, start):
        return start, Flag.NO_CENTROID
    return centre, Flag(0) if flag & ~_HARMLESS == 0 else Flag.NO_CENTROID


def _windowed(
    clean: FloatArray, bad: BoolArray, start: tuple[float, float], sigma: float
) -> tuple[tuple[float, float], int]:
    """Find SEP's windowed centroid; on averaged pixels where the window spans many."""
    factor = max(1, int(sigma / _WIDE_PX))
    if factor > 1:
        good = binned((~bad[None]).astype(np.float32), factor)[0]
        total = binned(np.where(bad, np.float32(0.0), clean)[None], factor)[0]
        clean = np.divide(total, good, out=np.zeros_like(total), where=good > 0)
        bad = good < 0.5
    shift = (factor - 1) / 2
    at = [[(c - shift) / factor] for c in start]
    x, y, flag = sep.winpos(np.ascontiguousarray(clean), *at, [sigma / factor], mask=bad, subpix=_SUBPIXELS)
    return (float(x[0]) * factor + shift, float(y[0]) * factor + shift), int(flag[0])


def _core_is_bad(bad: BoolArray, centre: tuple[float, float]) -> bool:
    row, column = round(centre[1]), round(centre[0])
    return bool(bad[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].any())


def radial_profile(clean: FloatArray, good: BoolArray, x: float, y: float) -> Profile:
    """Mean flux per pixel in circular bins a quarter of a pixel wide, out to the corner of the cutout.

    Pixels near the centre are divided into 5 × 5 parts so that small apertures are exact to about 0.1 %.

    Parameters
    ----------
    clean
        Sky-subtracted flux, (H, W).
    good
        True on pixels that count, (H, W).
    x, y
        Centre in pixels.
    """
    height, width = clean.shape
    n_bins = int(max(x, y, width - x, height - y) * 1.4143 / _BIN_PX) + 2
    sums = np.zeros(n_bins)
    counts = np.zeros(n_bins)
    rows, columns = _fine_window(x, y, clean.shape)
    coarse = good.copy()
    coarse[rows, columns] = False
    radius = np.hypot(np.arange(height)[:, None] - y, np.arange(width)[None, :] - x)
    _accumulate(sums, counts, radius[coarse], clean[coarse].astype(np.float64), 1.0)
    inner = good[rows, columns]
    steps = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    fine_y = (np.arange(height)[rows, None] + steps).reshape(-1)
    fine_x = (np.arange(width)[columns, None] + steps).reshape(-1)
    repeat = np.repeat(np.repeat(clean[rows, columns], _SUBPIXELS, 0), _SUBPIXELS, 1)
    keep = np.repeat(np.repeat(inner, _SUBPIXELS, 0), _SUBPIXELS, 1)
    fine = np.hypot(fine_y[:, None] - y, fine_x[None, :] - x)
    _accumulate(sums, counts, fine[keep], repeat[keep].astype(np.float64), _SUBPIXELS**-2)
    edge = _BIN_PX * np.arange(1.0, n_bins + 1)
    mean = np.divide(sums, counts, out=np.full(n_bins, np.nan), where=counts > 0)
    return Profile(edge, mean, np.pi * (edge**2 - (edge - _BIN_PX) ** 2), counts)


def _fine_window(x: float, y: float, shape: tuple[int, int]) -> tuple[slice, slice]:
    height, width = shape
    top, left = max(round(y) - _FINE_PX, 0), max(round(x) - _FINE_PX, 0)
    return slice(top, min(round(y) + _FINE_PX + 1, height)), slice(left, min(round(x) + _FINE_PX + 1, width))


def _accumulate(
    sums: npt.NDArray[np.float64],
    counts: npt.NDArray[np.float64],
    radius: npt.NDArray[np.float64],
    values: npt.NDArray[np.float64],
    area: float,
) -> None:
    where = (radius / _BIN_PX).astype(np.intp)
    sums += np.bincount(where, values * area, minlength=len(sums))[: len(sums)]
    counts += np.bincount(where, minlength=len(counts))[: len(counts)] * area


def petrosian_radius(profile: Profile, noise: float) -> tuple[float, float, bool]:
    """Find the radius where the mean brightness in 0.8–1.25 r falls to 0.2 of the mean inside r.

    Parameters
    ----------
    profile
        From :func:`radial_profile`.
    noise
        Effective noise per pixel for the error.

    Returns
    -------
    Radius and error in pixels (NaN where the ratio never falls that low inside the cutout), and whether it was found.

    References
    ----------
    Blanton et al. 2001, AJ 121, 2358; Strauss et al. 2002, AJ 124, 1810.
    """
    grid = _radius_grid(profile)
    if len(grid) < 3:
        return float("nan"), float("nan"), False
    ratio, error = _petrosian_ratio(profile, grid, noise)
    below = np.flatnonzero((ratio[1:] < ETA) & (ratio[:-1] >= ETA))
    if len(below) == 0:
        return float("nan"), float("nan"), False
    i = int(below[0])
    slope = (ratio[i + 1] - ratio[i]) / (grid[i + 1] - grid[i])
    radius = grid[i] + (ETA - ratio[i]) / slope
    return float(radius), float(error[i] / abs(_smooth_slope(grid, ratio, i))), True


def _smooth_slope(grid: npt.NDArray[np.float64], ratio: npt.NDArray[np.float64], i: int) -> float:
    low, high = max(i - 3, 0), min(i + 4, len(grid) - 1)
    slope = (ratio[high] - ratio[low]) / (grid[high] - grid[low])
    return float(slope if slope < 0 else -ETA / grid[i])


def _radius_grid(profile: Profile) -> npt.NDArray[np.float64]:
    # Bins are trusted out to where less than a fifth of a ring has pixels; a bin that falls between two rows of pixels
    # (the centre on a pixel leaves 9.50 to 9.75 px empty) is judged with its neighbours.
    wider = [ndimage.uniform_filter1d(v, 5, mode="nearest") for v in (profile.used, profile.area)]
    covered = (profile.used >= 0.2 * profile.area) | (wider[0] >= 0.2 * wider[1])
    last = len(covered) if covered.all() else int(np.argmin(covered[8:])) + 8
    outermost = profile.edge[min(last, len(profile.edge) - 1)] / _OUTER
    return (
        np.geomspace(1.0, outermost, max(int(np.log(max(outermost, 1.01)) / 0.02), 3))
        if outermost > 1.2
        else np.zeros(0)
    )


def _cumulative(profile: Profile) -> tuple[npt.NDArray[np.float64], ...]:
    filled = np.where(np.isfinite(profile.mean), profile.mean, 0.0)
    share = np.where(np.isfinite(profile.mean), profile.area, 0.0)
    # variance of a ring's flux in units of the pixel variance: area² / used
    spread = np.divide(profile.area**2, profile.used, out=np.zeros_like(profile.area), where=profile.used > 0)
    return tuple(np.concatenate([[0.0], np.cumsum(v)]) for v in (filled * share, share, spread))


def _petrosian_ratio(
    profile: Profile, grid: npt.NDArray[np.float64], noise: float
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    edges = np.concatenate([[0.0], profile.edge])
    flux, area, spread = _cumulative(profile)

    def inside(values: npt.NDArray[np.float64], radius: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return np.interp(radius**2, edges**2, values)

    ring_flux = inside(flux, _OUTER * grid) - inside(flux, _INNER * grid)
    ring_area = inside(area, _OUTER * grid) - inside(area, _INNER * grid)
    ring_spread = inside(spread, _OUTER * grid) - inside(spread, _INNER * grid)
    mean_inside = inside(flux, grid) / np.maximum(inside(area, grid), 1e-9)
    usable = (ring_area > 0) & (mean_inside > 0)
    ratio = np.where(usable, ring_flux / np.maximum(ring_area, 1e-9) / np.where(usable, mean_inside, 1.0), 0.0)
    error = noise * np.sqrt(ring_spread) / np.maximum(ring_area, 1e-9) / np.where(usable, mean_inside, np.nan)
    return ratio, error


def _flux_inside(profile: Profile, aperture: float, found: Segmentation) -> tuple[float, float, float]:
    edges = np.concatenate([[0.0], profile.edge])
    flux, _, spread = _cumulative(profile)
    total = float(np.interp(aperture**2, edges**2, flux))
    variance = float(np.interp(aperture**2, edges**2, spread))
    return total, _half_light(profile, aperture), found.sky.sigma * found.correlation_px * float(np.sqrt(variance))


def _half_light(profile: Profile, aperture: float) -> float:
    edges = np.concatenate([[0.0], profile.edge])
    flux = _cumulative(profile)[0]
    total = float(np.interp(aperture**2, edges**2, flux))
    inside = edges <= aperture
    if total <= 0:
        return float("nan")
    growth = np.maximum.accumulate(np.append(flux[inside], total))
    return float(np.sqrt(np.interp(0.5 * total, growth, np.append(edges[inside], aperture) ** 2)))


def _radius_flags(radius: float, psf_fwhm_px: float | None) -> Flag:
    if not np.isfinite(radius):
        return Flag.NO_PETROSIAN
    # r_P of a Gaussian is 0.971 FWHM (eta = 0.2); within a quarter of that the profile is the PSF's.
    if psf_fwhm_px and radius < 1.25 * 0.971 * psf_fwhm_px:
        return Flag.UNRESOLVED
    return Flag(0)


def _aperture_flags(
    pixels: FloatArray,
    centre: tuple[float, float],
    aperture: float,
    finite: BoolArray,
    weighted: BoolArray,
    neighbours: BoolArray,
    saturation: float | None,
) -> Flag:
    height, width = pixels.shape
    inside = (np.arange(width) - centre[0]) ** 2 + ((np.arange(height) - centre[1]) ** 2)[:, None] <= aperture**2
    flags = Flag(0)
    if (inside & ~finite).any():
        flags |= Flag.MASKED_PIXELS
    if (inside & ~weighted).any():
        flags |= Flag.ZERO_WEIGHT
    if (inside & neighbours).sum() > 0.1 * inside.sum():
        flags |= Flag.BLEND
    if _is_saturated(pixels[inside & finite], saturation):
        flags |= Flag.SATURATED
    return flags


def _is_saturated(values: FloatArray, saturation: float | None) -> bool:
    if values.size == 0:
        return False
    if saturation is not None and float(values.max()) >= saturation:
        return True
    # A plateau: several pixels that share the very same highest value, far above the rest or filling much of it.
    top = int((values == values.max()).sum())
    high = values.max() > 10 * abs(np.median(values)) or top > 0.1 * values.size
    return bool(values.size > 20 and top >= 4 and high)
