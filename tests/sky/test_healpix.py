"""HEALPix: cells are those of other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from galmorph.sky.healpix import DEEPEST, cells_of, centres_of, ranges_within, separations_deg


@pytest.mark.parametrize("order", [0, 3, 13, 29])
def test_cells_are_those_of_healpix(order):
    healpix = pytest.importorskip("astropy_healpix")
    rng = np.random.default_rng(order)
    ra, dec = rng.uniform(-360, 720, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    ra[:6], dec[:6] = [0, 90, 180, 0.1, 359.99, 45], [90, -90, 41.8, 89.9999, -89.9999, 0]
    expected = healpix.HEALPix(2**order, "nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
    same = cells_of(ra, dec, order) == expected
    assert same.mean() > 0.9999, "but for rounding at their edges"


@pytest.mark.parametrize("order", [0, 1, 4, 13, DEEPEST])
def test_the_centre_of_a_cell_lies_in_it(order):
    total = 12 << 2 * order
    cells = np.arange(total) if total < 5000 else np.random.default_rng(order).integers(0, total, 5000)
    np.testing.assert_array_equal(cells_of(*centres_of(cells, order), order), cells)


CONES = [
    (0.0, 0.0, 1.0), (359.999, 45.0, 2.0), (10.0, 90.0, 0.01), (200.0, -90.0, 0.003), (123.0, 89.9, 0.5),
    (45.0, 41.81, 1e-4), (77.0, 41.8, 30.0), (3.0, -3.0, 179.0), (5.0, 5.0, 180.0), (-1.0, 0.0, 3.0), (721.0, 0.0, 3.0),
]  # fmt: skip


@pytest.mark.parametrize("cone", CONES)
def test_ranges_hold_every_position_of_a_cone(cone):
    rng = np.random.default_rng(3)
    ra, dec = rng.uniform(0, 360, 100_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 100_000)))
    near = np.clip(cone[1] + cone[2] * rng.normal(0, 1, 20_000), -90, 90)
    ra[:20_000] = (cone[0] + rng.normal(0, 1, 20_000) * cone[2] / np.maximum(np.cos(np.radians(near)), 1e-3)) % 360
    dec[:20_000] = near
    cells = cells_of(ra, dec, DEEPEST)
    ranges = ranges_within(*cone)
    inside = np.any([(cells >= first) & (cells <= last) for first, last in ranges], axis=0)
    truth = separations_deg(cone[0], cone[1], ra, dec) <= cone[2]
    assert truth.sum() > 1000
    assert not (truth & ~inside).any()
    assert inside.sum() < 3 * truth.sum()
    assert len(ranges) < 100
