"""Cutouts as FITS: which cells are asked for, what is refused, and that pixels are those of the files."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import numpy as np
import pytest
import skyviewer
from astropy.io import fits
from astropy.table import Table
from conformance.image_sources import ImageSourceTests
from hypothesis import given
from hypothesis import strategies as st
from loopback import Fault, Loopback, Request, serving

import galmorph
from galmorph.errors import ArchiveError, SurveyError
from galmorph.flags import Flag
from galmorph.sky.archives import open_cutouts
from galmorph.sky.archives.cutout_grid import CutoutGrid
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageSource
from galmorph.sky.remote import Cache, Client, Manners
from galmorph.sky.survey import load_survey

QUICK = Manners(requests_per_s=1000, timeout_s=2.0, attempts=3, longest_wait_s=0.05, rest_s=0.0)


@pytest.fixture
def viewer() -> Iterator[Loopback]:
    with serving() as loopback:
        loopback.files[skyviewer.PATH] = skyviewer.cut
        yield loopback


def opened(
    viewer: Loopback, folder, rows: Table | None = None, band: str = "r", *, offline: bool = False, **changes: object
) -> ImageSource:
    catalog = catalog_from(skyviewer.rows() if rows is None else rows)
    survey, cache = skyviewer.survey_of(viewer, **changes), Cache(folder / "cache")
    return open_cutouts(survey, band, catalog, client=Client(QUICK, offline=offline), cache=cache)


class TestCutouts(ImageSourceTests):
    inside = (1, 130.0, 120.0)

    def open(self, folder) -> ImageSource:
        with serving() as loopback:
            loopback.files[skyviewer.PATH] = skyviewer.cut
            return opened(loopback, folder)


def test_rows_that_are_near_share_a_cutout_and_it_is_asked_for_once(viewer: Loopback, tmp_path):
    rows = skyviewer.rows()
    source = opened(viewer, tmp_path, rows)
    assert len(viewer.requests) == 3
    where = source.locate(rows["ra"], rows["dec"])
    assert where.tile[0] == where.tile[1]
    assert len(set(where.tile.tolist())) == 3
    assert ((where.x > 63) & (where.x < 192) & (where.y > 63) & (where.y < 192)).all(), "margins on all sides"
    assert "layer=ls-dr10&pixscale=0.262&size=256&bands=r&invvar" in viewer.requests[0].path
    viewer.requests.clear()
    again = opened(viewer, tmp_path, rows, offline=True)
    np.testing.assert_array_equal(again.cutout(0, 130.0, 130.0, 60).planes, source.cutout(0, 130.0, 130.0, 60).planes)
    assert viewer.requests == []


def test_pixels_weights_and_units_are_those_of_the_file(viewer: Loopback, tmp_path):
    source = opened(viewer, tmp_path)
    cutout = source.cutout(0, 130.0, 120.0, 40)
    ra = re.findall(r"cutout (\d+\.\d{6})", source.tile_names[0])[0]
    cell = next(request for request in viewer.requests if f"?ra={ra}&" in request.path)
    with fits.open(io.BytesIO(skyviewer.cut(cell))) as hdus:
        window = slice(120 - 40, 120 + 41), slice(130 - 40, 130 + 41)
        np.testing.assert_array_equal(cutout.planes[0], hdus[0].data[window])
        np.testing.assert_array_equal(cutout.weight, hdus[1].data[window])
    assert source.mjysr_per_unit(0) == pytest.approx(load_survey("legacy").band("r").mjysr_per_unit(), rel=1e-3)
    assert any("cut out by" in remark and "resampled there" in remark for remark in source.remarks)


def test_three_bands_come_in_one_file(viewer: Loopback, tmp_path):
    source = opened(viewer, tmp_path, band="RGB")
    assert len(viewer.requests) == 3
    assert "bands=grz" in viewer.requests[0].path
    assert source.n_planes == 3
    assert source.bands == ("z", "r", "g")
    assert np.isfinite(source.cutout(0, 130.0, 120.0, 40).planes).all()


def test_what_a_row_is_measured_on_does_not_depend_on_others(viewer: Loopback):
    rows = skyviewer.rows()
    survey = skyviewer.survey_of(viewer)
    whole = _measured(rows, survey)
    for n in range(len(rows)):
        assert _measured(rows[n : n + 1], survey)["gm_rpet"][0] == whole["gm_rpet"][n]


def _measured(rows: Table, survey) -> Table:
    return galmorph.measure(rows, survey=survey, band="r")


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "of-the-user"))


def test_wider_cutouts_than_the_server_gives_are_refused_before_it_is_asked():
    with pytest.raises(SurveyError, match="tile_px = 4000, expected 1 to 3000"):
        skyviewer.survey_of(Loopback("http://127.0.0.1"), tile_px=4000)


def changed(change: Callable[[fits.HDUList], object]) -> Callable[[object], bytes]:
    def answer(request) -> bytes:
        with fits.open(io.BytesIO(skyviewer.cut(request))) as hdus:
            change(hdus)
            stream = io.BytesIO()
            hdus.writeto(stream)
            return stream.getvalue()

    return answer


WRONG = {
    "page": (lambda _: b"<html><body>down for maintenance</body></html>", "is no FITS image"),
    "nothing": (lambda _: b"", "is no FITS image"),
    "truncated": (lambda request: skyviewer.cut(request)[:20_000], "is no FITS image"),
    "blank": (changed(lambda hdus: hdus[0].data.fill(0.0)), "is blank"),
    "no numbers": (changed(lambda hdus: hdus[0].data.fill(np.nan)), "is blank"),
    "small": (changed(lambda hdus: setattr(hdus[0], "data", hdus[0].data[:100, :100])), "has 100 x 100 pixels"),
    "elsewhere": (changed(lambda hdus: hdus[0].header.update({"CRVAL2": 45.0})), "arcsec from"),
    "coarse": (changed(lambda hdus: hdus[0].header.update({"CD1_1": -1e-4, "CD2_2": 1e-4})), "has pixels of 0.36"),
}


@pytest.mark.parametrize(("answer", "reason"), WRONG.values(), ids=WRONG)
def test_what_is_not_what_was_asked_for_is_refused_and_not_kept(viewer: Loopback, tmp_path, answer, reason):
    viewer.files[skyviewer.PATH] = answer
    with pytest.raises(ArchiveError, match=reason):
        opened(viewer, tmp_path, skyviewer.rows()[:1])
    assert len(viewer.requests) == 2
    viewer.files[skyviewer.PATH] = skyviewer.cut
    assert len(opened(viewer, tmp_path, skyviewer.rows()[:1]).tile_names) == 1


def test_a_cutout_may_come_from_another_host(viewer: Loopback, tmp_path):
    with serving() as mirror:
        mirror.files["/copy.fits"] = skyviewer.cut(_first_asked(tmp_path))
        viewer.faults[skyviewer.PATH] = [Fault(302, {"Location": f"{mirror.base}/copy.fits"})]
        assert len(opened(viewer, tmp_path, skyviewer.rows()[:1]).tile_names) == 1
        assert len(mirror.requests) == 1


def _first_asked(folder) -> Request:
    with serving() as loopback:
        loopback.files[skyviewer.PATH] = skyviewer.cut
        opened(loopback, folder / "first", skyviewer.rows()[:1])
        return loopback.requests[0]


def test_rows_whose_cutout_cannot_be_had_are_flagged_and_the_others_go_on(viewer: Loopback, caplog):
    rows = skyviewer.rows()

    def answer(request) -> bytes:
        return b"sorry" if "dec=-1.0" in request.path or "dec=-0.9" in request.path else skyviewer.cut(request)

    viewer.files[skyviewer.PATH] = answer
    out = _measured(rows, skyviewer.survey_of(viewer))
    failed = (np.asarray(out["gm_flags"]) & int(Flag.FETCH_FAILED)) > 0
    assert failed.tolist() == [False, False, False, True]
    assert np.isfinite(out["gm_rpet"][:3]).all()
    assert "1 of 3 cutouts could not be fetched" in caplog.text
    viewer.files[skyviewer.PATH] = skyviewer.cut
    viewer.requests.clear()
    again = _measured(rows, skyviewer.survey_of(viewer))
    assert len(viewer.requests) == 1, "only what failed is asked for again"
    assert np.isfinite(again["gm_rpet"]).all()


def test_rows_without_a_position_have_none_and_a_catalogue_of_such_is_said(viewer: Loopback, tmp_path):
    rows = Table({"ra": [180.0, np.nan, 180.0], "dec": [20.0, 20.0, 95.0]})
    assert opened(viewer, tmp_path, rows).locate(rows["ra"], rows["dec"]).tile.tolist() == [0, -1, -1]
    with pytest.raises(SurveyError, match="no row has a position"):
        opened(viewer, tmp_path, rows[1:])


def test_a_survey_without_such_a_server_is_said(tmp_path):
    with pytest.raises(SurveyError, match="'nircam' has no server that cuts out images"):
        open_cutouts(load_survey("nircam"), "F200W", catalog_from(skyviewer.rows()), cache=Cache(tmp_path))


@given(st.floats(-720, 720), st.floats(-90, 90), st.sampled_from([0.0186, 0.5, 7.0]))
def test_every_position_is_near_the_middle_of_its_cell(ra, dec, step):
    grid = CutoutGrid(step)
    cells = grid.cells_of([ra], [dec])
    middle_ra, middle_dec = grid.middles(cells)
    assert abs(dec - middle_dec[0]) <= step / 2 + 1e-5
    across = (ra - middle_ra[0] + 180) % 360 - 180
    assert abs(across) * np.cos(np.radians(max(abs(dec) - step, 0))) <= 0.6 * step or abs(dec) > 90 - step
    again = grid.cells_of(*grid.middles(cells))
    np.testing.assert_array_equal(again, cells)
