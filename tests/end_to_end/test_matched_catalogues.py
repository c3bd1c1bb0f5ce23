"""Matched catalogues: whole tables from the command line and from Python, in all formats, with all that was said."""

from __future__ import annotations

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, Table
from astropy.time import Time

from galmorph import match
from galmorph.errors import CatalogError, OutputError
from galmorph.sky.catalog import Provenance, catalog_from, read_catalog, write_catalog

FORMATS = (".fits", ".vot", ".ecsv", ".parquet", ".csv")
ARCSEC = 1.0 / 3600.0


def mine() -> Table:
    """Five galaxies, of which one has no position."""
    table = Table({"id": [11, 12, 13, 14, 15], "ra": [10.0, 359.99999, 30.0, 40.0, np.nan], "dec": [0.0, 1, 2, 3, 4]})
    table["ra"].unit = table["dec"].unit = "deg"
    table["mag"] = np.array([20.0, 21, 22, 23, 24], "f4")
    table["mag"].unit, table["mag"].description, table["mag"].meta["ucd"] = "mag", "of the H band", "phot.mag;em.IR.H"
    table.meta = {"SURVEY": "EGS", "YEAR": 2000, "HISTORY": ["cut at 24 mag"]}
    return table


def theirs() -> Table:
    """Partners of the first three, two of them for the first, and a row of its own."""
    table = Table({"Name": ["a", "b", "c", "d", "e"]})
    table["RAJ2000"] = [30.0, 10.0, 0.00001, 200.0, 10.0]
    table["DEJ2000"] = [2 + 0.4 * ARCSEC, 0.3 * ARCSEC, 1.0, -5.0, -0.5 * ARCSEC]
    table["MAG"] = MaskedColumn([1, 2, 3, 4, 5], mask=[0, 1, 0, 0, 0])
    table["good"] = [True, False, True, False, True]
    table["z"] = [0.1, 0.2, 0.3, 0.4, 0.5]
    table["z"].description, table["z"].meta["ucd"] = "redshift of lines", "src.redshift"
    table.meta = {"SURVEY": "SDSS", "RELEASE": 17, "comments": ["spectra only"]}
    return table


@pytest.fixture
def files(tmp_path):
    """Write both tables in a format."""

    def write(suffix: str) -> tuple:
        paths = tmp_path / f"mine{suffix}", tmp_path / f"theirs{suffix}"
        for table, path in zip((mine(), theirs()), paths, strict=True):
            catalog = catalog_from(table)
            write_catalog(catalog, (), path, provenance=Provenance())
        return paths

    return write


def values(column) -> list:
    return ["" if v is None or v is np.ma.masked or v != v else v for v in column.tolist()]  # noqa: PLR0124 - NaN


@pytest.mark.parametrize("to", FORMATS)
@pytest.mark.parametrize("of", FORMATS)
def test_any_format_comes_in_and_goes_out(galmorph, files, of, to, tmp_path):
    first, second = files(of)
    out = tmp_path / f"out{to}"
    done = galmorph("match", first, second, "--radius", "1arcsec", "--find", "all", "--join", "1or2", "-o", out)
    assert (done.status, done.out.strip()) == (0, str(out))
    table = read_catalog(out, ra="RAJ2000", dec="DEJ2000").table
    assert [str(n) for n in values(table["Name"])] == ["b", "e", "c", "a", "", "", "d"]
    assert values(table["id"]) == [11, 11, 12, 13, 14, 15, ""]
    assert values(table["MAG_2"]) == ["", 5, 3, 1, "", "", 4]
    assert [bool(v) if v != "" else "" for v in values(table["good"])] == [False, True, True, True, "", "", False]
    assert np.allclose([v for v in values(table["Separation"]) if v != ""], [0.3, 0.5, 0.072, 0.4], atol=1e-3)
    assert values(table["GroupID"]) == [1, 1, "", "", "", "", ""]
    assert values(table["GroupSize"]) == [2, 2, "", "", "", "", ""]
    assert f"Catalog '{first.name}': 1 of 5 rows have no position" in done.err
    assert second.name not in done.err


