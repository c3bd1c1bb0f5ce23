"""Catalogues that a script holds: the same rows and positions as in a file, and results with units."""

from __future__ import annotations

import numpy as np
import pytest
import small_sky
from astropy import units as u
from astropy.coordinates import AltAz, SkyCoord
from astropy.io import fits
from astropy.table import MaskedColumn, QTable, Table
from astropy.utils.masked import Masked

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Column, Provenance, append, catalog_from, read_catalog

TABLE = small_sky.table()
RA, DEC = np.asarray(TABLE["ra"]), np.asarray(TABLE["dec"])
SKY = SkyCoord(RA, DEC, unit="deg")


def assert_there(catalog) -> None:
    np.testing.assert_allclose(catalog.ra_deg, RA, rtol=1e-14)
    np.testing.assert_allclose(catalog.dec_deg, DEC, rtol=1e-14)


@pytest.mark.parametrize(
    "catalog",
    [
        SKY,
        SKY.fk5.transform_to("fk5").icrs,
        Table({"where": SKY}),
        QTable({"n": np.arange(len(SKY)), "where": SKY}),
        QTable(TABLE),
        TABLE.to_pandas(),
        TABLE.as_array(),
        fits.table_to_hdu(TABLE),
        fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(TABLE)]),
    ],
    ids=lambda catalog: type(catalog).__name__,
)
def test_positions_are_the_same_in_any_form(catalog):
    assert_there(catalog_from(catalog))


def test_galactic_coordinates_are_positions_too():
    np.testing.assert_allclose(catalog_from(SKY.galactic).ra_deg, RA, rtol=1e-12)


@pytest.mark.parametrize("unit", [u.deg, u.hourangle, u.rad, u.arcmin, u.arcsec, u.mas, u.Unit("10 deg")])
def test_positions_have_any_unit_of_angles(unit):
    quantities = {"ra": (RA * u.deg).to(unit), "dec": (DEC * u.deg).to(unit)}
    assert_there(catalog_from(QTable(quantities)))
    plain = Table({n: q.value for n, q in quantities.items()}, units=[unit, unit])
    if unit == u.hourangle:  # said of sexagesimal text in both columns, whose declinations are degrees
        plain["dec"] = DEC
    assert_there(catalog_from(plain))


def test_masked_quantities_are_no_positions():
    masked = QTable({"ra": Masked(RA * u.deg, mask=RA[2] == RA), "dec": DEC * u.deg})
    catalog = catalog_from(masked)
    assert np.isnan(catalog.ra_deg).nonzero()[0].tolist() == [2]
    column = Table({"ra": MaskedColumn(RA, mask=RA[1] == RA, unit="deg"), "dec": DEC})
    assert np.isnan(catalog_from(column).ra_deg).nonzero()[0].tolist() == [1]


def test_a_table_hdu_is_read_as_its_file_is(tmp_path):
    TABLE.write(tmp_path / "cat.fits")
    from_file = read_catalog(tmp_path / "cat.fits")
    with fits.open(tmp_path / "cat.fits") as hdus:
        before = repr(hdus[1].header)
        for catalog in (catalog_from(hdus[1]), catalog_from(hdus), catalog_from(hdus, hdu=1)):
            assert catalog.table.colnames == from_file.table.colnames
            assert catalog.ids.tolist() == from_file.ids.tolist()
            for name in from_file.table.colnames:
                assert (catalog.table[name] == from_file.table[name]).all()
                assert catalog.table[name].unit == from_file.table[name].unit
                assert catalog.table[name].description == from_file.table[name].description
        assert repr(hdus[1].header) == before


def test_the_table_of_several_hdus_is_named():
    stars = fits.table_to_hdu(TABLE[:2])
    stars.name = "STARS"
    hdus = fits.HDUList([fits.PrimaryHDU(), fits.table_to_hdu(TABLE), stars])
    assert len(catalog_from(hdus)) == len(TABLE)
    assert len(catalog_from(hdus, hdu="stars")) == len(catalog_from(hdus, hdu=2)) == 2
    with pytest.raises(CatalogError, match="unknown table HDU 'galaxies'"):
        catalog_from(hdus, hdu="galaxies")
    with pytest.raises(CatalogError, match="an HDUList without a table was given as catalogue"):
        catalog_from(hdus[:1])


COLUMNS = (
    Column("gm_rpet", np.linspace(0.5, 1.5, len(RA)), "arcsec", "Petrosian radius", "phys.angSize"),
    Column("gm_class", np.array(["disk"] * len(RA))),
    Column("gm_flags", np.zeros(len(RA), np.int32)),
)


def test_results_in_a_table_of_quantities_are_quantities():
    made = append(catalog_from(QTable(TABLE)), COLUMNS, Provenance())
    assert isinstance(made, QTable)
    assert made["gm_rpet"].unit == u.arcsec
    assert made["gm_rpet"][0].to_value("mas") == pytest.approx(500)
    assert made["gm_rpet"].info.description == "Petrosian radius"
    assert made["gm_rpet"].info.meta == {"ucd": "phys.angSize"}
    assert made["gm_class"].tolist() == ["disk"] * len(RA)
    assert isinstance(made["ra"], u.Quantity)


def test_results_in_a_table_have_units_on_their_columns():
    made = append(catalog_from(TABLE), COLUMNS, Provenance())
    assert type(made) is Table
    assert made["gm_rpet"].unit == u.arcsec
    assert made["gm_rpet"].quantity.unit == u.arcsec
    assert "gm_rpet" not in TABLE.colnames


def test_results_of_bare_coordinates_name_them():
    made = append(catalog_from(SKY), COLUMNS, Provenance())
    assert made.colnames == ["ra", "dec", "gm_rpet", "gm_class", "gm_flags"]
    assert made["ra"].unit == u.deg
    assert_there(catalog_from(made))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["ra", "dec", "ra"], "a pandas frame with several columns 'ra'"),
        ([1, "1", "dec"], "a pandas frame with several columns '1'"),
        ([("a", "ra"), ("a", "dec"), ("b", "id")], "a pandas frame with 2 levels of column names"),
    ],
)
def test_a_frame_whose_columns_have_no_names_of_their_own_is_refused(names, message):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(np.zeros((2, 3)))
    frame.columns = pandas.Index(names)
    with pytest.raises(CatalogError, match=message):
        catalog_from(frame)


def test_a_single_position_is_a_catalogue_of_one_row():
    assert len(catalog_from(SkyCoord(10.0, 20.0, unit="deg"))) == 1


@pytest.mark.parametrize(
    ("catalog", "message"),
    [
        ([1.0, 2.0], "catalog of type list: expected a path, an astropy table, a SkyCoord"),
        (np.zeros((3, 2)), "catalog of type ndarray"),
        (SkyCoord(10.0, 20.0, unit="deg", frame=AltAz), "coordinates in the frame 'altaz'"),
    ],
)
def test_what_is_no_table_is_refused(catalog, message):
    with pytest.raises(CatalogError, match=message):
        catalog_from(catalog)
