"""Which files of a folder are meant, and which goes with which."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from galmorph.errors import ImageError
from galmorph.sky.images import open_images
from galmorph.sky.images.paths import expand, matching

BRICK = "legacysurvey-1500p020"
MAPS = ("chi2", "depth", "invvar", "maskbits", "model", "nexp")


def _fill(folder, names):
    folder.mkdir(exist_ok=True)
    header = fits.Header({"CTYPE1": "RA---TAN", "CTYPE2": "DEC--TAN", "CRVAL1": 150.0, "CRVAL2": 2.0})
    header.update(CRPIX1=3.0, CRPIX2=3.0, CDELT1=-1e-4, CDELT2=1e-4)
    for number, name in enumerate(names):
        fits.writeto(folder / name, np.full((4, 4), number, np.float32), header)
    return folder


def _names(paths):
    return [path.rpartition("/")[2] for path in paths]


@pytest.fixture
def brick(tmp_path):
    return _fill(tmp_path / "coadd", [f"{BRICK}-{word}-r.fits" for word in ("image", *MAPS)])


def test_of_the_folder_of_a_release_the_image_is_measured(brick):
    assert _names(expand([brick])) == [f"{BRICK}-image-r.fits"]
    source = open_images(brick, weight=brick)
    assert (source.tile_names, source.tiles[0].weight.name) == ([f"{BRICK}-image-r.fits"], f"{BRICK}-invvar-r.fits")
    source.close()


def test_an_image_whose_name_says_nothing_is_the_image_among_maps(tmp_path):
    names = [
        "rings.v3.skycell.1.stk.r.unconv.fits",
        "rings.v3.skycell.1.stk.r.unconv.wt.fits",
        "x.mask.fits",
        "x.num.fits",
    ]
    folder = _fill(tmp_path / "ps1", names)
    assert _names(expand([folder])) == names[:1]
    assert _names(expand([folder], "variance")) == names[1:2]


def test_a_folder_of_maps_alone_is_explained(brick):
    (brick / f"{BRICK}-image-r.fits").unlink()
    with pytest.raises(
        ImageError, match=r"^no name in folder '.*' is that of a image: it holds .*chi2.*name the files$"
    ):
        expand([brick])
    with pytest.raises(ImageError, match="is that of a segmentation map"):
        expand([brick], "segmentation")


def test_files_left_out_of_a_folder_are_named(tmp_path, caplog):
    folder = _fill(tmp_path / "mixed", ["a_sci.fits", "notes.fits"])
    assert _names(expand([folder])) == ["a_sci.fits"]
    assert "notes.fits is left out, since others are called images" in caplog.text


def test_files_that_are_named_one_by_one_are_taken_whatever_their_names(brick):
    assert _names(expand([str(brick / f"{BRICK}-chi2-r.fits")])) == [f"{BRICK}-chi2-r.fits"]


def test_maps_go_with_the_image_of_the_same_name():
    images = [f"f{n}_drz.fits" for n in (1, 2, 3)]
    assert matching(images, ["f3_wht.fits", "f1_wht.fits", "f2_wht.fits"]) == [f"f{n}_wht.fits" for n in (1, 2, 3)]
    assert matching(["a.fits", "b.fits"], ["x.fits", "y.fits"]) == ["x.fits", "y.fits"]
    with pytest.raises(ImageError, match=r"none matches 'f2_drz\.fits' by name"):
        matching(images, ["f1_wht.fits", "f3_wht.fits"])