@pytest.mark.parametrize("to", [f for f in FORMATS if f != ".csv"])
def test_units_descriptions_and_ucds_of_both_survive(galmorph, files, to, tmp_path):
    first, second = files(to)
    galmorph("match", first, second, "--radius", "1arcsec", "-o", tmp_path / f"out{to}")
    table = read_catalog(tmp_path / f"out{to}", ra="RAJ2000", dec="DEJ2000").table
    assert (str(table["mag_1"].unit), table["mag_1"].description) == ("mag", "of the H band")
    assert table["z"].description == "redshift of lines"
    ucds = {name: table[name].meta.get("ucd") for name in ("mag_1", "z", "Separation")}
    assert ucds == {"mag_1": "phot.mag;em.IR.H", "z": "src.redshift", "Separation": "pos.angDistance"}
    assert str(table["Separation"].unit) == "arcsec"


@pytest.mark.parametrize("to", [f for f in FORMATS if f != ".csv"])
def test_the_provenance_of_both_survives_and_ours_is_added(galmorph, files, to, tmp_path):
    first, second = files(to)
    done = galmorph("match", first, second, "--radius", "1arcsec", "-o", tmp_path / f"out{to}")
    assert done.status == 0
    meta = read_catalog(tmp_path / f"out{to}", ra="RAJ2000", dec="DEJ2000").table.meta
    told = "\n".join(f"{key} {value}" for key, value in meta.items()).replace("\n", " ")
    for words in ("SURVEY EGS", "RELEASE 17", "cut at 24 mag", "SURVEY = SDSS", "spectra only", "GMRADIUS 1 arcsec"):
        assert words in told
    history = " ".join(meta["HISTORY"] if isinstance(meta["HISTORY"], list) else [meta["HISTORY"]])
    assert "--radius 1arcsec" in history
    assert "sha256" in history


def test_what_a_script_holds_is_joined_and_stays_as_it_is():
    first, second = mine(), theirs()
    table = match(first, second, radius=1 * u.arcsec, join="all1")
    assert values(table["Name"]) == ["b", "c", "a", "", ""]
    assert first.colnames == mine().colnames
    assert first.meta == mine().meta
    sky = SkyCoord([10.0] * u.deg, [0.0] * u.deg)
    assert match(sky, second, radius=1.0)["Name"].tolist() == ["b"]
    assert match(second.to_pandas(), first.to_pandas(), radius="1arcsec")["id"].tolist() == [13, 11, 12]


def test_times_coordinates_and_arrays_of_cells_are_null_where_there_is_no_row():
    second = theirs()
    second["when"] = Time(np.full(5, 59000.0), format="mjd")
    second["where"] = SkyCoord(np.arange(5) * u.deg, np.arange(5) * u.deg)
    second["spectrum"] = np.ones((5, 3), "f4")
    second["counts"] = np.ones((5, 2), "i4")
    table = match(mine(), second, radius="1arcsec", join="all1", ra=[None, "RAJ2000"], dec=["dec", "DEJ2000"])
    assert table["when"].mask.tolist() == [False, False, False, True, True]
    assert table["where"].ra.mask.tolist() == [False, False, False, True, True]
    assert np.isnan(table["spectrum"][3:]).all()
    assert table["counts"].mask.all(axis=1).tolist() == [False, False, False, True, True]


@pytest.mark.parametrize(
    ("join", "names", "columns"),
    [
        ("1not2", [], ["id", "ra", "dec", "mag"]),
        ("2not1", ["d", "e"], ["Name", "RAJ2000", "DEJ2000", "MAG", "good", "z"]),
        ("1xor2", ["", "", "d", "e"], ["id", "ra", "dec", "mag_1", "Name", "RAJ2000", "DEJ2000", "MAG_2", "good", "z"]),
    ],
)
def test_rows_without_a_pair(join, names, columns):
    table = match(mine(), theirs(), radius="1arcsec", join=join)
    assert table.colnames == columns
    if names:
        assert table["Name"].tolist() == names


def test_names_that_both_have_get_a_suffix_and_stay_apart():
    first = Table({"ra": [1.0], "dec": [1.0], "ra_1": [2.0], "Separation": [3.0]})
    table = match(first, first, radius="1arcsec")
    assert len({n.lower() for n in table.colnames}) == len(table.colnames) == 9
    named = match(mine(), theirs(), radius="1arcsec", suffixes=["_egs", "_sdss"])
    assert {"mag_egs", "MAG_sdss"} <= set(named.colnames)


