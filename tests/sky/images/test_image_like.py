"""Images that a script holds: the same pixels, positions and units as those of a file, and no file left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import pickle
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy import units as u
from astropy.io import fits
from astropy.nddata import (
    CCDData,
    InverseVariance,
    NDData,
    StdDevUncertainty,
    UnknownUncertainty,
    VarianceUncertainty,
)
from astropy.wcs import WCS

from galmorph.errors import ImageError
from galmorph.sky.images import ImageInput, open_images
from galmorph.sky.survey import load_survey

H = {"survey": load_survey("candels"), "band": "H"}
HEADER = small_sky.header()
PIXELS = small_sky.field()
SIGMA = np.random.default_rng(5).uniform(0.01, 0.02, PIXELS.shape).astype(np.float32)


@pytest.fixture(autouse=True)
def temporary(tmp_path, monkeypatch):
    """Keep temporary files of a test together."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def from_file(folder: Path, pixels=PIXELS, header=HEADER, **weights):
    """Open pixels from a file."""
    fits.writeto(folder / "image.fits", pixels, header, overwrite=True)
    for name, values in weights.items():
        fits.writeto(folder / f"{name}.fits", values, header, overwrite=True)
    return open_images(folder / "image.fits", **{name: folder / f"{name}.fits" for name in weights}, **H)


def assert_same(one, other) -> None:
    """Compare all that a source says about one galaxy, to the bit."""
    with closing(one), closing(other):
        assert one.tile_names == other.tile_names
        assert repr(one.mjysr_per_unit(0)) == repr(other.mjysr_per_unit(0))
        assert one.filter_name() == other.filter_name()
        places = [source.locate(*small_sky.sky_of(small_sky.XY)) for source in (one, other)]
        assert np.array_equal(places[0].x, places[1].x)
        assert np.array_equal(places[0].y, places[1].y)
        cutouts = [source.cutout(0, 40.3, 52.1, 30) for source in (one, other)]
        for name in ("planes", "detection", "weight", "labels"):
            first, second = (getattr(cutout, name) for cutout in cutouts)
            assert (first is None) == (second is None), name
            assert first is None or np.array_equal(first, second, equal_nan=True), name


MASK = np.zeros(PIXELS.shape, bool)
MASK[50:54, 40:44] = True
FORMS = {
    "array and WCS": (PIXELS, WCS(HEADER)),
    "array and header": (PIXELS, HEADER),
    "HDUList": fits.HDUList([fits.PrimaryHDU(), fits.ImageHDU(PIXELS, HEADER)]),
    "primary HDU": fits.PrimaryHDU(PIXELS, HEADER),
    "HDU": fits.ImageHDU(PIXELS, HEADER),
    "compressed HDU": fits.CompImageHDU(PIXELS, HEADER),
    "NDData": NDData(PIXELS, wcs=WCS(HEADER), meta=HEADER),
    "list": [(PIXELS, HEADER)],
}


@pytest.mark.parametrize("form", FORMS)
def test_pixels_in_memory_are_those_of_a_file(tmp_path, form):
    header = small_sky.header(filter_name=None) if form == "array and WCS" else HEADER
    assert_same(open_images(FORMS[form], **H), from_file(tmp_path, header=header))


@pytest.mark.parametrize("kind", ["f2", "f8", ">f4", "i2", "u2", "i4", "u1", "i1", "?"])
def test_numbers_of_any_type_are_pixels(kind):
    lowest = 0 if np.dtype(kind).kind in "ub" else -100
    pixels = np.clip(PIXELS * 50, lowest, 100).astype(kind)
    plain = pixels.astype(np.float32)
    with closing(open_images((pixels, HEADER))) as here:
        np.testing.assert_array_equal(here.cutout(0, 40.0, 52.0, 20).planes[0], plain[32:73, 20:61])


def test_a_unit_is_the_unit_of_the_pixels(tmp_path):
    for unit, text in (
        (u.nJy, "nJy"),
        (u.Unit("10 nJy"), "10 nJy"),
        (u.MJy / u.sr, "MJy/sr"),
        (u.electron, "electron"),
    ):
        header = HEADER.copy()
        header["BUNIT"] = text
        assert_same(open_images((PIXELS * unit, HEADER), **H), from_file(tmp_path, header=header))
    with closing(open_images(NDData(PIXELS, unit="nJy", wcs=WCS(HEADER)))) as janskys:
        same = PIXELS * u.nJy.to("erg / (s cm2 Hz)") * u.Unit("erg / (s cm2 Hz)")
        with closing(open_images((same, HEADER))) as cgs:
            values = [source.mjysr_per_unit(0) * source.cutout(0, 0, 0, 0).detection[0, 0] for source in (cgs, janskys)]
            assert values[0] == pytest.approx(values[1], rel=1e-6)
            assert values[1] == pytest.approx(janskys.mjysr_per_unit(0) * PIXELS[0, 0], rel=1e-6)


