"""Where pixels lie on the sky: their size and shape from the local WCS, and headers that are odd but mean something."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS

import galmorph
from galmorph.errors import ImageError
from galmorph.sky.images import open_images

SHAPE = (240, 240)
CENTRE = 119.5


def _header(kinds=("RA---TAN", "DEC--TAN"), *, steps=(0.06, 0.06), sky=(150.0, 2.0), pixel=(120.5, 120.5), **cards):
    header = fits.Header()
    for axis, sign in ((1, -1), (2, 1)):
        header[f"CTYPE{axis}"] = kinds[axis - 1]
        header[f"CRVAL{axis}"] = sky[axis - 1]
        header[f"CRPIX{axis}"] = pixel[axis - 1]
        header[f"CDELT{axis}"] = sign * steps[axis - 1] / 3600
    header.update(cards)
    return header


def _source(tmp_path, header, data=None):
    fits.writeto(tmp_path / "a.fits", np.zeros(SHAPE, np.float32) if data is None else data, header, overwrite=True)
    return open_images(tmp_path / "a.fits")


def _grid(tmp_path, header):
    source = _source(tmp_path, header)
    grid = source.tiles[0].image.grid
    source.close()
    return grid


def _message(tmp_path, header):
    with pytest.raises(ImageError) as caught:
        _source(tmp_path, header)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def _sky(grid):
    ra, dec = grid.to_sky(CENTRE, CENTRE)
    return ra[0], dec[0]


# --- scale and shape -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("turn", [0.0, 25.0, 90.0])
@pytest.mark.parametrize("mirror", [1, -1])
def test_the_jacobian_is_the_scale_and_the_turn_of_the_pixels(tmp_path, turn, mirror):
    cos, sin = np.cos(np.radians(turn)), np.sin(np.radians(turn))
    matrix = np.array([[-mirror * cos, mirror * -sin], [-sin, cos]]) * 0.06
    header = _header()
    for card in ("CDELT1", "CDELT2"):
        del header[card]
    header.update({f"CD{i}_{j}": matrix[i - 1, j - 1] / 3600 for i in (1, 2) for j in (1, 2)})
    grid = _grid(tmp_path, header)
    assert grid.jacobians(CENTRE, CENTRE)[0] == pytest.approx(matrix, abs=1e-7)
    assert grid.scale_arcsec == pytest.approx(0.06)
    assert grid.squareness == pytest.approx(1.0, abs=1e-6)


def test_the_scale_of_a_map_of_the_sky_is_that_at_the_image(tmp_path):
    # A plate carree map about the equator: at declination 10 its pixels are cos 10 as wide as high.
    header = _header(("RA---CAR", "DEC--CAR"), sky=(150.0, 0.0), pixel=(120.5, 120.5 - 10 * 3600 / 0.06))
    grid = _grid(tmp_path, header)
    assert grid.squareness == pytest.approx(np.cos(np.radians(10)), abs=1e-4)
    assert grid.scale_arcsec == pytest.approx(0.06 * np.sqrt(np.cos(np.radians(10))), rel=1e-4)


def test_pixels_far_from_square_are_refused(tmp_path):
    header = _header(("RA---CAR", "DEC--CAR"), sky=(150.0, 0.0), pixel=(120.5, 120.5 - 60 * 3600 / 0.06))
    message = _message(tmp_path, header)
    assert "has pixels that are not square on the sky, 0.50 times as wide as long" in message
    assert message.endswith("resample it, with reproject or SWarp")


def test_a_scale_that_changes_over_an_image_is_that_at_the_galaxy(tmp_path):
    # 20 degrees of a gnomonic projection: pixels of the corner cover less sky than those of the middle.
    grid = _grid(tmp_path, _header(steps=(150.0, 150.0)))
    inner, outer = grid.scales_at([CENTRE, 0.0], [CENTRE, CENTRE]).tolist()
    tangent = np.tan(np.radians(119.5 * 150 / 3600))
    assert inner == pytest.approx(150.0, rel=1e-5)
    # Area of a gnomonic pixel: cos^3 of the distance from the tangential point.
    assert outer == pytest.approx(150.0 * (1 + tangent**2) ** -0.75, rel=1e-4)


@pytest.mark.parametrize(("q", "angle"), [(1.0, 0.0), (0.6, 30.0), (0.6, 90.0), (0.6, 150.0)])
def test_shapes_are_those_on_the_sky_where_pixels_are_not_square(tmp_path, q, angle):
    """Draw one galaxy on square pixels and on pixels 8 % wider than high; what is measured must be the same."""
    values = []
    for steps in ((0.06, 0.06), (0.0624, 0.0576)):
        header = _header(steps=steps)
        ra, dec = WCS(header).all_pix2world(*np.indices(SHAPE)[::-1].reshape(2, -1), 0)
        east, north = (ra - 150.0) * np.cos(np.radians(2.0)) * 3600, (dec - 2.0) * 3600
        sin, cos = np.sin(np.radians(angle)), np.cos(np.radians(angle))
        radius = np.hypot(east * sin + north * cos, (east * cos - north * sin) / q)
        image = np.exp(-radius / 0.3).reshape(SHAPE) + np.random.default_rng(1).normal(0, 0.002, SHAPE)
        fits.writeto(tmp_path / "a.fits", image.astype(np.float32), header, overwrite=True)
        values.append(galmorph.measure(Table({"ra": [150.0], "dec": [2.0]}), tmp_path / "a.fits")[0])
    square, oblong = values
    assert oblong["gm_ell"] == pytest.approx(square["gm_ell"], abs=0.004)
    assert square["gm_ell"] == pytest.approx(1 - q, abs=0.01)
    for name in ("gm_rpet", "gm_r50", "gm_r80"):
        assert oblong[name] == pytest.approx(square[name], rel=0.03)
    if q < 1:
        for row in values:
            assert (row["gm_pa"] - angle + 90) % 180 - 90 == pytest.approx(0.0, abs=0.5)


# --- odd headers that mean something -------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", ["deg", "degree", "degrees", "DEG", "Degree"])
def test_spellings_of_degree_are_understood(tmp_path, unit):
    assert _sky(_grid(tmp_path, _header(CUNIT1=unit, CUNIT2=unit))) == pytest.approx((150.0, 2.0))


@pytest.mark.parametrize("name", ["GAIADR2", "J2000", "fk5", "INTERNAL", "UNKNOWN", "abc", "icrs", "", 5])
@pytest.mark.parametrize("card", ["RADESYS", "RADECSYS"])
def test_a_frame_outside_the_standard_counts_as_icrs_and_is_said(tmp_path, card, name):
    source = _source(tmp_path, _header(**{card: name}))
    known = str(name).upper() in ("ICRS", "FK5", "")
    said = [remark for remark in source.remarks if "is no frame of the FITS standard: taken as ICRS" in remark]
    assert bool(said) is not known
    assert _sky(source.tiles[0].image.grid) == pytest.approx((150.0, 2.0), abs=1e-5)
    source.close()


def test_positions_of_an_old_equinox_are_precessed(tmp_path):
    # Bessel's equator: 1950 to 2000 moves right ascension 0 by about 0.64 degrees (Explanatory Supplement, 3.59).
    ra, dec = _sky(_grid(tmp_path, _header(sky=(0.0, 0.0), RADESYS="FK4", EQUINOX=1950.0)))
    assert (ra, dec) == pytest.approx((0.640691, 0.278409), abs=2e-5)


def test_sip_beside_the_polynomials_of_scamp_is_read_as_astropy_reads_the_whole_header(tmp_path):
    header = _header(
        ("RA---TPV", "DEC--TPV"), PV1_1=1.0, PV2_1=1.0, PV1_0=1e-5, PV2_0=2e-5, A_ORDER=2, A_2_0=1e-6, B_ORDER=2
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = WCS(header).celestial.all_pix2world([[100.0, 50.0]], 0)[0]
    ra, dec = _grid(tmp_path, header).to_sky(100.0, 50.0)
    assert (ra[0], dec[0]) == pytest.approx(tuple(expected), abs=3e-7)


def test_a_wcs_of_three_axes_is_that_of_its_two_on_the_sky(tmp_path):
    header = _header(CTYPE3="WAVE", CRVAL3=1e-6, CRPIX3=1.0, CDELT3=1e-9, CUNIT3="m")
    source = _source(tmp_path, header, np.zeros((1, *SHAPE), np.float32))
    assert _sky(source.tiles[0].image.grid) == pytest.approx((150.0, 2.0))
    source.close()


def test_a_distortion_that_is_not_applied_is_said(tmp_path):
    source = _source(tmp_path, _header(CPDIS1="POLYNOMIAL"))
    assert source.remarks == ("the WCS is read in part: Polynomial distortion is not implemented.",)
    assert _sky(source.tiles[0].image.grid) == pytest.approx((150.0, 2.0))
    source.close()


# --- headers that mean nothing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "card", [("CRVAL1", "here"), ("CRPIX2", True), ("CDELT1", "NaN"), ("CD1_1", "x"), ("EQUINOX", "J2000")], ids=str
)
def test_cards_without_their_number_are_refused_in_one_line(tmp_path, card):
    name, value = card
    assert f"has a WCS that cannot be understood ({name} = {value!r} is no number)" in _message(
        tmp_path, _header(**{name: value})
    )


@pytest.mark.parametrize("name", ["CTYPE1", "CUNIT2", "CPDIS1"])
@pytest.mark.parametrize("value", [7, 1.5, True])
def test_cards_without_their_text_are_refused_in_one_line(tmp_path, name, value):
    assert f"has a WCS that cannot be understood ({name} = {value!r} is no text)" in _message(
        tmp_path, _header(**{name: value})
    )


@pytest.mark.parametrize(
    "cards",
    [
        {"CTYPE1": 7},
        {"CUNIT1": "furlong"},
        {"CTYPE1": "RA---XYZ"},
        {"CTYPE1": "RA---TAB"},
        {"CTYPE2": "RA---TAN"},
        {"LONPOLE": "x"},
    ],
    ids=str,
)
def test_a_wcs_that_cannot_be_understood_is_refused_in_one_line(tmp_path, cards):
    assert "cannot be understood" in _message(tmp_path, _header(**cards))


def test_pixels_without_an_area_have_no_place_on_the_sky(tmp_path):
    source = _source(tmp_path, _header(steps=(1e-170, 1e-170)))
    assert not source.has_wcs
    assert np.isnan(source.cutout(0, 5, 5, 1).scale_arcsec)
    assert "the WCS has pixels without an area: taken as none" in source.remarks
    source.close()
    assert "singular" in _message(tmp_path, _header(steps=(0.0, 0.06)))


@pytest.mark.parametrize("value", [2147483647, -1, 100, 2.5, True])
def test_more_axes_of_a_wcs_than_cards_have_room_for_are_refused(tmp_path, value):
    assert "where 99 axes at most make sense" in _message(tmp_path, _header(WCSAXES=value))


def test_absurd_scales_are_refused_without_a_word_of_numpy(tmp_path):
    assert "not square on the sky" in _message(tmp_path, _header(CD1_1=-1.7e-5, CD1_2=0.0, CD2_1=0.0, CD2_2=1e30))
