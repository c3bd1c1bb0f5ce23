"""Fetched ahead of time: a folder that stands for the archives on a machine without a network; and dry runs."""

from __future__ import annotations

import gzip
import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
import sdss_frames
import skyserver
import skyviewer
import small_sky
import zcut
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from loopback import Fault, Loopback, serving

import galmorph
from galmorph.errors import ArchiveError, ImageError
from galmorph.flags import Flag
from galmorph.shipped import shipped
from galmorph.sky.remote.manifest import read_manifest, spans
from galmorph.sky.survey import load_survey

SAMPLE = shipped("catalogs") / "samples" / "candels-h"
PLACES = np.array([[1200.0, 300.0], [1190.0, 340.0], [1200.0, 2100.0]])


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """Write a mosaic of 23 MB, of which galaxies need parts, and weights; return its folder."""
    folder = tmp_path_factory.mktemp("large")
    side = 2400
    pixels = np.random.default_rng(1).normal(0, 0.01, (side, side)).astype(np.float32)
    header = small_sky.header()
    header["CRPIX1"] = header["CRPIX2"] = side / 2
    for x, y in PLACES[::2].astype(int):
        pixels[y - 40 : y + 41, x - 40 : x + 41] += small_sky.light((81, 81), 40, 40, 3.0)
    fits.writeto(folder / "drz.fits", pixels, header)
    fits.writeto(folder / "wht.fits", np.full((side, side), 1e4, np.float32), header)
    ra, dec = WCS(header).all_pix2world(PLACES[:, 0], PLACES[:, 1], 0)
    Table({"ra": ra, "dec": dec}).write(folder / "catalog.fits")
    return folder


def of_mosaics(loopback: Loopback, folder):
    """Serve the large mosaic; return a catalogue, and how images are asked for."""
    loopback.files |= {f"/{name}.fits": folder / f"{name}.fits" for name in ("drz", "wht")}
    candels = load_survey("candels")
    field = replace(
        candels.fields[0], ra_deg=215.0, dec_deg=52.9, base_url=f"{loopback.base}/",
        mosaics={"F160W": "drz.fits"}, weights={"F160W": "wht.fits"},
    )  # fmt: skip
    return Table.read(folder / "catalog.fits"), {"survey": replace(candels, fields=(field,)), "band": "H"}


def of_frames(loopback: Loopback, _folder):
    """Serve frames of the SDSS."""
    ra, dec = np.concatenate([field.sky for field in sdss_frames.FIELDS], axis=1)
    return Table({"ra": [*ra, 180.0], "dec": [*dec, 60.0]}), {"survey": sdss_frames.serve(loopback), "band": "gri"}


def of_pictures(loopback: Loopback, _folder):
    """Serve colour pictures."""
    loopback.files[skyserver.PATH] = skyserver.draw
    positions = {name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES] for name in ("ra", "dec")}
    return Table(positions), {"survey": skyserver.survey_of(loopback), "band": "RGB"}


def of_legacy(loopback: Loopback, _folder):
    """Serve cutouts of the sky viewer, one of which has two rows."""
    loopback.files[skyviewer.PATH] = skyviewer.cut
    return skyviewer.rows(), {"survey": skyviewer.survey_of(loopback), "band": "r"}


def of_zcut(loopback: Loopback, folder):
    """Serve zips of MAST's cutouts."""
    mosaic = folder / "mosaic.fits"
    survey = zcut.serve(loopback, mosaic if mosaic.exists() else zcut.write_mosaic(folder))
    return zcut.rows()[[0, 4]], {"survey": survey, "band": "H", "archive": "cutouts"}


