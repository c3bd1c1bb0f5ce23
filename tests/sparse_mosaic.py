"""SparseMosaic: a field of CANDELS as large as the real ones, of which only places with galaxies take room on the disk.

Names and headers are those of the survey's files (drizzled, with leftover distortion terms, PHOTFLAM and PHOTPLAM).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from small_sky import light

__all__ = ["SIDE", "header", "write_mosaic"]

SIDE = 20480
NOISE = 0.004
_REACH = 520
"""Pixels about a place that have noise and weights."""


def header(ra_deg: float, dec_deg: float) -> fits.Header:
    """Return the header of a mosaic about a place."""
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN-SIP", "DEC--TAN-SIP"]
    wcs.wcs.crval, wcs.wcs.crpix = [ra_deg, dec_deg], [SIDE / 2, SIDE / 2]
    wcs.wcs.cdelt = [-0.06 / 3600, 0.06 / 3600]
    head = fits.Header([("SIMPLE", True), ("BITPIX", -32), ("NAXIS", 2), ("NAXIS1", SIDE), ("NAXIS2", SIDE)])
    head.update(wcs.to_header())
    head.update({"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2, "A_2_0": 1e-3})
    head.update({"TELESCOP": "HST", "INSTRUME": "WFC3", "DETECTOR": "IR", "FILTER": "F160W", "BUNIT": "ELECTRONS/S"})
    head.update({"PHOTFLAM": 1.9275602e-20, "PHOTPLAM": 15369.176, "EXPTIME": 5000.0})
    return head


def write_mosaic(
    image: Path,
    weight: Path,
    place: tuple[float, float],
    centres: np.ndarray,
    galaxies: list[tuple[float, float, float]],
) -> None:
    """Write image and weights.

    Parameters
    ----------
    place
        Right ascension and declination of the middle, degrees.
    centres
        Pixels about which there is something, (N, 2), 0-based.
    galaxies
        Pixel x and y and axis ratio of each; all lie near a centre.
    """
    head = header(*place).tostring().encode()
    for path in (image, weight):
        with path.open("wb") as file:
            file.write(head)
            file.truncate(-(-(len(head) + SIDE * SIDE * 4) // 2880) * 2880)
    shape = (SIDE, SIDE)
    pixels, weights = (np.memmap(path, ">f4", "r+", len(head), shape) for path in (image, weight))
    random = np.random.default_rng(7)
    for x, y in centres.astype(int).tolist():
        about = np.s_[y - _REACH : y + _REACH, x - _REACH : x + _REACH]
        pixels[about], weights[about] = random.normal(0.0, NOISE, (2 * _REACH, 2 * _REACH)), NOISE**-2
    for x, y, ratio in galaxies:
        left, bottom = int(x) - 40, int(y) - 40
        pixels[bottom : bottom + 81, left : left + 81] += light((81, 81), x - left, y - bottom, 4.0, ratio)
    pixels.flush()
    weights.flush()
