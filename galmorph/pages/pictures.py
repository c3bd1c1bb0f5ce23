"""Pictures: stamps for the eye, as PNG in the page itself, with what is drawn over them."""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from galmorph.runs.gather import Galaxy, stamp_of
from galmorph.sky.images import ImageSource
from galmorph.stamps.affine import stamp_matrix
from galmorph.stamps.background import clipped_sky
from galmorph.stamps.recipe import Recipe, half_width_px, stretch
from galmorph.stamps.warp import warp

__all__ = ["Picture", "picture_of"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]

_SIZE_PX = 128
# The overlay's own units: it runs from -100 to 100 on both axes, y downwards as in every SVG.
_HALF = 100.0
_ROUND_ARCSEC = np.array([1, 2, 5])[None, :] * 10.0 ** np.arange(-3, 4)[:, None]
_NO_DATA = 0
_CENTRAL = 0.5
"""Radius of the galaxy's brightest pixels, in half-widths of the stamp, where it has no Petrosian radius."""


@dataclass(frozen=True)
class Picture:
    """A stamp to look at; lengths in units of a hundredth of its half-width, y downwards.

    Parameters
    ----------
    uri
        The galaxy with its neighbours, as a data URI.
    network_uri
        What the network saw, where the recipe replaces neighbours; else None.
    partly
        Whether some pixels have no data.
    radius
        Petrosian radius; None where there is none.
    catalog_x, catalog_y
        The catalogue's position.
    bar, bar_title
        Length of a scale bar and what it stands for; 0 where the pixel scale is not known.
    north, east
        Directions as unit vectors; None without WCS.
    """

    uri: str
    network_uri: str | None
    partly: bool
    radius: float | None
    catalog_x: float
    catalog_y: float
    bar: float
    bar_title: str
    north: tuple[float, float] | None
    east: tuple[float, float] | None


