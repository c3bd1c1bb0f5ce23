"""Atlas: small pictures of many galaxies, side by side on a few sheets."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from galmorph.learning.inputs import opened
from galmorph.pages.galaxy_view import view_of
from galmorph.progress import Progress
from galmorph.runs.gather import Gathering, galaxies
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageInput, ImageSource
from galmorph.stamps.recipe import Recipe

__all__ = ["Atlas", "atlas_of", "drawn", "side_for", "spread"]

IntArray = npt.NDArray[np.intp]

_ACROSS = 16
_QUALITY = 80
_MOST_BYTES = 12_000_000
# Of real stamps, at this quality: a picture of 32 pixels takes some 500 bytes, of 64 pixels 1 300.
_BYTES_PER_PX = {64: 0.32, 48: 0.4, 32: 0.5}


@dataclass(frozen=True)
class Atlas:
    """Pictures on sheets.

    Parameters
    ----------
    rows
        (P,) of the catalogue, in the order of their pictures: line by line, sheet by sheet.
    side_px
        Of each picture.
    sheets
        JPEG files of 16 × 16 pictures.
    """

    rows: IntArray
    side_px: int
    sheets: tuple[bytes, ...]

    across = _ACROSS

    @property
    def encoded(self) -> list[str]:
        """The sheets in base64."""
        return [base64.b64encode(sheet).decode("ascii") for sheet in self.sheets]


def side_for(count: int) -> int:
    """Return how wide pictures can be, so that all of them take 12 MB at most: 64, 48 or 32 pixels."""
    return next((side for side, share in _BYTES_PER_PX.items() if count * side * side * share <= _MOST_BYTES), 32)


def spread(places: npt.NDArray[np.float32], rows: IntArray, count: int) -> IntArray:
    """Choose rows from all over a map: one of each cell of a grid, then a second of each, and so on.

    Parameters
    ----------
    places
        (N, 2) on the map.
    rows
        (N,) numbers of the rows there.
    count
        How many are wanted.
    """
    if count >= len(rows):
        return rows
    low, high = places.min(axis=0), places.max(axis=0)
    cells = np.floor((places - low) / np.maximum(high - low, 1e-30) * (np.sqrt(count) - 1e-3)).astype(np.int64)
    cell = cells[:, 0] * (1 << 20) + cells[:, 1]
    lot = np.random.default_rng(0).permutation(len(rows))
    order = lot[np.argsort(cell[lot], kind="stable")]
    starts = np.searchsorted(cell[order], cell[order])
    turn = np.arange(len(rows)) - starts
    return np.sort(rows[order[np.argsort(turn, kind="stable")[:count]]])


def drawn(
    catalog: Catalog, images: ImageInput, places: npt.NDArray[np.float32], count: int, progress: Progress
) -> Atlas:
    """Open images, and draw pictures of some rows, spread over a map.

    Parameters
    ----------
    places
        (N, 2) of all rows; NaN for those without a place.
    count
        How many pictures are wanted.

    Raises
    ------
    ImageError, SurveyError
        If the images do not fit.
    """
    rows = np.flatnonzero(np.isfinite(places).all(axis=1))
    wanted = spread(places[rows], rows, count)
    with opened(catalog, images) as (table, source):
        return atlas_of(table, source, wanted, None, side_for(len(wanted)), progress)


def atlas_of(
    catalog: Catalog, images: ImageSource, rows: IntArray, recipe: Recipe | None, side_px: int, progress: Progress
) -> Atlas:
    """Cut pictures out and lay them on sheets; rows without an image have none.

    Parameters
    ----------
    catalog, images
        Rows and where they are.
    rows
        (P,) that are wanted.
    recipe
        Of the stamps; by default their field of view is two Petrosian radii to each side.
    side_px
        Of each picture.
    progress
        Is told how far it is.
    """
    cut = recipe or Recipe(planes=images.n_planes, stretch="asinh" if images.is_linear else "display")
    tiles: dict[int, npt.NDArray[np.uint8]] = {}
    for done, galaxy in enumerate(galaxies(Gathering(catalog, images, cut.half_width_rpet), rows), 1):
        view = view_of(galaxy, images, cut, side_px)
        if view is not None:
            tiles[galaxy.row] = _pixels(view.png())
        progress("pictures", done, len(rows))
    pictured = np.array(sorted(tiles), np.intp)
    return Atlas(pictured, side_px, tuple(_sheets([tiles[row] for row in pictured.tolist()], side_px)))


def _pixels(png: bytes) -> npt.NDArray[np.uint8]:
    """Return the colours of a picture, (S, S, 3), black where it is transparent."""
    picture = Image.open(io.BytesIO(png)).convert("RGBA")
    ground = Image.new("RGBA", picture.size, (16, 20, 27, 255))
    return np.asarray(Image.alpha_composite(ground, picture).convert("RGB"))


def _sheets(tiles: list[npt.NDArray[np.uint8]], side_px: int) -> Iterable[bytes]:
    per_sheet = _ACROSS * _ACROSS
    for start in range(0, len(tiles), per_sheet):
        some = tiles[start : start + per_sheet]
        lines = -(-len(some) // _ACROSS)
        sheet = np.zeros((lines * side_px, _ACROSS * side_px, 3), np.uint8)
        for number, tile in enumerate(some):
            top, left = number // _ACROSS * side_px, number % _ACROSS * side_px
            sheet[top : top + side_px, left : left + side_px] = tile
        stream = io.BytesIO()
        Image.fromarray(sheet).save(stream, "JPEG", quality=_QUALITY, optimize=True)
        yield stream.getvalue()
