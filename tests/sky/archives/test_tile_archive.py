"""Mosaics of archives: which are looked at, what is fetched of them, and that it is read as a local file is."""

from __future__ import annotations

import dataclasses
import gzip
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.wcs import WCS
from conformance.image_sources import ImageSourceTests
from loopback import Fault, Loopback, serving

from galmorph.errors import ArchiveError, SurveyError
from galmorph.runs import blocks
from galmorph.sky.archives import mosaic_transfer, open_mosaics, survey_at
from galmorph.sky.archives.mosaic_file import whole_file
from galmorph.sky.archives.tile_archive import fields_of
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.remote import Cache, Client, Manners, partial_file
from galmorph.sky.remote.link import Link
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
    fits.writeto(tmp_path / "sip_wht.fits", np.ones((small_sky.SIDE, small_sky.SIDE), np.float32), header)
    archive.files |= {"/here/h_drz.fits": tmp_path / "sip.fits", "/here/h_wht.fits": tmp_path / "sip_wht.fits"}
    survey = survey_of(archive.base)
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


def another(survey: Survey, name: str, **changes: object) -> Survey:
    """Return a survey with one more field, which lies beside the first."""
    first = survey.fields[0]
    changes = {"name": name, "ra_deg": 215.02, "mosaics": {"F160W": f"{name}.fits"}, "weights": {}} | changes
    return dataclasses.replace(survey, fields=(first, dataclasses.replace(first, **changes)))


def beside(folder: Path, name: str) -> Path:
    """Write a mosaic that lies beside the small sky."""
    header = small_sky.header()
    header["CRVAL1"] = 215.02
    fits.writeto(folder / name, small_sky.field(), header)
    return folder / name


def opened(survey: Survey, folder: Path, ra=RA, dec=DEC, *, way: str = "auto", offline: bool = False) -> ImageSource:
    client = Client(QUICK, offline=offline)
    return open_mosaics(survey, "H", ra, dec, way=way, client=client, cache=Cache(folder / "cache"))


def test_a_mosaic_is_downloaded_as_a_whole_where_that_is_asked_for(archive: Loopback, tmp_path):
    opened(survey_of(archive.base), tmp_path, way="whole")
    entries = Cache(tmp_path / "cache").entries()
    assert [entry.is_whole for entry in entries] == [True, True]
    for name, entry in zip(("image", "weight"), sorted(entries, key=lambda each: each.url), strict=True):
        assert entry.path.read_bytes() == (tmp_path / f"{name}.fits").read_bytes()
    asked = len(archive.requests)
    opened(survey_of(archive.base), tmp_path, way="whole", offline=True)
    assert len(archive.requests) == asked


def test_checksums_that_stand_in_a_mosaic_are_compared(archive: Loopback, tmp_path):
    with fits.open(tmp_path / "image.fits") as hdus:
        hdus.writeto(tmp_path / "sums.fits", checksum=True)
    damaged = bytearray((tmp_path / "sums.fits").read_bytes())
    archive.files["/here/h_drz.fits"] = tmp_path / "sums.fits"
    survey = survey_of(archive.base, weights={})
    assert opened(survey, tmp_path / "sound", way="whole").tile_names
    damaged[-5000] ^= 64
    archive.files["/here/h_drz.fits"] = bytes(damaged)
    with pytest.raises(ArchiveError, match="its DATASUM is that of other pixels"):
        opened(survey, tmp_path, way="whole")
    assert Cache(tmp_path / "cache").entries() == []


def test_a_field_that_cannot_be_had_costs_its_rows_and_no_others(archive: Loopback, tmp_path, caplog):
    survey = another(survey_of(archive.base), "gone")
    ra, dec = np.append(RA, 215.02), np.append(DEC, 52.9)
    source = opened(survey, tmp_path, ra, dec)
    assert "field gone could not be fetched" in caplog.text
    where = source.locate(ra, dec)
    assert where.tile.tolist() == [0] * len(RA) + [1]
    with pytest.raises(ArchiveError, match=r"gone\.fits was refused \(404"):
        source.cutout(1, where.x[-1], where.y[-1], 20)


def test_rows_of_two_fields_are_read_in_one_run_and_rows_in_none_have_no_image(archive: Loopback, tmp_path):
    archive.files["/here/next.fits"] = beside(tmp_path, "next.fits")
    survey = another(survey_of(archive.base), "next")
    ra, dec = [RA[0], 215.02, 215.01, np.nan], [DEC[0], 52.9, 52.9, 0.0]
    source = opened(survey, tmp_path, ra, dec)
    assert source.locate(ra, dec).tile.tolist() == [0, 1, -1, -1]


def test_a_field_that_is_read_by_its_name_alone_is_not_opened_without_it(archive: Loopback, tmp_path):
    archive.files["/here/next.fits"] = beside(tmp_path, "next.fits")
    survey = another(survey_of(archive.base), "next", only_by_name=True)
    assert len(opened(survey, tmp_path).tile_names) == 1
    source = open_mosaics(
        survey, "H", [215.02], [52.9], field="next", client=Client(QUICK), cache=Cache(tmp_path / "cache")
    )
    assert source.locate([215.02], [52.9]).tile.tolist() == [0]


def compressed(path: Path) -> Path:
    path.with_name(path.name + ".gz").write_bytes(gzip.compress(path.read_bytes()))
    return path.with_name(path.name + ".gz")


