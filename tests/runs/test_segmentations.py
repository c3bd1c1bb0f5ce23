"""Where objects are detected: on cutouts, on whole pieces of tiles, or in a map that comes with the images."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy.io import fits

from galmorph import measure
from galmorph.errors import CatalogError, ImageError
from galmorph.flags import Flag
from galmorph.runs import blocks as module
from galmorph.runs.blocks import block_of
from galmorph.sky.images import Located, open_images
from galmorph.stamps.segment import segment


@pytest.fixture
def sky(tmp_path):
    """Files of a small field."""
    return small_sky.write_sky(tmp_path / "sky")


def measured(sky, **how):
    """Measure the small field."""
    return measure(sky.catalog, sky.image, weight=[sky.weight], survey="candels", band="H", **how)


def map_file(sky, labels, name="seg.fits"):
    """Write a map of labels beside the image."""
    path = sky.folder / name
    fits.writeto(path, labels, overwrite=True)
    return path


def labels_of(sky):
    """Detect on the image itself."""
    image = fits.getdata(sky.image).astype(np.float32)
    return segment(image, np.ones(image.shape, bool)).labels


@pytest.mark.parametrize("how", ["blocks", "map"])
def test_detection_elsewhere_measures_the_same_galaxies(sky, how):
    """Isolated galaxies on white noise: centres to .1 px and radii to 5 % whatever made the segmentation."""
    given = {"detect": "blocks"} if how == "blocks" else {"segmentation": [map_file(sky, labels_of(sky))]}
    one, other = measured(sky, detect="cutouts"), measured(sky, **given)
    offset = np.hypot(
        (one["gm_racen"] - other["gm_racen"]) * np.cos(np.radians(52.9)), one["gm_deccen"] - other["gm_deccen"]
    )
    assert np.max(offset) * 3600 / 0.06 < 0.1
    assert np.max(np.abs(other["gm_rpet"] / one["gm_rpet"] - 1)) < 0.05


def test_a_map_decides_what_is_there(sky):
    """A galaxy that the map leaves out is not detected, whatever its light."""
    labels = labels_of(sky)
    x, y = small_sky.XY[2].round().astype(int)
    labels[labels == labels[y, x]] = 0
    flags = measured(sky, segmentation=[map_file(sky, labels)])["gm_flags"]
    missing = [bool(int(f) & Flag.NO_SOURCE) for f in flags]
    assert missing == [n == 2 for n in range(len(small_sky.XY))]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.full((240, 240), 1.5, np.float32), "values that are no labels"),
        (np.full((240, 240), 1e9 + 0.5), "values that are no labels"),
    ],
)
def test_a_map_of_something_else_is_refused(sky, labels, words):
    """Fractions are no labels."""
    with pytest.raises(ImageError, match=words):
        measured(sky, segmentation=[map_file(sky, labels)])


def test_a_map_of_another_shape_is_refused(sky):
    """The map must lie on the image's grid."""
    with pytest.raises(ImageError, match=r"segmentation map 'seg\.fits' has 5 x 4 pixels"):
        measured(sky, segmentation=[map_file(sky, np.zeros((4, 5), np.int32))])


def test_a_map_for_display_stamps_is_refused(tmp_path):
    """JPEG stamps have no grid that a map could lie on."""
    (tmp_path / "stamps").mkdir()
    (tmp_path / "stamps" / "a.png").write_bytes(b"")
    with pytest.raises(ImageError, match="given for display stamps"):
        open_images(tmp_path / "stamps", segmentation=["seg.fits"])


def test_an_unknown_way_to_detect_is_explained(sky):
    """A misspelt word names the nearest one, and a former one those that there are."""
    with pytest.raises(CatalogError, match="did you mean 'blocks'"):
        measured(sky, detect="block")
    with pytest.raises(CatalogError, match="known are blocks, cutouts"):
        measured(sky, detect="tiles")


def test_a_block_holds_the_half_pixel_before_its_first():
    """Positions begin at -0.5; rows without a tile belong to no block."""
    tile = np.array([0, 0, 0, 1, -1])
    where = Located(tile, np.array([-0.4, 767.9, 768.0, 7.0, np.nan]), np.array([3.0, 2.0, -0.5, 1600.0, np.nan]))
    assert block_of(where).tolist() == [[0, 0, 0], [0, 0, 0], [0, 0, 1], [1, 2, 0], [-1, -1, -1]]


def test_rows_of_many_blocks_come_back_in_their_order(sky, monkeypatch):
    """Blocks of 64 px cut the field into pieces; the table's rows stay where they were."""
    whole = measured(sky, detect="blocks")
    monkeypatch.setattr(module, "BLOCK_PX", 64)
    monkeypatch.setattr(module, "MARGIN_PX", 130)
    pieces = measured(sky, detect="blocks")
    assert pieces["id"].tolist() == whole["id"].tolist()
    assert np.allclose(pieces["gm_deccen"], whole["gm_deccen"], atol=0.1 * 0.06 / 3600)
