"""Display stamps: found by name, read one by one, made linear again."""

from __future__ import annotations

import io
import os
import unicodedata
import zipfile
from contextlib import closing

import numpy as np
import pytest
from PIL import Image

from galmorph.errors import ImageError, SurveyError
from galmorph.sky.colour import compose, scaled_sum
from galmorph.sky.images import open_images
from galmorph.sky.survey import load_survey

SDSS = load_survey("sdss")
NIRCAM = load_survey("nircam")


def _png(pixels, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _rgb(value=100, shape=(6, 8)):
    pixels = np.zeros((*shape, 3), np.uint8)
    pixels[..., 0], pixels[..., 1] = value, np.arange(shape[1])
    pixels[0] += 5
    return pixels


def _zip(path, files):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def test_pixels_come_as_stored_from_the_top_row_down(tmp_path):
    pixels = _rgb()
    source = open_images(_zip(tmp_path / "stamps.zip", {"a.png": _png(pixels)}), survey=SDSS, band="RGB")
    cutout = source.cutout(0, 3.5, 2.5, 100)
    assert not source.is_linear
    assert not source.has_edges
    assert source.saturation == np.inf
    assert source.psf_fwhm_px is None
    assert source.n_planes == 3
    assert cutout.planes.dtype == np.float32
    assert cutout.planes.flags.c_contiguous
    assert np.allclose(cutout.planes * 255, pixels.transpose(2, 0, 1))
    assert (cutout.x, cutout.y, cutout.origin) == (3.5, 2.5, (0, 0))
    assert cutout.clipped == (True, True, True, True)
    assert source.cutout(0, 3.5, 2.5, 1).clipped == (False, False, False, False)
    assert np.isnan(cutout.scale_arcsec)
    assert cutout.weight is None
    source.close()


def test_the_flux_of_a_colour_stamp_is_the_sum_of_its_scaled_bands(tmp_path):
    bands = np.random.default_rng(0).uniform(0.001, 0.1, (3, 20, 20)).astype(np.float32)
    stored = (compose(bands, SDSS.colour).transpose(1, 2, 0) * 255).round().astype(np.uint8)
    source = open_images(_zip(tmp_path / "stamps.zip", {"a.png": _png(stored)}), survey=SDSS)
    found = source.cutout(0, 9.5, 9.5, 5).detection
    expected = scaled_sum(bands, SDSS.colour)
    # 8 bits: three rounding errors of up to half a step of 1/255, steepened by the inverse stretch
    slope = np.cosh(SDSS.colour.nonlinearity * compose(bands, SDSS.colour).sum(axis=0))
    assert np.all(np.abs(found - expected) < 1.6 / 255 * slope)
    source.close()


def test_grey_stamps_have_one_plane_which_is_the_flux(tmp_path):
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    content = _png(grey)
    for name in (NIRCAM, None):
        source = open_images(_zip(tmp_path / "stamps.zip", {"a.png": content}), survey=name)
        cutout = source.cutout(0, 3.5, 2.5, 3)
        assert source.n_planes == 1
        assert np.allclose(cutout.planes[0] * 255, grey)
        assert np.array_equal(cutout.detection, cutout.planes[0])
        source.close()


def test_stamps_are_brought_to_the_planes_of_the_survey(tmp_path):
    grey = np.full((4, 4), 51, np.uint8)
    files = {"grey.png": _png(grey), "rgb.png": _png(np.stack([grey] * 3, axis=2))}
    for name, planes in ((SDSS, 3), (NIRCAM, 1)):
        source = open_images(_zip(tmp_path / "stamps.zip", files), survey=name)
        for tile in range(2):
            assert source.cutout(tile, 2, 2, 2).planes.shape == (planes, 4, 4)
            assert np.allclose(source.cutout(tile, 2, 2, 2).planes, 0.2)
        source.close()


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "P", "1", "I;16", "CMYK"])
def test_every_mode_of_picture_is_read_between_0_and_1(tmp_path, mode):
    buffer = io.BytesIO()
    if mode == "I;16":
        Image.fromarray(np.full((4, 4), 65535, np.uint16)).save(buffer, "PNG")
    else:
        white = Image.new("RGB", (4, 4), (255, 255, 255)).convert(mode)
        white.save(buffer, "JPEG" if mode == "CMYK" else "PNG")
    source = open_images(_zip(tmp_path / "stamps.zip", {"a.png": buffer.getvalue()}))
    assert np.allclose(source.cutout(0, 1, 1, 1).planes, 1, atol=0.01)
    source.close()


