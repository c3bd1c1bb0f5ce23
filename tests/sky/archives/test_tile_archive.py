"""Mosaics of archives: which are looked at, what is fetched of them, and that it is read as a local file is."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from conformance.image_sources import ImageSourceTests
from loopback import Fault, Loopback, serving

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives import open_mosaics, survey_at
from galmorph.sky.archives.tile_archive import fields_of
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.remote import Cache, Client, Manners
from galmorph.sky.survey import Field, Survey, load_survey

QUICK = Manners(requests_per_s=1000, timeout_s=0.5, attempts=2, longest_wait_s=0.05)
CANDELS = load_survey("candels")
RA, DEC = small_sky.sky_of(small_sky.XY)
LARGE = 3000
"""Side of a mosaic that is not read as a whole."""


def survey_of(base: str, **changes: object) -> Survey:
    """Return CANDELS with one field, which is on a server of this machine."""
    field = Field("here", "a field of the tests", 215.0, 52.9, "", (small_sky.SIDE, small_sky.SIDE), f"{base}/here/")
    field = dataclasses.replace(field, mosaics={"F160W": "h_drz.fits"}, weights={"F160W": "h_wht.fits"})
    return dataclasses.replace(CANDELS, fields=(dataclasses.replace(field, **changes),))


@pytest.fixture
def archive(tmp_path):
    sky = small_sky.write_sky(tmp_path)
    with serving() as loopback:
        loopback.files |= {"/here/h_drz.fits": sky.image, "/here/h_wht.fits": sky.weight}
        yield loopback


class TestMosaics(ImageSourceTests):
    def open(self, folder) -> ImageSource:
        sky = small_sky.write_sky(folder)
        with serving() as loopback:
            loopback.files |= {"/here/h_drz.fits": sky.image, "/here/h_wht.fits": sky.weight}
            survey, cache = survey_of(loopback.base), Cache(folder / "cache")
            source = open_mosaics(survey, "H", RA, DEC, client=Client(QUICK), cache=cache)
            source.cutout(*self.inside, 100)  # so that the rest is here when the server is gone
        return source


def large_mosaic(folder) -> tuple[fits.PrimaryHDU, np.ndarray]:
    """Write a mosaic of noise; return it with its pixels."""
    pixels = np.random.default_rng(5).normal(0, 1, (LARGE, LARGE)).astype(np.float32)
    header = small_sky.header()
    header["CRPIX1"] = header["CRPIX2"] = LARGE / 2
    hdu = fits.PrimaryHDU(pixels, header)
    hdu.writeto(folder / "large.fits")
    return hdu, pixels


def test_a_window_is_read_and_little_else(tmp_path):
    _, pixels = large_mosaic(tmp_path)
    with serving() as archive:
        archive.files["/here/h_drz.fits"] = tmp_path / "large.fits"
        survey = survey_of(archive.base, shape=(LARGE, LARGE), weights={})
        cache = Cache(tmp_path / "cache")
        source = open_mosaics(survey, "H", [215.0], [52.9], client=Client(QUICK), cache=cache)
        window = source.cutout(0, 1500.0, 700.0, 64).planes[0]
        np.testing.assert_array_equal(window, pixels[700 - 64 : 700 + 65, 1500 - 64 : 1500 + 65])
        (entry,) = cache.entries()
        assert entry.bytes < 0.4 * pixels.nbytes
        assert not entry.is_whole
        asked = len(archive.requests)
        again = open_mosaics(survey, "H", [215.0], [52.9], client=Client(QUICK, offline=True), cache=cache)
        np.testing.assert_array_equal(again.cutout(0, 1500.0, 700.0, 64).planes[0], window)
        assert len(archive.requests) == asked


def test_the_pixels_are_those_of_the_files(archive: Loopback, tmp_path):
    survey = survey_of(archive.base)
    source = open_mosaics(survey, "H", RA, DEC, client=Client(QUICK), cache=Cache(tmp_path / "cache"))
    local = open_images(tmp_path / "image.fits", weight=tmp_path / "weight.fits", survey=CANDELS, band="H")
    for x, y in small_sky.XY:
        one, other = (each.cutout(0, x, y, 20) for each in (source, local))
        np.testing.assert_array_equal(one.planes, other.planes)
        np.testing.assert_array_equal(one.weight, other.weight)


def test_leftover_distortion_is_dropped_as_of_local_files(archive: Loopback, tmp_path):
    header = small_sky.header()
    header["CTYPE1"], header["CTYPE2"] = "RA---TAN-SIP", "DEC--TAN-SIP"
    header["A_ORDER"] = header["B_ORDER"] = 2
    header["A_2_0"] = 1e-3
    fits.writeto(tmp_path / "sip.fits", small_sky.field(), header)
    archive.files["/here/h_drz.fits"] = tmp_path / "sip.fits"
    survey = survey_of(archive.base, weights={})
    source = open_mosaics(survey, "H", RA, DEC, client=Client(QUICK), cache=Cache(tmp_path / "cache"))
    where = source.locate(RA, DEC)
    np.testing.assert_allclose(np.c_[where.x, where.y], small_sky.XY, atol=1e-6)


def test_only_fields_near_the_rows_are_opened():
    band = CANDELS.band("H")
    assert [f.name for f in fields_of(CANDELS, band, [34.4, np.nan, 10.0], [-5.2, 0.0, 80.0])] == ["uds"]
    assert [f.name for f in fields_of(CANDELS, band, [34.4, 150.1], [-5.2, 2.2])] == ["uds", "cosmos"]
    assert [f.name for f in fields_of(CANDELS, band, [34.4, 150.1], [-5.2, 2.2], "cosmos")] == ["cosmos"]
    with pytest.raises(SurveyError, match="none of the positions lies in the mosaics"):
        fields_of(CANDELS, band, [10.0], [80.0])
    with pytest.raises(SurveyError, match="none of the positions"):
        fields_of(CANDELS, band, [], [])
    with pytest.raises(SurveyError, match="field of survey 'candels'"):
        fields_of(CANDELS, band, [34.4], [-5.2], "xdf")


@pytest.mark.parametrize("field", CANDELS.fields, ids=lambda field: field.name)
def test_every_field_of_candels_is_found_by_position(field):
    assert survey_at("H", [field.ra_deg], [field.dec_deg]).name == "candels"


def test_positions_in_no_survey_are_said():
    with pytest.raises(SurveyError, match="no survey has mosaics of it where the rows are"):
        survey_at("H", [10.0], [80.0])
    with pytest.raises(SurveyError, match="no survey has mosaics"):
        survey_at("nonsense", [34.4], [-5.2])


def test_a_mosaic_that_is_not_there_is_said(archive: Loopback, tmp_path):
    del archive.files["/here/h_wht.fits"]
    with pytest.raises(ArchiveError, match=r"h_wht\.fits was refused \(404"):
        open_mosaics(survey_of(archive.base), "H", RA, DEC, client=Client(QUICK), cache=Cache(tmp_path / "cache"))


def test_a_host_that_was_given_up_rests(archive: Loopback, tmp_path):
    archive.faults["/here/h_drz.fits"] = [Fault(503)] * 99
    client, cache = Client(QUICK), Cache(tmp_path / "cache")
    for reason in ("503", "did not answer a moment ago"):
        with pytest.raises(ArchiveError, match=reason):
            open_mosaics(survey_of(archive.base), "H", RA, DEC, client=client, cache=cache)
    assert len(archive.requests) == QUICK.attempts
