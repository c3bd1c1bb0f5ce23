"""Large Parquet files and folders are read and written in pieces, with the same results as from memory."""

from __future__ import annotations

import os
import pickle
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import small_sky
from astropy.table import Table
from catalog_samples import PROVENANCE, assert_same_values, columns
from hypothesis import given, settings
from hypothesis import strategies as st

import galmorph
from galmorph.errors import CatalogError
from galmorph.sky.catalog import Catalog, read_catalog, rehearse, write_catalog
from galmorph.sky.formats import hats, parquet, stored_parquet, surveyed
from galmorph.sky.formats.stored import HeldTable
from galmorph.sky.formats.stored_parquet import StoredParquet

ROWS = 300
pytestmark = pytest.mark.skipif(os.name != "posix", reason="tables are in memory there")


def everything(rows: int = ROWS) -> pa.Table:
    """Return columns of all kinds, of which a piece of some rows shows another type than the whole."""
    rng, half = np.random.default_rng(1), rows // 2
    ra, dec = rng.uniform(0, 360, rows), np.degrees(np.arcsin(rng.uniform(-1, 1, rows)))
    ra[5 % max(rows, 1) : 6] = np.nan
    cells = {
        "name": pa.array([f"g{n}" if n != rows - 9 else "é, the longest" for n in range(rows)], pa.string()),
        "ra": ra,
        "dec": dec,
        "whole": pa.array([None if n % 3 == 0 else n for n in range(rows)], pa.int32()),
        "yes": pa.array([None if n % 7 == 0 else n % 2 == 0 for n in range(rows)], pa.bool_()),
        "kind": pa.array([["a", "b", None][n % 3] for n in range(rows)], pa.string()).dictionary_encode(),
        "pair": pa.FixedSizeListArray.from_arrays(pa.array(np.arange(2.0 * rows, dtype="f4")), 2),
        "ragged": pa.array([list(range(n % 4)) if n % 11 else None for n in range(rows)], pa.list_(pa.float32())),
        "late": pa.array([None if n < half else [1.5] for n in range(rows)], pa.list_(pa.float32())),
        "one_is_short": pa.array([[1, 2] if n != rows - 2 else [1] for n in range(rows)], pa.list_(pa.int16())),
        "parts": pa.array([{"a": n, "b": None if n < half else 0.5} for n in range(rows)]),
        "nothing": pa.nulls(rows),
        "no_lists": pa.array([None] * rows, pa.list_(pa.float32())),
        "day": pa.array(np.arange(rows).astype("M8[D]")),
        "a.b": np.arange(rows),
    }
    if rows == 0:
        cells["parts"] = pa.array([], pa.struct([("a", pa.int64()), ("b", pa.float64())]))
    table = pa.table({name: cell if isinstance(cell, pa.Array) else pa.array(cell) for name, cell in cells.items()})
    table = table.set_column(0, pa.field("name", pa.string(), metadata={"ucd": "meta.id;meta.main"}), table["name"])
    return table.replace_schema_metadata({"survey": "EGS"})


def write(path, form: str, table: pa.Table, group: int = 70):
    """Write a table as a file, as a folder of files, or as a catalogue in HATS."""
    name = path / ("in.parquet" if form == "parquet" else "in.hats" if form == "hats" else "in")
    if form == "parquet":
        pq.write_table(table, name, row_group_size=group)
    elif form == "hats":
        pq.write_table(table, path / "of.parquet")
        write_catalog(read_catalog(path / "of.parquet"), columns(table.num_rows), name, provenance=PROVENANCE)
    else:
        for number in (3, 4):
            (name / f"field={number}").mkdir(parents=True)
        third = table.num_rows // 3
        pq.write_table(table.slice(0, third), name / "field=3" / "a.parquet")
        pq.write_table(table.slice(third, third).drop_columns(["parts"]), name / "field=3" / "b.parquet")
        pq.write_table(table.slice(2 * third), name / "field=4" / "a.parquet")
    return name


FORMS = ("parquet", "folder", "hats")
more = [type(c)(c.name.replace("gm_", "g2_"), c.values, c.unit, c.description, c.ucd) for c in columns(ROWS)]


