"""The recipe candels/train_visual against servers that play VizieR and MAST: ticks of classifiers, pixels by range."""

from __future__ import annotations

import json
import tomllib

import numpy as np
import pytest
import small_sky
import sparse_mosaic
from astropy.table import MaskedColumn, Table
from astropy.wcs import WCS
from loopback import Fault, Loopback, serving
from vizier_server import PATH, VizierServer, document

import galmorph as package
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import load_training
from galmorph.shipped import shipped
from galmorph.sky.archives import vizier_table
from galmorph.toml import to_text

PLACE = 53.1228, -27.805
NAME = "J/ApJS/221/11/table2"
CENTRES = np.array([[1792, 1792], [4864, 1792], [7936, 1792], [9472, 1280], [12544, 3328]])
"""Pixels, each in the middle of a block of detection: the first three train, then validation and test."""
STEPS = np.array([[-90, -80], [0, -85], [85, -75], [-80, 70], [10, 80], [90, 85]])
CLASSIFIERS = 3
DRZ, WHT = (f"/goods-s/hlsp_candels_hst_wfc3_gs-tot_f160w_v1.0_{kind}.fits" for kind in ("drz", "wht"))
HTML = b"<html><head><title>VizieR</title></head><body>maintenance<br></body></html>"
GALAXIES = [
    (float(x), float(y), 0.95 if number % 2 == 0 else 0.25)
    for number, (x, y) in enumerate((CENTRES[:, None] + STEPS[None]).reshape(-1, 2))
]


@pytest.fixture(scope="module")
def mosaic(tmp_path_factory):
    folder = tmp_path_factory.mktemp("goods-s")
    sparse_mosaic.write_mosaic(folder / "drz.fits", folder / "wht.fits", PLACE, CENTRES, GALAXIES)
    return folder


def ticks() -> Table:
    """Return a row for each galaxy and classifier, with rows that the recipe leaves out."""
    xy = np.array([galaxy[:2] for galaxy in GALAXIES])
    ra, dec = WCS(sparse_mosaic.header(*PLACE)).wcs_pix2world(xy[:, 0], xy[:, 1], 0)
    rows = []
    for number, (_, _, ratio) in enumerate(GALAXIES):
        for person in range(CLASSIFIERS):
            round_one, also = ratio > 0.5, person == 0
            ticked = (int(round_one or also), int(not round_one or also), int(also), 0, 0)
            rows.append((" 2epoch", f"deep2_{10_000 + number}", ra[number], dec[number], 21.0, *ticked))
        rows.append(("10epoch", f"deep2_{10_000 + number}", ra[number], dec[number], 21.0, 0, 0, 0, 0, 1))
    faint = [(" 2epoch", "deep2_1", ra[0], dec[0], 24.7, 0, 0, 0, 0, 1)] * CLASSIFIERS
    outside = [(" 2epoch", "wide2_2", PLACE[0] + 1.0, PLACE[1], 20.0, 1, 0, 0, 0, 0)] * CLASSIFIERS
    nowhere = [(" 2epoch", "wide2_3", 0.0, 0.0, 20.0, 1, 0, 0, 0, 0)] * CLASSIFIERS
    names = ("Depth", "ID", "_RAJ2000", "_DEJ2000", "Hmag", "ClSph", "ClDk", "ClIr", "ClPS", "ClUn")
    table = Table(rows=[*rows, *faint, *outside, *nowhere], names=names)
    for name in ("_RAJ2000", "_DEJ2000"):
        table[name] = MaskedColumn(table[name], mask=table["ID"] == "wide2_3")
    return table


@pytest.fixture
def archives(mosaic, tmp_path, monkeypatch):
    """Play VizieR and MAST."""
    monkeypatch.setenv("GALMORPH_CACHE", str(tmp_path / "cache"))
    with serving() as loopback:
        monkeypatch.setenv(vizier_table.VARIABLE, f"{loopback.base}{PATH}")
        loopback.files |= {
            DRZ: mosaic / "drz.fits",
            WHT: mosaic / "wht.fits",
            PATH: VizierServer({NAME: ticks()}).answer,
        }
        yield loopback


@pytest.fixture
def recipe(archives: Loopback, tmp_path):
    """Write the recipe with a network that learns in a second, of a survey that is on this machine."""
    survey = tomllib.loads((shipped("catalogs") / "surveys" / "candels.toml").read_text(encoding="utf-8"))
    survey["fields"]["goods-s"] |= {"base_url": f"{archives.base}/goods-s/", "shape": [sparse_mosaic.SIDE] * 2}
    (tmp_path / "candels.toml").write_text(to_text(survey), encoding="utf-8")
    base = shipped("pipelines") / "candels" / "train_visual.toml"
    path = tmp_path / "train_visual.toml"
    path.write_text(
        f'extends = "{base}"\n[images]\nsurvey = "{tmp_path}/candels.toml"\n[network]\nname = "small"\n'
        f"layers = '''{small_sky.LAYERS}'''\n[train]\nstart = ''\nepochs = 2\n"
    )
    return path


def run(galmorph, recipe, folder, *more):
    return galmorph("run", recipe, "--threads", 1, "--device", "cpu", "-o", folder, *more)


