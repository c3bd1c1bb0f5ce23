"""Parts: a plan carried out whole, in pieces, here or elsewhere, gives the same."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.io import fits
from astropy.wcs import WCS
from plans import plan_of

from galmorph import open_images
from galmorph.errors import CatalogError, CheckpointError, GalmorphError, ImageError
from galmorph.flags import Flag
from galmorph.runs import parts as module
from galmorph.runs.classify import classify
from galmorph.runs.parts import classify_part, parts_of
from galmorph.runs.plan import Plan
from galmorph.runs.results import Results

H = {"survey": "candels", "band": "H", "device": "cpu"}

ELSEWHERE = """
import pickle, sys
import numpy as np
import torch
from galmorph.runs.parts import classify_part
torch.set_num_threads(1)
with open(sys.argv[1], "rb") as stream:
    plan = pickle.load(stream)
results = classify_part(plan, np.load(sys.argv[2]))
with open(sys.argv[3], "wb") as stream:
    pickle.dump(results, stream)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("sky")


@pytest.fixture(scope="module")
def plan(folder) -> Plan:
    """Plan to classify a catalogue of ten times the small sky's galaxies, and two rows without image or position."""
    sky = small_sky.write_sky(folder)
    catalog = small_sky.table(np.concatenate([np.tile(small_sky.XY, (10, 1)), [(4000.0, 4000.0), (np.nan, np.nan)]]))
    catalog.write(folder / "many.fits")
    checkpoint = small_sky.write_checkpoint(folder / "untaught.safetensors")
    plan = plan_of(folder / "many.fits", sky.image, weight=sky.weight, checkpoint=checkpoint, views="turns2", **H)
    with closing(plan):
        yield plan


@pytest.fixture(scope="module")
def whole(plan) -> Results:
    return classify(plan).results


def assert_equal(one: Results, other: Results, *, atol: float = 0.0) -> None:
    """Every array is the same; those of probabilities within `atol`, since the network rounds by its batches."""
    for field in fields(Results):
        a, b = getattr(one, field.name), getattr(other, field.name)
        if field.name == "shapes":
            assert a.keys() == b.keys()
            for name in a:
                np.testing.assert_array_equal(a[name], b[name], err_msg=name)
        elif field.name in {"conditional", "spread", "distance"}:
            np.testing.assert_allclose(a, b, rtol=0, atol=atol, err_msg=field.name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=field.name)


def test_a_plan_is_carried_out_in_another_process(plan, tmp_path):
    rows = np.array([3, 0, 71, 15, 44, 70])
    with open(tmp_path / "plan", "wb") as stream:
        pickle.dump(plan, stream)
    np.save(tmp_path / "rows.npy", rows)
    paths = [str(tmp_path / name) for name in ("plan", "rows.npy", "results")]
    subprocess.run([sys.executable, "-c", ELSEWHERE, *paths], check=True)
    with open(tmp_path / "results", "rb") as stream:
        elsewhere = pickle.load(stream)
    assert elsewhere.classified.tolist() == [True, True, False, True, True, False]
    assert_equal(elsewhere, classify_part(plan, rows))


@pytest.mark.parametrize("detect", ["cutouts", "blocks"])
@pytest.mark.parametrize("network", [True, False])
def test_the_pieces_are_the_whole(plan, monkeypatch, detect, network):
    """Three parts and a bit, whichever way objects are detected; in each the rows stay where they were."""
    settings = {"detect": detect, **({"views": "turns2"} if network else {})}
    how = {"survey": "candels", "band": "H", "weight": plan.images.weight, **settings}
    checkpoint = plan.checkpoint if network else None
    with closing(
        plan_of(plan.catalog.catalog, plan.images.images, checkpoint=checkpoint, network=network, **how)
    ) as same:
        one = classify(same).results
        monkeypatch.setattr(module, "PART_ROWS", 20)
        sizes = [len(part) for part in parts_of(same)]
        assert sizes == ([20, 20, 20, 12] if detect == "cutouts" else [20, 20, 32])  # which is one block
        assert_equal(one, classify(same).results, atol=2e-6)


def test_every_row_is_in_one_part(plan, monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 7)
    assert np.sort(np.concatenate([part.rows for part in parts_of(plan)])).tolist() == list(range(72))


def test_a_part_depends_on_its_rows_alone(plan, whole):
    rows = np.array([50, 3, 71])
    assert_equal(classify_part(plan, rows), taken(whole, rows), atol=2e-6)


def taken(results: Results, rows: np.ndarray) -> Results:
    """Return the results of some rows."""
    arrays = {f.name: getattr(results, f.name)[rows] for f in fields(Results) if f.name != "shapes"}
    return Results(**arrays, shapes={name: values[rows] for name, values in results.shapes.items()})


def test_progress_goes_on_from_part_to_part(plan, monkeypatch):
    monkeypatch.setattr(module, "PART_ROWS", 40)
    calls = []
    classify(plan, progress=lambda *call: calls.append(call[:3]))
    assert calls == [("rows", done, 72) for done in (32, 64, 72)]  # one part: they lie in one block


