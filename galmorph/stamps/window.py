"""Window: the elliptical Gaussian that weighs a galaxy's pixels, and the centre and shape of the light in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from galmorph.stamps.frame import frame_about, frame_size, square_about
from galmorph.stamps.profile import profile_of

__all__ = ["Ellipse", "Window", "fit_window"]

Array = npt.NDArray[np.float64]
FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_HALVES = (6, 8, 10, 12, 16, 20, 24)
_REACH = 2.8
_ROUNDS = 12
_LONGER = 1.15
_CLOSE_PX = 5e-4
_ALIKE = 5e-3
_THINNEST = 0.1
# Filling about the centre and fitting it again: how often at most, and the last step in pixels of the square.
_REFILLS = 6
_SETTLED_PX = 3e-3
# Each step is at most this share of the one before when their series is summed.
_SLOWEST = 0.8
_WHOLE = 0.99
# A galaxy's light is more peaked than the Gaussian of the error formula: true scatter over formula, on Sérsic galaxies.
_SHAPE_GAIN = 1.2
# A direction is a ratio of two noisy moments: true scatter over the linear formula, the same on three sets of mocks.
_TURN_GAIN = 1.22
# A direction is known no worse than if all were as likely: 180 degrees / sqrt(12).
_ANY_DIRECTION_DEG = 52.0


@dataclass(frozen=True)
class Ellipse:
    """A shape of fixed size: covariance xx, xy, yy in px²."""

    xx: float
    xy: float
    yy: float

    @property
    def axis_ratio(self) -> float:
        """Minor over major axis."""
        middle, half = 0.5 * (self.xx + self.yy), math.hypot(0.5 * (self.xx - self.yy), self.xy)
        return math.sqrt(max(middle - half, 0.0) / (middle + half))

    @property
    def angle_deg(self) -> float:
        """Direction of the major axis from +x towards +y, -90 to 90."""
        return float(np.degrees(0.5 * np.arctan2(2.0 * self.xy, self.xx - self.yy)))

    @property
    def sigma_px(self) -> float:
        """Width of the circle of the same area."""
        return float((self.xx * self.yy - self.xy * self.xy) ** 0.25)

    def resized(self, sigma_px: float) -> Ellipse:
        """Return the same shape in another size."""
        scale = (sigma_px / self.sigma_px) ** 2
        return Ellipse(self.xx * scale, self.xy * scale, self.yy * scale)

    @property
    def major_px(self) -> float:
        """Standard deviation along the major axis."""
        return float(np.sqrt(0.5 * (self.xx + self.yy) + math.hypot(0.5 * (self.xx - self.yy), self.xy)))


@dataclass(frozen=True)
class Window:
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
        q = self.ellipse.axis_ratio
        free = _TURN_GAIN * float(np.degrees(self.log_ratio_err * q / max(1.0 - q * q, 1e-9)))
        return 1.0 / float(np.hypot(1.0 / max(free, 1e-9), 1.0 / _ANY_DIRECTION_DEG))


def ellipse_of(a: float, b: float, angle_rad: float, sigma: float) -> Ellipse:
    """Return an ellipse of the given axis ratio and direction whose area is that of a circle of width sigma."""
    q = min(max(b / a if a > 0 else 1.0, 2 * _THINNEST), 1.0)
    cosine, sine = np.cos(angle_rad), np.sin(angle_rad)
    long, short = sigma**2 / q, sigma**2 * q
    difference = long - short
    return Ellipse(long * cosine**2 + short * sine**2, difference * cosine * sine, long * sine**2 + short * cosine**2)


@lru_cache(maxsize=16)
def _basis(half: int) -> Array:
    """1, x, y, xx, xy, yy at the pixels of a square, (N², 6)."""
    x, y = (v.ravel().astype(np.float64) for v in np.meshgrid(*(np.arange(-half, half + 1),) * 2))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


def fit_window(
    clean: FloatArray,
    bad: BoolArray | None,
    start: tuple[float, float],
    ellipse: Ellipse,
    noise: float,
    fill: tuple[Array, Array] | None = None,
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
        of their ring.
    start
        (x, y) first guess.
    ellipse
        First guess of the shape; its area stays.
    noise
        Effective noise per pixel.
    fill
        Radii and mean flux per pixel of the galaxy's profile, for pixels without an opposite; None: measured about
        `start` where needed.

    References
    ----------
    Bernstein & Jarvis 2002, AJ 123, 583 (adaptive moments); Bertin & Arnouts 1996, A&AS 117, 393 (XWIN).
    """
    reach = _REACH * ellipse.major_px + 1.0
    factor = max(1, int(np.ceil(reach / _HALVES[-1])))
    half = next(h for h in _HALVES if h * factor >= reach)
    flux, good, offset = square_about(clean, bad, *start, half, factor)
    small = Ellipse(ellipse.xx / factor**2, ellipse.xy / factor**2, ellipse.yy / factor**2)
    if good is None:
        light = _Light(flux.ravel().astype(np.float64), _basis(half))
        state = light.settle(offset, small)
    else:
        light, state = _Torn(flux, good, fill or _ring_means(clean, bad, start, reach), factor).settle(offset, small)
    error, log_error = light.errors(state, noise / factor)
    (x, y), shape = state.centre, state.shape
    at = float(start[0] + factor * (x - offset[0])), float(start[1] + factor * (y - offset[1]))
    large = Ellipse(shape.xx * factor**2, shape.xy * factor**2, shape.yy * factor**2)
    if state.converged and large.major_px > _LONGER * ellipse.major_px:
        # The window grew past the pixels that were cut for it.
        return fit_window(clean, bad, at, large, noise, fill)
    return Window(*at, error * factor, large, log_error, state.converged)


