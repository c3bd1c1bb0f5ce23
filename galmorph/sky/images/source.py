"""ImageSource: what the rest of galmorph asks of images, whatever files they are in."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from galmorph.notebook import html_table
from galmorph.sky.cutout import Cutout
from galmorph.sky.survey import Band, Survey

__all__ = ["DoubleArray", "ImageSource", "Located", "nowhere", "source_html"]

DoubleArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Located:
    """Where positions fall on the tiles of an :class:`ImageSource`.

    Parameters
    ----------
    tile
        Number of the tile, (N,) int32; -1 where no tile covers the position.
    x, y
        0-based pixel position on that tile, (N,) float64; NaN where there is no tile.
    """

    tile: npt.NDArray[np.int32]
    x: DoubleArray
    y: DoubleArray


def nowhere(n: int) -> Located:
    """Return `n` positions that no tile covers; its arrays may be filled in."""
    return Located(np.full(n, -1, np.int32), np.full(n, np.nan), np.full(n, np.nan))


def source_html(source: ImageSource) -> str:
    """Say in a notebook what a source has."""
    rows = {
        "survey": source.survey.name if source.survey is not None else "not named",
        "bands": ", ".join(source.bands) or "not named",
        "images": len(source.tile_names),
        "first": next(iter(source.tile_names), ""),
        "planes": source.n_planes,
        "pixel scale": f"{source.scale_arcsec:.4g}″" if math.isfinite(source.scale_arcsec) else "",
        "found by": "position" if source.has_wcs else "pixel or file",
    }
    return html_table("FITS images" if source.is_linear else "Display stamps", rows)


class ImageSource(Protocol):
    """One or many images of the same band or colour.

    Attributes
    ----------
    survey
        Of which they are; None where nobody said.
    bands
        Names of their bands in the survey, for colour those shown as red, green and blue; () where nobody said.
    band
        The band of linear images of one band; None for all others, and where nobody said.
    is_linear
        Whether they were observed as flux. Display stamps were not, and their first row is the top of the picture.
    by_name
        Whether rows find theirs by its file name, and the galaxy in the middle of it: display stamps that do not know
        the sky, and FITS stamps in memory.
    has_edges
        Whether there are pixels beyond a window, up to the edges of the tile. A display stamp is its own window.
    n_planes
        Planes of a cutout: 1 or 3.
    scale_arcsec
        Median pixel scale of the tiles in arcsec; NaN where it is not known.
    psf_fwhm_px
        Full width at half maximum of the band's point-spread function in pixels; None where it is not known.
    saturation
        Flux from which pixels count as saturated: infinite for display stamps, whose brightest pixels are cut by
        design; None where it is not known.
    has_wcs
        Whether sky positions can be located.
    is_here
        Whether all pixels are on this machine; those of archives may not be.
    tile_names
        What each tile is called: file names.
    remarks
        What of the files was not taken as it stands, a line for each kind; for the provenance.
    """

    survey: Survey | None
    bands: tuple[str, ...]
    band: Band | None
    is_linear: bool
    by_name: bool
    has_edges: bool
    n_planes: int
    scale_arcsec: float
    psf_fwhm_px: float | None
    saturation: float | None
    has_wcs: bool
    tile_names: list[str]

    @property
    def is_here(self) -> bool:
        """Whether all pixels are on this machine."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What of the files was not taken as it stands."""

    def locate(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Located:
        """Find the tile that covers each sky position best; ImageError without WCS."""

    def locate_pixels(self, xy: npt.ArrayLike) -> Located:
        """Find pixel positions (N, 2) on the only tile; ImageError where there are several."""

    def locate_files(self, names: Sequence[object]) -> Located:
        """Find stamps by file name; the position is the middle of the stamp."""

    def cutout(self, tile: int, x: float, y: float, half_px: int) -> Cutout:
        """Read the window of 2 half_px + 1 pixels around a position, clipped at the tile's edges."""

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:
        """Bring what of a window is not on this machine, which reading it does else; for any thread."""

    def files(self, tile: int, x: float, y: float) -> tuple[Path, ...]:
        """Return the files in which the pixels about a position lie, here or not; () where they have none."""

    def sky(self, tile: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return right ascension and declination in ICRS degrees; NaN without WCS."""

    def mjysr_per_unit(self, tile: int) -> float:
        """Return the surface brightness in MJy/sr of one image unit; NaN where it is not known."""

    def scales_at(self, tile: int, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:
        """Return the pixel scale in arcsec at positions of a tile, (N,); NaN where it is not known."""

    def filter_name(self) -> str | None:
        """Return the filter that the headers name; None where they name none."""

    def close(self) -> None:
        """Close the files; the source cannot be used any more."""
