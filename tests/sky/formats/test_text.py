"""Text tables: layouts that exist in the wild, and copies that keep every character."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from catalog_samples import PROVENANCE, assert_same_values, columns, fits_with_everything, table

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Column, Provenance, catalog_from, read_catalog, write_catalog

WILD = (
    "\ufeff#made by hand\r\n"
    'id,ra,dec,big,"na""me",flux,mixed,flag,empty\r\n'
    '007,010.50,-1.0,123456789012345678901,"a, b",1.50e3,1,TRUE,\r\n'
    '012,11.5,+2,2,"two\r\nlines",,x,false,\r\n'
    "\r\n"
    '013,nan,3,3,"say ""hi""",-.5,,,\r\n'
    "014,12"
)


def _written(tmp_path, text, name="in.csv", encoding="utf-8"):
    path = tmp_path / name
    path.write_bytes(text.encode(encoding))
    return path


def test_types_are_found_without_losing_digits(tmp_path):
    got = read_catalog(_written(tmp_path, WILD)).table
    assert got.colnames == ["id", "ra", "dec", "big", 'na"me', "flux", "mixed", "flag", "empty"]
    assert got["id"].tolist() == ["007", "012", "013", "014"]
    assert got["ra"].tolist()[:2] == [10.5, 11.5]
    assert np.isnan(got["ra"][2])
    assert got["big"][0] == "123456789012345678901"
    assert got['na"me'].tolist() == ["a, b", "two\r\nlines", 'say "hi"', ""]
    np.testing.assert_array_equal(got["flux"], [1500.0, np.nan, -0.5, np.nan])
    assert got["mixed"].tolist() == ["1", "x", "", ""]
    assert got["flag"].tolist() == [True, False, None, None]
    assert got["empty"].tolist() == [""] * 4


def test_every_character_survives_and_short_rows_are_filled_up(tmp_path):
    source = read_catalog(_written(tmp_path, WILD))
    made = [
        Column("gm_p", np.array([0.1, np.nan, 1.0, 1e-9], dtype="f4")),
        Column("gm_c", np.array(["a", "", "b,c", "d"])),
    ]
    write_catalog(source, made, tmp_path / "out.csv", provenance=PROVENANCE)
    assert (tmp_path / "out.csv").read_bytes().decode() == (
        "\ufeff#made by hand\r\n"
        'id,ra,dec,big,"na""me",flux,mixed,flag,empty,gm_p,gm_c\r\n'
        '007,010.50,-1.0,123456789012345678901,"a, b",1.50e3,1,TRUE,,0.1,a\r\n'
        '012,11.5,+2,2,"two\r\nlines",,x,false,,,\r\n'
        "\r\n"
        '013,nan,3,3,"say ""hi""",-.5,,,,1.0,"b,c"\r\n'
        "014,12,,,,,,,,1e-09,d\n"
    )


def test_large_integers_and_leading_zeros_reach_fits_unharmed(tmp_path):
    write_catalog(read_catalog(_written(tmp_path, WILD)), columns(4), tmp_path / "out.fits", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "out.fits").table
    assert got["id"].tolist() == ["007", "012", "013", "014"]
    assert got["big"][0] == "123456789012345678901"
    assert got["flag"].tolist() == [True, False, None, None]


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("ra,dec,n\n1,2,a\n3,4,b\n", "a.csv"),
        ("ra;dec;n\n1;2;a\n3;4;b\n", "a.csv"),
        ("ra\tdec\tn\n1\t2\ta\n3\t4\tb\n", "a.tsv"),
        ("ra|dec|n\n1|2|a\n3|4|b\n", "a.dat"),
        ("# ra dec n\n1 2 a\n3  4 b\n", "a.cat"),
        ("  ra   dec n\n 1    2   a\n 3 4 b", "a.txt"),
        ("#Table1\nra,dec,n\n1,2,a\n3,4,b\n", "a.csv"),
        ("# two\n# comments, here\n#ra,dec,n\n1,2,a\n3,4,b\n", "a.csv"),
        ("\nra,dec,n\n\n1,2,a\n3,4,b\n\n", "a.csv"),
        ("# ra dec n\n1 2 a\n3 4 b\n", "named_wrongly.ecsv"),
    ],
)
def test_layouts_of_the_wild_are_understood_and_can_be_extended(tmp_path, text, name):
    source = read_catalog(_written(tmp_path, text, name))
    assert source.format == "csv"
    assert (source.ra_deg.tolist(), source.dec_deg.tolist()) == ([1.0, 3.0], [2.0, 4.0])
    for out in ("out.csv", "out.tsv", "out.fits", "out.ecsv"):
        write_catalog(source, columns(2), tmp_path / out, provenance=PROVENANCE)
        got = read_catalog(tmp_path / out).table
        assert got.colnames[:3] == ["ra", "dec", "n"]
        assert got["n"].tolist() == ["a", "b"]
        assert got["gm_class"].tolist() == ["disk", ""]


