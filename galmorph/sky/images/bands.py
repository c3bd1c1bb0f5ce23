"""ColourSource: FITS images of three bands, composed into colour pictures.

Bands on the same grid are stacked; otherwise the window of the other two is resampled onto the grid of the
middle (green) band, never more than the window.
"""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from galmorph.errors import ImageError
from galmorph.sky.colour import compose, scaled_sum
from galmorph.sky.cutout import Cutout, FloatArray
from galmorph.sky.images.grid import SkyGrid
from galmorph.sky.images.image_like import ImageFile
from galmorph.sky.images.source import DoubleArray, Located, source_html
from galmorph.sky.images.tiles import CutoutBox, TileSource
from galmorph.sky.survey import Band, ColourParams, Survey

__all__ = ["ColourSource"]

_MARGIN_PX = 4
"""Pixels read around a window that is resampled, so that its edges can be interpolated."""

_SKY_BORDER_PX = 16
"""Width of the border of a cutout in which its sky is measured."""


class ColourSource:
    """FITS images of three bands, seen as one source on the grid of the middle band.

    Parameters
    ----------
    sources
        Images shown as red, green and blue.
    bands
        Their bands.
    params
        How they are composed.
    survey
        Their survey.
    files
        Files of images that were in memory, kept until the source is closed.

    Raises
    ------
    ImageError
        If the images have different shapes and no WCS to bring them together.
    """

    band: Band | None = None
    is_linear = True
    has_edges = True
    by_name = False
    n_planes = 3
    # Three bands have three of these; which of them measuring should use on their sum has not been tried.
    saturation: float | None = None
    _repr_html_ = source_html

    def __init__(
        self,
        sources: Sequence[TileSource],
        bands: Sequence[Band],
        params: ColourParams,
        survey: Survey | None = None,
        files: Sequence[ImageFile] = (),
    ) -> None:
        self._files = tuple(files)
        self._sources, self._bands, self._params = tuple(sources), tuple(bands), params
        self.survey, self.bands = survey, tuple(band.name for band in bands)
        self._middle = sources[1]
        self.tile_names = self._middle.tile_names
        self.scale_arcsec = self._middle.scale_arcsec
        # Between those of the other two wherever seeing is. On a simulated SDSS field any of the three marks the same
        # stars as unresolved, and moves the radii of galaxies by about 1 % at most.
        self.psf_fwhm_px = self._middle.psf_fwhm_px
        self.has_wcs = self._middle.has_wcs
        self._same_grid = [[self._twin(s, tile) for tile in range(len(self.tile_names))] for s in self._sources]
        if any(None in twins for twins in self._same_grid):
            _check_reproject()

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of all bands, each once."""
        return tuple(dict.fromkeys(remark for source in self._sources for remark in source.remarks))

    def locate(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Located:
        """Find the tile of the middle band that covers each sky position best, as `TileSource` does."""
        return self._middle.locate(ra_deg, dec_deg)

    def locate_pixels(self, xy: npt.ArrayLike) -> Located:
        """Find pixel positions (N, 2) of the middle band on its only tile, as `TileSource` does."""
        return self._middle.locate_pixels(xy)

    def locate_files(self, names: Sequence[object]) -> Located:
        """Refuse, as `TileSource` does."""
        return self._middle.locate_files(names)

    def cutout(self, tile: int, x: float, y: float, half_px: int) -> Cutout:
        """Compose the window of 2 `half_px` + 1 pixels around a position, clipped at the tile's edges.

        In each band, the clipped median of the window's border is subtracted as sky. Pixels that one band
        lacks are NaN.

        Raises
        ------
        ImageError
            If the window lies wholly outside, or a file can no longer be read.
        """
        window = self._middle.window(tile, x, y, half_px)
        read = [self._band_window(channel, tile, window) for channel in range(3)]
        bands = np.stack([image - _border_sky(image) for image, _ in read])
        return Cutout(
            planes=compose(bands, self._params),
            detection=scaled_sum(bands, self._params),
            weight=self._weight([weight for _, weight in read]),
            x=x - window.x0,
            y=y - window.y0,
            origin=(window.x0, window.y0),
            clipped=window.clipped,
            scale_arcsec=self._middle.scale_of(tile),
            tile=tile,
        )

    @property
    def is_here(self) -> bool:
        """Whether all files are on this machine."""
        return all(source.is_here for source in self._sources)

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:
        """Do nothing: what of a band is not here is fetched when it is read."""

    def sky(self, tile: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return right ascension and declination in ICRS degrees of pixel positions; NaN without WCS."""
        return self._middle.sky(tile, x, y)

    def files(self, tile: int, x: float, y: float) -> tuple[Path, ...]:
        """Return the files of the tiles of all bands that show the position."""
        box = CutoutBox.around(x, y, 1, self._middle.tiles[tile].image.shape)
        paths: list[Path] = []
        for source, twins in zip(self._sources, self._same_grid, strict=True):
            twin = twins[tile]
            if twin is None and box is not None:
                twin, _ = self._needed(source, tile, box)
            paths += source.files(tile if twin is None else twin, x, y)
        return tuple(dict.fromkeys(paths))

    def mjysr_per_unit(self, tile: int) -> float:  # noqa: ARG002 - the same for every tile
        """Return NaN: the sum of scaled bands has no physical unit."""
        return math.nan

    def scales_at(self, tile: int, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:  # noqa: ARG002 - of a tile
        """Return the pixel scale in arcsec, (N,), the same all over a tile; NaN without WCS."""
        return np.full(np.size(x), self._middle.scale_of(tile))

    def filter_name(self) -> str | None:
        """Return what the headers name (R, G, B) if it is not the bands that were asked for; else None."""
        named = [source.filter_name() for source in self._sources]
        if all(name is None or self._is(band, name) for band, name in zip(self._bands, named, strict=True)):
            return None
        return ",".join(name or "" for name in named)

    def close(self) -> None:
        """Close the files; windows already read stay valid."""
        for source in self._sources:
            source.close()
        self._files = ()

    @staticmethod
    def _is(band: Band, name: str) -> bool:
        return name.lower() in {spelling.lower() for spelling in (band.name, *band.aliases)}

    def _twin(self, source: TileSource, tile: int) -> int | None:
        """Find the tile of `source` on the same grid; None if it must be resampled."""
        image = self._middle.tiles[tile].image
        order = sorted(range(len(source.tiles)), key=lambda n: n != tile)
        for number in order:
            other = source.tiles[number].image
            if image.shape == other.shape and _same_pixels(image.grid, other.grid):
                return number
        if image.grid is None or not source.has_wcs:
            other = source.tiles[order[0]].image
            raise ImageError(
                f"images '{image.name}' and '{other.name}' have different shapes and no celestial WCS: "
                "expected one grid for all bands; align them, or add a WCS"
            )
        return None

    def _band_window(self, channel: int, tile: int, window: CutoutBox) -> tuple[FloatArray, FloatArray | None]:
        """Read one band on the grid of the middle band, in units of the survey's band; and its weight."""
        source, twin = self._sources[channel], self._same_grid[channel][tile]
        if twin is None:
            number, image, weight = self._resampled(source, tile, window)
        else:
            number, image = twin, source.read(twin, window)
            weight = source.read_weight(twin, window, image)
        factor = np.float32(self._units(channel, number))
        return image * factor, None if weight is None else weight / factor**2

    def _units(self, channel: int, tile: int) -> float:
        """Survey's units per image unit, so that any zero point and pixel scale give the same picture."""
        ratio = self._sources[channel].mjysr_per_unit(tile) / self._bands[channel].mjysr_per_unit()
        return ratio if math.isfinite(ratio) else 1.0

    def _resampled(self, source: TileSource, tile: int, window: CutoutBox) -> tuple[int, FloatArray, FloatArray | None]:
        shape = (window.y1 - window.y0, window.x1 - window.x0)
        number, needed = self._needed(source, tile, window)
        has_weight = source.tiles[number].weight is not None
        if needed is None:
            nothing = np.full(shape, np.nan, np.float32)
            return number, nothing, np.zeros(shape, np.float32) if has_weight else None
        grids = _grid_of(source, number).cut(*needed.ranges), _grid_of(self._middle, tile).cut(*window.ranges)
        stored = source.read(number, needed)
        image = _reproject(stored, *grids, "bicubic" if np.isfinite(stored).all() else "bilinear")
        weight = source.read_weight(number, needed, stored)
        if weight is not None:
            weight = np.nan_to_num(_reproject(weight, *grids, "nearest-neighbor"))
        return number, image, weight

    def _needed(self, source: TileSource, tile: int, window: CutoutBox) -> tuple[int, CutoutBox | None]:
        """Find the tile of `source` that covers the window, and the part of it that is needed or None."""
        x, y = np.meshgrid(np.linspace(window.x0, window.x1 - 1, 3), np.linspace(window.y0, window.y1 - 1, 3))
        ra, dec = self._middle.sky(tile, x, y)
        covering = source.locate(ra, dec).tile
        if covering.max() < 0:
            return 0, None
        number = int(covering[4] if covering[4] >= 0 else covering.max())
        px, py = _grid_of(source, number).to_pixel(ra, dec)
        if not np.isfinite(px).any():
            return number, None
        return number, _bounding(px, py, source.tiles[number].image.shape)

    def _weight(self, weights: list[FloatArray | None]) -> FloatArray | None:
        """Inverse variance of the sum of the scaled bands; 0 where one band has none."""
        scaled = [(w, s) for w, s in zip(weights, self._params.scales, strict=True) if w is not None]
        if len(scaled) < 3:
            return None
        with np.errstate(divide="ignore"):
            variance = np.sum([np.float32(scale) ** 2 / weight for weight, scale in scaled], axis=0)
            return np.asarray(1 / variance, np.float32)


def _check_reproject() -> None:
    """Say now, and not for each row, that the library is missing that aligns bands."""
    if importlib.util.find_spec("reproject") is None:
        raise ImageError(
            "the images of the three bands are on different grids, and reproject, which aligns them, is not installed: "
            "pip install 'galmorph[sdss]', or give images on one grid"
        )


def _same_pixels(one: SkyGrid | None, other: SkyGrid | None) -> bool:
    return one is None or other is None or one.matches(other)


def _grid_of(source: TileSource, tile: int) -> SkyGrid:
    grid = source.tiles[tile].image.grid
    if grid is None:
        raise ImageError(f"image '{source.tile_names[tile]}' has no celestial WCS: expected one; add it")
    return grid


def _bounding(x: DoubleArray, y: DoubleArray, shape: tuple[int, int]) -> CutoutBox | None:
    """Smallest window with a margin that holds positions, clipped at the edges; None if nothing is left."""
    height, width = shape
    x0, x1 = int(np.nanmin(x)) - _MARGIN_PX, int(np.nanmax(x)) + _MARGIN_PX + 2
    y0, y1 = int(np.nanmin(y)) - _MARGIN_PX, int(np.nanmax(y)) + _MARGIN_PX + 2
    clipped = (x0 < 0, x1 > width, y0 < 0, y1 > height)
    box = CutoutBox(max(y0, 0), min(y1, height), max(x0, 0), min(x1, width), clipped)
    return box if box.y0 < box.y1 and box.x0 < box.x1 else None


def _reproject(array: FloatArray, grid: SkyGrid, target: SkyGrid, order: str) -> FloatArray:
    """Interpolate surface brightness per source pixel onto another grid; NaN outside."""
    from reproject import reproject_interp  # noqa: PLC0415 - a second, and an extra: few images need it

    shape = target.shape
    pixels = reproject_interp((array, grid.wcs), target.wcs, shape_out=shape, order=order, return_footprint=False)
    return np.asarray(pixels, np.float32)


def _border_sky(image: FloatArray) -> np.float32:
    """Median of the border of a cutout, clipped at three times the scatter; 0 if nothing is there."""
    border = np.ones(image.shape, bool)
    inner = slice(_SKY_BORDER_PX, -_SKY_BORDER_PX)
    border[inner, inner] = False
    values = image[border & np.isfinite(image)]
    for _ in range(5):
        if not len(values):
            return np.float32(0)
        middle = np.median(values)
        scatter = 1.4826 * np.median(np.abs(values - middle))
        values = values[np.abs(values - middle) <= 3 * scatter]
    return np.float32(middle)
