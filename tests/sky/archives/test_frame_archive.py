"""Frames of the SDSS: asked for once, whatever the rows; faults of the servers; and pixels as those of the files."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import numpy as np
import pytest
import sdss_frames
from astropy.table import Table
from conformance.image_sources import ImageSourceTests
from loopback import Fault, Loopback, serving
from sdss_frames import CROSSID, FIELDS

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives import open_frames
from galmorph.sky.catalog import Catalog, catalog_from
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.remote import Cache, Client, Manners
from galmorph.sky.survey import load_survey

QUICK = Manners(requests_per_s=1000, timeout_s=2.0, attempts=3, longest_wait_s=0.05, rest_s=0.0)
FIRST, SECOND = FIELDS


@pytest.fixture
def server() -> Iterator[Loopback]:
    with serving() as loopback:
        sdss_frames.serve(loopback)
        yield loopback


def rows(*fields: sdss_frames.SdssField) -> Catalog:
    """Return the galaxies of some fields."""
    ra, dec = np.concatenate([field.sky for field in fields], axis=1)
    return catalog_from(Table({"ra": ra, "dec": dec}))


def opened(
    server: Loopback, folder, catalog: Catalog | None = None, band: str = "gri", *, offline: bool = False
) -> ImageSource:
    survey, cache = sdss_frames.survey_of(server), Cache(folder / "cache")
    client = Client(QUICK, offline=offline)
    return open_frames(survey, band, rows(*FIELDS) if catalog is None else catalog, client=client, cache=cache)


class TestFrames(ImageSourceTests):
    inside = (0, 120.3, 90.6)

    def open(self, folder) -> ImageSource:
        with serving() as loopback:
            sdss_frames.serve(loopback)
            return opened(loopback, folder)


class TestPartOfTheFrames(ImageSourceTests):
    """Conform, with a frame that could not be fetched."""

    inside = (0, 120.3, 90.6)

    def open(self, folder) -> ImageSource:
        with serving() as loopback:
            sdss_frames.serve(loopback)
            del loopback.files[SECOND.path("r")]
            return opened(loopback, folder, band="r")


def test_many_rows_in_a_field_cost_one_query_and_one_frame_a_band(server: Loopback, tmp_path):
    xy = np.random.default_rng(2).uniform((5, 5), (274, 194), (10_000, 2))
    ra, dec = FIRST.wcs("r").all_pix2world(xy, 0).T
    source = opened(server, tmp_path, catalog_from(Table({"ra": ra, "dec": dec})))
    assert len(server.asked(CROSSID)) == 1
    assert len(sdss_frames.asked_positions(server.asked(CROSSID)[0])) < 100, "cells, and not rows"
    frames = [request.path for request in server.requests if "/frames/" in request.path]
    assert sorted(frames) == [FIRST.path(band) for band in "gir"]
    where = source.locate(ra, dec)
    assert (where.tile == 0).all()
    np.testing.assert_allclose(np.c_[where.x, where.y], xy, atol=1e-5)
    server.requests.clear()
    opened(server, tmp_path, catalog_from(Table({"ra": ra, "dec": dec})), offline=True)
    assert server.requests == []


@pytest.mark.parametrize("band", ["gri", "r"])
def test_the_pixels_are_those_of_the_files(server: Loopback, tmp_path, band):
    source = opened(server, tmp_path, rows(FIRST), band)
    files = {}
    for each in band:
        files[each] = tmp_path / f"{each}.fits.bz2"
        files[each].write_bytes(server.files[FIRST.path(each)])
    local = open_images(files if len(band) == 3 else files["r"], survey=load_survey("sdss"), band=band)
    for x, y in FIRST.xy:
        one, other = (each.cutout(0, x, y, 40) for each in (source, local))
        np.testing.assert_array_equal(one.planes, other.planes)
    assert source.remarks == ()
    assert (
        source.mjysr_per_unit(0) == pytest.approx(load_survey("sdss").band("r").mjysr_per_unit(), rel=1e-3)
        or band != "r"
    )
    assert source.n_planes == len(band)


def test_bands_are_brought_together(server: Loopback, tmp_path):
    """The frames of a field differ by some pixels: colours are those of the middle where the galaxy is."""
    cutout = opened(server, tmp_path, rows(FIRST)).cutout(0, *FIRST.xy[0], 20)
    y, x = np.indices(cutout.shape)
    centres = np.array([[np.average(axis, weights=plane) for axis in (x, y)] for plane in cutout.planes])
    np.testing.assert_allclose(centres - [cutout.x, cutout.y], 0, atol=0.3)


def test_each_field_is_fetched_once_and_rows_outside_have_none(server: Loopback, tmp_path):
    ra, dec = (np.concatenate(values) for values in zip(FIRST.sky, SECOND.sky, FIRST.sky, strict=True))
    table = Table({"ra": [*ra, np.nan, 180.0], "dec": [*dec, 0.0, 60.0]})
    source = opened(server, tmp_path, catalog_from(table), "r")
    assert sum("/frames/" in request.path for request in server.requests) == 2
    tiles = source.locate(table["ra"], table["dec"]).tile
    assert (tiles >= 0).tolist() == [True] * 5 + [False] * 2


def test_rows_of_frames_that_cannot_be_had_are_known(server: Loopback, tmp_path, caplog):
    del server.files[SECOND.path("g")]
    source = opened(server, tmp_path)
    assert "frames of 1 of 2 fields could not be fetched" in caplog.text
    where = source.locate([*FIRST.sky[0], *SECOND.sky[0], 180.0], [*FIRST.sky[1], *SECOND.sky[1], 60.0])
    assert where.tile.tolist() == [0, 0, 1, -1]
    with pytest.raises(ArchiveError, match=r"frame-g-000094-1-0012.*404"):
        source.cutout(1, where.x[2], where.y[2], 20)
    assert np.isnan(source.sky([1], [0.0], [0.0])).all()


@pytest.mark.parametrize(
    ("change", "reason"),
    [(lambda _: b"<html></html>", "is no frame"), (lambda whole: whole[:2000], "is no frame")],
    ids=["page", "truncated"],
)
def test_what_stays_broken_is_said(server: Loopback, tmp_path, change, reason):
    server.files[FIRST.path("r")] = change(server.files[FIRST.path("r")])
    with pytest.raises(ArchiveError, match=reason):
        opened(server, tmp_path, rows(FIRST), "r")


def test_a_query_that_fails_is_said(server: Loopback, tmp_path):
    server.faults[CROSSID] = [Fault(body=b"<html>The query timed out</html>")] * 2
    with pytest.raises(ArchiveError, match="expected a table of objects"):
        opened(server, tmp_path, rows(FIRST), "r")


@pytest.mark.parametrize("status", [302, 307])
def test_positions_are_sent_to_no_other_host(server: Loopback, tmp_path, status):
    with serving() as elsewhere:
        elsewhere.files[CROSSID] = b"run\n"
        server.faults[CROSSID] = [Fault(status, {"Location": elsewhere.base + CROSSID})]
        with pytest.raises(ArchiveError, match="what is asked is sent to no other"):
            opened(server, tmp_path, rows(FIRST), "r")
        assert elsewhere.requests == []


def test_positions_without_images_are_said(server: Loopback, tmp_path):
    for ra, dec in ((180.0, 60.0), (np.nan, 0.0)):
        with pytest.raises(SurveyError, match="has no images where the rows are"):
            opened(server, tmp_path, catalog_from(Table({"ra": [ra], "dec": [dec]})), "r")


def test_astroquery_is_named_where_it_is_missing(server: Loopback, tmp_path, monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n, *a: None if n == "astroquery" else find(n, *a))
    with pytest.raises(SurveyError, match=r"pip install 'galmorph\[sdss\]'"):
        opened(server, tmp_path)
    with pytest.raises(SurveyError, match="'legacy' has no frames that can be fetched"):
        open_frames(load_survey("legacy"), "r", rows(FIRST), cache=Cache(tmp_path))
