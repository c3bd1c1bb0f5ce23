"""Compressed images give the same pixels as plain ones."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tempfile

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images import open_images, pixels

WHOLE_FILE = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.fixture
def image():
    return np.random.default_rng(1).normal(size=(300, 200)).astype(np.float32)


def _write_tiled(path, data, **settings):
    hdu = fits.CompImageHDU(data, **settings)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(path)
    return path


def _all_of(path, half=400):
    source = open_images(path)
    found = source.cutout(0, 100, 150, half).detection
    source.close()
    return found


@pytest.mark.parametrize("suffix", WHOLE_FILE)
def test_a_file_compressed_as_a_whole_equals_the_plain_one(tmp_path, image, suffix):
    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    packed = tmp_path / f"packed.fits.{suffix}"
    packed.write_bytes(WHOLE_FILE[suffix]((tmp_path / "plain.fits").read_bytes()))
    assert np.array_equal(_all_of(packed), image)
    misnamed = packed.rename(tmp_path / "misnamed.fits")
    assert np.array_equal(_all_of(misnamed), image)


@pytest.mark.parametrize("suffix", WHOLE_FILE)
@pytest.mark.parametrize("kept", [0.5, 0.02])
def test_a_truncated_compressed_file_is_explained_in_one_line(tmp_path, image, suffix, kept):
    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    packed = WHOLE_FILE[suffix]((tmp_path / "plain.fits").read_bytes())
    (tmp_path / "packed.fits").write_bytes(packed[: int(len(packed) * kept)])
    with pytest.raises(ImageError, match=r"^image 'packed\.fits' is truncated or damaged[^\n]*$"):
        open_images(tmp_path / "packed.fits")


@pytest.mark.parametrize("tile_shape", [None, (64, 64)], ids=["rows", "squares"])
def test_lossless_tile_compression_equals_the_plain_image(tmp_path, image, tile_shape):
    path = _write_tiled(
        tmp_path / "image.fits.fz",
        image,
        compression_type="GZIP_2",
        quantize_level=0,
        tile_shape=tile_shape,
    )
    assert np.array_equal(_all_of(path), image)
    source = open_images(path)
    assert np.array_equal(source.cutout(0, 20, 290, 15).detection, image[275:306, 5:36])
    source.close()


def test_quantised_rice_compression_is_read_as_astropy_reads_it(tmp_path, image):
    image[10, 10] = np.nan
    path = _write_tiled(tmp_path / "image.fits.fz", image, compression_type="RICE_1")
    found = _all_of(path)
    assert np.array_equal(found, fits.getdata(path).astype(np.float32), equal_nan=True)
    assert np.isnan(found[10, 10])
    assert np.nanmax(np.abs(found - image)) < 0.1


@pytest.mark.parametrize("dtype", ["i2", "i4", "u2", "u1"])
def test_compressed_integers_equal_the_plain_ones(tmp_path, dtype):
    stored = np.random.default_rng(2).integers(0, 200, (300, 200)).astype(dtype)
    path = _write_tiled(tmp_path / "image.fz", stored, compression_type="RICE_1")
    assert np.array_equal(_all_of(path), stored.astype(np.float32))


def test_blank_compressed_integers_are_nan(tmp_path):
    stored = np.arange(12, dtype="i2").reshape(3, 4)
    hdu = fits.CompImageHDU(stored, compression_type="RICE_1")
    hdu.header["BLANK"] = 7
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "image.fz")
    source = open_images(tmp_path / "image.fz")
    assert np.flatnonzero(np.isnan(source.cutout(0, 1, 1, 9).detection)).tolist() == [7]
    source.close()


def test_many_windows_are_read_from_a_decompressed_copy(tmp_path, image, monkeypatch):
    monkeypatch.setattr(pixels, "ROWS_BEFORE_DECOMPRESSING", 3.5 / len(image))  # each window has one
    monkeypatch.setattr(pixels, "ROWS_AT_ONCE", 7)
    path = _write_tiled(tmp_path / "image.fz", image, compression_type="GZIP_1", quantize_level=0)
    source = open_images(path)
    plane = source._pixels(source.tiles[0].image)
    for n in range(6):
        assert (plane._whole is not None) == (n > 3)
        assert np.array_equal(source.cutout(0, 30 * n, 40 * n, 0).detection, image[40 * n, 30 * n, None, None])
    source.close()


def test_tiles_that_overlap_are_compared_in_compressed_images_too(tmp_path):
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CDELT1": -1e-5, "CDELT2": 1e-5})
    header.update(CRVAL1=10.0, CRVAL2=20.0, CRPIX1=20.5, CRPIX2=20.5)
    holed = np.ones((40, 40), np.float32)
    holed[18:22, 18:22] = np.nan
    a = _write_tiled(tmp_path / "a.fz", holed, header=header)
    header["CRPIX1"] = 30.5
    b = _write_tiled(tmp_path / "b.fz", np.ones((40, 40), np.float32), header=header)
    source = open_images([a, b])
    located = source.locate(*source.sky([0, 0], [19.5, 16.0], [19.5, 19.5]))
    assert located.tile.tolist() == [1, 0]
    source.close()


def test_a_truncated_tiled_file_is_explained_in_one_line(tmp_path, image):
    path = _write_tiled(tmp_path / "image.fz", image, compression_type="RICE_1")
    path.write_bytes(path.read_bytes()[:-20000])
    with pytest.raises(ImageError, match="is truncated"):
        open_images(path)


def test_a_damaged_tile_fails_by_itself(tmp_path):
    noise = np.random.default_rng(3).normal(size=(100, 100)).astype(np.float32)
    path = _write_tiled(tmp_path / "image.fz", noise, compression_type="GZIP_1", quantize_level=0)
    raw = bytearray(path.read_bytes())
    tile = raw.index(b"\x1f\x8b", raw.index(b"\x1f\x8b") + 2)  # the second row
    raw[tile : tile + 20] = bytes(20)
    path.write_bytes(raw)
    source = open_images(path)
    assert np.array_equal(source.cutout(0, 50, 0, 0).detection, noise[:1, 50:51])
    with pytest.raises(ImageError, match=r"^image 'image\.fz' is truncated or damaged[^\n]*$"):
        source.cutout(0, 50, 1, 0)
    source.close()


def test_a_full_temporary_folder_is_explained_in_one_line(tmp_path, image, monkeypatch):
    class Full(io.BytesIO):
        def write(self, _):
            raise OSError(28, "No space left on device")

    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    (tmp_path / "packed.fits.gz").write_bytes(gzip.compress((tmp_path / "plain.fits").read_bytes()))
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda **_: Full())
    with pytest.raises(ImageError, match=r"No space left on device.*TMPDIR"):
        open_images(tmp_path / "packed.fits.gz")


def test_the_real_uds_image_is_the_same_when_compressed(shared_data, tmp_path):
    plain = shared_data / "uds_f115w" / "uds_f115w_sci.fits"
    (tmp_path / "uds.fits.gz").write_bytes(gzip.compress(plain.read_bytes(), 1))
    with fits.open(plain) as hdus:
        header = hdus[0].header[:90]
        data = hdus[0].data.astype(np.float32)
    settings = {"compression_type": "GZIP_2", "quantize_level": 0, "header": header}
    _write_tiled(tmp_path / "uds.fits.fz", data, **settings)
    sources = [open_images(p) for p in (plain, tmp_path / "uds.fits.gz", tmp_path / "uds.fits.fz")]
    ra, dec = sources[0].sky([0, 0], [100.0, 700.0], [200.0, 800.0])
    for source in sources:
        located = source.locate(ra, dec)
        assert np.allclose(located.x, [100, 700], atol=1e-5)
        assert np.array_equal(source.cutout(0, 500, 400, 64).detection, sources[0].cutout(0, 500, 400, 64).detection)
        assert source.mjysr_per_unit(0) == pytest.approx(sources[0].mjysr_per_unit(0))
    for source in sources:
        source.close()


@pytest.mark.parametrize("between", [0, 1 << 30], ids=["row by row", "in one piece"])
def test_windows_of_a_large_plane_are_those_of_one_that_is_read_whole(tmp_path, image, monkeypatch, between):
    monkeypatch.setattr(pixels, "BYTES_READ_WHOLE", 0)
    monkeypatch.setattr(pixels, "BYTES_READ_BETWEEN", between)
    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    source = open_images(tmp_path / "plain.fits")
    plane = source._pixels(source.tiles[0].image)
    for window in ((0, 300, 0, 200), (0, 1, 199, 200), (299, 300, 0, 1), (17, 40, 3, 181)):
        y0, y1, x0, x1 = window
        assert np.array_equal(plane.window(*window), image[y0:y1, x0:x1])
    y, x = np.array([299, 0, 7]), np.array([0, 199, 100])
    assert np.array_equal(plane.points(y, x), image[y, x])
    source.close()


@pytest.mark.parametrize("ahead", [0, 120, 1 << 15], ids=["nothing", "half a window", "all columns"])
def test_what_is_read_ahead_is_what_lies_there(tmp_path, image, monkeypatch, ahead):
    for name, value in (("BYTES_READ_WHOLE", 0), ("BYTES_READ_BETWEEN", 0), ("BYTES_READ_AHEAD", ahead)):
        monkeypatch.setattr(pixels, name, value)
    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    source = open_images(tmp_path / "plain.fits")
    plane = source._pixels(source.tiles[0].image)
    # From left to right, with a leap, back, other rows of the same columns, the last columns, and windows in others.
    rows = [
        (0, 60),
        (0, 60),
        (0, 60),
        (0, 60),
        (0, 60),
        (50, 110),
        (50, 110),
        (50, 110),
        (60, 70),
        (50, 111),
        (50, 110),
    ]
    columns = [
        (0, 40),
        (30, 70),
        (60, 100),
        (130, 170),
        (0, 40),
        (0, 40),
        (30, 70),
        (160, 200),
        (35, 60),
        (30, 70),
        (70, 71),
    ]
    for (y0, y1), (x0, x1) in zip(rows, columns, strict=True):
        assert np.array_equal(plane.window(y0, y1, x0, x1), image[y0:y1, x0:x1])
    source.close()


def test_columns_of_neighbouring_windows_are_read_once(tmp_path, image, monkeypatch):
    for name, value in (("BYTES_READ_WHOLE", 0), ("BYTES_READ_BETWEEN", 0)):
        monkeypatch.setattr(pixels, name, value)
    fits.PrimaryHDU(image).writeto(tmp_path / "plain.fits")
    source = open_images(tmp_path / "plain.fits")
    plane = source._pixels(source.tiles[0].image)
    sizes: list[int] = []
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda *words: sizes.append(words[1][0].nbytes) or preadv(*words))
    for x0 in range(0, 160, 30):
        plane.window(10, 20, x0, x0 + 40)
    assert sizes == [160] * 10 + [4 * 170] * 10  # a lone window is read by itself
    source.close()


def test_a_file_cut_short_while_it_is_read_loses_only_what_is_gone(tmp_path, image, monkeypatch):
    monkeypatch.setattr(pixels, "BYTES_READ_WHOLE", 0)
    monkeypatch.setattr(pixels, "BYTES_READ_BETWEEN", 0)
    path = tmp_path / "plain.fits"
    fits.PrimaryHDU(image).writeto(path)
    source = open_images(path)
    plane = source._pixels(source.tiles[0].image)
    os.truncate(path, 2880 + 4 * 200 * 100)
    assert np.array_equal(plane.window(90, 100, 0, 200), image[90:100])
    for read in (plane.window, lambda *_: plane.points(np.array([5, 200]), np.array([1, 1]))):
        with pytest.raises(ImageError, match=r"^image 'plain\.fits' is truncated or damaged \(it has become shorter"):
            read(95, 105, 10, 20)
    source.close()