@pytest.fixture
def in_pieces(monkeypatch):
    """Leave all tables in their files, and set how many rows are read, and written, together."""

    def use(rows: int, group: int = surveyed.GROUP_ROWS) -> None:
        monkeypatch.setattr(stored_parquet, "SMALL_BYTES", 0)
        monkeypatch.setattr(stored_parquet, "ROWS_AT_ONCE", rows)
        for module in (parquet, surveyed):
            monkeypatch.setattr(module, "GROUP_ROWS", group)

    return use


@pytest.fixture(autouse=True)
def _small_partitions(monkeypatch):
    monkeypatch.setattr(hats, "_MOST_ROWS", 40)
    monkeypatch.setattr(hats.time, "strftime", lambda *_: "now")


def contents(path) -> dict[str, bytes]:
    """Return what is in a file, or in each of a folder."""
    files = [path] if path.is_file() else sorted(file for file in path.rglob("*") if file.is_file())
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


@pytest.mark.parametrize("rows", [11, 64, 5000])
@pytest.mark.parametrize("form", FORMS)
def test_pieces_of_any_size_give_the_file_that_the_whole_gives(form, rows, tmp_path, in_pieces):
    source = write(tmp_path, form, everything())
    held = read_catalog(source)
    assert held.is_held
    for ending in ("parquet", "hats", "ecsv"):
        write_catalog(held, more, tmp_path / f"held.{ending}", provenance=PROVENANCE)
    in_pieces(rows)
    stored = read_catalog(source)
    assert not stored.is_held
    for ending in ("parquet", "hats", "ecsv"):
        out = tmp_path / f"stored.{ending}"
        rehearse(stored, [type(c)(c.name, c.values[:0]) for c in more], out, PROVENANCE)
        write_catalog(stored, more, out, provenance=PROVENANCE)
        got, expected = contents(out), contents(tmp_path / f"held.{ending}")
        assert got.keys() == expected.keys()
        for name, content in expected.items():
            assert got[name] == content.replace(b"=held\n", b"=stored\n"), name


@pytest.mark.parametrize("form", FORMS)
def test_a_stored_table_is_the_one_that_is_read_at_once(form, tmp_path, in_pieces):
    source = write(tmp_path, form, everything())
    held = read_catalog(source)
    in_pieces(13)
    got = read_catalog(source)
    roles = [f"{role}_column" for role in ("id", "ra", "dec", "x", "y", "file")]
    assert [getattr(got, role) for role in roles] == [getattr(held, role) for role in roles]
    assert (len(got), got.colnames) == (ROWS, held.colnames)
    for name in ("ra_deg", "dec_deg", "ids"):
        np.testing.assert_array_equal(getattr(got, name), getattr(held, name))
    for name in held.colnames:
        column = got.stored.column(name)
        assert (column.dtype, column.shape) == (held.table[name].dtype, held.table[name].shape)
        for one in (column, got.table[name]):
            assert [str(cell) for cell in one] == [str(cell) for cell in held.table[name]]
    assert got.table.meta == held.table.meta
    again = pickle.loads(pickle.dumps(got))
    np.testing.assert_array_equal(again.dec_deg, held.dec_deg)


@pytest.mark.parametrize("form", FORMS)
def test_some_rows_are_those_of_the_whole_in_the_order_that_was_asked_for(form, tmp_path, in_pieces):
    in_pieces(17)
    stored = read_catalog(write(tmp_path, form, everything())).stored
    whole = stored.whole()

    @settings(max_examples=20, deadline=None)
    @given(st.lists(st.integers(0, ROWS - 1), max_size=20))
    def holds(rows):
        got = stored.some(np.array(rows, np.int64))
        for name in ("name", "ra", "whole", "pair"):
            assert str(got[name].tolist()) == str(whole[name][np.array(rows, np.int64)].tolist())

    holds()
    numbers = np.concatenate([numbers for numbers, _ in stored.pieces()])
    texts = [text for _, piece in stored.pieces(["name"]) for text in piece["name"].tolist()]
    assert dict(zip(numbers.tolist(), texts, strict=True)) == dict(enumerate(whole["name"].tolist()))


