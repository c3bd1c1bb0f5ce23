"""Opening images: folders, globs, weights, bands, and what cannot go together."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import GalmorphError, SurveyError
from galmorph.sky.images import colour_bands, open_images
from galmorph.sky.survey import load_survey

CANDELS = load_survey("candels")
SDSS = load_survey("sdss")


def _write(path, value=1.0, shape=(4, 5)):
    path.parent.mkdir(exist_ok=True)
    fits.PrimaryHDU(np.full(shape, value, np.float32)).writeto(path)
    return str(path)


def _names(*args, **kwargs):
    source = open_images(*args, **kwargs)
    source.close()
    return source.tile_names


def _weights(*args, **kwargs):
    source = open_images(*args, **kwargs)
    source.close()
    return [tile.weight.name for tile in source.tiles]


def _message(*args, **kwargs):
    with pytest.raises(GalmorphError) as caught:
        open_images(*args, **kwargs)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def folder(tmp_path):
    for field in ("a", "b", "c"):
        _write(tmp_path / f"{field}_sci.fits")
        _write(tmp_path / f"{field}_wht.fits", 2)
        _write(tmp_path / f"{field}_seg.fits", 3)
    (tmp_path / "notes.txt").write_text("no image")
    return tmp_path


def test_a_folder_a_glob_and_a_list_name_the_same_images(folder):
    names = ["a_sci.fits", "b_sci.fits", "c_sci.fits"]
    assert _names(folder) == names
    assert _names(str(folder / "*_sci.fits")) == names
    assert _names([folder / name for name in names]) == names


def test_images_keep_their_order_and_come_once(folder):
    assert _names([folder / "c_sci.fits", folder / "*_sci.fits"]) == [
        "c_sci.fits",
        "a_sci.fits",
        "b_sci.fits",
    ]


def test_weights_match_by_name_whatever_their_order(folder):
    images = [folder / f"{field}_sci.fits" for field in "cab"]
    expected = [f"{field}_wht.fits" for field in "cab"]
    assert _weights(images, weight=[str(folder / "*_wht.fits")]) == expected
    assert _weights(images, weight=folder) == expected
    assert _weights(images[1:], weight=folder) == expected[1:]


def test_weights_match_by_order_where_names_do_not_tell(tmp_path):
    images = [_write(tmp_path / f"{n}.fits") for n in "xy"]
    weights = [_write(tmp_path / f"{n}.fits") for n in "qp"]
    assert _weights(images, weight=weights) == ["q.fits", "p.fits"]


def test_weights_that_do_not_fit_are_explained(folder):
    images = [folder / f"{field}_sci.fits" for field in "ab"]
    assert "1 weight images for 2 images" in _message(images, weight=[folder / "a_wht.fits"])
    small = _write(folder / "small" / "a_wht.fits", shape=(3, 5))
    assert "has 5 x 3 pixels: expected the 5 x 4" in _message(images[0], weight=small)
    assert "both weight and rms" in _message(images[0], weight=small, rms=small)
    assert "does not exist" in _message(images[0], weight=folder / "z_wht.fits")


@pytest.mark.parametrize(
    ("name", "band", "expected"),
    [
        ("sdss", "gri", ("i", "r", "g")),
        ("sdss", "irg", ("i", "r", "g")),
        ("sdss", "RGB", ("i", "r", "g")),
        ("sdss", "g,r,i", ("i", "r", "g")),
        ("legacy", "grz", ("z", "r", "g")),
        ("sdss", "r", None),
        ("candels", "H", None),
        ("nircam", "F115W", None),
        ("sdss", "xyz", None),
    ],
)
def test_three_bands_are_told_from_one(name, band, expected):
    assert colour_bands(load_survey(name), band) == expected


@pytest.mark.parametrize(
    ("name", "band", "expected"),
    [
        ("sdss", "ugr", "makes its pictures of i, r, g"),
        ("candels", "RGB", "makes no colour pictures"),
        ("candels", "HJV", "makes no colour pictures"),
        (None, "RGB", "--survey"),
    ],
)
def test_three_bands_of_which_there_is_no_picture_are_an_error(name, band, expected):
    with pytest.raises(SurveyError, match=expected):
        colour_bands(load_survey(name) if name else None, band)


def test_colour_images_are_named_by_band_in_any_order_and_either_way(tmp_path):
    paths = {band: _write(tmp_path / f"{band}.fits", n, (90, 90)) for n, band in enumerate("irg")}
    for images in (paths, [f"{band}={paths[band]}" for band in "gri"]):
        for band in ("gri", "RGB", None):
            source = open_images(images, survey=SDSS, band=band)
            assert source.bands == ("i", "r", "g")
            assert source.band is None
            assert source.n_planes == 3
            assert source.tile_names == ["r.fits"]
            source.close()


def test_colour_images_that_do_not_make_a_picture_are_explained(tmp_path):
    g, r, i, small = (
        f"{band}={_write(tmp_path / f'{band}{n}.fits', shape=(9, 9 - n))}"
        for band, n in (("g", 0), ("r", 0), ("i", 0), ("i", 1))
    )
    assert "without its band" in _message([g, r, i[2:]], survey=SDSS, band="gri")
    assert "expected i=FILE, r=FILE, g=FILE" in _message([g, r], survey=SDSS, band="gri")
    assert "different shapes" in _message([g, r, small], survey=SDSS, band="gri")
    assert "--survey" in _message([g, r, i], band="gri")
    assert "unknown band" in _message([g, r, f"y={i[2:]}"], survey=SDSS, band="gri")
    assert "give RGB" in _message([g, r, i], survey=SDSS, band="r")
    assert "needs three images" in _message([g[2:]], survey=SDSS, band="RGB")
    assert "weight images were given without bands" in _message([g, r, i], survey=SDSS, band="gri", weight=[g[2:]])
    assert "weight images were given of the bands g" in _message([g, r, i], survey=SDSS, band="gri", weight=[g])


def test_a_path_with_an_equals_sign_is_a_path(tmp_path):
    assert _names(_write(tmp_path / "z=2.fits")) == ["z=2.fits"]


def test_a_path_with_brackets_is_a_path(tmp_path):
    assert _names(_write(tmp_path / "tile[1].fits")) == ["tile[1].fits"]


def test_what_holds_no_image_is_explained(tmp_path):
    (tmp_path / "empty").mkdir()
    assert "holds no FITS image" in _message(tmp_path / "empty")
    assert "does not exist" in _message(tmp_path / "*.fits")
    (tmp_path / "stamp.jpg").write_bytes(b"")
    assert "expected one kind" in _message([_write(tmp_path / "image.fits"), tmp_path / "stamp.jpg"])
