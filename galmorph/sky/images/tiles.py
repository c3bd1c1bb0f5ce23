"""TileSource: FITS images of one band, of which the best one is chosen for every position."""

from __future__ import annotations

import collections
import logging
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import ImageError
from galmorph.sky.cutout import Cutout, FloatArray, IntArray
from galmorph.sky.images.fitsplane import FitsPlane
from galmorph.sky.images.flux_units import filter_of, unit_remark, zero_point_of
from galmorph.sky.images.grid import unit_vectors
from galmorph.sky.images.image_like import ImageFile
from galmorph.sky.images.map_roles import Role
from galmorph.sky.images.no_data import PixelSample, factor_of, no_data_values, sample_of, sampled_rows
from galmorph.sky.images.pixels import Pixels, Scaling
from galmorph.sky.images.source import DoubleArray, Located, nowhere, source_html
from galmorph.sky.survey import Band, Survey, surface_brightness_mjysr

__all__ = ["LARGEST_LABEL", "CutoutBox", "Tile", "TileSource", "as_labels"]

log = logging.getLogger(__name__)

LARGEST_LABEL = np.iinfo(np.int32).max
"""Labels up to here are kept as they are."""

OPEN_PLANES = 16
"""Planes kept open at once."""


@dataclass(frozen=True)
class Tile:
    """An image and, if there are any, its weight image and segmentation map.

    Parameters
    ----------
    image, weight, labels
        Planes of the same shape.
    weight_kind
        What `weight` is: ``weight`` (inverse variance), ``rms`` or ``variance``.
    """

    image: FitsPlane
    weight: FitsPlane | None = None
    weight_kind: Role = "weight"
    labels: FitsPlane | None = None

    @property
    def planes(self) -> tuple[FitsPlane, ...]:
        """All that there are."""
        return tuple(plane for plane in (self.image, self.weight, self.labels) if plane is not None)

    def discard(self) -> None:
        """Close files that were kept open and not read."""
        for plane in self.planes:
            plane.discard()


@dataclass(frozen=True)
class CutoutBox:
    """Where a cutout lies on its tile, clipped at the edges.

    Parameters
    ----------
    y0, y1, x0, x1
        Half-open ranges of rows and columns.
    clipped
        ``(left, right, bottom, top)``.
    """

    y0: int
    y1: int
    x0: int
    x1: int
    clipped: tuple[bool, bool, bool, bool]

    @cached_property
    def ranges(self) -> tuple[int, int, int, int]:
        """``(y0, y1, x0, x1)``."""
        return self.y0, self.y1, self.x0, self.x1

    @classmethod
    def around(cls, x: float, y: float, half_px: int, shape: tuple[int, int]) -> CutoutBox | None:
        """Return the window of 2 `half_px` + 1 pixels around a position; None if it misses the image."""
        if not (math.isfinite(x) and math.isfinite(y)):
            return None
        column, row = math.floor(x + 0.5), math.floor(y + 0.5)
        x0, x1, y0, y1 = column - half_px, column + half_px + 1, row - half_px, row + half_px + 1
        height, width = shape
        clipped = (x0 < 0, x1 > width, y0 < 0, y1 > height)
        inside = cls(max(y0, 0), min(y1, height), max(x0, 0), min(x1, width), clipped)
        return inside if inside.y0 < inside.y1 and inside.x0 < inside.x1 else None


def as_labels(stored: npt.NDArray[Any], scaling: Scaling, name: str) -> IntArray:
    """Turn the numbers of a segmentation map into labels, (H, W) int32; NaN and negative numbers are sky.

    Labels beyond the range of 32 bits, as those that are identifiers of a catalogue, are numbered anew from 1 within
    the window: only which pixels have the same one means anything.

    Raises
    ------
    ImageError
        If they are no labels, but fractions.
    """
    if stored.dtype.kind in "iu" and scaling.bscale == 1 and float(scaling.bzero).is_integer():
        return _dense(_whole_numbers(stored, int(scaling.bzero)))
    values = np.maximum(np.nan_to_num(scaling.linear(stored), nan=0.0, posinf=0.0, neginf=0.0), 0.0)
    if (values != np.floor(values)).any():
        raise ImageError(
            f"segmentation map '{name}' holds values that are no labels: expected whole numbers, 0 for the sky; number "
            "its objects anew"
        )
    return _dense(values)


