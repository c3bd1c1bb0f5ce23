"""Columns added to FITS files leave every byte of what was there, and the files are sound."""

from __future__ import annotations

import gzip
import os
import shutil
import subprocess
import warnings
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import MaskedColumn, Table
from catalog_samples import LONG, PROVENANCE, ROWS, assert_same_values, columns, fits_with_everything, table

from galmorph.errors import CatalogError
from galmorph.shipped import shipped
from galmorph.sky.catalog import catalog_from, read_catalog, write_catalog
from galmorph.sky.formats import fits as module


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.fits"
    fits_with_everything().writeto(path, checksum=True)
    return path


@pytest.fixture
def extended(source):
    path = source.with_name("out.fits")
    write_catalog(read_catalog(source), columns(), path, provenance=PROVENANCE)
    return path


def _verified(path: Path) -> str:
    """Return what fitsverify says about a file."""
    if shutil.which("fitsverify") is None:
        pytest.skip("fitsverify is not installed")
    return subprocess.run(["fitsverify", path], capture_output=True, text=True, check=False).stdout


def _rows(path: Path, hdu: int | str) -> np.ndarray:
    """Return the rows of a table as bytes, and nothing else."""
    with fits.open(path) as hdus:
        unit = hdus[hdu]
        raw = path.read_bytes()[unit._data_offset :][: unit.header["NAXIS1"] * unit.header["NAXIS2"]]
        return np.frombuffer(raw, np.uint8).reshape(unit.header["NAXIS2"], -1)


def test_the_first_table_is_read_with_units_descriptions_ucds_and_nulls(source):
    got = read_catalog(source)
    assert (got.hdu, got.format, got.ra_column, got.id_column) == (2, "fits", "RA", "ID")
    assert got.ids[1] == str(10**17 + 1)
    assert got.table["RA"].description == "right ascension"
    assert got.table["RA"].info.meta["ucd"] == "pos.eq.ra;meta.main"
    assert str(got.table["ODD"].unit) == "furlongs/fortnight^2"
    assert got.table["NUL"].mask.tolist() == [False, True, False, True, False]
    assert got.table["U32"].tolist() == [0, 1, 2**31, 2**32 - 1, 7]
    np.testing.assert_allclose(got.table["SCALED"], np.linspace(5, 6, ROWS), rtol=1e-6)
    assert got.table["NAME"].tolist() == ["a", "bb", "", "NGC 1", "x"]
    assert got.table.meta["LONG"].startswith("a very long value a very")
    assert got.table.meta["ESO DET NAME"] == "chip 3"
    assert got.table.meta["HISTORY"] == ["first step"]


def test_other_units_are_copied_byte_for_byte(source, extended):
    with fits.open(source) as before, fits.open(extended) as after:
        assert [h.name for h in before] == [h.name for h in after]
        for index in (0, 1, 3):
            one, two = before[index], after[index]
            length = one._data_offset - one._header_offset + one._data_size
            was = source.read_bytes()[one._header_offset :][:length]
            assert extended.read_bytes()[two._header_offset :][:length] == was


def test_rows_are_copied_byte_for_byte_and_variable_length_arrays_with_them(source, extended):
    before, after = _rows(source, 2), _rows(extended, 2)
    np.testing.assert_array_equal(after[:, : before.shape[1]], before)
    assert after.shape[1] == before.shape[1] + 15 + 4 + 8 + 4 + 4 + 8
    with fits.open(extended) as hdus:
        for i, cell in enumerate(hdus[2].data["SPEC"]):
            np.testing.assert_array_equal(cell, np.arange(i, dtype="f4"))


def test_every_old_column_and_card_survives(source, extended):
    one, two = read_catalog(source).table, read_catalog(extended).table
    for name in one.colnames:
        assert_same_values(one[name], two[name])
        assert str(one[name].unit) == str(two[name].unit)
        assert one[name].description == two[name].description
        assert one[name].meta == two[name].meta
    with fits.open(source) as before, fits.open(extended) as after:
        old, new = ([str(c) for c in h[2].header.cards] for h in (before, after))
    changed = ("NAXIS1", "TFIELDS", "CHECKSUM", "DATASUM")
    kept = [c for c in old if not c.startswith(changed)]
    assert len(kept) > 40
    assert [c for c in new if c in kept] == kept


def test_new_columns_are_described_in_the_header(extended):
    got = read_catalog(extended).table
    assert got.colnames[-6:] == [c.name for c in columns()]
    for column in columns():
        assert_same_values(got[column.name], column.values)
        assert got[column.name].description == column.description
        assert got[column.name].info.meta == {"ucd": column.ucd}
        assert str(got[column.name].unit or "") == column.unit
    with fits.open(extended) as hdus:
        header = hdus[2].header
        assert [header[f"TFORM{i}"] for i in range(14, 20)] == ["15A", "E", "D", "E", "J", "K"]
        assert header["TCOMM15"] == LONG


