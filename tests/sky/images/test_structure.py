"""The sizes that headers claim are checked before they drive anything."""

from __future__ import annotations

import io
import time

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images import open_images
from galmorph.sky.images.structure import check_structure

PIXELS = np.arange(600, dtype=np.float32).reshape(20, 30)


def _bytes(*hdus):
    stream = io.BytesIO()
    fits.HDUList(list(hdus)).writeto(stream)
    return stream.getvalue()


def _card(text):
    return text.ljust(80).encode()


def _replaced(raw, name, value, after=0):
    """Put another value on the first card of this name after a byte."""
    at = next(n for n in range(after, len(raw), 80) if raw[n : n + 8] == name.ljust(8).encode())
    return raw[:at] + _card(f"{name:8}= {value:>20}") + raw[at + 80 :]


def _message(tmp_path, raw):
    path = tmp_path / "a.fits"
    path.write_bytes(raw)
    start = time.process_time()
    with pytest.raises(ImageError) as caught:
        open_images(path)
    assert "\n" not in str(caught.value)
    assert time.process_time() - start < 5
    return str(caught.value)


PLAIN = _bytes(fits.PrimaryHDU(PIXELS))
PACKED = _bytes(fits.PrimaryHDU(), fits.CompImageHDU(PIXELS, compression_type="RICE_1"))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("NAXIS", 2**63 - 1, "has NAXIS = 9223372036854775807: expected 0 to 999"),
        ("NAXIS", -1, "has NAXIS = -1: expected 0 to 999"),
        ("NAXIS1", -30, "has NAXIS1 = -30: expected a whole number from 0"),
        ("NAXIS1", 10**18, "is truncated: expected"),
        ("NAXIS1", "'30'", "has NAXIS1 = '30': expected a whole number"),
        ("NAXIS2", 1.5, "has NAXIS2 = 1.5: expected a whole number"),
        ("BITPIX", -31, "has BITPIX = -31: expected one of 8, 16, 32, 64, -32, -64"),
        ("BITPIX", "T", "has BITPIX = T: expected a whole number"),
    ],
)
def test_impossible_sizes_are_named(tmp_path, name, value, words):
    assert words in _message(tmp_path, _replaced(PLAIN, name, value))


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("TFIELDS", 2**31 - 1, "has TFIELDS = 2147483647: expected 0 to 999"),
        ("TFIELDS", 2, "has rows of 32 bytes: expected the 16 of its columns"),
        ("NAXIS1", 4, "has rows of 4 bytes: expected the 32 of its columns"),
        ("NAXIS2", 19, "has 19 compressed tiles: expected the 20 of its image"),
        ("ZNAXIS", 10**9, "has ZNAXIS = 1000000000: expected 1 to 999"),
        ("ZNAXIS2", 2**40, "has ZNAXIS2 = 1099511627776: expected 1 to 2147483647"),
        ("ZTILE1", 0, "has ZTILE1 = 0: expected"),
        ("ZBITPIX", 7, "has ZBITPIX = 7: expected one of"),
        ("ZCMPTYPE", "'RICE_9'", "is compressed by RICE_9: expected RICE_1"),
        ("ZVAL1", 0, "has BLOCKSIZE = 0: expected one that its decoder knows"),
        ("ZVAL2", 5, "has BYTEPIX = 5: expected one that its decoder knows"),
        ("PCOUNT", 10**12, "is truncated"),
        ("TTYPE1", "'OTHER'", "has no column COMPRESSED_DATA"),
        ("TFORM1", "'1PZ(90)'", "has a column of type '1PZ(90)': expected one that FITS has"),
    ],
)
def test_impossible_tiles_are_named_before_their_decoder_sees_them(tmp_path, name, value, words):
    after = PACKED.index(b"XTENSION")
    assert words in _message(tmp_path, _replaced(PACKED, name, value, after))


def test_headers_without_end_or_of_too_many_cards_are_refused(tmp_path, monkeypatch):
    endless = PLAIN[:2880].replace(b"END".ljust(80), _card("COMMENT"))
    assert "is not readable as FITS (no header with an END card)" in _message(tmp_path, endless)
    assert "is truncated: the header of its HDU 0 has no end" in _message(tmp_path, endless + endless[:2000])
    monkeypatch.setenv("GALMORPH_LIMITS", "image_cards=100")
    many = endless + _card("COMMENT") * 36 * 4
    assert "has more cards than 100 (--limit image_cards=N" in _message(tmp_path, many)


def test_too_many_hdus_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("GALMORPH_LIMITS", "image_hdus=3")
    raw = _bytes(fits.PrimaryHDU(), *(fits.ImageHDU(PIXELS) for _ in range(3)))
    assert "has more HDUs than 3 (--limit image_hdus=N" in _message(tmp_path, raw)


def test_sound_files_pass_and_are_left_at_their_beginning(tmp_path):
    groups = b"".join(
        _card(text)
        for text in (
            *("SIMPLE  =                    T", "BITPIX  =                  -32", "NAXIS   =                    3"),
            *("NAXIS1  =                    0", "NAXIS2  =                   10", "NAXIS3  =                   20"),
            *(
                "GROUPS  =                    T",
                "PCOUNT  =                    2",
                "GCOUNT  =                    3",
                "END",
            ),
        )
    )
    table = fits.BinTableHDU.from_columns([fits.Column("a", "PJ()", array=np.array([[1], [1, 2]], object))])
    sound = [PLAIN, PACKED, _bytes(fits.PrimaryHDU(), table), PLAIN + b"\x1a" * 100]
    sound.append(groups.ljust(2880) + bytes(3 * (2 + 200) * 4))
    for number, raw in enumerate(sound):
        path = tmp_path / f"{number}.fits"
        path.write_bytes(raw)
        with path.open("rb") as file:
            check_structure(file, path.name)
            assert file.tell() == 0


def test_every_cut_of_a_file_is_refused_or_reads_the_same_pixels(tmp_path):
    path = tmp_path / "a.fits"
    for raw in (PLAIN, PACKED):
        for length in range(0, len(raw), 997):
            path.write_bytes(raw[:length])
            try:
                source = open_images(path)
            except ImageError:
                continue
            assert np.isfinite(source.cutout(0, 15, 10, 40).detection).all()
            source.close()


def test_sizes_that_contradict_each_other_are_refused(tmp_path):
    """One reader takes the first card, another the last."""
    end = PLAIN.index(b"END".ljust(80))
    twice = PLAIN[:end] + _card("NAXIS1  =                   12") + PLAIN[end:2800] + PLAIN[2880:]
    assert "and NAXIS1 = 12" in _message(tmp_path, twice)
    same = PLAIN[:end] + _card("NAXIS   =                    2") + PLAIN[end:2800] + PLAIN[2880:]
    (tmp_path / "same.fits").write_bytes(same)
    open_images(tmp_path / "same.fits").close()


def test_a_header_without_its_first_card_is_no_appended_bytes(tmp_path):
    """Other readers follow its sizes, and a negative one leads them back."""
    raw = _bytes(fits.PrimaryHDU(), fits.ImageHDU(PIXELS), fits.ImageHDU(PIXELS))
    at = raw.rindex(b"XTENSION")
    assert "does not begin with XTENSION" in _message(tmp_path, raw[:at] + b"YTENSION" + raw[at + 8 :])