def _ring_means(
    clean: FloatArray, bad: BoolArray | None, start: tuple[float, float], reach: float
) -> tuple[Array, Array]:
    """Radii and mean flux per pixel of the profile about a position; zero where a ring is not seen."""
    profile = profile_of(frame_about(clean, bad, *start, *frame_size(reach)))
    return profile.edge, np.nan_to_num(profile.mean)


def _facing(half: int, offset: float) -> FloatArray:
    """Weights (N, N) that take a row of pixels to the points opposite an offset from its middle, by interpolation.

    Rows of points beyond the first and last pixel add up to less than one.
    """
    along = np.arange(-half, half + 1.0)
    return np.maximum(1.0 - np.abs(2.0 * offset - along[:, None] - along), 0.0).astype(np.float32)


@dataclass(frozen=True)
class _State:
    centre: tuple[float, float]
    shape: Ellipse
    total: float = float("nan")
    width: float = 0.5
    stiff: tuple[float, float, float, float] = (1.0, 0.0, 0.0, 1.0)
    converged: bool = False


@dataclass(frozen=True)
class _Light:
    flux: Array
    basis: Array

    def settle(self, centre: tuple[float, float], shape: Ellipse) -> _State:
        state = _State(centre, shape)
        for _ in range(_ROUNDS):
            state = self.step(state)
            if state.converged or not np.isfinite(state.total):
                break
        return state

    def step(self, old: _State) -> _State:
        """Move the centre and the shape by one Newton step."""
        (cx, cy), m = old.centre, old.shape
        area = m.xx * m.yy - m.xy * m.xy
        axx, axy, ayy = m.yy / area, -m.xy / area, m.xx / area
        gx, gy = axx * cx + axy * cy, axy * cx + ayy * cy
        exponent = self.basis @ (-0.5 * (gx * cx + gy * cy), gx, gy, -0.5 * axx, -axy, -0.5 * ayy)
        total, sx, sy, sxx, sxy, syy = (self.flux * np.exp(exponent) @ self.basis).tolist()
        if not total > 0:
            return _State(old.centre, m)
        mx, my = sx / total - cx, sy / total - cy
        # Central second moments, per flux.
        xx = sxx / total - cx * (2.0 * mx + cx)
        xy = sxy / total - cx * my - cy * mx - cx * cy
        yy = syy / total - cy * (2.0 * my + cy)
        jxx, jxy = 1.0 - (xx * axx + xy * axy), -(xx * axy + xy * ayy)
        jyx, jyy = -(xy * axx + yy * axy), 1.0 - (xy * axy + yy * ayy)
        det = max(jxx * jyy - jxy * jyx, 0.05)
        dx, dy = (jyy * mx - jxy * my) / det, (jxx * my - jyx * mx) / det
        step = math.hypot(dx, dy)
        limit = min(1.0, area**0.25 / max(step, 1e-9))
        new, twist, width = _reshaped(m, area, xx, xy, yy)
        done = step < _CLOSE_PX and twist < _ALIKE
        centre = cx + limit * dx, cy + limit * dy
        stiff = jyy / det, -jxy / det, -jyx / det, jxx / det
        return _State(centre, new, total, width, stiff, done)

    def errors(self, state: _State, noise: float) -> tuple[float, float]:
        """Error of the centre per axis, and of the logarithm of the axis ratio."""
        if not state.total > 0:
            return float("nan"), float("nan")
        m = state.shape
        area = float(np.sqrt(m.xx * m.yy - m.xy * m.xy))
        unit = noise**2 * np.pi * area / state.total**2
        a, b, c, d = state.stiff
        x = a * a * m.xx + 2.0 * a * b * m.xy + b * b * m.yy
        y = c * c * m.xx + 2.0 * c * d * m.xy + d * d * m.yy
        v = state.width
        return float(np.sqrt(unit * 0.25 * (x + y))), float(_SHAPE_GAIN * 2.0 * np.sqrt(unit) / (4.0 * v * (1.0 - v)))


