"""What one unit of an image is: cards of the header first, then the survey."""

from __future__ import annotations

import math

import pytest
from astropy.io import fits

from galmorph.sky.images import filter_of, zero_point_of
from galmorph.sky.images.flux_units import is_magnitude, softening_of, unit_remark
from galmorph.sky.survey import load_survey

H = load_survey("candels").band("H")
F200W = load_survey("nircam").band("F200W")


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("nanomaggy", 22.5),
        ("nanomaggies", 22.5),
        ("nmgy", 22.5),
        ("nmgy/pixel", 22.5),
        ("maggies", 0.0),
        ("Jy", 8.9),
        ("mJy", 16.4),
        ("uJy", 23.9),
        ("microJansky", 23.9),
        ("nJy", 31.4),
        ("10nJy", 28.9),
        ("10 nJy", 28.9),
        ("10.0*nanoJansky", 28.9),
        ("1e-8 Jy", 28.9),
        ("MJy/sr", 28.0865),
        ("MJy sr-1", 28.0865),
        ("MJy.sr**-1", 28.0865),
    ],
)
def test_the_unit_decides_where_it_is_a_flux_or_a_surface_brightness(unit, expected):
    assert zero_point_of({"BUNIT": unit, "PHOTFNU": 1.0}, H, 0.03) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("unit", ["", "ELECTRONS/S", "counts", "erg/s/cm2/A", "Jy/beam", "3", "sr"])
def test_other_units_leave_it_to_the_band(unit):
    assert zero_point_of({"BUNIT": unit}, H, 0.06) == H.zero_point_ab
    assert math.isnan(zero_point_of({"BUNIT": unit}, None, 0.06))


def test_hst_calibration_gives_the_zero_point_of_the_survey():
    # PHOTFLAM and PHOTPLAM of WFC3/IR F160W as in the headers of the CANDELS mosaics
    header = {"BUNIT": "ELECTRONS/S", "PHOTFLAM": 1.9275602e-20, "PHOTPLAM": 15369.176}
    assert zero_point_of(header, None, 0.06) == pytest.approx(H.zero_point_ab, abs=0.02)


def test_total_counts_are_divided_by_the_exposure_time():
    header = {"BUNIT": "ELECTRONS", "PHOTFNU": 1e-7, "EXPTIME": 100.0}
    rate = zero_point_of({"PHOTFNU": 1e-7, "BUNIT": "ELECTRONS/S", "EXPTIME": 100.0}, None, 0.06)
    assert zero_point_of(header, None, 0.06) == pytest.approx(rate + 5)


def test_jwst_count_rates_and_zero_point_cards_are_used():
    assert zero_point_of({"BUNIT": "DN/s", "PHOTMJSR": 10.0}, None, 0.03) == pytest.approx(25.5865, abs=1e-3)
    assert zero_point_of({"MAGZERO": 30.0}, H, 0.06) == 30
    assert zero_point_of({"MAGZERO": -99.0}, H, 0.06) == H.zero_point_ab
    assert zero_point_of({"MAGZERO": "unknown", "PHOTFNU": 0.0, "PHOTFLAM": 0.0}, H, 0.06) == H.zero_point_ab


def test_a_nominal_surface_brightness_follows_the_pixel_scale():
    difference = zero_point_of({}, F200W, 0.03) - zero_point_of({}, F200W, 0.06)
    assert difference == pytest.approx(5 * math.log10(2))


def test_a_header_and_a_dictionary_give_the_same():
    cards = {"BUNIT": "nJy", "FILTER": "F160W"}
    assert zero_point_of(fits.Header(cards), H, 0.06) == zero_point_of(cards, H, 0.06)
    assert filter_of(fits.Header(cards)) == filter_of(cards) == "F160W"


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        ({}, None),
        ({"FILTER": "f160w"}, "F160W"),
        ({"FILTER": "g       "}, "g"),
        ({"FILTER1": "CLEAR1L", "FILTER2": "F814W"}, "F814W"),
        ({"FILTER": "F115W", "PUPIL": "CLEAR"}, "F115W"),
        ({"BAND": "r"}, "r"),
        ({"FILTER": ""}, None),
    ],
)
def test_the_filter_is_that_which_is_not_clear(cards, expected):
    assert filter_of(cards) == expected


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("uJy/arcsec2", 28.9),  # in pixels of a hundredth of a square arcsecond
        ("uJy / arcsec^2", 28.9),
        ("\u03bcJy/arcsec\u00b2", 28.9),
        ("uJy/sqarcsec", 28.9),
        ("Jy/arcsec2", 13.9),
        ("nanomaggies/arcsec**2", 27.5),
        ("Jy/sr", 40.4723),
        ("kJy/sr", 32.9723),
        ("10**-8 Jy", 28.9),
        ("10^-8Jy", 28.9),
        ("3.631 uJy", 22.5),
        ("JY", 8.9),
        ("uJy/pixel", 23.9),
        ("erg/s/cm2/Hz", -48.6),
        ("erg s-1 cm-2 Hz-1", -48.6),
        ("1e-30 erg / (s cm2 Hz)", 26.4),
        ("1e-30 ERG/S/CM2/HZ", 26.4),
        ("W/m2/Hz", -56.1),
    ],
)
def test_units_per_area_with_factors_and_of_cgs_are_understood(unit, expected):
    assert zero_point_of({"BUNIT": unit}, None, 0.1) == pytest.approx(expected, abs=2e-3)
    assert unit_remark({"BUNIT": unit}) is None


