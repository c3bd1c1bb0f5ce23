"""Recipe: how a cutout becomes a stamp.

:func:`half_width_px` chooses its field, :mod:`galmorph.stamps.cutting` cuts its views, and :func:`stretch` compresses
them for the network.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, unknown_name
from galmorph.stamps.views import read_views

if TYPE_CHECKING:
    from galmorph.stamps.measure import Measurement

__all__ = ["Recipe", "Stamp", "half_width_px", "half_widths_px", "radius_px", "stretch"]

FloatArray = npt.NDArray[np.float32]

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


def half_width_px(measured: Measurement, recipe: Recipe, scale_arcsec: float = float("nan")) -> float:
    """Choose the half-width of the stamp in cutout pixels.

    The first of these that is there: the recipe's fixed width on the sky, where the pixel scale is known; so many of
    the galaxy's Petrosian radii; of the Petrosian radius that its isophotal extent makes likeliest (NO_PETROSIAN); of
    the recipe's default (NO_SOURCE).
    """
    return float(half_widths_px(measured.rpet_px, measured.extent_px, recipe, scale_arcsec))


def half_widths_px(
    rpet_px: npt.ArrayLike, extent_px: npt.ArrayLike, recipe: Recipe, scale_arcsec: npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Choose half-widths as :func:`half_width_px` does, of galaxies with these radii and isophotal extents, (N,)."""
    widths = recipe.half_width_rpet * _radii_px(rpet_px, extent_px, recipe.default_rpet_px)
    if not recipe.half_width_arcsec > 0.0:
        return widths
    scale = np.asarray(scale_arcsec)
    return np.where(np.isfinite(scale), recipe.half_width_arcsec / scale, widths)


def radius_px(measured: Measurement, default: float) -> float:
    """Return the Petrosian radius; where there is none the likeliest for the isophotal extent, or a default."""
    return float(_radii_px(measured.rpet_px, measured.extent_px, default))


def _radii_px(rpet_px: npt.ArrayLike, extent_px: npt.ArrayLike, default: float) -> npt.NDArray[np.float64]:
    extent = _RPET_PER_EXTENT * np.asarray(extent_px)
    return np.where(np.isfinite(rpet_px), rpet_px, np.where(np.isfinite(extent), extent, default))


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