@pytest.mark.parametrize("rows", [0, 1])
@pytest.mark.parametrize("ending", ["parquet", "hats"])
def test_files_of_hardly_any_rows_go_through(rows, ending, tmp_path, in_pieces):
    in_pieces(10)
    for form in ("parquet", "hats") if rows else ("parquet",):
        got = read_catalog(write(tmp_path, form, everything(rows)))
        new = [type(c)(c.name.replace("gm_", "g2_"), c.values, c.unit) for c in columns(rows)]
        write_catalog(got, new, tmp_path / f"out-{form}.{ending}", provenance=PROVENANCE)
        after = read_catalog(tmp_path / f"out-{form}.{ending}", positions=False)
        assert (len(after), after.colnames[-6:]) == (rows, [c.name for c in new])


def assert_same_tables(one: pa.Table, other: pa.Table) -> None:
    assert one.schema.equals(other.schema)
    np.testing.assert_array_equal(one["ra"].to_numpy(), other["ra"].to_numpy())  # with NaN, which equals nothing
    assert one.drop_columns(["ra"]).equals(other.drop_columns(["ra"]))


def test_large_row_groups_become_several_and_others_stay(tmp_path, in_pieces):
    in_pieces(10, group=64)
    table = everything()
    path = tmp_path / "in.parquet"
    with pq.ParquetWriter(path, table.schema) as writer:
        for start, stop in pairwise((0, 64, 67, 200, ROWS)):
            writer.write_table(table.slice(start, stop - start), row_group_size=stop - start)
    write_catalog(read_catalog(path), columns(ROWS), tmp_path / "out.parquet", provenance=PROVENANCE)
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
        assert sizes == [64, 3, 64, 64, 5, 64, 36]
        assert_same_tables(file.read().select(table.column_names), pq.ParquetFile(path).read())
        np.testing.assert_array_equal(file.read()["gm_count"].to_numpy(), columns(ROWS)[-1].values)


def test_a_file_of_many_tiny_row_groups_goes_through(tmp_path, in_pieces):
    in_pieces(50)
    path = write(tmp_path, "parquet", everything(), group=1)
    write_catalog(read_catalog(path), columns(ROWS), tmp_path / "out.parquet", provenance=PROVENANCE)
    with pq.ParquetFile(tmp_path / "out.parquet") as file:
        assert file.num_row_groups == ROWS
        assert_same_tables(file.read().select(everything().column_names), pq.ParquetFile(path).read())


@pytest.fixture
def read(monkeypatch):
    """Note how many rows, and which columns, are read from files at once."""
    noted: list[tuple[int, list[str] | None]] = []
    real = pq.ParquetFile

    class Watched(real):
        def iter_batches(self, *args, columns=None, **named):
            for batch in super().iter_batches(*args, columns=columns, **named):
                noted.append((batch.num_rows, columns))
                yield batch

        def read_row_group(self, number, *args, **named):
            noted.append((self.metadata.row_group(number).num_rows, None))
            return super().read_row_group(number, *args, **named)

        def read(self, *_args, **_named):
            raise AssertionError("the whole file is read")

    monkeypatch.setattr(pq, "ParquetFile", Watched)
    return noted


@pytest.mark.parametrize("ending", ["parquet", "hats"])
@pytest.mark.parametrize("form", FORMS)
def test_no_more_rows_are_in_memory_however_many_there_are(form, ending, tmp_path, in_pieces, read, monkeypatch):
    """What is written together is bounded, too; only columns that are asked for are read as a whole."""
    source = write(tmp_path, form, everything(), group=ROWS)
    in_pieces(16, group=32)
    written = []
    real = pq.ParquetWriter.write_table
    monkeypatch.setattr(
        pq.ParquetWriter,
        "write_table",
        lambda self, rows, *a, **k: (written.append(len(rows)), real(self, rows, *a, **k)),
    )
    whole = StoredParquet.whole
    monkeypatch.setattr(StoredParquet, "whole", lambda _: pytest.fail("the whole table is read"))
    if (form, ending) == ("hats", "parquet"):  # rows that lie in another order are put into theirs in memory
        monkeypatch.setattr(StoredParquet, "whole", whole)
    read.clear()
    write_catalog(read_catalog(source), more, tmp_path / f"out.{ending}", provenance=PROVENANCE)
    assert len(read) > 2 * ROWS // 16
    assert max(rows for rows, _ in read) <= 32
    assert max(written) <= (32 if ending == "parquet" else 40)