def of_compressed(loopback: Loopback, _folder):
    """Serve mosaics that cannot be read in parts, on one of which the rows lie."""
    candels, header = load_survey("candels"), small_sky.header()
    for name, ra in (("here", 215.0), ("beside", 215.1)):
        header["CRVAL1"], stream = ra, io.BytesIO()
        fits.HDUList([fits.PrimaryHDU(small_sky.field(), header)]).writeto(stream)
        loopback.files[f"/{name}.fits.gz"] = gzip.compress(stream.getvalue(), 1)
    fields = tuple(
        replace(
            candels.fields[0], name=name, ra_deg=ra, dec_deg=52.9, base_url=f"{loopback.base}/",
            mosaics={"F160W": f"{name}.fits.gz"}, weights={},
        )
        for name, ra in (("here", 215.0), ("beside", 215.1))
    )  # fmt: skip
    return small_sky.table(), {"survey": replace(candels, fields=fields), "band": "H"}


SERVED = {
    of_mosaics: {"0-2"},
    of_frames: {"0-1", "2"},
    of_pictures: {"0", "1", "2", "3"},
    of_legacy: {"0-1", "2", "3"},
    of_zcut: {"0", "1"},
    of_compressed: {"0-6"},
}
"""Kinds of archives, and the rows that each of their files serves."""
KINDS = pytest.mark.parametrize("serve", SERVED)


def assert_same(one: Table, other: Table) -> None:
    assert one.colnames == other.colnames
    for name in one.colnames:
        np.testing.assert_array_equal(np.asarray(one[name]), np.asarray(other[name]), err_msg=name)


@KINDS
def test_a_folder_gives_the_values_of_the_archives_without_a_network(serve, large, tmp_path, monkeypatch):
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        table, images = serve(loopback, large)
        galmorph.fetch(table, **images, output=tmp_path / "fetched")
        loopback.requests.clear()
        monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "another"))
        online = galmorph.measure(table, **images)
        assert loopback.requests
    shutil.move(tmp_path / "fetched", tmp_path / "node")
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "none"))
    assert_same(online, galmorph.measure(table, survey=images["survey"], fetched=tmp_path / "node"))
    if serve is of_mosaics:
        assert_same(
            galmorph.measure(table, **images, fetched=tmp_path / "node", detect="cutouts"),
            galmorph.measure(table, large / "drz.fits", weight=large / "wht.fits", **images, detect="cutouts"),
        )
    assert not (tmp_path / "none").exists()


@KINDS
def test_what_is_here_is_not_fetched_again_and_a_folder_is_continued(serve, large, archive, tmp_path):
    table, images = serve(archive, large)
    galmorph.measure(table, **images)
    galmorph.fetch(table, **images)
    archive.requests.clear()
    manifest = galmorph.fetch(table, **images, output=tmp_path / "fetched")
    assert archive.requests == []
    assert read_manifest(tmp_path / "fetched") == manifest
    galmorph.fetch(table, **images, output=tmp_path / "fetched")
    assert archive.requests == []
    with pytest.raises(ArchiveError, match="was fetched for other rows or images"):
        galmorph.fetch(table[:1], **images, output=tmp_path / "fetched")


@KINDS
def test_what_lies_in_the_cache_serves_offline(serve, large, archive):
    table, images = serve(archive, large)
    galmorph.fetch(table, **images)
    archive.requests.clear()
    here = galmorph.measure(table, **images, offline=True)
    assert archive.requests == []
    assert_same(here, galmorph.measure(table, **images))
    assert archive.requests == []
    assert not ((np.asarray(here["gm_flags"]) & int(Flag.FETCH_FAILED)) > 0).any()


@KINDS
def test_the_manifest_says_what_serves_which_row(serve, large, archive, tmp_path):
    table, images = serve(archive, large)
    manifest = galmorph.fetch(table, **images, output=tmp_path / "fetched", command="a test")
    assert manifest.failed == {}
    assert (manifest.band, manifest.n_rows, manifest.origin["command"]) == (images["band"], len(table), "a test")
    served = [each for each in manifest.files if each.rows]
    assert {each.rows for each in served} == SERVED[serve]
    for each in served:
        path = tmp_path / "fetched" / each.name
        assert each.url.startswith(archive.base)
        assert (path.stat().st_size, len(each.sha256)) == (each.bytes, 64)
        assert each.etag
        assert each.date.endswith("Z")


