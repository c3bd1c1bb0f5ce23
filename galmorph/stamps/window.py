"""Window: the elliptical Gaussian that weighs a galaxy's pixels, and the centre and shape of the light in it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.frame import WHOLE, frame_size, square_about
from galmorph.stamps.library import Circles, take_frame
from galmorph.stamps.profile import ring_means
from galmorph.stamps.rings import interpolated

__all__ = [
    "Ellipse",
    "Fill",
    "Window",
    "angle_deg",
    "axis_ratio",
    "ellipse_of",
    "fit_window",
    "no_fill",
    "resized",
    "sharpest",
    "sigma_px",
    "turn_err_deg",
]

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

# Half-widths of the squares that windows are fitted on: larger ones average pixels, which are then a tenth of a window
# at most.
_HALVES = (6, 8, 10, 12, 16, 20, 24)
# Widths of the window along its major axis that lie in its square: what is beyond weighs less than 2 %. With 2.2 of
# them ellipticities change by up to .03, with 3.6 by up to .01.
_REACH = 2.8
# A window that grows by more than this beyond its square is fitted on a larger one; with 1.4 next to nothing changes.
_LONGER = 1.15
# Newton steps at most, and the last one in pixels and in elongation; as they shrink by squares, less is left than that.
_ROUNDS, _CLOSE_PX, _ALIKE = 12, 5e-4, 5e-3
# Least axis ratio of a window: discs seen edge on are no thinner, but for what pixels cannot resolve.
_THINNEST = 0.1
# Filling about the centre and fitting it again: how often at most, and the last step in pixels of the square.
_REFILLS, _SETTLED_PX = 6, 3e-3
# Each step is at most this share of the one before when their series is summed.
_SLOWEST = 0.8
# A galaxy's light is more peaked than the Gaussian of the error formula: true scatter over formula, on Sérsic galaxies.
_SHAPE_GAIN = 1.26
# A direction is a ratio of two noisy moments: true scatter over the linear formula, the same on three sets of mocks.
_TURN_GAIN = 1.22
# A direction is known no worse than if all were as likely: 180 degrees / sqrt(12).
_ANY_DIRECTION_DEG = 52.0
# Steps of the area when the best window is sought, and how much better one of them must be than those before.
_LESS_AREA, _SHARPER = 0.6, 1.03


class Ellipse(NamedTuple):
    """A shape of fixed size: covariance xx, xy, yy in px²."""

    xx: float
    xy: float
    yy: float

    @property
    def axis_ratio(self) -> float:
        """Minor over major axis."""
        return _axis_ratio(self)

    @property
    def angle_deg(self) -> float:
        """Direction of the major axis from +x towards +y, -90 to 90."""
        return _angle_deg(self)

    @property
    def sigma_px(self) -> float:
        """Width of the circle of the same area."""
        return _sigma_px(self)

    def resized(self, sigma_px: float) -> Ellipse:
        """Return the same shape in another size."""
        return _resized(self, sigma_px)


def _axis_ratio(ellipse: Ellipse) -> float:
    middle, half = 0.5 * (ellipse.xx + ellipse.yy), math.hypot(0.5 * (ellipse.xx - ellipse.yy), ellipse.xy)
    return math.sqrt(max(middle - half, 0.0) / (middle + half))


def _angle_deg(ellipse: Ellipse) -> float:
    return math.degrees(0.5 * math.atan2(2.0 * ellipse.xy, ellipse.xx - ellipse.yy))


def _sigma_px(ellipse: Ellipse) -> float:
    return float((ellipse.xx * ellipse.yy - ellipse.xy * ellipse.xy) ** 0.25)


def _resized(ellipse: Ellipse, sigma_px: float) -> Ellipse:
    scale = (sigma_px / (ellipse.xx * ellipse.yy - ellipse.xy * ellipse.xy) ** 0.25) ** 2
    return Ellipse(ellipse.xx * scale, ellipse.xy * scale, ellipse.yy * scale)


# For compiled code, which does not see properties.
axis_ratio, angle_deg, sigma_px, resized = inner(_axis_ratio), inner(_angle_deg), inner(_sigma_px), inner(_resized)


@inner
def _major_px(ellipse: Ellipse) -> float:
    """Return the standard deviation along the major axis."""
    return math.sqrt(0.5 * (ellipse.xx + ellipse.yy) + math.hypot(0.5 * (ellipse.xx - ellipse.yy), ellipse.xy))


class Window(NamedTuple):
    """Centre and shape of the light in an elliptical Gaussian window that has that very centre and shape.

    Parameters
    ----------
    x, y, position_err_px
        Centre in pixels and its error per axis.
    ellipse
        Shape; its size is given, not measured.
    log_ratio_err
        Error of the natural logarithm of the axis ratio.
    converged
        Whether centre and shape repeat themselves.
    """

    x: float
    y: float
    position_err_px: float
    ellipse: Ellipse
    log_ratio_err: float
    converged: bool

    @property
    def ellipticity(self) -> float:
        """1 - b/a."""
        return 1.0 - self.ellipse.axis_ratio

    @property
    def ellipticity_err(self) -> float:
        """Error of the ellipticity."""
        return self.ellipse.axis_ratio * self.log_ratio_err

    @property
    def angle_err_deg(self) -> float:
        """Error of the direction, at most that of no direction at all."""
        return _turn_err_deg(self.ellipse.axis_ratio, self.log_ratio_err)


def _turn_err_deg(axis_ratio: float, log_ratio_err: float) -> float:
    free = _TURN_GAIN * math.degrees(log_ratio_err * axis_ratio / max(1.0 - axis_ratio * axis_ratio, 1e-9))
    return 1.0 / math.hypot(1.0 / max(free, 1e-9), 1.0 / _ANY_DIRECTION_DEG)


turn_err_deg = inner(_turn_err_deg)


@compiled
def ellipse_of(a: float, b: float, angle_rad: float, sigma: float) -> Ellipse:
    """Return an ellipse of the given axis ratio and direction whose area is that of a circle of width sigma."""
    q = min(max(b / a if a > 0 else 1.0, 2 * _THINNEST), 1.0)
    cosine, sine = math.cos(angle_rad), math.sin(angle_rad)
    long, short = sigma**2 / q, sigma**2 * q
    difference = long - short
    return Ellipse(long * cosine**2 + short * sine**2, difference * cosine * sine, long * sine**2 + short * cosine**2)


class Fill(NamedTuple):
    """Radii and mean flux per pixel of a galaxy's profile, for pixels without an opposite; empty where unknown."""

    edge: Array
    mean: Array


