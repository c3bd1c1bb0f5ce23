"""Laws of all that is measured of a galaxy: units, noise, size, turns and shifts.

The laws of centroid and radius alone, under whole and fractional shifts, flux scales, a constant sky and quarter
turns, are in test_stamp_laws; here are those of the other values and of the errors.
"""

from __future__ import annotations

import numpy as np
import pytest
from galaxies import galaxy, noise, sersic
from hypothesis import given, settings
from hypothesis import strategies as st

from galmorph.flags import Flag
from galmorph.stamps.cutting import make_views
from galmorph.stamps.measure import Measurement, measure
from galmorph.stamps.recipe import Recipe, stretch
from galmorph.stamps.segment import relative_noise, segment
from galmorph.stamps.views import ONE

few = settings(max_examples=15, deadline=None)
SIZE = 97
MIDDLE = (SIZE - 1) / 2

profiles = st.fixed_dictionaries(
    {
        "re": st.floats(3.0, 6.0),
        "n": st.floats(0.5, 2.5),
        "q": st.floats(0.3, 1.0),
        "theta": st.floats(0.0, np.pi),
        "flux": st.floats(4000.0, 30000.0),
        "seed": st.integers(0, 1000),
    }
)

LENGTHS = "rpet_px", "r20_px", "r50_px", "r80_px"
PURE = "concentration", "asymmetry", "ellipticity", "snr"
ERRORS = (
    "position_err_px",
    "rpet_err_px",
    "r20_err_px",
    "r50_err_px",
    "r80_err_px",
    "concentration_err",
    "asymmetry_err",
    "ellipticity_err",
    "position_angle_err_deg",
)


def of(found: Measurement, names: tuple[str, ...]) -> np.ndarray:
    return np.array([getattr(found, name) for name in names])


def turned_by(one: Measurement, other: Measurement) -> float:
    """Angle between two position angles, degrees, within a right angle."""
    return float((other.position_angle_deg - one.position_angle_deg + 90.0) % 180.0 - 90.0)


@few
@given(profiles, st.integers(-60, 60), st.floats(-300.0, 300.0))
def test_a_linear_change_of_units_changes_nothing_but_the_flux(profile, power, zero):
    """Other units and another zero, a · I + b, scale flux and noise, shift the sky, and leave all else as it is."""
    image = galaxy(SIZE, **profile)
    scale = 2.0**power
    one = measure(image, MIDDLE, MIDDLE)
    # A zero point of single precision within 300 sigma keeps 1e-5 of a sigma.
    other = measure(((image + np.float32(zero)) * np.float64(scale)).astype(np.float32), MIDDLE, MIDDLE)
    names = (*LENGTHS, *PURE, *ERRORS)
    # An iteration may stop elsewhere, a pixel's rounding may carry it over a threshold: a thousandth of each value.
    np.testing.assert_allclose(of(other, names), of(one, names), rtol=3e-3, atol=2e-4)
    assert (other.x, other.y) == pytest.approx((one.x, one.y), abs=2e-3)
    money = of(one, ("flux", "flux_err", "mean_brightness", "sky_sigma"))
    np.testing.assert_allclose(
        of(other, ("flux", "flux_err", "mean_brightness", "sky_sigma")), scale * money, rtol=3e-3
    )
    assert other.sky_level == pytest.approx(scale * (one.sky_level + zero), abs=2e-3 * scale)
    assert other.flags == one.flags


@few
@given(profiles, st.floats(1.5, 4.0))
def test_errors_grow_with_the_noise(profile, factor):
    """The same galaxy under so many times the same noise has errors about so many times as large."""
    bright = profile | {"flux": 5.0 * profile["flux"]}
    light = sersic((SIZE, SIZE), MIDDLE, MIDDLE, **{k: v for k, v in bright.items() if k != "seed"})
    sky = noise((SIZE, SIZE), 1.0, profile["seed"])
    one, other = (measure(light + np.float32(f) * sky, MIDDLE, MIDDLE) for f in (1.0, factor))
    assert other.sky_sigma == pytest.approx(factor * one.sky_sigma, rel=0.1)
    # What follows the noise alone follows it closely; the window adapts its size by some per cent.
    np.testing.assert_allclose(other.position_err_px, factor * one.position_err_px, rtol=0.2)
    np.testing.assert_allclose(other.asymmetry_err, factor * one.asymmetry_err, rtol=0.35)
    assert other.snr == pytest.approx(one.snr / factor, rel=0.2)
    # Radii lean on templates, whose own inaccuracy no noise changes, the more so the fainter the galaxy is.
    names = "rpet_err_px", "r50_err_px", "r80_err_px", "concentration_err", "ellipticity_err", "flux_err"
    growth = of(other, names) / of(one, names)
    assert (growth > 1.0).all()
    assert (growth < 1.6 * factor).all()


