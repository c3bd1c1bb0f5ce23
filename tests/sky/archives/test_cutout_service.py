"""Pictures of a service: what is asked for, what is refused, and where on the sky their pixels are."""

from __future__ import annotations

import io

import numpy as np
import pytest
import skyserver
from astropy import units as u
from astropy.table import Table
from astropy.wcs import WCS
from conformance.image_sources import ImageSourceTests
from loopback import Fault, Loopback, serving
from PIL import Image

from galmorph.errors import ArchiveError, SurveyError
from galmorph.sky.archives import open_pictures
from galmorph.sky.archives.cutout_service import CutoutService
from galmorph.sky.archives.tangent_planes import TangentPlanes
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageSource
from galmorph.sky.remote import Cache, Client, Manners
from galmorph.sky.survey import load_survey

QUICK = Manners(requests_per_s=1000, timeout_s=0.5, attempts=3, longest_wait_s=0.05, rest_s=0.0)


@pytest.fixture
def service():
    with serving() as loopback:
        loopback.files[skyserver.PATH] = skyserver.draw
        yield loopback


def table(**columns: object) -> Table:
    """Return the galaxies of the small sky, with more columns."""
    positions = {name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES] for name in ("ra", "dec")}
    return Table(positions | columns)


def opened(service: Loopback, folder, rows: Table | None = None, **client: object) -> CutoutService:
    catalog = catalog_from(table() if rows is None else rows)
    survey, cache = skyserver.survey_of(service), Cache(folder / "cache")
    return open_pictures(survey, catalog, client=Client(QUICK, **client), cache=cache)


class TestPictures(ImageSourceTests):
    inside = (1, 130.0, 120.0)

    def open(self, folder) -> ImageSource:
        with serving() as loopback:
            loopback.files[skyserver.PATH] = skyserver.draw
            source = opened(loopback, folder)
            for tile in range(len(source.tile_names)):
                source.cutout(tile, 127.5, 127.5, 20)  # so that they are here when the server is gone
        return source


def test_a_picture_is_asked_for_when_its_row_is_looked_at_and_once(service: Loopback, tmp_path):
    source = opened(service, tmp_path)
    assert service.requests == []
    for _ in range(2):
        cutout = source.cutout(0, 127.5, 127.5, 20)
    assert cutout.scale_arcsec == 0.396
    assert cutout.planes.shape == (3, 256, 256)
    (request,) = service.requests
    assert skyserver.asked_for(request) == {"ra": 180.0, "dec": 20.0, "scale": 0.396, "width": 256, "height": 256}
    again = opened(service, tmp_path, offline=True)
    np.testing.assert_array_equal(again.cutout(0, 127.5, 127.5, 20).planes, cutout.planes)
    with pytest.raises(ArchiveError, match="not in the cache"):
        again.cutout(1, 127.5, 127.5, 20)
    assert len(service.requests) == 1


def test_the_scale_follows_from_the_radius_where_there_is_one(service: Loopback, tmp_path):
    rows = table(PETROR90_R=[10.0, np.nan, -9999.0, 0.1])
    source = opened(service, tmp_path, rows)
    scales = [source.cutout(tile, 100.0, 100.0, 20) for tile in range(4)]
    assert [(cutout.scale_arcsec, cutout.shape[0]) for cutout in scales] == [(0.2, 424)] + 3 * [(0.396, 256)]
    assert source.remarks[1] == "0.02 PETROR90_R per pixel for 1 of 4 rows, else 0.396 arcsec per pixel"
    in_arcmin = opened(service, tmp_path, table(petroR90_r=np.array([10.0, 15.0, 20.0, 25.0]) / 60 * u.arcmin))
    np.testing.assert_allclose([in_arcmin.cutout(n, 9.0, 9.0, 20).scale_arcsec for n in range(4)], [0.2, 0.3, 0.4, 0.5])


def test_rows_are_in_the_middle_of_their_pictures(service: Loopback, tmp_path):
    rows = table()
    source = opened(service, tmp_path)
    where = source.locate(rows["ra"], rows["dec"])
    assert where.tile.tolist() == [0, 1, 2, 3]
    np.testing.assert_allclose(where.x, 127.5, atol=1e-5)
    np.testing.assert_allclose(where.y, 127.5, atol=1e-5)
    elsewhere = source.locate([np.nan, 180.0, 180.0, 0.0], [20.0, 20.02, 19.98, 91.0])
    assert elsewhere.tile.tolist() == [-1, -1, -1, -1]
    north = source.locate([180.0], [20.005])
    assert north.y[0] < 127.5, "the first row is the northern one"
    east = source.locate([180.005], [20.0])
    assert east.x[0] < 127.5


