"""What lies in a report for its script: all rows, exactly, whatever their texts hold, and pictures of some."""

from __future__ import annotations

import base64
import html
import io
import json
import re

import numpy as np
import pytest
import small_sky
from astropy.table import Table
from PIL import Image
from plans import plan_of

from galmorph.errors import OutputError
from galmorph.flags import Flag
from galmorph.pages.contact import Findings, Selection
from galmorph.pages.display_stretch import DisplayStretch
from galmorph.pages.embedded import embedded_column, json_text, packed
from galmorph.pages.listing import Listing, pictured_rows
from galmorph.pages.pictures import KeptPicture, run_lengths
from galmorph.pages.report import check_pictures, write_report
from galmorph.runs.classify import classify
from galmorph.runs.results import Results
from galmorph.sky.catalog import Column

HOSTILE = ["</script><script>alert(1)</script>", "<!--<script>", '"\\\u2028\u2029', "a&amp;b", "\x00\x1b", "\ud800"]
KINDS = {"f4": "<f4", "f8": "<f8", "i4": "<i4", "u1": "<u1", "u2": "<u2"}


def numbers(text: str, kind: str) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), KINDS[kind])


def values(column: dict) -> list:
    """Read a column as the script does."""
    if column["kind"] == "text":
        return column["values"]
    if column["kind"] == "words":
        return [column["words"][n] for n in numbers(column["data"], column["of"])]
    return numbers(column["data"], column["kind"]).tolist()


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_in_a_text_ends_the_script_element(text):
    written = str(json_text([text]))
    assert not re.search(r"[<>&\u2028\u2029\x00]", written)
    assert json.loads(written) == [text]


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        (np.array([1.5, np.nan, -1e-30], np.float32), "f4"),
        (np.array([1 / 3, np.inf]), "f8"),
        (np.array([2**31 - 1, -5], np.int64), "i4"),
        (np.array([], np.int32), "i4"),
        (np.array(["disk", "disk", "spheroid", "disk"]), "words"),
        (np.array([f"g{n}" for n in range(9)]), "text"),
    ],
)
def test_columns_come_back_exactly(given, kind):
    column = embedded_column(Column("c", given, "deg", "what it is"))
    assert column["kind"] == kind
    assert (column["name"], column["unit"], column["about"]) == ("c", "deg", "what it is")
    assert json.loads(str(json_text(column))) == column
    np.testing.assert_array_equal(np.array(values(column), given.dtype), given)


def test_whole_numbers_too_large_for_javascript_become_texts():
    assert values(embedded_column(Column("id", np.array([9_007_199_254_740_993])))) == ["9007199254740993"]


def test_many_words_take_two_bytes_each():
    words = np.repeat([f"w{n}" for n in range(300)], 4)
    column = embedded_column(Column("w", words))
    assert (column["kind"], column["of"]) == ("words", "u2")
    assert values(column) == words.tolist()


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sky")
    sky = small_sky.write_sky(folder)
    catalog = Table.read(sky.catalog)
    catalog["id"] = [*HOSTILE[:4], "plain", "plain too", "last"]
    plan = plan_of(catalog, sky.image, survey="candels", band="H", checkpoint=small_sky.checkpoint())
    outcome = classify(plan)
    return plan.run, outcome.results, outcome.table(), folder


@pytest.fixture(scope="module")
def page(finished) -> str:
    run, results, _, folder = finished
    return write_report(run, results, folder / "report", pictures=4).read_text(encoding="utf-8")


def embedded(page: str, name: str):
    (text,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, flags=re.DOTALL)
    return json.loads(text)


def test_a_page_lists_all_rows_as_they_are_in_the_table(page, finished):
    _, results, table, _ = finished
    listing = embedded(page, "listing-data")
    columns = {column["name"]: column for column in listing["columns"]}
    assert list(columns) == ["id", "ra", "dec", *(n for n in table.colnames if n.startswith("gm_"))]
    for name, column in columns.items():
        if table[name].dtype.kind in "US":
            assert values(column) == [str(v) for v in table[name]]
        else:
            np.testing.assert_array_equal(np.array(values(column)), np.asarray(table[name], dtype=float))
    assert listing["rows"] == len(results)
    for text in HOSTILE[:2]:
        assert text not in page
        assert html.escape(text) in page  # as a heading of its card


