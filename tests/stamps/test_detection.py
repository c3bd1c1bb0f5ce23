"""Our detection finds the objects that SEP finds, and divides them as it does."""

from __future__ import annotations

import numpy as np
import pytest
import sep
from galaxies import crowded, noise, sersic

from galmorph.stamps.detection import detect
from galmorph.stamps.isophote import OBJECT_DTYPE

SHAPE = (97, 97)
LIMIT, SETTINGS = 1.5, {"min_area": 6, "contrast": 0.02}


@pytest.fixture(scope="module")
def pair() -> np.ndarray:
    """Two galaxies whose light overlaps, in unit noise."""
    return sersic(SHAPE, 40, 48, flux=4000.0) + sersic(SHAPE, 53, 50, re=3.0, flux=2000.0) + noise(SHAPE)


@pytest.fixture(scope="module")
def crowd() -> np.ndarray:
    """Sixty galaxies of all sizes on a field of 400 pixels."""
    return crowded(60, edge=20, largest=8.0)


@pytest.fixture(scope="module")
def depth() -> np.ndarray:
    """Noise that triples from the left edge of the crowd to the right one, with a seam where it doubles at once."""
    steady = np.broadcast_to(np.linspace(0.7, 2.1, 400, dtype=np.float32), (400, 400)).copy()
    steady[200:] *= 2.0
    return steady


def extract(
    image: np.ndarray, limit: float, noise: float | np.ndarray, *, min_area: int, contrast: float
) -> tuple[np.ndarray, np.ndarray]:
    """SEP's objects and their labels, by the settings that are ours."""
    return sep.extract(
        image,
        limit,
        err=noise,
        minarea=min_area,
        filter_type="conv",
        deblend_nthresh=16,
        deblend_cont=contrast,
        segmentation_map=True,
    )


def alone(image: np.ndarray, noise: float | np.ndarray = 1.0) -> np.ndarray:
    """Brightness, place and size of what SEP detects, the brightest first."""
    objects, _ = extract(image, LIMIT, noise, **SETTINGS)
    return objects[np.argsort(-objects["cflux"])]


def test_one_galaxy_has_seps_values_and_pixels():
    image = sersic(SHAPE, 40.3, 48.1, flux=4000.0) + 0.3 * noise(SHAPE)
    objects, labels = detect(image, LIMIT, **SETTINGS)
    known, theirs = extract(image, LIMIT, 1.0, **SETTINGS)
    assert len(objects) == len(known) == 1
    assert objects.dtype == OBJECT_DTYPE
    assert np.array_equal(labels, theirs)
    for name in set(objects.dtype.names) - {"flag", "errx2", "erry2", "errxy"}:
        assert objects[name] == pytest.approx(known[name], rel=1e-5, abs=1e-5), name


def test_a_close_pair_is_divided_where_sep_divides_it(pair):
    """The pixels between the two are drawn by lot there and here."""
    objects, labels = detect(pair, LIMIT, **SETTINGS)
    known, theirs = extract(pair, LIMIT, 1.0, **SETTINGS)
    bright, other = (o[np.argsort(-o["cflux"])[:2]] for o in (objects, known))
    assert bright["x"] == pytest.approx(other["x"], abs=1e-4)
    assert bright["y"] == pytest.approx(other["y"], abs=1e-4)
    assert bright["flux"] == pytest.approx(other["flux"], rel=0.05)
    assert bright["a"] == pytest.approx(other["a"], rel=0.1)
    assert np.count_nonzero((labels > 0) != (theirs > 0)) < 0.02 * np.count_nonzero(theirs)


def test_in_a_crowd_the_same_objects_are_detected_and_those_that_differ_are_faint(crowd):
    objects, labels = detect(crowd, LIMIT, **SETTINGS)
    known = alone(crowd)
    assert abs(len(objects) - len(known)) <= 0.05 * len(known)
    bright = known[:50]
    away = np.hypot(bright["x"][:, None] - objects["x"], bright["y"][:, None] - objects["y"])
    nearest = away.argmin(axis=1)
    assert away.min(axis=1) == pytest.approx(0.0, abs=1e-3)
    assert objects["cflux"][nearest] == pytest.approx(bright["cflux"], rel=0.15)
    assert np.bincount(labels[labels > 0], minlength=len(objects) + 1)[1:].tolist() == objects["npix"].tolist()


def test_where_the_noise_varies_the_bright_objects_are_seps(crowd, depth):
    """A blob is divided from the mean limit of its pixels on, there from that of the last one."""
    image = (crowd - noise((400, 400), seed=6)) + depth * noise((400, 400), seed=7)
    objects, labels = detect(image, LIMIT, depth, **SETTINGS)
    known = alone(image, depth)
    assert abs(len(objects) - len(known)) <= 0.06 * len(known)
    bright = known[:40]
    away = np.hypot(bright["x"][:, None] - objects["x"], bright["y"][:, None] - objects["y"])
    assert np.median(away.min(axis=1)) < 1e-3
    assert np.count_nonzero(away.min(axis=1) < 0.1) >= 38
    _, theirs = extract(image, LIMIT, depth, **SETTINGS)
    assert np.count_nonzero((labels > 0) != (theirs > 0)) < 0.03 * np.count_nonzero(theirs)