def test_rows_at_one_place_share_a_picture_and_those_at_none_have_none(service: Loopback, tmp_path):
    rows = Table({"ra": [10.0, 10.0, np.nan, 370.0, 30.0], "dec": [5.0, 5.0, 5.0, 5.0, 95.0]})
    source = opened(service, tmp_path, rows)
    assert source.tile_names == ["10.000000+5.000000.jpg"]
    assert source.locate(rows["ra"], rows["dec"]).tile.tolist() == [0, 0, -1, 0, -1]
    nothing = opened(service, tmp_path, rows[2:3])
    assert nothing.tile_names == []
    assert nothing.locate([10.0], [5.0]).tile.tolist() == [-1]
    assert "<table" in nothing._repr_html_()


@pytest.mark.parametrize("n", range(len(skyserver.GALAXIES)))
def test_the_sky_is_that_of_the_standard_projection(n):
    galaxy = skyserver.GALAXIES[n]
    planes = TangentPlanes(np.array([galaxy.ra]), np.array([galaxy.dec]), np.array([0.3]), np.array([200]))
    wcs = WCS(naxis=2)
    wcs.wcs.ctype, wcs.wcs.crval = ["RA---TAN", "DEC--TAN"], [galaxy.ra, galaxy.dec]
    wcs.wcs.crpix, wcs.wcs.cdelt = [100.5, 100.5], [-0.3 / 3600, -0.3 / 3600]
    x, y = np.random.default_rng(n).uniform(0, 199, (2, 20))
    number = np.zeros(20, np.intp)
    ra, dec = planes.to_sky(number, x, y)
    expected = wcs.all_pix2world(x, y, 0)
    np.testing.assert_allclose((ra - expected[0] + 180) % 360, 180, atol=1e-9)
    np.testing.assert_allclose(dec, expected[1], atol=1e-9)
    np.testing.assert_allclose(planes.to_pixel(number, ra, dec), (x, y), atol=1e-6)


def encoded(pixels: np.ndarray, kind: str = "JPEG") -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, kind)
    return stream.getvalue()


NOISE = np.random.default_rng(1).integers(0, 40, (256, 256, 3), np.uint8)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<html><body>The service is down for maintenance</body></html>", "is no JPEG"),
        (b"", "is no JPEG"),
        (encoded(NOISE, "PNG"), "is no JPEG"),
        (encoded(NOISE)[:2000], "is no JPEG"),
        (encoded(NOISE[:120, :120]), "has 120 x 120 pixels: expected 256 x 256"),
        (encoded(np.zeros_like(NOISE)), "is blank"),
    ],
    ids=["page", "nothing", "png", "truncated", "small", "blank"],
)
def test_what_is_no_such_picture_is_asked_for_again_and_not_kept(service: Loopback, tmp_path, body, reason, caplog):
    source = opened(service, tmp_path)
    service.faults[skyserver.PATH] = [Fault(body=body)] * 2
    with pytest.raises(ArchiveError, match=reason):
        source.cutout(0, 127.5, 127.5, 20)
    assert len(service.requests) == 2
    assert reason in caplog.text
    assert source.cutout(0, 127.5, 127.5, 20).shape == (256, 256)


def test_a_survey_without_such_a_service_is_said(tmp_path):
    with pytest.raises(SurveyError, match="'candels' has no colour pictures"):
        open_pictures(load_survey("candels"), catalog_from(table()), cache=Cache(tmp_path))


def test_many_small_files_cost_few_looks_at_the_cache(service: Loopback, tmp_path, monkeypatch):
    looks = []
    monkeypatch.setattr(Cache, "make_room", lambda _, keep=None: looks.append(keep))
    rows = Table({"ra": np.linspace(100, 101, 12), "dec": np.full(12, 3.0)})
    source = opened(service, tmp_path, rows)
    for tile in range(12):
        source.cutout(tile, 127.5, 127.5, 20)
    assert len(looks) == 1