@compiled
def no_fill() -> Fill:
    """Return what stands for a profile that is not known."""
    return Fill(np.zeros(0), np.zeros(0))


@compiled
def fit_window(
    clean: FloatArray,
    bad: BoolArray,
    start: tuple[float, float],
    ellipse: Ellipse,
    noise: float,
    fill: Fill,
    circles: Circles,
) -> Window:
    """Find the centre and shape of the light in a window of given size.

    Both repeat themselves: the window is centred on the light that it weighs, and as elongated (adaptive moments,
    with the area fixed). Newton steps; the errors are those of the fixed point for noise that is the same everywhere.

    Parameters
    ----------
    clean
        (H, W) sky-subtracted flux.
    bad
        (H, W) True where pixels do not count: they, and those beyond the edge, take the value opposite the centre, or
        of their ring; empty where all do.
    start
        (x, y) first guess.
    ellipse
        First guess of the shape; its area stays.
    noise
        Effective noise per pixel.
    fill
        Measured about `start` where needed if it is empty.

    References
    ----------
    Bernstein & Jarvis 2002, AJ 123, 583 (adaptive moments); Bertin & Arnouts 1996, A&AS 117, 393 (XWIN).
    """
    x, y, shape = start[0], start[1], ellipse
    while True:
        reach = _REACH * _major_px(shape) + 1.0
        half, factor = _size(reach)
        flux, good, offset = square_about(clean, bad, x, y, half, factor)
        profile = fill
        if good.size > 0 and fill.edge.size == 0:
            profile = _ring_means(clean, bad, x, y, reach, circles)
        area = factor**2
        small = _begun(offset[0], offset[1], shape.xx / area, shape.xy / area, shape.yy / area)
        state = _settled(flux, good, small, factor, profile.edge, profile.mean)
        error, log_error = _errors(state, noise / factor)
        x, y = x + factor * (state.x - offset[0]), y + factor * (state.y - offset[1])
        large = Ellipse(state.xx * area, state.xy * area, state.yy * area)
        if not (state.converged and _major_px(large) > _LONGER * _major_px(shape)):
            return Window(x, y, error * factor, large, log_error, state.converged)
        # The window grew past the pixels that were cut for it.
        shape = large


