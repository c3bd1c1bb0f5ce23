"""SDSS frames: what plays the SkyServer and the SAS, with small frames whose headers are those of the data model."""

from __future__ import annotations

import bz2
import dataclasses
import functools
import io
import json
import re
from dataclasses import dataclass
from urllib.parse import unquote_plus

import numpy as np
from astropy.io import fits
from astropy.wcs import WCS
from loopback import Loopback, Request

from galmorph.sky.survey import Survey, load_survey

__all__ = ["CROSSID", "FIELDS", "SCHEMA", "SHAPE", "SdssField", "asked_positions", "frame", "serve", "survey_of"]

SDSS = load_survey("sdss")
SCHEMA = "/dr17/en/tools/search/x_results.aspx"
CROSSID = "/dr17/en/tools/search/X_Results.aspx"
SHAPE = (200, 280)
"""Of a real frame: 1489 rows, 2048 columns."""
NOISE = {"g": 0.020, "r": 0.026, "i": 0.040}
SHIFT = {"g": (3.4, -1.7), "r": (0.0, 0.0), "i": (-2.6, 1.2)}
"""Pixels by which the frames of a field differ."""
_SEED = 11


@dataclass(frozen=True)
class SdssField:
    """A field, its middle, and its galaxies: 0-based pixels of the r band, (N, 2)."""

    run: int
    camcol: int
    number: int
    ra: float
    dec: float
    xy: tuple[tuple[float, float], ...] = ((120.3, 90.6), (200.8, 140.2))

    def path(self, band: str) -> str:
        """Return where a frame is on the server."""
        name = f"frame-{band}-{self.run:06d}-{self.camcol}-{self.number:04d}.fits.bz2"
        return f"/sas/dr17/eboss/photoObj/frames/301/{self.run}/{self.camcol}/{name}"

    def wcs(self, band: str) -> WCS:
        """Return the grid of a frame: rows run along the scan, here turned by 25 degrees."""
        wcs = WCS(naxis=2)
        wcs.wcs.ctype, wcs.wcs.cunit = ["RA---TAN", "DEC--TAN"], ["deg", "deg"]
        wcs.wcs.crval = [self.ra, self.dec]
        wcs.wcs.crpix = [SHAPE[1] / 2 + 1 + SHIFT[band][0], SHAPE[0] / 2 + 1 + SHIFT[band][1]]
        turn = np.radians(25.0)
        wcs.wcs.cd = 0.396 / 3600 * np.array([[-np.cos(turn), np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        return wcs

    @property
    def sky(self) -> tuple[np.ndarray, np.ndarray]:
        """Right ascension and declination of its galaxies."""
        ra, dec = self.wcs("r").all_pix2world(np.array(self.xy), 0).T
        return ra, dec


FIELDS = (SdssField(1904, 3, 164, 2.05, 14.85), SdssField(94, 1, 12, 300.0, -0.6, ((140.0, 100.0),)))


def _float_compressed(pixels: np.ndarray) -> np.ndarray:
    """Keep ten binary digits, as frames do."""
    mantissa, exponent = np.frexp(pixels)
    return np.ldexp(np.round(mantissa * 1024) / 1024, exponent).astype(np.float32)


@functools.cache
def frame(field: SdssField, band: str) -> bytes:
    """Write a frame: image, calibration of each column, sky, and astrometry."""
    pixels = np.random.default_rng(_SEED + field.run + ord(band)).normal(0, NOISE[band], SHAPE)
    y, x = np.indices(SHAPE)
    flux = {"g": 1.2, "r": 2.0, "i": 2.6}[band]
    for at_x, at_y in field.wcs(band).all_world2pix(np.transpose(field.sky), 0):
        pixels += flux * np.exp(-np.hypot(x - at_x, (y - at_y) / 0.8) / 4.0)
    image = fits.PrimaryHDU(_float_compressed(pixels))
    cards = {
        "FLAVOR": "science", "TELESCOP": "2.5m", "FILTER": band, "RUN": field.run, "CAMCOL": field.camcol,
        "FRAME": field.number, "RERUN": "301", "BUNIT": "nanomaggy", "NMGY": 0.0051, "RADECSYS": "ICRS",
        "EQUINOX": 2000.0, "CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CUNIT1": "deg", "CUNIT2": "deg",
    }  # fmt: skip
    image.header.update(cards)
    wcs = field.wcs(band).wcs
    for n in (1, 2):
        image.header[f"CRPIX{n}"], image.header[f"CRVAL{n}"] = wcs.crpix[n - 1], wcs.crval[n - 1]
        for m in (1, 2):
            image.header[f"CD{n}_{m}"] = wcs.cd[n - 1, m - 1]
    sky = fits.BinTableHDU.from_columns(
        [
            fits.Column("ALLSKY", "48E", dim="(8,6)", array=np.full((1, 6, 8), 120.0, np.float32)),
            fits.Column("XINTERP", f"{SHAPE[1]}E", array=np.linspace(0, 7, SHAPE[1], dtype=np.float32)[None]),
            fits.Column("YINTERP", f"{SHAPE[0]}E", array=np.linspace(0, 5, SHAPE[0], dtype=np.float32)[None]),
        ]
    )
    astrometry = fits.BinTableHDU.from_columns(
        [fits.Column("RUN", "J", array=[field.run]), fits.Column("A", "D", array=[0.1])]
    )
    stream = io.BytesIO()
    calibration = fits.ImageHDU(np.full(SHAPE[1], 0.0051, np.float32))
    fits.HDUList([image, calibration, sky, astrometry]).writeto(stream)
    return bz2.compress(stream.getvalue())


def asked_positions(request: Request) -> np.ndarray:
    """Return the positions that were uploaded, (N, 2)."""
    lines = re.findall(r"^ *obj_\d+ (\S+) (\S+)[ \r]*$", request.body.decode(), re.MULTILINE)
    return np.array(lines, np.float64).reshape(-1, 2)


def _crossid(request: Request) -> bytes:
    text = request.body.decode()
    columns = re.search(r"SELECT\s+(.*?) FROM #upload", text, re.DOTALL)
    assert columns, text[:500]
    assert 'name="upload"; filename="astroquery"' in text
    names = [word.strip().removeprefix("p.") for word in columns[1].split(",") if "fPhotoTypeN" not in word]
    lines = ["#Table1", ",".join([*names, "type"])]
    for ra, dec in asked_positions(request):
        lines += [",".join([*(_cell(field, name, ra, dec) for name in names), "GALAXY"]) for field in _at(ra, dec)]
    return "\n".join([*lines, ""]).encode()


def _at(ra: float, dec: float) -> list[SdssField]:
    inside = []
    for field in FIELDS:
        x, y = field.wcs("r").all_world2pix(ra, dec, 0)
        if 0 <= x < SHAPE[1] and 0 <= y < SHAPE[0]:
            inside.append(field)
    return inside[:1]


def _cell(field: SdssField, name: str, ra: float, dec: float) -> str:
    numbers = {"run": field.run, "rerun": 301, "camcol": field.camcol, "field": field.number}
    return str(numbers[name]) if name in numbers else f"{ {'ra': ra, 'dec': dec}[name] + 1e-5:.8f}"


def _schema(request: Request) -> bytes:
    assert "fDocColumns" in unquote_plus(request.path)
    return json.dumps(
        [{"Rows": [{"name": name} for name in ("ra", "dec", "run", "rerun", "camcol", "field")]}]
    ).encode()


def serve(loopback: Loopback) -> Survey:
    """Let a server play both; return the SDSS with them."""
    loopback.files |= {SCHEMA: _schema, CROSSID: _crossid}
    loopback.files |= {field.path(band): frame(field, band) for field in FIELDS for band in "gri"}
    return survey_of(loopback)


def survey_of(loopback: Loopback) -> Survey:
    """Return the SDSS, with frames and queries at a server of this machine."""
    assert SDSS.frames is not None
    url = SDSS.frames.url.replace("https://data.sdss.org", loopback.base)
    return dataclasses.replace(SDSS, frames=dataclasses.replace(SDSS.frames, url=url, server=loopback.base))