def _whole_numbers(stored: npt.NDArray[Any], zero: int) -> npt.NDArray[Any]:
    """Add BZERO to stored integers without leaving 64 bits; what is negative is sky."""
    if zero == 1 << 63 and stored.dtype.itemsize == 8:
        return stored.astype(np.int64).view(np.uint64) ^ np.uint64(1 << 63)
    return np.maximum(stored.astype(np.int64) + zero, 0)


def _dense(labels: npt.NDArray[Any]) -> IntArray:
    if labels.size == 0 or labels.max() <= LARGEST_LABEL:
        return labels.astype(np.int32)
    present, number = np.unique(labels, return_inverse=True)
    dense: IntArray = (number.reshape(labels.shape) + (present[0] > 0)).astype(np.int32)
    return dense


_INVERSE_VARIANCE: dict[Role, Callable[[FloatArray], npt.NDArray[Any]]] = {
    "weight": np.asarray,
    "rms": lambda sigma: 1 / np.square(sigma),
    "variance": lambda variance: 1 / variance,
}


_POWER: dict[Role, int] = {"weight": -2, "rms": 1, "variance": 2}
"""How each changes with the unit of the image."""
_PSF_PX = (0.05, 500.0)
"""Widths in pixels between which a point-spread function may be believed: outside, the image is of another sky."""


def examined(pixels: Pixels, scaling: Scaling) -> Scaling:
    """Return the scaling of an image with what its pixels say: a factor, and the values that stand for no data."""

    def rows(y0: int, y1: int) -> npt.NDArray[np.float64]:
        stored = pixels.stored(y0, y1, 0, pixels.shape[1])
        values = scaling.linear(stored)
        return values if scaling.blank is None else np.where(stored == scaling.blank, np.nan, values)

    with np.errstate(over="ignore", invalid="ignore", under="ignore"):
        sample = sample_of(rows, pixels.shape)
        factor = factor_of(sample)
        single = PixelSample(tuple((strip * factor).astype(np.float32) for strip in sample.strips))
    return replace(scaling, factor=factor, no_data=no_data_values(single))


def _remarks_on(tile: Tile) -> list[str]:
    unit = unit_remark(tile.image.cards)
    return [*tile.image.remarks, *([unit] if unit else [])]


