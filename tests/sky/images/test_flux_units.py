"""What one unit of an image is: cards of the header first, then the survey."""

from __future__ import annotations

import math

import pytest
from astropy.io import fits

from galmorph.sky.images import filter_of, zero_point_of
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
