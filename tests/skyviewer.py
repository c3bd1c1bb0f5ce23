"""SkyViewer: what cuts images out of a small sky, as the viewer of the Legacy Surveys does."""

from __future__ import annotations

import dataclasses
import io
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlsplit

import numpy as np
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Loopback, Request

from galmorph.sky.survey import Survey, load_survey

__all__ = ["LEGACY", "MOST_PX", "NOISE", "PATH", "cut", "rows", "survey_of"]

LEGACY = load_survey("legacy")
PATH = "/viewer/fits-cutout"
MOST_PX = 3000
NOISE = {"g": 0.004, "r": 0.006, "i": 0.01, "z": 0.015}
"""Nanomaggies in a pixel."""


@dataclass(frozen=True)
class Disk:
    """A round exponential disk: position, and scale length in arcsec."""

    ra: float
    dec: float
    length_arcsec: float


DISKS = (Disk(180.0, 20.0, 2.0), Disk(180.003, 20.001, 1.5), Disk(180.2, 20.1, 2.5), Disk(0.00001, -1.0, 2.0))


def rows() -> Table:
    """Return the positions of the disks."""
    return Table({name: [getattr(disk, name) for disk in DISKS] for name in ("ra", "dec")})


def survey_of(loopback: Loopback, **changes: object) -> Survey:
    """Return the survey, with cutouts of a server of this machine."""
    assert LEGACY.cutouts is not None
    small: dict[str, object] = {"url": loopback.base + PATH, "tile_px": 256, "margin_px": 64}
    return dataclasses.replace(LEGACY, cutouts=dataclasses.replace(LEGACY.cutouts, **(small | changes)))


def _grid(ra: float, dec: float, scale: float, side: int) -> WCS:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [ra, dec]
    wcs.wcs.crpix, wcs.wcs.cdelt = [(side + 1) / 2] * 2, [-scale / 3600, scale / 3600]
    return wcs


def _header(wcs: WCS, bands: str) -> fits.Header:
    """Return the cards that the viewer writes."""
    header = fits.Header({"SURVEY": "DECaLS", "VERSION": "ls-dr10", "IMAGETYP": "IMAGE", "BANDS": bands})
    header.update({f"BAND{n}": band for n, band in enumerate(bands)})
    for n in (0, 1):
        header[f"CTYPE{n + 1}"], header[f"CRVAL{n + 1}"] = wcs.wcs.ctype[n], wcs.wcs.crval[n]
        header[f"CRPIX{n + 1}"] = wcs.wcs.crpix[n]
    header.update({"CD1_1": wcs.wcs.cdelt[0], "CD1_2": 0.0, "CD2_1": 0.0, "CD2_2": wcs.wcs.cdelt[1]})
    return header


def cut(request: Request) -> bytes:
    """Cut out what is asked for, of no more than so many pixels, without a word."""
    asked = dict(parse_qsl(urlsplit(request.path).query, keep_blank_values=True))
    assert asked["layer"] == "ls-dr10"
    side, scale = min(int(asked["size"]), MOST_PX), float(asked["pixscale"])
    wcs = _grid(float(asked["ra"]), float(asked["dec"]), scale, side)
    bands = "".join(band for band in "griz" if band in asked["bands"])
    y, x = np.indices((side, side))
    light = np.zeros((side, side))
    for disk in DISKS:
        at_x, at_y = wcs.all_world2pix(disk.ra, disk.dec, 0)
        if np.isfinite(at_x) and abs(at_x - side / 2) + abs(at_y - side / 2) < 2 * side:
            light += 2.0 * np.exp(-np.hypot(x - at_x, y - at_y) * scale / disk.length_arcsec)
    noise = np.random.default_rng(7).normal(0, 1, (len(bands), side, side))
    planes = np.stack([light * 0.7 ** "zirg".index(b) + NOISE[b] * n for b, n in zip(bands, noise, strict=True)])
    weights = np.stack([np.full((side, side), NOISE[band] ** -2) for band in bands])
    header, stream = _header(wcs, bands), io.BytesIO()
    hdus = [fits.PrimaryHDU(_plane(planes), header)]
    if "invvar" in asked:
        header["IMAGETYP"] = "INVVAR"
        hdus.append(fits.ImageHDU(_plane(weights), header))
    fits.HDUList(hdus).writeto(stream)
    return stream.getvalue()


def _plane(planes: np.ndarray) -> np.ndarray:
    return (planes[0] if len(planes) == 1 else planes).astype(np.float32)
