"""Batch: many galaxies of one image, each measured in a window of its own by compiled code, without Python in between.

A row's values rest on the pixels and objects of its window alone: whatever other rows are measured with it, and in
whatever order, they are the same to the bit.
"""

from __future__ import annotations

import math
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.asymmetry import asymmetry
from galmorph.stamps.background import Sky, sky_of
from galmorph.stamps.compiled import compiled, inner, uninterrupted
from galmorph.stamps.frame import Frame
from galmorph.stamps.galaxy import (
    Source,
    isophotal,
    isophotal_px,
    noise_of,
    pinpointed,
    radii_about,
    refined,
    sky_error,
    windowed,
)
from galmorph.stamps.library import Library, library_with, wanted_of
from galmorph.stamps.radii import Radii, light_within, unknown_radii
from galmorph.stamps.segment import (
    NEIGHBOUR_EXTENT,
    REACH_PX,
    Segmentation,
    between,
    is_off,
    moved_far,
    nearest,
    others_of,
    outer_sky,
    outline_of,
    outlines_of,
)
from galmorph.stamps.window import Window, angle_deg, axis_ratio, turn_err_deg

__all__ = [
    "BLANK",
    "ELSEWHERE",
    "LOW_SNR",
    "MEASURED",
    "UNKNOWN_SKY",
    "Batch",
    "MeasureSettings",
    "Scene",
    "Values",
    "blank_at",
    "measure_batch",
    "scene_of",
]

Kind = TypeVar("Kind", bound=np.generic)
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

LOW_SNR = 10.0
"""Signal-to-noise ratio below which a row is marked: that of the faintest mocks on which measuring was tested."""
MEASURED, ELSEWHERE, BLANK, _LACKING = 0, 1, 2, 3
"""What became of a row: it is measured, if only as NO_SOURCE; another segmentation is to say which object is meant; its
position has no data."""
UNKNOWN_SKY = Sky(float("nan"), float("nan"), -1)
"""Stands for a sky that is to be measured in each window."""
# Neighbours are masked to so many of their semi-axes, and less where that hides the galaxy.
_NEIGHBOUR_EXTENTS = NEIGHBOUR_EXTENT, 4.0, 3.0
# Largest r_P in isophotal radii, and largest relative error of it, where masks had to shrink.
_BLENDED_FARTHEST, _BLENDED_WORST = 4.0, 0.3
# Largest intrinsic r_P, in widths of the point-spread function, of what looks like a point.
_POINT_LIKE = 0.6
# Share of the pixels about a position that must have data, and how far about it, to each side: wider than the
# point-spread function of every survey that ships.
_MOSTLY, _NEAR_PX = 0.5, 4
_MASKED_PIXELS, _ZERO_WEIGHT, _SATURATED = int(Flag.MASKED_PIXELS), int(Flag.ZERO_WEIGHT), int(Flag.SATURATED)
_CENTROID_MOVED, _NO_PETROSIAN, _BLEND = int(Flag.CENTROID_MOVED), int(Flag.NO_PETROSIAN), int(Flag.BLEND)
_LOW_SNR, _UNRESOLVED = int(Flag.LOW_SNR), int(Flag.UNRESOLVED)
_NOTHING = int(Flag.NO_SOURCE | Flag.NO_CENTROID | Flag.NO_PETROSIAN | Flag.LOW_SNR)


class Scene(NamedTuple):
    """An image and the objects on it.

    Parameters
    ----------
    pixels
        Linear flux, (H, W).
    weight
        Inverse variance, (H, W); empty for none.
    usable
        Which pixels count, (H, W).
    labels, outlines
        Which object each belongs to, (H, W), and what these are, (K, 8), as of
        :func:`galmorph.stamps.segment.outlines_of`.
    sky
        Of all of it; :data:`UNKNOWN_SKY` where each window has its own.
    correlation_px
        Of the noise.
    """

    pixels: FloatArray
    weight: FloatArray
    usable: BoolArray
    labels: IntArray
    outlines: Array
    sky: Sky
    correlation_px: float


class MeasureSettings(NamedTuple):
    """How galaxies are measured.

    Parameters
    ----------
    psf_fwhm_px, saturation
        Width of the point-spread function, and flux from which pixels are saturated; NaN where they are not known.
    is_isophotal
        Whether the centre is that of the galaxy's segment.
    is_final
        Whether the segmentation has the last word, even where it has no object, or one whose middle is elsewhere.
    """

    psf_fwhm_px: float
    saturation: float
    is_isophotal: bool
    is_final: bool


