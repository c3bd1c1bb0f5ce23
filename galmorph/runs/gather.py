"""Gathering: from the rows of a catalogue to measured galaxies on their cutouts."""

from __future__ import annotations

import logging
import math
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError, ImageError
from galmorph.flags import MEANINGS, Flag
from galmorph.runs.ahead import Window, fetching_ahead, windows_of
from galmorph.runs.blas import one_blas_thread
from galmorph.runs.block_galaxies import BlockGalaxies, Galaxy
from galmorph.runs.blocks import Block, Blocks, block_of, block_windows, reading_order
from galmorph.sky.catalog import Catalog
from galmorph.sky.cutout import Cutout
from galmorph.sky.images import ImageSource, Located
from galmorph.stamps.backends import Measure, backend
from galmorph.stamps.batch import BLANK, MEASURED, MeasureSettings, blank_at, measure_batch
from galmorph.stamps.compiled import uninterrupted
from galmorph.stamps.cutting import make_views
from galmorph.stamps.labelled import segmentation_of
from galmorph.stamps.measure import Measurement, settings_of
from galmorph.stamps.morphometry import morphometry
from galmorph.stamps.recipe import Recipe, Stamp
from galmorph.stamps.segment import Segmentation, usable_pixels
from galmorph.stamps.views import ONE

__all__ = [
    "FIRST_HALF_PX",
    "LARGEST_HALF_PX",
    "Galaxy",
    "Gathering",
    "Piece",
    "galaxies",
    "gather",
    "pieces",
    "pixel_scale_of",
    "pixel_scales",
    "seed_of",
    "seeds_of",
    "stamp_of",
    "views_of",
    "warn_of_lost",
]

log = logging.getLogger(__name__)
IntArray = npt.NDArray[np.intp]

FIRST_HALF_PX = 64
"""Half-width of the first cutout about a row."""
_FIRST_SIDE = 2 * FIRST_HALF_PX + 1
LARGEST_HALF_PX = 256
"""Half-width of the largest one; those between are twice as wide each."""
# The sky must be seen beside the galaxy: in a cutout of 1.5 Petrosian radii the wings of an exponential disk raise the
# sky so much that its radius comes out 6 % too small and its S/N four times; at 3 radii the radius is 1 % too small.
_ROOM_RPET = 3.0
_LOCATED_ROWS = 1 << 17
_AT_ONCE = 256  # rows, whose maps of neighbours are 4 MB
# Rows with cutouts of their own: all of these are read, then all measured, then all cut, so that the code of each step
# stays in the processor's cache. Four or eight SDSS pictures take a sixth less time than one by one; of 32 the pixels
# do not stay there.
_ABREAST = 8
_ABREAST_PX = 1 << 21  # of such cutouts, with some 24 bytes each: fewer rows where pictures are large
_LOST = (Flag.NO_POSITION, Flag.NO_IMAGE, Flag.FETCH_FAILED)