def test_masked_pixels_have_no_data():
    expected = np.where(MASK, np.float32(np.nan), PIXELS)
    for masked in ((np.ma.array(PIXELS, mask=MASK), HEADER), CCDData(PIXELS, unit="adu", mask=MASK, wcs=WCS(HEADER))):
        with closing(open_images(masked)) as here:
            np.testing.assert_array_equal(here.cutout(0, 40.0, 52.0, 20).planes[0], expected[32:73, 20:61])


@pytest.mark.parametrize(
    ("uncertainty", "name", "values"),
    [
        (StdDevUncertainty(SIGMA), "rms", SIGMA),
        (VarianceUncertainty(SIGMA), "weight", 1 / SIGMA),
        (InverseVariance(SIGMA), "weight", SIGMA),
    ],
)
def test_an_uncertainty_is_the_weight(tmp_path, uncertainty, name, values):
    image = NDData(PIXELS, uncertainty=uncertainty, wcs=WCS(HEADER), meta=HEADER)
    assert_same(open_images(image, **H), from_file(tmp_path, **{name: values}))


def test_an_uncertainty_has_a_unit_and_no_meaning_where_the_pixel_has_none():
    image = CCDData(PIXELS, unit="nJy", mask=MASK, wcs=WCS(HEADER))
    weights = []
    for uncertainty in (
        StdDevUncertainty(SIGMA * 1e-3, unit="uJy"),
        VarianceUncertainty(SIGMA.astype(float) ** 2 * 1e-6, unit="uJy2"),
        InverseVariance(SIGMA.astype(float) ** -2, unit="nJy-2"),
    ):
        image.uncertainty = uncertainty
        with closing(open_images(image)) as here:
            weights.append(here.cutout(0, 40.0, 52.0, 20).weight)
    expected = np.where(MASK, 0, SIGMA.astype(float) ** -2)[32:73, 20:61]
    for weight in weights:
        np.testing.assert_allclose(weight, expected, rtol=1e-5)


def test_weights_noise_and_maps_may_be_in_memory_too(tmp_path):
    labels = np.zeros(PIXELS.shape, np.int32)
    labels[40:60, 30:50] = 3
    image = fits.PrimaryHDU(PIXELS, HEADER)
    assert_same(open_images(image, weight=SIGMA, **H), from_file(tmp_path, weight=SIGMA))
    assert_same(
        open_images([image], rms=[fits.ImageHDU(SIGMA)], segmentation=labels, **H),
        from_file(tmp_path, rms=SIGMA, segmentation=labels),
    )


def test_one_list_of_hdus_holds_image_and_weight(tmp_path, temporary):
    hdus = fits.HDUList(
        [fits.PrimaryHDU(), fits.ImageHDU(PIXELS, HEADER, name="SCI"), fits.ImageHDU(SIGMA, name="WHT")]
    )
    with closing(open_images(hdus, weight=hdus, **H)) as here, closing(from_file(tmp_path, weight=SIGMA)) as there:
        assert len(list(temporary.iterdir())) == 1
        assert here.tile_names == there.tile_names
        assert np.array_equal(here.cutout(0, 40.3, 52.1, 30).weight, there.cutout(0, 40.3, 52.1, 30).weight)


def test_a_list_of_hdus_has_the_name_of_its_file(tmp_path):
    fits.writeto(tmp_path / "mosaic.fits.gz", PIXELS, HEADER)
    with fits.open(tmp_path / "mosaic.fits.gz") as hdus:
        assert_same(open_images(hdus, **H), open_images(tmp_path / "mosaic.fits.gz", **H))


def test_colour_is_made_of_images_in_memory(tmp_path):
    bands = {band: (PIXELS * n).astype(np.float32) for n, band in enumerate("gri", 1)}
    for band, pixels in bands.items():
        fits.writeto(tmp_path / f"{band}.fits", pixels, HEADER)
    sdss = {"survey": load_survey("sdss"), "band": "gri"}
    here = open_images({b: (p, HEADER) for b, p in bands.items()}, weight=dict.fromkeys(bands, SIGMA), **sdss)
    fits.writeto(tmp_path / "w.fits", SIGMA)
    there = open_images(
        {b: tmp_path / f"{b}.fits" for b in bands}, weight=dict.fromkeys(bands, tmp_path / "w.fits"), **sdss
    )
    assert_same(here, there)
    with_uncertainty = {
        b: NDData(p, uncertainty=InverseVariance(SIGMA), wcs=WCS(HEADER), meta=HEADER) for b, p in bands.items()
    }
    assert_same(open_images(with_uncertainty, **sdss), there)


def test_several_images_keep_their_order_and_their_weights():
    headers = [fits.Header({**HEADER, "CRVAL2": HEADER["CRVAL2"] + n}) for n in range(3)]
    images = [NDData(PIXELS + n, uncertainty=InverseVariance(SIGMA * (n + 1)), wcs=WCS(headers[n])) for n in range(3)]
    with closing(open_images(images)) as here:
        assert here.tile_names == ["image.fits", "image-2.fits", "image-3.fits"]
        for n in range(3):
            cutout = here.cutout(n, 40.0, 52.0, 5)
            np.testing.assert_array_equal(cutout.planes[0], (PIXELS + n)[47:58, 35:46])
            np.testing.assert_array_equal(cutout.weight, (SIGMA * (n + 1))[47:58, 35:46])