def test_an_output_of_a_match_can_be_matched_again(tmp_path):
    match(mine(), theirs(), radius="1arcsec", output=tmp_path / "one.fits")
    again = match(tmp_path / "one.fits", theirs(), radius="1arcsec", ra=["ra", None], dec=["dec", None])
    assert len(again) == 3
    assert {"Separation", "Separation_new"} <= set(again.colnames)


@pytest.mark.parametrize("empty", [0, 1])
def test_an_empty_catalogue_has_no_pairs_and_loses_no_row(empty):
    tables = [mine(), theirs()]
    tables[empty] = tables[empty][:0]
    assert len(match(*tables, radius="1arcsec")) == 0
    table = match(*tables, radius="1arcsec", join="1or2", find="best1", probability=True)
    assert len(table) == 5
    assert {"Separation", "MatchProbability", "GroupID"} <= set(table.colnames)


def test_rows_of_one_catalogue_become_groups_in_a_copy_of_its_file(galmorph, tmp_path):
    chain = Table({"ra": [5.0, 80.0, 5.0, 5.0, np.nan], "dec": np.array([0.0, 0, 0.8, 1.6, 0]) * ARCSEC})
    chain.meta["TELESCOP"] = "HST"
    chain.write(tmp_path / "chain.fits")
    done = galmorph("match", tmp_path / "chain.fits", "--radius", "1arcsec", "-o", tmp_path / "groups.fits")
    assert done.status == 0
    table = read_catalog(tmp_path / "groups.fits").table
    assert table["GroupID"].tolist() == [1, 0, 1, 1, 0]
    assert table["GroupSize"].tolist() == [3, 1, 3, 3, 1]
    assert table.meta["TELESCOP"] == "HST"


@pytest.mark.parametrize("asked", [{"find": "all"}, {"join": "all1"}, {"probability": True}])
def test_what_is_for_two_catalogues_is_refused_for_one(asked):
    with pytest.raises(CatalogError, match="was given for one catalogue"):
        match(mine(), radius="1arcsec", **asked)
    assert len(match(mine(), None, radius="1arcsec")) == 5


def test_several_catalogues_are_joined_to_the_first():
    second, third = theirs(), theirs()[[0, 4]]
    both = match(mine(), [second, third], radius="1arcsec")
    assert both["Name_2"].tolist() == ["b", "a"]
    assert both["Name_3"].tolist() == ["e", "a"]
    every = match(mine(), [second, third], radius="1arcsec", join="all1", find="best1")
    assert values(every["Name_2"]) == ["b", "c", "a", "", ""]
    assert values(every["Name_3"]) == ["e", "", "a", "", ""]
    assert np.allclose(every["Separation_3"][[0, 2]], [0.5, 0.4])
    with pytest.raises(CatalogError, match="two at a time"):
        match(mine(), [second, third], radius="1arcsec", join="1or2")


def test_stars_are_where_they_were_at_the_epoch_of_the_other_catalogue():
    stars = Table({"ra": [120.0, 200.0], "dec": [89.9999, 10.0], "pmra": [500.0, np.nan], "pmdec": [-2000.0, 5.0]})
    moved = SkyCoord(120 * u.deg, 89.9999 * u.deg).spherical_offsets_by(-8.0 * u.arcsec, 32.0 * u.arcsec)
    plates = Table({"ra": [moved.ra.deg, 200.0], "dec": [moved.dec.deg, 10.0], "year": [2000.0, 2000.0]})
    asked = {"radius": "0.2arcsec", "motion": ["-", "pmra,pmdec"], "epoch": ["year", "2016"]}
    table = match(plates, stars, **asked)
    assert len(table) == 2
    assert table["Separation"].max() < 0.01
    assert len(match(plates, stars, **asked | {"epoch": [2000, 2016.0]})) == 2
    with pytest.raises(CatalogError, match="no epochs: name when"):
        match(plates, stars, radius="1arcsec", motion=["-", "pmra,pmdec"])


