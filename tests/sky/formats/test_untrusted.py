"""Files that nobody vouches for: each is read, or refused in one line, in no time."""

from __future__ import annotations

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from astropy.io import fits
from astropy.table import Table

from galmorph.errors import CatalogError, OutputError
from galmorph.sky.catalog import Column, Provenance, read_catalog, write_catalog
from galmorph.sky.formats.parsing import parsing, serialising

RA, DEC = [150.1, 150.2, 150.3], [2.1, 2.2, 2.3]


def fits_file(path: Path, **cards: str) -> Path:
    """Write a table of positions whose header has the text of each card replaced, or such a card at its end."""
    Table({"id": [1, 2, 3], "ra": RA, "dec": DEC}).write(path, overwrite=True)
    content = path.read_bytes()
    primary, rest = content[:2880], content[2880:]
    header, data = rest[:2880].decode(), rest[2880:]
    lines = [header[i : i + 80] for i in range(0, 2880, 80)]
    for keyword, value in cards.items():
        place = next((n for n, line in enumerate(lines) if line[:8].rstrip() == keyword), None)
        if place is None:
            place = next(n for n, line in enumerate(lines) if line.startswith("END"))
            lines[place + 1] = lines[place]
        lines[place] = f"{keyword:8}= {value}".ljust(80)
    path.write_bytes(primary + "".join(lines).encode("latin-1") + data)
    return path


def one_line(path: Path) -> str:
    with pytest.raises(CatalogError) as caught:
        read_catalog(path)
    assert "\n" not in str(caught.value)
    assert path.name in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("error", [AssertionError, RecursionError, MemoryError, OverflowError, struct.error, KeyError])
def test_whatever_a_parser_raises_is_an_error_of_one_line(error, tmp_path):
    with pytest.raises(CatalogError, match=r"two.*lines|out of memory"), parsing(tmp_path, "table", "repair it"):
        raise error("two\nlines")
    with pytest.raises(OutputError, match="choose another format"), serialising(tmp_path):
        raise error("two\nlines")


@pytest.mark.parametrize(
    ("keyword", "value", "said"),
    [
        ("NAXIS", "9223372036854775807", "NAXIS is 9223372036854775807, expected 0 to 999"),
        ("NAXIS", "1000000000", "expected 0 to 999"),
        ("TFIELDS", "2147483647", "expected 0 to 999"),
        ("TFIELDS", "-1", "expected 0 to 999"),
        ("NAXIS1", "-24", "NAXIS1 is -24"),
        ("NAXIS2", "'three'", "expected an integer"),
        ("NAXIS2", "4000000000000000000", "truncated"),
        ("PCOUNT", "-2880", "PCOUNT is -2880"),
        ("THEAP", "1", "THEAP is 1"),
        ("BITPIX", "12", "BITPIX is 12"),
        ("TZERO2", "'zero'", "TZERO2"),
        ("GCOUNT", "0", "GCOUNT = 0, expected 1"),
        ("GCOUNT", "2", "GCOUNT = 2, expected 1"),
    ],
)
def test_impossible_numbers_of_a_header_are_refused_by_name(keyword, value, said, tmp_path):
    assert said in one_line(fits_file(tmp_path / "in.fits", **{keyword: value}))


@pytest.mark.parametrize("value", ["NaN", "-INF", "2020-01-01T00:00:00", "blue green", "-", "'open"])
def test_a_card_that_cannot_be_parsed_costs_no_catalogue_and_is_copied_as_it_is(value, tmp_path):
    source = fits_file(tmp_path / "in.fits", AIRMASS=value)
    catalog = read_catalog(source)
    assert catalog.ra_deg.tolist() == RA
    write_catalog(catalog, [Column("new", np.arange(3.0))], tmp_path / "out.fits", provenance=Provenance())
    assert f"AIRMASS = {value}".ljust(80).encode() in (tmp_path / "out.fits").read_bytes()


def test_names_and_units_without_quotes_are_names_and_units(tmp_path):
    table = read_catalog(fits_file(tmp_path / "in.fits", TTYPE1="id_of_it", TUNIT1="5")).table
    assert table.colnames == ["id_of_it", "ra", "dec"]
    assert read_catalog(fits_file(tmp_path / "in.fits", TTYPE1="12345")).table.colnames[0] == "12345"


