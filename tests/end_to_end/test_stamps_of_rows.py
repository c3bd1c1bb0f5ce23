"""Stamps of rows: files with a WCS that measure as the archive's images do, and a table of them."""

from __future__ import annotations

import gzip
from dataclasses import replace

import numpy as np
import pytest
import sdss_frames
import skyserver
import small_sky
from astropy.io import fits
from astropy.table import Table, vstack
from astropy.wcs import WCS
from loopback import Fault

import galmorph
from galmorph.cli import main
from galmorph.errors import ArchiveError, OutputError
from galmorph.flags import Flag
from galmorph.runs.stamp_files import stamp_names
from galmorph.shipped import shipped
from galmorph.sky.survey import load_survey

H = {"survey": "candels", "band": "H"}
SIDE = 121


@pytest.fixture
def of_mosaic(archive, sky):
    """Serve a small mosaic with its weights; return how stamps of its galaxies are asked for."""
    archive.files |= {"/drz.fits": sky.image, "/wht.fits": sky.weight}
    candels = load_survey("candels")
    field = replace(
        candels.fields[0], ra_deg=215.0, dec_deg=52.9, base_url=f"{archive.base}/",
        mosaics={"F160W": "drz.fits"}, weights={"F160W": "wht.fits"},
    )  # fmt: skip
    return {"survey": replace(candels, fields=(field,)), "band": "H", "side": SIDE}


@pytest.fixture
def of_pictures(archive):
    """Serve colour pictures; return how they are asked for."""
    archive.files[skyserver.PATH] = skyserver.draw
    return {"survey": skyserver.survey_of(archive), "band": "RGB"}


def pictured() -> Table:
    return Table({name: [getattr(galaxy, name) for galaxy in skyserver.GALAXIES] for name in ("ra", "dec")})


def rows_off_the_mosaic() -> Table:
    return vstack([small_sky.table(), Table({"id": [5, 5], "ra": [215.9, np.nan], "dec": [52.9, 52.9]})])


def index_of(folder) -> Table:
    return galmorph.read_catalog(folder / "index.ecsv").table


@pytest.mark.parametrize("detect", ["blocks", "cutouts"])
def test_stamps_measure_as_the_mosaic_does(of_mosaic, sky, tmp_path, detect):
    folder = tmp_path / "stamps"
    manifest = galmorph.fetch(sky.catalog, **of_mosaic, stamps=folder)
    assert manifest.failed == {}
    images = str(folder / "*.fits")
    ours = galmorph.measure(folder / "index.ecsv", images, weight=images, **H, detect=detect)
    whole = galmorph.measure(sky.catalog, sky.image, weight=sky.weight, **H, detect=detect)
    assert (np.asarray(ours["gm_flags"]) & ~np.asarray(whole["gm_flags"]) == 0).all()
    for name in ("gm_rpet", "gm_r50", "gm_snr"):
        error = np.asarray(whole[f"{name}_err"]) if f"{name}_err" in whole.colnames else 0.05 * np.asarray(whole[name])
        assert (np.abs(np.asarray(ours[name]) - np.asarray(whole[name])) < error).all(), name
    apart = np.hypot(
        (ours["gm_racen"] - whole["gm_racen"]) * np.cos(np.radians(52.9)), ours["gm_deccen"] - whole["gm_deccen"]
    )
    assert (np.asarray(apart) * 3600 < 0.1 * 0.06).all()


def test_a_stamp_has_the_pixels_and_the_sky_of_the_mosaic(of_mosaic, sky, tmp_path):
    galmorph.fetch(sky.catalog, **of_mosaic, stamps=tmp_path)
    image, mosaic = fits.getdata(sky.image), WCS(small_sky.header())
    for entry, (x, y) in zip(index_of(tmp_path), small_sky.XY, strict=True):
        with fits.open(tmp_path / entry["file"]) as hdus:
            stamp, weight, wcs = hdus[0].data, hdus["WHT"].data, WCS(hdus[0].header)
            assert hdus[0].header["OBJECT"] == str(entry["id"])
            assert (hdus[0].header["SURVEY"], hdus[0].header["FILTER"]) == ("candels", "F160W")
            assert hdus[0].header["MAGZERO"] == pytest.approx(load_survey("candels").band("H").zero_point_ab, abs=1e-3)
        assert stamp.shape == weight.shape == (SIDE, SIDE)
        rows, columns = np.nonzero(np.isfinite(stamp))
        at_x, at_y = mosaic.all_world2pix(*wcs.all_pix2world(columns, rows, 0), 0)
        assert np.abs(at_x - np.round(at_x)).max() < 0.1
        assert np.abs(at_y - np.round(at_y)).max() < 0.1
        same = image[np.round(at_y).astype(int), np.round(at_x).astype(int)]
        np.testing.assert_array_equal(stamp[rows, columns], same)
        np.testing.assert_array_equal(weight > 0, np.isfinite(stamp))
        centre = wcs.all_world2pix(entry["ra"], entry["dec"], 0)
        assert np.abs(np.array(centre) - (SIDE - 1) / 2).max() <= 0.5
        assert float(entry["pixel_scale"]) == pytest.approx(0.06, rel=1e-4)
        assert mosaic.all_world2pix(entry["ra"], entry["dec"], 0) == pytest.approx([x, y], abs=1e-6)
    assert not index_of(tmp_path)["is_picture"].any()


