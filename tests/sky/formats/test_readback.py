"""Readback: rows and values come out as they went in, or the output is refused."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galmorph.errors import OutputError
from galmorph.sky.catalog import Column, Provenance, catalog_from, read_catalog, rehearse, write_catalog
from galmorph.sky.formats.column import table_with
from galmorph.sky.formats.ecsv import Ecsv
from galmorph.sky.formats.fits import Fits
from galmorph.sky.formats.hats import Hats
from galmorph.sky.formats.parquet import Parquet
from galmorph.sky.formats.stored import HeldTable
from galmorph.sky.formats.text import Text
from galmorph.sky.formats.votable import VoTable

ENDINGS = ("fits", "vot", "ecsv", "csv", "tsv", "parquet")
NAMES = ["#1", "# 2", " led by a blank", 'has "quotes"', "a,b", "tab\tbed", "", "#", "NA", "x"]


def table(names: list[str]) -> Table:
    count = len(names)
    return Table({"id": names, "ra": np.linspace(10, 20, count), "dec": np.linspace(-1, 1, count)})


def new(count: int) -> list[Column]:
    return [Column("new", np.arange(count) + 0.5), Column("word", np.array([f"w{n}" for n in range(count)]))]


def written(source: Table, path) -> Table:
    write_catalog(catalog_from(source), new(len(source)), path, provenance=Provenance())
    return read_catalog(path).table


@pytest.mark.parametrize("ending", ENDINGS)
def test_first_cells_that_look_like_comments_keep_their_rows(ending, tmp_path):
    after = written(table(NAMES), tmp_path / f"out.{ending}")
    blanks_at_ends = str.strip if ending == "vot" else str.rstrip  # as astropy reads cells
    assert [v.rstrip() for v in after["id"]] == list(map(blanks_at_ends, NAMES))
    assert after["new"].tolist() == (np.arange(len(NAMES)) + 0.5).tolist()


@pytest.mark.parametrize("ending", ["ecsv", "csv"])
def test_other_readers_find_those_rows_too(ending, tmp_path):
    written(table(["#1", "b", "#c"]), tmp_path / f"out.{ending}")
    after = Table.read(tmp_path / f"out.{ending}", format=f"ascii.{ending}")
    assert after["id"].tolist() == ["#1", "b", "#c"]


def test_ecsv_keeps_nulls_types_and_digits(tmp_path):
    source = table(["a", "", "c"])
    source["n"] = MaskedColumn([1, 2, 3], mask=[0, 1, 0])
    source["f"] = np.array([1 / 3, np.nan, np.inf], dtype="f4")
    source["b"] = [True, False, True]
    after = written(source, tmp_path / "out.ecsv")
    assert after["n"].mask.tolist() == [False, True, False]
    assert after["f"].dtype == np.float32
    np.testing.assert_array_equal(after["f"], source["f"])
    assert after["b"].tolist() == [True, False, True]
    assert after["ra"].tolist() == source["ra"].tolist()


def test_letters_that_fits_lacks_are_escaped_said_once_and_stay_two_names(tmp_path, caplog):
    source = table(["αCen", "βCen", "NGC 1"])
    source["größe"] = [1, 2, 3]
    with caplog.at_level(logging.WARNING):
        after = written(source, tmp_path / "out.fits")
    assert after["id"].tolist() == ["\\u03b1Cen", "\\u03b2Cen", "NGC 1"]
    assert after["gr_xf6_xdfe"].tolist() == [1, 2, 3]
    said = [r.getMessage() for r in caplog.records if "escapes" in r.getMessage()]
    assert len(said) == 1
    assert said[0].startswith("2 cells and 1 names have characters that fits lacks")


FORMATS = {"fits": Fits, "vot": VoTable, "ecsv": Ecsv, "csv": Text, "parquet": Parquet, "hats": Hats}


@pytest.mark.parametrize("ending", FORMATS)
@pytest.mark.parametrize("fault", ["a row less", "a name", "a cell", "our cell"])
def test_what_a_writer_loses_is_noticed_and_no_file_is_left(ending, fault, tmp_path, monkeypatch):
    write = FORMATS[ending].write_stored

    def faulty(self, stored, columns, provenance, path, positions=None):
        whole = table_with(stored.whole(), columns).copy()
        if fault == "a row less":
            whole = whole[:-1]
            positions = positions and replace(positions, ra_deg=positions.ra_deg[:-1], dec_deg=positions.dec_deg[:-1])
        elif fault == "a name":
            whole.rename_column("dec", "dex")
        elif fault == "a cell":
            whole["ra"][-1] += 1e-9
        else:
            whole["new"][1] = 99.0
        write(self, HeldTable(whole), (), provenance, path, positions)

    monkeypatch.setattr(FORMATS[ending], "write_stored", faulty)
    with pytest.raises(OutputError, match="read back"):
        written(table(["a", "b", "c"]), tmp_path / f"out.{ending}")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", [ending for ending in ENDINGS if ending not in ("csv", "tsv")])
@pytest.mark.parametrize("fault", ["a mask", "a number"])
def test_what_a_writer_loses_of_arrays_is_noticed(ending, fault, tmp_path, monkeypatch):
    write = FORMATS[ending].write_stored
    source = table(["a", "b", "c"])
    source["v"] = MaskedColumn(np.arange(6).reshape(3, 2), mask=np.eye(3, 2, dtype=bool))
    written(source, tmp_path / f"sound.{ending}")

    def faulty(self, stored, columns, provenance, path, positions=None):
        whole = stored.whole().copy()
        if fault == "a mask":
            whole["v"] = np.ma.getdata(whole["v"])
        else:
            whole["v"][2, 1] += 1
        write(self, HeldTable(whole), columns, provenance, path, positions)

    monkeypatch.setattr(FORMATS[ending], "write_stored", faulty)
    with pytest.raises(OutputError, match="read back"):
        written(source, tmp_path / f"out.{ending}")


def circular() -> dict[str, object]:
    meta: dict[str, object] = {}
    meta["itself"] = meta
    return meta


def wide(count: int) -> Table:
    return Table({"ra": [1.0], "dec": [2.0]} | {f"c{n}": [n] for n in range(count - 2)})


def test_a_rehearsal_says_before_the_work_that_a_table_is_too_wide(tmp_path):
    blank = [Column(c.name, c.values[:0]) for c in new(1)]
    rehearse(catalog_from(wide(997)), blank, tmp_path / "out.fits", Provenance())
    with pytest.raises(OutputError, match="1000 columns is too wide for FITS"):
        rehearse(catalog_from(wide(998)), blank, tmp_path / "out.fits", Provenance())
    rehearse(catalog_from(wide(998)), blank, tmp_path / "out.ecsv", Provenance())
    wide(998).write(tmp_path / "in.fits")
    with pytest.raises(OutputError, match="too wide"):
        rehearse(read_catalog(tmp_path / "in.fits"), blank, tmp_path / "out.fits", Provenance())
    assert sorted(p.name for p in tmp_path.iterdir()) == ["in.fits"]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("meta", [circular(), {"A": "\0\ud800"}, {"LONG KEY": {"a": [1]}}, {"größe": "µ"}, {"": None}])
def test_what_passes_the_rehearsal_can_be_written_and_what_does_not_is_one_line(ending, meta, tmp_path):
    source = table(["a", "b"])
    source.meta = meta
    catalog, path = catalog_from(source), tmp_path / f"out.{ending}"
    try:
        rehearse(catalog, new(2), path, Provenance())
    except OutputError:
        with pytest.raises(OutputError):
            write_catalog(catalog, new(2), path, provenance=Provenance())
    else:
        write_catalog(catalog, new(2), path, provenance=Provenance())
        assert read_catalog(path).table["new"].tolist() == [0.5, 1.5]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_table_with_arrays_in_cells_passes_the_rehearsal(ending, tmp_path):
    source = table(["a", "b"])
    source["flux"] = [[1.0, 2.0], [3.0, 4.0]]
    rehearse(catalog_from(source), [Column("new", np.zeros(0))], tmp_path / f"out.{ending}", Provenance())
    assert written(source, tmp_path / f"out.{ending}")["new"].tolist() == [0.5, 1.5]