def test_cells_keep_their_text_when_the_delimiter_changes(tmp_path):
    source = read_catalog(_written(tmp_path, "# id ra dec\n007 1.500 +2\n008 1e0 3.\n", "a.dat"))
    write_catalog(source, [Column("gm_n", np.arange(2, dtype="i4"))], tmp_path / "o.csv", provenance=PROVENANCE)
    assert (tmp_path / "o.csv").read_text() == "id,ra,dec,gm_n\n007,1.500,+2,0\n008,1e0,3.,1\n"


def test_latin_1_is_read_and_copied(tmp_path):
    source = read_catalog(_written(tmp_path, "name,ra,dec\nGalaxië,1,2\n", encoding="latin-1"))
    assert source.table["name"][0] == "Galaxië"
    write_catalog(source, columns(1), tmp_path / "o.csv", provenance=PROVENANCE)
    assert (tmp_path / "o.csv").read_bytes().startswith(b"name,ra,dec,gm_class")
    assert "\nGalaxië,1,2,disk".encode("latin-1") in (tmp_path / "o.csv").read_bytes()


def test_nameless_and_repeated_columns_get_names(tmp_path):
    source = read_catalog(_written(tmp_path, ",ra,dec,ra\n1,2,3,4\n"))
    assert source.table.colnames == ["col1", "ra", "dec", "ra_2"]
    write_catalog(source, [Column("gm_n", np.array([7]))], tmp_path / "o.csv", provenance=PROVENANCE)
    assert (tmp_path / "o.csv").read_text() == ",ra,dec,ra,gm_n\n1,2,3,4,7\n"


def test_an_unpaired_quotation_mark_inside_a_cell_is_text(tmp_path):
    source = read_catalog(_written(tmp_path, 'ra,dec,note\n1,2,5" disc\n3,4,b\n'))
    assert source.table["note"].tolist() == ['5" disc', "b"]
    write_catalog(source, [Column("gm_n", np.array([7, 8]))], tmp_path / "o.csv", provenance=PROVENANCE)
    assert (tmp_path / "o.csv").read_text() == 'ra,dec,note,gm_n\n1,2,5" disc,7\n3,4,b,8\n'


def test_gzipped_text_is_read_and_written(tmp_path):
    path = tmp_path / "in.csv.gz"
    path.write_bytes(gzip.compress(b"ra,dec\n1.50,2\n"))
    write_catalog(read_catalog(path), [Column("gm_n", np.array([7]))], tmp_path / "o.csv.gz", provenance=PROVENANCE)
    assert gzip.decompress((tmp_path / "o.csv.gz").read_bytes()) == b"ra,dec,gm_n\n1.50,2,7\n"


def test_a_table_without_rows_is_read_and_extended(tmp_path):
    source = read_catalog(_written(tmp_path, "ra,dec\n"))
    assert len(source) == 0
    write_catalog(source, columns(0), tmp_path / "o.csv", provenance=PROVENANCE)
    assert (tmp_path / "o.csv").read_text().startswith("ra,dec,gm_class,")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1.5,2.5\n3.5,4.5\n", "no line of column names: its first line is '1.5,2.5'"),
        ("ra,dec\n1,2,3\n", "no readable table"),
        ("\n\n", "is empty"),
        ("ra,dec\n\x00\x01\x02,4\n", "is not a text table"),
    ],
)
def test_what_is_no_table_is_an_error_of_one_line(tmp_path, text, said):
    with pytest.raises(CatalogError, match=said) as caught:
        read_catalog(_written(tmp_path, text))
    assert "\n" not in str(caught.value)


