"""Formats: what every file format of catalogues does."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import catalog_samples
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from catalog_samples import PROVENANCE, assert_same_values

from galmorph.errors import CatalogError
from galmorph.sky.catalog import Provenance, catalog_from, read_catalog, write_catalog
from galmorph.sky.formats.column import Positions, table_with
from galmorph.sky.formats.registry import FORMATS, Format, format_of_input, format_of_output

__all__ = ["FormatTests"]


class FormatTests:
    """Inherit, and name the format in :attr:`form`; switch off only what the format cannot hold, and say why."""

    form: ClassVar[Format]
    keeps_units: ClassVar[bool] = True
    """Whether units, descriptions, UCDs and provenance survive: text of cells alone has no place for them."""
    keeps_types: ClassVar[bool] = True
    """Whether a number of single precision is one when it is read: digits do not say."""
    has_one_table: ClassVar[bool] = True
    """Whether a file has one table only, so that an HDU is refused."""
    can_be_cut_short: ClassVar[bool] = False
    """Whether a file that ends too early is one of fewer rows, as a text of lines is."""

    @pytest.fixture
    def table(self) -> Table:
        """Return a small table with numbers, text, booleans, units and header cards."""
        return catalog_samples.table()

    @pytest.fixture
    def path(self, tmp_path: Path, table: Table) -> Path:
        """Write the table with the usual ending of the format."""
        return self.written(tmp_path / f"in{self.form.endings[0]}", table)

    def written(self, path: Path, table: Table) -> Path:
        self.form.write(table, Provenance(), path, Positions("ra", "dec", table["ra"].data, table["dec"].data))
        return path

    def files(self, path: Path) -> list[Path]:
        """Return the files in which a table is: one, or those of a folder."""
        return sorted(path.rglob("*.parquet")) if self.form.is_folder else [path]

    def test_it_is_in_the_list_of_formats(self):
        assert type(self.form) in {type(form) for form in FORMATS}
        assert [form.name for form in FORMATS].count(self.form.name) == 1

    def test_its_endings_are_its_own(self):
        assert self.form.endings
        assert set(self.form.read_only) <= set(self.form.endings)
        for ending in set(self.form.endings) - set(self.form.read_only):
            assert ending == ending.lower()
            assert ending.startswith(".")
            assert format_of_output(Path(f"a{ending}")).name == self.form.name

    def test_its_files_are_known_again(self, path):
        assert format_of_input(path).name == self.form.name

    def test_other_formats_do_not_take_its_files_for_theirs(self, path):
        if self.form.is_folder:
            pytest.skip("a folder has no first bytes")
        head = path.read_bytes()[:2048]
        assert [form.name for form in FORMATS if form.knows(head)] in ([self.form.name], [])

    def test_what_is_written_is_read(self, path, table):
        after, _ = self.form.read(path, None)
        assert after.colnames == table.colnames
        for name in table.colnames:
            assert_same_values(table[name], after[name])

    def test_units_descriptions_and_ucds_are_kept(self, path, table):
        if not self.keeps_units:
            pytest.skip("cells alone")
        after, _ = self.form.read(path, None)
        assert str(after["mag"].unit) == str(table["mag"].unit)
        assert after["mag"].description == table["mag"].description
        assert after["mag"].meta["ucd"] == table["mag"].meta["ucd"]
        assert str(after.meta["SURVEY"]) == "EGS"

    def test_nulls_stay_null(self, tmp_path, table):
        table["mag"][1] = np.nan
        table["count"] = MaskedColumn([1, 2, 3, 4, 5], mask=[0, 1, 0, 0, 1])
        after, _ = self.form.read(self.written(tmp_path / f"null{self.form.endings[0]}", table), None)
        assert np.isnan(np.ma.filled(np.ma.asarray(after["mag"], dtype=float), np.nan)).tolist() == [0, 1, 0, 0, 0]
        assert_same_values(after["count"], table["count"])

    def test_a_table_without_rows_is_one(self, tmp_path, table):
        after, _ = self.form.read(self.written(tmp_path / f"empty{self.form.endings[0]}", table[:0]), None)
        assert after.colnames == table.colnames
        assert len(after) == 0

    def test_appending_keeps_all_and_adds_the_columns(self, path, tmp_path, table):
        columns = catalog_samples.columns()
        target = tmp_path / f"out{self.form.endings[0]}"
        write_catalog(read_catalog(path), columns, target, provenance=PROVENANCE)
        after = read_catalog(target).table
        expected = table_with(table, columns)
        assert after.colnames == expected.colnames
        for name in expected.colnames:
            column = after[name] if self.keeps_types else after[name].astype(expected[name].dtype)
            assert_same_values(expected[name], column)

    def test_appending_is_writing_anew(self, path, tmp_path):
        """Where the format extends a copy of the file, the result reads as one that is made of the table."""
        columns, ending = catalog_samples.columns(), self.form.endings[0]
        table, index = self.form.read(path, None)
        if not self.form.append(path, index, columns, PROVENANCE, tmp_path / f"extended{ending}"):
            pytest.skip("it is always written anew")
        self.form.write(table_with(table, columns), PROVENANCE, tmp_path / f"anew{ending}")
        extended, _ = self.form.read(tmp_path / f"extended{ending}", None)
        anew, _ = self.form.read(tmp_path / f"anew{ending}", None)
        assert extended.colnames == anew.colnames
        for name in anew.colnames:
            assert_same_values(extended[name], anew[name])
            assert str(extended[name].unit) == str(anew[name].unit)
            assert extended[name].description == anew[name].description

    def test_the_source_is_left_as_it_is(self, path, tmp_path):
        before = [file.read_bytes() for file in self.files(path)]
        target = tmp_path / f"out{self.form.endings[0]}"
        write_catalog(read_catalog(path), catalog_samples.columns(), target, provenance=PROVENANCE)
        assert [file.read_bytes() for file in self.files(path)] == before
        assert before

    def test_provenance_is_kept(self, path, tmp_path):
        if not self.keeps_units:
            pytest.skip("cells alone")
        target = tmp_path / f"out{self.form.endings[0]}"
        write_catalog(read_catalog(path), catalog_samples.columns(), target, provenance=PROVENANCE)
        meta = {str(key).upper(): value for key, value in read_catalog(target).table.meta.items()}
        assert meta["GMMODEL"] == "nircam-f200w"
        assert "second line" in str(meta["HISTORY"])

    def test_a_table_in_memory_is_written(self, tmp_path, table):
        target = tmp_path / f"out{self.form.endings[0]}"
        write_catalog(catalog_from(table), catalog_samples.columns(), target, provenance=PROVENANCE)
        assert len(read_catalog(target)) == len(table)

    @pytest.mark.parametrize("keep", [0.3, 0.7, 0.95])
    def test_a_damaged_file_is_an_error_of_one_line(self, tmp_path, table, keep):
        if self.can_be_cut_short:
            pytest.skip("what is left is a file of fewer rows")
        rows = np.arange(2000) % len(table)  # so many that no cut falls into padding
        path = self.written(tmp_path / f"in{self.form.endings[0]}", table[rows])
        content = self.files(path)[-1].read_bytes()
        self.files(path)[-1].write_bytes(content[: int(len(content) * keep)])
        with pytest.raises(CatalogError) as caught:
            self.form.read(path, None)
        assert "\n" not in str(caught.value)
        assert path.name in str(caught.value)

    def test_a_table_that_is_not_there_is_refused(self, path):
        with pytest.raises(CatalogError) as caught:
            self.form.read(path, "no such table")
        assert path.name in str(caught.value)
        if self.has_one_table:
            assert "leave --hdu away" in str(caught.value)
