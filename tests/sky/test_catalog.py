"""Catalogues in memory, checks before work starts, and outputs that appear whole or not at all."""

from __future__ import annotations

import os
import resource
import stat
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.io.votable.ucd import check_ucd
from astropy.table import QTable, Table
from catalog_samples import PROVENANCE, ROWS, columns, fits_with_everything, table

from galmorph.errors import CatalogError, OutputError
from galmorph.sky.catalog import (
    Column,
    append,
    catalog_from,
    check_columns,
    check_output,
    read_catalog,
    rehearse,
    write_catalog,
)
from galmorph.sky.roles import ColumnNames

ENDINGS = ("fits", "vot", "ecsv", "csv", "parquet")


@contextmanager
def _file_limit(size: int):
    """Let no file grow beyond `size` bytes: writing fails as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_appending_leaves_the_given_table_alone_and_keeps_its_kind():
    for kind in (Table, QTable):
        given = kind(table())
        names, meta = list(given.colnames), dict(given.meta)
        got = append(catalog_from(given), columns(), PROVENANCE)
        assert (given.colnames, dict(given.meta)) == (names, meta)
        assert type(got) is kind
        got["mag"][0] = 99.0 * u.mag if kind is QTable else 99.0
        got.meta["SURVEY"] = "other"
        assert float(np.asarray(given["mag"])[0]) == 20.0
        assert given.meta["SURVEY"] == "EGS"


def test_appended_columns_carry_unit_description_ucd_and_the_meta_provenance():
    got = append(catalog_from(table()), columns(), PROVENANCE)
    assert got.colnames == [*table().colnames, *(c.name for c in columns())]
    assert got["gm_rpet"].unit == u.arcsec
    assert got["gm_rpet"].description == "Petrosian radius"
    assert got["gm_rpet"].info.meta["ucd"] == "phys.angSize;src.morph"
    assert got.meta["GMMODEL"] == "nircam-f200w"
    assert got.meta["HISTORY"] == list(PROVENANCE.history)
    assert len(got) == ROWS


def test_frames_are_catalogues_and_are_not_changed():
    frame = pd.DataFrame(
        {
            "ID": ["a", None, "c"],
            "RA": pd.array([1, None, 3], dtype="Int64"),
            "Dec": [1.0, np.nan, 3.0],
            "day": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "cat": pd.Categorical(["x", "y", "x"]),
            7: [True, False, True],
        },
        index=[5, 6, 7],
    )
    before = frame.copy(deep=True)
    found = catalog_from(frame)
    assert (found.id_column, found.ra_column, found.dec_column) == ("ID", "RA", "Dec")
    assert found.ids.tolist() == ["a", "", "c"]
    np.testing.assert_array_equal(found.ra_deg, [1.0, np.nan, 3.0])
    got = append(found, columns(3), PROVENANCE)
    assert got["gm_flags"].tolist() == [0, 1, 2]
    pd.testing.assert_frame_equal(frame, before)


def test_frames_with_nulls_can_be_written(tmp_path):
    frame = pd.DataFrame(
        {"ra": [1.0], "dec": [2.0], "day": pd.to_datetime(["2020-01-01"]), "n": pd.array([None], "Int64")}
    )
    for ending in ENDINGS:
        write_catalog(catalog_from(frame), columns(1), tmp_path / f"o.{ending}", provenance=PROVENANCE)
        got = read_catalog(tmp_path / f"o.{ending}").table
        assert str(got["day"][0]).startswith("2020-01-01")
        assert got["n"].tolist() in ([None], [""])


def test_a_column_that_exists_already_is_refused_whatever_its_case():
    given = table()
    given["GM_Class"] = 1
    found = catalog_from(given)
    with pytest.raises(CatalogError, match=r"Catalog 'in memory' already has GM_Class.*--prefix"):
        check_columns(found, ["gm_class", "gm_p"])
    with pytest.raises(CatalogError, match="GM_Class"):
        append(found, columns(), PROVENANCE)
    check_columns(found, ["mo_class"])


def test_a_column_of_another_length_or_an_odd_type_is_refused():
    with pytest.raises(CatalogError, match="'gm_x' has 2 values for the 5 rows"):
        append(catalog_from(table()), [Column("gm_x", np.zeros(2))], PROVENANCE)
    with pytest.raises(CatalogError, match="'gm_x' has values of type complex128"):
        append(catalog_from(table()), [Column("gm_x", np.zeros(5, complex))], PROVENANCE)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.fits", "fits"),
        ("a.b.FIT", "fits"),
        ("a.fits.gz", "fits"),
        ("a.vot", "votable"),
        ("a.xml", "votable"),
        ("a.votable.gz", "votable"),
        ("a.ecsv", "ecsv"),
        ("a.csv", "csv"),
        ("a.tsv", "csv"),
        ("a.parquet", "parquet"),
        ("a.pq", "parquet"),
    ],
)
def test_the_ending_chooses_the_format(tmp_path, name, form):
    assert check_output(tmp_path / name, overwrite=False) == form
    assert list(tmp_path.iterdir()) == []


def test_endings_that_cannot_be_written_list_those_that_can(tmp_path):
    with pytest.raises(OutputError, match=r"unknown ending '.fts2': known are .*\.csv.*did you mean '.fts'"):
        check_output(tmp_path / "a.fts2", overwrite=False)
    with pytest.raises(OutputError, match="has no ending"):
        check_output(tmp_path / "a", overwrite=False)
    for name in ("a.fits.fz", "a.dat", "a.hdf5"):
        with pytest.raises(OutputError, match="unknown ending"):
            check_output(tmp_path / name, overwrite=False)


def test_an_existing_output_is_refused_without_overwrite(tmp_path):
    path = tmp_path / "a.fits"
    path.write_text("mine")
    with pytest.raises(OutputError, match="exists already"):
        check_output(path, overwrite=False)
    with pytest.raises(OutputError, match="exists already"):
        write_catalog(catalog_from(table()), columns(), path, provenance=PROVENANCE)
    assert path.read_text() == "mine"
    assert check_output(path, overwrite=True) == "fits"


def test_a_folder_that_is_missing_or_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(OutputError, match=r"folder '.*nowhere' does not exist"):
        check_output(tmp_path / "nowhere" / "a.fits", overwrite=False)
    with pytest.raises(OutputError, match="cannot be written"):
        check_output("/proc/a.fits", overwrite=False)
    (tmp_path / "folder.fits").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        check_output(tmp_path / "folder.fits", overwrite=True)


def test_a_folder_without_permission_is_refused(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write everywhere")
    tmp_path.chmod(0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        check_output(tmp_path / "a.fits", overwrite=False)


@pytest.mark.parametrize("ending", [*ENDINGS, "fits.gz"])
def test_a_full_disk_leaves_the_old_output_and_no_rubbish(tmp_path, ending):
    rng = np.random.default_rng(1)
    big = Table({"ra": rng.uniform(0, 360, 20_000), "dec": rng.uniform(-90, 90, 20_000)})
    path = tmp_path / f"out.{ending}"
    path.write_text("old")
    with _file_limit(100_000), pytest.raises(OutputError, match=r"cannot be written .*free space") as caught:
        write_catalog(catalog_from(big), columns(20_000), path, provenance=PROVENANCE, overwrite=True)
    assert "\n" not in str(caught.value)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_full_disk_while_appending_to_a_file_is_the_same(tmp_path, ending):
    rng = np.random.default_rng(1)
    big = Table({"ra": rng.uniform(0, 360, 20_000), "dec": rng.uniform(-90, 90, 20_000)})
    source, path = tmp_path / f"in.{ending}", tmp_path / f"out.{ending}"
    write_catalog(catalog_from(big), [], source, provenance=PROVENANCE)
    found = read_catalog(source)
    with _file_limit(100_000), pytest.raises(OutputError, match="cannot be written"):
        write_catalog(found, columns(20_000), path, provenance=PROVENANCE)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_catalogue_can_be_written_over_itself_and_gets_usual_permissions(tmp_path, ending):
    path = tmp_path / f"a.{ending}"
    write_catalog(catalog_from(table()), [], path, provenance=PROVENANCE)
    write_catalog(read_catalog(path), columns(), path, provenance=PROVENANCE, overwrite=True)
    assert read_catalog(path).table.colnames == [*table().colnames, *(c.name for c in columns())]
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~mask
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("none.fits", None, "does not exist"),
        ("empty.fits", b"", "is empty"),
        ("text.fits", b"ra,dec\n1,2\n", "does not begin as a fits file does"),
        ("text.parquet", b"ra,dec\n1,2\n", "does not begin as a parquet file does"),
        ("text.vot", b"ra,dec\n1,2\n", "no readable VOTable"),
        ("what.xyz", b"ra,dec\n1,2\n", "unknown ending '.xyz'"),
        ("ends.fits", b"SIMPLE  =                    T", "a header has no end"),
        ("cut.csv.gz", b"\x1f\x8b\x08\x00\x00\x00", "is no readable file"),
    ],
)
def test_files_that_are_no_catalogues_are_errors_of_one_line(tmp_path, name, content, said):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CatalogError, match=said) as caught:
        read_catalog(path)
    assert "\n" not in str(caught.value)


def test_a_folder_is_no_catalogue(tmp_path):
    with pytest.raises(CatalogError, match="is a folder"):
        read_catalog(tmp_path)


@pytest.mark.parametrize("keep", [0.3, 0.6, 0.9])
def test_a_truncated_fits_file_is_an_error_of_one_line(tmp_path, keep):
    Table({"ra": np.arange(1000.0), "dec": np.zeros(1000)}).write(tmp_path / "a.fits")
    whole = (tmp_path / "a.fits").read_bytes()
    (tmp_path / "cut.fits").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(CatalogError, match=r"is truncated|has no end|has no table") as caught:
        read_catalog(tmp_path / "cut.fits")
    assert "\n" not in str(caught.value)


def test_an_image_is_no_catalogue(tmp_path):
    fits_with_everything()[:2].writeto(tmp_path / "image.fits")
    with pytest.raises(CatalogError, match="has no table, only images"):
        read_catalog(tmp_path / "image.fits")


def test_content_wins_over_the_ending(tmp_path):
    fits_with_everything().writeto(tmp_path / "a.fits")
    (tmp_path / "a.cat").write_bytes((tmp_path / "a.fits").read_bytes())
    assert read_catalog(tmp_path / "a.cat").format == "fits"


def test_loading_never_unpickles(tmp_path):
    head = "# %ECSV 1.0\n# ---\n# datatype:\n# - {name: ra, datatype: float64}\n"
    code = "# meta: !!python/object/apply:os.system [exit]\n"
    (tmp_path / "a.ecsv").write_text(head + code + "ra\n1\n")
    with pytest.raises(CatalogError, match="no readable ECSV"):
        read_catalog(tmp_path / "a.ecsv")


def test_the_sample_columns_use_the_vocabulary_of_the_ivoa():
    for column in columns():
        assert check_ucd(column.ucd, check_controlled_vocabulary=True)
        u.Unit(column.unit, format="vounit")


class Unspeakable:
    """An object that says nothing of itself."""


@pytest.mark.parametrize("ending", [*ENDINGS, "hats"])
@pytest.mark.parametrize("is_rehearsed", [True, False])
def test_a_cell_that_cannot_be_written_is_said_with_its_column(tmp_path, ending, is_rehearsed):
    cells = np.empty(3, object)
    cells[:] = [1, "a", Unspeakable()]
    held = catalog_from(Table({"ra": [1.0, 2.0, 3.0], "dec": [0.0, 0.0, 0.0], "fine": ["a", "b", "c"], "odd": cells}))
    written = rehearse if is_rehearsed else write_catalog
    with pytest.raises(OutputError, match=r"Column 'odd': a cell holds an object of type 'Unspeakable'"):
        written(held, [], tmp_path / f"out.{ending}", provenance=PROVENANCE)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["vot", "csv", "parquet"])
def test_what_a_format_says_of_a_table_is_said_of_its_column(tmp_path, ending):
    held = catalog_from(Table({"ra": [1.0, 2.0], "dec": [0.0, 0.0], "half": ["\ud800", "a"]}))
    with pytest.raises(OutputError, match=rf"out.{ending}' cannot hold column 'half' \("):
        write_catalog(held, [], tmp_path / f"out.{ending}", provenance=PROVENANCE)


@pytest.mark.parametrize("ending", ENDINGS)
def test_whole_numbers_that_no_type_holds_keep_their_digits(tmp_path, ending):
    cells = np.empty(2, object)
    cells[:] = [2**70, -5]
    held = catalog_from(Table({"ra": [1.0, 2.0], "dec": [0.0, 0.0], "many": cells}))
    write_catalog(held, [], tmp_path / f"out.{ending}", provenance=PROVENANCE)
    assert [str(v) for v in read_catalog(tmp_path / f"out.{ending}").table["many"]] == [str(2**70), "-5"]


def test_more_columns_than_fits_allows_are_refused(tmp_path):
    wide = fits.BinTableHDU.from_columns([fits.Column(f"c{i}", "B", array=[1]) for i in range(996)])
    wide.writeto(tmp_path / "wide.fits")
    found = read_catalog(tmp_path / "wide.fits", positions=False)
    with pytest.raises(OutputError, match="1002 columns"):
        write_catalog(found, columns(1), tmp_path / "out.fits", provenance=PROVENANCE)
    assert not Path(tmp_path / "out.fits").exists()


def test_positions_alone_say_the_same_to_the_last_bit():
    table = Table(
        {
            "name": ["a", "b", "c"],
            "RA": ["03:32:38.123", "10:00:00", "nowhere"],
            "DEC": ["-27:48:00.5", "+91:00:00", "0"],
            "X_IMAGE": np.ma.MaskedArray([10.25, 20.5, 1.0], [False, False, True]),
            "Y_IMAGE": [1.0, 2.0, np.nan],
            "file": ["a.jpg", "", "c.jpg"],
            "mag": [20.0, 21.0, 22.0],
        }
    )
    table["RA"].unit = "hourangle"
    whole = catalog_from(table, columns=ColumnNames(ra="RA", dec="DEC", x="X_IMAGE", y="Y_IMAGE", file="file"))
    bare = whole.positions
    assert bare.table.colnames == ["ra", "dec", "x", "y", "file"]
    np.testing.assert_array_equal(bare.ra_deg, whole.ra_deg)
    np.testing.assert_array_equal(bare.dec_deg, whole.dec_deg)
    np.testing.assert_array_equal(bare.xy, whole.xy)
    assert bare.files == whole.files
    np.testing.assert_array_equal(bare.positions.ra_deg, whole.ra_deg)


def test_positions_alone_have_no_columns_that_there_are_not():
    bare = catalog_from(Table({"x": [1.5], "y": [2.5], "id": ["a"]})).positions
    assert bare.table.colnames == ["x", "y"]
    assert (bare.ra_column, bare.file_column) == (None, None)
    assert bare.xy.tolist() == [[1.5, 2.5]]