def test_stamps_are_found_by_name_with_or_without_folder_and_suffix(tmp_path):
    content = _png(_rgb())
    names = ["one/a.jpg", "one/b.png", "two/b.png", "c.JPEG", "__MACOSX/._a.jpg", ".hidden.png", "readme.txt"]
    source = open_images(_zip(tmp_path / "stamps.zip", dict.fromkeys(names, content)))
    assert source.tile_names == names[:4]
    asked = ["one/a.jpg", "a.jpg", "a", " one/a ", "x/a.png", "b.png", "two/b", "c", 7, None, np.nan, ""]
    located = source.locate_files(asked)
    assert located.tile.tolist() == [0, 0, 0, 0, 0, -1, 2, 3, -1, -1, -1, -1]
    assert located.x[0] == 3.5
    assert located.y[0] == 2.5
    assert np.isnan(located.x[located.tile < 0]).all()
    source.close()


def test_numbers_serve_as_names(tmp_path):
    content = _png(_rgb())
    source = open_images(_zip(tmp_path / "stamps.zip", {"588848901537202306.jpg": content}))
    assert source.locate_files(np.array([588848901537202306, 5])).tile.tolist() == [0, -1]
    source.close()


def test_a_folder_files_and_a_zip_give_the_same(tmp_path):
    content = {f"{n}.png": _png(_rgb(n)) for n in (1, 2, 3)}
    folder = tmp_path / "stamps"
    folder.mkdir()
    for name, data in content.items():
        (folder / name).write_bytes(data)
    sources = [
        open_images(given)
        for given in (_zip(tmp_path / "s.zip", content), folder, folder / "*.png", sorted(folder.iterdir()))
    ]
    for source in sources:
        assert source.tile_names == list(content)
        assert source.locate_files(["2"]).tile.tolist() == [1]
        assert np.allclose(source.cutout(1, 1, 1, 1).planes[0, 1:] * 255, 2)
        source.close()


def test_a_single_stamp_serves_pixel_positions(tmp_path):
    (tmp_path / "a.png").write_bytes(_png(_rgb()))
    source = open_images(tmp_path / "a.png")
    assert source.locate_pixels([[0, 0], [7.4, 5.4], [8, 0]]).tile.tolist() == [0, 0, -1]
    source.close()
    source = open_images(_zip(tmp_path / "s.zip", {"a.png": _png(_rgb()), "b.png": _png(_rgb())}))
    with pytest.raises(ImageError, match="2 stamps"):
        source.locate_pixels([[0, 0]])
    source.close()


def test_stamps_do_not_know_the_sky(tmp_path):
    source = open_images(_zip(tmp_path / "s.zip", {"a.png": _png(_rgb())}))
    with pytest.raises(ImageError, match="no celestial WCS"):
        source.locate([1.0], [2.0])
    assert np.isnan(source.sky([0, 0], [1, 2], [3, 4])).all()
    assert np.isnan(source.mjysr_per_unit(0))
    assert source.filter_name() is None
    assert not source.has_wcs
    source.close()