def test_provenance_is_in_the_header_and_a_second_run_does_not_overwrite_it(extended, tmp_path):
    second = [type(c)(c.name.replace("gm_", "g2_"), c.values) for c in columns()]
    write_catalog(read_catalog(extended), second, tmp_path / "twice.fits", provenance=PROVENANCE)
    header = fits.getheader(tmp_path / "twice.fits", 2)
    assert header["GMMODEL"] == header["GMMODEL2"] == "nircam-f200w"
    assert header["GMHASH"] == "0123456789abcdef" * 8
    assert header["GMQUOTE"] == "it's a galaxy"
    assert header.comments["GMMODEL"] == "checkpoint"
    history = [str(line) for line in header["HISTORY"]]
    assert history[0] == "first step"
    assert history.count("second line") == 2
    assert "".join("".join(history[1:-1]).split()).startswith("galmorphclassifyegs.fits--imagea_long_path/a_long")


def test_checksums_are_right_and_fitsverify_finds_nothing(extended):
    with warnings.catch_warnings(), fits.open(extended, checksum=True) as hdus:
        warnings.simplefilter("error")
        assert all(h.verify_checksum() == h.verify_datasum() == 1 for h in hdus)
    assert "found 0 warning(s) and 0 error(s)" in _verified(extended)


def test_a_table_made_from_memory_is_sound_too(tmp_path):
    path = tmp_path / "made.fits"
    given = table()
    given["good"] = MaskedColumn(given["good"], mask=[False, True, False, False, False])
    given["number"] = MaskedColumn(np.arange(ROWS, dtype="i2"), mask=[True, False, False, False, False])
    given["unsigned"] = MaskedColumn(np.arange(ROWS, dtype="u4") + 2**31, mask=[True, *[False] * (ROWS - 1)])
    given["odd"] = np.arange(ROWS, dtype="i1") - 3
    given["odd"].unit = "bogus/s"
    given.meta |= {
        "longer than eight": [1, 2],
        "comments": ["hello"],
        "NAXIS": 7,
        "TTYPE1": "x",
        "nothing": None,
    }
    write_catalog(catalog_from(given), columns(), path, provenance=PROVENANCE)
    got = read_catalog(path).table
    for name in given.colnames:
        assert_same_values(got[name], given[name])
    assert str(got["odd"].unit) == "bogus/s"
    assert (got["mag"].description, got["mag"].meta) == ("total magnitude", {"ucd": "phot.mag"})
    assert (got.meta["SURVEY"], got.meta["YEAR"]) == ("EGS", 2000.0)
    assert got.meta["comments"] == ["longer than eight = [1, 2]", "hello"]
    with fits.open(path, checksum=True) as hdus:
        assert hdus[1].verify_checksum() == hdus[1].verify_datasum() == 1
    assert "found 0 warning(s) and 0 error(s)" in _verified(path)


def test_descriptions_that_astropy_hid_in_comments_are_found(tmp_path):
    path = tmp_path / "astropy.fits"
    table().write(path)
    got = read_catalog(path).table
    assert got["mag"].description == "total magnitude"


@pytest.mark.parametrize("name", ["OTHER", "other", "3", 3])
def test_any_table_can_be_chosen(source, name):
    got = read_catalog(source, hdu=name, positions=False)
    assert (got.hdu, got.table.colnames) == (3, ["q"])


def test_a_wrong_hdu_lists_the_tables(source):
    with pytest.raises(CatalogError, match=r"unknown table HDU 'IMG': known are 2 \(CAT\), 3 \(OTHER\)"):
        read_catalog(source, hdu="IMG")
    with pytest.raises(CatalogError, match="unknown table HDU '1'"):
        read_catalog(source, hdu=1)


def test_compressed_files_are_read_and_written(source, tmp_path):
    packed = tmp_path / "in.fits.gz"
    packed.write_bytes(gzip.compress(source.read_bytes()))
    write_catalog(read_catalog(packed), columns(), tmp_path / "out.fits.gz", provenance=PROVENANCE)
    write_catalog(read_catalog(source), columns(), tmp_path / "out.fits", provenance=PROVENANCE)
    plain = gzip.decompress((tmp_path / "out.fits.gz").read_bytes())
    assert plain == (tmp_path / "out.fits").read_bytes()


def test_a_table_packed_with_fpack_says_how_to_unpack_it(tmp_path):
    if shutil.which("fpack") is None:
        pytest.skip("fpack is not installed")
    bare = tmp_path / "bare.fits"
    Table({"ra": np.arange(1000.0), "dec": np.zeros(1000)}).write(bare)
    subprocess.run(["fpack", "-table", bare], check=True, capture_output=True)
    with pytest.raises(CatalogError, match=r"compressed table\. Unpack it with funpack"):
        read_catalog(tmp_path / "bare.fits.fz")


