"""Compressed tiles are decoded in a process of their own: what ends it costs one window."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.tile_decoder import TileDecoder

PIXELS = np.random.default_rng(1).normal(size=(40, 50)).astype(np.float32)
ALL = ((0, 40), (0, 50))


@pytest.fixture
def packed(tmp_path):
    hdu = fits.CompImageHDU(PIXELS, compression_type="GZIP_1", quantize_level=0)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(tmp_path / "a.fits.fz")
    return tmp_path / "a.fits.fz"


@pytest.fixture
def decoder():
    decoder = TileDecoder()
    yield decoder
    decoder._stop()


def test_windows_are_those_of_the_image(packed, decoder):
    with packed.open("rb") as file:
        number = decoder.number()
        assert np.array_equal(decoder.window(number, file, 1, ALL), PIXELS)
        assert np.array_equal(decoder.window(number, file, 1, ((3, 9), (40, 50))), PIXELS[3:9, 40:])


def test_one_plane_of_a_cube_is_decoded(tmp_path, decoder):
    cube = np.arange(2 * 3 * 40, dtype=np.int16).reshape(2, 3, 40)
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(cube, compression_type="RICE_1")]).writeto(tmp_path / "c.fz")
    with (tmp_path / "c.fz").open("rb") as file:
        assert np.array_equal(decoder.window(decoder.number(), file, 1, (1, (0, 2), (5, 9))), cube[1, :2, 5:9])


def test_the_end_of_its_process_costs_one_window(packed, decoder):
    with packed.open("rb") as file:
        number = decoder.number()
        decoder.window(number, file, 1, ALL)
        os.kill(decoder._process.pid, signal.SIGSEGV)
        decoder._process.wait()
        with pytest.raises(ImageError, match="its compressed tiles crash their decoder"):
            decoder.window(number, file, 1, ALL)
        assert np.array_equal(decoder.window(number, file, 1, ALL), PIXELS)


def test_what_the_decoder_raises_is_one_line(packed, decoder):
    raw = packed.read_bytes()
    at = raw.index(b"\x1f\x8b")
    packed.write_bytes(raw[:at] + bytes(20) + raw[at + 20 :])
    with packed.open("rb") as file:
        number = decoder.number()
        with pytest.raises(ImageError) as caught:
            decoder.window(number, file, 1, ALL)
        assert "\n" not in str(caught.value)
        assert np.array_equal(decoder.window(number, file, 1, ((1, 40), (0, 50))), PIXELS[1:])
        with pytest.raises(ImageError):
            decoder.window(number, file, 9, ALL)


def test_threads_and_files_share_it(packed, tmp_path, decoder):
    other = tmp_path / "b.fits.fz"
    fits.HDUList([fits.PrimaryHDU(), fits.CompImageHDU(-PIXELS, compression_type="GZIP_1", quantize_level=0)]).writeto(
        other
    )
    with packed.open("rb") as one, other.open("rb") as two, ThreadPoolExecutor(4) as pool:
        numbers = decoder.number(), decoder.number()
        files = {numbers[0]: (one, PIXELS), numbers[1]: (two, -PIXELS)}
        asked = [(numbers[n % 2], n % 37) for n in range(40)]
        windows = pool.map(
            lambda ask: decoder.window(ask[0], files[ask[0]][0], 1, ((ask[1], ask[1] + 3), (0, 50))), asked
        )
        for (number, row), window in zip(asked, windows, strict=True):
            assert np.array_equal(window, files[number][1][row : row + 3])
        decoder.forget(numbers[0])
        assert np.array_equal(decoder.window(numbers[1], two, 1, ALL), -PIXELS)


def test_a_forked_process_has_one_of_its_own(packed, decoder):
    with packed.open("rb") as file:
        number = decoder.number()
        decoder.window(number, file, 1, ALL)
        parent = decoder._process.pid
        child = os.fork()
        if child == 0:
            same = np.array_equal(decoder.window(number, file, 1, ALL), PIXELS) and decoder._process.pid != parent
            decoder._stop()
            os._exit(0 if same else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert np.array_equal(decoder.window(number, file, 1, ALL), PIXELS)