class TileSource:
    """FITS images of one band.

    Parameters
    ----------
    tiles
        The images.
    band
        Their band: its point-spread function, saturation, and its zero point where the headers do not say it.
    survey
        Their survey.
    files
        Files of images that were in memory, kept until the source is closed.
    """

    is_linear = True
    has_edges = True
    by_name = False
    n_planes = 1
    _repr_html_ = source_html

    def __init__(
        self,
        tiles: Sequence[Tile],
        band: Band | None = None,
        survey: Survey | None = None,
        files: Sequence[ImageFile] = (),
    ) -> None:
        self.tiles = list(tiles)
        self.tile_names = [tile.image.name for tile in tiles]
        self.has_wcs = all(tile.image.grid is not None for tile in tiles)
        scales = [self.scale_of(n) for n in range(len(tiles))]
        self.scale_arcsec = float(np.median(scales))
        self.survey, self.band = survey, band
        self.bands: tuple[str, ...] = () if band is None else (band.name,)
        self.psf_fwhm_px = self._psf_fwhm_px()
        self.saturation = None if band is None else band.saturation
        self._files = tuple(files)
        self._open: OrderedDict[FitsPlane, Pixels] = OrderedDict()
        self._scalings: dict[FitsPlane, Scaling] = {}
        self._remarks = collections.Counter(remark for tile in tiles for remark in _remarks_on(tile))
        for remark in self.remarks:
            log.warning("images: %s", remark)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of the images was not taken as it stands, with the number of images."""
        total = len(self.tiles)
        return tuple(f"{remark} ({n} of {total})" if total > 1 else remark for remark, n in self._remarks.items())

    def locate(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Located:
        """Find the tile that covers each sky position best.

        That is the tile on which the position is farthest from the edge. Where several tiles cover a
        position, one that has data there goes before one that has none (no weight, or NaN).

        Parameters
        ----------
        ra_deg, dec_deg
            ICRS degrees, (N,); NaN is nowhere.

        Raises
        ------
        ImageError
            If an image has no celestial WCS.
        """
        for tile in self.tiles:
            if tile.image.grid is None:
                raise ImageError(
                    f"image '{tile.image.name}' has no celestial WCS: it was expected for sky positions; "
                    "give pixel positions with --x and --y"
                )
        ra, dec = np.ravel(ra_deg).astype(np.float64), np.ravel(dec_deg).astype(np.float64)
        return self._best(self._coverings(ra, dec), len(ra))

    def locate_pixels(self, xy: npt.ArrayLike) -> Located:
        """Find 0-based pixel positions on the only tile.

        Parameters
        ----------
        xy
            Positions, (N, 2).

        Raises
        ------
        ImageError
            If there are several tiles.
        """
        if len(self.tiles) > 1:
            raise ImageError(
                f"pixel positions were given for {len(self.tiles)} images: expected a single image; "
                "give one image, or sky positions"
            )
        x, y = np.reshape(np.asarray(xy, np.float64), (-1, 2)).T
        inside = self._edge_distance(0, x, y) >= 0
        return Located(
            np.where(inside, 0, -1).astype(np.int32), np.where(inside, x, np.nan), np.where(inside, y, np.nan)
        )

    def locate_files(self, names: Sequence[object]) -> Located:
        """Refuse: FITS images are located by position.

        Raises
        ------
        ImageError
            Always.
        """
        raise ImageError(
            f"{len(names)} rows name image files, but the images are FITS: expected JPEG or PNG stamps; "
            "give a zip or folder of stamps, or positions"
        )

    def cutout(self, tile: int, x: float, y: float, half_px: int) -> Cutout:
        """Read the window of 2 `half_px` + 1 pixels around a position, clipped at the tile's edges.

        Raises
        ------
        ImageError
            If the window lies wholly outside the tile, or the file can no longer be read.
        """
        window = self.window(tile, x, y, half_px)
        image = self.read(tile, window)
        return Cutout(
            planes=image[np.newaxis],
            detection=image,
            weight=self.read_weight(tile, window, image),
            x=x - window.x0,
            y=y - window.y0,
            origin=(window.x0, window.y0),
            clipped=window.clipped,
            scale_arcsec=float(self.scales_at(tile, [x], [y])[0]),
            tile=tile,
            labels=None if self.tiles[tile].labels is None else self.read_labels(tile, window),
        )

    @property
    def is_here(self) -> bool:
        """Whether all files are on this machine."""
        return all(plane.is_here for tile in self.tiles for plane in tile.planes)

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:
        """Fetch what of a window is not on this machine.

        Raises
        ------
        ArchiveError
            If it cannot be had.
        ImageError
            If it lies wholly outside the tile.
        """
        window, image = self.window(tile, x, y, half_px).ranges, self.tiles[tile].image
        width = image.shape[1]
        sample = [] if image in self._scalings else [(y0, y1, 0, width) for y0, y1 in sampled_rows(image.shape)]
        for plane in self.tiles[tile].planes:
            plane.fetch([window, *sample] if plane is image else [window])

    def sky(self, tile: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return right ascension and declination in ICRS degrees of pixel positions; NaN without WCS."""
        tiles, xs, ys = (np.ravel(a) for a in np.broadcast_arrays(tile, x, y))
        ra, dec = np.full(len(tiles), np.nan), np.full(len(tiles), np.nan)
        for number in np.unique(tiles[tiles >= 0]):
            grid = self.tiles[number].image.grid
            here = (tiles == number) & np.isfinite(xs) & np.isfinite(ys)
            if grid is not None and here.any():
                ra[here], dec[here] = grid.to_sky(xs[here], ys[here])
        return ra, dec

    def files(self, tile: int, x: float, y: float) -> tuple[Path, ...]:  # noqa: ARG002 - the same for all of the tile
        """Return the files of a tile: its image and its maps."""
        return tuple(dict.fromkeys(plane.path for plane in self.tiles[tile].planes))

    def mjysr_per_unit(self, tile: int) -> float:
        """Return the surface brightness in MJy/sr of one image unit; NaN where it is not known."""
        scale = self.scale_of(tile)
        if not math.isfinite(scale):
            scale = self.band.scale_arcsec if self.band is not None else math.nan
        one = surface_brightness_mjysr(zero_point_of(self.tiles[tile].image.cards, self.band, scale), scale)
        return one / self._scaling_of(self.tiles[tile].image).factor

    def filter_name(self) -> str | None:
        """Return the filter that the headers name; several joined by ``+``; None where they name none."""
        filters = {filter_of(tile.image.cards) for tile in self.tiles} - {None}
        return "+".join(sorted(str(name) for name in filters)) or None

    def close(self) -> None:
        """Close the files; windows already read stay valid."""
        while self._open:
            self._open.popitem()[1].close()
        for tile in self.tiles:
            tile.discard()
        self._files = ()

    def scale_of(self, tile: int) -> float:
        """Return the pixel scale of a tile in arcsec; NaN without WCS."""
        grid = self.tiles[tile].image.grid
        return math.nan if grid is None else grid.scale_arcsec

    def scales_at(self, tile: int, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:
        """Return the pixel scale in arcsec at positions of a tile, (N,); NaN without WCS."""
        grid = self.tiles[tile].image.grid
        return np.full(np.size(x), math.nan) if grid is None else grid.scales_at(x, y)

    def window(self, tile: int, x: float, y: float, half_px: int) -> CutoutBox:
        """Return where a cutout lies on its tile.

        Raises
        ------
        ImageError
            If it lies wholly outside.
        """
        shape = self.tiles[tile].image.shape
        box = CutoutBox.around(x, y, half_px, shape)
        if box is None:
            raise ImageError(
                f"position ({x:.1f}, {y:.1f}) lies outside image '{self.tile_names[tile]}' of "
                f"{shape[1]} x {shape[0]} pixels: expected one inside; leave the row out"
            )
        return box

    def read(self, tile: int, window: CutoutBox) -> FloatArray:
        """Read image pixels, (H, W) float32, NaN where there is no data."""
        return self._pixels(self.tiles[tile].image).window(*window.ranges)

    def read_weight(self, tile: int, window: CutoutBox, image: FloatArray) -> FloatArray | None:
        """Read inverse variances, (H, W) float32, 0 where there is no data in them or in `image`; or None."""
        plane = self.tiles[tile].weight
        if plane is None:
            return None
        stored = self._map_pixels(tile, plane).window(*window.ranges)
        return self._inverse_variance(tile, stored, np.isnan(image))

    def read_labels(self, tile: int, window: CutoutBox) -> IntArray | None:
        """Read a segmentation map, (H, W) int32, 0 for the sky; or None."""
        plane = self.tiles[tile].labels
        if plane is None:
            return None
        pixels = self._opened(plane)
        return as_labels(pixels.stored(*window.ranges), pixels.scaling, plane.name)

    def _psf_fwhm_px(self) -> float | None:
        if self.band is None or not math.isfinite(self.scale_arcsec):
            return None
        width = self.band.psf_fwhm_arcsec / self.scale_arcsec
        return width if _PSF_PX[0] < width < _PSF_PX[1] else None

    def _inverse_variance(self, tile: int, stored: FloatArray, is_missing: npt.NDArray[np.bool_]) -> FloatArray:
        """Turn what a map stores, which becomes that, into inverse variances; 0 where there is none, or no pixel."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            weight = np.asarray(_INVERSE_VARIANCE[self.tiles[tile].weight_kind](stored), np.float32)
            is_none = ~(stored > 0)
            is_none |= ~(weight < np.inf)
        is_none |= is_missing
        # Seldom any: to look for them takes a tenth of the time of writing all anew.
        if is_none.any():
            weight[is_none] = 0.0
        return weight

    def _pixels(self, image: FitsPlane) -> Pixels:
        """Open an image, with what its pixels are found to need."""
        scaling = self._scalings.get(image) or self._scaling_of(image)
        pixels = self._opened(image)
        pixels.scaling = scaling
        return pixels

    def _map_pixels(self, tile: int, plane: FitsPlane) -> Pixels:
        """Open a map of noise, in the unit of its image."""
        factor = self._scaling_of(self.tiles[tile].image).factor
        pixels = self._opened(plane)
        if factor != 1.0:
            power = _POWER[self.tiles[tile].weight_kind]
            pixels.scaling = replace(plane.storage.scaling, factor=factor**power)
        return pixels

    def _scaling_of(self, image: FitsPlane) -> Scaling:
        """Look at an image once: which of its values stand for no data, and whether single precision holds them."""
        if image not in self._scalings:
            self._scalings[image] = examined(self._opened(image), image.storage.scaling)
            if values := self._scalings[image].no_data:
                listed = ", ".join(f"{value:g}" for value in values)
                log.info("image '%s': pixels of exactly %s are taken as no data", image.name, listed)
                self._remarks[f"pixels of exactly {listed} are taken as no data"] += 1
        return self._scalings[image]

    def _opened(self, plane: FitsPlane) -> Pixels:
        """Open a plane, or find it open; the one used longest ago is closed where there are many."""
        if plane not in self._open:
            self._open[plane] = plane.pixels()
            if len(self._open) > OPEN_PLANES:
                self._open.popitem(last=False)[1].close()
        self._open.move_to_end(plane)
        return self._open[plane]

    def _coverings(self, ra: DoubleArray, dec: DoubleArray) -> _Coverings:
        """List every position on every tile that covers it."""
        coverings = []
        directions = unit_vectors(ra, dec)
        for number, tile in enumerate(self.tiles):
            if tile.image.grid is None:
                continue
            near = np.flatnonzero(tile.image.grid.is_near(directions))
            x, y = tile.image.grid.to_pixel(ra[near], dec[near])
            edge = self._edge_distance(number, x, y)
            on = edge >= 0
            coverings.append((near[on], np.full(int(on.sum()), number), x[on], y[on], edge[on]))
        return _Coverings(*(np.concatenate(column) for column in zip(*coverings, strict=True)))

    def _best(self, coverings: _Coverings, n: int) -> Located:
        """Choose for each row the tile with data, then the one farthest from the edge, then the first."""
        several = np.bincount(coverings.row, minlength=n)[coverings.row] > 1
        empty = np.zeros(len(coverings.row), bool)
        for number in np.unique(coverings.tile[several]):
            here = several & (coverings.tile == number)
            empty[here] = self._is_empty(number, coverings.x[here], coverings.y[here])
        # The last of each row is the best.
        order = np.lexsort((-coverings.tile, coverings.edge_px, ~empty, coverings.row))
        located = nowhere(n)
        rows = coverings.row[order]
        located.tile[rows], located.x[rows], located.y[rows] = (
            coverings.tile[order],
            coverings.x[order],
            coverings.y[order],
        )
        return located

    def _is_empty(self, tile: int, x: DoubleArray, y: DoubleArray) -> npt.NDArray[np.bool_]:
        """Tell where a tile has no data: no weight, or a value that is not finite; everywhere if it is damaged."""
        height, width = self.tiles[tile].image.shape
        row = np.clip(np.floor(y + 0.5), 0, height - 1).astype(np.intp)
        column = np.clip(np.floor(x + 0.5), 0, width - 1).astype(np.intp)
        try:
            return self._lacks_data(tile, row, column)
        except ImageError as error:
            log.debug("image '%s': %s", self.tile_names[tile], error)
            return np.ones(len(x), bool)

    def _lacks_data(self, tile: int, row: npt.NDArray[np.intp], column: npt.NDArray[np.intp]) -> npt.NDArray[np.bool_]:
        plane = self.tiles[tile].weight
        if plane is None:
            return ~np.isfinite(self._pixels(self.tiles[tile].image).points(row, column))
        stored = self._map_pixels(tile, plane).points(row, column)
        weight = self._inverse_variance(tile, stored, np.isnan(stored))
        return np.asarray(weight == 0)

    def _edge_distance(self, tile: int, x: DoubleArray, y: DoubleArray) -> DoubleArray:
        """Distance in pixels to the nearest edge; negative outside, -inf where the position is not known."""
        height, width = self.tiles[tile].image.shape
        distance = np.min([x + 0.5, width - 0.5 - x, y + 0.5, height - 0.5 - y], axis=0)
        return np.where(np.isfinite(distance), distance, -np.inf)


@dataclass(frozen=True)
class _Coverings:
    """Rows and the tiles that cover them; a row may come several times."""

    row: npt.NDArray[np.intp]
    tile: npt.NDArray[np.intp]
    x: DoubleArray
    y: DoubleArray
    edge_px: DoubleArray
