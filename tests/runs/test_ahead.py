"""Ahead: what is fetched while other rows are measured, how much of it, and whose its failures are."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
import skyserver
import small_sky
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Fault, Loopback, Request, keeping_rate, serving

import galmorph
from galmorph.errors import ArchiveError
from galmorph.flags import Flag
from galmorph.runs.ahead import NOTHING, PLACES, Window, fetching_ahead
from galmorph.sky.archives import open_pictures
from galmorph.sky.catalog import catalog_from
from galmorph.sky.remote import Cache, Client, Manners, PartialFile


class Slow:
    """Images elsewhere, that note what is fetched."""

    is_here = False

    def __init__(self, failing: tuple[int, ...] = ()) -> None:
        self.failing, self.begun, self.now, self.most = failing, [], 0, 0
        self._lock = threading.Lock()

    def fetch(self, tile: int, x: float, y: float, half_px: int) -> None:
        del x, y, half_px
        with self._lock:
            self.begun.append(tile)
            self.now += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        if tile in self.failing:
            raise ArchiveError(f"window {tile} cannot be had")


def windows(*tiles: int) -> list[Window]:
    return [(tile, 0.0, 0.0, 9) if tile >= 0 else NOTHING for tile in tiles]


def test_windows_are_fetched_once_in_order_and_few_ahead():
    images, wanted = Slow(), windows(0, 0, -1, 1, 2, 2, 3, *range(4, 30), 2)
    with fetching_ahead(images, lambda: wanted) as wait:
        for number, window in enumerate(wanted):
            wait(number)
            if window != NOTHING and number:
                assert window[0] in images.begun
                assert len(images.begun) <= max(each[0] for each in wanted[: number + 1]) + 1 + PLACES
    assert sorted(images.begun) == list(range(30))
    assert 1 < images.most <= PLACES + 1


def test_a_failure_stays_with_its_rows_and_is_not_asked_for_again():
    images, wanted = Slow(failing=(1,)), windows(0, 1, 2, 1, 1)
    with fetching_ahead(images, lambda: wanted) as wait:
        for number in (0, 2):
            wait(number)
        for number in (1, 3, 4):
            with pytest.raises(ArchiveError, match="window 1 cannot be had"):
                wait(number)
    assert sorted(images.begun) == [0, 1, 2]


def test_who_stops_leaves_nothing_behind():
    images, wanted = Slow(), windows(*range(100))
    with fetching_ahead(images, lambda: wanted) as wait:
        wait(0)
    assert len(images.begun) <= 1 + PLACES
    assert images.now == 0


def test_images_of_this_machine_are_not_looked_at():
    images = Slow()
    images.is_here = True
    with fetching_ahead(images, lambda: pytest.fail("not needed")) as wait:
        wait(0)
    assert images.begun == []


def rows_of_pictures(count: int) -> Table:
    first = skyserver.GALAXIES[0]
    return Table({"ra": first.ra + 0.002 * np.arange(count), "dec": np.full(count, first.dec)})


def test_pictures_come_a_few_at_a_time_within_the_rate(tmp_path):
    with serving() as server:
        server.files[skyserver.PATH], server.latency_s = skyserver.draw, 0.2
        rows = rows_of_pictures(12)
        client = Client(Manners(requests_per_s=30))
        source = open_pictures(skyserver.survey_of(server), catalog_from(rows), client=client, cache=Cache(tmp_path))
        with keeping_rate(server, 30):
            galmorph.measure(rows, source)
        assert len(server.requests) == 12
        assert 1 < server.most_at_once <= client.manners.connections


@pytest.fixture
def mosaic(tmp_path_factory):
    """Write a mosaic of which each of three galaxies needs a block; return it with its survey's field and rows."""
    side = 3200
    pixels = np.random.default_rng(1).normal(0, 0.01, (side, side)).astype(np.float32)
    header = small_sky.header()
    header["CRPIX1"] = header["CRPIX2"] = side / 2
    places = np.array([[1600.0, 300.0], [1600.0, 1150.0], [1600.0, 2600.0]])
    for x, y in places.astype(int):
        pixels[y - 40 : y + 41, x - 40 : x + 41] += small_sky.light((81, 81), 40, 40, 3.0)
    path = tmp_path_factory.mktemp("ahead") / "drz.fits"
    fits.writeto(path, pixels, header)
    ra, dec = WCS(header).all_pix2world(places[:, 0], places[:, 1], 0)
    return path, Table({"ra": ra, "dec": dec})


def opened(server: Loopback, path, folder) -> galmorph.sky.images.ImageSource:
    """Open a mosaic of a server in parts."""
    server.files["/drz.fits"] = path
    manners = Manners(requests_per_s=1000, attempts=1, rest_s=0.0)
    file = PartialFile.open(f"{server.base}/drz.fits", Client(manners), Cache(folder))
    return galmorph.open_images(file.path, survey="candels", band="H")


def test_the_next_block_comes_while_this_one_is_measured(mosaic, tmp_path):
    path, rows = mosaic
    with serving() as server:
        images = opened(server, path, tmp_path)
        server.requests.clear()
        whole = galmorph.measure(rows, path, survey="candels", band="H")
        done = galmorph.measure(rows, images)
        for name in whole.colnames:
            np.testing.assert_array_equal(np.asarray(done[name]), np.asarray(whole[name]), err_msg=name)
        asked = len(server.requests)
        galmorph.measure(rows, images)
        assert len(server.requests) == asked, "nothing is asked for twice"


def test_a_block_that_fails_ahead_costs_its_own_rows(mosaic, tmp_path):
    path, rows = mosaic
    with serving() as server:
        images = opened(server, path, tmp_path)
        images.fetch(0, 1600.0, 300.0, 10)  # with the sample that is looked at of every image
        middle = range(4 * 3200 * 900, 4 * 3200 * 1700)
        server.trouble = lambda request: Fault(404) if first_byte(request) in middle else None
        flags = np.asarray(galmorph.measure(rows, images)["gm_flags"])
        assert ((flags & int(Flag.FETCH_FAILED)) > 0).tolist() == [False, True, False]
        server.trouble = lambda _: None
        flags = np.asarray(galmorph.measure(rows, images)["gm_flags"])
        assert not np.any(flags & int(Flag.FETCH_FAILED))


def first_byte(request: Request) -> int:
    return int(request.headers["range"].removeprefix("bytes=").partition("-")[0])
