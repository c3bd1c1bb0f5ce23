"""Measurements on survey images: against truth (CEERS, simulated), a JWST catalogue (UDS) and SExtractor (SDSS)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import fitsio
import numpy as np
import pandas as pd
import pytest
from astropy.table import Table
from astropy.wcs import WCS
from galaxies import FloatArray
from PIL import Image
from scipy import stats

from galmorph.flags import Flag
from galmorph.stamps.measure import Measurement, measure

HALF = 64


def around(
    image: FloatArray, x: float, y: float, *, weight: FloatArray | None = None, psf_fwhm_px: float | None = None
) -> tuple[Measurement, float, float]:
    """Measure on a cutout; return the measurement and its centroid in the whole image."""
    left, bottom = max(round(x) - HALF, 0), max(round(y) - HALF, 0)
    window = slice(bottom, round(y) + HALF + 1), slice(left, round(x) + HALF + 1)
    cut = None if weight is None else weight[window]
    found = measure(image[window], x - left, y - bottom, weight=cut, psf_fwhm_px=psf_fwhm_px)
    return found, found.x + left, found.y + bottom


def header_wcs(path: Path, extension: int) -> WCS:
    header = fitsio.read_header(path, ext=extension)
    return WCS({k: header[k] for k in header if k and k.startswith(("CTYPE", "CRPIX", "CRVAL", "CD", "PC"))})


def test_ceers_simulated_galaxies_are_where_they_were_put(shared_data):
    path = shared_data / "ceers_sim_f150w" / "ceers5_f150w_simulated.fits"
    image = fitsio.read(path, ext=1).astype(np.float32)
    columns = ["ra", "dec", "NIRCam_F150W", "angular_size"]
    truth = pd.read_csv(shared_data / "ceers_sim_f150w" / "truth.csv", usecols=columns)
    x, y = header_wcs(path, 1).all_world2pix(np.asarray(truth["ra"]), np.asarray(truth["dec"]), 0)
    inside = (x > 60) & (x < 940) & (y > 60) & (y < 940) & (np.asarray(truth["NIRCam_F150W"]) < 26.5)
    offset, radius, size = [], [], []
    for i in np.flatnonzero(inside):
        found, at_x, at_y = around(image, x[i], y[i], psf_fwhm_px=1.7)
        if found.flags == Flag(0):
            offset.append((at_x - x[i], at_y - y[i]))
            radius.append(found.rpet_px)
            size.append(truth["angular_size"][i])
    dx, dy = np.array(offset).T
    assert inside.sum() == 43
    assert len(dx) >= 30
    # Measured: median 0.17 px, common shift 0.1 px (in right ascension), Spearman with the true size 0.88. Not
    # smaller: noise alone gives 0.07 px, and r_P follows the Sérsic index as well as the size.
    assert np.median(np.hypot(dx, dy)) < 0.25
    assert np.hypot(np.median(dx), np.median(dy)) < 0.2
    assert stats.spearmanr(radius, size).statistic > 0.8


def test_uds_centroids_and_radii_follow_a_published_catalogue(shared_data):
    folder = shared_data / "uds_f115w"
    image, weight = (fitsio.read(folder / f"uds_f115w_{kind}.fits").astype(np.float32) for kind in ("sci", "wht"))
    table = Table.read(folder / "uds_photometry.ecsv", format="ascii.commented_header")
    x, y, r50 = (np.asarray(table[name], dtype=float) for name in ("x", "y", "r50"))
    inside = (x >= 0) & (x < image.shape[1]) & (y >= 0) & (y < image.shape[0])
    rows = []
    for i in np.flatnonzero(inside):
        found, at_x, at_y = around(image, x[i], y[i], weight=weight, psf_fwhm_px=1.0)
        rows.append((np.hypot(at_x - x[i], at_y - y[i]), found.rpet_px, found.snr, r50[i], found.flags == Flag(0)))
    offset, rpet, snr, r50, good = np.array(rows).T
    good = good.astype(bool)
    assert inside.sum() == 382
    assert good.sum() >= 60
    # Measured on unflagged rows: median offset 0.6 px, Spearman of r_P with r50 0.74 to 0.77; with S/N > 20 0.6 px
    # and 0.85.
    # Not smaller: the catalogue's positions are barycentres of isophotal segments, made on other data than this band
    # (half of the segments show no source in it), and follow the clumps that a window about the brightest leaves out.
    assert np.median(offset[good]) < 0.7
    assert stats.spearmanr(rpet[good], r50[good]).statistic > 0.7
    bright = good & (snr > 20)
    assert bright.sum() >= 35
    assert np.median(offset[bright]) < 0.7
    assert stats.spearmanr(rpet[bright], r50[bright]).statistic > 0.8


@pytest.fixture(scope="module")
def sdss(shared_data: Path) -> np.ndarray:
    """Rows of (dx, dy, r_P, SExtractor's Petrosian radius, unflagged) of 150 galaxies, on the 424-px frame."""
    table = Table.read(shared_data / "sdss_gz2" / "sextractor.csv", format="ascii.csv")
    rows = []
    with zipfile.ZipFile(shared_data / "sdss_gz2" / "images.zip") as archive:
        for row in table[:: len(table) // 150][:150]:
            picture = Image.open(io.BytesIO(archive.read(str(row["file"])))).convert("RGB")
            green = np.asarray(picture, dtype=np.float32)[..., 1]
            border = (424 - len(green)) / 2
            found = measure(green, (len(green) - 1) / 2, (len(green) - 1) / 2, saturation=np.inf)
            # SExtractor counts pixels from 1.
            dx, dy = found.x + border - (row["x_424"] - 1), found.y + border - (row["y_424"] - 1)
            petro = 0.5 * row["petro_radius_a"] * row["a_image"]  # twice r_P in units of A_IMAGE
            rows.append((dx, dy, found.rpet_px, petro, found.flags == Flag(0)))
    return np.array(rows)


def test_sdss_centres_agree_with_sextractor(sdss):
    dx, dy, rpet, _, good = sdss.T
    good = good.astype(bool)
    offset = np.hypot(dx, dy)
    assert len(sdss) == 150
    assert np.isfinite(offset).all()
    assert good.sum() > 110
    # Measured: 1.9 px (4 % of r_P), no common shift beyond 0.4 px. Not smaller: SExtractor's are isophotal barycentres,
    # which follow lopsided arms and blended neighbours; the window about the nucleus does not.
    assert np.median(offset[good]) < 2.5
    assert np.median(offset[good] / rpet[good]) < 0.06
    assert np.hypot(np.median(dx[good]), np.median(dy[good])) < 0.7


def test_sdss_petrosian_radii_rank_like_sextractors(sdss):
    _, _, rpet, petro, good = sdss.T
    good = good.astype(bool)
    # SExtractor's ellipses, semi-major axis: larger than our circles by the square root of the axis ratio, roughly.
    assert stats.spearmanr(rpet[good], petro[good]).statistic > 0.7
    assert 0.7 < np.median(rpet[good] / petro[good]) < 1.0
