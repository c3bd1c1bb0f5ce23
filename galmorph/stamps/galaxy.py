"""Source: one object of a segmentation, with the pixels that belong to no other: its centre and its radii."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.flags import Flag
from galmorph.stamps.background import Sky
from galmorph.stamps.centroid import isophotal_centroid
from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.frame import Frame, frame_size
from galmorph.stamps.library import Library, set_number, take_frame, take_sampling, take_templates
from galmorph.stamps.radii import Radii, light_within, measured_radii, unknown_radii
from galmorph.stamps.segment import SKY_EXTENT, Outline
from galmorph.stamps.window import (
    Fill,
    Window,
    axis_ratio,
    ellipse_of,
    fit_window,
    no_fill,
    resized,
    sharpest,
    sigma_px,
)

__all__ = [
    "Source",
    "farthest_px",
    "isophotal",
    "isophotal_px",
    "pinpointed",
    "radii_about",
    "refined",
    "sky_error",
    "windowed",
]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Window of the centroid: Gaussian of so many half-light radii, at least so many widths of the point-spread function.
_WINDOW, _LEAST_FWHM = 0.8, 0.5
# Width of a point-spread function that is not known.
_USUAL_FWHM_PX = 2.0
# A window whose width comes out so much different is fitted again: at .02 centres move by up to .03 px, at .2 by .05.
_SAME_WIDTH = 0.08
# Windows for the position alone: below these sizes there is the core of the point-spread function, and pixels.
_NARROWEST_FWHM, _NARROWEST_PX = 0.5, 1.5
# Largest r_P in isophotal radii, of bright galaxies and of faint ones, of whose light less lies above the threshold.
_FARTHEST_BRIGHT, _FARTHEST_FAINT = 5.0, 9.0
# A radius that is known no better than this is not known.
_WORST = 0.6
# The sky next to a galaxy is not that of the whole cutout: error of its level in units of the noise per pixel.
_SKY_SYSTEMATIC = 0.005
# First guess of a frame's half-width in isophotal radii, of bright galaxies and of faint ones; a radius that does not
# fit makes it larger.
_SMALLEST_FRAME, _LARGEST_FRAME = 0.8, 5.0
_NO_CENTROID = int(Flag.NO_CENTROID)


class Source(NamedTuple):
    """One object of a segmentation with the pixels that belong to no other.

    Parameters
    ----------
    clean
        Pixels less the sky, 0 where they are missing, (H, W).
    bad
        Those that are missing or belong to neighbours, (H, W); empty where there are none.
    outline
        The object.
    sky, correlation_px
        Of the segmentation.
    psf_fwhm_px
        Width of the point-spread function; NaN where unknown.
    """

    clean: FloatArray
    bad: BoolArray
    outline: Outline
    sky: Sky
    correlation_px: float
    psf_fwhm_px: float


@inner
def noise_of(source: Source) -> float:
    """Effective noise per pixel."""
    return source.sky.sigma * source.correlation_px


@inner
def sky_error(source: Source) -> float:
    """Error of the level of the sky near the galaxy, per pixel."""
    counted = source.correlation_px / math.sqrt(max(source.sky.n_pixels, 1))
    return math.hypot(counted, _SKY_SYSTEMATIC) * source.sky.sigma


@inner
def isophotal_px(outline: Outline) -> float:
    """Isophotal radius."""
    return 3.0 * math.sqrt(outline.a * outline.b)


@compiled
def farthest_px(outline: Outline) -> float:
    """Largest Petrosian radius that the isophote allows."""
    return min(max(2.0 * _expected(outline), _FARTHEST_BRIGHT), _FARTHEST_FAINT) * isophotal_px(outline)


@inner
def _expected(outline: Outline) -> float:
    """Petrosian over isophotal radius of an exponential disc: 3.6 / ln P if its centre is P thresholds bright."""
    return 3.6 / _log_contrast(outline)


@inner
def _log_contrast(outline: Outline) -> float:
    return math.log(max(outline.cpeak / max(outline.thresh, 1e-30), 1.5))


@inner
def _fall_px(outline: Outline) -> float:
    """Scale length of an exponential disc with this isophote; 0 for a segment of a map, which has no threshold."""
    return math.sqrt(outline.npix / math.pi) / _log_contrast(outline) if outline.thresh > 0 else 0.0


@inner
def _least_px(psf_fwhm_px: float) -> float:
    """Least half-light radius that a window is chosen for."""
    return _LEAST_FWHM * (_USUAL_FWHM_PX if math.isnan(psf_fwhm_px) else psf_fwhm_px)


@inner
def windowed(source: Source, library: Library) -> tuple[Window, int]:
    """Fit the window that centroid and shape come from."""
    outline, radius = source.outline, isophotal_px(source.outline)
    half, factor = frame_size(1.2 * radius + 2.0)
    frame = take_frame(source.clean, source.bad, outline.x, outline.y, half, factor, library.circles)
    mean, half_light, _ = light_within(frame, radius)
    fill = Fill(frame.rings.edges[1:] * float(factor), mean)
    sigma = _WINDOW * max(half_light if math.isfinite(half_light) else 0.0, _least_px(source.psf_fwhm_px))
    shape = ellipse_of(outline.a, outline.b, outline.theta, sigma)
    start = outline.x, outline.y
    window = fit_window(source.clean, source.bad, start, shape, noise_of(source), fill, library.circles)
    moved = math.hypot(window.x - outline.x, window.y - outline.y)
    if not moved <= 6.0 * max(outline.a, 1.0) or _core_is_bad(source.bad, outline.x, outline.y, 1):
        return Window(outline.x, outline.y, window.position_err_px, shape, math.nan, False), _NO_CENTROID
    return window, 0 if window.converged else _NO_CENTROID


@inner
def isophotal(source: Source, window: Window, own: BoolArray) -> tuple[Window, int]:
    """Move the centre of a window to the isophotal centroid of the object's own pixels, where they have one."""
    outline = source.outline
    centre = isophotal_centroid(source.clean, own, noise_of(source), _fall_px(outline))
    if math.isnan(centre.x) or _core_is_bad(source.bad, outline.x, outline.y, 1):
        return _moved(window, outline.x, outline.y, window.position_err_px, False), _NO_CENTROID
    return _moved(window, centre.x, centre.y, centre.error_px, window.converged), 0


