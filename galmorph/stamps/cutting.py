"""Cutting: from a measured galaxy's cutout to the views of its stamp.

:func:`prepare` subtracts the sky and fills neighbours and missing pixels, :func:`make_views` resamples the pixels once
for every view.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner, uninterrupted
from galmorph.stamps.filling import fill, less
from galmorph.stamps.measure import Measurement
from galmorph.stamps.recipe import Recipe, Stamp, half_width_px, radius_px
from galmorph.stamps.segment import SMOOTH_PX
from galmorph.stamps.spline import are_finite
from galmorph.stamps.views import reach_of
from galmorph.stamps.warp import warp_views

__all__ = [
    "MARGIN_PX",
    "Prepared",
    "brightnesses",
    "compress",
    "make_views",
    "prepare",
    "prepare_around",
    "stretch_in_place",
]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

MARGIN_PX = 16
"""Prepared around a stamp: the memory of the warp's spline, 12 px, and what it interpolates between."""
# In the image's unit, which may be 1e-20 of something; an image without noise has no scale.
_FAINTEST = 1e-12


class _Field(NamedTuple):
    """Planes (C, H, W), labels and neighbours (H, W) of a cutout or a part of it, and the galaxy's place there."""

    planes: FloatArray
    labels: npt.NDArray[np.int32]
    neighbours: BoolArray
    x: float
    y: float

    @classmethod
    def of(cls, planes: FloatArray, measured: Measurement, x: float, y: float) -> _Field:
        """Return the field of a whole cutout; the measured place counts where there is one, and else the one given."""
        if math.isfinite(measured.x):
            x, y = measured.x, measured.y
        return cls(planes, measured.segmentation.labels, measured.neighbours, x, y)

    def widened(self, reach: float) -> _Field:
        """Add pixels without data all around until a stamp lies inside; they are filled like others."""
        height, width = self.neighbours.shape
        before = max(math.ceil(reach - self.y), 0), max(math.ceil(reach - self.x), 0)
        after = max(math.ceil(self.y + reach) - height + 1, 0), max(math.ceil(self.x + reach) - width + 1, 0)
        if not any((*before, *after)):
            return self
        rim = list(zip(before, after, strict=True))
        planes = np.pad(self.planes, [(0, 0), *rim], constant_values=np.nan)
        maps = np.pad(self.labels, rim), np.pad(self.neighbours, rim)
        return _Field(planes, *maps, self.x + before[1], self.y + before[0])

    def around(self, reach: float) -> _Field:
        """Cut out what lies within a reach, in pixels; all where nothing does."""
        height, width = self.neighbours.shape
        (left, right), (top, bottom) = (
            (max(int(c - reach), 0), min(int(c + reach) + 2, n)) for c, n in ((self.x, width), (self.y, height))
        )
        if left >= right or top >= bottom:
            return self
        window = np.s_[top:bottom, left:right]
        planes = self.planes[:, *window]
        return _Field(planes, self.labels[window], self.neighbours[window], self.x - left, self.y - top)


@uninterrupted()
def prepare(
    planes: FloatArray, measured: Measurement, recipe: Recipe, *, mjysr_per_unit: float = float("nan"), seed: int = 0
) -> tuple[FloatArray, float]:
    """Make a cutout's planes ready for warping: sky, display emulation, neighbours.

    Parameters
    ----------
    planes
        (C, H, W); NaN where there is no data.
    measured
        Of the same cutout.
    mjysr_per_unit
        Surface brightness of one image unit; NaN for display images, which are compressed already.
    seed
        Of the noise that fills neighbours; the same seed gives the same stamp.

    Returns
    -------
    Finite planes, (C, H, W), sky-subtracted unless the stretch is ``'display'``; and the brightness that the
    stretch divides by.
    """
    height, width = planes.shape[1:]
    field = _Field.of(planes, measured, width / 2, height / 2)
    return _prepared(field, measured, recipe, mjysr_per_unit, seed)