def test_a_noise_of_one_everywhere_changes_nothing(crowd):
    objects, labels = detect(crowd, LIMIT, np.ones_like(crowd), **SETTINGS)
    known, theirs = detect(crowd, LIMIT, **SETTINGS)
    assert np.array_equal(objects, known)
    assert np.array_equal(labels, theirs)


def test_the_limit_is_that_of_each_pixel():
    """A source is seen in the quiet half alone, and in the other one where it is as much brighter."""
    source = sersic(SHAPE, 24, 48, re=3.0, flux=300.0) + sersic(SHAPE, 72, 48, re=3.0, flux=300.0)
    depth = np.where(np.arange(97) < 48, 1.0, 20.0) * np.ones(SHAPE, np.float32)
    objects, _ = detect(source, LIMIT, depth, **SETTINGS)
    assert objects["x"] == pytest.approx([24.0], abs=0.05)
    brighter = np.where(depth > 1.0, 20.0 * source, source).astype(np.float32)
    objects, _ = detect(brighter, LIMIT, depth, **SETTINGS)
    assert len(objects) == 2
    assert abs(int(objects["npix"][0]) - int(objects["npix"][1])) <= 2


def test_a_lower_contrast_finds_a_fainter_neighbour():
    image = sersic(SHAPE, 44, 48, flux=20000.0) + sersic(SHAPE, 56, 48, re=1.5, flux=250.0) + 0.1 * noise(SHAPE)
    assert len(detect(image, LIMIT, min_area=6, contrast=0.05)[0]) == 1
    assert len(detect(image, LIMIT, min_area=6, contrast=0.0005)[0]) == 2


def test_it_is_the_same_each_time(crowd):
    one, other = (detect(crowd, LIMIT, **SETTINGS) for _ in range(2))
    assert np.array_equal(one[0], other[0])
    assert np.array_equal(one[1], other[1])


def test_a_blob_is_divided_alike_whatever_is_beside_it(pair):
    """Lots are drawn anew for each."""
    quiet = np.where(pair > 3.0, pair, np.float32(0.0))
    _, labels = detect(quiet, 3.0, **SETTINGS)
    wide = np.zeros((97, 200), np.float32)
    wide[:, 100:197] = quiet
    wide[40:60, 10:60] = sersic((20, 50), 15, 10, flux=3000.0) + sersic((20, 50), 30, 10, flux=3000.0)
    _, shifted = detect(wide, 3.0, **SETTINGS)
    inside = shifted[:, 100:197]
    assert np.array_equal(inside > 0, labels > 0)
    assert len({(a, b) for a, b in zip(inside[labels > 0], labels[labels > 0], strict=True)}) == labels.max()


def test_what_a_bright_galaxys_wings_explain_is_no_object():
    """A blob of its own beside it; the same one far away is an object."""
    shape = (201, 261)
    bump = sersic(shape, 200, 100, re=2.0, n=0.5)
    bump *= 2.5 / bump.max()
    image = sersic(shape, 80, 100, re=6.0, flux=20000.0) + bump
    beside = np.roll(bump, (24, -120), axis=(0, 1))
    beside[image > 0.5] = 0.0  # their light is not added up
    objects, labels = detect(image + beside * (1.0 - image[124, 80] / 2.5), LIMIT, **SETTINGS)
    assert len(objects) == 2
    assert labels[100, 80] == 1
    assert labels[100, 200] == 2
    assert labels[124, 80] == 0
    nearest = (image + beside)[120:129, 76:85]
    assert np.count_nonzero(nearest > 1.8) >= 6, "it is bright enough"


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.float32), np.zeros((1, 1), np.float32), noise((96, 96), 0.3)])
def test_where_nothing_is_bright_there_is_no_object(image):
    objects, labels = detect(image, LIMIT, **SETTINGS)
    assert len(objects) == labels.max() == 0
    assert labels.shape == image.shape


@pytest.mark.parametrize("shape", [(1, 40), (40, 1), (2, 30)])
def test_an_image_as_narrow_as_a_line_is_one_object(shape):
    objects, labels = detect(np.full(shape, 9.0, np.float32), LIMIT, **SETTINGS)
    assert len(objects) == 1
    assert (labels == 1).all()
    assert np.isfinite([objects[0][name] for name in ("x", "y", "a", "b", "theta", "cxx")]).all()


def test_what_fills_the_image_is_no_object():
    """Three hundred thousand pixels that touch are an image whose sky is not known."""
    assert detect(np.full((600, 600), 9.0, np.float32), LIMIT, **SETTINGS) is None