@dataclass(frozen=True)
class Gathering:
    """Where a run's galaxies come from.

    Parameters
    ----------
    catalog, images
        Rows and the images that cover them.
    half_width_rpet
        Half-width in Petrosian radii that must fit into a cutout.
    detect, backend, centroid
        As of :class:`~galmorph.runs.run_settings.Settings`.
    """

    catalog: Catalog
    images: ImageSource
    half_width_rpet: float = 2.0
    detect: str = "blocks"
    backend: str = "galmorph"
    centroid: str = "windowed"

    @cached_property
    def where(self) -> tuple[Located, npt.NDArray[np.bool_]]:
        """Each row's tile and pixel, and which rows have a valid position; located once, on first use.

        Raises
        ------
        CatalogError
            If the catalogue has no kind of position that the images understand.
        ImageError
            If an image lacks what locating needs.
        """
        return _locate(self.catalog, self.images)

    @cached_property
    def measure(self) -> Measure:
        """The function that measures a cutout."""
        return backend(self.backend)

    @cached_property
    def blocks(self) -> Blocks | None:
        """Pieces of tiles on which objects are detected as a whole; None for none."""
        if not self.images.is_linear or self.images.n_planes > 1 or self.detect == "cutouts":
            return None
        if self.backend != "galmorph":  # which detect as they do
            return None
        return Blocks(self.images)

    @cached_property
    def unread(self) -> list[int]:
        """Rows whose images could not be read; why is said of the first, since the others seldom differ."""
        return []

    def in_order(self, rows: IntArray) -> IntArray:
        """Sort rows, (N,), by tile and block, so that each block is read once; display stamps stay as they are."""
        if self.blocks is None:
            return rows
        where, _ = self.where
        return reading_order(where, rows)

    def pieces(self, rows: IntArray) -> list[tuple[int, int]]:
        """Divide rows, in order, into those that are measured together, as the first of each and the end."""
        n = len(rows)
        if self.blocks is None or n == 0:
            count = self._abreast(rows)
            return [(k, min(k + count, n)) for k in range(0, n, count)]
        blocks = block_of(self.where[0])[rows]
        starts = [0, *(np.flatnonzero((blocks[1:] != blocks[:-1]).any(axis=1)) + 1).tolist(), n]
        return [(k, min(k + _AT_ONCE, end)) for first, end in pairwise(starts) for k in range(first, end, _AT_ONCE)]

    def _abreast(self, rows: IntArray) -> int:
        """Return how many rows with cutouts of their own are measured together: as many as memory is spent on."""
        if not self.images.is_here:
            return 1  # none waits for the pixels of another
        where, _ = self.where
        # The position on a display stamp, which is its own window, is its middle.
        sides = (2 * where.x[rows] + 1, 2 * where.y[rows] + 1) if not self.images.has_edges else 2 * (_FIRST_SIDE,)
        most = float(np.fmax.reduce(np.ravel(sides[0] * sides[1]), initial=1.0))
        return min(max(int(_ABREAST_PX / most), 1), _ABREAST)

    @cached_property
    def settings(self) -> MeasureSettings:
        """How the rows of a block are measured."""
        images = self.images
        return settings_of(images.psf_fwhm_px, images.saturation, self.centroid, is_final=False)

    def windows(self, rows: IntArray) -> list[Window]:
        """Return what is read first of each of some rows: the block in which it lies, or what is about it."""
        where, _ = self.where
        if self.blocks is None:
            return windows_of(where, rows, FIRST_HALF_PX)
        return block_windows(where, rows)


@dataclass(frozen=True)
class Piece:
    """Rows that were measured together, or one.

    Parameters
    ----------
    rows
        Their numbers, in order.
    alone
        Those that have a detection of their own, or none.
    together
        The others.
    """

    rows: list[int]
    alone: list[Galaxy]
    together: list[BlockGalaxies]

    def __iter__(self) -> Iterator[Galaxy]:
        """Make all galaxies, in order."""
        galaxies = {galaxy.row: galaxy for galaxy in chain(self.alone, *self.together)}
        return (galaxies[row] for row in self.rows)


def _locate(catalog: Catalog, images: ImageSource) -> tuple[Located, npt.NDArray[np.bool_]]:
    if images.by_name and (catalog.files is not None or not images.is_linear):
        return _locate_files(catalog, images)
    if images.has_wcs and catalog.ra_column is not None:
        ra, dec = catalog.ra_deg, catalog.dec_deg
        return _on_tiles(images, ra, dec), np.isfinite(ra + dec)
    if (xy := catalog.xy) is not None:
        return images.locate_pixels(xy), np.isfinite(xy[:, 0] + xy[:, 1])
    if catalog.ra_column is not None:
        images.locate(catalog.ra_deg[:1], catalog.dec_deg[:1])  # says which image lacks a WCS
    raise CatalogError(
        f"{_name(catalog)} has no positions that the images understand: expected ra and dec, or x and y. "
        "Name them with --ra and --dec, or --x and --y."
    )