def test_the_table_says_why_a_row_has_no_stamp(of_mosaic, tmp_path):
    manifest = galmorph.fetch(rows_off_the_mosaic(), **of_mosaic, stamps=tmp_path)
    index = index_of(tmp_path)
    assert index["row"].tolist() == list(range(9))
    assert [bool(name) for name in index["file"]] == [True] * 7 + [False] * 2
    assert index["reason"].tolist()[7:] == ["no image of the survey lies there", "the row has no position"]
    assert manifest.failed == {"7": "no image of the survey lies there", "8": "the row has no position"}
    assert sorted(path.name for path in tmp_path.glob("*.fits")) == sorted(name for name in index["file"] if name)


def test_pictures_are_marked_as_not_for_measuring(of_pictures, tmp_path):
    galmorph.fetch(pictured(), **of_pictures, stamps=tmp_path)
    index = index_of(tmp_path)
    assert index["is_picture"].all()
    for entry in index:
        with fits.open(tmp_path / entry["file"]) as hdus:
            assert len(hdus) == 1
            assert hdus[0].header["GMPICT"] is True
            assert hdus[0].data.shape[0] == 3
            assert 0 <= hdus[0].data.min() < hdus[0].data.max() <= 1
            wcs = WCS(hdus[0].header, naxis=2)
            side = hdus[0].data.shape[2]
        place = np.array(wcs.all_world2pix(entry["ra"], entry["dec"], 0))
        assert np.abs(place - (side - 1) / 2).max() < 0.1
        step = np.array(wcs.all_world2pix(entry["ra"], entry["dec"] + entry["pixel_scale"] * 10 / 3600, 0)) - place
        assert step == pytest.approx([0, -10], abs=0.1), "the first row is the northern one"


def test_frames_of_three_bands_make_pictures(archive, tmp_path):
    ra, dec = np.concatenate([field.sky for field in sdss_frames.FIELDS], axis=1)
    survey = sdss_frames.serve(archive)
    galmorph.fetch(Table({"ra": ra, "dec": dec}), survey=survey, band="gri", stamps=tmp_path, side=61)
    assert index_of(tmp_path)["is_picture"].all()


def test_what_was_begun_is_continued(of_pictures, archive, tmp_path):
    skyserver.fail(archive, 1, Fault(404, body=b""))
    first = galmorph.fetch(pictured(), **of_pictures, stamps=tmp_path)
    assert list(first.failed) == ["1"]
    assert "was refused (404" in index_of(tmp_path)["reason"][1]
    names = index_of(tmp_path)["file"].tolist()
    times = {name: (tmp_path / name).stat().st_mtime_ns for name in names if name}
    (tmp_path / "index.ecsv").unlink()  # as if the run had been killed before
    archive.requests.clear()
    assert galmorph.fetch(pictured(), **of_pictures, stamps=tmp_path).failed == {}
    assert len(archive.requests) == 1
    assert {name: (tmp_path / name).stat().st_mtime_ns for name in times} == times
    assert all(index_of(tmp_path)["file"])


def test_a_run_that_was_stopped_leaves_whole_stamps_which_the_next_one_keeps(of_mosaic, sky, tmp_path):
    def stopping(_stage, done, _total, _remark=""):
        if done == 0:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        galmorph.fetch(sky.catalog, **of_mosaic, stamps=tmp_path, progress=stopping)
    (first,) = tmp_path.glob("*.fits")
    assert {path.name for path in tmp_path.iterdir()} == {"cache", first.name}
    before = first.stat().st_mtime_ns
    assert galmorph.fetch(sky.catalog, **of_mosaic, stamps=tmp_path).failed == {}
    assert first.stat().st_mtime_ns == before
    assert len(list(tmp_path.glob("*.fits"))) == 7


