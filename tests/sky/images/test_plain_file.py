"""What is read as a FITS file, and what is refused before a byte of it is."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
import shutil
import zipfile

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images import open_images
from galmorph.sky.images.plain_file import check_regular

PIXELS = np.random.default_rng(1).normal(size=(20, 30)).astype(np.float32)


@pytest.fixture
def plain(tmp_path):
    fits.writeto(tmp_path / "a.fits", PIXELS)
    return tmp_path / "a.fits"


def _message(path, **settings):
    with pytest.raises(ImageError) as caught:
        open_images(path, **settings)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", ["pipe", "socket", "device", "folder"])
def test_what_has_no_end_is_refused(tmp_path, kind):
    path = tmp_path / "a.fits"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else tmp_path)
    with pytest.raises(
        ImageError, match=r"is (a pipe, a device or a socket|a folder): expected a file; write it to one first"
    ):
        check_regular(path)


def test_a_pipe_as_image_or_map_does_not_wait(tmp_path, plain):
    os.mkfifo(tmp_path / "pipe.fits")
    assert "is a pipe, a device or a socket" in _message(tmp_path / "pipe.fits")
    assert "is a pipe, a device or a socket" in _message(plain, rms=tmp_path / "pipe.fits")
    assert "is a pipe, a device or a socket" in _message("/dev/zero")


def test_a_link_that_leads_back_to_itself_is_explained(tmp_path):
    (tmp_path / "loop.fits").symlink_to(tmp_path / "loop.fits")
    assert "loop.fits" in _message(tmp_path / "loop.fits")


def test_a_folder_with_pipes_is_read_without_them(tmp_path, plain):
    folder = tmp_path / "tiles"
    folder.mkdir()
    shutil.copy(plain, folder)
    os.mkfifo(folder / "b.fits")
    source = open_images(folder)
    assert source.tile_names == ["a.fits"]
    source.close()


@pytest.mark.parametrize("kind", ["compress", "zip"])
def test_compressions_that_are_not_read_are_named(tmp_path, plain, kind):
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "a.fits.zip", "w") as archive:
            archive.write(plain, "a.fits")
        packed = (tmp_path / "a.fits.zip").rename(tmp_path / "packed.fits")
    else:
        packed = tmp_path / "packed.fits"
        packed.write_bytes(b"\x1f\x9d\x90" + bytes(100))
    assert f"is compressed by {'zip' if kind == 'zip' else 'compress (.Z)'}: expected FITS, plain" in _message(packed)


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_a_file_that_expands_too_far_is_not_expanded(tmp_path, monkeypatch, pack):
    monkeypatch.setenv("GALMORPH_LIMITS", "image_bytes=1048576")
    packed = tmp_path / "bomb.fits"
    packed.write_bytes(pack(bytes(3 << 20)))
    assert "than 1048576 (--limit image_bytes=N allows more): expected fewer; uncompress it yourself" in _message(
        packed
    )


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_damage_anywhere_in_a_compressed_file_is_one_line_or_none(tmp_path, plain, pack):
    raw = pack(plain.read_bytes())
    rng = np.random.default_rng(3)
    path = tmp_path / "packed.fits"
    for _ in range(30):
        at, bit = int(rng.integers(len(raw))), int(rng.integers(8))
        path.write_bytes(raw[:at] + bytes([raw[at] ^ (1 << bit)]) + raw[at + 1 :])
        try:
            source = open_images(path)
        except ImageError:
            continue
        assert source.cutout(0, 15, 10, 40).shape == (20, 30)
        source.close()
