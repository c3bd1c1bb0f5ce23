"""The journal: parts that are done are kept until the result is written, and never put together with others."""

from __future__ import annotations

import json
import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.table import Table
from astropy.wcs import WCS
from plans import plan_of
from test_parts import assert_equal

import galmorph
from galmorph.errors import OutputError
from galmorph.runs import classify as module
from galmorph.runs import column_pieces
from galmorph.runs import parts as division
from galmorph.runs.classify import classify, classify_share
from galmorph.runs.execution import Execution
from galmorph.runs.fingerprint import fingerprint_of
from galmorph.runs.journal import Journal
from galmorph.runs.parts import classify_part, parts_of
from galmorph.runs.status import folder_of, read_status
from galmorph.sky import mapped
from galmorph.sky.catalog import read_catalog
from galmorph.sky.formats import rows

H = {"survey": "candels", "band": "H"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def plan(sky, tmp_path_factory):
    """Plan to measure thirty rows, whose parts have ten."""
    path = tmp_path_factory.mktemp("rows") / "rows.fits"
    small_sky.table(np.tile(small_sky.XY, (5, 1))[:30]).write(path)
    with closing(plan_of(path, sky.image, weight=sky.weight, network=False, detect="cutouts", **H)) as plan:
        yield plan


@pytest.fixture(autouse=True)
def _small_parts(monkeypatch):
    monkeypatch.setattr(division, "PART_ROWS", 10)


class StoppedError(Exception):
    """What stops a run in these tests."""


def stop_after(count: int):
    """Return progress that stops the run after some parts."""

    def progress(*call):
        if call[1] >= 10 * count:
            raise StoppedError

    return progress


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def bytes_of(path: Path) -> bytes:
    """Bytes of a table without when it was made."""
    table = Table.read(path)
    return b"".join(np.ascontiguousarray(table[name]).tobytes() for name in table.colnames)


def test_a_stopped_run_goes_on_where_it_was(plan, tmp_path, monkeypatch):
    classify(plan, output=tmp_path / "whole.fits")
    with pytest.raises(StoppedError):
        classify(plan, output=tmp_path / "out.fits", progress=stop_after(2))
    assert not (tmp_path / "out.fits").exists()
    assert (names_in(folder_of(tmp_path / "out.fits"))) == ["000000.npz", "run.json"]
    done = []
    monkeypatch.setattr(
        "galmorph.runs.engines.local.classify_part",
        lambda p, rows, **_: done.append(len(rows)) or classify_part(p, rows),
    )
    classify(plan, output=tmp_path / "out.fits")
    assert done == [10, 10]
    assert bytes_of(tmp_path / "out.fits") == bytes_of(tmp_path / "whole.fits")
    assert names_in(tmp_path) == ["out.fits", "whole.fits"]


def test_whoever_stops_a_run_is_told_that_it_goes_on(plan, tmp_path, caplog):
    def stop(*call):
        if call[1] >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        classify(plan, output=tmp_path / "out.fits", progress=stop)
    assert "out.fits.parts': the same command goes on with the rest" in caplog.text


def test_a_run_of_one_part_leaves_no_trace(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(division, "PART_ROWS", 100)
    with pytest.raises(StoppedError):
        classify(plan, output=tmp_path / "out.fits", progress=stop_after(1))
    assert names_in(tmp_path) == []


@pytest.fixture
def journal(plan, tmp_path) -> Journal:
    return Journal.begin(tmp_path / "out.fits.parts", fingerprint_of(plan), parts_of(plan))


def test_parts_come_back_as_they_were(plan, journal):
    part = parts_of(plan)[1]
    results = classify_part(plan, part.rows)
    assert journal.read(part) is None
    journal.write(part, results)
    assert_equal(journal.read(part), results)
    assert (journal.folder / "000001.npz").exists()


def spoilt(path: Path, how: str) -> None:
    content = path.read_bytes()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "text":
        path.write_text("no part")
    elif how == "changed":
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        arrays["x"] = arrays["x"] + 1.0
        np.savez(path, **arrays)
    elif how == "pickled":
        np.savez(path, about=np.array([{"a": 1}], dtype=object))
    else:
        arrays = dict(np.load(path))
        about = json.loads(arrays.pop("about").tobytes()) | {"run": "another"}
        np.savez(path, about=np.frombuffer(json.dumps(about).encode(), np.uint8), **arrays)


@pytest.mark.parametrize("how", ["cut", "empty", "text", "changed", "pickled", "of another run"])
def test_a_part_that_is_not_what_was_written_is_done_again(plan, journal, tmp_path, how, caplog):
    for part in parts_of(plan):
        journal.write(part, classify_part(plan, part.rows))
    path = journal.folder / "000001.npz"
    spoilt(path, how)
    assert journal.read(parts_of(plan)[1]) is None
    assert "it is done again" in caplog.text
    classify(plan, output=tmp_path / "out.fits")
    classify(plan, output=tmp_path / "whole.fits")
    assert bytes_of(tmp_path / "out.fits") == bytes_of(tmp_path / "whole.fits")


@pytest.mark.parametrize("count", [2, 3])
def test_shares_and_then_the_whole_are_a_run_in_one_piece(plan, tmp_path, count, monkeypatch):
    classify(plan, output=tmp_path / "whole.fits")
    for n in range(count, 0, -1):
        status = classify_share(plan, output=tmp_path / "out.fits", execution=Execution(shard=f"{n}/{count}"))
    assert (status.rows, status.of_rows, status.parts, status.of_parts) == (30, 30, 3, 3)
    monkeypatch.setattr(module, "engine_for", None)  # nothing is left to be done
    classify(plan, output=tmp_path / "out.fits")
    assert bytes_of(tmp_path / "out.fits") == bytes_of(tmp_path / "whole.fits")


def test_a_share_of_one_part_is_not_done_again_nor_left_behind(plan, tmp_path, monkeypatch):
    monkeypatch.setattr(division, "PART_ROWS", 100)
    for n in (1, 2):
        classify_share(plan, output=tmp_path / "out.fits", execution=Execution(shard=f"{n}/2"))
    monkeypatch.setattr(module, "engine_for", None)  # nothing is left to be done
    classify(plan, output=tmp_path / "out.fits")
    assert names_in(tmp_path) == ["out.fits"]


def test_what_no_share_did_is_done_by_the_whole(plan, tmp_path):
    classify(plan, output=tmp_path / "whole.fits")
    classify_share(plan, output=tmp_path / "out.fits", execution=Execution(shard="2/3"))
    classify(plan, output=tmp_path / "out.fits")
    assert bytes_of(tmp_path / "out.fits") == bytes_of(tmp_path / "whole.fits")


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("centroid", {"settings": {"centroid": "isophotal"}}),
        ("backend", {"settings": {"backend": "sep"}}),
        ("survey", {"images": {"survey": None, "band": None}}),
    ],
)
def test_parts_of_other_settings_are_refused(plan, tmp_path, what, change):
    with pytest.raises(StoppedError):
        classify(plan, output=tmp_path / "out.fits", progress=stop_after(2))
    changes = {name: replace(getattr(plan, name), **values) for name, values in change.items()}
    with closing(replace(plan, **changes)) as other, pytest.raises(OutputError, match=f"whose {what} was") as refusal:
        classify(other, output=tmp_path / "out.fits")
    assert "remove the folder, or choose another output" in str(refusal.value)