@inner
def _size(reach: float) -> tuple[int, int]:
    """Half-width of the square for a window, in its own pixels, and image pixels per pixel of it."""
    factor = max(1, math.ceil(reach / _HALVES[-1]))
    number = 0
    while _HALVES[number] * factor < reach:
        number += 1
    return _HALVES[number], factor


@compiled
def sharpest(clean: FloatArray, bad: BoolArray, window: Window, narrowest_px: float) -> float:
    """Find the size of a window of the same centre and shape in which the position is known best.

    Half of the light of a concentrated galaxy lies in faint outskirts, which say little about its position. In white
    noise the variance of the centre in a window follows from the response of the window's Laplacian: the best window is
    the scale at which the galaxy stands out most.

    Parameters
    ----------
    narrowest_px
        Lower limit of the size.

    Returns
    -------
    Width in pixels; the window's own where none is better.

    References
    ----------
    Lindeberg 1998, IJCV 30, 79 (scale of the largest normalised Laplacian).
    """
    ellipse, width = window.ellipse, sigma_px(window.ellipse)
    half, factor = _size(_REACH * _major_px(ellipse) + 1.0)
    flux, _, offset = square_about(clean, bad, window.x, window.y, half, factor)
    least = (max(narrowest_px, 0.6 * factor) / width) ** 2
    area = factor**2
    start = _begun(offset[0], offset[1], ellipse.xx / area, ellipse.xy / area, ellipse.yy / area)
    return width * math.sqrt(_sharpest(flux, start, least))


@inner
def _sharpest(flux: FloatArray, start: _State, least: float) -> float:
    """Find by how much less area a window has the largest response, in steps of the area."""
    best, share, scale = 0.0, 1.0, 1.0
    while scale >= least:
        xx, xy, yy = scale * start.xx, scale * start.xy, scale * start.yy
        area = xx * yy - xy * xy
        axx, axy, ayy = yy / area, -xy / area, xx / area
        total, _, _, mxx, mxy, myy = _moments(flux, start.x, start.y, axx, axy, ayy)
        width = 0.5 * (mxx * axx + 2.0 * mxy * axy + myy * ayy)
        response = total * (1.0 - width) / math.sqrt(area)
        if response > _SHARPER * best:
            best, share = response, scale
        scale *= _LESS_AREA
    return share


@inner
def _ring_means(clean: FloatArray, bad: BoolArray, x: float, y: float, reach: float, circles: Circles) -> Fill:
    """Return the profile about a position; zero where a ring is not seen."""
    half, factor = frame_size(reach)
    frame = take_frame(clean, bad, x, y, half, factor, circles)
    mean, _ = ring_means(frame)
    edge = np.empty(len(mean))
    for i in range(len(mean)):
        mean[i] = 0.0 if math.isnan(mean[i]) else mean[i]
        edge[i] = frame.rings.edges[i + 1] * factor
    return Fill(edge, mean)


class _State(NamedTuple):
    """Centre and covariance of a window, flux and its width in it, how a step follows from an offset, whether settled.

    All in pixels of a square, from the middle of its middle pixel.
    """

    x: float
    y: float
    xx: float
    xy: float
    yy: float
    total: float
    width: float
    stiff_xx: float
    stiff_xy: float
    stiff_yx: float
    stiff_yy: float
    converged: bool


@inner
def _settled(flux: FloatArray, good: FloatArray, start: _State, factor: int, edge: Array, mean: Array) -> _State:
    """Fit a square; one with pixels that do not count is filled about its centre, and fitted, until both agree.

    Pixels mirrored about any other point pull the fit towards that point: each fit goes a share of the way that
    remains, so the steps are a geometric series, which two of them sum (Aitken's extrapolation).
    """
    if good.size == 0:
        return _fitted(flux, start)
    x, y, before_x, before_y = start.x, start.y, 0.0, 0.0
    state = _fitted(_filled(flux, good, x, y, factor, edge, mean), start)
    for _ in range(_REFILLS - 1):
        step_x, step_y = state.x - x, state.y - y
        if not state.converged or math.hypot(step_x, step_y) < _SETTLED_PX:
            break
        square = before_x**2 + before_y**2
        gain = 1.0
        if square > 0.0:
            ratio = (step_x * before_x + step_y * before_y) / square
            gain = 1.0 / (1.0 - min(max(ratio, 0.0), _SLOWEST))
        x, y = x + gain * step_x, y + gain * step_y
        # What follows a leap does not continue the series.
        before_x, before_y = (step_x, step_y) if gain == 1.0 else (0.0, 0.0)
        state = _fitted(_filled(flux, good, x, y, factor, edge, mean), _moved(state, x, y))
    return state


