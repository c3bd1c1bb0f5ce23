"""HATS: partitions of the sky that LSDB reads, from which every row comes back where it was."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table
from catalog_samples import PROVENANCE, assert_same_values, columns

from galmorph.errors import CatalogError, OutputError
from galmorph.sky.catalog import catalog_from, check_output, read_catalog, rehearse, write_catalog
from galmorph.sky.formats import hats as layout
from galmorph.sky.healpix import cells_of
from galmorph.sky.outputs import check_apart, check_outputs

ROWS = 3000


def sky(rows: int = ROWS) -> Table:
    """Return rows all over the sky, half of them in one square degree, in no order."""
    rng = np.random.default_rng(1)
    ra, dec = rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))
    ra[::2], dec[::2] = 150 + rng.random((rows + 1) // 2), 2 + rng.random((rows + 1) // 2)
    out = Table({"name": [f"é{n}" if n == 7 else f"g{n}" for n in range(rows)], "ra": ra, "dec": dec})
    out["count"] = MaskedColumn(np.arange(rows), mask=np.arange(rows) % 3 == 0)
    out["aper"] = np.arange(2.0 * rows).reshape(rows, 2).astype(">f4")
    out["aper"].unit, out["aper"].description = "uJy", "two apertures"
    out["ra"].unit = out["dec"].unit = "deg"
    out.meta = {"SURVEY": "EGS", "comments": ["one", "two"]}
    return out


@pytest.fixture(autouse=True)
def _small(monkeypatch):
    """Let partitions have few rows."""
    monkeypatch.setattr(layout, "_MOST_ROWS", 200)


def written(path, table=None, rows: int = ROWS):
    write_catalog(catalog_from(sky(rows) if table is None else table), columns(rows), path, provenance=PROVENANCE)
    return path


def test_partitions_are_cells_of_the_sky_that_have_few_rows_and_cover_all(tmp_path):
    path = written(tmp_path / "a.hats")
    parts = np.loadtxt(path / "partition_info.csv", delimiter=",", skiprows=1, dtype=int)
    assert len(np.unique(parts[:, 0])) > 1, "adaptive"
    rows = []
    for order, pixel in parts.tolist():
        file = path / "dataset" / f"Norder={order}" / f"Dir={pixel // 10000 * 10000}" / f"Npix={pixel}.parquet"
        piece = pq.ParquetFile(file).read()
        assert piece.column_names[:2] == ["_healpix_29", "gm_row"]
        assert piece.schema.field("_healpix_29").type == pa.int64()
        cells = piece["_healpix_29"].to_numpy()
        assert (np.diff(cells) >= 0).all()
        assert set(cells >> 2 * (29 - order)) == {pixel}
        assert cells.tolist() == cells_of(piece["ra"].to_numpy(), piece["dec"].to_numpy(), 29).tolist()
        assert 0 < len(cells) <= 200
        rows += piece["gm_row"].to_pylist()
    assert sorted(rows) == list(range(ROWS))
    assert len(list((path / "dataset").rglob("*.parquet"))) == len(parts)


def test_what_lies_beside_the_partitions_tells_of_them(tmp_path):
    path = written(tmp_path / "deep.hats")
    said = dict(line.split("=", 1) for line in (path / "hats.properties").read_text().splitlines()[1:])
    assert (path / "properties").read_text() == (path / "hats.properties").read_text()
    assert (said["obs_collection"], said["hats_nrows"], said["dataproduct_type"]) == ("deep", str(ROWS), "object")
    assert (said["hats_col_ra"], said["hats_col_dec"], said["hats_col_healpix"]) == ("ra", "dec", "_healpix_29")
    parts = len(list((path / "dataset").rglob("Npix=*.parquet")))
    notes = pq.read_metadata(path / "dataset" / "_metadata")
    assert (notes.num_rows, notes.num_row_groups) == (ROWS, parts)
    assert notes.row_group(0).column(0).file_path.startswith("Norder=")
    schema = pq.read_schema(path / "dataset" / "_common_metadata")
    assert schema.metadata[b"GMMODEL"] == b"nircam-f200w"
    assert schema.metadata[b"IVOA.VOTable-Parquet.version"] == b"1.0"
    thumbnail = pq.read_table(path / "data_thumbnail.parquet")
    assert thumbnail.num_rows == parts
    assert thumbnail.schema.equals(schema)


@pytest.mark.parametrize("ending", ["hats", "fits", "parquet"])
def test_every_row_comes_back_in_its_order_and_again_when_written_elsewhere(tmp_path, ending):
    given = sky()
    path = written(tmp_path / "a.hats", given)
    first = read_catalog(path)
    assert (first.format, first.ra_column) == ("hats", "ra")
    more = [type(c)(c.name.replace("gm_", "g2_"), c.values, c.unit, c.description, c.ucd) for c in columns(ROWS)]
    write_catalog(first, more, tmp_path / f"b.{ending}", provenance=PROVENANCE)
    for got in (first.table, read_catalog(tmp_path / f"b.{ending}").table):
        assert got.colnames[: len(given.colnames)] == given.colnames
        for name in ("ra", "dec", "count", "aper"):
            assert_same_values(got[name], given[name])
        assert (str(got["aper"].unit), got["aper"].description) == ("uJy", "two apertures")
        assert got.meta["SURVEY"] == "EGS"
        for column in columns(ROWS):
            assert_same_values(got[column.name], column.values)
    assert first.table["name"].tolist() == given["name"].tolist()


def test_rows_without_a_position_lie_beside_the_dataset_and_come_back(tmp_path, caplog):
    given = sky()
    given["ra"][5] = given["dec"][ROWS - 1] = np.nan
    path = written(tmp_path / "a.hats", given)
    assert "2 rows have no position" in caplog.text
    beside = pq.read_table(path / "unplaced.parquet")
    assert (beside["gm_row"].to_pylist(), beside["_healpix_29"].null_count) == ([5, ROWS - 1], 2)
    assert pq.read_metadata(path / "dataset" / "_metadata").num_rows == ROWS - 2
    assert_same_values(read_catalog(path).table["ra"], given["ra"])
    assert read_catalog(path).table["name"].tolist() == given["name"].tolist()


@pytest.mark.parametrize("kind", ["hours", "sexagesimal", "SkyCoord", "named"])
def test_positions_that_are_no_degrees_get_columns_of_them(tmp_path, kind):
    given, names = sky(20), {}
    at = SkyCoord(given["ra"], given["dec"])
    if kind == "hours":
        given["ra"] = at.ra.hourangle * u.hourangle
    elif kind == "sexagesimal":
        given["ra"], given["dec"] = at.ra.to_string("h", sep=":", precision=8), at.dec.to_string(sep=":", precision=8)
    elif kind == "SkyCoord":
        given = QTable({"where": at, "n": np.arange(20)})
    else:
        given["alpha"], given["delta"] = at.ra.deg, at.dec.deg
        given["ra"], given["dec"] = 0.0, 0.0
        given.write(tmp_path / "in.parquet")
        names = {"ra": "alpha", "dec": "delta"}
    catalog = read_catalog(tmp_path / "in.parquet", **names) if names else catalog_from(given)
    write_catalog(catalog, columns(20), tmp_path / "a.hats", provenance=PROVENANCE)
    said = dict(line.split("=", 1) for line in (tmp_path / "a.hats" / "properties").read_text().splitlines()[1:])
    rows = pa.concat_tables(pq.ParquetFile(f).read() for f in (tmp_path / "a.hats").rglob("Npix=*.parquet"))
    rows = rows.sort_by("gm_row")
    np.testing.assert_allclose(rows[said["hats_col_ra"]].to_numpy(), at.ra.deg, atol=1e-9)
    np.testing.assert_allclose(rows[said["hats_col_dec"]].to_numpy(), at.dec.deg, atol=1e-9)
    assert said["hats_col_ra"] == ("alpha" if kind == "named" else "_gm_ra")
    assert not {"_gm_ra", "gm_row", "_healpix_29"} & set(
        read_catalog(tmp_path / "a.hats", positions=False).table.colnames
    )


def test_what_hats_has_no_place_for_is_said_before_the_work(tmp_path):
    pixels = catalog_from(Table({"x": [1.0, 2.0], "y": [1.0, 2.0]}))
    with pytest.raises(OutputError, match="on the sky, of which this catalogue has none"):
        rehearse(pixels, columns(2), tmp_path / "a.hats", PROVENANCE)
    taken = sky(4)
    taken["gm_row"] = 1
    with pytest.raises(OutputError, match="'gm_row' would be there twice"):
        rehearse(catalog_from(taken), columns(4), tmp_path / "a.hats", PROVENANCE)
    with pytest.raises(OutputError, match="hats"):
        check_output(tmp_path / "a.hats.gz", overwrite=False)
    assert list(tmp_path.iterdir()) == []


def test_only_a_catalogue_in_hats_is_replaced_and_only_when_asked(tmp_path):
    path = written(tmp_path / "a.hats", rows=20)
    with pytest.raises(OutputError, match="exists already"):
        check_output(path, overwrite=False)
    check_outputs([path], overwrite=True)
    write_catalog(catalog_from(sky(30)), columns(30), path, provenance=PROVENANCE, overwrite=True)
    assert len(read_catalog(path)) == 30
    (tmp_path / "mine.hats").mkdir()
    (tmp_path / "mine.hats" / "thesis.tex").write_text("years of work")
    with pytest.raises(OutputError, match="expected a catalogue in HATS, or nothing"):
        write_catalog(catalog_from(sky(30)), [], tmp_path / "mine.hats", provenance=PROVENANCE, overwrite=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.hats", "mine.hats"]


def test_a_writer_that_fails_leaves_the_old_catalogue_and_nothing_else(tmp_path, monkeypatch):
    path = written(tmp_path / "a.hats", rows=20)
    monkeypatch.setattr(
        layout, "_write_about", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device"))
    )
    with pytest.raises(OutputError, match="No space left"):
        write_catalog(catalog_from(sky(30)), columns(30), path, provenance=PROVENANCE, overwrite=True)
    assert len(read_catalog(path)) == 20
    assert list(tmp_path.iterdir()) == [path]


def test_the_catalogue_that_is_read_is_never_replaced(tmp_path):
    path = written(tmp_path / "a.hats", rows=20)
    part = next((path / "dataset").rglob("Npix=*.parquet"))
    for name in (path, part):
        with pytest.raises(OutputError, match="never replaces its input"):
            check_apart([path], str(name))
    check_apart([tmp_path / "b.hats"], str(path))


def about(path, old: str, new: str) -> None:
    for name in ("hats.properties", "properties"):
        text = (path / name).read_text(encoding="utf-8")
        assert old in text
        (path / name).write_text(text.replace(old, new), encoding="utf-8")


def test_of_a_collection_the_primary_catalogue_is_read(tmp_path, caplog):
    """Its margins, and the thumbnails, have rows a second time."""
    collection = tmp_path / "all"
    collection.mkdir()
    written(collection / "main.hats", rows=300)
    written(collection / "margin.hats", rows=40)
    about(collection / "margin.hats", "dataproduct_type=object", "dataproduct_type=margin")
    listed = "# HATS\nobs_collection=all\nhats_primary_table_url={}\nall_margins=margin.hats\n"
    (collection / "collection.properties").write_text(listed.format("main.hats"), encoding="utf-8")
    read = read_catalog(collection)
    assert read.table["name"].tolist() == sky(300)["name"].tolist()
    assert "copies" not in caplog.text
    assert len(read_catalog(collection / "margin.hats")) == 40
    assert "is a margin: its rows are copies" in caplog.text
    for astray in ("", "../main.hats", str(collection / "main.hats"), "gone.hats"):
        (collection / "collection.properties").write_text(listed.format(astray), encoding="utf-8")
        with pytest.raises(CatalogError, match=f"primary catalogue '{re.escape(astray[:80])}' is not in it"):
            read_catalog(collection)


def test_partitions_that_are_missing_are_told(tmp_path, caplog):
    written(tmp_path / "out.hats")
    assert len(read_catalog(tmp_path / "out.hats")) == ROWS
    assert "hats_nrows" not in caplog.text
    lost = sorted((tmp_path / "out.hats").rglob("Npix=*.parquet"))[0]
    rows = ROWS - pq.read_metadata(lost).num_rows
    lost.unlink()
    assert len(read_catalog(tmp_path / "out.hats")) == rows
    assert f"says that it has {ROWS} rows (hats_nrows), and holds {rows}: are partitions missing?" in caplog.text


def test_without_its_properties_a_catalogue_has_each_row_once(tmp_path):
    """They lie in its thumbnail, too."""
    written(tmp_path / "out.hats")
    for name in ("hats.properties", "properties"):
        (tmp_path / "out.hats" / name).unlink()
    assert len(read_catalog(tmp_path / "out.hats")) == ROWS


def test_a_folder_of_parquet_files_is_one_table(tmp_path):
    for field, rows in (("cosmos", [1, 2]), ("egs", [3])):
        (tmp_path / "in" / f"field={field}").mkdir(parents=True)
        values = {"id": rows, "ra": [float(r) for r in rows], "dec": [0.0] * len(rows)}
        pq.write_table(pa.table(values), tmp_path / "in" / f"field={field}" / "part-0.parquet")
    (tmp_path / "in" / "_SUCCESS").touch()
    got = read_catalog(tmp_path / "in")
    assert got.table["id"].tolist() == [1, 2, 3]
    assert got.table["field"].tolist() == ["cosmos", "cosmos", "egs"]
    (tmp_path / "none").mkdir()
    with pytest.raises(CatalogError, match="folder without Parquet files"):
        read_catalog(tmp_path / "none")


@pytest.mark.parametrize("rows", [0, ROWS])
def test_hats_says_that_it_is_valid(tmp_path, rows):
    validation = pytest.importorskip("hats.io.validation", reason="hats is not installed")
    hats = pytest.importorskip("hats")
    path = written(tmp_path / "a.hats", sky(rows), rows)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert rows == 0 or validation.is_valid_catalog(path, strict=True)
        catalog = hats.read_hats(path)
    assert catalog.catalog_info.total_rows == rows
    assert [f.name for f in catalog.schema][:2] == ["_healpix_29", "gm_row"]


def test_lsdb_reads_all_rows_and_finds_them_by_their_place(tmp_path):
    lsdb = pytest.importorskip("lsdb", reason="lsdb is not installed")
    given = sky()
    path = written(tmp_path / "a.hats", given)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        catalog = lsdb.read_hats(path)
        rows = catalog.compute().sort_values("gm_row")
        cone = catalog.cone_search(ra=150.5, dec=2.5, radius_arcsec=600).compute()
    assert rows["gm_row"].tolist() == list(range(ROWS))
    np.testing.assert_array_equal(rows["ra"].to_numpy(), given["ra"])
    off = SkyCoord(given["ra"], given["dec"]).separation(SkyCoord(150.5, 2.5, unit="deg"))
    assert sorted(cone["gm_row"]) == np.flatnonzero(off.arcsec <= 600).tolist()
