"""SkyServer: what draws colour pictures of a small sky, as the ImgCutout service of the SDSS does."""

from __future__ import annotations

import dataclasses
import io
import itertools
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import numpy as np
from astropy.wcs import WCS
from loopback import Fault, Loopback, Request
from PIL import Image

from galmorph.shipped import shipped
from galmorph.sky.colour import compose
from galmorph.sky.survey import Survey, load_survey

__all__ = ["GALAXIES", "PATH", "SDSS", "SURVEY_FILE", "Galaxy", "asked_for", "draw", "draw_hips", "fail", "survey_of"]

SURVEY_FILE = shipped("catalogs") / "surveys" / "sdss.toml"
SDSS = load_survey("sdss")
PATH = "/getjpeg"
NOISE = 0.02
"""Of a pixel of 0.396 arcsec, nanomaggies."""


@dataclass(frozen=True)
class Galaxy:
    """A round exponential disk: position, and scale length in arcsec."""

    ra: float
    dec: float
    length_arcsec: float


GALAXIES = (
    Galaxy(180.0, 20.0, 3.0),
    Galaxy(180.2, 20.1, 4.0),
    Galaxy(359.9999, -1.0, 3.5),
    Galaxy(40.0, 89.5, 3.0),
)


def survey_of(loopback: Loopback, **changes: object) -> Survey:
    """Return the SDSS, with pictures that a server of this machine draws."""
    assert SDSS.pictures is not None
    pictures = dataclasses.replace(SDSS.pictures, url=loopback.base + PATH, **changes)
    return dataclasses.replace(SDSS, pictures=pictures)


def asked_for(request: Request) -> dict[str, float]:
    """Return what a picture was asked for with."""
    return {name: float(values[0]) for name, values in parse_qs(urlsplit(request.path).query).items()}


def fail(loopback: Loopback, number: int, fault: Fault, times: int = 1) -> None:
    """Let the next answers about one of the galaxies go wrong."""
    left = itertools.repeat(fault, times)
    galaxy = GALAXIES[number]

    def trouble(request: Request) -> Fault | None:
        asked = asked_for(request)
        is_about = abs(asked["ra"] - galaxy.ra) + abs(asked["dec"] - galaxy.dec) < 1e-3
        return next(left, None) if is_about else None

    loopback.trouble = trouble


def draw(request: Request) -> bytes:
    """Draw what is on the sky."""
    asked = asked_for(request)
    return _drawn(asked["ra"], asked["dec"], asked["scale"], int(asked["width"]))


def draw_hips(request: Request) -> bytes:
    """Draw what is on the sky, as hips2fits does."""
    asked = {name: values[0] for name, values in parse_qs(urlsplit(request.path).query).items()}
    assert (asked["projection"], asked["coordsys"], asked["format"]) == ("TAN", "icrs", "jpg")
    assert asked["hips"]
    side = int(asked["width"])
    return _drawn(float(asked["ra"]), float(asked["dec"]), float(asked["fov"]) * 3600 / side, side)


def _drawn(ra: float, dec: float, scale: float, side: int) -> bytes:
    wcs = WCS(naxis=2)
    wcs.wcs.ctype = ["RA---TAN", "DEC--TAN"]
    wcs.wcs.crval = [ra, dec]
    wcs.wcs.crpix = [(side + 1) / 2, (side + 1) / 2]
    wcs.wcs.cdelt = [-scale / 3600, -scale / 3600]  # the first row is the northern one
    flux = np.random.default_rng(1).normal(0, NOISE, (3, side, side))
    y, x = np.indices((side, side))
    for galaxy in GALAXIES:
        at_x, at_y = wcs.all_world2pix(galaxy.ra, galaxy.dec, 0)
        if abs(at_x) + abs(at_y) < 4 * side:
            flux += 2.0 * np.exp(-np.hypot(x - at_x, y - at_y) * scale / galaxy.length_arcsec)
    picture = compose(flux.astype(np.float32), SDSS.colour)
    stream = io.BytesIO()
    Image.fromarray((picture * 255).astype(np.uint8).transpose(1, 2, 0)).save(stream, "JPEG", quality=95)
    return stream.getvalue()
