"""Recipe: how a cutout becomes a stamp.

:func:`half_width_px` chooses its field, :func:`prepare` subtracts the sky and fills neighbours and missing pixels,
:func:`make_views` resamples the pixels once for every view, and :func:`stretch` compresses them for the network.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from galmorph.errors import PipelineError, unknown_name
from galmorph.stamps.views import reach_of, read_views
from galmorph.stamps.warp import compose, stamp_matrix, warp_batch

if TYPE_CHECKING:
    from galmorph.stamps.measure import Measurement

__all__ = [
    "Prepared",
    "Recipe",
    "Stamp",
    "WarpViews",
    "fill",
    "half_width_px",
    "make_views",
    "prepare",
    "prepare_around",
    "stretch",
    "warp_views",
]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

_STRETCHES = ("asinh", "display")
_NEIGHBOURS = ("fill", "keep")
_OUTSIDES = ("zero", "sky")
_REFERENCES = ("galaxy", "noise")
# A stamp with a side of 1024 pixels is 4 MB a plane; wider fields than these hold no one galaxy.
_LIMITS = {
    "size": (8, 1024),
    "half_width_rpet": (0.01, 100.0),
    "half_width_arcsec": (0.0, 3600.0),
    "default_rpet_px": (0.1, 1000.0),
    "gain": (1e-6, 1e6),
    "softening_mjysr": (0.0, 1e12),
    "display_top": (1e-6, 1.0),
}
# Prepared around a stamp: the memory of the warp's spline, 12 px, and what it interpolates between.
_MARGIN_PX = 16
# Of 409 SDSS galaxies: median .63, 5 to 95 % from .46 to .77 (tests/science/test_other_codes.py).
_RPET_PER_EXTENT = 0.63


@dataclass(frozen=True)
class Recipe:
    """Settings of the way from cutout to stamp; part of every checkpoint.

    Parameters
    ----------
    size
        Side of the stamp in pixels.
    planes
        1 for one band, 3 for colour.
    half_width_rpet
        Half-width of the stamp in Petrosian radii.
    half_width_arcsec
        Half-width of a stamp that is the same for all galaxies, so that the network sees their sizes; 0 for one that
        scales with the galaxy. It scales with it also where the images do not say their pixel scale.
    default_rpet_px
        Radius taken where nothing was detected; a galaxy without a Petrosian radius gets it from its isophotal extent.
    neighbours
        ``'fill'``: other objects are replaced by the galaxy's own profile at that radius plus sky noise;
        ``'keep'``: they stay.
    outside
        What lies past the edges of a cutout: ``'zero'``, or ``'sky'``, noise like that of the sky, so that the edges
        of an image say nothing about the galaxy.
    stretch
        ``'asinh'``: asinh(gain · I / <I>) / 3 with <I> what `reference` says;
        ``'display'``: planes are display colours in [0, 1] already.
    reference
        ``'galaxy'``: the mean brightness inside the Petrosian radius; ``'noise'``: that of the sky, so that the
        network sees how faint a galaxy is.
    gain
        Of the asinh stretch.
    softening_mjysr
        Linear images are first compressed as asinh(I / softening), in MJy/sr, because the training images had been
        displayed so; 0 for no such step.
    display_top
        Fraction of the peak at which the display had clipped the training images; 1 for no clipping.
    views
        The views over which probabilities are averaged unless others are asked for: a name, or text as
        :func:`galmorph.stamps.views.read_views` takes it.
    """

    size: int = 64
    planes: int = 1
    half_width_rpet: float = 2.0
    half_width_arcsec: float = 0.0
    default_rpet_px: float = 8.0
    neighbours: Literal["fill", "keep"] = "fill"
    outside: Literal["zero", "sky"] = "zero"
    stretch: Literal["asinh", "display"] = "asinh"
    reference: Literal["galaxy", "noise"] = "galaxy"
    gain: float = 2.0
    softening_mjysr: float = 0.0
    display_top: float = 1.0
    views: str = "one"

    def __post_init__(self) -> None:
        read_views(self.views)
        if self.stretch not in _STRETCHES:
            raise PipelineError(unknown_name("stretch of a recipe", self.stretch, _STRETCHES))
        if self.neighbours not in _NEIGHBOURS:
            raise PipelineError(unknown_name("neighbours setting of a recipe", self.neighbours, _NEIGHBOURS))
        if self.outside not in _OUTSIDES:
            raise PipelineError(unknown_name("outside of a recipe", self.outside, _OUTSIDES))
        if self.reference not in _REFERENCES:
            raise PipelineError(unknown_name("reference of a recipe's stretch", self.reference, _REFERENCES))
        if self.planes not in (1, 3):
            raise PipelineError(f"recipe with planes = {self.planes}: expected 1 or 3")
        for name, (least, most) in _LIMITS.items():
            if not least <= getattr(self, name) <= most:
                raise PipelineError(
                    f"recipe with {name} = {getattr(self, name)}: expected a number from {least:g} to {most:g}"
                )

    @property
    def reach(self) -> str:
        """How far a stamp reaches to each side, in words."""
        if self.half_width_arcsec > 0.0:
            return f"{self.half_width_arcsec:g}\u2033"
        return f"{self.half_width_rpet:g} Petrosian radii"

    def to_dict(self) -> dict[str, Any]:
        """Return the settings as plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Stamp:
    """A stamp before stretching, and what a network may take beside it.

    Parameters
    ----------
    pixels
        Of its views, (V, C, S, S), or of one, (C, S, S).
    brightness
        Scale of the stretch.
    morphometry
        (K,) as of :func:`galmorph.stamps.morphometry.morphometry`; None where nothing was measured.
    """

    pixels: FloatArray
    brightness: float
    morphometry: FloatArray | None = None


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
    bad = np.logical_not(np.isfinite(planes).all(axis=0))
    if recipe.neighbours == "fill":
        bad |= measured.neighbours
    if recipe.stretch == "display":
        return fill(np.nan_to_num(planes, posinf=0.0, neginf=0.0), bad, measured, seed), 1.0
    flux = np.nan_to_num(planes - np.float32(measured.sky_level), posinf=0.0, neginf=0.0)
    brightness = _brightness(measured) if recipe.reference == "galaxy" else 2.0 * _faintest(measured)
    if recipe.softening_mjysr > 0 and np.isfinite(mjysr_per_unit):
        unit = recipe.softening_mjysr / mjysr_per_unit
        flux = (np.arcsinh(flux / unit) * unit).astype(np.float32)
        flux = np.minimum(flux, np.float32(recipe.display_top) * _peak(flux, bad, measured))
        brightness = max(_mean_inside(flux, bad, measured), _faintest(measured))
    return fill(flux, bad, measured, seed), brightness


