"""Which columns say where a source is, and what their cells mean in degrees and pixels."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import Angle, SkyCoord
from astropy.table import MaskedColumn, QTable, Table

from galmorph.errors import CatalogError
from galmorph.sky.angles import dec_degrees, ra_degrees
from galmorph.sky.catalog import catalog_from
from galmorph.sky.roles import ColumnNames


def _with_ucd(**ucds: str) -> Table:
    table = Table({name: [1.0, 2.0] for name in ucds})
    for name, ucd in ucds.items():
        if ucd:
            table[name].meta["ucd"] = ucd
    return table


@pytest.mark.parametrize(
    ("ra", "dec"),
    [
        ("ra", "dec"),
        ("RA", "DEC"),
        ("Ra", "Dec"),
        ("RAJ2000", "DEJ2000"),
        ("_RAJ2000", "_DEJ2000"),
        ("ALPHA_J2000", "DELTA_J2000"),
        ("ALPHAWIN_J2000", "DELTAWIN_J2000"),
        ("ra_deg", "dec_deg"),
        ("RAdeg", "DEdeg"),
        ("RA_ICRS", "DE_ICRS"),
        ("coord_ra", "coord_dec"),
        ("raMean", "decMean"),
    ],
)
def test_usual_names_of_sky_positions_are_known(ra, dec):
    found = catalog_from(Table({"flux": [1.0], ra: [2.0], dec: [3.0]}))
    assert (found.ra_column, found.dec_column) == (ra, dec)
    assert (found.ra_deg[0], found.dec_deg[0]) == (2.0, 3.0)


def test_main_ucds_win_over_usual_names_and_usual_names_over_other_ucds():
    table = _with_ucd(ra="", dec="", a="pos.eq.ra;meta.main", d="pos.eq.dec;meta.main")
    assert catalog_from(table).ra_column == "a"
    table = _with_ucd(ra="", dec="", gm_racen="pos.eq.ra", gm_deccen="pos.eq.dec")
    assert catalog_from(table).ra_column == "ra"
    table = _with_ucd(alp="pos.eq.ra", del_="pos.eq.dec")
    assert catalog_from(table).dec_column == "del_"


def test_the_first_generation_of_ucds_is_known():
    found = catalog_from(_with_ucd(a="POS_EQ_RA_MAIN", d="POS_EQ_DEC_MAIN", n="ID_MAIN"))
    assert (found.ra_column, found.dec_column, found.id_column) == ("a", "d", "n")


def test_errors_of_positions_are_no_positions():
    table = _with_ucd(e_ra="stat.error;pos.eq.ra", e_dec="stat.error;pos.eq.dec", x="", y="")
    found = catalog_from(table)
    assert (found.ra_column, found.x_column) == (None, "x")


def test_exact_case_wins_where_two_names_differ_only_in_case():
    found = catalog_from(Table({"RA": ["00:00:01"], "DEC": ["1:2:3"], "ra": [5.0], "dec": [6.0]}))
    assert (found.ra_column, found.dec_column) == ("ra", "dec")


def test_named_columns_win_over_everything():
    table = _with_ucd(ra="pos.eq.ra;meta.main", dec="pos.eq.dec;meta.main", alpha1="", delta1="")
    found = catalog_from(table, columns=ColumnNames(ra="alpha1", dec="DELTA1"))
    assert (found.ra_column, found.dec_column) == ("alpha1", "delta1")


def test_one_named_column_finds_its_partner():
    table = Table({"RAJ2000": [1.0], "DEJ2000": [2.0], "ra": [3.0], "dec": [4.0]})
    found = catalog_from(table, columns=ColumnNames(ra="RAJ2000"))
    assert (found.ra_column, found.dec_column) == ("RAJ2000", "DEJ2000")


def test_a_named_column_that_is_absent_is_an_error_with_the_nearest_name():
    with pytest.raises(CatalogError, match=r"unknown column 'alpa'.*did you mean 'alpha'"):
        catalog_from(Table({"alpha": [1.0], "delta": [2.0]}), columns=ColumnNames(ra="alpa"))


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (
            ("id", "ra"),
            r"no column for declination beside 'ra': looked for dec, DEC, DEJ2000. Name it with --dec.",
        ),
        (("id", "DEJ2000"), r"no column for right ascension beside 'DEJ2000'.*--ra"),
        (("id", "x"), r"no column for y pixels beside 'x'.*--y"),
        (("id", "flux"), r"no columns for positions.*--ra and --dec"),
    ],
)
def test_missing_positions_are_an_error_that_names_the_option(names, said):
    table = Table({n: [1.0] for n in names})
    with pytest.raises(CatalogError, match=said):
        catalog_from(table)
    assert len(catalog_from(table, positions=False)) == 1


def test_half_a_sky_position_does_not_matter_beside_pixels():
    found = catalog_from(Table({"ra": [1.0], "x": [1.0], "y": [2.0]}))
    assert (found.ra_column, found.x_column) == (None, "x")
    assert np.isnan(found.ra_deg).all()
    assert np.isnan(found.dec_deg).all()


def test_a_file_column_is_a_position_only_if_it_is_text():
    found = catalog_from(Table({"file": ["1.jpg", "2.jpg"], "label": ["a", "b"]}))
    assert found.files == ["1.jpg", "2.jpg"]
    assert found.xy is None
    with pytest.raises(CatalogError, match="no columns for positions"):
        catalog_from(Table({"image": [1, 2]}))


def test_pixels_of_sextractor_count_from_one_and_others_from_zero():
    table = Table({"X_IMAGE": [1.0, np.nan], "Y_IMAGE": [10.0, 5.0]})
    np.testing.assert_array_equal(catalog_from(table).xy, [[0.0, 9.0], [np.nan, 4.0]])
    table = Table({"x": [1.0], "y": [10.0]})
    np.testing.assert_array_equal(catalog_from(table).xy, [[1.0, 10.0]])
    table = Table({"x": MaskedColumn([1, 2], mask=[False, True]), "y": ["3", "-"]})
    np.testing.assert_array_equal(catalog_from(table).xy, [[1.0, 3.0], [np.nan, np.nan]])


def test_ids_are_text_whole_floats_without_a_point_and_row_numbers_where_there_is_none():
    base = {"ra": [1.0, 2.0], "dec": [1.0, 2.0]}
    assert catalog_from(Table(base)).ids.tolist() == ["0", "1"]
    assert catalog_from(Table(base | {"ID": [2**60 + 1, 5]})).ids.tolist() == [str(2**60 + 1), "5"]
    assert catalog_from(Table(base | {"objid": [1237.0, np.nan]})).ids.tolist() == ["1237", ""]
    assert catalog_from(Table(base | {"NUMBER": [b"a", b"b"]})).ids.tolist() == ["a", "b"]
    assert catalog_from(Table(base | {"mine": ["p", "q"]}), columns=ColumnNames(id="mine")).ids.tolist() == ["p", "q"]


def test_a_column_of_sky_coordinates_is_a_position():
    table = QTable({"where": SkyCoord([10, 20] * u.deg, [-5, 5] * u.deg, frame="icrs").galactic})
    found = catalog_from(table)
    np.testing.assert_allclose(found.ra_deg, [10, 20], rtol=1e-12)
    np.testing.assert_allclose(found.dec_deg, [-5, 5], rtol=1e-12)


def test_quantities_keep_their_units():
    found = catalog_from(QTable({"ra": [1.0, 2.0] * u.rad, "dec": [0.5, -0.5] * u.rad}))
    np.testing.assert_allclose(found.ra_deg, np.degrees([1.0, 2.0]))
    np.testing.assert_allclose(found.dec_deg, np.degrees([0.5, -0.5]))


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("10:20:30.1", Angle("10h20m30.1s").deg),
        ("10h20m30.1s", Angle("10h20m30.1s").deg),
        (" 10 20 30.1 ", Angle("10h20m30.1s").deg),
        ("10h20.5m", Angle("10h20m30s").deg),
        ("155d07m30s", 155.125),
        ("155.125", 155.125),
        ("-0.5", 359.5),
        ("00:00:00.41", 0.41 / 240),
        ("25:00:00", np.nan),
        ("10:60:00", np.nan),
        ("", np.nan),
        ("nan", np.nan),
        ("inf", np.nan),
        ("north", np.nan),
        ("721", np.nan),
    ],
)
def test_right_ascension_as_text(text, degrees):
    np.testing.assert_allclose(ra_degrees(np.array([text])), [degrees], rtol=0, atol=1e-11)


@pytest.mark.parametrize(
    ("text", "degrees"),
    [
        ("-10:22:25.7", Angle("-10d22m25.7s").deg),
        ("-00:00:36", -0.01),
        ("+01d30m00s", 1.5),
        ("-1 30", -1.5),
        ("−5:30:00", -5.5),  # a typographic minus
        ("90:00:00", 90.0),
        ("90:00:01", np.nan),
        ("-95", np.nan),
    ],
)
def test_declination_as_text(text, degrees):
    np.testing.assert_allclose(dec_degrees(np.array([text])), [degrees], rtol=0, atol=1e-11)


def test_units_of_numbers_are_converted():
    np.testing.assert_allclose(ra_degrees([1.0, 23.0], "hourangle"), [15.0, 345.0])
    np.testing.assert_allclose(ra_degrees([1.0], "h"), [15.0])
    np.testing.assert_allclose(dec_degrees([1.0], "rad"), [np.degrees(1.0)])
    np.testing.assert_allclose(ra_degrees(["155:07:30"], "deg"), [155.125])


def test_numbers_outside_the_sky_are_nan_and_right_ascension_wraps():
    got = ra_degrees([-360.0, -1.0, 0.0, 360.0, 719.0, 721.0, -999.0, np.inf, np.nan])
    np.testing.assert_array_equal(got, [0.0, 359.0, 0.0, 0.0, 359.0, np.nan, np.nan, np.nan, np.nan])
    np.testing.assert_array_equal(dec_degrees([-90.0, 90.0, 90.1, -99.0]), [-90.0, 90.0, np.nan, np.nan])
    assert ra_degrees([-1e-14])[0] < 360.0


def test_masked_coordinates_are_nan():
    table = Table({"ra": MaskedColumn([1.0, 2.0], mask=[True, False]), "dec": MaskedColumn([1, 2], mask=[True, False])})
    found = catalog_from(table)
    np.testing.assert_array_equal(found.ra_deg, [np.nan, 2.0])
    np.testing.assert_array_equal(found.dec_deg, [np.nan, 2.0])


@pytest.mark.parametrize("ucds", [{"ra": "meta.id;meta.main", "dec": "pos.eq.ra;meta.main"}, {"ra": "pos.eq.dec"}])
def test_ucds_that_contradict_names_without_doubt_mean_nothing(ucds, caplog):
    """Programs that do not know them leave them by number when columns move."""
    table = _with_ucd(id="", ra=ucds["ra"], dec=ucds.get("dec", ""), mag="pos.eq.dec;meta.main")
    source = catalog_from(table)
    assert (source.id_column, source.ra_column, source.dec_column) == ("id", "ra", "dec")
    assert "UCDs are left out" in caplog.text
