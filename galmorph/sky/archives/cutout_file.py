"""CutoutFile: what was asked for as a cutout, and whether a file is that."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

from galmorph.errors import ArchiveError
from galmorph.sky.boundary import boundary

__all__ = ["CutoutFile", "check_cutout", "check_image"]

_NEAR_PX = 1.0
"""How far from the middle of a cutout the position may be about which it was asked for."""


@dataclass(frozen=True)
class CutoutFile:
    """A cutout that was asked for.

    Parameters
    ----------
    url
        Where.
    ra_deg, dec_deg
        About which position.
    side_px, scale_arcsec
        How wide, and with which pixels.
    """

    url: str
    ra_deg: float
    dec_deg: float
    side_px: int
    scale_arcsec: float


def check_cutout(asked: CutoutFile, path: Path) -> None:
    """Refuse a file that is no FITS image, or not the one that was asked for, or shows nothing.

    Raises
    ------
    ArchiveError
        If so.
    """
    with (
        boundary(lambda reason: ArchiveError(f"{asked.url} is no FITS image ({reason}): try again later")),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # what astropy says of odd files is said by us, or of no use
        with fits.open(path, memmap=False) as hdus:
            image = next(hdu for hdu in hdus if hdu.is_image and hdu.header["NAXIS"] >= 2)
            header, pixels = image.header, np.asarray(image.data)
    check_image(asked, header, pixels)


def check_image(asked: CutoutFile, header: fits.Header, pixels: np.ndarray) -> None:
    """Refuse an image of another size, place or scale than was asked for, or one that shows nothing.

    Raises
    ------
    ArchiveError
        If so.
    """
    if pixels.shape[-2:] != (asked.side_px, asked.side_px):
        have = "{1} x {0}".format(*pixels.shape[-2:])
        raise ArchiveError(
            f"{asked.url} has {have} pixels: expected {asked.side_px} x {asked.side_px}; tell the archive"
        )
    finite = pixels[np.isfinite(pixels)]
    if not finite.size or finite.min() == finite.max():
        raise ArchiveError(f"{asked.url} is blank: expected an image; the survey may have none there")
    if (reason := _elsewhere(asked, header)) is not None:
        raise ArchiveError(f"{asked.url} {reason}; tell the archive")


def _elsewhere(asked: CutoutFile, header: fits.Header) -> str | None:
    """Say how an image lies elsewhere on the sky; None where it does not."""
    with (
        boundary(lambda reason: ArchiveError(f"{asked.url} has no celestial WCS ({reason}): tell the archive")),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        plane = WCS(header, naxis=2)
        ra, dec = plane.wcs_pix2world((asked.side_px - 1) / 2, (asked.side_px - 1) / 2, 0)
        scale = float(np.sqrt(abs(np.linalg.det(plane.pixel_scale_matrix))) * 3600)
    off = SkyCoord(ra, dec, unit="deg").separation(SkyCoord(asked.ra_deg, asked.dec_deg, unit="deg")).to_value(u.arcsec)
    if not off < _NEAR_PX * asked.scale_arcsec:
        return f"lies {off:.1f} arcsec from {asked.ra_deg:.6f} {asked.dec_deg:+.6f}: expected that in its middle"
    if not np.isclose(scale, asked.scale_arcsec, rtol=0.01):
        return f"has pixels of {scale:.4f} arcsec: expected {asked.scale_arcsec:g}"
    return None