def _faintest(measured: Measurement) -> float:
    # In the image's unit, which may be 1e-20 of something; an image without noise has no scale.
    return 0.5 * measured.sky_sigma if measured.sky_sigma > 0 else 1e-12


def _brightness(measured: Measurement) -> float:
    floor = _faintest(measured)
    value = measured.mean_brightness
    return max(value, floor) if np.isfinite(value) else 4.0 * floor


def _disc(shape: tuple[int, int], measured: Measurement) -> BoolArray:
    radius = _radius(measured, 5.0)
    height, width = shape
    x = measured.x if np.isfinite(measured.x) else width / 2
    y = measured.y if np.isfinite(measured.y) else height / 2
    return (np.arange(width) - x) ** 2 + ((np.arange(height) - y) ** 2)[:, None] <= radius**2


def _peak(flux: FloatArray, bad: BoolArray, measured: Measurement) -> np.float32:
    inside = _disc(bad.shape, measured) & ~bad
    return np.float32(flux[:, inside].max()) if inside.any() else np.float32(np.inf)


def _mean_inside(flux: FloatArray, bad: BoolArray, measured: Measurement) -> float:
    inside = _disc(bad.shape, measured) & ~bad
    return float(flux[:, inside].mean()) if inside.any() else 0.0


def fill(planes: FloatArray, bad: BoolArray, measured: Measurement, seed: int) -> FloatArray:
    """Replace pixels by the mean of their ring's unmarked part plus sky noise.

    Parameters
    ----------
    planes
        (C, H, W) finite.
    bad
        (H, W) True on the pixels to replace.
    """
    # Who lists recipes fills no stamps, and numba takes a quarter of a second to import.
    from galmorph.stamps.background import clipped_sky, sky_noise  # noqa: PLC0415

    if not bad.any():
        return planes.astype(np.float32, copy=False)
    height, width = bad.shape
    x = measured.x if np.isfinite(measured.x) else width / 2
    y = measured.y if np.isfinite(measured.y) else height / 2
    ring = np.hypot(np.arange(height)[:, None] - y, np.arange(width)[None, :] - x).astype(np.intp)
    outside = (measured.segmentation.labels == 0) & ~bad
    filled = planes.astype(np.float32, copy=True)
    for number, plane in enumerate(filled):
        sky = clipped_sky(plane, outside)
        noise = sky_noise((height, width), sky, measured.segmentation.correlation_px, seed + number)
        level = 0.0 if not np.isfinite(sky.level) else sky.level
        plane[bad] = (_ring_means(plane, ring, ~bad, level)[ring] + noise)[bad]
    return filled