@dataclass(frozen=True)
class _Torn:
    """A square with pixels that do not count, what fills those without an opposite, image pixels per pixel."""

    flux: FloatArray
    good: FloatArray
    fill: tuple[Array, Array]
    factor: int

    def settle(self, centre: tuple[float, float], shape: Ellipse) -> tuple[_Light, _State]:
        """Fill the square about its centre and fit that, until both agree.

        Pixels mirrored about any other point pull the fit towards that point: each fit goes a share of the way that
        remains, so the steps are a geometric series, which two of them sum (Aitken's extrapolation).
        """
        light, state = self.fitted(centre, shape)
        before: tuple[float, float] | None = None
        for _ in range(_REFILLS - 1):
            step = state.centre[0] - centre[0], state.centre[1] - centre[1]
            if not state.converged or math.hypot(*step) < _SETTLED_PX:
                break
            gain = 1.0 if before is None else _series(before, step)
            centre = centre[0] + gain * step[0], centre[1] + gain * step[1]
            # What follows a leap does not continue the series.
            before = step if gain == 1.0 else None
            light, state = self.fitted(centre, state.shape)
        return light, state

    def fitted(self, centre: tuple[float, float], shape: Ellipse) -> tuple[_Light, _State]:
        """Fit the square filled about a centre, from that centre."""
        light = _Light(self.filled(centre).ravel().astype(np.float64), _basis(len(self.flux) // 2))
        return light, light.settle(centre, shape)

    def filled(self, centre: tuple[float, float]) -> FloatArray:
        """Give pixels that do not count the value at the point opposite the centre, or of their ring about it."""
        half = len(self.flux) // 2
        across, up = (_facing(half, offset) for offset in centre)
        seen = up @ (self.good > _WHOLE).astype(np.float32) @ across.T
        along = np.arange(-half, half + 1.0)
        radius = self.factor * np.hypot((along - centre[1])[:, None], along - centre[0])
        ring = np.interp(radius, *self.fill).astype(np.float32)
        return np.where(self.good > 0, self.flux, np.where(seen > _WHOLE, up @ self.flux @ across.T, ring))


def _series(before: tuple[float, float], step: tuple[float, float]) -> float:
    """Sum of a step and all that follow it, in units of it, if each is to the next as the one before to it."""
    ratio = (step[0] * before[0] + step[1] * before[1]) / (before[0] ** 2 + before[1] ** 2)
    return 1.0 / (1.0 - min(max(ratio, 0.0), _SLOWEST))


def _reshaped(m: Ellipse, area: float, xx: float, xy: float, yy: float) -> tuple[Ellipse, float, float]:
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
    new = Ellipse(a * a * p, a * (b * p + c * q), b * b * p + 2.0 * b * c * q + c * c * r)
    scale = (area / (new.xx * new.yy - new.xy * new.xy)) ** 0.5
    new = Ellipse(new.xx * scale, new.xy * scale, new.yy * scale)
    return (new if new.axis_ratio > _THINNEST else m), twist if new.axis_ratio > _THINNEST else 0.0, width