def test_parts_of_another_catalogue_or_image_are_refused(sky, tmp_path):
    image = tmp_path / "image.fits"
    image.write_bytes(sky.image.read_bytes())
    rows = small_sky.table(np.tile(small_sky.XY, (5, 1))[:30])
    with closing(plan_of(rows, image, network=False, **H)) as mine:
        classify_share(mine, output=tmp_path / "out.fits", execution=Execution(shard="1/2"))
    rows["ra"][3] += 1e-5
    with (
        closing(plan_of(rows, image, network=False, **H)) as moved,
        pytest.raises(OutputError, match="whose catalogue"),
    ):
        classify(moved, output=tmp_path / "out.fits")
    rows["ra"][3] -= 1e-5
    os.utime(image, ns=(1, 1))
    later = plan_of(rows, image, network=False, **H)
    with closing(later), pytest.raises(OutputError, match="whose images"):
        classify(later, output=tmp_path / "out.fits")


def test_other_names_of_columns_are_the_same_run(plan, tmp_path):
    with pytest.raises(StoppedError):
        classify(plan, output=tmp_path / "out.fits", progress=stop_after(2))
    with closing(replace(plan, settings=replace(plan.settings, prefix="h_"))) as renamed:
        classify(renamed, output=tmp_path / "out.fits")
    assert "h_rpet" in Table.read(tmp_path / "out.fits").colnames


