"""Faults of hosts, for each kind of archive: no row is lost, each has its reason, and nothing is asked for twice."""

from __future__ import annotations

import bz2
import dataclasses
import gzip
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import sdss_frames
import skyserver
import skyviewer
import small_sky
import zcut
from astropy.io import fits
from astropy.table import Table
from conformance.archives import OF_HOSTS, QUICK, ArchiveTests, assert_same_rows, changed
from loopback import Fault, Loopback, Request, serving
from PIL import Image

from galmorph.errors import ArchiveError
from galmorph.sky.archives import open_cutouts, open_frames, open_mosaics, open_pictures
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageSource
from galmorph.sky.remote import Cache, Client
from galmorph.sky.survey import Field, Survey, Way, load_survey

CANDELS = load_survey("candels")
SKY = {
    "blank": (changed(lambda hdus: hdus[0].data.fill(0.0)), "is blank"),
    "elsewhere": (
        changed(lambda hdus: hdus[0].header.update({"CRVAL2": -45.0})),
        "arcsec from|degrees from|lies elsewhere",
    ),
}


def halved(hdus: fits.HDUList) -> None:
    """Cut off what lies to the upper right."""
    hdus[0].data = hdus[0].data[:100, :100]


def coarser(hdus: fits.HDUList) -> None:
    """Let pixels be half as large again."""
    header = hdus[0].header
    for card in {"CD1_1", "CD1_2", "CD2_1", "CD2_2", "CDELT1", "CDELT2"} & set(header):
        header[card] = 1.5 * header[card]


def repacked(change: Callable[[bytes], bytes], whole: bytes) -> bytes:
    """Change each file of a zip."""
    stream = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as files, zipfile.ZipFile(stream, "w") as answer:
        for name in files.namelist():
            answer.writestr(name, change(files.read(name)))
    return stream.getvalue()


def jpeg(pixels: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG")
    return stream.getvalue()


class TestPictures(ArchiveTests):
    """ImgCutout, which draws a JPEG for each row."""

    wrong: ClassVar = {
        "truncated": (lambda whole: whole[:2000], "is no JPEG"),
        "blank": (lambda _: jpeg(np.zeros((256, 256, 3), np.uint8)), "is blank"),
        "small": (lambda _: jpeg(np.zeros((120, 120, 3), np.uint8)), "has 120 x 120 pixels"),
    }

    def serve(self, server: Loopback, folder: Path) -> Table:
        del folder
        server.files[skyserver.PATH] = skyserver.draw
        return Table({name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES[:2]] for name in ("ra", "dec")})

    def open(self, server: Loopback, rows: Table, client: Client, cache: Cache) -> ImageSource:
        return open_pictures(skyserver.survey_of(server), catalog_from(rows), client=client, cache=cache)


class TestFrames(ArchiveTests):
    """Frames of the SDSS."""

    wrong: ClassVar = {
        name: (lambda whole, change=change: bz2.compress(change(bz2.decompress(whole))), reason)
        for name, (change, reason) in (
            SKY | {"truncated": (lambda whole: whole[:9000], "is no frame"),
                   "small": (changed(halved), "lies elsewhere")}
        ).items()
    }  # fmt: skip

    def serve(self, server: Loopback, folder: Path) -> Table:
        del folder
        sdss_frames.serve(server)
        first, second = sdss_frames.FIELDS
        return Table({name: [first.sky[n][0], second.sky[n][0]] for n, name in enumerate(("ra", "dec"))})

    def open(self, server: Loopback, rows: Table, client: Client, cache: Cache) -> ImageSource:
        survey = sdss_frames.survey_of(server)
        return open_frames(survey, "r", catalog_from(rows), client=client, cache=cache)

    def is_of_second(self, request: Request, rows: Table) -> bool:
        del rows
        return request.path == sdss_frames.FIELDS[1].path("r")


class TestLegacy(ArchiveTests):
    """Cutouts of the sky viewer."""

    wrong = SKY | {
        "truncated": (lambda whole: whole[:20_000], "is no FITS image"),
        "small": (changed(halved), "has 100 x 100 pixels"),
        "coarse": (changed(coarser), "has pixels of 0.39"),
    }

    def serve(self, server: Loopback, folder: Path) -> Table:
        del folder
        server.files[skyviewer.PATH] = skyviewer.cut
        return skyviewer.rows()[[0, 2]]

    def open(self, server: Loopback, rows: Table, client: Client, cache: Cache) -> ImageSource:
        return open_cutouts(skyviewer.survey_of(server), "r", catalog_from(rows), client=client, cache=cache)


def in_zip(change: Callable[[fits.HDUList], object]) -> Callable[[bytes], bytes]:
    """Change the images of a zip, which are extensions."""

    def change_image(hdus: fits.HDUList) -> None:
        change(hdus[1:])

    return lambda whole: repacked(changed(change_image), whole)