@pytest.mark.parametrize(
    "unit",
    ["1e-20 erg/s/cm2/A", "1e-20 erg/s/cm2/Angstrom", "1e-20 ERG/CM2/S/ANG", "10^-20 ergs/s/cm^2/A", "1e-19 W/m2/um"],
)
def test_fluxes_per_wavelength_need_a_wavelength(unit):
    # 1e-20 erg/s/cm2/A = 3.34e4 * 15369^2 * 1e-20 Jy = 78.8 nJy at 15369 A
    expected = -2.5 * math.log10(3.33564e4 * 15369**2 * 1e-20 / 3631)
    assert zero_point_of({"BUNIT": unit, "PHOTPLAM": 15369.0}, None, 0.06) == pytest.approx(expected, abs=2e-3)
    assert math.isnan(zero_point_of({"BUNIT": unit}, None, 0.06))
    assert "is not understood" in unit_remark({"BUNIT": unit})


@pytest.mark.parametrize(
    ("cards", "expected"),
    [
        *(
            ({card: 25.5}, 25.5)
            for card in ("MAGZP", "ZP", "ZEROPOINT", "MAGZERO", "MAGZEROP", "PHOTZP", "ABMAGZP", "ZPAB")
        ),
        ({"MAGZERO": "25.5"}, 25.5),
        ({"FLUXMAG0": 63095734448.0194}, 27.0),
        ({"BSOFTEN": 100.0, "EXPTIME": 1000.0}, 32.5),
        ({"MAGZPT": 24.5, "EXPTIME": 100.0}, 29.5),
        ({"MAGZPT": 24.5, "EXPTIME": 100.0, "BUNIT": "adu/s"}, 24.5),
        ({"MAGZPT": 24.5, "MAGZERO": 30.0}, 30.0),
        ({"PHOTFLAM": 1e-19, "PHOTPLAM": 8000.0}, 47.5 - 5 * math.log10(8000) - 2.408),
        ({"BUNIT": "nJy", "MAGZERO": 25.0}, 31.4),
        ({"BUNIT": "counts", "EXPTIME": 100.0, "MAGZERO": 30.0}, 30.0),
    ],
    ids=str,
)
def test_the_cards_of_releases_give_the_magnitude_of_one_unit(cards, expected):
    assert zero_point_of(cards, None, 0.06) == pytest.approx(expected, abs=2e-3)


@pytest.mark.parametrize("value", [True, "unknown", -99.0, 0.0, 99.0, float("nan"), float("inf"), "1e999"])
def test_a_zero_point_that_is_none_leaves_it_to_the_band(value):
    assert zero_point_of({"ZP": value}, H, 0.06) == H.zero_point_ab


def test_what_is_not_understood_is_said():
    assert unit_remark({"BUNIT": "Jy/beam"}).startswith("BUNIT 'Jy/beam' is not understood")
    assert unit_remark({"ABMAGFAC": 3.6e-9}).startswith("card ABMAGFAC has no published meaning")
    assert math.isnan(zero_point_of({"ABMAGFAC": 3.6e-9}, None, 0.06))
    for known in ({}, {"BUNIT": "electron/s"}, {"BUNIT": "ADU"}, {"ABMAGFAC": 3.6e-9, "MAGZERO": 25.0}):
        assert unit_remark(known) is None


@pytest.mark.parametrize(
    ("unit", "expected"),
    [
        ("mag", True),
        ("MAG", True),
        ("mag/arcsec2", True),
        ("mag(AB)", True),
        ("dex(Jy)", True),
        ("mJy", False),
        ("", False),
    ],
)
def test_magnitudes_are_told_from_fluxes(unit, expected):
    assert is_magnitude({"BUNIT": unit}) is expected


def test_pixels_are_inverse_hyperbolic_sines_where_they_have_a_softening():
    assert softening_of({"BSOFTEN": 93.6, "BOFFSET": 1.5}) == (1.5, 93.6)
    assert softening_of({"BSOFTEN": "93.6"}) == (0.0, 93.6)
    assert [softening_of(cards) for cards in ({}, {"BSOFTEN": 0.0}, {"BSOFTEN": "no"}, {"BOFFSET": 1.0})] == [None] * 4
