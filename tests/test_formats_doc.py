"""What docs/formats.md says: its table of what comes back is measured, every other statement names its tests."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

import galmorph
from galmorph.limits import LIMITS
from galmorph.sky.catalog import Provenance, catalog_from, read_catalog, write_catalog
from galmorph.sky.formats.registry import FORMATS

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = Path(galmorph.__file__).parent
TEXT = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
NAMES = [form.name for form in FORMATS]
MASK = [False, True, False]


def with_unit(kind: str) -> Table:
    table = drawn([1.0, 2.0, 3.0])
    column = table["v"]
    column.unit, column.description, column.meta["ucd"] = "mag", "total magnitude", "phot.mag"
    table.meta["SURVEY"] = "EGS"
    del kind
    return table


def drawn(values, name: str = "v") -> Table:
    table = Table({"ra": [1.0, 2.0, 3.0], "dec": [4.0, 5.0, 6.0]})
    table[name] = values
    return table


CELLS = {
    "whole numbers of 64 bits": np.array([2**53 + 1, -(2**63), 2**63 - 1]),
    "every digit of a double": np.array([0.1, 1 / 3, -1e300]),
    "single precision": np.array([0.1, 1 / 3, -1e30], dtype="f4"),
    "NaN and infinities": np.array([np.nan, np.inf, -np.inf]),
    "true and false": np.array([True, False, True]),
    "null whole numbers": MaskedColumn([1, 2, 3], mask=MASK),
    "null truth values": MaskedColumn([True, False, True], mask=MASK),
    "text with commas, quotes and line ends": np.array(['a,b "c"', "d\ne", "'"]),
    "empty text": np.array(["a", "", "b"]),
    "letters outside ASCII": np.array(["α", "é", "中"]),
    "blanks at the ends of a text": np.array([" a", "b ", " c "]),
    "text that looks like a number": np.array(["007", "1e5x", "nan"]),
    "arrays in cells": np.arange(6.0).reshape(3, 2),
}
TOLD = {
    "units": lambda table: str(table["v"].unit) == "mag",
    "descriptions": lambda table: table["v"].description == "total magnitude",
    "UCDs": lambda table: table["v"].meta.get("ucd") == "phot.mag",
    "cards of the header": lambda table: str(table.meta.get("SURVEY")) == "EGS",
}


def again(table: Table, form: str, folder: Path) -> Table:
    ending = next(f.endings[0] for f in FORMATS if f.name == form)
    path = folder / f"out{ending}"
    write_catalog(catalog_from(table), [], path, provenance=Provenance())
    return read_catalog(path).table


def what_comes_back(kind: str, form: str, folder: Path) -> str:
    """Return 'yes', or else what a cell is after a round trip."""
    if kind in TOLD:
        return "yes" if TOLD[kind](again(with_unit(kind), form, folder)) else "no"
    if kind == "names outside ASCII":
        return "yes" if "α" in again(drawn([1, 2, 3], "α"), form, folder).colnames else "escaped"
    before, after = drawn(CELLS[kind])["v"], again(drawn(CELLS[kind]), form, folder)["v"]
    return _compared(before, after)


def _compared(before, after) -> str:
    if before.dtype.kind != after.dtype.kind:
        return f"as {'text' if after.dtype.kind == 'U' else after.dtype.name}"
    if before.dtype.kind != "U" and before.dtype.itemsize != after.dtype.itemsize:
        return "as double" if after.dtype == np.float64 else f"as {after.dtype.name}"
    if (np.ma.getmaskarray(before) != np.ma.getmaskarray(after)).any():
        return "NaN as null" if np.isnan(before[np.ma.getmaskarray(after)]).all() else "no"
    one, two = (np.ma.asarray(column).compressed().tolist() for column in (before, after))
    if repr(one) == repr(two):
        return "yes"
    return "only before it" if [cell.rstrip() for cell in one] == two else "escaped" if "\\u" in two[0] else "no"


KINDS = [*CELLS, "names outside ASCII", *TOLD]


def documented() -> dict[str, list[str]]:
    rows = [line.strip("| \n").split(" | ") for line in TEXT.splitlines() if line.startswith("| ")]
    header = next(n for n, cells in enumerate(rows) if cells[0] == "comes back")
    assert rows[header][1:] == [f"`{name}`" for name in NAMES]
    return {cells[0]: cells[1:] for cells in rows[header + 1 :] if cells[0] in KINDS}


@pytest.mark.parametrize("form", NAMES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_comes_back_is_what_the_table_says(kind, form, tmp_path):
    assert what_comes_back(kind, form, tmp_path) == documented()[kind][NAMES.index(form)]


def test_the_table_has_all_that_is_measured_and_no_more():
    assert list(documented()) == KINDS


def test_control_characters_are_left_out_with_a_word_about_it(tmp_path, caplog):
    after = again(drawn(["a\x01b", "c", "d\x0ce"]), "votable", tmp_path)
    assert after["v"].tolist() == ["ab", "c", "de"]
    assert "2 cells" in caplog.text


def test_the_table_of_limits_is_the_code_s():
    rows = re.findall(r"^\| ([^|]+) \| (\d+) \| `(\w+)` \|$", TEXT, flags=re.MULTILINE)
    assert [(what, int(number), name) for what, number, name in rows] == [
        (limit.about, limit.usual, limit.name) for limit in LIMITS.values()
    ]


def test_every_limit_holds_somewhere():
    code = "".join(path.read_text(encoding="utf-8") for path in sorted(PACKAGE.rglob("*.py")))
    assert [name for name in LIMITS if f'LIMITS["{name}"]' not in code] == []


STATEMENTS = {
    "Mosaics**": "test_a_window_is_read_and_little_else test_rows_get_the_values_that_local_files_give",
    "Colour pictures**": "test_the_scale_follows_from_the_radius_where_there_is_one "
    "test_rows_are_in_the_middle_of_their_pictures test_sizes_and_centres_are_those_of_the_sky_at_any_scale",
    "Frames**": "test_many_rows_in_a_field_cost_one_query_and_one_frame_a_band test_bands_are_brought_together "
    "test_the_survey_s_checkpoint_answers_for_three_bands",
    "What is refused?**": "test_what_is_no_such_picture_is_asked_for_again_and_not_kept "
    "test_positions_are_sent_to_no_other_host test_a_row_whose_picture_cannot_be_had_is_flagged_and_the_others_go_on",
    "A catalogue in HATS": "test_partitions_are_cells_of_the_sky_that_have_few_rows_and_cover_all "
    "test_every_row_comes_back_in_its_order_and_again_when_written_elsewhere "
    "test_positions_that_are_no_degrees_get_columns_of_them "
    "test_rows_without_a_position_lie_beside_the_dataset_and_come_back "
    "test_only_a_catalogue_in_hats_is_replaced_and_only_when_asked test_a_folder_of_parquet_files_is_one_table "
    "test_lsdb_reads_all_rows_and_finds_them_by_their_place",
    "Which columns are the position": "test_named_columns_win_over_everything test_main_ucds_win_over_usual_names_and_"
    "usual_names_over_other_ucds test_units_of_right_ascension test_pixel_columns_of_sextractor_count_from_one",
    "Which table of a file": "test_the_first_table_with_positions_is_the_catalogue",
    "What is written is read back": "test_what_a_writer_loses_is_noticed_and_no_file_is_left",
    "What comes back": "test_what_comes_back_is_what_the_table_says test_input_columns_come_back_to_the_last_bit",
    "Limits.": "test_the_table_of_limits_is_the_code_s test_impossible_numbers_of_a_header_are_refused_by_name "
    "test_documents_that_cannot_be_followed_are_refused test_a_small_file_that_expands_to_a_huge_one_is_refused "
    "test_arrays_larger_than_their_document_are_refused_before_there_is_room_for_them "
    "test_long_cells_are_no_angles_and_take_no_time",
    "FITS: letters outside": "test_letters_that_fits_lacks_are_escaped_said_once_and_stay_two_names",
    "VOTable: control characters": "test_control_characters_are_left_out_with_a_word_about_it "
    "test_fields_of_one_name_are_numbered_in_no_time",
    "ECSV and CSV: a first cell": "test_first_cells_that_look_like_comments_keep_their_rows "
    "test_layouts_of_archives_and_other_countries_have_their_positions",
    "Parquet: metadata": "test_metadata_that_do_not_parse_are_ignored_in_both_directions "
    "test_decimals_keep_their_digits test_times_keep_nanoseconds "
    "test_nested_cells_of_parquet_are_arrays_or_text_of_json "
    "test_bytes_are_text_where_they_are_some_and_escapes_elsewhere",
    "Arrays: a null whole number": "test_null_numbers_in_arrays_of_different_lengths_stay_null "
    "test_integers_among_reals_of_different_lengths_keep_their_digits "
    "test_arrays_of_complex_numbers_are_arrays_or_text",
    "A card that FITS does not know": "test_a_card_that_cannot_be_parsed_costs_no_catalogue_and_is_copied_as_it_is",
    "A comma after each row": "test_layouts_of_archives_and_other_countries_have_their_positions",
    "A row with more cells": "test_a_line_with_too_many_cells_is_named",
    "Tables of IPAC": "test_layouts_of_archives_and_other_countries_have_their_positions "
    "test_sextractor_catalogues_are_read",
    "Rows of a VOTable in another place": "test_documents_that_cannot_be_followed_are_refused "
    "test_wherever_a_stream_is_cut_no_row_is_lost_in_silence "
    "test_binary_cells_whose_length_is_read_in_two_ways_are_refused",
    "Arrays of FITS cells outside": "test_a_pointer_past_the_heap_is_refused "
    "test_aliases_that_stand_for_too_much_are_refused",
    "Pipes and devices": "test_what_is_no_file_is_refused",
    "Which HDU?": "test_the_hdu_of_a_role_is_found_by_its_name_and_gives_inverse_variances "
    "test_every_chip_of_a_file_is_a_tile test_the_wcs_of_the_primary_hdu_counts_for_its_extensions "
    "test_the_planes_of_a_cube_are_bands test_brackets_at_the_end_name_an_hdu",
    "Which files of a folder?": "test_of_the_folder_of_a_release_the_image_is_measured "
    "test_files_left_out_of_a_folder_are_named",
    "Two images of the same pixels": "test_two_images_on_one_grid_are_a_question "
    "test_of_images_on_one_grid_the_one_of_the_band_is_meant",
    "Weights and noise?": "test_the_image_never_stands_for_a_map_that_is_missing "
    "test_a_map_of_another_tile_is_refused_though_its_shape_is_the_same test_a_map_without_wcs_goes_by_its_shape",
    "Which map goes with which image?": "test_weights_match_by_name_whatever_their_order "
    "test_weights_match_by_order_where_names_do_not_tell test_every_chip_has_the_map_of_its_version",
    "Which image, where several": "test_the_tile_whose_edge_is_farthest_is_chosen "
    "test_a_tile_without_data_at_the_position_loses",
    "What is no data?": "test_constants_outside_a_footprint_are_no_data test_infinities_in_any_plane_are_no_data "
    "test_blank_and_scaled_integers_have_no_data_where_they_say test_pixels_without_data_are_nan_and_said",
    "What is a pixel worth?": "test_cards_of_the_primary_header_count_for_the_extension",
    "Pixels of other scales": "test_inverse_variances_stay_in_single_precision_whatever_the_unit",
    "Pixels that are not square": "test_pixels_far_from_square_are_refused "
    "test_shapes_are_those_on_the_sky_where_pixels_are_not_square",
    "Odd WCS": "test_spellings_of_degree_are_understood "
    "test_leftover_distortion_is_ignored_where_the_survey_or_ctype_says_so",
    "What is colour?": "test_shifted_and_rotated_grids_are_brought_together",
    "What do display stamps lack?": "test_stamps_do_not_know_the_sky "
    "test_names_are_the_same_however_systems_and_tables_spell_them",
    "What is too much?": "test_a_picture_too_large_to_be_a_stamp_is_an_error "
    "test_a_member_of_a_zip_that_expands_too_far_is_not_expanded",
}
"""What the document states, by how it begins, and the tests that hold it."""


def statements() -> list[str]:
    """Return the points of lists, and paragraphs that begin with a bold word, of what is said of files."""
    files = TEXT.partition("## In memory")[0]
    leads = re.findall(r"^(?:- |\*\*)(.+)$", files, flags=re.MULTILINE)
    return [lead.removeprefix("**") for lead in leads]


@pytest.mark.parametrize("statement", statements())
def test_every_statement_has_a_test(statement):
    tests = [names for lead, names in STATEMENTS.items() if statement.startswith(lead)]
    assert len(tests) == 1, f"name the tests of '{statement[:60]}' in STATEMENTS"
    missing = [name for name in tests[0].split() if f"def {name}(" not in all_tests()]
    assert missing == []


def test_no_statement_is_gone():
    assert [lead for lead in STATEMENTS if not any(statement.startswith(lead) for statement in statements())] == []


@functools.cache
def all_tests() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "tests").rglob("test_*.py")))