@inner
def _moved(old: _State, x: float, y: float) -> _State:
    return _begun(x, y, old.xx, old.xy, old.yy)


@inner
def _begun(x: float, y: float, xx: float, xy: float, yy: float) -> _State:
    return _State(x, y, xx, xy, yy, math.nan, 0.5, 1.0, 0.0, 0.0, 1.0, False)


@inner
def _filled(
    flux: FloatArray, good: FloatArray, x: float, y: float, factor: int, edge: Array, mean: Array
) -> FloatArray:
    """Give pixels that do not count the value at the point opposite a centre, or of their ring about it."""
    side = len(flux)
    half = side // 2
    full = flux.copy()
    for i in range(side):
        for j in range(side):
            if good[i, j] > 0:
                continue
            opposite, share = _between(flux, good, 2.0 * y - (i - half) + half, 2.0 * x - (j - half) + half)
            if share > WHOLE:
                full[i, j] = opposite
            else:
                full[i, j] = interpolated(factor * math.hypot(i - half - y, j - half - x), edge, mean)
    return full


@inner
def _between(flux: FloatArray, good: FloatArray, row: float, column: float) -> tuple[float, float]:
    """Interpolate the flux at a point, and which share of it comes from good pixels."""
    top, left = math.floor(row), math.floor(column)
    total, share = 0.0, 0.0
    for i in range(max(top, 0), min(top + 2, len(flux))):
        for j in range(max(left, 0), min(left + 2, len(flux))):
            part = (1.0 - abs(row - i)) * (1.0 - abs(column - j))
            total += part * flux[i, j]
            if good[i, j] > WHOLE:
                share += part
    return total, share


@inner
def _fitted(flux: FloatArray, start: _State) -> _State:
    """Move centre and shape until they repeat themselves."""
    state = start
    for _ in range(_ROUNDS):
        state = _stepped(flux, state)
        if state.converged or not math.isfinite(state.total):
            break
    return state


@inner
def _stepped(flux: FloatArray, old: _State) -> _State:
    """Move the centre and the shape by one Newton step."""
    area = old.xx * old.yy - old.xy * old.xy
    axx, axy, ayy = old.yy / area, -old.xy / area, old.xx / area
    total, mx, my, xx, xy, yy = _moments(flux, old.x, old.y, axx, axy, ayy)
    if not total > 0:
        return _moved(old, old.x, old.y)
    jxx, jxy = 1.0 - (xx * axx + xy * axy), -(xx * axy + xy * ayy)
    jyx, jyy = -(xy * axx + yy * axy), 1.0 - (xy * axy + yy * ayy)
    det = max(jxx * jyy - jxy * jyx, 0.05)
    dx, dy = (jyy * mx - jxy * my) / det, (jxx * my - jyx * mx) / det
    step = math.hypot(dx, dy)
    limit = min(1.0, area**0.25 / max(step, 1e-9))
    (new_xx, new_xy, new_yy), twist, width = _reshaped(old, area, xx, xy, yy)
    return _State(
        x=old.x + limit * dx,
        y=old.y + limit * dy,
        xx=new_xx,
        xy=new_xy,
        yy=new_yy,
        total=total,
        width=width,
        stiff_xx=jyy / det,
        stiff_xy=-jxy / det,
        stiff_yx=-jyx / det,
        stiff_yy=jxx / det,
        converged=step < _CLOSE_PX and twist < _ALIKE,
    )


@inner
def _moments(
    flux: FloatArray, x: float, y: float, axx: float, axy: float, ayy: float
) -> tuple[float, float, float, float, float, float]:
    """Flux in a Gaussian window, and the light's first and second moments about the window's centre, per flux."""
    side = len(flux)
    half = side // 2
    bend = math.exp(-axx)
    total, sx, sy, sxx, sxy, syy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(side):
        dy = i - half - y
        top = min(max(round(x - axy / axx * dy) + half, 0), side - 1)
        dx = top - half - x
        weight = math.exp(-0.5 * (axx * dx * dx + 2.0 * axy * dx * dy + ayy * dy * dy))
        slope = math.exp(-(axx * dx + axy * dy))
        row, row_x, row_xx = _along(flux[i], top, dx, weight, slope, bend)
        total, sx, sy = total + row, sx + row_x, sy + row * dy
        sxx, sxy, syy = sxx + row_xx, sxy + row_x * dy, syy + row * dy * dy
    return total, sx / total, sy / total, sxx / total, sxy / total, syy / total