@inner
def _moved(window: Window, x: float, y: float, error_px: float, converged: bool) -> Window:
    return Window(x, y, error_px, window.ellipse, window.log_ratio_err, converged)


@inner
def refined(source: Source, window: Window, half_light_px: float, library: Library) -> Window:
    """Fit the window again where the half-light radius came out different from the first, isophotal one."""
    if not (window.converged and half_light_px > 0):
        return window
    sigma = _WINDOW * max(half_light_px, _least_px(source.psf_fwhm_px))
    if abs(sigma / sigma_px(window.ellipse) - 1.0) < _SAME_WIDTH:
        return window
    start, shape = (window.x, window.y), resized(window.ellipse, sigma)
    again = fit_window(source.clean, source.bad, start, shape, noise_of(source), no_fill(), library.circles)
    return again if again.converged and math.hypot(again.x - window.x, again.y - window.y) < sigma else window


@inner
def pinpointed(source: Source, window: Window, library: Library) -> Window:
    """Centre a window of the size that knows the position best; the shape stays that of the half-light window."""
    if not window.converged:
        return window
    sigma = sigma_px(window.ellipse)
    fwhm = 0.0 if math.isnan(source.psf_fwhm_px) else source.psf_fwhm_px
    best = sharpest(source.clean, source.bad, window, max(_NARROWEST_FWHM * fwhm, _NARROWEST_PX))
    # What fills in for missing pixels is good enough for a wide window only.
    if best >= sigma or _core_is_bad(source.bad, window.x, window.y, math.ceil(3.0 * best)):
        return window
    start, shape = (window.x, window.y), resized(window.ellipse, best)
    narrow = fit_window(source.clean, source.bad, start, shape, noise_of(source), no_fill(), library.circles)
    if not narrow.converged or math.hypot(narrow.x - window.x, narrow.y - window.y) > sigma:
        return window
    return _moved(window, narrow.x, narrow.y, narrow.position_err_px, True)


@inner
def _core_is_bad(bad: BoolArray, x: float, y: float, reach: int) -> bool:
    if bad.size == 0:
        return False
    row, column = round(y), round(x)
    for i in range(max(row - reach, 0), min(row + reach + 1, bad.shape[0])):
        for j in range(max(column - reach, 0), min(column + reach + 1, bad.shape[1])):
            if bad[i, j]:
                return True
    return False


@inner
def radii_about(source: Source, window: Window, library: Library) -> tuple[Frame, Radii, int]:
    """Measure the radii, NaN where they are not known, on a frame that is large enough for them.

    Also returns the number of the set of templates that this needs if the library lacks it, else -1.
    """
    outline = source.outline
    isophotes = min(max(2.7 * _expected(outline), _SMALLEST_FRAME), _LARGEST_FRAME)
    reach, farthest = max(isophotes * isophotal_px(outline), 12.0), farthest_px(outline)
    # Between which distances the sky was measured, roughly.
    low, high = SKY_EXTENT / 3.0 * isophotal_px(outline), 0.6 * max(source.clean.shape[0], source.clean.shape[1])
    while True:
        half, factor = frame_size(reach)
        frame = take_frame(source.clean, source.bad, window.x, window.y, half, factor, library.circles)
        number = set_number(source.psf_fwhm_px / factor, axis_ratio(window.ellipse))
        if library.shelf.slot[number] < 0:
            return frame, unknown_radii(), number
        radii = measured_radii(
            frame,
            take_sampling(library.circles, half),
            take_templates(library.shelf, library.shelf.slot[number]),
            noise_of(source),
            sky_error(source),
            (low / factor, high / factor),
        )
        if (math.isfinite(radii.rpet) and 1.5 * radii.rpet <= reach) or reach > farthest:
            break
        reach = max(1.6 * reach, 1.6 * radii.rpet if math.isfinite(radii.rpet) else 0.0)
    return frame, radii if is_known(radii, farthest) else unknown_radii(), -1


@compiled
def is_known(radii: Radii, farthest: float) -> bool:
    """Tell whether a radius is one that the isophote allows, and known well enough."""
    return radii.rpet <= farthest and radii.rpet_err < _WORST * radii.rpet
