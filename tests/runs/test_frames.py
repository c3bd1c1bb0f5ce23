"""Frames: the same pixels anywhere on the sky, in any frame, give the same galaxies; only positions and angles turn."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from astropy.wcs.utils import wcs_to_celestial_frame

from galmorph import classify, measure

H = {"survey": "candels", "band": "H"}
# Away from the edges of pixels, so that no rounding of a position decides which pixels are looked at.
CATALOGUED = small_sky.XY + np.array([0.13, 0.08])
CARDS = {
    "ICRS": {},
    "across RA 0": {"CRVAL1": 0.0},
    "FK5 of 1975": {"RADESYS": "FK5", "EQUINOX": 1975.0},
    "FK4 across RA 0": {"RADESYS": "FK4", "EQUINOX": 1950.0, "CRVAL1": 359.3612},
    "near the pole": {"CRVAL2": 89.0},
}


def header_in(frame: str) -> fits.Header:
    """Return the small sky's header with its middle, or its axes, somewhere else."""
    header = small_sky.header()
    header.update(CARDS[frame])
    return header


def icrs_of(header: fits.Header, x: np.ndarray, y: np.ndarray) -> SkyCoord:
    """Return where pixels are, by astropy alone."""
    wcs = WCS(header)
    return SkyCoord(*wcs.all_pix2world(x, y, 0), unit="deg", frame=wcs_to_celestial_frame(wcs)).icrs


def x_axis_of(header: fits.Header, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the position angle in ICRS, degrees, of the direction in which the pixels of rows are counted."""
    return icrs_of(header, x, y).position_angle(icrs_of(header, x + 0.01, y)).deg


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Measure and classify the same pixels in each frame, once."""
    folder = tmp_path_factory.mktemp("frames")
    checkpoint = small_sky.checkpoint()

    @cache
    def output(frame: str) -> tuple[Table, Table]:
        image, weight = _write(folder, frame)
        there = icrs_of(header_in(frame), *CATALOGUED.T)
        catalog = Table({"ra": there.ra, "dec": there.dec})
        how = {**H, "weight": weight}
        return measure(catalog, image, **how), classify(catalog, image, **how, checkpoint=checkpoint, device="cpu")

    return output


def _write(folder: Path, frame: str) -> tuple[Path, Path]:
    paths = folder / f"{frame}.fits", folder / f"{frame} weight.fits"
    noise = np.full((small_sky.SIDE, small_sky.SIDE), small_sky.SIGMA**-2, np.float32)
    for path, pixels in zip(paths, (small_sky.field(), noise), strict=True):
        fits.writeto(path, pixels, header_in(frame))
    return paths


@pytest.mark.parametrize("frame", list(CARDS)[1:])
def test_what_is_no_position_is_the_same_everywhere(outputs, frame):
    """To single precision; probabilities to what the network makes of a hundred-millionth of a pixel."""
    for one, other in zip(outputs("ICRS"), outputs(frame), strict=True):
        for name in set(one.colnames) - {"ra", "dec", "gm_racen", "gm_deccen", "gm_pa"}:
            if one[name].dtype.kind == "f":
                np.testing.assert_allclose(other[name], one[name], rtol=2e-5, atol=1e-6, err_msg=name)
            else:
                assert other[name].tolist() == one[name].tolist(), name


@pytest.mark.parametrize("frame", CARDS)
def test_centroids_are_where_astropy_puts_their_pixels(outputs, frame):
    """In ICRS, right ascension from 0 to 360 degrees, to .1 mas: what double precision leaves of degrees."""
    measured = outputs(frame)[0]
    x, y = WCS(header_in("ICRS")).all_world2pix(outputs("ICRS")[0]["gm_racen"], outputs("ICRS")[0]["gm_deccen"], 0)
    expected = icrs_of(header_in(frame), x, y)
    there = SkyCoord(measured["gm_racen"], measured["gm_deccen"])
    assert there.separation(expected).arcsec.max() < 1e-4
    assert np.all((measured["gm_racen"] >= 0) & (measured["gm_racen"] < 360))
    if "across" in frame:
        assert (measured["gm_racen"] > 359).any()
        assert (measured["gm_racen"] < 1).any()


@pytest.mark.parametrize("frame", CARDS)
def test_position_angles_are_counted_from_the_north_of_icrs(outputs, frame):
    """They turn as the axes of the image do, to .001 degrees."""
    base, measured = outputs("ICRS")[0], outputs(frame)[0]
    turn = x_axis_of(header_in(frame), *small_sky.XY.T) - x_axis_of(header_in("ICRS"), *small_sky.XY.T)
    off = (np.asarray(measured["gm_pa"]) - np.asarray(base["gm_pa"]) - turn + 90.0) % 180.0 - 90.0
    assert np.abs(off).max() < 1e-3