def test_damaged_stamps_fail_by_themselves(tmp_path):
    jpeg = _png(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8), "JPEG")
    files = {
        "good.jpg": jpeg,
        "short.jpg": jpeg[: len(jpeg) // 2],
        "text.jpg": b"not a picture",
        "empty.jpg": b"",
        "png.png": _png(_rgb())[:-30],
    }
    path = _zip(tmp_path / "s.zip", files)
    raw = path.read_bytes()
    start = raw.index(b"not a picture")
    path.write_bytes(raw[:start] + b"NOT" + raw[start + 3 :])  # the checksum no longer agrees
    source = open_images(path)
    located = source.locate_files(list(files))
    assert located.tile.tolist() == [0, 1, 2, 3, 4]
    assert np.isnan(located.x[2:4]).all()
    assert source.cutout(0, 1, 1, 1).shape == (64, 64)
    for tile in range(1, 5):
        with pytest.raises(ImageError, match=r"^stamp '.*' cannot be read \([^\n]*$"):
            source.cutout(tile, 1, 1, 1)
    source.close()


def test_a_picture_too_large_to_be_a_stamp_is_an_error(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.new("L", (40, 30)).save(path)
    monkeypatch.setenv("GALMORPH_LIMITS", "stamp_pixels=1199")
    with (
        closing(open_images(path, survey=NIRCAM)) as source,
        pytest.raises(ImageError, match=r"40 x 30 pixels, more than 1199 \(--limit stamp_pixels=N"),
    ):
        source.cutout(0, 1, 1, 1)
    monkeypatch.setenv("GALMORPH_LIMITS", "stamp_pixels=1200 stamp_bytes=50")
    with pytest.raises(ImageError, match=r"more than 50 \(--limit stamp_bytes=N"):
        open_images(path)


def test_a_header_that_claims_more_pixels_than_its_file_can_hold_is_refused(tmp_path):
    path = tmp_path / "a.jpg"
    Image.new("L", (64, 64)).save(path)
    sound = path.read_bytes()
    at = sound.index(b"\xff\xc0") + 5
    path.write_bytes(sound[:at] + (60000).to_bytes(2, "big") + sound[at + 2 :])
    with (
        closing(open_images(path, survey=NIRCAM)) as source,
        pytest.raises(ImageError, match="64 x 60000 pixels by its"),
    ):
        source.cutout(0, 1, 1, 1)


def test_a_member_of_a_zip_that_expands_too_far_is_not_expanded(tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.png", _png(np.zeros((8, 8), np.uint8)))
        archive.writestr("b.png", bytes(1 << 20))
    monkeypatch.setenv("GALMORPH_LIMITS", "stamp_bytes=65536")
    with closing(open_images(tmp_path / "s.zip")) as source:
        assert source.cutout(0, 4, 4, 4).shape == (8, 8)
        with pytest.raises(ImageError, match="1048576 bytes, more than 65536"):
            source.cutout(1, 4, 4, 4)


def test_pipes_in_a_folder_of_stamps_are_left_alone(tmp_path):
    (tmp_path / "a.png").write_bytes(_png(np.zeros((8, 8), np.uint8)))
    os.mkfifo(tmp_path / "b.png")
    with closing(open_images(tmp_path)) as source:
        assert source.tile_names == ["a.png"]


def test_names_are_the_same_however_systems_and_tables_spell_them(tmp_path):
    decomposed = unicodedata.normalize("NFD", "Gödel.png")
    with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
        for name in (decomposed, "fields\\b.png", "100008.png", "17.0.png"):
            archive.writestr(name, _png(np.zeros((8, 8), np.uint8)))
    with closing(open_images(tmp_path / "s.zip")) as source:
        names = ["Gödel", "fields/b.png", "b", "100008.0", "17.0", "17", "G\u00f6del.png", "8.0"]
        numbers = source.locate_files(names).tile.tolist()
    assert numbers == [0, 1, 1, 2, 3, -1, 0, -1]


def test_bad_archives_and_bands_are_explained_in_one_line(tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"PK nothing")
    good = _zip(tmp_path / "good.zip", {"a.png": _png(_rgb())})
    with pytest.raises(ImageError, match="cannot be opened as a zip file"):
        open_images(tmp_path / "bad.zip")
    with pytest.raises(ImageError, match="holds no JPEG or PNG"):
        open_images(_zip(tmp_path / "empty.zip", {"a.txt": b""}))
    with pytest.raises(ImageError, match="one zip file by itself"):
        open_images([good, tmp_path / "empty.zip"])
    with pytest.raises(ImageError, match="does not exist"):
        open_images(tmp_path / "missing.zip")
    with pytest.raises(SurveyError, match="unknown band"):
        open_images(good, survey=NIRCAM, band="H")


def test_the_real_sdss_stamps_are_found_and_read(shared_data):
    source = open_images(shared_data / "sdss_gz2" / "images.zip", survey=SDSS, band="RGB")
    lines = (shared_data / "sdss_gz2" / "labels.csv").read_text().splitlines()[1:]
    located = source.locate_files([line.split(",")[0] for line in lines])
    assert len(lines) == 6620
    assert (located.tile >= 0).all()
    assert np.all(located.x == 115.5)
    bright = []
    for tile in located.tile[::200]:
        cutout = source.cutout(int(tile), 115.5, 115.5, 60)
        assert cutout.planes.shape == (3, 232, 232)
        bright.append(cutout.detection[100:132, 100:132].mean() / cutout.detection[:10].mean())
    assert np.median(bright) > 5
    source.close()


def test_the_real_nircam_stamps_have_one_plane(shared_data):
    source = open_images(shared_data / "ceers_f200w" / "images.zip", survey=NIRCAM, band="F200W")
    cutout = source.cutout(5, 211.5, 211.5, 100)
    assert cutout.planes.shape == (1, 424, 424)
    assert len(source.tile_names) == 3230
    source.close()