def picture_of(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> Picture | None:
    """Cut a stamp for the eye.

    The field of view is the recipe's; the pixels are finer, neighbours stay, and linear flux is stretched between the
    sky and the galaxy's brightest pixels.

    Parameters
    ----------
    galaxy
        Gathered anew.
    images
        Where it is from. Their rows run upwards on FITS images and downwards on display stamps.
    recipe
        The checkpoint's.

    Returns
    -------
    Picture, or None where the galaxy has no image.
    """
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        return None
    half = half_width_px(measured, recipe, cutout.scale_arcsec)
    centre = (measured.x, measured.y) if np.isfinite(measured.x) else (cutout.x, cutout.y)
    valid = _valid(cutout.planes, stamp_matrix(*centre, half))
    radius = measured.rpet_px / half if np.isfinite(measured.rpet_px) else None
    values = _shown(galaxy, images, recipe, valid, radius if radius is not None else _CENTRAL)
    up = -1.0 if images.is_linear else 1.0
    bar, bar_title = _scale_bar(half * cutout.scale_arcsec)
    north, east = _directions(images, cutout.tile, centre[0] + cutout.origin[0], centre[1] + cutout.origin[1], up)
    return Picture(
        uri=_uri(values, valid, up),
        network_uri=_network_uri(galaxy, images, recipe, up),
        partly=not valid.all(),
        radius=None if radius is None else _HALF * radius,
        catalog_x=_HALF * (cutout.x - centre[0]) / half,
        catalog_y=_HALF * (cutout.y - centre[1]) / half * up,
        bar=bar,
        bar_title=bar_title,
        north=north,
        east=east,
    )


def _valid(planes: FloatArray, matrix: npt.NDArray[np.float64]) -> BoolArray:
    """Tell where on the stamp, (S, S), the cutout has data."""
    finite = np.asarray(np.isfinite(planes).all(axis=0, keepdims=True), np.float32)
    return np.asarray(warp(finite, matrix, _SIZE_PX)[0] > 0.5)


def _shown(galaxy: Galaxy, images: ImageSource, recipe: Recipe, valid: BoolArray, radius: float) -> FloatArray:
    """Cut the stamp with its neighbours, as planes in [0, 1]."""
    linear = images.is_linear and images.n_planes == 1
    kept = replace(
        recipe, size=_SIZE_PX, neighbours="keep", stretch="asinh" if linear else "display", softening_mjysr=0.0
    )
    pixels = stamp_of(galaxy, images, kept).pixels
    return _stretched(pixels[0], valid, radius)[None] if linear else pixels


def _stretched(flux: FloatArray, valid: BoolArray, radius: float) -> FloatArray:
    """Map linear flux, (S, S), to [0, 1] by asinh, from below the sky to the galaxy's brightest pixels."""
    if not valid.any():
        return np.zeros_like(flux)
    axis = (np.arange(len(flux)) + 0.5) * 2.0 / len(flux) - 1.0
    inside = (np.hypot(axis[:, None], axis[None, :]) <= radius) & valid
    sky = clipped_sky(flux, valid)
    noise = max(sky.sigma, 1e-20)
    white = max(float(np.percentile(flux[inside if inside.any() else valid], 99.7)), 6.0 * noise)
    # A twentieth of the peak keeps arms and bulges apart in bright galaxies, two sigma the outskirts of faint ones.
    soft, black = max(2.0 * noise, white / 20.0), -1.5 * noise
    low, high = np.arcsinh(black / soft), np.arcsinh(white / soft)
    return np.asarray((np.arcsinh(flux / soft) - low) / (high - low), np.float32)


def _network_uri(galaxy: Galaxy, images: ImageSource, recipe: Recipe, up: float) -> str | None:
    if recipe.neighbours == "keep":
        return None
    stamp = stamp_of(galaxy, images, recipe)
    shown = np.asarray(stretch(stamp.pixels[None], np.float32(stamp.brightness), recipe)[0], np.float32)
    if recipe.stretch != "display":
        low, high = np.percentile(shown, [1.0, 99.8]).tolist()
        shown = (shown - low) / max(high - low, 1e-6)
    return _uri(shown, np.ones(shown.shape[1:], np.bool_), up)


def _uri(values: FloatArray, valid: BoolArray, up: float) -> str:
    """Write planes in [0, 1], (1 or 3, S, S), as a PNG of at most 256 colours; transparent where not `valid`."""
    flip = slice(None, None, -1 if up < 0 else 1)
    levels = np.round(np.clip(values, 0.0, 1.0) * 254.0 + 1.0).astype(np.uint8)[:, flip]
    hidden = ~valid[flip]
    if len(levels) == 1:
        picture = Image.fromarray(np.where(hidden, np.uint8(_NO_DATA), levels[0]))
    else:
        picture = _with_palette(levels, hidden)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True, **({"transparency": _NO_DATA} if hidden.any() else {}))
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def _with_palette(levels: ByteArray, hidden: BoolArray) -> Image.Image:
    """Reduce colours to a palette of 255, a third of the size; colour 0 is left free for pixels without data."""
    reduced = Image.fromarray(np.ascontiguousarray(levels.transpose(1, 2, 0))).quantize(255)
    numbers = np.asarray(reduced).astype(np.int32) + 1
    picture = Image.fromarray(np.where(hidden, _NO_DATA, numbers).astype(np.uint8))
    picture.putpalette([128, 128, 128, *(reduced.getpalette() or [])][: 3 * 256])
    return picture


def _scale_bar(half_arcsec: float) -> tuple[float, str]:
    """Choose a round length of at most 0.8 half-widths."""
    if not np.isfinite(half_arcsec) or half_arcsec <= 0:
        return 0.0, ""
    fitting = _ROUND_ARCSEC[_ROUND_ARCSEC / half_arcsec <= 0.8]
    length = float(fitting.max()) if fitting.size else float(_ROUND_ARCSEC.min())
    return _HALF * length / half_arcsec, f"{length:g}″"


def _directions(
    images: ImageSource, tile: int, x: float, y: float, up: float
) -> tuple[tuple[float, float] | None, tuple[float, float] | None]:
    """Find where north and east point on the picture, from the sky positions of two neighbouring pixels."""
    if not images.has_wcs:
        return None, None
    ra, dec = images.sky([tile] * 3, [x, x + 1.0, x], [y, y, y + 1.0])
    turns = (ra[1:] - ra[0] + 180.0) % 360.0 - 180.0
    # Columns: eastward and northward degrees per pixel along x and y.
    per_pixel = np.stack([turns * np.cos(np.radians(dec[0])), dec[1:] - dec[0]])
    if not np.isfinite(per_pixel).all() or np.linalg.det(per_pixel) == 0:
        return None, None
    pixels = np.linalg.inv(per_pixel) * np.array([[1.0], [up]])
    pixels /= np.hypot(*pixels)
    return (float(pixels[0, 1]), float(pixels[1, 1])), (float(pixels[0, 0]), float(pixels[1, 0]))
