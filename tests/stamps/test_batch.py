"""Batches: each galaxy of an image comes out as it does alone, in any order, and in any thread."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from galaxies import noise, sersic

from galmorph.flags import Flag
from galmorph.stamps import library
from galmorph.stamps.batch import (
    BLANK,
    ELSEWHERE,
    MEASURED,
    UNKNOWN_SKY,
    Batch,
    MeasureSettings,
    Scene,
    Values,
    measure_batch,
    scene_of,
)
from galmorph.stamps.measure import measure, measurement_of
from galmorph.stamps.segment import Segmentation, segment

SIDE, HALF = 320, 48
XY = np.array(
    [[60.2, 70.4], [95.0, 64.0], [160.7, 158.1], [250.0, 90.5], [20.0, 300.0], [200.0, 240.0], [283.3, 279.0]]
)
SETTINGS = MeasureSettings(2.9, np.nan, False, False)


@pytest.fixture(scope="module")
def sky() -> tuple[np.ndarray, np.ndarray, Segmentation]:
    """An image with galaxies of several sizes, an empty place and one without data; its weights and segmentation."""
    image = noise((SIDE, SIDE), seed=4).astype(np.float32)
    for (x, y), re in zip(XY[:5], (3.0, 4.0, 12.0, 2.5, 3.0), strict=True):
        image += sersic((SIDE, SIDE), x, y, re=re, q=0.7, flux=400.0 * re**1.5)
    image[265:300, 265:300] = np.nan
    weight = np.ones((SIDE, SIDE), np.float32)
    weight[100:104] = 0.0
    return image, weight, segment(image, np.isfinite(image) & (weight > 0))


@pytest.fixture(scope="module")
def scene(sky) -> Scene:
    return scene_of(*sky, UNKNOWN_SKY)


def windows_about(xy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Windows of 97 pixels about positions, less at the edges, and the positions in them."""
    first = np.maximum(np.round(xy[:, ::-1]).astype(np.int64) - HALF, 0)
    size = np.minimum(first + 2 * HALF + 1, SIDE) - first
    return np.hstack([first, size]), xy - first[:, ::-1]


def measured(scene: Scene, xy: np.ndarray) -> Batch:
    return measure_batch(scene, *windows_about(xy), SETTINGS)


def assert_same(one: Batch, other: Batch, rows: np.ndarray) -> None:
    """Every value of `one` is that of some rows of `other`, to the bit."""
    for mine, all_of_them in zip(one[:3], other[:3], strict=True):
        np.testing.assert_array_equal(mine, all_of_them[rows])
    height, width = one.neighbours.shape[1:]
    np.testing.assert_array_equal(one.neighbours, other.neighbours[rows, :height, :width])


def test_states_say_what_became_of_each(scene):
    batch = measured(scene, XY)
    assert batch.states.tolist() == [MEASURED] * 5 + [ELSEWHERE, BLANK]
    assert Flag(int(batch.flags[6])) == Flag.MASKED_PIXELS
    assert np.isfinite(batch.values[:5, Values._fields.index("rpet_px")]).all()
    assert np.isnan(batch.values[5:]).all()


@pytest.mark.parametrize("rows", [[0], [3], [6, 2], [4, 3, 2, 1, 0], [1, 1, 5, 1]])
def test_a_galaxy_does_not_depend_on_its_company(scene, rows):
    assert_same(measured(scene, XY[rows]), measured(scene, XY), np.array(rows))


def test_threads_measure_the_same(scene):
    many = np.tile(XY, (8, 1))
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: measured(scene, many), range(4)))
    whole = measured(scene, XY)
    for part in parts:
        assert_same(part, whole, np.tile(np.arange(len(XY)), 8))


def test_templates_that_are_lacking_are_fetched(scene, monkeypatch):
    """A library that holds none, or few sets at a time, changes nothing."""
    whole = measured(scene, XY)
    monkeypatch.setattr("galmorph.stamps.batch.library_with", library._Present().holding)
    monkeypatch.setattr(library, "_MOST_SETS", 3)
    assert_same(measured(scene, XY), whole, np.arange(len(XY)))


@pytest.mark.parametrize("row", [0, 2, 4])
def test_measure_is_the_batch_of_one(sky, scene, row):
    """On the window as an image of its own, with the sky and the objects of the whole."""
    image, weight, whole = sky
    (window, *_), (place, *_) = windows_about(XY[[row]])
    part = np.s_[window[0] : window[0] + window[2], window[1] : window[1] + window[3]]
    batch = measured(scene, XY[[row]])
    corner = int(window[0]), int(window[1])
    cut = Segmentation(
        whole.labels[part], whole.objects, batch.sky(0), whole.correlation_px, whole.usable[part], corner
    )
    alone = measure(image[part], *place, weight=weight[part], psf_fwhm_px=2.9, segmentation=cut)
    together = measurement_of(batch, 0, cut)
    for name in Values._fields[:-1]:
        np.testing.assert_array_equal(getattr(alone, name), getattr(together, name), err_msg=name)
    assert alone.flags == together.flags


def test_the_company_may_be_empty(scene):
    batch = measured(scene, XY[:0])
    assert len(batch.values) == len(batch.flags) == len(batch.neighbours) == 0
