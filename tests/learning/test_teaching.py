"""A teacher: what it answers of training galaxies without a label counts as votes, and nothing else changes."""

from __future__ import annotations

import logging
from contextlib import closing
from dataclasses import replace

import drawn
import numpy as np
import pytest
import small_sky
from astropy.table import Table

from galmorph.errors import CheckpointError, OutputError, PipelineError
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import load_training
from galmorph.learning.split import read_split
from galmorph.learning.teaching import as_votes, load_teacher, taught
from galmorph.learning.training import train
from galmorph.learning.viewed import view_rows
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.progress import silent
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import open_images
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Draw galaxies, train a teacher on all labels, and leave most of the training part without one."""
    root = drawn.write(tmp_path_factory.mktemp("teaching"))
    pipeline = load_training(root / "tiny.toml")
    with images_of(root) as images:
        train(read_catalog(root / "labels.csv"), images, pipeline, root / "run")
    table = Table.read(root / "labels.csv")
    unlabelled = np.flatnonzero(pipeline.split.divide(table["file"].tolist(), {}) == "train")[4:]
    table["label"] = [("" if n in unlabelled else label) for n, label in enumerate(table["label"])]
    table.write(root / "few.csv", format="ascii.csv")
    (root / "pupil.toml").write_text(
        'extends = "tiny.toml"\n[train]\nepochs = 2\n[teacher]\ncheckpoint = "run/tiny.safetensors"\nvotes = 3.0\n'
    )
    return root, unlabelled


def images_of(root):
    return closing(open_images(root / "images.zip", survey=load_survey("sdss"), band="RGB"))


def test_training_rows_without_a_label_get_the_teacher_s_probabilities_as_votes(folder, caplog):
    root, unlabelled = folder
    pipeline = load_training(root / "pupil.toml")
    teacher = load_teacher(pipeline)
    with images_of(root) as images, caplog.at_level(logging.WARNING):
        table = divided(pipeline, read_catalog(root / "few.csv"), images)
        lessons = taught(table, pipeline, teacher, progress=silent)
        said = view_rows(teacher, table.gathering, unlabelled).conditional
    assert not caplog.records
    np.testing.assert_allclose(lessons.table.labels.counts[unlabelled], 3.0 * said, rtol=1e-12)
    np.testing.assert_allclose(lessons.table.labels.totals[unlabelled], 3.0, rtol=1e-12)
    others = np.setdiff1d(np.arange(drawn.ROWS), unlabelled)
    np.testing.assert_array_equal(lessons.table.labels.counts[others], table.labels.counts[others])
    assert lessons.about == {"name": "tiny", "sha256": teacher.sha256, "votes": 3.0, "rows": len(unlabelled)}


def test_held_out_rows_without_a_label_stay_without_one(folder):
    root, _ = folder
    pipeline = load_training(root / "pupil.toml")
    catalog = read_catalog(root / "labels.csv")
    with images_of(root) as images:
        table = divided(pipeline, catalog, images)
        nothing = replace(table, labels=replace(table.labels, totals=np.zeros_like(table.labels.totals)))
        lessons = taught(nothing, pipeline, load_teacher(pipeline), progress=silent)
    assert lessons.table.is_labelled.tolist() == (table.splits == "train").tolist()


def test_a_pupil_is_scored_and_calibrated_by_people_s_votes_alone(folder, tmp_path):
    root, unlabelled = folder
    pipeline = load_training(root / "pupil.toml")
    catalog = read_catalog(root / "few.csv")
    plain = pipeline.changed("plain", {})
    with images_of(root) as images:
        pupil = train(catalog, images, pipeline, tmp_path / "pupil")
        alone = train(catalog, images, replace(plain, teacher=None), tmp_path / "alone")
    assert pupil.card["teacher"]["rows"] == len(unlabelled)
    assert "teacher" not in alone.card
    for entry in ("training_means", "rows"):
        assert pupil.card[entry] == alone.card[entry], entry
    constants = [run.card["validation"]["questions"]["class"]["constant"] for run in (pupil, alone)]
    assert constants[0] == constants[1]
    assert pupil.checkpoint.sets.rows == alone.checkpoint.sets.rows
    assert pupil.card["curves"] != alone.card["curves"]
    with images_of(root) as images, pytest.raises(PipelineError, match=r"\[teacher\] votes was 3.0 and is 4.0"):
        train(catalog, images, pipeline.changed("pupil", {"teacher": {"votes": 4.0}}), tmp_path / "pupil", resume=True)


def test_a_teacher_that_may_know_what_is_held_out_is_named(folder, caplog):
    root, _ = folder
    pipeline = load_training(root / "pupil.toml")
    moved = pipeline.changed("pupil", {"split": {"salt": "another"}})
    with images_of(root) as images, caplog.at_level(logging.WARNING):
        table = divided(moved, read_catalog(root / "few.csv"), images)
        taught(table, moved, load_teacher(moved), progress=silent)
    assert "learnt by another division of its labels" in caplog.text


def test_a_teacher_of_blocks_is_one_of_the_same_rows(folder, caplog):
    """Its split has the numbers at which they begin, the pupil's has not until it has seen the labels."""
    root, _ = folder
    split = {"method": "contiguous", "blocks": 6, "validation": [1], "test": [4]}
    pipeline = load_training(root / "pupil.toml", {"split": split})
    teacher = load_teacher(pipeline)
    catalog = read_catalog(root / "few.csv")
    with images_of(root) as images, caplog.at_level(logging.WARNING):
        table = divided(pipeline, catalog, images)
        taught(table, pipeline, replace(teacher, split=split), progress=silent)
        assert not caplog.records
        taught(table, pipeline, replace(teacher, split=split | {"test": [3]}), progress=silent)
    assert "another division" in caplog.text