def test_images_in_memory_are_known_by_their_pixels(sky):
    def of_memory():
        with fits.open(sky.image) as hdus:
            images = (np.array(hdus[0].data, np.float32), WCS(hdus[0].header))
        return plan_of(small_sky.table(), images, network=False, **H)

    prints = []
    for _ in range(2):
        with closing(of_memory()) as plan:
            prints.append(fingerprint_of(plan))
    assert prints[0] == prints[1]


def test_a_folder_of_other_files_is_left_alone(plan, tmp_path):
    folder = tmp_path / "out.fits.parts"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="has other files"):
        classify(plan, output=tmp_path / "out.fits")
    assert names_in(folder) == ["notes.txt"]


def test_files_of_others_survive_the_end_of_a_run(plan, journal, tmp_path):
    (journal.folder / "notes.txt").write_text("mine")
    classify(plan, output=tmp_path / "out.fits")
    assert names_in(journal.folder) == ["notes.txt"]


@pytest.mark.parametrize("text", ["", "{", "[]", '{"run": {}}', '{"run": 1, "rows": []}'])
def test_a_header_that_says_nothing_is_told(plan, journal, tmp_path, text):
    (journal.folder / "run.json").write_text(text)
    for call in (lambda: classify(plan, output=tmp_path / "out.fits"), lambda: read_status(tmp_path / "out.fits")):
        with pytest.raises(OutputError, match="remove the folder"):
            call()


def test_a_run_that_another_one_overtook_says_so(plan, journal):
    part = parts_of(plan)[0]
    results = classify_part(plan, part.rows)
    journal.remove()
    with pytest.raises(OutputError, match="is gone: removed, or another run of the same command has written"):
        journal.write(part, results)


def test_a_full_disk_costs_the_part_alone(plan, tmp_path, monkeypatch):
    def full(*_args, **_arrays):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OutputError, match="No space left on device"):
            classify(plan, output=tmp_path / "out.fits")
    assert names_in(folder_of(tmp_path / "out.fits")) == ["run.json"]
    classify(plan, output=tmp_path / "out.fits")
    assert not folder_of(tmp_path / "out.fits").exists()


def test_status_says_how_far_a_run_is(plan, tmp_path):
    output = tmp_path / "out.fits"
    with pytest.raises(OutputError, match="none was begun"):
        galmorph.status(output)
    classify_share(plan, output=output, execution=Execution(shard="1/2"))
    status = galmorph.status(output)
    assert (status.rows, status.of_rows) == (20, 30)
    assert status.rows_per_s > 0
    assert str(status).startswith("20 of 30 rows in 2 of 3 parts, ")
    assert "minutes left" in str(status)
    for path in folder_of(output).glob("0*.npz"):
        os.utime(path, (1, 1))
    assert str(galmorph.status(output)) == "20 of 30 rows in 2 of 3 parts"
    classify(plan, output=output)
    with pytest.raises(OutputError, match="it is done"):
        galmorph.status(output)


@pytest.mark.skipif(os.name != "posix", reason="everything is in memory there")
@pytest.mark.parametrize("ending", [".fits", ".parquet"])
def test_results_in_files_are_those_in_memory(plan, ending, tmp_path, monkeypatch):
    outputs = [tmp_path / f"{name}{ending}" for name in ("memory", "files")]
    classify(plan, output=outputs[0])
    monkeypatch.setattr(mapped, "SMALL_BYTES", 1)
    for module_of_pieces in (column_pieces, rows):
        monkeypatch.setattr(module_of_pieces, "ROWS_AT_ONCE", 7)
    outcome = classify(plan, output=outputs[1])
    assert outcome.results.is_recorded
    assert sorted(tmp_path.iterdir()) == sorted(outputs)
    tables = [read_catalog(output).table for output in outputs]
    for name in tables[0].colnames:
        np.testing.assert_array_equal(tables[0][name], tables[1][name])
        np.testing.assert_array_equal(tables[0][name], outcome.table()[name])
