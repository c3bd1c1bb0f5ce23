"""Zcut: what cuts a small mosaic as MAST's service of that name does, and answers with a zip."""

from __future__ import annotations

import dataclasses
import io
import json
import zipfile
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import small_sky
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.nddata import Cutout2D, NoOverlapError
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Loopback, Request

from galmorph.sky.survey import Survey, load_survey

__all__ = ["PATH", "XY", "cut", "rows", "serve", "survey_of", "write_mosaic"]

CANDELS = load_survey("candels")
PATH = "/zcut/api/v0.1/astrocut"
SIDE = 700
XY = np.array([(150.3, 140.2), (420.7, 180.4), (350.0, 352.5), (200.4, 560.1), (610.9, 590.6)])
"""Where the galaxies are: 0-based pixels, (N, 2)."""


def _header() -> fits.Header:
    header = small_sky.header()
    header["CRPIX1"] = header["CRPIX2"] = SIDE / 2
    header.update({"BUNIT": "ELECTRONS/S", "PHOTFLAM": 1.9275602e-20, "PHOTPLAM": 15369.176})
    return header


def write_mosaic(folder: Path) -> Path:
    """Write the mosaic from which the service cuts."""
    image = np.random.default_rng(4).normal(0, small_sky.SIGMA, (SIDE, SIDE))
    for number, (x, y) in enumerate(XY):
        image += small_sky.light((SIDE, SIDE), x, y, 2.5 + 0.5 * number)
    path = folder / "mosaic.fits"
    fits.writeto(path, image.astype(np.float32), _header())
    return path


def rows() -> Table:
    """Return the positions of the galaxies."""
    ra, dec = WCS(_header()).all_pix2world(XY[:, 0], XY[:, 1], 0)
    return Table({"ra": ra, "dec": dec})


def cut(mosaic: Path, request: Request) -> bytes:
    """Answer with cutouts of two bands and of another survey's pixels, or say in JSON that there are none."""
    asked = dict(parse_qsl(urlsplit(request.path).query))
    assert asked["units"] == "px"
    if asked.get("survey") not in (None, "candels_gn_60mas"):
        return _sorry()
    position = SkyCoord(float(asked["ra"]), float(asked["dec"]), unit="deg")
    with fits.open(mosaic) as hdus:
        header, pixels = hdus[0].header, hdus[0].data
        try:
            image = Cutout2D(pixels, position, int(float(asked["x"])), WCS(header), "partial", np.nan)
        except NoOverlapError:
            return _sorry()
    header.update(image.wcs.to_header())
    header["EXTNAME"], header["ORIG_EXT"] = "CUTOUT", 0
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as answer:
        for name, of_band in (("wfc3_gn-tot-60mas_f160w", image.data), ("wfc3_gn-tot-60mas_f125w", 2 * image.data)):
            header["ORIG_FLE"] = f"hlsp_candels_hst_{name}_v1.0_drz.fits"
            answer.writestr(f"candels_gn_60mas_{name}_astrocut.fits", _file(header, of_band))
        header["ORIG_FLE"] = "hlsp_candels_hst_wfc3_gn-tot-30mas_f160w_v1.0_drz.fits"
        answer.writestr("a_candels_gn_30mas_astrocut.fits", _file(header, image.data[::2, ::2]))
    return stream.getvalue()


def _file(header: fits.Header, pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(pixels, header)]).writeto(stream)
    return stream.getvalue()


def _sorry() -> bytes:
    return json.dumps({"msg": "No images were found that contain this position"}).encode()


def serve(loopback: Loopback, mosaic: Path) -> Survey:
    """Let a server play Zcut; return CANDELS with it, and one field."""
    loopback.files[PATH] = lambda request: cut(mosaic, request)
    return survey_of(loopback)


def survey_of(loopback: Loopback) -> Survey:
    """Return CANDELS with one field, of which a server of this machine has the mosaic and cuts it."""
    assert CANDELS.cutouts is not None
    cutouts = dataclasses.replace(
        CANDELS.cutouts, url=loopback.base + PATH.removesuffix("astrocut"), tile_px=256, margin_px=64
    )
    field = dataclasses.replace(
        CANDELS.field("goods-n"), ra_deg=215.0, dec_deg=52.9, shape=(SIDE, SIDE), base_url=f"{loopback.base}/",
        mosaics=dict.fromkeys(("F160W", "F125W", "F814W"), "mosaic.fits"), weights={},
    )  # fmt: skip
    return dataclasses.replace(CANDELS, cutouts=cutouts, fields=(field,))
