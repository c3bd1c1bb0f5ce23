"""What stands in for missing pixels and other objects."""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import noise
from scipy import ndimage

from galmorph.stamps.background import Sky, clipped_sky, correlation_px
from galmorph.stamps.filling import fill, less

NO_LABELS = np.zeros((300, 300), np.int32)


def filled(correlation: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A sky of 10 ± 2.5 of which the left half was replaced, and where, (300, 300) each."""
    planes = np.float32(10.0) + np.float32(2.5) * noise((1, 300, 300))
    bad = np.zeros((300, 300), np.bool_)
    bad[:, :150] = True
    fill(planes, bad, NO_LABELS, (250.0, 150.0), correlation, seed)
    return planes[0], bad


@pytest.mark.parametrize("correlation", [1.0, 2.0, 4.0])
def test_the_noise_has_the_width_of_the_sky_and_the_correlation(correlation):
    plane, bad = filled(correlation, 4)
    # Rings that no good pixel is in have the level of the sky.
    replaced = plane[:, :90]
    assert replaced.std() == pytest.approx(2.5, rel=0.06)
    assert replaced.mean() == pytest.approx(clipped_sky(plane, ~bad).level, abs=0.25)
    usable = np.ones(replaced.shape, np.bool_)
    assert abs(correlation_px(replaced, usable, Sky(10.0, 2.5, replaced.size)) - correlation) <= 1.0


def test_the_noise_repeats_for_a_seed_and_differs_between_seeds():
    assert np.array_equal(filled(2.0, 7)[0], filled(2.0, 7)[0])
    assert not np.array_equal(filled(2.0, 7)[0], filled(2.0, 8)[0])


def test_rings_are_filled_with_their_smoothed_means():
    """The same as numpy's counts of rings and scipy's running mean; without sky there is no noise and no level."""
    rng = np.random.default_rng(3)
    plane, bad, labels = rng.random((31, 44), np.float32), rng.random((31, 44)) < 0.3, np.ones((31, 44), np.int32)
    x, y = 12.3, 20.8
    ring = np.hypot(np.arange(31)[:, None] - y, np.arange(44) - x).astype(int)
    counts = np.bincount(ring[~bad], minlength=ring.max() + 1)
    means = np.bincount(ring[~bad], plane[~bad], minlength=ring.max() + 1) / (counts + 4.0)
    expected = np.where(bad, ndimage.uniform_filter1d(means, 3, mode="nearest")[ring], plane)
    fill(plane[None], bad, labels, (x, y), 1.0, 1)
    np.testing.assert_allclose(plane, expected, rtol=1e-5)


def test_a_level_is_subtracted_and_what_is_missing_is_marked():
    """Zero stands in for it in its plane; the other planes keep what they have."""
    planes = np.full((2, 3, 4), 7.0, np.float32)
    planes[0, 1, 2], planes[1, 0, 0] = np.nan, np.inf
    others = np.zeros((3, 4), np.bool_)
    others[2, 3] = True
    rest, bad, some = less(planes, np.float32(5.0), others)
    assert some
    assert set(zip(*np.nonzero(bad), strict=True)) == {(1, 2), (0, 0), (2, 3)}
    assert rest[0, 1, 2] == 0.0
    assert rest[1, 1, 2] == 2.0
    assert rest.sum() == pytest.approx(2.0 * 22)
    assert others.sum() == 1
    assert not less(planes[:, 2:, :3], np.float32(0.0), others[:1, :3])[2]