def _on_tiles(images: ImageSource, ra: npt.NDArray[np.float64], dec: npt.NDArray[np.float64]) -> Located:
    """Locate sky positions, (N,), some of them after the other, since that takes ten times their memory."""
    starts = range(0, max(len(ra), 1), _LOCATED_ROWS)
    pieces = [images.locate(ra[n : n + _LOCATED_ROWS], dec[n : n + _LOCATED_ROWS]) for n in starts]
    joined = (np.concatenate([getattr(piece, name) for piece in pieces]) for name in ("tile", "x", "y"))
    return pieces[0] if len(pieces) == 1 else Located(*joined)


def _locate_files(catalog: Catalog, images: ImageSource) -> tuple[Located, npt.NDArray[np.bool_]]:
    if (files := catalog.files) is None:
        raise CatalogError(
            f"{_name(catalog)} has no column of file names, which image stamps need: looked for file, filename, "
            "image. Name it with --file."
        )
    return images.locate_files(files), np.array([bool(f) for f in files], dtype=np.bool_)


def _name(catalog: Catalog) -> str:
    return f"catalog '{catalog.path.name}'" if catalog.path is not None else "the catalogue"


def galaxies(gathering: Gathering, rows: IntArray) -> Iterator[Galaxy]:
    """Measure rows, (N,), one after the other, in the order of the blocks of the tiles that they lie in.

    Yields
    ------
    Galaxy
        May carry NO_POSITION, NO_IMAGE, FETCH_FAILED, CUTOUT_LIMIT and the flags of `measure`.
    """
    for piece in pieces(gathering, rows):
        yield from piece


def pieces(gathering: Gathering, rows: IntArray) -> Iterator[Piece]:
    """Measure rows as :func:`galaxies` does, for whoever takes those of a block together."""
    _ = gathering.where  # says what does not fit, even without rows
    ordered = gathering.in_order(rows)
    with fetching_ahead(gathering.images, lambda: gathering.windows(ordered)) as wait:
        for first, end in gathering.pieces(ordered):
            yield _piece(gathering, ordered[first:end], partial(wait, first))


def gather(gathering: Gathering, rows: IntArray | None = None) -> Iterator[Galaxy]:
    """Measure rows as :func:`galaxies` does, and warn at the end of those that have no image.

    Parameters
    ----------
    rows
        Row numbers; all by default.
    """
    wanted = np.arange(len(gathering.catalog)) if rows is None else rows
    flags = []
    for galaxy in galaxies(gathering, wanted):
        flags.append(int(galaxy.flags))
        yield galaxy
    warn_of_lost(np.array(flags, np.int32))


_REMEDIES = {
    Flag.NO_POSITION: "; name the columns with --ra and --dec, or --x and --y",
    Flag.NO_IMAGE: "; are these the images of this catalogue, and are --ra and --dec its columns, in degrees?",
    Flag.FETCH_FAILED: "; are the images whole, and did their archive answer?",
}


def warn_of_lost(flags: npt.NDArray[np.int32]) -> None:
    """Log how many of the rows with these flags, (N,), have no position or image, once for each reason."""
    for flag in _LOST:
        if count := np.count_nonzero(flags & int(flag)):
            # A row may be lost for many reasons; all of them are for one that can be mended.
            remedy = _REMEDIES[flag] if count == len(flags) else ""
            log.warning("%d of %d rows: %s%s", count, len(flags), MEANINGS[flag], remedy)


@one_blas_thread
def _piece(gathering: Gathering, rows: IntArray, wait: Callable[[], None]) -> Piece:
    """Measure rows of one block, or one row, that have a position and an image there, once its pixels are here."""
    where, valid = gathering.where
    is_on = valid[rows] & (where.tile[rows] >= 0)
    on, off = rows[is_on], rows[~is_on].tolist()
    lost = [Galaxy(row, Flag.NO_IMAGE if valid[row] else Flag.NO_POSITION) for row in off] if off else []
    order = off + on.tolist()
    if len(on) == 0:
        return Piece(order, lost, [])
    try:
        wait()
        block = _block(gathering, on[0])
    except (ImageError, OSError) as error:
        return Piece(order, lost + [_unread(gathering, row, error) for row in on.tolist()], [])
    alone, together = _measured(gathering, block, on)
    return Piece(order, lost + alone, together)