@pytest.fixture
def fetched(archive, large, tmp_path):
    table, images = of_mosaics(archive, large)
    galmorph.fetch(table, **images, output=tmp_path / "fetched")
    return tmp_path / "fetched", table, images["survey"]


@pytest.mark.parametrize("what", ["a byte", "a hole", "the manifest", "the list", "one more", "one less", "the map"])
def test_what_was_altered_is_refused_in_one_line(fetched, archive, what):
    folder, table, survey = fetched
    manifest = read_manifest(folder)
    file = folder / next(each.name for each in manifest.files if "drz" in each.name)
    text = (folder / "manifest.json").read_text()
    if what in ("a byte", "a hole"):
        with file.open("r+b") as stream:
            stream.seek(100)
            stream.write(bytes(100) if what == "a hole" else b"galmorph")
    elif what in ("the manifest", "the list"):
        old, new = ('"n_rows": 3', '"n_rows": 4') if what == "the manifest" else ('"files": [', '"files": [7, ')
        assert old in text
        (folder / "manifest.json").write_text(text.replace(old, new))
    elif what == "one more":
        (file.parent / "another.fits").write_bytes(b"SIMPLE")
    elif what == "one less":
        file.unlink()
    else:
        file.with_name(file.name + ".parts").unlink()
    archive.requests.clear()
    with pytest.raises(ArchiveError) as refused:
        galmorph.measure(table, survey=survey, fetched=folder)
    assert "fetch or copy the folder again" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert archive.requests == []


def test_other_images_than_were_fetched_are_refused(fetched, tmp_path):
    folder, table, survey = fetched
    with pytest.raises(ArchiveError, match=r"band 'J' was asked for, and .* was fetched for H"):
        galmorph.measure(table, survey=survey, band="J", fetched=folder)
    with pytest.raises(ArchiveError, match="survey 'sdss' was asked for"):
        galmorph.measure(table, survey="sdss", fetched=folder)
    with pytest.raises(ArchiveError, match=r"has no manifest\.json"):
        galmorph.measure(table, survey=survey, band="H", fetched=tmp_path)
    with pytest.raises(ImageError, match="fetched was given with images"):
        galmorph.measure(table, SAMPLE / "image.fits.gz", fetched=folder)
    with pytest.raises(ArchiveError, match="is no empty folder"):
        galmorph.fetch(table, survey=survey, band="H", output=SAMPLE)


def test_rows_that_could_not_be_fetched_have_their_reason_and_are_flagged_there(large, archive, tmp_path):
    table, images = of_pictures(archive, large)
    skyserver.fail(archive, 1, Fault(404, body=b""))
    manifest = galmorph.fetch(table, **images, output=tmp_path / "fetched")
    assert list(manifest.failed) == ["1"]
    assert "was refused (404" in manifest.failed["1"]
    archive.requests.clear()
    done = galmorph.measure(table, survey=images["survey"], fetched=tmp_path / "fetched")
    assert archive.requests == []
    assert ((np.asarray(done["gm_flags"]) & int(Flag.FETCH_FAILED)) > 0).tolist() == [False, True, False, False]


def bytes_sent(archive: Loopback) -> int:
    """Count what parts were sent."""
    texts = (request.headers["range"].removeprefix("bytes=").split(",") for request in archive.requests)
    ranges = [each.split("-") for text in texts for each in text]
    return sum(int(end) - int(start) + 1 for start, end in ranges)