class Values(NamedTuple):
    """What is measured of one galaxy, as :class:`galmorph.stamps.measure.Measurement` calls it."""

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
    reach_px: float
    extent_px: float
    r50_err_px: float
    r20_px: float
    r20_err_px: float
    r80_px: float
    r80_err_px: float
    concentration: float
    concentration_err: float
    asymmetry: float
    asymmetry_err: float
    ellipticity: float
    ellipticity_err: float
    position_angle_deg: float
    position_angle_err_deg: float
    flux_err: float
    intrinsic_rpet_px: float
    intrinsic_rpet_err_px: float
    sky_pixels: float


class Batch(NamedTuple):
    """What is measured of N galaxies.

    Parameters
    ----------
    values
        (N, V) a :class:`Values` each, in pixels of its window.
    flags, states
        (N,) bits of :class:`galmorph.flags.Flag`; and what became of each: :data:`MEASURED`, :data:`ELSEWHERE`,
        :data:`BLANK`.
    neighbours
        (N, H, W) True on pixels of other objects, from the first pixel of each window on.
    """

    values: Array
    flags: Numbers
    states: Numbers
    neighbours: BoolArray

    def sky(self, number: int) -> Sky:
        """Return the sky of a galaxy's window."""
        level, sigma, pixels = self.values[number, [_LEVEL, _SIGMA, _PIXELS]].tolist()
        return Sky(level, sigma, int(pixels))


_LEVEL, _SIGMA, _PIXELS = (Values._fields.index(name) for name in ("sky_level", "sky_sigma", "sky_pixels"))


def scene_of(
    pixels: FloatArray, weight: FloatArray | None, segmentation: Segmentation, sky: Sky | None = None
) -> Scene:
    """Take an image and its segmentation, and by default that one's sky."""
    # What may not be written is copied, so that a part of it and the whole are of one kind for compiled code.
    return Scene(
        np.require(pixels, np.float32, ("C", "W")),
        np.zeros((0, 0), np.float32) if weight is None else np.ascontiguousarray(weight, np.float32),
        np.require(segmentation.usable, np.bool_, ("C", "W")),
        np.require(segmentation.labels, np.int32, ("C", "W")),
        outlines_of(segmentation),
        segmentation.sky if sky is None else sky,
        float(segmentation.correlation_px),
    )


@uninterrupted()
def measure_batch(scene: Scene, windows: Numbers, places: Array, settings: MeasureSettings) -> Batch:
    """Measure the galaxies at some positions, each in a window.

    Parameters
    ----------
    windows
        (N, 4) first row, first column, height and width of each.
    places
        (N, 2) x and y of each, in pixels of its window.

    Returns
    -------
    Batch
        Those whose segmentation is not final may be ELSEWHERE, and then have no values.
    """
    n = len(windows)
    height, width = windows[:, 2:].max(axis=0, initial=0).tolist()
    batch = Batch(
        np.full((n, len(Values._fields)), np.nan),
        np.zeros(n, np.int64),
        np.full(n, _LACKING, np.int64),
        np.zeros((n, height, width), np.bool_),
    )
    wanted = wanted_of(None if math.isnan(settings.psf_fwhm_px) else settings.psf_fwhm_px)
    while True:
        library = library_with(wanted)
        _measure_all(scene, windows, places, settings, library, batch)
        if not (is_lacking := batch.states == _LACKING).any():
            return batch
        wanted = tuple(np.unique(batch.flags[is_lacking]).tolist())


@compiled
def _measure_all(
    scene: Scene, windows: Numbers, places: Array, settings: MeasureSettings, library: Library, batch: Batch
) -> None:
    """Measure the rows that are still LACKING templates; the flags of those that are afterwards say which."""
    for k in range(len(windows)):
        if batch.states[k] != _LACKING:
            continue
        top, left, height, width = windows[k, 0], windows[k, 1], windows[k, 2], windows[k, 3]
        x, y = places[k, 0], places[k, 1]
        pixels = _part(scene.pixels, top, left, height, width)
        weight = scene.weight[top : top + height, left : left + width]
        if not settings.is_final:
            batch.flags[k], batch.states[k] = blank_at(pixels, weight, x, y), BLANK
            if batch.flags[k]:
                continue
        view = _view(scene, pixels, weight, top, left)
        chosen = nearest(view.labels, view.outlines, x, y, REACH_PX)
        if not settings.is_final and (chosen < 0 or is_off(outline_of(view.outlines, chosen), x, y)):
            batch.states[k] = ELSEWHERE
            continue
        values, flags = _undetected(view, x, y), _NOTHING | _missing_at(pixels, weight, x, y)
        batch.states[k] = MEASURED
        if chosen >= 0:
            values, flags, batch.states[k] = _object(view, chosen, x, y, settings, library, batch.neighbours[k])
        batch.flags[k] = flags
        for i in range(len(values)):
            batch.values[k, i] = values[i]


