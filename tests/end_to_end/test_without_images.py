"""The first sentence of the README: a catalogue and a band, and nothing else."""

from __future__ import annotations

import dataclasses
import gzip
import shutil

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Fault, Loopback

import galmorph
from galmorph.errors import CatalogError, ImageError, SurveyError
from galmorph.flags import Flag
from galmorph.shipped import shipped
from galmorph.sky.survey import load_survey

SAMPLE = shipped("catalogs") / "samples" / "candels-h"


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mosaic")
    for name in ("image", "weight"):
        (folder / f"{name}.fits").write_bytes(gzip.decompress((SAMPLE / f"{name}.fits.gz").read_bytes()))
    return folder


@pytest.fixture
def archive(archive: Loopback, mosaic):
    archive.files |= {"/drz.fits": mosaic / "image.fits", "/wht.fits": mosaic / "weight.fits"}
    return archive


def survey_at_the(archive: Loopback, **changes: object):
    """Return CANDELS with one field, which is on a server of this machine."""
    candels = load_survey("candels")
    ra, dec = (np.median(galmorph.read_catalog(SAMPLE / "catalog.fits").table[name]) for name in ("ra", "dec"))
    field = dataclasses.replace(
        candels.fields[0], ra_deg=float(ra), dec_deg=float(dec), base_url=f"{archive.base}/",
        mosaics={"F160W": "drz.fits"}, weights={"F160W": "wht.fits"},
    )  # fmt: skip
    return dataclasses.replace(candels, fields=(dataclasses.replace(field, **changes),))


def test_rows_get_the_values_that_local_files_give(archive, mosaic):
    remote = galmorph.measure(SAMPLE / "catalog.fits", survey=survey_at_the(archive), band="H")
    local = galmorph.measure(
        SAMPLE / "catalog.fits", mosaic / "image.fits", weight=mosaic / "weight.fits", survey="candels", band="H"
    )
    assert remote.colnames == local.colnames
    for name in local.colnames:
        np.testing.assert_array_equal(np.asarray(remote[name]), np.asarray(local[name]), err_msg=name)
    assert archive.asked("/drz.fits")


def test_what_was_fetched_serves_offline(archive):
    survey = survey_at_the(archive)
    first = galmorph.measure(SAMPLE / "catalog.fits", survey=survey, band="H")
    archive.requests.clear()
    again = galmorph.measure(SAMPLE / "catalog.fits", survey=survey, band="H", offline=True)
    np.testing.assert_array_equal(np.asarray(first["gm_rpet"]), np.asarray(again["gm_rpet"]))
    assert archive.requests == []


@pytest.fixture
def large(archive, tmp_path):
    """Two galaxies far from each other on a mosaic that is not read as a whole; return their table and the survey."""
    side = 2400
    pixels = np.random.default_rng(1).normal(0, 0.01, (side, side)).astype(np.float32)
    header = small_sky.header()
    header["CRPIX1"] = header["CRPIX2"] = side / 2
    places = np.array([[1200.0, 300.0], [1200.0, 2100.0]])
    for x, y in places.astype(int):
        pixels[y - 40 : y + 41, x - 40 : x + 41] += small_sky.light((81, 81), 40, 40, 3.0)
    fits.writeto(tmp_path / "large.fits", pixels, header)
    ra, dec = WCS(header).all_pix2world(places[:, 0], places[:, 1], 0)
    archive.files["/drz.fits"] = tmp_path / "large.fits"
    return Table({"ra": ra, "dec": dec}), survey_at_the(archive, ra_deg=215.0, dec_deg=52.9, weights={})


@pytest.mark.parametrize("detect", ["blocks", "cutouts"])
def test_rows_whose_pixels_cannot_be_had_are_flagged_and_the_others_go_on(archive, large, tmp_path, detect):
    """The archive breaks down between two galaxies of a large mosaic: neither row is lost.

    Nor does one get other values because only a part of its block is there.
    """
    table, survey = large

    def measured():
        return galmorph.measure(table, survey=survey, band="H", detect=detect)

    whole = measured()
    assert not np.any(np.asarray(whole["gm_flags"]) & int(Flag.FETCH_FAILED))
    requests = len(archive.requests)
    shutil.rmtree(tmp_path / "cache")
    archive.faults["/drz.fits"] = [Fault()] * (requests - 1) + [Fault(404)] * 99
    partly = measured()
    failed = (np.asarray(partly["gm_flags"]) & int(Flag.FETCH_FAILED)) > 0
    assert failed.tolist() == [False, True]
    assert partly["gm_rpet"][0] == whole["gm_rpet"][0]


def test_what_does_not_apply_is_refused(mosaic):
    image = mosaic / "image.fits"
    with pytest.raises(ImageError, match="there are no images: expected files"):
        galmorph.measure(SAMPLE / "catalog.fits")
    with pytest.raises(ImageError, match="weight was given without images"):
        galmorph.measure(SAMPLE / "catalog.fits", weight=mosaic / "weight.fits", band="H")
    with pytest.raises(ImageError, match="field was given with images"):
        galmorph.measure(SAMPLE / "catalog.fits", image, field="uds")
    with pytest.raises(ImageError, match="offline was given with images"):
        galmorph.measure(SAMPLE / "catalog.fits", image, offline=True)
    with pytest.raises(SurveyError, match="no survey has mosaics of it where the rows are"):
        galmorph.measure(Table({"ra": [10.0], "dec": [80.0]}), band="H")
    with pytest.raises(CatalogError, match="no sky positions"):
        galmorph.measure(Table({"x": [10.0], "y": [80.0]}), band="H")