def _prepared(
    field: _Field, measured: Measurement, recipe: Recipe, mjysr_per_unit: float, seed: int
) -> tuple[FloatArray, float]:
    display = recipe.stretch == "display"
    if display and recipe.neighbours == "keep" and are_finite(ready := np.ascontiguousarray(field.planes, np.float32)):
        return ready, 1.0
    others = field.neighbours if recipe.neighbours == "fill" else np.zeros_like(field.neighbours)
    level = np.float32(0.0 if display else measured.sky_level)
    flux, bad, some = less(
        np.ascontiguousarray(field.planes, np.float32), level, np.ascontiguousarray(others, np.bool_)
    )
    brightness = 1.0 if display else _brightness(measured, recipe)
    if not display and recipe.softening_mjysr > 0 and math.isfinite(mjysr_per_unit):
        flux, brightness = _softened(flux, field, bad, measured, recipe, mjysr_per_unit)
    if some:
        fill(flux, bad, field.labels, (field.x, field.y), measured.segmentation.correlation_px, seed)
    return flux, brightness


def _softened(
    flux: FloatArray, field: _Field, bad: BoolArray, measured: Measurement, recipe: Recipe, mjysr_per_unit: float
) -> tuple[FloatArray, float]:
    """Compress and clip flux as the training images had been displayed; and the mean brightness that this leaves."""
    unit = recipe.softening_mjysr / mjysr_per_unit
    soft = (np.arcsinh(flux / unit) * unit).astype(np.float32)
    inside = _disc(field, radius_px(measured, 5.0)) & ~bad
    if not inside.any():
        return soft, _faintest(measured)
    clipped = np.minimum(soft, np.float32(recipe.display_top) * soft[:, inside].max())
    return clipped, max(float(clipped[:, inside].mean()), _faintest(measured))


def _faintest(measured: Measurement) -> float:
    return 0.5 * measured.sky_sigma if measured.sky_sigma > 0 else _FAINTEST


def _brightness(measured: Measurement, recipe: Recipe) -> float:
    return float(brightnesses(measured.mean_brightness, measured.sky_sigma, recipe))


def brightnesses(mean: npt.ArrayLike, sigma: npt.ArrayLike, recipe: Recipe) -> npt.NDArray[np.float64]:
    """Return what stretches divide by, (N,): from mean brightnesses in Petrosian radii and noises of skies, (N,)."""
    value, noise = np.asarray(mean, np.float64), np.asarray(sigma, np.float64)
    floor = np.where(noise > 0, 0.5 * noise, _FAINTEST)
    if recipe.reference == "noise":
        return 2.0 * floor
    return np.where(np.isfinite(value), np.maximum(value, floor), 4.0 * floor)


def _disc(field: _Field, radius: float) -> BoolArray:
    height, width = field.neighbours.shape
    disc: BoolArray = (np.arange(width) - field.x) ** 2 + ((np.arange(height) - field.y) ** 2)[:, None] <= radius**2
    return disc


@dataclass(frozen=True)
class Prepared:
    """Finite planes (C, H, W) about a galaxy, its place (x, y) on them, the stamp's half-width and the brightness."""

    planes: FloatArray
    x: float
    y: float
    half_px: float
    brightness: float


@uninterrupted()
def prepare_around(
    planes: FloatArray,
    measured: Measurement,
    recipe: Recipe,
    *,
    x: float,
    y: float,
    reach: float = 1.0,
    scale_arcsec: float = float("nan"),
    mjysr_per_unit: float = float("nan"),
    seed: int = 0,
) -> Prepared:
    """Prepare the part of a cutout that lies within `reach` half-widths of the stamp.

    Parameters
    ----------
    planes
        (C, H, W); NaN where there is no data.
    x, y
        Centre to use where the measurement has none.
    scale_arcsec
        Of the cutout's pixels; NaN where it is not known.
    """
    field = _Field.of(planes, measured, x, y)
    return _ready(field, measured, recipe, reach, scale_arcsec, mjysr_per_unit, seed)