@inner
def _part(values: npt.NDArray[Kind], top: int, left: int, height: int, width: int) -> npt.NDArray[Kind]:
    """Copy a window, which is faster to go through, unless it is the whole image; nothing stays nothing."""
    if values.shape == (height, width):
        return values
    part = np.empty((height if values.size else 0, width if values.size else 0), values.dtype)
    for i in range(part.shape[0]):
        line = values[top + i, left : left + width]
        for j in range(part.shape[1]):
            part[i, j] = line[j]
    return part


@compiled
def blank_at(pixels: FloatArray, weight: FloatArray, x: float, y: float) -> int:
    """Say why most pixels about a position have no data, if that is so, as flags: they are NaN, or have no weight.

    The weight may be empty, for none.
    """
    row, column = round(y), round(x)
    count, finite, weighted = 0, 0, 0
    for i in range(max(row - _NEAR_PX, 0), min(row + _NEAR_PX + 1, pixels.shape[0])):
        for j in range(max(column - _NEAR_PX, 0), min(column + _NEAR_PX + 1, pixels.shape[1])):
            count += 1
            if math.isfinite(pixels[i, j]):
                finite += 1
                weighted += weight.size == 0 or weight[i, j] > 0
    if count == 0 or finite < _MOSTLY * count:
        return _MASKED_PIXELS
    return _ZERO_WEIGHT if weighted < _MOSTLY * count else 0


@inner
def _view(scene: Scene, pixels: FloatArray, weight: FloatArray, top: int, left: int) -> Scene:
    """Look at a scene through a window: with the objects that it touches, and its sky unless there is one for all."""
    height, width = pixels.shape
    usable = _part(scene.usable, top, left, height, width)
    if scene.sky.n_pixels >= 0:
        labels = _part(scene.labels, top, left, height, width)
        return Scene(pixels, weight, usable, labels, scene.outlines, scene.sky, scene.correlation_px)
    labels, outlines = _touched(scene, top, left, height, width)
    sky, enough = outer_sky(pixels, usable, outlines, labels)
    if not enough:
        sky = sky_of(pixels, between(labels, usable))
    return Scene(pixels, weight, usable, labels, outlines, sky, scene.correlation_px)


@inner
def _touched(scene: Scene, top: int, left: int, height: int, width: int) -> tuple[IntArray, Array]:
    """Cut the labels of a window, and number the objects on it anew."""
    labels = np.zeros((height, width), np.int32)
    number, old = np.zeros(len(scene.outlines) + 1, np.int32), np.empty(len(scene.outlines), np.int64)
    count = 0
    for i in range(height):
        line, before, present = scene.labels[top + i, left : left + width], 0, 0
        for j in range(width):
            label = line[j]
            if label == 0:
                continue
            if label != before and number[label] == 0:
                old[count] = label - 1
                count += 1
                number[label] = count
            if label != before:
                before, present = label, number[label]
            labels[i, j] = present
    outlines = np.empty((count, scene.outlines.shape[1]))
    for k in range(count):
        outlines[k] = scene.outlines[old[k]]
        outlines[k, 0] -= left
        outlines[k, 1] -= top
    return labels, outlines


@inner
def _missing_at(pixels: FloatArray, weight: FloatArray, x: float, y: float) -> int:
    """Say what is missing at a position without a source."""
    height, width = pixels.shape
    if pixels.size == 0 or not math.isfinite(x + y):
        return _MASKED_PIXELS
    row, column = round(min(max(y, 0.0), height - 1.0)), round(min(max(x, 0.0), width - 1.0))
    flags = 0 if math.isfinite(pixels[row, column]) else _MASKED_PIXELS
    return flags if _has_weight(weight, row, column) else flags | _ZERO_WEIGHT


@inner
def _has_weight(weight: FloatArray, row: int, column: int) -> bool:
    return weight.size == 0 or 0 < weight[row, column] < math.inf