def test_a_dry_run_of_mosaics_asks_for_headers_alone_and_tells_what_is_fetched_then(large, archive):
    table, images = of_mosaics(archive, large)
    needs = galmorph.dry_run(table, **images)
    assert sorted(needs["url"]) == [f"{archive.base}/{name}.fits" for name in ("drz", "wht")]
    assert not needs["estimate"].any()
    assert bytes_sent(archive) < 6 * 65536, "the first and last pieces, where headers are"
    archive.requests.clear()
    galmorph.fetch(table, **images)
    expected = int((needs["bytes"] - needs["here"]).sum())
    assert bytes_sent(archive) == pytest.approx(expected, rel=0.05)
    assert expected < 1.1 * 2 * (large / "drz.fits").stat().st_size
    again = galmorph.dry_run(table, **images)
    assert 0 < again["here"].sum() == again["bytes"].sum()
    assert galmorph.dry_run(table, large / "drz.fits", **images).colnames == again.colnames


def test_a_dry_run_of_frames_asks_one_question_and_for_sizes(large, archive, caplog):
    table, images = of_frames(archive, large)
    needs = galmorph.dry_run(table, **images)
    assert len(needs) == 6
    assert len(archive.asked(sdss_frames.CROSSID)) == 1
    frames = [request for request in archive.requests if "/frames/" in request.path]
    assert len(frames) == 3
    assert {request.headers["range"] for request in frames} == {"bytes=0-0"}
    assert (needs["bytes"] > 10_000).all()
    assert needs["estimate"].tolist().count(True) == 3
    assert caplog.records == [], "nothing failed"
    galmorph.measure(table, **images)
    archive.requests.clear()
    here = galmorph.dry_run(table, **images)
    assert archive.requests == []
    assert here["here"].tolist() == here["bytes"].tolist()


def test_a_dry_run_of_pictures_asks_for_nothing(large, archive):
    table, images = of_pictures(archive, large)
    needs = galmorph.dry_run(table, **images)
    assert archive.requests == []
    assert len(needs) == len(table)
    assert needs["estimate"].all()
    galmorph.fetch(table[:1], **images)
    assert galmorph.dry_run(table, **images)["estimate"].tolist().count(False) == 1


@pytest.fixture
def survey_file(archive, tmp_path):
    """Write the file of a survey whose pictures a server of this machine draws, and a catalogue."""
    table, images = of_pictures(archive, None)
    text = skyserver.SURVEY_FILE.read_text(encoding="utf-8")
    text = text.replace(skyserver.SDSS.pictures.url, images["survey"].pictures.url)
    (tmp_path / "sdss.toml").write_text(text, encoding="utf-8")
    table.write(tmp_path / "catalog.fits")
    return tmp_path / "sdss.toml"


def test_the_commands_say_what_they_do(galmorph, survey_file, archive, tmp_path):
    catalog, images = tmp_path / "catalog.fits", ("--survey", survey_file, "--band", "RGB")
    for command in ("classify", "measure", "fetch"):
        told = galmorph(command, catalog, *images, "--dry-run")
        assert told.status == 0, told.err
        assert told.out.count(f"{archive.base}{skyserver.PATH}?") == 4
        assert "~" in told.out.splitlines()[-1]
        assert archive.requests == []
    done = galmorph("fetch", catalog, *images, "-o", tmp_path / "fetched")
    assert (done.status, done.out) == (0, f"{tmp_path / 'fetched'}\n"), done.err
    assert "4 rows, of which 0 could not be served" in done.err
    archive.requests.clear()
    result = tmp_path / "out.fits"
    done = galmorph("measure", catalog, "--survey", survey_file, "--fetched", tmp_path / "fetched", "-o", result)
    assert done.status == 0, done.err
    assert archive.requests == []
    told = galmorph("measure", catalog, "--survey", survey_file, "--fetched", tmp_path / "fetched", "--dry-run")
    assert told.out.splitlines()[1].split()[:3] == ["0", "0.0", "MB"]
    manifest = tmp_path / "fetched" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"n_rows": 5}))
    done = galmorph("measure", catalog, "--survey", survey_file, "--fetched", tmp_path / "fetched", "-o", "x.fits")
    assert (done.status, done.err.count("\n")) == (1, 1)
    assert "manifest.json' is not as it was written" in done.err


def test_spans_are_read_by_people():
    assert spans([]) == ""
    assert spans([3, 1, 2, 2, 9]) == "1-3,9"
