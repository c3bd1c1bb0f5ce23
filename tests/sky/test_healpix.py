"""HEALPix: cells are those of other implementations."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u

from galmorph.sky.healpix import cells_of


@pytest.mark.parametrize("order", [0, 3, 13, 29])
def test_cells_are_those_of_healpix(order):
    healpix = pytest.importorskip("astropy_healpix")
    rng = np.random.default_rng(order)
    ra, dec = rng.uniform(-360, 720, 20_000), np.degrees(np.arcsin(rng.uniform(-1, 1, 20_000)))
    ra[:6], dec[:6] = [0, 90, 180, 0.1, 359.99, 45], [90, -90, 41.8, 89.9999, -89.9999, 0]
    expected = healpix.HEALPix(2**order, "nested").lonlat_to_healpix(ra * u.deg, dec * u.deg)
    same = cells_of(ra, dec, order) == expected
    assert same.mean() > 0.9999, "but for rounding at their edges"