def test_the_recipe_trains_calibrates_scores_and_packages(galmorph, archives: Loopback, recipe, tmp_path):
    archives.faults[PATH] = [Fault(status=429, headers={"Retry-After": "1"}), Fault(status=503), Fault(body=HTML)]
    archives.faults[DRZ] = [Fault(status=503)]
    done = run(galmorph, recipe, tmp_path / "runs")
    assert done.status == 0, done.err
    card = json.loads((tmp_path / "runs" / "train_visual" / "train_visual.json").read_text())
    means = card["training_means"]
    assert means["unclassifiable"] == 0.0  # neither another depth, nor a faint galaxy
    assert sum(means.values()) > 1.3  # ticks, not shares
    assert card["test"]["rows"] == card["validation"]["rows"] == len(STEPS)
    assert card["calibration"]
    checkpoint = package.load_checkpoint(tmp_path / "runs" / "train_visual" / "train_visual.safetensors")
    assert checkpoint.scheme.kind == "independent"
    assert checkpoint.fractions["where"] == "Hmag < 24.5"
    fetched = sum(span_bytes(request) for request in archives.requests if request.path in (DRZ, WHT))
    assert fetched < 0.03 * 2 * 4 * sparse_mosaic.SIDE**2
    assert len(archives.asked(PATH)) == 4
    assert_scored_and_calibrated_again(archives, recipe, checkpoint, card, tmp_path)


def assert_scored_and_calibrated_again(archives, recipe, checkpoint, card, tmp_path) -> None:
    """Without images, those of the archive are meant; what is in the cache is not asked for again."""
    asked = len(archives.requests)
    labels, survey = load_training(recipe).inputs.labels, tmp_path / "candels.toml"
    scores = package.evaluate(checkpoint, labels, (), survey=survey)
    assert scores["questions"] == card["test"]["questions"]
    path = tmp_path / "runs" / "train_visual" / "train_visual.safetensors"
    again = package.calibrate(path, labels, (), tmp_path / "again.safetensors", survey=survey)
    assert package.load_checkpoint(again).sets == checkpoint.sets
    assert len(archives.requests) == asked


def span_bytes(request) -> int:
    spans = request.headers.get("range", "bytes=0-3000000000").removeprefix("bytes=").split(",")
    return sum(int(end) - int(start) + 1 for start, end in (span.split("-") for span in spans))


def test_without_a_network_the_same_comes_of_what_is_in_the_cache(galmorph, archives: Loopback, recipe, tmp_path):
    assert run(galmorph, recipe, tmp_path / "online").status == 0
    archives.requests.clear()
    recipe.write_text(recipe.read_text() + "[inputs]\noffline = true\n")
    done = run(galmorph, recipe, tmp_path / "offline")
    assert done.status == 0, done.err
    assert archives.requests == []
    one, other = (tmp_path / name / "train_visual" / "train_visual.safetensors" for name in ("online", "offline"))
    assert one.read_bytes() == other.read_bytes()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (document('<INFO name="QUERY_STATUS" value="ERROR">stdb: no such table</INFO>'), "stdb: no such table"),
        (HTML, "is no whole VOTable"),
        (document("")[:-9], "is no whole VOTable"),
        (document('<INFO name="QUERY_STATUS" value="OVERFLOW"/>'), "more rows than are taken"),
    ],
    ids=["error", "html", "truncated", "overflow"],
)
def test_labels_that_cannot_be_had_stop_it_in_one_line(galmorph, archives, recipe, tmp_path, answer, words):
    archives.files[PATH] = answer
    done = run(galmorph, recipe, tmp_path / "runs")
    assert done.status != 0
    assert words in done.err.splitlines()[-1]
    assert not (tmp_path / "runs").exists()
    assert archives.asked(DRZ) == []


def test_a_column_that_is_called_otherwise_is_said_with_those_that_there_are(galmorph, archives, recipe, tmp_path):
    table = ticks()
    table.rename_column("ClDk", "ClDisk")
    archives.files[PATH] = VizierServer({NAME: table}).answer
    done = run(galmorph, recipe, tmp_path / "runs")
    assert "unknown column 'ClDk'" in done.err.splitlines()[-1]


def test_each_galaxy_has_the_ticks_of_its_classifiers(recipe):
    pipeline = load_training(recipe)
    with opened(*pipeline.named_inputs()) as (catalog, images):
        table = divided(pipeline, catalog, images)
        fractions = {catalog.ids[row]: table.labels.fractions[row].round(3).tolist() for row in table.rows("all")}
        assert {part: len(table.rows(part)) // len(STEPS) for part in ("validation", "test")} == {
            "validation": 1,
            "test": 1,
        }
    assert set(fractions) == {*(f"deep2_{10_000 + n}" for n in range(len(GALAXIES))), "wide2_2", "wide2_3"}
    assert fractions["deep2_10000"] == [1.0, 0.333, 0.333, 0.0, 0.0]
    assert fractions["deep2_10001"] == [0.333, 1.0, 0.333, 0.0, 0.0]
    assert table.labels.totals.max() == CLASSIFIERS