@few
@given(profiles, st.floats(1.3, 2.2))
def test_a_scaled_galaxy_has_scaled_radii_and_the_same_concentration(profile, zoom):
    """A galaxy so many times as large, of the same surface brightness, differs in its lengths alone."""
    small = {k: v for k, v in profile.items() if k != "seed"} | {"re": 5.0, "flux": 50000.0}
    # Thin cusps are a matter of pixels: what is resolved scales.
    small |= {"n": min(small["n"], 1.5), "q": max(small["q"], 0.4)}
    large = small | {"re": zoom * small["re"], "flux": zoom**2 * small["flux"]}
    one, other = (
        measure(sersic((side, side), side // 2, side // 2, **p) + noise((side, side), 0.3, 1), side // 2, side // 2)
        for side, p in ((161, small), (257, large))
    )
    # Measured at worst (a thin cusp, 2 px across): 4 %, and 0.08. Pixels smear the smaller one's core by 3 % of r20,
    # and the sky hides more of the wings of the larger one; 3 % in r20 and in r80 are 0.13 in concentration.
    np.testing.assert_allclose(of(other, LENGTHS), zoom * of(one, LENGTHS), rtol=0.07)
    assert other.concentration == pytest.approx(one.concentration, abs=0.15)
    assert other.ellipticity == pytest.approx(one.ellipticity, abs=0.04)
    assert other.mean_brightness == pytest.approx(one.mean_brightness, rel=0.08)


@few
@given(profiles, st.integers(1, 3), st.booleans())
def test_turns_and_mirrors_turn_the_position_angle_and_nothing_else(profile, quarters, flip):
    """Quarter turns and mirrors turn the position angle and leave shape, light and errors alone."""
    image = galaxy(SIZE, 49.0, 47.2, **profile)
    turned = np.rot90(image[:, ::-1] if flip else image, quarters).copy()
    one, other = measure(image, MIDDLE, MIDDLE), measure(turned, MIDDLE, MIDDLE)
    # np.rot90 turns rows into columns: with y up, by a quarter clockwise; a mirror negates the angle.
    angle = (-one.position_angle_deg if flip else one.position_angle_deg) - 90.0 * quarters
    off = (other.position_angle_deg - angle + 90.0) % 180.0 - 90.0
    # Detection scans row by row, so that the start of each iteration differs in its last digits.
    assert abs(off) < 0.1 * one.position_angle_err_deg + 0.05
    assert other.ellipticity == pytest.approx(one.ellipticity, abs=0.1 * one.ellipticity_err + 1e-3)
    assert other.asymmetry == pytest.approx(one.asymmetry, abs=0.3 * one.asymmetry_err + 1e-3)
    np.testing.assert_allclose(of(other, LENGTHS), of(one, LENGTHS), rtol=0.01)
    np.testing.assert_allclose(of(other, ERRORS[:6]), of(one, ERRORS[:6]), rtol=0.1)
    assert other.flux == pytest.approx(one.flux, rel=0.01)


@few
@given(profiles, st.integers(-6, 6), st.integers(-6, 6))
def test_a_shift_moves_the_place_and_nothing_else(profile, dx, dy):
    """On another window of the same image the centre moves with it; shape and light are the same within the noise."""
    image = galaxy(SIZE + 16, **profile)
    one = measure(image[8:-8, 8:-8], MIDDLE, MIDDLE)
    window = image[8 - dy : 8 - dy + SIZE, 8 - dx : 8 - dx + SIZE]
    other = measure(window, MIDDLE + dx, MIDDLE + dy)
    assert np.hypot(other.x - one.x - dx, other.y - one.y - dy) < 0.3 * one.position_err_px + 1e-3
    # The sky is that of other pixels.
    for name in ("concentration", "asymmetry", "ellipticity", "flux"):
        limit = 0.8 * getattr(one, f"{name}_err") + 0.01 * abs(getattr(one, name))
        assert abs(getattr(other, name) - getattr(one, name)) < limit, name
    assert abs(turned_by(one, other)) < 0.5 * one.position_angle_err_deg + 0.05


@few
@given(profiles)
def test_radii_are_in_order_and_errors_positive(profile):
    """r20 < r50 < r80 < r_P, every error is positive and finite, and a good galaxy has no flag."""
    found = measure(galaxy(SIZE, **profile), MIDDLE, MIDDLE)
    r_p, *shares = of(found, LENGTHS)
    assert 0 < shares[0] < shares[1] < shares[2] < r_p
    assert (of(found, ERRORS) > 0).all()
    assert np.isfinite(of(found, (*LENGTHS, *PURE, *ERRORS))).all()
    assert 0 <= found.ellipticity < 1
    assert -90 <= found.position_angle_deg <= 90
    assert found.flags == Flag(0)


@few
@given(profiles, st.floats(5.0, 40.0))
def test_a_weight_that_is_the_same_everywhere_is_no_weight(profile, weight):
    """Weights say how noise varies; where they do not vary they change nothing."""
    image = galaxy(SIZE, **profile)
    one = measure(image, MIDDLE, MIDDLE)
    other = measure(image, MIDDLE, MIDDLE, weight=np.full_like(image, weight))
    names = (*LENGTHS, *PURE, *ERRORS)
    assert np.array_equal(of(one, names), of(other, names))
    assert (one.x, one.y, one.flags) == (other.x, other.y, other.flags)


FLUXES = "flux", "flux_err", "mean_brightness", "sky_level", "sky_sigma"


def uneven(seed: int) -> np.ndarray:
    """Weights of an image that saw four times as long on one side, and nothing in one corner."""
    weight = np.where(np.arange(SIZE) < SIZE / 3, np.float32(4.0), np.float32(1.0)) * np.ones((SIZE, 1), np.float32)
    weight *= np.random.default_rng(seed).uniform(0.9, 1.1, weight.shape).astype(np.float32)
    weight[:12, :12] = 0.0
    return weight


@few
@given(profiles, st.integers(-60, 60))
def test_flux_times_k_with_weight_over_k_squared_changes_nothing_but_the_fluxes(profile, power):
    """For powers of two to the last bit: nothing that is measured knows the unit of the image."""
    weight, k = uneven(profile["seed"]), np.float32(2.0**power)
    image = (sersic((SIZE, SIZE), MIDDLE, MIDDLE, **{n: v for n, v in profile.items() if n != "seed"})) + noise(
        (SIZE, SIZE), 1.0, profile["seed"]
    ) / np.sqrt(np.maximum(weight, np.float32(0.1)))
    one = measure(image, MIDDLE, MIDDLE, weight=weight, saturation=1e9, psf_fwhm_px=2.0)
    other = measure(k * image, MIDDLE, MIDDLE, weight=weight / (k * k), saturation=1e9 * k, psf_fwhm_px=2.0)
    names = ("x", "y", *LENGTHS, *PURE, *ERRORS, "intrinsic_rpet_px", "position_angle_deg")
    np.testing.assert_array_equal(of(other, names), of(one, names))
    np.testing.assert_array_equal(of(other, FLUXES), float(k) * of(one, FLUXES))
    np.testing.assert_array_equal(other.segmentation.labels, one.segmentation.labels)
    assert other.flags == one.flags


@few
@given(profiles, st.floats(0.01, 100.0), st.sampled_from(["fill", "keep"]), st.booleans())
def test_a_colour_stamp_is_the_same_in_every_unit(profile, k, neighbours, softened):
    """Three planes times k, with the brightness of a unit over k, look to the network as they did."""
    gains = np.array([0.6, 1.0, 1.3], np.float32)[:, None, None]
    image = galaxy(SIZE, **profile) + sersic((SIZE, SIZE), 70.0, 60.0, re=3.0, flux=3000.0)
    recipe = Recipe(size=24, planes=3, neighbours=neighbours, softening_mjysr=2.0 * softened, display_top=0.9)
    stamps = []
    for scale in (1.0, k):
        planes = (gains * image * np.float64(scale)).astype(np.float32)
        measured = measure(planes[1], MIDDLE, MIDDLE)
        views = make_views(
            planes, measured, recipe, ONE.matrices, x=MIDDLE, y=MIDDLE, mjysr_per_unit=1.0 / scale, seed=profile["seed"]
        )
        stamps.append(stretch(views.pixels, np.float32(views.brightness), recipe))
    # Radii of images in other units differ by 1e-5, and a pixel at the rim of the galaxy may be filled or not.
    np.testing.assert_allclose(stamps[1], stamps[0], atol=0.01)
    assert np.abs(stamps[1] - stamps[0]).mean() < 1e-3


@few
@given(st.integers(0, 1000), st.sampled_from([0.25, 4.0, 9.0]))
def test_a_weight_times_four_lets_objects_half_as_bright_be_detected(seed, factor):
    """Both halves of an image have the same noise in units of their own; one has so many times the weight.

    A disc of which half is detected in one is, so many times fainter, half detected in the other. A disc so faint falls
    into pieces, of which one more or less is an object: of three noises the middle one counts.
    """
    # The level of the sky is that of both halves together, off by some per cent of the noise of one: 5 %, measured.
    ratios = [faintest_disc(120, each, factor) / faintest_disc(40, each, factor) for each in range(seed, seed + 3)]
    assert np.median(ratios) == pytest.approx(factor**-0.5, rel=0.1)


def faintest_disc(x: int, seed: int, factor: float) -> float:
    """Brightness of a disc at a column of which half is detected, in an image whose right half has another weight."""
    half = noise((80, 80), 1.0, seed)
    image = np.concatenate([half, np.float32(factor**-0.5) * half], axis=1)
    weight = np.concatenate([np.ones_like(half), np.full_like(half, factor)], axis=1)
    usable = np.ones(image.shape, np.bool_)
    rows, columns = np.indices(image.shape)
    disc = np.hypot(columns - x, rows - 40) < 10
    low, high = 0.1, 10.0
    for _ in range(12):
        middle = np.sqrt(low * high)
        objects = segment(image + np.float32(middle) * disc, usable, relative_noise=relative_noise(weight, usable))
        low, high = (low, middle) if (objects.labels[disc] > 0).mean() > 0.5 else (middle, high)
    return high