@pytest.mark.parametrize("form", ["parquet", "hats"])
def test_a_share_of_a_run_reads_nothing_but_where_the_rows_are(form, tmp_path, in_pieces, read):
    sky = small_sky.write_sky(tmp_path)
    rows = Table.read(sky.catalog)["ra", "dec"]
    rows = rows[np.arange(40) % len(rows)]
    rows["mag"], rows["size"] = np.arange(len(rows)) + 0.5, 1.0
    rows.write(tmp_path / "in.parquet")
    source = tmp_path / f"rows.{form}"
    write_catalog(read_catalog(tmp_path / "in.parquet"), (), source, provenance=PROVENANCE)
    in_pieces(16)
    read.clear()
    asked = {"survey": "candels", "band": "H", "output": tmp_path / "out.parquet"}
    galmorph.measure(source, sky.image, **asked, engine="local", shard="1/1")
    many = [names for rows, names in read if rows > 10]  # more than the first ones, which show what there is
    where = {"ra", "dec", "gm_row"} if form == "hats" else {"ra", "dec"}
    assert {name for names in many for name in names or ["all"]} == where


def test_a_run_returns_its_own_columns_where_others_are_not_asked_for(tmp_path, in_pieces):
    sky = small_sky.write_sky(tmp_path)
    Table.read(sky.catalog)["ra", "dec"].write(tmp_path / "in.parquet")
    in_pieces(16)
    asked = {"survey": "candels", "band": "H", "engine": "local"}
    new = galmorph.measure(tmp_path / "in.parquet", sky.image, **asked, output=tmp_path / "out.parquet", whole=False)
    whole = galmorph.measure(tmp_path / "in.parquet", sky.image, **asked)
    written = read_catalog(tmp_path / "out.parquet").table
    assert whole.colnames == ["ra", "dec", *new.colnames] == written.colnames
    for name in new.colnames:
        assert_same_values(new[name], whole[name])
        assert_same_values(written[name], whole[name])
    assert "GMVERS" in new.meta


def changed(path, kind: str) -> None:
    """Write other cells into the file, put another one in its place, or remove it."""
    content = path.read_bytes()
    if kind != "written over":
        path.unlink()
    if kind != "gone":
        path.write_bytes(content)
        os.utime(path, (1, 1))