def test_pictures_are_few_and_of_rows_with_an_image(page):
    kept = embedded(page, "pictures-data")
    assert len(kept) == 4
    assert [each["row"] for each in kept] == sorted(each["row"] for each in kept)
    for each in kept:
        with Image.open(io.BytesIO(base64.b64decode(each["stamp"]))) as stamp:
            assert stamp.size == (128, 128)
            # Levels are those of the kept stretch: the middle is the galaxy's.
            levels = np.asarray(stamp, float)
        assert levels[60:68, 60:68].mean() > np.median(levels) + 40
        assert each["kept"][0] < each["shown"][0] < each["shown"][1] < each["kept"][1]


def test_a_kept_stamp_is_the_flux_within_the_stated_limits(finished):
    run, _, _, _ = finished
    from galmorph.pages.galaxy_view import view_of  # noqa: PLC0415
    from galmorph.runs.gather import gather  # noqa: PLC0415

    (galaxy,) = gather(run.gathering, np.array([2]))
    view = view_of(galaxy, run.images, run.recipe, 128)
    picture = KeptPicture.of(view, network=True)
    with Image.open(io.BytesIO(picture.stamp)) as stamp:
        share = np.asarray(stamp, float)[::-1] / 255
    kept = picture.kept
    low, high = np.arcsinh(kept.black / kept.softening), np.arcsinh(kept.white / kept.softening)
    flux = kept.softening * np.sinh(low + share * (high - low))
    expected = np.clip(view.planes[0] / kept.unit, kept.black, kept.white)
    near_sky = np.abs(expected) < 2
    assert np.sqrt(np.mean((flux - expected)[near_sky] ** 2)) < 0.3  # standard deviations of the sky
    bright = expected > 20
    assert np.median(np.abs(flux / expected - 1)[bright]) < 0.05
    assert isinstance(kept, DisplayStretch)


def test_runs_of_pixels_are_counted():
    mask = np.zeros((30, 30), np.bool_)
    mask[20:, 3:9] = True
    lengths, flat, is_set = list(run_lengths(mask)), [], False
    for run in lengths:
        flat += [is_set] * run
        is_set = is_set if run == 255 else not is_set
    flat += [False] * (mask.size - len(flat))
    assert flat == mask.ravel().tolist()
    assert run_lengths(~np.zeros((20, 20), np.bool_)) == bytes([0, 255, 145])
    assert run_lengths(np.zeros((2, 2), np.bool_)) == b""


def selection(*rows: int) -> Selection:
    return Selection(np.array(rows, np.intp), np.zeros(0, np.intp), np.zeros(0, np.intp))


def test_pictures_are_of_the_contact_sheet_first_and_then_by_lot():
    results = Results.empty(1000, 2)
    results.flags[::2] = int(Flag.NO_IMAGE)
    sheet = selection(901, 7, 8, 333)
    rows = pictured_rows(results, sheet, 50)
    assert len(rows) == 50
    assert {901, 7, 333} <= set(rows.tolist())
    assert (rows % 2 == 1).all()
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert rows.max() - rows.min() > 700  # from all over the catalogue
    np.testing.assert_array_equal(rows, pictured_rows(results, sheet, 50))
    assert len(pictured_rows(results, sheet, 0)) == 0
    assert len(pictured_rows(results, sheet, 10_000)) == 500


def test_very_many_rows_are_drawn_by_lot_and_those_with_pictures_are_among_them(finished):
    run, results, _, _ = finished
    n = len(results)
    findings = Findings(None, np.full(n, -1), np.full(n, np.nan), np.zeros((n, 0)), Flag(0))
    listing = Listing(run, results, findings, np.array([6]), most=3)
    assert len(listing.rows) == 3
    assert 6 in listing.rows
    contents = listing.contents()
    assert contents["rows"] == 3
    assert numbers(contents["numbers"], "i4").tolist() == listing.rows.tolist()
    assert all(len(values(column)) == 3 for column in contents["columns"])


def test_packed_numbers_have_their_lowest_byte_first():
    assert base64.b64decode(packed([1, 258], "i4")) == bytes([1, 0, 0, 0, 2, 1, 0, 0])


@pytest.mark.parametrize(("pictures", "report", "word"), [(5, None, "--report"), (-1, "folder", "0 or more")])
def test_a_number_of_pictures_that_makes_no_sense_is_refused(pictures, report, word):
    with pytest.raises(OutputError, match=word):
        check_pictures(pictures, report)
    check_pictures(0, "folder")