@inner
def _object(
    view: Scene, chosen: int, x: float, y: float, settings: MeasureSettings, library: Library, neighbours: BoolArray
) -> tuple[Values, int, int]:
    """Measure an object of a window."""
    outline = outline_of(view.outlines, chosen)
    clean, whole = _clean(view)
    for extent in _NEIGHBOUR_EXTENTS:
        marked = others_of(view.labels, chosen + 1, view.outlines, extent)
        bad = _bad(marked, view.usable, whole, len(view.outlines) == 1)
        source = Source(clean, bad, outline, view.sky, view.correlation_px, settings.psf_fwhm_px)
        window, flags = windowed(source, library)
        if settings.is_isophotal:
            window, flags = isophotal(source, window, _own(view, chosen + 1))
        frame, radii, lacking = radii_about(source, window, library)
        if lacking >= 0:
            return _no_values(), lacking, _LACKING
        if extent < NEIGHBOUR_EXTENT and not is_credible(radii, isophotal_px(outline)):
            radii = unknown_radii()
        if math.isfinite(radii.rpet) or len(view.outlines) == 1:
            break
    if math.hypot(window.x - x, window.y - y) > moved_far(outline):
        flags |= _CENTROID_MOVED
    if not settings.is_isophotal:
        window = pinpointed(source, refined(source, window, radii.light.r50, library), library)
    neighbours[: marked.shape[0], : marked.shape[1]] = marked
    values, more = _values(view, source, window, frame, radii, marked, settings.saturation)
    return values, flags | more, MEASURED


@inner
def _clean(view: Scene) -> tuple[FloatArray, bool]:
    """Subtract the sky, with zero where pixels are missing; tell whether none is."""
    clean, level, count = np.empty_like(view.pixels), np.float32(view.sky.level), 0
    for i in range(clean.shape[0]):
        for j in range(clean.shape[1]):
            clean[i, j] = view.pixels[i, j] - level if view.usable[i, j] else np.float32(0.0)
            count += 1 if view.usable[i, j] else 0
    return clean, count == clean.size


@inner
def _bad(neighbours: BoolArray, usable: BoolArray, whole: bool, alone: bool) -> BoolArray:
    """Mark the pixels that do not count; empty where all do."""
    if whole:
        return np.zeros((0, 0), np.bool_) if alone else neighbours
    bad = neighbours.copy()
    for i in range(bad.shape[0]):
        for j in range(bad.shape[1]):
            bad[i, j] = bad[i, j] or not usable[i, j]
    return bad


@inner
def _own(view: Scene, label: int) -> BoolArray:
    """Mark the usable pixels of an object, (H, W)."""
    height, width = view.labels.shape
    own = np.empty((height, width), np.bool_)
    for i in range(height):
        for j in range(width):
            own[i, j] = view.usable[i, j] and view.labels[i, j] == label
    return own


@compiled
def is_credible(radii: Radii, isophotal_px: float) -> bool:
    """Tell whether a radius measured amid the wings of neighbours can be the galaxy's own."""
    return radii.rpet < _BLENDED_FARTHEST * isophotal_px and radii.rpet_err < _BLENDED_WORST * radii.rpet


@inner
def _no_values() -> Values:
    nan = math.nan
    return Values(
        nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan,
        nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan,
    )  # fmt: skip


@inner
def _undetected(view: Scene, x: float, y: float) -> Values:
    """Say that no object was detected at a position."""
    nan, reach = math.nan, _reach_of(x, y, view.pixels)
    return Values(
        nan, nan, nan, nan, nan, nan, nan, nan, nan, view.sky.level, view.sky.sigma, reach, nan, nan, nan,
        nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, nan, float(view.sky.n_pixels),
    )  # fmt: skip


@inner
def _reach_of(x: float, y: float, pixels: FloatArray) -> float:
    height, width = pixels.shape
    return float(min(x, y, width - 1 - x, height - 1 - y))


