"""Laws: the same galaxy gets the same answer, however often and in whatever company it is asked about."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table, vstack

from galmorph import classify, measure, open_images
from galmorph.sky.catalog import read_catalog

H = {"survey": "candels", "band": "H"}
# Sums in the network depend on the number of stamps in a batch by a few units of the last place of float32.
ROUNDING = 2e-6


@pytest.fixture(scope="module")
def whole(sky, h_checkpoint) -> Table:
    """Classify the small sky in one go."""
    return classify(sky.catalog, sky.image, weight=sky.weight, checkpoint=h_checkpoint, **H)


def assert_same(one: Table, other: Table, *, exact: bool) -> None:
    assert one.colnames == other.colnames
    for name in one.colnames:
        if not exact and (name.startswith("gm_p_") or name == "gm_conf"):
            np.testing.assert_allclose(one[name], other[name], rtol=0, atol=ROUNDING, err_msg=name)
        else:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_twice_is_the_same(whole, sky, h_checkpoint):
    again = classify(sky.catalog, sky.image, weight=sky.weight, checkpoint=h_checkpoint, **H)
    assert_same(again, whole, exact=True)


@pytest.mark.parametrize("cut", [1, 3, 6])
def test_two_parts_stacked_are_the_whole(whole, sky, h_checkpoint, cut):
    rows = small_sky.table()
    parts = [
        classify(part, sky.image, weight=sky.weight, checkpoint=h_checkpoint, **H) for part in (rows[:cut], rows[cut:])
    ]
    assert_same(vstack(parts, metadata_conflicts="silent"), whole, exact=False)


def test_another_order_of_rows_is_the_same_in_that_order(whole, sky, h_checkpoint):
    order = np.array([3, 6, 0, 5, 1, 4, 2])
    mixed = classify(small_sky.table()[order], sky.image, weight=sky.weight, checkpoint=h_checkpoint, **H)
    assert_same(mixed, whole[order], exact=False)


def test_a_galaxy_listed_twice_gets_the_same_answer_twice(sky, h_checkpoint):
    twice = classify(small_sky.table()[[2, 2]], sky.image, checkpoint=h_checkpoint, **H)
    assert_same(twice[:1], twice[1:], exact=True)


def test_the_command_line_is_the_same_as_python(whole, classified, tmp_path):
    assert classified(tmp_path / "out.fits").status == 0
    found = read_catalog(tmp_path / "out.fits").table
    assert_same(found, whole, exact=True)


def test_tiles_are_the_same_as_their_mosaic(sky, h_checkpoint, tmp_path):
    pixels, header = small_sky.field(), small_sky.header()
    for number, (x0, y0) in enumerate(((0, 0), (60, 0), (0, 60), (60, 60))):
        tile = header.copy()
        tile["CRPIX1"], tile["CRPIX2"] = header["CRPIX1"] - x0, header["CRPIX2"] - y0
        fits.writeto(tmp_path / f"tile{number}.fits", pixels[y0 : y0 + 180, x0 : x0 + 180], tile)
    rows = small_sky.table()[2:3]  # in the middle: its window is whole on every tile
    tiled = classify(rows, tmp_path, checkpoint=h_checkpoint, **H)
    mosaic = classify(rows, sky.image, checkpoint=h_checkpoint, **H)
    for name in ("gm_racen", "gm_deccen"):
        np.testing.assert_allclose(tiled[name], mosaic[name], rtol=0, atol=0.05 * 0.06 / 3600)
    np.testing.assert_allclose(tiled["gm_rpet"], mosaic["gm_rpet"], rtol=0.02)
    np.testing.assert_allclose(tiled["gm_conf"], mosaic["gm_conf"], atol=0.05)


@pytest.mark.parametrize("kind", [".fits.gz", ".fits.bz2", ".fits.fz"])
def test_compressed_images_are_the_same(sky, tmp_path, kind, whole, h_checkpoint):
    path = tmp_path / f"image{kind}"
    if kind == ".fits.fz":
        compressed = fits.CompImageHDU(
            small_sky.field(), small_sky.header(), compression_type="GZIP_2", quantize_level=0
        )
        compressed.writeto(path)
    else:
        fits.writeto(path, small_sky.field(), small_sky.header())
    found = classify(sky.catalog, path, weight=sky.weight, checkpoint=h_checkpoint, **H)
    assert_same(found, whole, exact=True)


@pytest.mark.parametrize("dtype", ["<f8", ">f4"])
def test_other_kinds_of_numbers_are_the_same(sky, tmp_path, dtype, whole, h_checkpoint):
    fits.writeto(tmp_path / "image.fits", small_sky.field().astype(dtype), small_sky.header())
    found = classify(sky.catalog, tmp_path / "image.fits", weight=sky.weight, checkpoint=h_checkpoint, **H)
    assert_same(found, whole, exact=True)


def test_noise_images_are_the_same_as_weights(sky, tmp_path, whole, h_checkpoint):
    fits.writeto(tmp_path / "rms.fits", np.full((small_sky.SIDE,) * 2, small_sky.SIGMA, np.float32))
    found = classify(sky.catalog, sky.image, rms=tmp_path / "rms.fits", checkpoint=h_checkpoint, **H)
    assert_same(found, whole, exact=False)


def test_an_open_source_stays_open(sky, h_checkpoint):
    source = open_images(sky.image, **H)
    first = classify(sky.catalog, source, checkpoint=h_checkpoint)
    second = classify(sky.catalog, source, checkpoint=h_checkpoint, **H)
    assert_same(first, second, exact=True)
    source.close()


def test_measuring_is_the_first_half_of_classifying(whole, sky):
    table = measure(sky.catalog, sky.image, weight=sky.weight, survey="candels", band="H")
    names = [n for n in table.colnames if n.startswith("gm_")]
    shared = [f"gm_{n}" for n in ("racen", "deccen", "pos_err", "rpet", "rpet_err", "r50", "snr", "flags")]
    assert [n for n in names if n in whole.colnames] == shared
    assert len(names) > len(shared)  # measuring also gives shapes
    for name in shared:
        np.testing.assert_array_equal(table[name], whole[name], err_msg=name)


def test_fractions_are_normalised_where_asked(sky, h_checkpoint):
    plain = classify(sky.catalog, sky.image, checkpoint=h_checkpoint, **H)
    scaled = classify(sky.catalog, sky.image, checkpoint=h_checkpoint, normalise=True, **H)
    names = [n for n in plain.colnames if n.startswith("gm_p_")]
    total = np.sum([plain[n] for n in names], axis=0)
    assert np.abs(total - 1).min() > 0.05
    for name in names:
        np.testing.assert_allclose(scaled[name], plain[name] / total, rtol=1e-5)
    np.testing.assert_allclose(plain["gm_conf"], np.max([scaled[n] for n in names], axis=0), rtol=1e-6)
    assert plain["gm_class"].tolist() == scaled["gm_class"].tolist()


def test_the_answers_of_a_tree_sum_to_their_parent(sky):
    made = small_sky.checkpoint(scheme="gz-ceers")
    table = classify(sky.catalog, sky.image, checkpoint=made, **H)
    for question, parents in zip(made.scheme.questions, made.scheme.parents, strict=True):
        total = np.sum([table[f"gm_p_{a.key}"] for a in question.answers], axis=0)
        keys = [made.scheme.keys[p] for p in parents]
        asked = np.sum([table[f"gm_p_{k}"] for k in keys], axis=0) if keys else np.ones(len(table))
        np.testing.assert_allclose(total, asked, atol=1e-6, err_msg=question.name)
