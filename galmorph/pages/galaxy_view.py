"""GalaxyView: a galaxy with its neighbours, to be drawn with any stretch, and what lies over it."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from PIL import Image

from galmorph.errors import CatalogError
from galmorph.pages.display_stretch import DisplayStretch
from galmorph.runs.gather import Galaxy, Gathering, galaxies, stamp_of
from galmorph.sky.catalog import Catalog
from galmorph.sky.cutout import Cutout
from galmorph.sky.images import ImageSource
from galmorph.stamps.affine import Matrix, stamp_matrix
from galmorph.stamps.measure import Measurement
from galmorph.stamps.recipe import Recipe, half_width_px, stretch
from galmorph.stamps.warp import warp

__all__ = ["GalaxyView", "Sketch", "view", "view_of"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
ByteArray = npt.NDArray[np.uint8]
Direction = tuple[float, float]

# The overlay's own units: it runs from -100 to 100 on both axes, y downwards as in every SVG.
_HALF = 100.0
_ROUND_ARCSEC = np.array([1, 2, 5])[None, :] * 10.0 ** np.arange(-3, 4)[:, None]
_NO_DATA = 0
_LARGEST_SIDE_PX = 8192
_CENTRAL = 0.5
"""Radius of the galaxy's brightest pixels, in half-widths of the stamp, where it has no Petrosian radius."""
_STRIPES = 14  # across a picture, so that a mask is told by its pattern and not by its colour
_MASK_COLOURS = np.array([[255, 179, 71, 90], [20, 24, 31, 150]], np.uint8)


@dataclass(frozen=True)
class Sketch:
    """What is drawn over a stamp; lengths in units of a hundredth of its half-width, y downwards.

    Parameters
    ----------
    radius
        Petrosian radius; None where there is none.
    catalog_x, catalog_y
        The catalogue's position.
    bar, bar_title
        Length of a scale bar and what it stands for; 0 where the pixel scale is not known.
    north, east
        Directions as unit vectors; None without WCS.
    """

    radius: float | None
    catalog_x: float
    catalog_y: float
    bar: float
    bar_title: str
    north: Direction | None
    east: Direction | None


@dataclass(frozen=True)
class GalaxyView:
    """A galaxy on its field of view.

    Parameters
    ----------
    planes
        (1 or 3, S, S) flux above the sky; or levels from 0 to 1, where the image is a picture.
    valid
        (S, S) where there are data.
    neighbours
        (S, S) pixels of other objects.
    network
        (1 or 3, s, s) what the network is shown, from 0 to 1.
    stretch
        With which the planes are drawn unless another is chosen.
    is_linear
        Whether the planes are flux.
    rows_up
        Whether their rows run upwards, as on FITS images.
    sketch
        What lies over them.
    """

    planes: FloatArray
    valid: BoolArray
    neighbours: BoolArray
    network: FloatArray
    stretch: DisplayStretch
    is_linear: bool
    rows_up: bool
    sketch: Sketch

    @property
    def partly(self) -> bool:
        """Whether some pixels have no data."""
        return not bool(self.valid.all())

    @property
    def is_flux(self) -> bool:
        """Whether brightness follows from flux; else from the levels of a picture, as of all colour images."""
        return self.is_linear and len(self.planes) == 1

    def png(self, chosen: DisplayStretch | None = None) -> bytes:
        """Draw it, by default with its own stretch; transparent where there are no data."""
        # Pictures that are shown as they are stay so, bit for bit.
        plain = chosen is None and not self.is_flux
        values = self.planes if plain else (chosen or self.stretch).brightness(self.planes)
        return _png(values, self.valid, rows_up=self.rows_up)

    def network_png(self) -> bytes:
        """Draw what the network is shown."""
        return _png(self.network, np.ones(self.network.shape[1:], np.bool_), rows_up=self.rows_up)

    def mask_png(self) -> bytes:
        """Draw the pixels of neighbours, striped on transparent ground."""
        side = len(self.neighbours)
        rows, columns = np.indices((side, side))
        stripe = ((rows + columns) * 2 * _STRIPES // (2 * side)) % 2
        colours = np.where(self.neighbours[..., None], _MASK_COLOURS[stripe], np.uint8(0))
        stream = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(colours[:: -1 if self.rows_up else 1])).save(stream, "PNG", optimize=True)
        return stream.getvalue()


def view(catalog: Catalog, images: ImageSource, row: int, recipe: Recipe | None, side_px: int) -> GalaxyView | None:
    """Measure a row of a catalogue, and cut it out as :func:`view_of` does.

    Raises
    ------
    CatalogError
        If there is no such row, or the picture would have no or too many pixels.
    """
    if not 1 <= side_px <= _LARGEST_SIDE_PX:
        raise CatalogError(f"a side of {side_px} pixels: expected 1 to {_LARGEST_SIDE_PX}; choose another")
    if not 0 <= row < len(catalog):
        raise CatalogError(
            f"row {row} was asked for of {len(catalog)} rows: expected 0 to {len(catalog) - 1}; choose one of those"
        )
    cut = recipe or Recipe(planes=images.n_planes, stretch="asinh" if images.is_linear else "display")
    (galaxy,) = galaxies(Gathering(catalog, images, cut.half_width_rpet), np.array([row]))
    return view_of(galaxy, images, cut, side_px)


