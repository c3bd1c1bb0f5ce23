"""Angles: units and text of positions, each with its value in degrees."""

from __future__ import annotations

import time

import numpy as np
import pytest
from astropy.table import Table

from galmorph.errors import CatalogError
from galmorph.sky.angles import dec_degrees, position_degrees, ra_degrees
from galmorph.sky.catalog import catalog_from
from galmorph.sky.roles import ColumnNames


@pytest.mark.parametrize(
    ("value", "unit", "degrees"),
    [
        (10.5, "", 10.5),
        (10.5, "deg", 10.5),
        (10.5, "degrees", 10.5),
        (10.5, "DEG", 10.5),
        (10.5, "°", 10.5),
        (10.5, "15deg", 157.5),
        (10.5, "15 deg", 157.5),
        (10.5, "hourangle", 157.5),
        (10.5, "h", 157.5),
        (10.5, "Hours", 157.5),
        (90.0, "arcmin", 1.5),
        (5400.0, "arcsec", 1.5),
        (5.4e6, "mas", 1.5),
        (5.4e9, "uas", 1.5),
        (5.4e9, "µas", 1.5),
        (1.0, "rad", 180 / np.pi),
        (1.0, "radians", 180 / np.pi),
        (6.0, "min", 1.5),
    ],
)
def test_units_of_right_ascension(value, unit, degrees):
    assert ra_degrees(np.array([value]), unit)[0] == pytest.approx(degrees, rel=1e-12)


@pytest.mark.parametrize("unit", ["nonsense", "pix", "mag", "km", "1/deg", "x" * 1000])
def test_a_unit_that_is_no_angle_is_refused_when_the_catalogue_is_read(unit):
    table = Table({"ra": [10.0], "dec": [1.0]})
    table["ra"].unit = unit
    with pytest.raises(CatalogError, match=r"column 'ra': unit.*expected an angle"):
        catalog_from(table)


@pytest.mark.parametrize("unit", ["h:m:s", '"h:m:s"', "hms", "HH:MM:SS.ss", ""])
def test_sexagesimal_text(unit):
    assert ra_degrees(np.array(["10:30:00"]), unit)[0] == pytest.approx(157.5)
    assert dec_degrees(np.array(["-00:30:00"]), unit)[0] == pytest.approx(-0.5)
    assert ra_degrees(np.array(["10:30:00"]), "d:m:s")[0] == pytest.approx(10.5)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("150.1°", 150.1), ("150.1º", 150.1), ("150.1d", 150.1), ("150.1 deg", 150.1), ("+1.501e2 degrees", 150.1),
        ("10.5h", 157.5), ("10.5 hours", 157.5), ("\u22120.5d", 359.5), ("1.5rad", np.degrees(1.5)),
        ("150.1 parsec", np.nan), ("deg", np.nan), ("1.5.2d", np.nan),
    ],
)  # fmt: skip
def test_a_number_may_say_its_own_unit(text, degrees):
    assert ra_degrees([text])[0] == pytest.approx(degrees, rel=1e-14, nan_ok=True)
    assert ra_degrees([text], "hourangle")[0] == pytest.approx(degrees, rel=1e-14, nan_ok=True)
    assert dec_degrees(["-2.25°"])[0] == -2.25


def test_long_cells_are_no_angles_and_take_no_time():
    begin = time.process_time()
    cells = np.array([" " * 100_000 + "x", "1" * 100_000, " " * 200 + "10.5" + " " * 200])
    assert np.isnan(ra_degrees(cells)).tolist() == [True, True, False]
    assert time.process_time() - begin < 5.0


@pytest.mark.parametrize(
    ("name", "first"),
    [
        ("x", 0),
        ("xcentroid", 0),
        ("image_x", 0),
        ("X_IMAGE", 1),
        ("XWIN_IMAGE", 1),
        ("X_IMAGE_DBL", 1),
        ("XPSF_IMAGE", 1),
        ("XPEAK_IMAGE", 1),
        ("XMODEL_IMAGE", 1),
        ("X_IMAGE_1", 1),
        ("XWIN_IMAGE_1a", 1),
        ("x_image_dbl_2", 1),
        ("F160W_X_IMAGE", 1),
    ],
)
def test_pixel_columns_of_sextractor_count_from_one(name, first):
    other = name.replace("X", "Y").replace("x", "y")
    table = Table({name: [5.0], other: [7.0]})
    xy = catalog_from(table, columns=ColumnNames(x=name, y=other)).xy
    assert xy.tolist() == [[5.0 - first, 7.0 - first]]


def test_numbers_that_name_rows_and_stamps_have_no_point():
    table = Table({"id": [587722982829850805.0, 3.0], "ra": [1.0, 2.0], "dec": [1.0, 2.0], "stamp": [12.0, np.nan]})
    catalog = catalog_from(table, columns=ColumnNames(file="stamp"))
    assert catalog.ids.tolist()[1] == "3"
    assert catalog.files == ["12", ""]


def test_numbers_beyond_all_are_no_positions_and_nothing_is_said_of_the_arithmetic():
    """Warnings are errors in tests."""
    values = np.array([1e308, -1e308, np.inf, 1.5, np.nan])
    np.testing.assert_allclose(ra_degrees(values, "15deg"), [np.nan, np.nan, np.nan, 22.5, np.nan], rtol=1e-15)


@pytest.mark.parametrize(
    ("text", "ra", "dec"),
    [
        ("53.1 -27.8", 53.1, -27.8),
        ("53.1, -27.8", 53.1, -27.8),
        (" 53.1\t+0 ", 53.1, 0.0),
        ("03:32:24 -27:48:00", 53.1, -27.8),
        ("03 32 24 -27 48 00", 53.1, -27.8),
        ("03h32m24s −27d48m", 53.1, -27.8),
        ("03 32 24 -00 30", 53.1, -0.5),
        ("53.1 -00:30:00", 53.1, -0.5),
        ("00 10 20 30", 2.5, 20.5),
    ],
)
def test_a_text_has_a_position(text, ra, dec):
    assert position_degrees(text) == pytest.approx((ra, dec), abs=1e-9)


@pytest.mark.parametrize("text", ["", "53.1", "10 20 30", "abc def", "nan 5", "10 95", "1 -", "25:0:0 1", "1 2 " * 99])
def test_a_text_without_a_position_is_refused_in_one_line(text):
    with pytest.raises(CatalogError, match="expected right ascension and declination") as refused:
        position_degrees(text)
    assert "\n" not in str(refused.value)
