"""Sets: rows of the labels, simulated galaxies and synthetic stars, each in its part."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace

import numpy as np
import pytest
import small_sky
import torch
from astropy.table import Table, vstack

from galmorph.errors import PipelineError, SchemeError, SurveyError
from galmorph.learning.assembly import KeptSets, build_sets
from galmorph.learning.labelled_table import LabelledTable, labels_from
from galmorph.learning.pipeline import load_training
from galmorph.learning.scoring import evaluate_checkpoint
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import catalog_from, read_catalog
from galmorph.sky.images import open_images
from galmorph.sky.mock import simulate
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey

PIPELINE = """
title = "discs and bulges"
scheme = "candels-visual"
[images]
survey = "candels"
band = "H"
[recipe]
size = 24
[split]
method = "contiguous"
blocks = 4
validation = [1]
test = [2]
[stars]
count = 20
answer = "point_source"
rpet_px = 6.0
[simulated]
survey = "candels"
band = "H"
rows = 20
seed = 5
votes = 7
"""
pytest.importorskip("galsim")


@pytest.fixture(scope="module")
def field(tmp_path_factory):
    """Simulate a field to learn from."""
    folder = tmp_path_factory.mktemp("field")
    made = simulate("candels", "H", rows=16, seed=3, side_px=420)
    made.write(folder)
    return folder, made


def built(folder, text=PIPELINE, *, weight=2.0, kept=None, report=lambda *_: None):
    (folder / "p.toml").write_text(text)
    pipeline, scheme = load_training(folder / "p.toml"), load_scheme("candels-visual")
    catalog = read_catalog(folder / "truth.fits")
    labels = labels_from(catalog, scheme, None)
    parts = np.repeat(["train", "validation", "test", "train"], 4)
    with closing(open_images(folder / "image.fits", survey=load_survey("candels"), band="H")) as images:
        gathering = Gathering(catalog, images, pipeline.recipe.half_width_rpet)
        table = LabelledTable(gathering, labels, parts, scheme)
        return build_sets(table, pipeline, np.full(16, weight), report, kept)[0]


def test_simulated_galaxies_and_stars_follow_the_rows_with_the_votes_asked_for(field):
    folder, _ = field
    sets = built(folder)
    truth = simulate("candels", "H", rows=20, seed=5).truth
    galaxies = truth[np.asarray(truth["type"]) != "star"]
    train, held = sets["train"], sets["validation"]
    added = round(len(galaxies) * 0.85)
    assert (len(train), len(held)) == (8 + added + 17, 4 + len(galaxies) - added + 3)
    np.testing.assert_allclose(
        train.counts[8 : 8 + added, 1].numpy(), 7 * np.asarray(galaxies["f_disk"][:added]), rtol=1e-5
    )
    assert set(train.totals[8 : 8 + added].unique().tolist()) == {7.0}
    assert train.weight is not None
    assert train.weight.tolist() == [2.0] * 8 + [1.0] * (added + 17)
    assert train.is_star is not None
    assert train.is_star.tolist() == [False] * (8 + added) + [True] * 17
    assert torch.equal(train.counts[-17:].argmax(dim=1), torch.full((17,), 3))


def test_many_rows_are_those_of_several_fields(field, monkeypatch):
    """Each field has a seed of its own, and progress counts the rows of all."""
    monkeypatch.setattr("galmorph.learning.assembly._FIELD_ROWS", 8)
    seen = []
    sets = built(field[0], report=lambda what, *counts: seen.append(counts[:2]) if what == "simulating" else None)
    truths = [simulate("candels", "H", rows=rows, seed=5 + n).truth for n, rows in enumerate((8, 8, 4))]
    galaxies = vstack([truth[np.asarray(truth["type"]) != "star"] for truth in truths], metadata_conflicts="silent")
    added = round(len(galaxies) * 0.85)
    np.testing.assert_allclose(
        sets["train"].counts[8 : 8 + added, 1].numpy(), 7 * np.asarray(galaxies["f_disk"][:added]), rtol=1e-5
    )
    assert len(seen) == len(galaxies)
    assert {total for _, total in seen} == {20}
    assert max(seen)[0] > 16


def test_sets_that_were_kept_are_those_that_would_be_built(field):
    """To the last bit, with weights of their own, and nothing is measured or simulated again."""
    folder, _ = field
    kept, done = KeptSets(), []
    built(folder, kept=kept)
    again = built(folder, PIPELINE + "[train]\nbatch = 3\n", weight=0.5, kept=kept, report=lambda *r: done.append(r))
    anew = built(folder, weight=0.5)
    assert not done
    assert again["train"].weight[:8].tolist() == [0.5] * 8
    for part, expected in anew.items():
        for name in ("coefficients", "half_px", "brightness", "counts", "totals", "is_star", "weight"):
            assert torch.equal(getattr(again[part], name), getattr(expected, name)), (part, name)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("seed = 5", "seed = 6"),
        ("count = 20", "count = 30"),
        ("test = [2]", "test = [3]"),
        ('band = "H"\n[recipe]', 'band = "J"\n[recipe]'),
        ("[stars]", "[train.unlabelled]\nweight = 1.0\n[stars]"),
        ("[stars]", '[inputs]\nlabels = "other.fits"\n[stars]'),
        ('title = "discs', 'fractions = { votes = ["n"], spheroid = ["a"] }\ntitle = "discs'),
    ],
)
def test_sets_are_built_anew_where_anything_that_decides_about_them_differs(field, old, new):
    assert old in PIPELINE
    folder, _ = field
    kept, done = KeptSets(), []
    built(folder, kept=kept)
    built(folder, PIPELINE.replace(old, new), kept=kept, report=lambda *r: done.append(r[0]))
    assert {"measuring", "simulating"} <= set(done)


def test_without_these_sections_the_rows_are_alone(field):
    folder, _ = field
    sets = built(folder, PIPELINE[: PIPELINE.index("[stars]")])
    assert (len(sets["train"]), len(sets["validation"])) == (8, 4)


@pytest.mark.parametrize(
    ("old", "new", "error", "words"),
    [
        ("votes = 7", "", PipelineError, r"\[simulated\]: lacks 'votes'"),
        ("seed = 5", "sede = 5", PipelineError, "sede"),
        ('[simulated]\nsurvey = "candels"', '[simulated]\nsurvey = "candles"', SurveyError, "candles"),
    ],
)
def test_a_section_that_cannot_be_simulated_is_refused(field, old, new, error, words):
    assert old in PIPELINE
    with pytest.raises(error, match=words):
        built(field[0], PIPELINE.replace(old, new))


def test_fractions_of_the_scheme_itself_are_scored_as_they_are(field):
    """A checkpoint that learnt from other votes, of degraded images, sees these images undegraded and all of them."""
    folder, made = field
    answers = load_scheme("candels-visual")
    mapping = {k: [f"{k}_votes"] for k in answers.keys} | {"votes": ["asked"]}
    observation = {
        "psf_fwhm_arcsec": 0.5,
        "native_fwhm_arcsec": 0.1,
        "scale_arcsec": 0.2,
        "rpet_arcsec": [0.3, 0.4],
        "snr": [1.0, 2.0],
    }
    plain = replace(small_sky.checkpoint(scheme="candels-visual", survey="candels", bands=("F160W",)), split={})
    mapped = replace(plain, fractions=mapping, observation=observation)
    catalog = read_catalog(folder / "truth.fits")
    with closing(open_images(folder / "image.fits", survey=load_survey("candels"), band="H")) as images:
        one, other = (evaluate_checkpoint(c, catalog, images, split="all") for c in (plain, mapped))
        assert other["questions"] == one["questions"]
        assert one["rows"] == len(made.catalog)
        with pytest.raises(PipelineError, match=r"another scheme, so that a table .* ask for --split all"):
            evaluate_checkpoint(mapped, catalog, images)
        with pytest.raises(SchemeError, match=r"spheroid_votes|asked"):
            evaluate_checkpoint(mapped, catalog_from(Table({"ra": [53.0], "dec": [-27.0]})), images, split="all")
