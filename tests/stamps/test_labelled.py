"""Segmentations made from a map of labels."""

from __future__ import annotations

import numpy as np
from galaxies import noise, sersic
from hypothesis import given
from hypothesis import strategies as st

from galmorph.stamps.labelled import compact, segmentation_of
from galmorph.stamps.segment import pick, segment


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Two galaxies on noise, and where pixels count."""
    image = sersic((96, 120), 40.3, 50.7, re=5, q=0.6, theta=0.5, flux=3000)
    image += sersic((96, 120), 85.0, 30.0, re=4, flux=2000) + noise((96, 120))
    return image, np.ones(image.shape, bool)


def test_a_map_of_its_own_detection_gives_the_same_objects():
    """Moments over the labels that SEP made are SEP's own: 2 % and .1 px, since SEP leaves out its filter's wings."""
    image, usable = pair()
    detected = segment(image, usable)
    described = segmentation_of(image, usable, detected.labels * 7)
    assert np.array_equal(described.labels, detected.labels)
    for axis in "xy":
        assert np.abs(described.objects[axis] - detected.objects[axis]).max() < 0.1
    assert np.allclose(described.objects["a"], detected.objects["a"], rtol=0.05)
    assert np.allclose(described.objects["npix"], detected.objects["npix"])
    bright = np.argmax(detected.objects["flux"])
    assert abs(described.objects["theta"][bright] - detected.objects["theta"][bright]) < 0.05


def test_the_sky_of_a_map_is_that_outside_its_labels():
    """Level and noise are right to four errors of a few thousand pixels, however bright the objects are."""
    image, usable = pair()
    detected = segment(image, usable)
    described = segmentation_of(image + np.float32(100), usable, detected.labels)
    assert abs(described.sky.level - 100) < 0.1
    assert abs(described.sky.sigma - 1) < 0.05


def test_a_map_without_objects_has_none():
    """An empty map is a segmentation in which nothing can be picked."""
    image, usable = pair()
    empty = segmentation_of(image, usable, np.zeros(image.shape, np.int32))
    assert len(empty.objects) == 0
    assert pick(empty, 40, 50) == -1


def test_an_object_without_light_is_described_by_its_pixels():
    """A label over negative pixels has the middle of its pixels as its centre, and no NaN anywhere."""
    image = np.full((20, 20), -1, np.float32)
    labels = np.zeros((20, 20), np.int32)
    labels[5:8, 10:13] = 3
    image[0, 0] = 1
    found = segmentation_of(image, np.ones(image.shape, bool), labels)
    assert (found.objects["x"][0], found.objects["y"][0]) == (11, 6)
    assert all(np.isfinite(found.objects[name]).all() for name in ("x", "y", "a", "b", "theta"))


@given(st.lists(st.sampled_from([0, 3, 7, 160401]), min_size=4, max_size=30))
def test_compacting_keeps_which_pixels_belong_together(values):
    """Numbers change, the partition does not; the old numbers can be looked up."""
    labels = np.array(values, np.int32)[None]
    numbered, old = compact(labels)
    assert numbered.max() == len(old)
    assert np.array_equal(np.concatenate([[0], old])[numbered], labels)