def test_of_compressed_mosaics_those_are_downloaded_on_which_rows_lie(archive: Loopback, tmp_path):
    noise = np.random.default_rng(1).normal(0, 1, (400, 400)).astype(np.float32)
    header = small_sky.header()
    header["CRVAL1"] = 215.02
    fits.writeto(tmp_path / "next.fits", noise, header)
    archive.files |= {
        "/here/h_drz.fits.gz": compressed(tmp_path / "image.fits"),
        "/here/next.fits.gz": compressed(tmp_path / "next.fits"),
    }
    survey = survey_of(archive.base, weights={}, mosaics={"F160W": "h_drz.fits.gz"}, shape=None)
    survey = another(survey, "next", mosaics={"F160W": "next.fits.gz"})
    source = opened(survey, tmp_path)
    local = open_images(tmp_path / "image.fits", survey=CANDELS, band="H")
    np.testing.assert_array_equal(source.cutout(0, 120.0, 120.0, 20).planes, local.cutout(0, 120.0, 120.0, 20).planes)
    assert len(source.tile_names) == 1
    assert [entry.is_whole for entry in sorted(Cache(tmp_path / "cache").entries(), key=lambda e: e.url)] == [
        True,
        False,
    ]
    asked = len(archive.requests)
    opened(survey, tmp_path, offline=True)
    assert len(archive.requests) == asked
    with pytest.raises(SurveyError, match="none of the positions lies on the mosaics of here, next"):
        opened(survey, tmp_path, [215.01], [52.9])
    with pytest.raises(SurveyError, match="cannot be read in parts"):
        opened(survey, tmp_path, way="parts")


def test_a_download_goes_on_in_another_run(archive: Loopback, tmp_path):
    fits.writeto(tmp_path / "noise.fits", np.random.default_rng(1).normal(0, 1, (400, 400)).astype(np.float32))
    archive.files["/here/noise.fits.gz"] = compressed(tmp_path / "noise.fits")
    url, cache = f"{archive.base}/here/noise.fits.gz", Cache(tmp_path / "cache")
    archive.faults["/here/noise.fits.gz"] = [Fault(), Fault(cut_at=200_000), Fault(404)]
    with pytest.raises(ArchiveError, match="404"):
        whole_file(url, Client(QUICK), cache)
    archive.requests.clear()
    assert whole_file(url, Client(QUICK), cache).read_bytes() == (tmp_path / "noise.fits.gz").read_bytes()
    assert int(archive.requests[0].headers["range"][6:].partition("-")[0]) > 190_000


def test_a_host_without_ranges_gives_compressed_mosaics_all_the_same(archive: Loopback, tmp_path):
    archive.files["/here/h_drz.fits.gz"] = compressed(tmp_path / "image.fits")
    archive.faults["/here/h_drz.fits.gz"] = [Fault(ignores_range=True)] * 9
    survey = survey_of(archive.base, weights={}, mosaics={"F160W": "h_drz.fits.gz"})
    assert opened(survey, tmp_path).cutout(0, 120.0, 120.0, 20).shape == (41, 41)


@pytest.mark.parametrize(("bytes_per_s", "is_whole"), [(1e12, True), (1e3, False)])
def test_what_takes_less_time_is_done(tmp_path, monkeypatch, bytes_per_s, is_whole):
    """Many requests for many blocks: on a fast line the whole file is quicker, on a slow one the parts are."""
    monkeypatch.setattr(mosaic_transfer, "Link", lambda: Link(latency_s=1.0, bytes_per_s=bytes_per_s))
    monkeypatch.setattr(partial_file, "Link", lambda: Link(latency_s=1.0, bytes_per_s=bytes_per_s))
    monkeypatch.setattr(mosaic_transfer, "BLOCK_PX", 100)
    monkeypatch.setattr(mosaic_transfer, "MARGIN_PX", 10)
    large_mosaic(tmp_path)
    with serving() as archive:
        archive.files["/here/h_drz.fits"] = tmp_path / "large.fits"
        survey = survey_of(archive.base, shape=(LARGE, LARGE), weights={})
        wcs = WCS(fits.getheader(tmp_path / "large.fits"))
        x, y = np.random.default_rng(1).uniform(1100, 1500, (2, 40))
        opened(survey, tmp_path, *wcs.all_pix2world(x, y, 0))
        assert Cache(tmp_path / "cache").entries()[0].is_whole == is_whole


def test_the_blocks_that_are_estimated_are_those_of_detection():
    assert (mosaic_transfer.BLOCK_PX, mosaic_transfer.MARGIN_PX) == (blocks.BLOCK_PX, blocks.MARGIN_PX)


@pytest.mark.parametrize(
    "change", [lambda _: b"<html>moved</html>", lambda whole: whole[:-9], lambda whole: whole[:-8] + bytes(8)],
    ids=["page", "truncated", "damaged"],
)  # fmt: skip
def test_compressed_mosaics_that_are_damaged_are_refused_and_not_kept(archive: Loopback, tmp_path, change):
    whole = compressed(tmp_path / "image.fits").read_bytes()
    archive.files["/here/h_drz.fits.gz"] = change(whole)
    survey = survey_of(archive.base, weights={}, mosaics={"F160W": "h_drz.fits.gz"})
    with pytest.raises(ArchiveError, match="is no FITS file"):
        opened(survey, tmp_path)
    assert not any(entry.is_whole for entry in Cache(tmp_path / "cache").entries())