def _measured(gathering: Gathering, block: Block | None, rows: IntArray) -> tuple[list[Galaxy], list[BlockGalaxies]]:
    """Measure rows on cutouts that grow until there is room for the sky."""
    alone: list[Galaxy] = []
    together: list[BlockGalaxies] = []
    left, half = rows, FIRST_HALF_PX
    while half < LARGEST_HALF_PX and len(left):
        of_block, others = _with_half(gathering, block, left, half)
        done: list[int] = []
        if of_block is not None:
            together.append(of_block.some(_are_done(gathering, of_block)))
            done += together[-1].rows.tolist()
        if others:
            alone += (finished := [galaxy for galaxy in others if _is_done(gathering, galaxy, half)])
            done += [galaxy.row for galaxy in finished]
        left = left[~np.isin(left, done)] if len(done) < len(left) else left[:0]
        half *= 2
    if len(left):
        of_block, others = _with_half(gathering, block, left, half)
        alone += [_limited(gathering, galaxy) for galaxy in chain(of_block or (), others)]
    return alone, together


def _block(gathering: Gathering, row: np.intp) -> Block | None:
    """Return the block in which a row lies, if there are blocks and this one can be read."""
    if gathering.blocks is None:
        return None
    where, _ = gathering.where
    tile, block_row, column = block_of(Located(where.tile[[row]], where.x[[row]], where.y[[row]]))[0].tolist()
    return gathering.blocks.block(tile, block_row, column)


def _unread(gathering: Gathering, row: int, error: Exception) -> Galaxy:
    """Say that the image of a row could not be read."""
    log.log(logging.DEBUG if gathering.unread else logging.WARNING, "row %d (the first is 0): %s", row, error)
    gathering.unread.append(row)
    return Galaxy(row, Flag.FETCH_FAILED)


def _with_half(
    gathering: Gathering, block: Block | None, rows: IntArray, half: int
) -> tuple[BlockGalaxies | None, list[Galaxy]]:
    """Measure rows on cutouts of the same half-width: out of their block together, where it holds them."""
    where, _ = gathering.where
    held = np.zeros(len(rows), np.bool_) if block is None else block.holds(where.x[rows], where.y[rows], half)
    alone = [] if held.all() else _alone(gathering, rows[~held].tolist(), half)
    if block is None or not held.any():
        return None, alone
    of_block, others = _together(gathering, block, rows[held], half)
    return of_block, others + alone


def _together(gathering: Gathering, block: Block, rows: IntArray, half: int) -> tuple[BlockGalaxies, list[Galaxy]]:
    """Measure rows out of their block, which holds their cutouts of this half-width; a few need their own detection."""
    where, _ = gathering.where
    x, y, origin = where.x[rows], where.y[rows], block.pixels.origin
    windows = block.windows(x, y, half)
    places = np.stack([x - (origin[0] + windows[:, 1]), y - (origin[1] + windows[:, 0])], axis=1)
    objects = block.objects(windows)
    scene = block.scene(objects)
    batch = measure_batch(scene, windows, places, gathering.settings)
    scales = gathering.images.scales_at(block.pixels.tile, x, y)
    galaxies_of_block = BlockGalaxies(
        block, rows, x, y, half, scales, windows, objects, scene, batch, np.arange(len(rows))
    )
    is_measured = batch.states == MEASURED
    if is_measured.all():
        return galaxies_of_block, []
    others = [_by_itself(gathering, galaxies_of_block, int(k)) for k in np.flatnonzero(~is_measured)]
    return galaxies_of_block.some(is_measured), others