def test_an_array_without_a_wcs_has_pixel_positions():
    with closing(open_images(PIXELS)) as here:
        assert not here.has_wcs
        assert here.locate_pixels([[40.3, 52.1]]).tile.tolist() == [0]


def test_nothing_that_was_given_is_changed():
    header, hdu = HEADER.copy(), fits.ImageHDU(PIXELS.copy(), HEADER.copy())
    hdus = fits.HDUList([fits.PrimaryHDU(), hdu])
    before = [repr(h.header) for h in hdus]
    for image in ((PIXELS * u.nJy, header), hdus, hdu):
        open_images(image, **H).close()
    assert repr(header) == repr(HEADER)
    assert [repr(h.header) for h in hdus] == before


def test_files_go_away_with_the_source_that_needed_them(temporary):
    source = open_images((PIXELS, HEADER), weight=SIGMA, **H)
    assert len(list(temporary.iterdir())) == 2
    source.close()
    assert list(temporary.iterdir()) == []


def test_files_go_away_where_images_cannot_be_opened(temporary):
    with pytest.raises(ImageError, match="has 3 x 3 pixels"):
        open_images((PIXELS, HEADER), weight=np.ones((3, 3)), **H)
    gc.collect()
    assert list(temporary.iterdir()) == []


def _sum_of(asked: ImageInput) -> tuple[int, float]:
    with closing(asked.open()) as source:
        return os.getpid(), float(source.cutout(0, 40.0, 52.0, 20).planes.sum())


def test_an_input_with_pixels_is_small_and_opened_in_another_process(temporary):
    asked = ImageInput((PIXELS, HEADER), weight=SIGMA, survey="candels", band="H")
    assert len(pickle.dumps(asked)) < 2000
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        process, total = pool.apply(_sum_of, (asked,))
    assert process != os.getpid()
    assert (os.getpid(), total) == _sum_of(asked)
    assert len(list(temporary.iterdir())) == 2
    del asked
    assert list(temporary.iterdir()) == []


def test_pixels_are_put_into_a_file_once_and_stay_while_a_source_reads_them(temporary):
    asked = ImageInput((PIXELS, HEADER), survey="candels", band="H")
    first, second = asked.open(), asked.open()
    assert len(list(temporary.iterdir())) == 1
    first.close()
    asked.release()
    assert second.cutout(0, 40.0, 52.0, 20).shape == (41, 41)
    second.close()
    assert list(temporary.iterdir()) == []
    asked.open().close()
    assert len(list(temporary.iterdir())) == 1


def test_paths_stay_paths_and_open_images_stay_here(tmp_path):
    with closing(from_file(tmp_path)) as source:
        assert ImageInput(source).stored.images is source
        with pytest.raises(ImageError, match="cannot be handed to another process"):
            pickle.dumps(ImageInput(source))
    asked = ImageInput([tmp_path / "image.fits"], survey="candels", band="H")
    assert asked.stored == asked == pickle.loads(pickle.dumps(asked))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (np.zeros((3, 8, 8)), r"array of shape \(3, 8, 8\).*expected two dimensions.*'g': ..."),
        (np.zeros(8), r"array of shape \(8,\)"),
        (np.zeros((8, 8), complex), "type complex128.*expected real numbers"),
        (np.full((8, 8), "a"), "type <U1"),
        (object(), "image of type object: expected a path, an array"),
        ((np.zeros((8, 8)), "SCI"), "image 'SCI' does not exist"),
        (3.5, "image of type float"),
        (np.zeros((8, 8)) * u.ABmag, "unit mag\\(AB\\): expected flux"),
        (NDData(np.zeros((8, 8)), unit="mag"), "unit mag: expected flux"),
        (
            NDData(np.zeros((8, 8)), uncertainty=UnknownUncertainty(np.ones((8, 8)))),
            "is a UnknownUncertainty: expected",
        ),
        (fits.BinTableHDU.from_columns([fits.Column("a", "E", array=[1.0])]), "image of type BinTableHDU"),
        (fits.HDUList([fits.PrimaryHDU()]), "has no image of two dimensions"),
    ],
)
def test_what_is_no_image_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        open_images(image)


def test_an_uncertainty_and_a_weight_are_one_too_many():
    image = NDData(PIXELS, uncertainty=StdDevUncertainty(SIGMA))
    with pytest.raises(ImageError, match="has an uncertainty, and weights were given too"):
        open_images(image, weight=SIGMA)
    with pytest.raises(ImageError, match="some of the images have an uncertainty and some have none"):
        open_images([image, PIXELS])


def test_a_full_disk_is_said_to_be_one(monkeypatch):
    def refuse(*_args, **_settings):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(fits.HDUList, "writeto", refuse)
    with pytest.raises(ImageError, match=r"image.fits, from memory, cannot be put into a file \(No space left"):
        open_images(PIXELS)
