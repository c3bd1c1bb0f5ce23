"""Stamps that were never files: the same pixels and checks as in files, by name."""

from __future__ import annotations

import bz2
import gzip
import io
import tempfile
from contextlib import closing

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table
from PIL import Image

import galmorph
from galmorph.errors import CatalogError, ImageError
from galmorph.limits import VARIABLE
from galmorph.sky.images import open_images
from galmorph.sky.survey import load_survey

CANDELS, SDSS = load_survey("candels"), load_survey("sdss")


def picture(seed=0, kind="PNG", side=64):
    stream = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 60, (side, side, 3))
    y, x = np.indices((side, side)) - side // 2
    light = 190 * np.exp(-np.hypot(x, y) / 6)
    Image.fromarray((noise + light[..., None]).astype(np.uint8)).save(stream, kind)
    return stream.getvalue()


def fits_file(seed=0, wcs=True):
    stream = io.BytesIO()
    fits.PrimaryHDU(small_sky.field(seed=seed), small_sky.header() if wcs else None).writeto(stream)
    return stream.getvalue()


def test_pictures_have_the_pixels_of_their_files(tmp_path):
    contents = {"a.png": picture(1), "b.jpg": picture(2, "JPEG")}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    with (
        closing(open_images(tmp_path, survey=SDSS, band="RGB")) as files,
        closing(open_images(contents, survey=SDSS, band="RGB")) as memory,
    ):
        assert files.tile_names == memory.tile_names
        assert memory.by_name
        for tile in range(2):
            np.testing.assert_array_equal(files.cutout(tile, 3, 3, 9).detection, memory.cutout(tile, 3, 3, 9).detection)


def test_no_file_is_left_or_made_for_pictures(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with closing(open_images({"a.png": picture()})) as source:
        source.cutout(0, 5, 5, 5)
        assert list(tmp_path.iterdir()) == []


def test_any_name_will_do_and_is_no_path(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    names = ["../../etc/passwd", "a\0b", "'; DROP TABLE images; --", "x" * 5000, "galaxy 12[SCI]", "Köln"]
    for content in (picture(), fits_file()):
        with closing(open_images(dict.fromkeys(names, content))) as source:
            assert source.locate_files(names).tile.tolist() == list(range(len(names)))
            assert np.isfinite(source.cutout(3, 20, 20, 5).planes).any()
        assert list(tmp_path.iterdir()) == []


def test_fits_stamps_are_found_by_name_with_the_galaxy_in_the_middle():
    contents = {"one": fits_file(1), "two.fits": gzip.compress(fits_file(2)), "three": bz2.compress(fits_file(3))}
    with closing(open_images(contents, survey=CANDELS, band="H")) as source:
        where = source.locate_files(["three", "two.fits", "four"])
        assert where.tile.tolist() == [2, 1, -1]
        assert where.x[0] == where.y[0] == (small_sky.SIDE - 1) / 2
        assert source.is_linear
        assert source.has_wcs
        np.testing.assert_array_equal(
            source.cutout(1, 40, 40, 5).detection,
            small_sky.field(seed=2).astype(np.float32)[35:46, 35:46],
        )


def test_measuring_pictures_in_memory_gives_the_bits_of_measuring_files(tmp_path):
    contents = {f"{n}.png": picture(n) for n in range(3)}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    rows = Table({"file": list(contents)})
    from_files, from_memory = (galmorph.measure(rows, images, survey="sdss") for images in (tmp_path, contents))
    for name in from_files.colnames:
        assert from_files[name].tobytes() == from_memory[name].tobytes()


def test_rows_of_fits_stamps_without_wcs_are_measured_in_pixels():
    result = galmorph.measure(
        Table({"file": ["one", "none"]}), {"one": fits_file(wcs=False)}, survey="candels", band="H"
    )
    assert "gm_x" in result.colnames
    assert np.isfinite(result["gm_x"]).tolist() == [True, False]


def test_stamps_of_fits_may_be_found_by_position_too():
    where = small_sky.header()
    with closing(galmorph.open_images({"one": fits_file()}, survey="candels", band="H")) as source:
        result = galmorph.measure(Table({"ra": [where["CRVAL1"]], "dec": [where["CRVAL2"]]}), source)
        assert np.isfinite(result["gm_racen"][0])


def test_pictures_need_a_column_of_names():
    with pytest.raises(CatalogError, match="no column of file names"):
        galmorph.measure(Table({"ra": [1.0], "dec": [2.0]}), {"a.png": picture()}, survey="sdss")


@pytest.mark.parametrize(
    ("contents", "message"),
    [
        ({"a": fits_file(), "b": picture()}, "'a' is FITS and 'b' is not"),
        ({"a": b"SIMPLE  =  T"}, "'a'"),
        ({"a": b"\x1f\x8b broken"}, "'a' cannot be decompressed"),
        ({"a": b""}, "stamp 'a' cannot be read"),
        ({"a": b"GIF89a" + bytes(100)}, "stamp 'a' cannot be read"),
    ],
)
def test_what_is_no_stamp_is_refused_by_its_name(contents, message):
    with pytest.raises(ImageError, match=message):
        open_images(contents)


def test_a_picture_of_another_kind_is_not_read_whatever_it_is_called():
    stream = io.BytesIO()
    Image.new("RGB", (9, 9)).save(stream, "TIFF")
    with (
        closing(open_images({"a.png": stream.getvalue()}, survey=SDSS)) as source,
        pytest.raises(ImageError, match=r"a\.png"),
    ):
        source.cutout(0, 4, 4, 4)


def test_colour_of_fits_stamps_and_maps_of_pictures_are_refused():
    with pytest.raises(ImageError, match="has one band"):
        open_images({"a": fits_file()}, survey=SDSS, band="gri")
    with pytest.raises(ImageError, match="weight was given"):
        open_images({"a": picture()}, weight=np.zeros((9, 9)))
    with pytest.raises(ImageError, match="hdu was given"):
        open_images({"a": picture()}, hdu=1)


def test_a_stamp_that_expands_is_refused_before_it_has(monkeypatch):
    monkeypatch.setenv(VARIABLE, "stamp_bytes=1e6")
    bomb = gzip.compress(b"SIMPLE" + bytes(1 << 24))
    with pytest.raises(ImageError, match="more bytes than 1000000"):
        open_images({"a": bomb})
    with pytest.raises(ImageError, match="more bytes than 1000000"):
        open_images({"a": b"SIMPLE" + bytes(1 << 20)})


def test_a_fits_stamp_of_too_many_pixels_is_refused(monkeypatch):
    monkeypatch.setenv(VARIABLE, "stamp_pixels=100")
    with pytest.raises(ImageError, match="pixels, more than 100"):
        open_images({"a": fits_file()})