def _by_itself(gathering: Gathering, galaxies_of_block: BlockGalaxies, k: int) -> Galaxy:
    """Measure what a batch has not, with a detection on its own cutout; but not what has no data."""
    row, cutout = int(galaxies_of_block.rows[k]), galaxies_of_block.cutout(k)
    if galaxies_of_block.states[k] == BLANK:
        return Galaxy(row, Flag.NO_IMAGE | Flag(int(galaxies_of_block.flags[k])), cutout)
    # A block may not tell which object is meant, or hide the faintest: its sky is less exact than a row's own.
    measured = _measure(gathering, cutout, None)
    return Galaxy(row, measured.flags, cutout, measured)


def _alone(gathering: Gathering, rows: Sequence[int], half: int) -> list[Galaxy]:
    """Measure rows on cutouts of their own, some of which are read before the first of them is measured."""
    alone: list[Galaxy] = []
    for first in range(0, len(rows), _ABREAST):
        read = [_read(gathering, row, half) for row in rows[first : first + _ABREAST]]
        with uninterrupted():  # once for all of them, and not for each step of each
            alone += [galaxy if galaxy.flags else _on_cutout(gathering, galaxy) for galaxy in read]
    return alone


def _read(gathering: Gathering, row: int, half: int) -> Galaxy:
    """Read the cutout of a row; flags say why there is none, or none to measure on."""
    where, _ = gathering.where
    try:
        cutout = gathering.images.cutout(int(where.tile[row]), float(where.x[row]), float(where.y[row]), half)
    except (ImageError, OSError) as error:
        return _unread(gathering, row, error)
    blank = _blank(cutout)
    return Galaxy(row, Flag.NO_IMAGE | blank if blank else Flag(0), cutout)


def _on_cutout(gathering: Gathering, galaxy: Galaxy) -> Galaxy:
    """Measure a galaxy whose cutout is read; objects are those of a map, or detected there."""
    cutout, segmentation = galaxy.cutout, None
    if cutout is None:
        return galaxy
    if cutout.labels is not None:
        usable = usable_pixels(cutout.detection, cutout.weight)
        segmentation = segmentation_of(cutout.detection, usable, cutout.labels)
    measured = _measure(gathering, cutout, segmentation)
    return Galaxy(galaxy.row, measured.flags, cutout, measured)


def _is_done(gathering: Gathering, galaxy: Galaxy, half: int) -> bool:
    """Tell whether a galaxy is measured on a cutout that leaves room for its sky, or on all there is."""
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        return True
    return not gathering.images.has_edges or all(cutout.clipped) or _fits(measured, half, _ROOM_RPET)


def _are_done(gathering: Gathering, of_block: BlockGalaxies) -> npt.NDArray[np.bool_]:
    """Tell of the galaxies of a block what :func:`_is_done` tells of one."""
    if not gathering.images.has_edges:
        return np.ones(len(of_block), np.bool_)
    has_source = of_block.flags & int(Flag.NO_SOURCE) == 0
    widths = _widths_px(of_block.values["rpet_px"], of_block.values["extent_px"], _ROOM_RPET)
    return np.asarray(of_block.clipped.all(axis=1) | ~has_source | (widths < of_block.half_px))


def _limited(gathering: Gathering, galaxy: Galaxy) -> Galaxy:
    """Flag a galaxy that the largest cutout does not hold."""
    measured, rpet = galaxy.measured, gathering.half_width_rpet
    if measured is None or _is_done(gathering, galaxy, LARGEST_HALF_PX) or _fits(measured, LARGEST_HALF_PX, rpet):
        return galaxy
    return replace(galaxy, flags=galaxy.flags | Flag.CUTOUT_LIMIT)


def _measure(gathering: Gathering, cutout: Cutout, segmentation: Segmentation | None) -> Measurement:
    """Measure the galaxy in the middle of a cutout; without a segmentation, objects are detected in the cutout."""
    return gathering.measure(
        cutout.detection,
        cutout.x,
        cutout.y,
        weight=cutout.weight,
        saturation=gathering.images.saturation,
        psf_fwhm_px=gathering.images.psf_fwhm_px,
        segmentation=segmentation,
        centroid=gathering.centroid,
    )