def test_a_plan_holds_nothing_open(plan):
    """Its pickle is as small before as after its files are opened, and a copy opens them for itself."""
    plan.check()
    pickled = pickle.dumps(plan)
    assert len(pickled) < 2000
    copy = pickle.loads(pickled)
    assert copy == plan
    with closing(copy):
        assert copy.run is copy.run
        assert copy.run is not plan.run
    assert_equal(classify_part(copy, np.arange(3)), classify_part(plan, np.arange(3)))
    copy.close()


def test_a_loaded_checkpoint_and_a_table_can_be_pickled_too(plan):
    table = small_sky.table()
    other = plan_of(table, plan.images.images, checkpoint=small_sky.checkpoint(), **H)
    copy = pickle.loads(pickle.dumps(other))
    assert_equal(classify_part(copy, np.arange(7)), classify_part(other, np.arange(7)))
    copy.close()
    other.close()


def test_images_in_memory_are_named_by_a_file_that_lasts_as_long_as_the_plan_is_in_use(plan, folder):
    with fits.open(folder / "image.fits") as hdus:
        pixels, header = np.array(hdus[0].data, np.float32), hdus[0].header
    mine = plan_of(small_sky.table(), (pixels, WCS(header)), checkpoint=plan.checkpoint, **H)
    pickled = pickle.dumps(mine)
    assert len(pickled) < pixels.nbytes / 10
    copy = pickle.loads(pickled)
    assert_equal(classify_part(copy, np.arange(7)), classify_part(mine, np.arange(7)))
    copy.close()
    mine.close()
    with pytest.raises(ImageError):
        copy.check()


def test_images_that_came_open_are_not_closed(plan):
    source = open_images(plan.images.images)
    mine = plan_of(plan.catalog.catalog, source, network=False)
    mine.check()
    mine.close()
    assert source.cutout(0, 40.0, 50.0, 8).shape == (17, 17)
    source.close()


def test_warnings_count_the_rows_of_all_parts(plan, monkeypatch, caplog):
    monkeypatch.setattr(module, "PART_ROWS", 20)
    classify(plan)
    counts = sorted(record.getMessage().partition(" rows")[0] for record in caplog.records)
    assert counts == ["1 of 72", "1 of 72"]


def test_the_position_and_image_of_each_row_are_known(whole):
    assert whole.flags[-2:].tolist() == [int(Flag.NO_IMAGE), int(Flag.NO_POSITION)]
    assert whole.classified.sum() == 70


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"rule": "likeliest"}, "rule 'likeliest': measuring has no use for it"),
        ({"runtime": "net.onnx"}, "runtime 'net.onnx': measuring has no use for it"),
        ({"precision": "bfloat16"}, "precision 'bfloat16': measuring has no use for it"),
        ({"views": "turns8"}, "views 'turns8': measuring has no use"),
        ({"errors": True}, "errors True: measuring has no use"),
        ({"normalise": True}, "normalise True: measuring has no use"),
        ({"device": "cpu"}, "device 'cpu': measuring has no use"),
        ({"checkpoint": "candels-h"}, "checkpoint 'candels-h': measuring has no use"),
    ],
)
def test_what_only_a_network_needs_is_refused_in_measuring(folder, settings, words):
    with pytest.raises(CheckpointError, match=words):
        plan_of(folder / "many.fits", folder / "image.fits", network=False, **settings).check()


def test_bfloat16_is_refused_where_the_processor_has_no_instructions_for_it(plan, monkeypatch):
    monkeypatch.setattr("galmorph.nets.device.computes_bfloat16", lambda _device: False)
    with pytest.raises(CheckpointError, match=r"precision 'bfloat16': this processor .* leave it out"):
        replace(plan, settings=replace(plan.settings, precision="bfloat16")).check()


def test_in_bfloat16_probabilities_are_about_the_same_and_what_is_measured_is_equal(plan, whole, monkeypatch):
    monkeypatch.setattr("galmorph.nets.device.computes_bfloat16", lambda _device: True)
    halved = replace(plan, settings=replace(plan.settings, precision="bfloat16"))
    with closing(halved):
        rows = np.arange(72)
        once = classify_part(halved, rows)
        assert 0 < np.nanmax(np.abs(once.conditional - whole.conditional)) < 0.01
        assert np.array_equal(once.rpet_px, whole.rpet_px, equal_nan=True)
        # Whatever the company of a row.
        assert_equal(classify_part(halved, rows[5:30]), taken(once, rows[5:30]))


def test_another_backend_is_refused_in_classifying(folder):
    with pytest.raises(CheckpointError, match="backend 'sep': classifying has no use"):
        plan_of(folder / "many.fits", folder / "image.fits", backend="sep", **H).check()


@pytest.mark.parametrize(
    ("settings", "error", "words"),
    [
        ({"rule": "huertas"}, GalmorphError, "huertas-company-2015"),
        ({"prefix": "gm-"}, CatalogError, "prefix 'gm-'"),
        ({"prefix": ""}, CatalogError, "already has"),
        ({"detect": "tiles"}, CatalogError, "blocks, cutouts"),
        ({"centroid": "isofotal"}, CatalogError, "did you mean 'isophotal'"),
        ({"views": "turns3"}, GalmorphError, "turns2"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_work_starts(plan, settings, error, words):
    catalog = small_sky.table()
    catalog["class"] = "disk"
    with pytest.raises(error, match=words):
        plan_of(catalog, plan.images.images, checkpoint=plan.checkpoint, **H, **settings).check()