def _ring_means(
    plane: FloatArray, ring: npt.NDArray[np.intp], good: BoolArray, level: float
) -> npt.NDArray[np.float64]:
    n = int(ring.max()) + 1
    counts = np.bincount(ring[good], minlength=n)
    sums = np.bincount(ring[good], plane[good], minlength=n)
    # Rings with few pixels lean towards the sky.
    means: npt.NDArray[np.float64] = (sums + 4.0 * level) / (counts + 4.0)
    smooth: npt.NDArray[np.float64] = ndimage.uniform_filter1d(means, 3, mode="nearest")
    return smooth


@dataclass(frozen=True)
class Prepared:
    """Finite planes (C, H, W) about a galaxy, its place (x, y) on them, the stamp's half-width and the brightness."""

    planes: FloatArray
    x: float
    y: float
    half_px: float
    brightness: float


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
    centre = (measured.x, measured.y) if np.isfinite(measured.x) else (x, y)
    half = half_width_px(measured, recipe, scale_arcsec)
    if recipe.outside == "sky":
        planes, measured, centre = _widened(planes, measured, centre, reach * half)
    window, near = _around(measured, centre, reach * half + _MARGIN_PX, planes.shape[1:])
    ready, brightness = prepare(planes[:, *window], near, recipe, mjysr_per_unit=mjysr_per_unit, seed=seed)
    return Prepared(ready, centre[0] - window[1].start, centre[1] - window[0].start, half, brightness)


def _widened(
    planes: FloatArray, measured: Measurement, centre: tuple[float, float], reach: float
) -> tuple[FloatArray, Measurement, tuple[float, float]]:
    """Add pixels without data all around until a stamp about the centre lies inside; they are filled like others."""
    height, width = planes.shape[1:]
    x, y = centre
    before = max(math.ceil(reach - y), 0), max(math.ceil(reach - x), 0)
    after = max(math.ceil(y + reach) - height + 1, 0), max(math.ceil(x + reach) - width + 1, 0)
    if not any((*before, *after)):
        return planes, measured, centre
    rim = list(zip(before, after, strict=True))
    segmentation = replace(
        measured.segmentation,
        labels=np.pad(measured.segmentation.labels, rim),
        usable=np.pad(measured.segmentation.usable, rim),
    )
    wider = replace(
        measured,
        x=measured.x + before[1],
        y=measured.y + before[0],
        segmentation=segmentation,
        neighbours=np.pad(measured.neighbours, rim),
    )
    return np.pad(planes, [(0, 0), *rim], constant_values=np.nan), wider, (x + before[1], y + before[0])