@pytest.mark.parametrize("kind", ["written over", "another", "gone"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["parquet", "hats"])
def test_a_file_that_changes_while_it_is_in_use_is_noticed(form, kind, ending, tmp_path, in_pieces):
    in_pieces(50)
    source = write(tmp_path, form, everything())
    got = read_catalog(source)
    changed(source if form == "parquet" else max(source.rglob("*.parquet")), kind)
    with pytest.raises(CatalogError, match="has changed while it was in use: expected it to stay as it is"):
        _ = got.ra_deg
    with pytest.raises(CatalogError, match="has changed while it was in use: expected it to stay as it is"):
        write_catalog(got, more, tmp_path / f"out.{ending}", provenance=PROVENANCE)
    assert not (tmp_path / f"out.{ending}").exists()


def test_a_file_that_changes_while_it_is_copied_is_noticed(tmp_path, in_pieces, monkeypatch):
    in_pieces(50)
    source = write(tmp_path, "parquet", everything())
    got, copy = read_catalog(source), parquet._copy_groups
    monkeypatch.setattr(parquet, "_copy_groups", lambda *a: (copy(*a), changed(source, "written over")))
    with pytest.raises(CatalogError, match="has changed while it was in use"):
        write_catalog(got, columns(ROWS), tmp_path / "out.parquet", provenance=PROVENANCE)
    assert not (tmp_path / "out.parquet").exists()


def test_a_damaged_page_is_an_error_of_one_line_when_it_is_read(tmp_path, in_pieces):
    in_pieces(50)
    path = write(tmp_path, "parquet", everything().select(["ra", "dec"]), group=ROWS)
    content = bytearray(path.read_bytes())
    content[20:1500] = bytes(1480)
    path.write_bytes(content)
    with pytest.raises(CatalogError, match="no readable Parquet file") as caught:
        _ = read_catalog(path).table
    assert "\n" not in str(caught.value)


def test_rows_that_are_not_there_are_noticed(tmp_path):
    stored, _ = parquet.Parquet().open(write(tmp_path, "parquet", everything()), None)
    part, schema = stored_parquet.part_of(tmp_path / "in.parquet")
    claimed = StoredParquet(tmp_path / "in.parquet", (replace(part, rows=ROWS + 1),), schema)
    with pytest.raises(CatalogError, match="has 300 rows where its metadata say 301: copy it again"):
        claimed.column("dec")
    assert len(stored) == len(claimed) - 1


def test_columns_of_one_name_are_refused(tmp_path):
    table = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0]), pa.array([3.0])], names=["ra", "dec", "ra"])
    pq.write_table(table, tmp_path / "in.parquet")
    with pytest.raises(CatalogError, match="has several columns 'ra': expected names that differ; rename them"):
        read_catalog(tmp_path / "in.parquet")


def test_wide_rows_are_read_few_at_a_time(tmp_path):
    pq.write_table(
        pa.table({"a": pa.array(np.zeros((40, 1 << 16)).tolist())}), tmp_path / "wide.parquet", use_dictionary=False
    )
    with pq.ParquetFile(tmp_path / "wide.parquet") as file:
        assert (
            stored_parquet.rows_at_once(file.metadata) == (1 << 24) * 40 // file.metadata.row_group(0).total_byte_size
        )


def test_a_table_that_is_held_comes_in_pieces_too():
    table = Table({"a": np.arange(100_000), "b": np.arange(100_000)})
    held = Catalog(HeldTable(table)).stored
    numbers, pieces = zip(*held.pieces(["b"]), strict=True)
    assert np.concatenate(numbers).tolist() == np.concatenate([piece["b"] for piece in pieces]).tolist()
    assert {piece.colnames[0] for piece in pieces} == {"b"}


@pytest.mark.parametrize("is_large", [False, True])
def test_masked_columns_of_astropy_are_masked_and_stay_so_in_the_output(is_large, tmp_path, in_pieces):
    """It writes what lies below the mask, and the mask as another column, which its own reader joins again."""
    if is_large:
        in_pieces(7)
    table = Table({"id": np.arange(40), "ra": np.arange(40.0), "dec": np.zeros(40)}, masked=True)
    table["n"] = np.ma.array(np.arange(40), mask=np.arange(40) % 3 == 0)
    table["ra"].mask[[3, 39]] = True
    table.write(tmp_path / "in.parquet")
    catalog = read_catalog(tmp_path / "in.parquet")
    assert np.flatnonzero(np.isnan(catalog.ra_deg)).tolist() == [3, 39]
    assert catalog.table["n"].mask.tolist() == table["n"].mask.tolist()
    assert np.isnan(catalog.stored.some(np.array([39, 1]))["ra"]).tolist() == [True, False]
    write_catalog(catalog, columns(40), tmp_path / "out.parquet", provenance=PROVENANCE)
    again = Table.read(tmp_path / "out.parquet")
    for name in ("ra", "n"):
        assert again[name].mask.tolist() == table[name].mask.tolist()
        assert again[name].filled(-1).tolist() == table[name].filled(-1).tolist()


def test_a_column_that_is_called_a_mask_is_one_where_astropy_says_so_alone(tmp_path):
    table = pa.table({"ra": [1.0, 2.0], "dec": [0.0, 0.0], "ra.mask": [True, False]})
    pq.write_table(table, tmp_path / "in.parquet")
    assert read_catalog(tmp_path / "in.parquet").ra_deg.tolist() == [1.0, 2.0]