def test_the_first_table_with_positions_is_the_catalogue(tmp_path):
    path = tmp_path / "ldac.cat"
    headers = fits.BinTableHDU(Table({"Field Header Card": ["SIMPLE = T"]}), name="LDAC_IMHEAD")
    sources = fits.BinTableHDU(Table({"ALPHA_J2000": RA, "DELTA_J2000": DEC}), name="LDAC_OBJECTS")
    fits.HDUList([fits.PrimaryHDU(), headers, sources]).writeto(path)
    assert read_catalog(path).hdu == 2
    assert read_catalog(path).ra_deg.tolist() == RA
    with pytest.raises(CatalogError, match="no columns for positions"):
        read_catalog(path, hdu=1)
    with pytest.raises(CatalogError, match=r"1 \(LDAC_IMHEAD\), 2 \(LDAC_OBJECTS\).*--hdu"):
        read_catalog(path, ra="alpha", dec="delta")


def test_what_is_no_file_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.csv")
    assert "is a pipe" in one_line(tmp_path / "pipe.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    assert "is a device" in one_line(tmp_path / "zero.csv")


def test_a_small_file_that_expands_to_a_huge_one_is_refused(tmp_path):
    path = tmp_path / "in.csv.gz"
    with gzip.open(path, "wb", compresslevel=9) as stream:
        stream.write(b"ra,dec\n")
        for _ in range(300):
            stream.write(b"1,2\n" * (1 << 18))
    assert "268435456 (--limit table_bytes=N allows more)" in one_line(path)


def test_a_cell_of_any_length_is_read_and_copied(tmp_path):
    cell = "x" * 300_000
    (tmp_path / "in.csv").write_text(f"ra,dec,note\n1,2,{cell}\n3,4,b\n")
    catalog = read_catalog(tmp_path / "in.csv")
    write_catalog(catalog, [Column("new", np.arange(2.0))], tmp_path / "out.csv", provenance=Provenance())
    assert read_catalog(tmp_path / "out.csv").table["note"].tolist() == [cell, "b"]


VOTABLE = (
    '<?xml version="1.0"?><VOTABLE version="1.4">{before}<TABLE><FIELD name="ra" datatype="double"/>'
    '<FIELD name="dec" datatype="double"/><DATA>{data}</DATA></TABLE>{after}</VOTABLE>{rest}'
)
ROW = "<TABLEDATA><TR><TD>150.1</TD><TD>2.1</TD></TR></TABLEDATA>"


@pytest.mark.parametrize(
    ("before", "data", "after", "rest", "said"),
    [
        ("<RESOURCE>" * 600, ROW, "</RESOURCE>" * 600, "", "deeper than 100 (--limit votable_depth=N"),
        ("<RESOURCE>", ROW, "</RESOURCE>", "<junk>", "junk after document"),
        ("<RESOURCE>", '<FITS><STREAM href="file:rows.fits"/></FITS>', "</RESOURCE>", "", "file:rows.fits"),
    ],
)
def test_documents_that_cannot_be_followed_are_refused(before, data, after, rest, said, tmp_path):
    (tmp_path / "in.vot").write_text(VOTABLE.format(before=before, data=data, after=after, rest=rest))
    assert said in one_line(tmp_path / "in.vot")


@pytest.mark.parametrize(
    "metadata",
    [
        {"IVOA.VOTable-Parquet.version": "1.0", "IVOA.VOTable-Parquet.content": "<VOTABLE><no"},
        {"table_meta_yaml": "datatype:\n- {name: ra, unit: [1, 2], datatype: float64}"},
        {"table_meta_yaml": "datatype: [\n"},
        {"table_meta_yaml": b"\xff\xfe"},
    ],
)
def test_metadata_that_do_not_parse_are_ignored_in_both_directions(metadata, tmp_path):
    arrow = pa.table({"ra": RA, "dec": DEC}).replace_schema_metadata(metadata)
    pa.parquet.write_table(arrow, tmp_path / "in.parquet")
    catalog = read_catalog(tmp_path / "in.parquet")
    write_catalog(catalog, [Column("new", np.arange(3.0))], tmp_path / "out.parquet", provenance=Provenance())
    after = read_catalog(tmp_path / "out.parquet").table
    assert (after["ra"].tolist(), after["new"].tolist()) == (RA, [0.0, 1.0, 2.0])