def test_arrays_and_byte_columns_become_cells(tmp_path):
    fits_with_everything().writeto(tmp_path / "in.fits")
    write_catalog(read_catalog(tmp_path / "in.fits"), columns(), tmp_path / "o.csv", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "o.csv").table
    assert got["MAGS"][1] == "[3.0, 4.0, 5.0]"
    assert got["SPEC"][2] == "[0.0, 1.0]"
    assert got["NUL"].tolist() == [1, None, 3, None, 5]
    assert got["U32"][3] == 2**32 - 1


def test_a_table_from_memory_reads_back(tmp_path):
    write_catalog(catalog_from(table()), columns(), tmp_path / "o.csv", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "o.csv").table
    for name in table().colnames:
        np.testing.assert_allclose(got[name], table()[name], rtol=1e-6) if name == "mag" else assert_same_values(
            got[name], table()[name]
        )
    assert got["gm_class"].tolist() == columns()[0].values.tolist()


def test_sextractor_catalogues_are_read(tmp_path):
    text = (
        "#   1 NUMBER  Running object number\n#   2 X_IMAGE  Object position along x  [pixel]\n"
        "#   3 Y_IMAGE  Object position along y  [pixel]\n  1  10.5  20.5\n  2  11.0  21.0\n"
    )
    source = read_catalog(_written(tmp_path, text, "stars.cat"))
    assert source.xy.tolist() == [[9.5, 19.5], [10.0, 20.0]]
    assert source.ids.tolist() == ["1", "2"]
    write_catalog(source, columns(2), tmp_path / "o.fits", provenance=PROVENANCE)
    got = read_catalog(tmp_path / "o.fits")
    assert got.table["X_IMAGE"].description == "Object position along x"
    assert got.xy.tolist() == source.xy.tolist()


@pytest.mark.parametrize("number", ["99999", "18446744073709551616", "9" * 4000])
def test_a_header_that_numbers_endless_columns_is_refused_before_they_are_made(tmp_path, number):
    text = f"#   1 NUMBER  Number\n#   {number} X_IMAGE  X  [pixel]\n#   3 Y_IMAGE  Y  [pixel]\n  1  10.5  20.5\n"
    with pytest.raises(CatalogError, match="numbers a column"):
        read_catalog(_written(tmp_path, text, "stars.cat"))


def test_the_real_uds_catalogue_keeps_its_rows_and_both_rows_without_coordinates(shared_data, tmp_path):
    source = read_catalog(shared_data / "uds_f115w" / "uds_photometry.ecsv")
    assert len(source) == 384
    assert (source.id_column, source.ra_column, source.x_column) == ("id", "ra", "x")
    assert np.isnan(source.ra_deg).sum() == np.isnan(source.dec_deg).sum() == 2
    for ending in ("fits", "vot", "ecsv", "csv", "parquet"):
        path = tmp_path / f"uds.{ending}"
        write_catalog(source, columns(384), path, provenance=PROVENANCE)
        got = read_catalog(path)
        assert got.ids.tolist() == source.ids.tolist()
        np.testing.assert_array_equal(got.ra_deg, source.ra_deg)
        np.testing.assert_array_equal(got.xy, source.xy)


def test_the_real_sdss_labels_are_extended_line_by_line(shared_data, tmp_path):
    path = shared_data / "sdss_gz2" / "labels.csv"
    source = read_catalog(path)
    assert (len(source), source.file_column, source.ra_column) == (6620, "file", None)
    assert source.files[0] == "100018.jpg"
    write_catalog(source, [Column("gm_n", np.arange(6620))], tmp_path / "o.csv", provenance=PROVENANCE)
    before, after = path.read_text().splitlines(), (tmp_path / "o.csv").read_text().splitlines()
    assert [line.rpartition(",")[0] for line in after] == before
    assert [line.rpartition(",")[2] for line in after] == ["gm_n", *map(str, range(6620))]


def test_rows_of_comments_only_have_no_positions(tmp_path):
    source = read_catalog(_written(tmp_path, "# ra dec\n", "a.dat"))
    assert (len(source), source.ra_column) == (0, "ra")