def _fits(measured: Measurement, half: int, rpet: float) -> bool:
    """Tell whether so many Petrosian radii fit into the half-width of a cutout."""
    if Flag.NO_SOURCE in measured.flags:
        return True
    return bool(_widths_px(measured.rpet_px, measured.extent_px, rpet) < half)


def _widths_px(rpet_px: npt.ArrayLike, extent_px: npt.ArrayLike, rpet: float) -> npt.NDArray[np.float64]:
    """Return the half-width that so many Petrosian radii take."""
    # A radius that noise or other light hides does not appear in a larger cutout either.
    return np.where(np.isfinite(rpet_px), rpet * np.asarray(rpet_px), 3.0 * np.asarray(extent_px))


def _blank(cutout: Cutout) -> Flag:
    """Say why most pixels about the position have no data, if that is so: they are NaN, or have no weight."""
    weight = np.zeros((0, 0), np.float32) if cutout.weight is None else np.ascontiguousarray(cutout.weight)
    return Flag(blank_at(np.ascontiguousarray(cutout.detection), weight, cutout.x, cutout.y))


def stamp_of(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> Stamp:
    """Cut the stamp of a gathered galaxy that has an image; not yet stretched."""
    views = views_of(galaxy, images, recipe, ONE.matrices)
    return replace(views, pixels=views.pixels[0])


def views_of(galaxy: Galaxy, images: ImageSource, recipe: Recipe, matrices: npt.NDArray[np.float64]) -> Stamp:
    """Cut views, (V, C, S, S), of a gathered galaxy that has an image; not yet stretched.

    Parameters
    ----------
    matrices
        As of :func:`galmorph.stamps.cutting.make_views`.
    """
    cutout, measured = galaxy.cutout, galaxy.measured
    if cutout is None or measured is None:
        raise ImageError(f"row {galaxy.row} has no image, so it has no stamp: leave out rows without a cutout")
    stamp = make_views(
        cutout.planes,
        measured,
        recipe,
        matrices,
        x=cutout.x,
        y=cutout.y,
        scale_arcsec=pixel_scale_of(cutout, images),
        # Headers are read anew each time, which only a recipe that softens is worth.
        mjysr_per_unit=images.mjysr_per_unit(cutout.tile) if recipe.softening_mjysr > 0 else math.nan,
        seed=seed_of(cutout, images),
    )
    return replace(stamp, morphometry=morphometry(measured, images.psf_fwhm_px)[0])


def pixel_scale_of(cutout: Cutout, images: ImageSource) -> float:
    """Pixel scale of a cutout in arcsec: its image's, or that of its band; NaN where neither is known."""
    return float(pixel_scales(cutout.scale_arcsec, images))


def pixel_scales(scale_arcsec: npt.ArrayLike, images: ImageSource) -> npt.NDArray[np.float64]:
    """Pixel scales of cutouts as of :func:`pixel_scale_of`, whose images have these, (N,)."""
    scale = np.asarray(scale_arcsec, np.float64)
    return scale if images.band is None else np.where(np.isfinite(scale), scale, images.band.scale_arcsec)


def seed_of(cutout: Cutout, images: ImageSource) -> int:
    """Seed of a stamp's noise: the same for the same place on the same image, whatever row and catalogue it is in."""
    x, y = cutout.x + cutout.origin[0], cutout.y + cutout.origin[1]
    return seeds_of(cutout.tile, [(x, y)], images)[0]


def seeds_of(tile: int, positions: Iterable[tuple[float, float]], images: ImageSource) -> list[int]:
    """Seeds of the stamps at some positions (x, y) of a tile, as of :func:`seed_of`."""
    name = images.tile_names[tile].replace("\\", "/").rpartition("/")[2]
    return [zlib.crc32(f"{name} {x:.2f} {y:.2f}".encode()) for x, y in positions]