class TestZcut(ArchiveTests):
    """Cutouts of MAST, by astroquery."""

    wrong: ClassVar = {
        "truncated": (lambda whole: whole[: len(whole) // 2], "expected a zip"),
        "blank": (in_zip(lambda hdus: hdus[0].data.fill(0.0)), "is blank"),
        "small": (in_zip(halved), "has 100 x 100 pixels"),
        "elsewhere": (in_zip(lambda hdus: hdus[0].header.update({"CRVAL2": -45.0})), "arcsec from"),
    }

    def serve(self, server: Loopback, folder: Path) -> Table:
        mosaic = folder / "mosaic.fits"
        zcut.serve(server, mosaic if mosaic.exists() else zcut.write_mosaic(folder))
        return zcut.rows()[[0, 4]]

    def open(self, server: Loopback, rows: Table, client: Client, cache: Cache) -> ImageSource:
        return open_cutouts(zcut.survey_of(server), "H", catalog_from(rows), client=client, cache=cache)


class MosaicTests(ArchiveTests):
    """Mosaics of two fields."""

    way: Way = "parts"
    ending = ""

    def serve(self, server: Loopback, folder: Path) -> Table:
        del folder
        for path, ra in (("/one.fits", 215.0), ("/two.fits", 216.0)):
            server.files[path + self.ending] = self.packed(mosaic(ra))
        ra, dec = small_sky.sky_of(small_sky.XY[:1])
        return Table({"ra": [ra[0], ra[0] + 1.0], "dec": [dec[0]] * 2})

    def open(self, server: Loopback, rows: Table, client: Client, cache: Cache) -> ImageSource:
        survey = survey_of(server, self.ending)
        return open_mosaics(survey, "H", rows["ra"], rows["dec"], way=self.way, client=client, cache=cache)

    def is_of_second(self, request: Request, rows: Table) -> bool:
        del rows
        return request.path.startswith("/two.fits")

    def test_a_row_on_a_mosaic_that_shows_nothing_is_flagged(self, server, tmp_path, expected):
        rows = self.serve(server, tmp_path)
        server.files["/two.fits" + self.ending] = self.packed(changed(lambda hdus: hdus[0].data.fill(0.0))(mosaic(216)))
        done = self.measured(server, rows, tmp_path)
        assert_same_rows(done[:1], expected[:1])
        assert int(done["gm_flags"][1]) != 0
        assert np.isnan(done["gm_rpet"][1])

    def packed(self, whole: bytes) -> bytes:
        return gzip.compress(whole, 1) if self.ending else whole


def mosaic(ra: float) -> bytes:
    header, stream = small_sky.header(), io.BytesIO()
    header["CRVAL1"] = ra
    fits.HDUList([fits.PrimaryHDU(small_sky.field(), header)]).writeto(stream)
    return stream.getvalue()


def survey_of(server: Loopback, ending: str) -> Survey:
    shape = (small_sky.SIDE, small_sky.SIDE)
    fields = [
        Field(name, "a field of the tests", ra, 52.9, "", shape, server.base, {"F160W": f"/{name}.fits{ending}"})
        for name, ra in (("one", 215.0), ("two", 216.0))
    ]
    return dataclasses.replace(CANDELS, fields=tuple(fields))


OF_MOSAICS = {
    "truncated": (lambda whole: whole[: len(whole) // 2 // 2880 * 2880], "is no FITS file"),
    "elsewhere": SKY["elsewhere"],
    "coarse": (changed(coarser), "has pixels of 0.09"),
}


class TestMosaicsInParts(MosaicTests):
    """Mosaics read by range requests."""

    wrong = OF_MOSAICS


class TestWholeMosaics(MosaicTests):
    """Mosaics downloaded as they are."""

    way = "whole"
    wrong = OF_MOSAICS


class TestCompressedMosaics(MosaicTests):
    """Mosaics that cannot be read in parts."""

    way = "auto"
    ending = ".gz"
    wrong = {
        name: (lambda whole, change=change: gzip.compress(change(gzip.decompress(whole)), 1), reason)
        for name, (change, reason) in OF_MOSAICS.items()
    } | {"truncated": (lambda whole: whole[:-9], "is no FITS file")}


class TestQuery:
    """The one question that says in which fields all rows lie: without its answer there are no images at all."""

    @pytest.mark.parametrize("path", [sdss_frames.CROSSID, sdss_frames.SCHEMA])
    @pytest.mark.parametrize("name", [*OF_HOSTS, "elsewhere"])
    def test_it_is_asked_again_and_then_said_in_one_line(self, tmp_path, name, path):
        with serving() as server, serving() as other:
            rows, frames = TestFrames().serve(server, tmp_path), TestFrames()
            elsewhere = Fault(307, {"Location": f"{other.base}{path}"})
            fault = {"elsewhere": elsewhere, "broken": Fault(cut_at=0)}.get(name) or OF_HOSTS[name][0]
            server.faults[path] = [fault] * 200
            cache = Cache(tmp_path / "cache")
            with pytest.raises(ArchiveError) as refused:
                frames.open(server, rows, Client(QUICK), cache)
            assert "\n" not in str(refused.value)
            assert not any("/frames/" in request.path for request in server.requests)
            if path == sdss_frames.CROSSID:
                assert other.requests == [], "positions are sent to nobody else"
            server.faults.clear()
            server.requests.clear()
            assert len(frames.open(server, rows, Client(QUICK), cache).tile_names) == 2
            assert len(server.asked(sdss_frames.CROSSID)) == 1
            server.requests.clear()
            assert len(frames.open(server, rows, Client(QUICK, offline=True), cache).tile_names) == 2
            assert server.requests == []

    @pytest.mark.parametrize("name", [name for name in OF_HOSTS if name not in ("gone", "drip")])
    def test_what_passes_costs_nothing(self, tmp_path, name):
        with serving() as server:
            rows = TestFrames().serve(server, tmp_path)
            server.faults[sdss_frames.CROSSID] = [OF_HOSTS[name][0]]
            source = TestFrames().open(server, rows, Client(QUICK), Cache(tmp_path / "cache"))
            assert len(source.tile_names) == 2