def view_of(galaxy: Galaxy, images: ImageSource, recipe: Recipe, side_px: int) -> GalaxyView | None:
    """Cut a galaxy out for the eye.

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
    side_px
        Of the picture.

    Returns
    -------
    GalaxyView, or None where the galaxy has no image.
    """
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        return None
    half = half_width_px(measured, recipe, cutout.scale_arcsec)
    centre = (measured.x, measured.y) if np.isfinite(measured.x) else (cutout.x, cutout.y)
    matrix = stamp_matrix(*centre, half)
    valid = _covered(np.asarray(np.isfinite(cutout.planes).all(axis=0)), matrix, side_px)
    radius = measured.rpet_px / half if np.isfinite(measured.rpet_px) else None
    planes = _planes(galaxy, images, recipe, side_px)
    is_flux = images.is_linear and images.n_planes == 1
    return GalaxyView(
        planes=planes,
        valid=valid,
        neighbours=_covered(measured.neighbours, matrix, side_px),
        network=_network_planes(galaxy, images, recipe),
        stretch=_stretch(planes[0], valid, radius) if is_flux else DisplayStretch.of_pictures(),
        is_linear=images.is_linear,
        rows_up=images.is_linear,
        sketch=_sketch(cutout, measured, images, centre, half),
    )


def _covered(pixels: BoolArray, matrix: Matrix, side_px: int) -> BoolArray:
    """Tell which pixels of the stamp, (S, S), are mostly such pixels of the cutout, (H, W)."""
    return np.asarray(warp(np.asarray(pixels[None], np.float32), matrix, side_px)[0] > 0.5)


def _planes(galaxy: Galaxy, images: ImageSource, recipe: Recipe, side_px: int) -> FloatArray:
    """Cut the stamp with its neighbours: flux, or as planes in [0, 1]."""
    linear = images.is_linear and images.n_planes == 1
    kept = replace(
        recipe, size=side_px, neighbours="keep", stretch="asinh" if linear else "display", softening_mjysr=0.0
    )
    return stamp_of(galaxy, images, kept).pixels


def _stretch(flux: FloatArray, valid: BoolArray, radius: float | None) -> DisplayStretch:
    if not valid.any():
        return DisplayStretch(0.0, 1.0, 1.0)
    return DisplayStretch.of_flux(flux, valid, _CENTRAL if radius is None else radius)


def _network_planes(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> FloatArray:
    stamp = stamp_of(galaxy, images, recipe)
    shown = np.asarray(stretch(stamp.pixels[None], np.float32(stamp.brightness), recipe)[0], np.float32)
    if recipe.stretch == "display":
        return shown
    low, high = np.percentile(shown, [1.0, 99.8]).tolist()
    return np.asarray((shown - low) / max(high - low, 1e-6), np.float32)


def _sketch(
    cutout: Cutout, measured: Measurement, images: ImageSource, centre: tuple[float, float], half: float
) -> Sketch:
    up = -1.0 if images.is_linear else 1.0
    bar, bar_title = _scale_bar(half * cutout.scale_arcsec)
    north, east = _directions(images, cutout.tile, centre[0] + cutout.origin[0], centre[1] + cutout.origin[1], up)
    return Sketch(
        radius=_HALF * (measured.rpet_px / half) if np.isfinite(measured.rpet_px) else None,
        catalog_x=_HALF * (cutout.x - centre[0]) / half,
        catalog_y=_HALF * (cutout.y - centre[1]) / half * up,
        bar=bar,
        bar_title=bar_title,
        north=north,
        east=east,
    )


def _png(values: FloatArray, valid: BoolArray, *, rows_up: bool) -> bytes:
    """Write planes in [0, 1], (1 or 3, S, S), as a PNG of at most 256 colours; transparent where not `valid`."""
    flip = slice(None, None, -1 if rows_up else 1)
    levels = np.round(np.clip(values, 0.0, 1.0) * 254.0 + 1.0).astype(np.uint8)[:, flip]
    hidden = ~valid[flip]
    if len(levels) == 1:
        picture = Image.fromarray(np.where(hidden, np.uint8(_NO_DATA), levels[0]))
    else:
        picture = _with_palette(levels, hidden)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True, **({"transparency": _NO_DATA} if hidden.any() else {}))
    return stream.getvalue()


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
) -> tuple[Direction | None, Direction | None]:
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