def test_an_ascii_table_goes_through_astropy(tmp_path):
    path = tmp_path / "ascii.fits"
    made = [fits.Column("RA", "F12.5", array=[1.5, 2.5]), fits.Column("DEC", "F12.5", array=[3.5, 4.5])]
    made.append(fits.Column("NAME", "A6", array=["a", "NGC 1"]))
    fits.HDUList([fits.PrimaryHDU(), fits.TableHDU.from_columns(made)]).writeto(path)
    write_catalog(read_catalog(path), columns(2), tmp_path / "out.fits", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "out.fits")
    assert got.ra_deg.tolist() == [1.5, 2.5]
    assert got.table["NAME"].tolist() == ["a", "NGC 1"]
    assert got.table.colnames[3:] == [c.name for c in columns(2)]


def test_a_heap_with_a_gap_stays_where_its_card_says(source, tmp_path):
    gap, path = 2880, tmp_path / "gap.fits"
    raw = source.read_bytes()
    with fits.open(source) as hdus:
        begin, main = hdus[2]._data_offset, hdus[2].header["NAXIS1"] * ROWS
        lists, size = hdus[2].header["PCOUNT"], hdus[2]._data_size
        at = hdus[2]._header_offset
    data = (raw[begin : begin + main] + bytes(gap) + raw[begin + main : begin + main + lists]).ljust(size + gap, b"\0")
    header = fits.Header.fromstring(raw[at:begin])
    header["PCOUNT"] = gap + lists
    header["THEAP"] = (main + gap, "where the heap is")
    path.write_bytes(raw[:at] + header.tostring().encode() + data + raw[begin + size :])
    write_catalog(read_catalog(path), columns(), tmp_path / "out.fits", provenance=PROVENANCE)
    with fits.open(tmp_path / "out.fits") as hdus:
        assert hdus[2].header["THEAP"] == main + gap + 43 * ROWS
        assert hdus[2].header.comments["THEAP"] == "where the heap is"
        for i, cell in enumerate(hdus[2].data["SPEC"]):
            np.testing.assert_array_equal(cell, np.arange(i, dtype="f4"))
        assert hdus[3].data["q"].tolist() == [1, 2]


def test_rows_that_do_not_fit_their_columns_are_an_error(tmp_path):
    path = tmp_path / "narrow.fits"
    Table({"ra": [1.0, 2.0], "dec": [3.0, 4.0], "n": ["a", "b"]}).write(path)
    path.write_bytes(path.read_bytes().replace(b"TFORM3  = '1A      '", b"TFORM3  = '4A      '"))
    with pytest.raises(CatalogError, match=r"rows have 17 bytes, but the columns need 20"):
        read_catalog(path)


def test_text_columns_without_width_are_empty_and_harm_no_others(tmp_path):
    path = tmp_path / "in.fits"
    Table({"ra": [1.0, 2.0], "n": ["a", "b"], "dec": [3.0, 4.0]}).write(path)
    raw = path.read_bytes().replace(b"TFORM2  = '1A      '", b"TFORM2  = '0A      '")
    raw = raw.replace(b"NAXIS1  =                   17", b"NAXIS1  =                   16")
    rows = np.array([1.0, 3.0, 2.0, 4.0], dtype=">f8").tobytes()
    path.write_bytes(raw[:-2880] + rows.ljust(2880, b"\0"))
    write_catalog(read_catalog(path), columns(2), tmp_path / "out.fits", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "out.fits")
    assert (got.ra_deg.tolist(), got.dec_deg.tolist()) == ([1.0, 2.0], [3.0, 4.0])
    assert got.table["n"].tolist() == ["", ""]
    assert got.table["gm_class"].tolist() == ["disk", ""]


def test_no_rows_and_one_row_are_tables_too(tmp_path):
    for rows in (0, 1):
        path = tmp_path / f"{rows}.fits"
        table()[:rows].write(path)
        write_catalog(read_catalog(path), columns(rows), tmp_path / f"{rows}o.fits", provenance=PROVENANCE)
        assert len(read_catalog(tmp_path / f"{rows}o.fits")) == rows
        assert "and 0 error(s)" in _verified(tmp_path / f"{rows}o.fits")


def test_bytes_after_the_last_unit_are_kept(source, tmp_path):
    source.write_bytes(source.read_bytes() + b"special records".ljust(2880))
    write_catalog(read_catalog(source), columns(), tmp_path / "out.fits", provenance=PROVENANCE)
    assert (tmp_path / "out.fits").read_bytes().endswith(b"special records".ljust(2880))