def _ready(
    field: _Field,
    measured: Measurement,
    recipe: Recipe,
    reach: float,
    scale_arcsec: float,
    mjysr_per_unit: float,
    seed: int,
) -> Prepared:
    half = half_width_px(measured, recipe, scale_arcsec)
    if recipe.outside == "sky":
        field = field.widened(reach * half)
    field = field.around(reach * half + MARGIN_PX)
    ready, brightness = _prepared(field, measured, recipe, mjysr_per_unit, seed)
    return Prepared(ready, field.x, field.y, half, brightness)


@uninterrupted()
def make_views(
    planes: FloatArray,
    measured: Measurement,
    recipe: Recipe,
    matrices: npt.NDArray[np.float64],
    *,
    x: float,
    y: float,
    scale_arcsec: float = float("nan"),
    mjysr_per_unit: float = float("nan"),
    seed: int = 0,
) -> Stamp:
    """Cut views of a measured galaxy out of its cutout; each is resampled once from the cutout's pixels.

    Parameters
    ----------
    planes, mjysr_per_unit, seed
        As of :func:`prepare`.
    scale_arcsec
        Of the cutout's pixels; NaN where it is not known.
    matrices
        (V, 2, 3) from the coordinates of each view to the stamp's: see :class:`galmorph.stamps.views.Views`, and
        :data:`galmorph.stamps.views.ONE` for the stamp as it is.
    x, y
        Centre to use where the measurement has none.

    Returns
    -------
    Stamp
        (V, C, size, size), not yet stretched.
    """
    field, reach = _Field.of(planes, measured, x, y), max(reach_of(matrices), 1.0)
    ready = _ready(field, measured, recipe, reach, scale_arcsec, mjysr_per_unit, seed)
    # What `compose` makes of the views and the `stamp_matrix`, in a fifth of the time.
    placed = ready.half_px * matrices
    placed[:, :, 2] += ready.x, ready.y
    # Pictures are enlarged as a rule; linear images are sampled as finely as their pixels are, whatever their noise is.
    is_smooth = recipe.stretch == "display" and measured.segmentation.correlation_px >= SMOOTH_PX
    views = warp_views(ready.planes, placed, recipe.size, is_smooth=is_smooth)
    return Stamp(views, ready.brightness)


def stretch_in_place(pixels: FloatArray, brightness: npt.ArrayLike, recipe: Recipe) -> None:
    """Compress the range of stamps for the network: :func:`galmorph.stamps.recipe.stretch`, eight times faster.

    Parameters
    ----------
    pixels
        (N, ..., S, S), contiguous; receives the stretched ones.
    brightness
        (N,) in the same units.
    """
    if recipe.stretch != "display":
        _compress(pixels.reshape(len(pixels), -1), np.asarray(brightness, np.float32), np.float32(recipe.gain))


@compiled
def _compress(pixels: FloatArray, brightness: FloatArray, gain: np.float32) -> None:
    """Compress the range of stamps, (N, P)."""
    for n in range(pixels.shape[0]):
        compress(pixels[n], brightness[n], gain)


@inner
def compress(pixels: FloatArray, brightness: np.float32, gain: np.float32) -> None:
    """Replace pixels, (P,), by asinh(gain · I / brightness) / 3, from -1 to 3, to 1e-7."""
    for p in range(len(pixels)):
        value = gain * pixels[p] / brightness
        size = abs(value)
        third = np.log(size + np.sqrt(size * size + np.float32(1.0))) / np.float32(3.0)
        pixels[p] = _within(third if value > 0 else -third)


@inner
def _within(value: np.float32) -> np.float32:
    """Clip to the range of stamps; what is not a number stays so, and is found later."""
    if value > 3.0:
        return np.float32(3.0)
    return np.float32(-1.0) if value < -1.0 else value
