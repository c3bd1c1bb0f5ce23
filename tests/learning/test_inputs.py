"""Inputs of a training run: where files lie, and what is opened of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import drawn
import pytest
from hypothesis import given
from hypothesis import strategies as st

from galmorph.errors import PipelineError
from galmorph.learning.inputs import LabelInputs, beside, opened
from galmorph.learning.pipeline import load_pipeline, load_training
from galmorph.learning.scoring import calibrate_checkpoint, evaluate_checkpoint
from galmorph.learning.training import train
from galmorph.sky.catalog_input import CatalogInput, ColumnNames
from galmorph.sky.images import ImageInput
from galmorph.toml import build

NAMES = st.text(st.characters(whitelist_categories=("L", "N")), min_size=1, max_size=9)


@given(NAMES, st.lists(NAMES, min_size=1, max_size=4))
def test_a_section_says_which_files(labels, images):
    """Images in any number; a single one needs no list."""
    for several in (images, images[0]) if len(images) == 1 else (images,):
        section = build(LabelInputs, {"labels": labels, "images": several}, "p")
        assert (section.labels, section.images) == (labels, tuple(images))


def test_relative_files_lie_beside_their_pipeline(tmp_path):
    """Those of an extended file beside that one; absolute ones and columns stay; BAND=FILE keeps its band."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "base.toml").write_text(
        drawn.PIPELINE + '[inputs]\nlabels = "a.csv"\nimages = ["g=g.fits", "r=/r/*.fits"]\n'
    )
    (tmp_path / "mine.toml").write_text('extends = "parts/base.toml"\n[inputs]\nlabels = "b.csv"\nfile = "name"\n')
    made = load_pipeline(tmp_path / "mine.toml").inputs
    assert made.labels == str(tmp_path / "b.csv")
    assert made.images == (f"g={tmp_path}/parts/g.fits", "r=/r/*.fits")
    assert made.file == "name"
    above = load_pipeline(tmp_path / "mine.toml", {"inputs": {"images": "here.zip"}}).inputs
    assert above.images == ("here.zip",)
    assert beside({"labels": "a=b/c.csv"}, Path("/x"))["labels"] == "a=/x/b/c.csv"


@pytest.mark.parametrize(
    ("section", "expected"),
    [({"label": "a.csv"}, "did you mean 'labels'"), ({"labels": ["a.csv", "b.csv"]}, "expected a file")],
)
def test_wrong_sections_are_refused(section, expected):
    """Each says what was expected."""
    with pytest.raises(PipelineError, match=expected):
        build(LabelInputs, section, "p")


@pytest.mark.parametrize("given", [{"labels": "a.csv"}, {"images": "a.zip"}, {"labels": "a.csv", "images": []}])
def test_what_is_not_named_is_asked_for(given):
    """The message shows the option and the section."""
    with pytest.raises(PipelineError, match=r"--input (labels|images)=FILE.*\[inputs\]"):
        build(LabelInputs, given, "p").named("p", "sdss", "r")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("labels = 3", "expected a file"), ("images = [1]", "list of files"), ("imges = 'a'", "imges")],
)
def test_a_wrong_section_is_refused(tmp_path, text, expected):
    """Numbers are no files, and keys are known."""
    (tmp_path / "p.toml").write_text(drawn.PIPELINE + f"[inputs]\n{text}\n")
    with pytest.raises(PipelineError, match=expected):
        load_pipeline(tmp_path / "p.toml")


def test_images_that_do_not_say_so_are_of_the_usual_survey_and_band(tmp_path):
    """What they say of themselves goes before; what was opened here is closed, what was open stays so."""
    root = drawn.write(tmp_path)
    catalog, images = CatalogInput(root / "labels.csv"), ImageInput(root / "images.zip")
    with opened(catalog, images, "sdss", "RGB") as (table, source):
        assert len(table) == drawn.ROWS
        assert (source.survey.name, source.bands) == ("sdss", ("i", "r", "g"))
        with opened(table, source, "nircam", "F200W") as again:
            assert again == (table, source)
        assert source.cutout(0, 32.0, 32.0, 8).planes.shape[0] == 3
        with opened(table, ImageInput(source), "nircam", "F200W") as again:
            assert again[1] is source
        assert source.cutout(0, 32.0, 32.0, 8).planes.shape[0] == 3
    with opened(catalog, replace(images, survey="nircam", band="F200W"), "sdss", "RGB") as (_, source):
        assert source.survey.name == "nircam"
    with opened(catalog, images) as (_, source):
        assert source.survey is None


def test_what_trains_scores_and_calibrates_takes_files_as_well_as_what_is_open(tmp_path):
    """With the same results; the survey is the pipeline's or the checkpoint's."""
    root = drawn.write(tmp_path)
    pipeline = load_training(root / "tiny.toml", {"train": {"epochs": 1}})
    files = CatalogInput(root / "labels.csv"), ImageInput(root / "images.zip")
    with opened(*files, "sdss", "RGB") as inputs:
        one = train(*inputs, pipeline, tmp_path / "open").checkpoint
        scores = evaluate_checkpoint(one, *inputs)
        fitted, _ = calibrate_checkpoint(one, *inputs)
    other = train(*files, pipeline, tmp_path / "files").checkpoint
    assert other.sha256 == one.sha256
    assert evaluate_checkpoint(other, *files) == scores
    assert calibrate_checkpoint(other, *files)[0].sets == fitted.sets


def test_a_pipeline_names_the_columns_of_its_labels():
    """What `galmorph run` takes from a pipeline, `galmorph train` takes too, unless it is told otherwise."""
    inputs = build(LabelInputs, {"file": "name", "ra": "alpha"}, "p")
    assert inputs.columns() == ColumnNames(file="name", ra="alpha")
    assert inputs.columns(ColumnNames(file="other", id="objid")) == ColumnNames(file="other", ra="alpha", id="objid")


@pytest.mark.parametrize(
    ("given", "field"), [({"field": "uds"}, "uds"), ({"field": ["uds", "egs"]}, "uds,egs"), ({"fetched": "d"}, None)]
)
def test_images_of_an_archive_need_no_name(given, field):
    section = build(LabelInputs, {"labels": "a.csv", "offline": True, **given}, "p")
    _, images = section.named("p", "candels", "H")
    assert (images.are_named, images.field, images.offline) == (False, field, True)


def test_images_that_are_named_take_the_place_of_an_archive():
    """A recipe names a field; local files on the command line are read instead."""
    section = build(LabelInputs, {"labels": "a.csv", "field": "goods-s", "offline": True, "archive": "parts"}, "p")
    _, images = section.named("p", "candels", "H")
    assert (images.are_named, images.field, images.offline, images.archive) == (False, "goods-s", True, "parts")
    _, images = replace(section, images=("gs.fits",)).named("p", "candels", "H")
    assert (images.are_named, images.field, images.offline, images.archive) == (True, None, False, "auto")
    images.check_archive()
