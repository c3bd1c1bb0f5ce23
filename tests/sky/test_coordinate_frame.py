"""Positions that a catalogue says are of another frame are refused, however it says so; others are found."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.coordinates import SkyCoord
from astropy.table import QTable, Table

import galmorph
from galmorph.errors import CatalogError
from galmorph.sky.catalog import catalog_from, read_catalog
from galmorph.sky.roles import ColumnNames

SKY = SkyCoord([150.1, 20.0], [2.2, 5.0], unit="deg")
VOTABLE = """<VOTABLE version="1.4" xmlns="http://www.ivoa.net/xml/VOTable/v1.3"><RESOURCE>
<COOSYS ID="here" system="{system}" equinox="{equinox}"/><TABLE>
<FIELD name="RA" datatype="double" unit="deg" ref="here"/><FIELD name="DEC" datatype="double" unit="deg" ref="here"/>
<DATA><TABLEDATA><TR><TD>150.1</TD><TD>2.2</TD></TR><TR><TD>20.0</TD><TD>5.0</TD></TR></TABLEDATA></DATA>
</TABLE></RESOURCE></VOTABLE>"""


def votable(folder, system, equinox):
    path = folder / "catalog.vot"
    path.write_text(VOTABLE.format(system=system, equinox=equinox))
    return path


@pytest.mark.parametrize(
    ("system", "equinox"),
    [("eq_FK4", "B1950"), ("eq_FK4", ""), ("eq_FK5", "J1975.0"), ("galactic", ""), ("ecl_FK5", "J2000")],
)
def test_a_votable_whose_coordinates_are_others_is_refused(tmp_path, system, equinox):
    with pytest.raises(CatalogError, match=f"column 'RA': positions are in the system {system}"):
        read_catalog(votable(tmp_path, system, equinox))


@pytest.mark.parametrize(
    ("system", "equinox"),
    [("ICRS", ""), ("eq_FK5", "J2000"), ("eq_FK5", "2000.0"), ("eq_FK5", "J2000."), ("ICRS", "J2016")],
)
def test_a_votable_of_j2000_is_read(tmp_path, system, equinox):
    np.testing.assert_array_equal(read_catalog(votable(tmp_path, system, equinox)).ra_deg, SKY.ra.deg)


@pytest.mark.parametrize("cards", [{"RADECSYS": "FK4"}, {"EQUINOX": 1950.0}, {"RADESYS": "FK5", "EQUINOX": 1975.0}])
def test_a_fits_table_of_another_equinox_is_refused_unless_its_columns_say_j2000(tmp_path, cards):
    table = Table({"RA": SKY.ra.deg, "DEC": SKY.dec.deg}, meta=cards)
    table.write(tmp_path / "old.fits")
    with pytest.raises(CatalogError, match="positions are in the system FK"):
        read_catalog(tmp_path / "old.fits")
    table.rename_columns(["RA", "DEC"], ["RAJ2000", "DEJ2000"])
    table.write(tmp_path / "new.fits")
    np.testing.assert_array_equal(read_catalog(tmp_path / "new.fits").ra_deg, SKY.ra.deg)


@pytest.mark.parametrize("cards", [{}, {"RADESYS": "ICRS", "EQUINOX": 2016.0}, {"RADESYS": "FK5", "EQUINOX": 2000}])
def test_a_fits_table_of_j2000_is_read(tmp_path, cards):
    Table({"RA": SKY.ra.deg, "DEC": SKY.dec.deg}, meta=cards).write(tmp_path / "new.fits")
    np.testing.assert_array_equal(read_catalog(tmp_path / "new.fits").ra_deg, SKY.ra.deg)


@pytest.mark.parametrize(("ra", "dec"), [("RAB1950", "DEB1950"), ("_RA1950", "_DE1950"), ("GLON", "GLAT")])
def test_columns_of_another_frame_are_refused_also_where_they_are_named(ra, dec):
    with pytest.raises(CatalogError, match=f"column '{ra}': positions are in"):
        catalog_from(Table({ra: SKY.ra.deg, dec: SKY.dec.deg}), columns=ColumnNames(ra=ra, dec=dec))


@pytest.mark.parametrize("ending", ["fits", "parquet", "ecsv"])
def test_the_parts_of_a_skycoord_column_are_a_position(tmp_path, ending):
    QTable({"pos": SKY, "z": [0.1, 0.2]}).write(tmp_path / f"sky.{ending}")
    catalog = read_catalog(tmp_path / f"sky.{ending}")
    np.testing.assert_allclose(catalog.ra_deg, SKY.ra.deg, rtol=1e-15)
    np.testing.assert_allclose(catalog.dec_deg, SKY.dec.deg, rtol=1e-15)


@pytest.mark.parametrize("ending", ["fits", "parquet"])
def test_the_parts_of_a_skycoord_column_of_another_frame_are_refused(tmp_path, ending):
    QTable({"pos": SKY.fk4}).write(tmp_path / f"sky.{ending}")
    with pytest.raises(CatalogError, match=r"column 'pos.ra': positions are in the system fk4"):
        read_catalog(tmp_path / f"sky.{ending}")


def test_matching_says_how_many_rows_have_no_position(caplog):
    words = Table({"ra": ["150,1", "20.0"], "dec": ["2,2", "5.0"]})
    table = galmorph.match(Table({"ra": SKY.ra.deg, "dec": SKY.dec.deg}), words, radius="1arcsec")
    assert len(table) == 1
    assert [r.getMessage() for r in caplog.records] == ["Catalog 'in memory': 1 of 2 rows have no position"]