WarpViews: TypeAlias = Callable[[FloatArray, npt.NDArray[np.float64], int], FloatArray]
"""Planes, matrices of views, and the stamps' side to stamps."""


def warp_views(planes: FloatArray, matrices: npt.NDArray[np.float64], size: int) -> FloatArray:
    """Resample planes, (C, H, W), by each of the matrices, (V, 2, 3), to (V, C, size, size)."""
    return warp_batch([planes] * len(matrices), list(matrices), size)


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
    warp: WarpViews = warp_views,
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
    warp
        What resamples: :func:`warp_views`, or a faster equivalent.

    Returns
    -------
    Stamp
        (V, C, size, size), not yet stretched.
    """
    about = {"x": x, "y": y, "scale_arcsec": scale_arcsec, "mjysr_per_unit": mjysr_per_unit}
    ready = prepare_around(planes, measured, recipe, reach=max(reach_of(matrices), 1.0), seed=seed, **about)
    upright = stamp_matrix(ready.x, ready.y, ready.half_px)
    return Stamp(warp(ready.planes, compose(upright[None], matrices), recipe.size), ready.brightness)


def _around(
    measured: Measurement, centre: tuple[float, float], reach: float, shape: tuple[int, ...]
) -> tuple[tuple[slice, slice], Measurement]:
    """Cut a measurement's maps down to a window; a window outside the cutout is the whole cutout."""
    low = [max(int(c - reach), 0) for c in centre]
    high = [min(int(c + reach) + 2, n) for c, n in zip(centre, shape[::-1], strict=True)]
    if low[0] >= high[0] or low[1] >= high[1]:
        low, high = [0, 0], [shape[1], shape[0]]
    window = slice(low[1], high[1]), slice(low[0], high[0])
    whole = measured.segmentation
    segmentation = replace(whole, labels=whole.labels[window], usable=whole.usable[window])
    x, y, neighbours = measured.x - low[0], measured.y - low[1], measured.neighbours[window]
    return window, replace(measured, x=x, y=y, segmentation=segmentation, neighbours=neighbours)


def half_width_px(measured: Measurement, recipe: Recipe, scale_arcsec: float = float("nan")) -> float:
    """Choose the half-width of the stamp in cutout pixels.

    The first of these that is there: the recipe's fixed width on the sky, where the pixel scale is known; so many of
    the galaxy's Petrosian radii; of the Petrosian radius that its isophotal extent makes likeliest (NO_PETROSIAN); of
    the recipe's default (NO_SOURCE).
    """
    if recipe.half_width_arcsec > 0.0 and np.isfinite(scale_arcsec):
        return recipe.half_width_arcsec / scale_arcsec
    return recipe.half_width_rpet * _radius(measured, recipe.default_rpet_px)


def _radius(measured: Measurement, default: float) -> float:
    if np.isfinite(measured.rpet_px):
        return measured.rpet_px
    extent = _RPET_PER_EXTENT * measured.extent_px
    return extent if np.isfinite(extent) else default


def stretch(pixels: Any, brightness: Any, recipe: Recipe, *, asinh: Callable[[Any], Any] = np.arcsinh) -> Any:
    """Compress the range of stamps for the network.

    Works alike on numpy arrays and, with ``asinh=torch.asinh``, on tensors.

    Parameters
    ----------
    pixels
        (B, C, S, S).
    brightness
        (B, 1, 1, 1) in the same units.
    """
    if recipe.stretch == "display":
        return pixels
    return (asinh(recipe.gain * pixels / brightness) / 3.0).clip(-1.0, 3.0)