@inner
def _along(
    line: FloatArray, top: int, dx: float, weight: float, slope: float, bend: float
) -> tuple[float, float, float]:
    """Weighted flux in a row, and its first and second moments.

    Along a row the Gaussian is a product of ratios that fall by a constant factor, `bend`; outwards from the pixel of
    its top, which lies at `dx`, nothing overflows. Both ways are gone at once: neither waits for its own products.
    """
    root = math.sqrt(bend)
    right, up, left, down = weight, slope * root, weight * root / slope, bend * root / slope
    flux, flux_x, flux_xx, other, other_x, other_xx = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    both, before, after = min(top, len(line) - top), line[:top], line[top:]
    for k in range(both):
        at, mirror = dx + k, dx - 1.0 - k
        one, two = right * after[k], left * before[top - 1 - k]
        flux, flux_x, flux_xx = flux + one, flux_x + one * at, flux_xx + one * at * at
        other, other_x, other_xx = other + two, other_x + two * mirror, other_xx + two * mirror * mirror
        right, up, left, down = right * up, up * bend, left * down, down * bend
    for k in range(both, len(after)):
        one, at = right * after[k], dx + k
        flux, flux_x, flux_xx = flux + one, flux_x + one * at, flux_xx + one * at * at
        right, up = right * up, up * bend
    for k in range(both, top):
        two, mirror = left * before[top - 1 - k], dx - 1.0 - k
        other, other_x, other_xx = other + two, other_x + two * mirror, other_xx + two * mirror * mirror
        left, down = left * down, down * bend
    return flux + other, flux_x + other_x, flux_xx + other_xx


@inner
def _errors(state: _State, noise: float) -> tuple[float, float]:
    """Error of the centre per axis, and of the logarithm of the axis ratio."""
    if not state.total > 0:
        return math.nan, math.nan
    area = math.sqrt(state.xx * state.yy - state.xy * state.xy)
    unit = noise**2 * math.pi * area / state.total**2
    a, b, c, d = state.stiff_xx, state.stiff_xy, state.stiff_yx, state.stiff_yy
    x = a * a * state.xx + 2.0 * a * b * state.xy + b * b * state.yy
    y = c * c * state.xx + 2.0 * c * d * state.xy + d * d * state.yy
    v = state.width
    return math.sqrt(unit * 0.25 * (x + y)), _SHAPE_GAIN * 2.0 * math.sqrt(unit) / (4.0 * v * (1.0 - v))


@inner
def _reshaped(
    m: _State, area: float, xx: float, xy: float, yy: float
) -> tuple[tuple[float, float, float], float, float]:
    """Elongate the window towards the light in it, at the same area; how much, and the light's width in windows."""
    # Cholesky factor of the window: u = L^-1 d is round.
    a = m.xx**0.5
    b, c = m.xy / a, (area / m.xx) ** 0.5
    uu = xx / (a * a)
    uv = (xy - b / a * xx) / (a * c)
    vv = (yy - 2.0 * b / a * xy + (b / a) ** 2 * xx) / (c * c)
    width = min(max(0.5 * (uu + vv), 0.15), 0.85)
    spring = 4.0 * width * (1.0 - width)
    along, across = (uu - vv) / spring, 2.0 * uv / spring
    twist = math.hypot(along, across)
    limit = min(1.0, 0.35 / max(twist, 1e-9))
    h, k = limit * along, limit * across
    p, q, r = 1.0 + 2.0 * h, 2.0 * k, 1.0 - 2.0 * h
    new_xx, new_xy = a * a * p, a * (b * p + c * q)
    new_yy = b * b * p + 2.0 * b * c * q + c * c * r
    scale = (area / (new_xx * new_yy - new_xy * new_xy)) ** 0.5
    middle, difference = 0.5 * (new_xx + new_yy), math.hypot(0.5 * (new_xx - new_yy), new_xy)
    if math.sqrt(max(middle - difference, 0.0) / (middle + difference)) <= _THINNEST:
        return (m.xx, m.xy, m.yy), 0.0, width
    return (new_xx * scale, new_xy * scale, new_yy * scale), twist, width
