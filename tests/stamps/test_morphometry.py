"""Morphometry: the same numbers on any pixels and in any unit, and NaN for what is not measured."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from galaxies import noise, sersic

from galmorph.stamps.measure import measure
from galmorph.stamps.morphometry import MORPHOMETRY, NO_MORPHOMETRY, morphometry, stacked


@pytest.fixture(scope="module")
def measured():
    image = sersic((161, 161), 80, 80, re=7, n=1.5, q=0.6, theta=20, flux=4e4) + noise((161, 161), 0.5, 3)
    return measure(image.astype(np.float32), 80.0, 80.0)


def test_values_are_those_of_the_measurement(measured):
    values, errors = morphometry(measured, 2.5)
    of = dict(zip(MORPHOMETRY, values.tolist(), strict=True))
    assert np.isfinite(values).all()
    assert (errors > 0).all()
    assert np.exp(of["half_light"]) == pytest.approx(measured.r50_px / 2.5, rel=1e-5)
    assert np.exp(of["snr"]) == pytest.approx(measured.snr, rel=1e-5)
    assert of["axis_ratio"] == pytest.approx(1.0 - measured.ellipticity)
    assert errors[0] == pytest.approx(measured.r50_err_px / measured.r50_px)


def test_pixels_and_units_do_not_matter(measured):
    """Sizes count in widths of the point-spread function."""
    finer = {n: 2.0 * getattr(measured, n) for n in ("r50_px", "r50_err_px", "rpet_px", "rpet_err_px")}
    other = replace(measured, flux=1e-9 * measured.flux, **finer)
    np.testing.assert_allclose(morphometry(other, 5.0), morphometry(measured, 2.5), rtol=1e-6)


@pytest.mark.parametrize("absurd", [np.nan, 0.0, -3.0, np.inf])
def test_what_is_no_size_is_missing_alone(measured, absurd):
    values, _ = morphometry(replace(measured, r50_px=absurd), 2.5)
    assert np.isnan(values).tolist() == [name == "half_light" for name in MORPHOMETRY]


def test_without_a_point_spread_function_there_are_no_sizes(measured):
    values, _ = morphometry(measured, None)
    assert np.isnan(values).tolist() == [name in ("half_light", "petrosian") for name in MORPHOMETRY]


def test_stacks_hold_nan_for_galaxies_without_a_measurement(measured):
    values, _ = morphometry(measured, 2.5)
    both = stacked([None, values])
    assert np.isnan(both[0]).all()
    assert np.array_equal(both[1], values)
    assert stacked([]).shape == (0, len(MORPHOMETRY))
    assert np.isnan(NO_MORPHOMETRY).all()
