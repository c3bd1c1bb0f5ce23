"""Zcut, asked by the real astroquery: which image is taken, what is refused, and that answers agree with the mosaic."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
import zcut
from astropy.table import Table
from conformance.image_sources import ImageSourceTests
from loopback import Loopback, serving

import galmorph
from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives import open_cutouts
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.remote import Cache, Client, Manners

QUICK = Manners(requests_per_s=1000, timeout_s=2.0, attempts=3, longest_wait_s=0.05, rest_s=0.0)


@pytest.fixture
def mast(tmp_path) -> Iterator[Loopback]:
    with serving() as loopback:
        zcut.serve(loopback, zcut.write_mosaic(tmp_path))
        yield loopback


def opened(mast: Loopback, folder, rows: Table | None = None, band: str = "H", *, offline: bool = False) -> ImageSource:
    catalog = catalog_from(zcut.rows() if rows is None else rows)
    client = Client(QUICK, offline=offline)
    return open_cutouts(zcut.survey_of(mast), band, catalog, client=client, cache=Cache(folder / "cache"))


class TestZcut(ImageSourceTests):
    inside = (1, 130.0, 120.0)

    def open(self, folder) -> ImageSource:
        with serving() as loopback:
            zcut.serve(loopback, zcut.write_mosaic(folder))
            return opened(loopback, folder)


def test_astroquery_asks_once_for_each_cell(mast: Loopback, tmp_path):
    source = opened(mast, tmp_path)
    assert len(mast.requests) == len(source.tile_names)
    assert {request.path.partition("?")[0] for request in mast.requests} == {zcut.PATH}
    assert "survey=candels_gn_60mas" in mast.requests[0].path
    assert "galmorph" in mast.requests[0].headers["user-agent"]
    mast.requests.clear()
    opened(mast, tmp_path, offline=True)
    opened(mast, tmp_path, band="J")
    assert mast.requests == [], "all bands come in one zip"


@pytest.mark.parametrize(("band", "factor"), [("H", 1.0), ("J", 2.0)])
def test_the_image_is_that_of_the_band_and_of_the_pixels(mast: Loopback, tmp_path, band, factor):
    source = opened(mast, tmp_path, band=band)
    local = open_images(tmp_path / "mosaic.fits", survey=source.survey, band="H")
    rows = zcut.rows()
    where, there = source.locate(rows["ra"], rows["dec"]), local.locate(rows["ra"], rows["dec"])
    for n in range(len(rows)):
        one = source.cutout(int(where.tile[n]), where.x[n], where.y[n], 40)
        other = local.cutout(0, there.x[n], there.y[n], 40)
        np.testing.assert_array_equal(one.planes, np.float32(factor) * other.planes)
        assert (one.x, one.y) == pytest.approx((other.x, other.y), abs=1e-3)
    assert source.mjysr_per_unit(0) == pytest.approx(local.mjysr_per_unit(0), rel=1e-4)


def test_rows_agree_with_those_of_the_mosaic_and_the_way_is_said(mast: Loopback, tmp_path, monkeypatch):
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "of-the-user"))
    source = opened(mast, tmp_path)
    ours = galmorph.measure(zcut.rows(), source)
    local = galmorph.measure(zcut.rows(), tmp_path / "mosaic.fits", survey="candels", band="H")
    assert (np.abs(ours["gm_rpet"] - local["gm_rpet"]) < local["gm_rpet_err"]).all()
    assert (np.abs(ours["gm_snr"] / local["gm_snr"] - 1) < 0.05).all()
    assert any("cut out by" in remark and "without their weights" in remark for remark in source.remarks)


WRONG = {
    "page": (b"<html>down</html>", "answered '<html>down"),
    "nothing": (b"", "answered ''"),
    "none there": (b'{"msg": "No images were found"}', "No images were found"),
    "no zip": (b"PK\x03\x04 and no more", "expected a zip"),
}


@pytest.mark.parametrize(("answer", "reason"), WRONG.values(), ids=WRONG)
def test_what_holds_no_cutouts_is_refused_and_not_kept(mast: Loopback, tmp_path, answer, reason):
    whole = mast.files[zcut.PATH]
    mast.files[zcut.PATH] = answer
    with pytest.raises(ArchiveError, match=reason):
        opened(mast, tmp_path, zcut.rows()[:1])
    mast.files[zcut.PATH] = whole
    assert len(opened(mast, tmp_path, zcut.rows()[:1]).tile_names) == 1


def test_a_band_that_is_not_there_is_said(mast: Loopback, tmp_path):
    with pytest.raises(ArchiveError, match="no cutout of band F814W"):
        opened(mast, tmp_path, band="I")


def test_rows_outside_all_fields_have_no_image_and_are_not_asked_for(mast: Loopback, tmp_path):
    rows = Table({"ra": [*zcut.rows()["ra"][:1], 30.0], "dec": [*zcut.rows()["dec"][:1], 5.0]})
    assert opened(mast, tmp_path, rows).locate(rows["ra"], rows["dec"]).tile.tolist() == [0, -1]
    assert len(mast.requests) == 1


def test_astroquery_is_named_where_it_is_missing(mast: Loopback, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "astroquery" else find(n, *a))
    with pytest.raises(SurveyError, match="astroquery, which asks MAST for cutouts, is not installed"):
        opened(mast, tmp_path)