def test_errors_may_be_a_column_an_angle_or_an_ellipse():
    first = Table({"ra": [0.0], "dec": [0.0], "major": [1.0], "minor": [0.1], "pa": [90.0]})
    first["pa"].unit = "deg"
    second = Table({"ra": np.array([1.2, 0.0]) * ARCSEC, "dec": np.array([0.0, 0.6]) * ARCSEC, "e": [100.0, 100.0]})
    second["e"].unit = "mas"
    table = match(first, second, radius="3arcsec", find="all", error=["major,minor,pa", "e"], sigmas=4)
    assert table["NormSeparation"].tolist() == pytest.approx([1.2 / np.hypot(1, 0.1)], rel=1e-6)
    angle = match(first, second, radius="3arcsec", find="all", error=["-", "0.5arcsec"])
    assert table.colnames == angle.colnames
    assert angle["NormSeparation"].tolist() == pytest.approx([2.4, 1.2], rel=1e-6)
    number = match(first, second, radius="3arcsec", find="all", error=[None, 0.5])
    assert number["NormSeparation"].tolist() == angle["NormSeparation"].tolist()


@pytest.mark.parametrize("absent", [-1.0, -99.0, np.nan])
def test_rows_whose_error_is_none_pair_with_nothing(absent):
    """Their squares would be large errors, by which whatever is near is a pair."""
    first = Table({"id": [0, 1], "ra": [0.0, 1.0], "dec": [0.0, 0.0], "e": [0.3, absent], "pa": [0.0, 0.0]})
    second = Table({"ra": [0.0, 1.0 + ARCSEC], "dec": [0.0, 0.0]})
    for error in ("e", "e,e,pa"):
        assert match(first, second, radius="3arcsec", error=[error, "-"])["id"].tolist() == [0]


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (("--radius", "0arcsec"), "more than 0 and at most 1 degree"),
        (("--radius=-1arcsec",), "more than 0 and at most 1 degree"),
        (("--radius", "1.1deg"), "more than 0 and at most 1 degree"),
        (("--radius", "nan"), "more than 0 and at most 1 degree"),
        (("--radius", "1parsec"), "expected an angle such as 1arcsec"),
        (("--radius", "wide"), "expected an angle such as 1arcsec"),
        (("--ra", "R.A.", "-"), "unknown column 'R.A.'"),
        (("--ra", "ra", "RAJ2000", "x"), "expected one for each, or one for all"),
        (("--error", "sigma"), "no column 'sigma'"),
        (("--error", "id,ra", "-"), "expected 3 columns, MAJOR,MINOR,ANGLE"),
        (("--error", "mag", "-"), "is in mag: expected arcsec"),
        (("--error", "0.1arcsec", "--sigmas", "-1"), "expected a number above 0"),
        (("--sigmas", "3"), "name them with --error"),
        (("--epoch", "2000", "2016"), "without proper motions"),
        (("--suffixes", "_a"), "expected one for each, such as _1 _2"),
        (("--motion", "pmra,pmdec", "-"), "no epochs"),
        (("--motion", "pmra,pmdec", "-", "--epoch", "2000", "57000"), "expected a Julian year"),
        (("--motion", "pmra,pmdec", "-", "--epoch", "2000", "2016"), "no column 'pmra'"),
        (("-o", "out.xyz"), "known are"),
        (("-o", "mine.fits"), "exists"),
        (("-o", "mine.fits", "--overwrite"), "never replaces its input"),
    ],
)
def test_a_mistake_is_one_line_with_its_remedy(galmorph, files, words, remedy, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    first, second = files(".fits")
    radius = () if words[0].startswith("--radius") else ("--radius", "1arcsec")
    done = galmorph("match", first, second, *radius, *words)
    assert done.status == 1
    assert remedy in done.err
    assert done.err.count("\n") == 1


def test_a_catalogue_without_positions_is_refused():
    with pytest.raises(CatalogError, match="no columns for positions"):
        match(mine(), Table({"id": [1]}), radius="1arcsec")
    with pytest.raises(CatalogError, match="no columns for positions on the sky"):
        match(mine(), Table({"x": [1.0], "y": [2.0]}), radius="1arcsec")


def test_an_output_that_cannot_be_written_is_refused_before_anything_is_read(tmp_path):
    with pytest.raises(OutputError, match="make it or choose another"):
        match("none.fits", "none.fits", radius="1arcsec", output=tmp_path / "nowhere" / "out.fits")