def test_a_file_that_changed_since_it_was_read_is_written_from_what_was_read(source, tmp_path, caplog):
    got = read_catalog(source)
    fits_with_everything()[:2].writeto(source, overwrite=True)
    write_catalog(got, columns(), tmp_path / "out.fits", provenance=PROVENANCE)
    assert "has changed since it was read" in caplog.text
    again = read_catalog(tmp_path / "out.fits")
    assert_same_values(again.table["U32"], got.table["U32"])
    assert_same_values(again.table["SPEC"], got.table["SPEC"])
    assert_same_values(again.table["MATRIX"], got.table["MATRIX"])


@pytest.fixture
def _mapped_tables(monkeypatch):
    monkeypatch.setattr(module, "SMALL_BYTES", 1)


on_posix = pytest.mark.skipif(os.name != "posix", reason="tables are not mapped there")


@on_posix
@pytest.mark.usefixtures("_mapped_tables")
def test_a_large_table_is_read_where_it_lies(source, extended, tmp_path):
    """The fixture `extended` was made of a table that is mapped as well."""
    got = read_catalog(source)
    assert not got.is_held
    before = {name: got.table[name].copy() for name in got.table.colnames if name != "SPEC"}
    got.forget()
    for name, values in before.items():
        assert_same_values(got.table[name], values)
    assert [len(cell) for cell in got.table["SPEC"]] == list(range(ROWS))
    write_catalog(got, columns(), tmp_path / "again.fits", provenance=PROVENANCE)
    assert (tmp_path / "again.fits").read_bytes() == extended.read_bytes()


@on_posix
@pytest.mark.usefixtures("_mapped_tables")
def test_a_large_table_may_be_replaced_but_not_changed_while_it_is_in_use(source, tmp_path, caplog):
    got, contents = read_catalog(source), source.read_bytes()
    source.write_bytes(contents)
    os.utime(source, (1, 1))
    with pytest.raises(CatalogError, match="has changed while it was in use: expected it to stay as it is"):
        write_catalog(got, columns(), tmp_path / "out.fits", provenance=PROVENANCE)
    got = read_catalog(source)
    (tmp_path / "other.fits").write_bytes(bytes(100))
    (tmp_path / "other.fits").replace(source)
    write_catalog(got, columns(), tmp_path / "out.fits", provenance=PROVENANCE)
    assert "has changed since it was read" in caplog.text
    assert_same_values(read_catalog(tmp_path / "out.fits").table["U32"], got.table["U32"])


def test_stilts_shows_names_units_ucds_and_descriptions(extended):
    if shutil.which("stilts") is None:
        pytest.skip("stilts is not installed")
    asked = [
        "stilts",
        "tpipe",
        f"in={extended}#2",
        "cmd=meta name units description ucd",
        "omode=out",
        "ofmt=csv",
    ]
    told = subprocess.run(asked, capture_output=True, text=True, check=True).stdout
    lines = [line for line in told.splitlines() if line.startswith("gm_")]
    assert len(lines) == 6
    assert f'gm_p_smooth,,"{LONG}",stat.probability;src.morph.type' in lines
    assert "gm_rpet,arcsec,Petrosian radius,phys.angSize;src.morph" in lines


@pytest.mark.parametrize(
    ("change", "positions", "moved"),
    [
        (lambda t: t.remove_column("id"), ("ra", "dec"), True),
        (lambda t: t.remove_column("mag"), ("ra", "dec"), True),
        (lambda t: t.add_column([0.0] * len(t), name="z", index=0), ("ra", "dec"), True),
        (lambda t: t.rename_columns(["ra", "dec"], ["p", "q"]), ("p", "q"), False),
    ],
)
def test_ucds_that_astropy_left_behind_mean_nothing(change, positions, moved, tmp_path, caplog):
    """It writes TUCD cards again by number, whatever column has that number now; galmorph's catalogues have them."""
    changed = Table.read(shipped("catalogs") / "samples" / "candels-h" / "catalog.fits")
    change(changed)
    changed.write(tmp_path / "changed.fits")
    source = read_catalog(tmp_path / "changed.fits")
    assert (source.ra_column, source.dec_column) == positions
    assert ("UCDs are left out" in caplog.text) == moved


def test_a_column_that_astropy_removed_is_missed(tmp_path):
    """Its UCD is not taken for that of the column beside it."""
    changed = Table.read(shipped("catalogs") / "samples" / "candels-h" / "catalog.fits")
    changed.remove_column("dec")
    changed.write(tmp_path / "changed.fits")
    with pytest.raises(CatalogError, match="no column for declination beside 'ra'"):
        read_catalog(tmp_path / "changed.fits")