def test_a_checkpoint_keeps_where_its_blocks_begin(folder, tmp_path):
    """So that a part of the labels is divided as all of them were."""
    root, _ = folder
    split = {"method": "contiguous", "blocks": 6, "validation": [1], "test": [4]}
    pipeline = load_training(root / "tiny.toml", {"split": split, "train": {"epochs": 1}})
    catalog = read_catalog(root / "labels.csv")
    with images_of(root) as images:
        made = train(catalog, images, pipeline, tmp_path / "run")
    kept = read_split(load_checkpoint(made.path).split, "p")
    assert kept.starts == (0.0, 8.0, 16.0, 24.0, 32.0, 40.0)
    parts = pipeline.split.divide(catalog.files, {})
    assert kept.divide(catalog.files[30:], {}).tolist() == parts[30:].tolist()
    assert pipeline.split.divide(catalog.files[30:], {}).tolist() != parts[30:].tolist()


@pytest.mark.parametrize(
    ("above", "error", "words"),
    [
        ({"checkpoint": "sdss-gz1"}, PipelineError, "answers by scheme 'gz1'.*expected 'gz2-simple'"),
        ({"checkpoint": "sdss-gz3"}, CheckpointError, "unknown checkpoint 'sdss-gz3'"),
        ({"votes": 0.0}, PipelineError, "votes = 0.0: expected a number above 0"),
        ({"votes": float("inf")}, PipelineError, "votes = inf, expected a number"),
        ({"vote": 3.0}, PipelineError, "unknown key 'vote'"),
    ],
)
def test_teachers_that_cannot_teach_are_refused(folder, tmp_path, above, error, words):
    root, _ = folder
    catalog = read_catalog(root / "few.csv")
    with images_of(root) as images, pytest.raises(error, match=words):
        train(catalog, images, load_training(root / "pupil.toml", {"teacher": above}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_the_teacher_is_not_written_over(folder):
    """A pupil of the same name, trained where its teacher lies."""
    root, _ = folder
    pipeline = load_training(root / "pupil.toml").changed("tiny", {})
    with images_of(root) as images, pytest.raises(OutputError):
        train(read_catalog(root / "few.csv"), images, pipeline, root / "run")


def test_independent_answers_are_asked_of_all(tmp_path):
    """Ticks need not sum to one: each answer has as many votes as the teacher counts for."""
    scheme = load_checkpoint(small_sky.write_checkpoint(tmp_path / "visual.safetensors")).scheme
    assert scheme.kind == "independent"
    said = np.linspace(0.1, 0.9, len(scheme.keys))[np.newaxis]
    labels = as_votes(said, scheme, 5.0)
    np.testing.assert_allclose(labels.counts, 5.0 * said)
    assert set(labels.totals.ravel().tolist()) == {5.0}


def test_few_are_asked_what_seldom_comes_up():
    """Of a tree, a question has as many votes as the answers have that lead to it."""
    scheme = load_scheme("gz-ceers")
    said = np.random.default_rng(1).dirichlet(np.ones(4), (6, len(scheme.keys)))[..., 0]
    for where in scheme.slices:
        said[:, where] /= said[:, where].sum(axis=1, keepdims=True)
    labels = as_votes(said, scheme, 15.0)
    np.testing.assert_allclose(labels.fractions, said, rtol=1e-12)
    for where, parents in zip(scheme.slices, scheme.parents, strict=True):
        led = labels.counts[:, list(parents)].sum(axis=1) if parents else np.full(6, 15.0)
        np.testing.assert_allclose(labels.totals[:, where], np.repeat(led[:, None], where.stop - where.start, axis=1))
