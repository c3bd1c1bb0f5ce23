"""Frames: squares of pixels are averaged as numpy averages them, whatever of them is bad or past the edge."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.stamps.frame import NONE_BAD, cut


@pytest.mark.parametrize("corner", [(3, 5), (-7, -31), (9, -2), (-40, 20)])
@pytest.mark.parametrize("factor", [1, 2, 3, 5])
@pytest.mark.parametrize("share", [0.0, 0.03, 0.6])
def test_squares_are_averaged(corner, factor, share):
    """Of what is good of them, where that is half of a square at least; mirrored too."""
    rng = np.random.default_rng(factor)
    clean = rng.standard_normal((47, 38)).astype(np.float32)
    bad = rng.random(clean.shape) < share
    side = 2 * 12 + 1
    rim = side * factor + 50
    fine = np.pad(~bad, rim)
    light = np.where(fine, np.pad(clean, rim), 0.0)
    (bottom, left), size = corner, factor * side
    window = np.s_[rim + bottom : rim + bottom + size, rim + left : rim + left + size]
    total, count = (
        values[window].astype(np.float64).reshape(side, factor, side, factor).sum(axis=(1, 3))
        for values in (light, fine)
    )
    is_good = 2 * count >= factor**2
    with np.errstate(invalid="ignore"):
        mean = np.where(is_good, total / count, 0.0)
    flux, good = cut(clean, bad if share else NONE_BAD, bottom, left, 12, factor, False, False)
    assert flux == pytest.approx(mean, abs=1e-6)
    shares = np.where(is_good, count / factor**2, 0.0)
    assert (shares == 1.0).all() if good.size == 0 else good == pytest.approx(shares)
    turned, turned_good = cut(clean, bad if share else NONE_BAD, bottom, left, 12, factor, True, True)
    assert np.array_equal(turned, flux[::-1, ::-1])
    assert np.array_equal(turned_good, good[::-1, ::-1])
