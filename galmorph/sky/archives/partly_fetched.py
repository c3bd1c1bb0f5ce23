"""PartlyFetched: images of an archive some of which could not be fetched."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.coordinates import SkyCoord

from galmorph.errors import ArchiveError, ImageError
from galmorph.sky.cutout import Cutout
from galmorph.sky.images.grid import are_on_sky
from galmorph.sky.images.source import DoubleArray, ImageSource, Located, source_html

__all__ = ["PartlyFetched"]

_NEAR_ARCSEC = 90.0
"""How far from a row the object may be by which its image was looked for."""


class PartlyFetched:
    """A source, and places whose images are missing: rows there are not without an image, but could not be fetched.

    Parameters
    ----------
    source
        The images that are here.
    ra_deg, dec_deg
        Places in those that are not, (N,), ICRS degrees.
    reason
        Why they are not.
    remarks
        What there is to say of all of them, for the provenance.
    """

    _repr_html_ = source_html

    def __init__(
        self,
        source: ImageSource,
        ra_deg: npt.ArrayLike,
        dec_deg: npt.ArrayLike,
        reason: str,
        *,
        remarks: Sequence[str] = (),
    ) -> None:
        self._source, self._reason, self._remarks = source, reason, tuple(remarks)
        self._missing = SkyCoord(np.ravel(ra_deg), np.ravel(dec_deg), unit="deg")
        self.survey, self.bands, self.band = source.survey, source.bands, source.band
        self.is_linear, self.has_edges = source.is_linear, source.has_edges
        self.has_wcs, self.by_name = source.has_wcs, source.by_name
        self.n_planes, self.scale_arcsec = source.n_planes, source.scale_arcsec
        self.psf_fwhm_px, self.saturation = source.psf_fwhm_px, source.saturation
        self._n_here = len(source.tile_names)
        self.tile_names = [*source.tile_names, *(["not fetched"] if len(self._missing) else [])]

    @property
    def remarks(self) -> tuple[str, ...]:
        """Those of the images, and what is missing."""
        missing = [f"some could not be fetched: {self._reason}"] if len(self._missing) else []
        return (*self._source.remarks, *self._remarks, *missing)

    def locate(self, ra_deg: npt.ArrayLike, dec_deg: npt.ArrayLike) -> Located:
        """Find the tile that covers each sky position; the last one where it would be missing."""
        where = self._source.locate(ra_deg, dec_deg)
        ra, dec = np.ravel(ra_deg), np.ravel(dec_deg)
        rows = np.flatnonzero((where.tile < 0) & are_on_sky(ra, dec))
        if not len(rows) or not len(self._missing):
            return where
        _, distance, _ = SkyCoord(ra[rows], dec[rows], unit="deg").match_to_catalog_sky(self._missing)
        missing = rows[distance.arcsec < _NEAR_ARCSEC]
        where.tile[missing], where.x[missing], where.y[missing] = self._n_here, 0.0, 0.0
        return where

    def locate_pixels(self, xy: npt.ArrayLike) -> Located:
        """Refuse: images of an archive are found by positions on the sky.

        Raises
        ------
        ImageError
            Always.
        """
        raise ImageError(
            f"{len(np.atleast_2d(xy))} pixel positions were given for {len(self.tile_names)} images: expected a single "
            "image; give sky positions"
        )

    def locate_files(self, names: Sequence[object]) -> Located:
        """Find files by name, as the images do."""
        return self._source.locate_files(names)

    def cutout(self, tile: int, x: float, y: float, half_px: int) -> Cutout:
        """Read a window.

        Raises
        ------
        ArchiveError
            If its image is missing.
        """
        if self._is_missing(tile):
            raise ArchiveError(f"the image of this position could not be fetched: {self._reason}")
        return self._source.cutout(tile, x, y, half_px)

    @property
    def is_here(self) -> bool:
        """Whether all that could be fetched is on this machine."""
        return self._source.is_here

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:
        """Bring what of a window is not on this machine; nothing where its image is missing.

        Raises
        ------
        ArchiveError
            If it cannot be had.
        """
        if not self._is_missing(tile):
            self._source.fetch(tile, x, y, half_px)

    def files(self, tile: int, x: float, y: float) -> tuple[Path, ...]:
        """Return the files of the images; () where one is missing."""
        return () if self._is_missing(tile) else self._source.files(tile, x, y)

    def sky(self, tile: npt.ArrayLike, x: npt.ArrayLike, y: npt.ArrayLike) -> tuple[DoubleArray, DoubleArray]:
        """Return right ascension and declination in ICRS degrees; NaN where the image is missing."""
        tiles = np.where(self._is_missing(np.asarray(tile)), -1, tile)
        return self._source.sky(tiles, x, y)

    def mjysr_per_unit(self, tile: int) -> float:
        """Return the surface brightness in MJy/sr of one image unit; NaN where the image is missing."""
        return math.nan if self._is_missing(tile) else self._source.mjysr_per_unit(tile)

    def scales_at(self, tile: int, x: npt.ArrayLike, y: npt.ArrayLike) -> DoubleArray:
        """Return the pixel scale in arcsec at positions, (N,); NaN where the image is missing."""
        return np.full(np.size(x), math.nan) if self._is_missing(tile) else self._source.scales_at(tile, x, y)

    def filter_name(self) -> str | None:
        """Return the filter that the headers name."""
        return self._source.filter_name()

    def close(self) -> None:
        """Close the files."""
        self._source.close()

    def _is_missing(self, tile: npt.ArrayLike) -> npt.NDArray[np.bool_]:
        return np.asarray(np.asarray(tile) == self._n_here)