@inner
def _values(
    view: Scene,
    source: Source,
    window: Window,
    frame: Frame,
    radii: Radii,
    neighbours: BoolArray,
    saturation: float,
) -> tuple[Values, int]:
    """Put the values together, and flag them."""
    noise, has_radius, light = noise_of(source), math.isfinite(radii.rpet), radii.light
    aperture = radii.rpet if has_radius else isophotal_px(source.outline)
    flux, flux_err = (radii.flux, radii.flux_err) if has_radius else _plain_flux(source, frame)
    spread = noise * math.sqrt(math.pi) * aperture
    snr = flux / spread if spread > 0 else math.nan
    flags = radius_flags(radii, source.psf_fwhm_px) if has_radius else _NO_PETROSIAN
    flags |= aperture_flags(view.pixels, view.weight, neighbours, window.x, window.y, aperture, saturation)
    turned, turned_err = asymmetry(frame, radii.rpet, noise, source.sky.n_pixels)
    ratio, is_behind = axis_ratio(window.ellipse), source.psf_fwhm_px > 0
    concentration = 5.0 * math.log10(light.r80 / light.r20) if light.r20 > 0 else math.nan
    intrinsic, intrinsic_err = (radii.intrinsic, radii.intrinsic_err) if is_behind else (math.nan, math.nan)
    values = Values(
        x=window.x,
        y=window.y,
        position_err_px=window.position_err_px,
        rpet_px=radii.rpet,
        rpet_err_px=radii.rpet_err,
        r50_px=light.r50,
        flux=flux,
        snr=snr,
        mean_brightness=flux / (math.pi * aperture**2),
        sky_level=source.sky.level,
        sky_sigma=source.sky.sigma,
        reach_px=_reach_of(window.x, window.y, view.pixels),
        extent_px=3.0 * source.outline.a,
        r50_err_px=radii.light_err.r50,
        r20_px=light.r20,
        r20_err_px=radii.light_err.r20,
        r80_px=light.r80,
        r80_err_px=radii.light_err.r80,
        concentration=concentration,
        concentration_err=radii.concentration_err,
        asymmetry=turned,
        asymmetry_err=turned_err,
        ellipticity=1.0 - ratio,
        ellipticity_err=ratio * window.log_ratio_err,
        position_angle_deg=angle_deg(window.ellipse),
        position_angle_err_deg=turn_err_deg(ratio, window.log_ratio_err),
        flux_err=flux_err,
        intrinsic_rpet_px=intrinsic,
        intrinsic_rpet_err_px=intrinsic_err,
        sky_pixels=float(source.sky.n_pixels),
    )
    return values, flags | snr_flags(snr)


@inner
def _plain_flux(source: Source, frame: Frame) -> tuple[float, float]:
    """Flux inside the isophotal radius and its error, where there is no Petrosian radius."""
    radius = isophotal_px(source.outline)
    _, _, flux = light_within(frame, radius)
    area = math.pi * radius**2
    return flux, math.hypot(noise_of(source) * math.sqrt(area), sky_error(source) * area)


@compiled
def snr_flags(snr: float) -> int:
    """Flag a signal-to-noise ratio that is low, or not known."""
    return 0 if snr >= LOW_SNR else _LOW_SNR


@compiled
def radius_flags(radii: Radii, psf_fwhm_px: float) -> int:
    """Flag a radius that the point-spread function dominates, if its width is known (not NaN or 0)."""
    # r_P of a Gaussian is 0.971 FWHM (eta = 0.2); within a quarter of that the profile is the PSF's. PSFs with wings
    # are larger: without the PSF a point source is left with half its width, the smallest galaxies with all of it.
    small = radii.rpet < 1.21 * psf_fwhm_px or radii.intrinsic < _POINT_LIKE * psf_fwhm_px
    return _UNRESOLVED if psf_fwhm_px > 0 and small else 0


@compiled
def aperture_flags(
    pixels: FloatArray,
    weight: FloatArray,
    neighbours: BoolArray,
    x: float,
    y: float,
    radius: float,
    saturation: float,
) -> int:
    """Flag pixels in a circle that are missing, have no weight, belong to neighbours, are saturated.

    An empty weight stands for none; a saturation of NaN for none known.
    """
    height, width = pixels.shape
    inside, others, count, weightless = 0, 0, 0, 0
    low, high = max(math.ceil(y - radius), 0), min(math.floor(y + radius), height - 1) + 1
    left, right = max(math.ceil(x - radius), 0), min(math.floor(x + radius), width - 1) + 1
    values = np.empty(max(high - low, 0) * max(right - left, 0) + 1, np.float32)
    for i in range(low, high):
        for j in range(left, right):
            # Without a branch: the place after the last is written again.
            is_inside = not (j - x) ** 2 + (i - y) ** 2 > radius * radius
            is_finite = abs(pixels[i, j]) < np.inf
            values[count] = pixels[i, j]
            inside, count = inside + is_inside, count + (is_inside & is_finite)
            others += is_inside & neighbours[i, j]
            if weight.size and is_inside:
                weightless |= not _has_weight(weight, i, j)
    missing = inside - count
    flags = (_MASKED_PIXELS if missing else 0) | (_ZERO_WEIGHT if weightless else 0)
    flags |= _BLEND if others > 0.1 * inside else 0
    return flags | (_SATURATED if _is_saturated(values[:count], saturation) else 0)


@inner
def _is_saturated(values: FloatArray, saturation: float) -> bool:
    if values.size == 0:
        return False
    peak = values.max()
    if peak >= saturation:
        return True
    # A plateau: several pixels that share the very same highest value, far above the median or filling much of it.
    top, above, below = 0, 0, 0
    for value in values:
        top += value == peak
        above += value < 0.1 * peak
        below += value > -0.1 * peak
    far = 2 * min(above, below) > values.size
    return bool(values.size > 20 and top >= 4 and (far or top > 0.1 * values.size))