def test_the_command_says_what_it_wrote(of_pictures, capsys, tmp_path):
    text = skyserver.SURVEY_FILE.read_text(encoding="utf-8")
    url = of_pictures["survey"].pictures.url
    (tmp_path / "sdss.toml").write_text(text.replace(skyserver.SDSS.pictures.url, url), encoding="utf-8")
    vstack([pictured(), Table({"ra": [np.nan], "dec": [0.0]})]).write(tmp_path / "catalog.fits")
    survey = str(tmp_path / "sdss.toml")
    words = ["fetch", str(tmp_path / "catalog.fits"), "--survey", survey, "--band", "RGB"]
    assert main([*words, "--stamps", str(tmp_path / "stamps")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'stamps'}\n"
    assert printed.err.endswith("5 rows, of which 1 could not be served\n1 row: the row has no position\n")
    assert main([*words, "--overwrite"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_nothing_is_overwritten_unasked(of_mosaic, sky, tmp_path):
    galmorph.fetch(sky.catalog, **of_mosaic, stamps=tmp_path)
    galmorph.fetch(sky.catalog, **of_mosaic, stamps=tmp_path)
    other = of_mosaic | {"side": 61}
    with pytest.raises(OutputError, match=r"index\.ecsv' exists already and was written for other rows"):
        galmorph.fetch(sky.catalog, **other, stamps=tmp_path)
    (tmp_path / "index.ecsv").unlink()
    with pytest.raises(OutputError, match="exists already and is no stamp of this row"):
        galmorph.fetch(sky.catalog, **other, stamps=tmp_path)
    galmorph.fetch(sky.catalog, **other, stamps=tmp_path, overwrite=True)
    assert {fits.getdata(path).shape for path in tmp_path.glob("*.fits")} == {(61, 61)}


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"side": 60}, "expected an odd number from 9 to 513"),
        ({"side": 999}, "expected an odd number from 9 to 513"),
        ({"output": "folder"}, "output was given with stamps"),
        ({"stamps": None}, "side was given without stamps"),
        ({"stamps": None, "side": None, "overwrite": True}, "overwrite was given without stamps"),
    ],
)
def test_what_does_not_apply_is_refused(of_mosaic, archive, sky, tmp_path, changes, reason):
    with pytest.raises(ArchiveError, match=reason):
        galmorph.fetch(sky.catalog, **of_mosaic | {"stamps": tmp_path} | changes)
    assert archive.requests == []


def test_names_are_safe_and_no_two_alike():
    texts = ["a/b", "A_b", "..", "", "CON", "ä", "x" * 300, "x" * 301, "row3", "a b", "é"]
    names = stamp_names(texts)
    assert len({name.lower() for name in names}) == len(texts)
    for name in names:
        assert name.startswith("stamp_")
        assert name.endswith(".fits")
        assert name.isascii()
        assert not set(name[:-5]) & set('/\\. :*?"<>|')
        assert len(name) < 120


def test_flags_of_stamps_are_those_of_the_mosaic_but_at_its_edge(archive, tmp_path):
    """Where objects are detected about each row, as on its stamp; beyond the mosaic stamps have no data."""
    folder = shipped("catalogs") / "samples" / "candels-h"
    for name in ("image", "weight"):
        archive.files[f"/{name}.fits"] = gzip.decompress((folder / f"{name}.fits.gz").read_bytes())
    rows = galmorph.read_catalog(folder / "catalog.fits").table
    candels = load_survey("candels")
    field = replace(
        candels.fields[0], ra_deg=float(np.median(rows["ra"])), dec_deg=float(np.median(rows["dec"])),
        base_url=f"{archive.base}/", mosaics={"F160W": "image.fits"}, weights={"F160W": "weight.fits"},
    )  # fmt: skip
    survey = replace(candels, fields=(field,))
    galmorph.fetch(rows, survey=survey, band="H", stamps=tmp_path / "stamps")
    images = str(tmp_path / "stamps" / "*.fits")
    ours = galmorph.measure(tmp_path / "stamps" / "index.ecsv", images, weight=images, **H, detect="cutouts")
    whole = galmorph.measure(rows, survey=survey, band="H", detect="cutouts")
    flags = [np.asarray(table["gm_flags"]) for table in (ours, whole)]
    differ = np.flatnonzero(flags[0] != flags[1])
    assert len(differ) <= 3
    assert all(flags[1][differ] & int(Flag.OFF_EDGE | Flag.NO_IMAGE))
    assert not any(flags[0][differ] & ~int(Flag.MASKED_PIXELS | Flag.ZERO_WEIGHT | Flag.NO_IMAGE))