POSITIONS = ([150.1, 150.25], [2.25, -0.5])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "ipac.txt",
            "| id|    ra|   dec|\n|int|double|double|\n|   |   deg|   deg|\n   1 150.1   2.25\n   2 150.25 -0.5\n",
        ),
        ("ipac.tbl", "\\RA='x'\n| id|    ra|   dec|\n|int|double|double|\n   1 150.1   2.25\n   2 150.25 -0.5\n"),
        ("parts.csv", "RAh,RAm,RAs,DE-,DEd,DEm,DEs\n10,00,24.0,+,02,15,00\n10,01,00.0,-,00,30,00\n"),
        ("numbers.csv", "RAh,RAm,DE-,DEd,DEm\n10,0.4,,2,15\n10,1.0,-,0,30\n"),
        ("closed.csv", "ra,dec,n\n150.1,2.25,a,\n150.25,-0.5,b,\n"),
        ("decimal.csv", "ra;dec;n\n150,1;2,25;a\n150,25;-0,5;b,c\n"),
        ("decimal.tsv", "ra\tdec\tn\n150,1\t2,25\t1\n150,25\t-0,5\t2\n"),
    ],
)
def test_layouts_of_archives_and_other_countries_have_their_positions(name, text, tmp_path):
    (tmp_path / name).write_text(text)
    catalog = read_catalog(tmp_path / name)
    np.testing.assert_allclose([catalog.ra_deg, catalog.dec_deg], POSITIONS, rtol=1e-12)
    write_catalog(catalog, [Column("new", np.arange(2.0))], tmp_path / "out.csv", provenance=Provenance())
    after = read_catalog(tmp_path / "out.csv")
    np.testing.assert_allclose([after.ra_deg, after.dec_deg], POSITIONS, rtol=1e-12)
    assert after.table["new"].tolist() == [0.0, 1.0]
    assert after.table.colnames == [*catalog.table.colnames, "new"]


def test_hours_without_minutes_and_degrees_without_a_sign_are_no_position(tmp_path):
    (tmp_path / "a.csv").write_text("RAh,RAm,RAs,DEd,DEm,DEs\n10,00,24.0,00,15,00\n")
    with pytest.raises(CatalogError, match="no column for declination beside"):
        read_catalog(tmp_path / "a.csv")


def test_a_line_with_too_many_cells_is_named(tmp_path):
    (tmp_path / "a.csv").write_text("# about\nra,dec\n1,2\n3,4\n5,6,7\n")
    with pytest.raises(CatalogError, match="line 5 has 3 cells, expected 2"):
        read_catalog(tmp_path / "a.csv")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("ra,dec,s\n1.5,2.5,x\n# second field\n3.5,4.5,y\n", "comment between its rows, line 3: '# second field'"),
        ("ra dec s\n1.5 2.5 x\n# second\n3.5 4.5 y\n", "comment between its rows, line 3"),
        ('ra,dec,"s\nt"\n1.5,2.5,x\n3.5,4.5,y\n', "goes on in the next line"),
    ],
)
def test_lines_that_would_be_rows_are_refused(text, said, tmp_path):
    (tmp_path / "in.csv").write_text(text)
    with pytest.raises(CatalogError, match=said):
        read_catalog(tmp_path / "in.csv")


def test_a_quotation_mark_in_a_name_and_a_hash_in_a_first_cell_are_letters(tmp_path):
    (tmp_path / "in.csv").write_text('id,ra,dec,r(5")\n#1,1.5,2.5,x\n"#2",3.5,4.5,y\n')
    read = read_catalog(tmp_path / "in.csv").table
    assert read.colnames == ["id", "ra", "dec", 'r(5")']
    assert read["id"].tolist() == ["#1", "#2"]


@pytest.mark.parametrize("cells", [["1e400", "2.5"], ["\u0663", "\u0664"], ["\u0663.5", "1.5"]])
def test_what_is_no_double_stays_text(cells, tmp_path):
    (tmp_path / "in.csv").write_text("ra,dec,v\n" + "".join(f"1.5,2.5,{cell}\n" for cell in cells), encoding="utf-8")
    assert read_catalog(tmp_path / "in.csv").table["v"].tolist() == cells
