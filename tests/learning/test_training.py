"""Training runs on a few small pictures: files, resuming, scores, and a test part that is not even read."""

from __future__ import annotations

import csv
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import drawn
import numpy as np
import pytest
import torch
from astropy.table import Table

from galmorph.cli import main
from galmorph.errors import CheckpointError, OutputError, PipelineError, SchemeError
from galmorph.learning.labelled_table import divided, labels_from
from galmorph.learning.pipeline import load_training
from galmorph.learning.scoring import calibrate_checkpoint, evaluate_checkpoint, labelled_table
from galmorph.learning.sections import fractions_of
from galmorph.learning.training import train
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.precision import computes_bfloat16
from galmorph.runs.run_settings import PRECISIONS
from galmorph.sky.catalog import catalog_from, read_catalog
from galmorph.sky.images import open_images
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Draw round and edge-on galaxies, and write labels and a pipeline."""
    return drawn.write(tmp_path_factory.mktemp("training"))


@pytest.fixture
def inputs(folder):
    """Open labels, images and pipeline."""
    source = open_images(folder / "images.zip", survey=load_survey("sdss"), band="RGB")
    yield read_catalog(folder / "labels.csv"), source, load_training(folder / "tiny.toml")
    source.close()


@pytest.fixture(scope="module")
def trained(folder, tmp_path_factory):
    """Train by the command line."""
    output = tmp_path_factory.mktemp("run")
    asked = ["--pipeline", str(folder / "tiny.toml"), "--threads", "1", "-o", str(output)]
    assert main(["train", str(folder / "labels.csv"), "--image", str(folder / "images.zip"), *asked]) == 0
    return output


def rows_of(path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def assert_same_network(one, other) -> None:
    weights = other.network.state_dict()
    for name, weight in one.network.state_dict().items():
        assert torch.equal(weight, weights[name]), name
    assert one.temperatures == other.temperatures


def test_a_run_leaves_checkpoint_card_log_and_split(trained):
    assert {p.name for p in trained.iterdir()} == {
        *("tiny.safetensors", "tiny.json", "log.csv", "losses.svg", "split.csv", "pipeline.json", "state.safetensors"),
    }
    card = json.loads((trained / "tiny.json").read_text())
    made = load_checkpoint(trained / "tiny.safetensors")
    assert card["sha256"] == made.sha256
    assert card["title"] == "round and edge-on pictures"
    assert card["data"] == "drawn for a test"
    assert sum(card["rows"].values()) == drawn.ROWS
    assert [len(curve) for curve in card["curves"]] == [12]
    assert "accuracy" in card["validation"]
    assert "test" not in card
    assert made.envelope.survey == "sdss"
    assert made.envelope.bands == ("i", "r", "g")
    assert made.scheme.name == "gz2-simple"
    losses = [float(row["validation_loss"]) for row in rows_of(trained / "log.csv")]
    assert losses[-1] < losses[0]


def test_the_checkpoint_tells_round_from_edge_on(trained, inputs):
    catalog, images, _ = inputs
    scores = evaluate_checkpoint(load_checkpoint(trained / "tiny.safetensors"), catalog, images, split="all")
    assert scores["accuracy"] > 0.9


@pytest.mark.parametrize("spelt", ["{stem}", "elsewhere/{stem}.jpg", " {stem}.jpg "])
def test_the_parts_are_the_same_however_the_table_spells_the_files(trained, inputs, spelt):
    """The pictures are found all the same: rows that had trained were scored as if they had not."""
    catalog, images, pipeline = inputs
    made = load_checkpoint(trained / "tiny.safetensors")
    table = catalog.table.copy()
    table["file"] = [spelt.format(stem=Path(file).stem) for file in catalog.files]
    other = catalog_from(table)
    assert divided(pipeline, other, images).splits.tolist() == divided(pipeline, catalog, images).splits.tolist()
    assert evaluate_checkpoint(made, other, images) == evaluate_checkpoint(made, catalog, images)


@pytest.mark.skipif(not computes_bfloat16("cpu"), reason="this processor has no bfloat16")
def test_scores_in_bfloat16_are_those_of_what_it_answers(trained, inputs):
    catalog, images, _ = inputs
    made = load_checkpoint(trained / "tiny.safetensors")
    single, half = (evaluate_checkpoint(made, catalog, images, split="all", precision=p) for p in PRECISIONS)
    assert "precision" not in single
    assert half["precision"] == "bfloat16"
    assert half["pooled"]["rmse"] != single["pooled"]["rmse"]
    assert half["pooled"]["rmse"] == pytest.approx(single["pooled"]["rmse"], abs=0.02)


def test_scores_in_bfloat16_are_refused_where_the_processor_has_it_not(trained, inputs, monkeypatch):
    monkeypatch.setattr("galmorph.nets.device.computes_bfloat16", lambda _device: False)
    catalog, images, _ = inputs
    made = load_checkpoint(trained / "tiny.safetensors")
    with pytest.raises(CheckpointError, match="precision 'bfloat16': this processor has no instructions"):
        evaluate_checkpoint(made, catalog, images, precision="bfloat16")
    with pytest.raises(CheckpointError, match="unknown precision 'half'"):
        evaluate_checkpoint(made, catalog, images, precision="half")


def with_ids(catalog):
    table = catalog.table.copy()
    table["id"] = [f"J{number}" for number in range(len(table))]
    table["ra"], table["dec"] = np.arange(len(table)) / 100.0, 0.0
    return table


def test_rows_that_a_split_knows_by_their_files_are_not_divided_by_ids(trained, inputs, caplog):
    """Rows that had trained would be scored as if they had not."""
    catalog, images, _ = inputs
    made = load_checkpoint(trained / "tiny.safetensors")
    assert made.split["named_by"] == "file"
    table = with_ids(catalog)
    assert evaluate_checkpoint(made, catalog_from(table), images) == evaluate_checkpoint(made, catalog, images)
    table.remove_column("file")
    with pytest.raises(PipelineError, match="divides labels by their column of file names, of which"):
        labelled_table(made, catalog_from(table), images, "test")
    assert len(labelled_table(made, catalog_from(table), images, "all").rows("all")) == drawn.ROWS
    contiguous = {"method": "contiguous", "blocks": 6, "test": [0], "validation": [1], "named_by": "file"}
    blocks = replace(made, split=contiguous)
    assert "of file names" not in caplog.text
    assert len(labelled_table(blocks, catalog_from(table), images, "test").rows("test")) == drawn.ROWS // 6
    assert "divides labels by their column of file names" in caplog.text


def test_a_split_by_ids_holds_for_a_table_that_has_files_too(inputs):
    catalog, images, pipeline = inputs
    table = with_ids(catalog)
    both = divided(changed(pipeline, split={"named_by": "id"}), catalog_from(table), images)
    table.remove_column("file")
    ids = divided(pipeline, catalog_from(table), images)
    assert both.split == ids.split
    assert both.splits.tolist() == ids.splits.tolist()
    assert both.splits.tolist() != divided(pipeline, catalog, images).splits.tolist()
    with pytest.raises(PipelineError, match="pipeline 'tiny' divides labels by their column of id names"):
        divided(changed(pipeline, split={"named_by": "id"}), catalog, images)


def test_labels_of_one_class_are_trained_on_with_a_warning(inputs, tmp_path, caplog):
    catalog, images, pipeline = inputs
    table = catalog.table.copy()
    train(catalog, images, changed(pipeline, train={"epochs": 1}), tmp_path / "two")
    assert "the same labels" not in caplog.text
    table["label"] = "spiral"
    train(catalog_from(table), images, changed(pipeline, train={"epochs": 1}), tmp_path / "one")
    assert "all training galaxies have the same labels of 'class' (" in caplog.text
    assert "100% spiral): nothing else can be learnt" in caplog.text


def test_labels_of_one_class_are_calibrated_on_with_a_warning(trained, inputs, caplog):
    catalog, images, _ = inputs
    made, table = load_checkpoint(trained / "tiny.safetensors"), catalog.table.copy()
    table["label"] = "spiral"
    calibrate_checkpoint(made, catalog_from(table), images)
    assert "all validation galaxies have the same labels of 'class' (" in caplog.text
    assert "100% spiral): nothing else can be fitted" in caplog.text


def test_labels_of_which_no_row_has_an_image_are_refused(trained, inputs):
    catalog, images, _ = inputs
    made, table = load_checkpoint(trained / "tiny.safetensors"), catalog.table.copy()
    table["file"] = [f"other{number}" for number in range(len(table))]
    with pytest.raises(PipelineError, match="rows of part 'test' has an image: expected the images that the labels"):
        evaluate_checkpoint(made, catalog_from(table), images)


def test_images_of_another_number_of_bands_are_refused(trained, inputs, folder, tmp_path):
    catalog, _, pipeline = inputs
    made = load_checkpoint(trained / "tiny.safetensors")
    grey = open_images(folder / "images.zip", survey=load_survey("candels"), band="H")
    words = "'tiny' takes images of three bands .*, these have one band"
    with closing(grey), pytest.raises(CheckpointError, match=f"checkpoint {words}"):
        evaluate_checkpoint(made, catalog, grey)
    with closing(grey), pytest.raises(CheckpointError, match=f"pipeline {words}"):
        train(catalog, grey, pipeline, tmp_path)


def test_labels_without_training_rows_are_compared_with_their_own_mean(trained, inputs):
    """An even guess in its place would flatter every network."""
    catalog, images, pipeline = inputs
    made = load_checkpoint(trained / "tiny.safetensors")
    unseen = np.flatnonzero(pipeline.split.divide(catalog.files, {}) == "test")
    new = catalog_from(catalog.table[unseen])
    for split in ("test", "all"):
        scores = evaluate_checkpoint(made, new, images, split=split)
        table = labelled_table(made, new, images, split)
        fractions = table.labels.fractions[table.rows(split)]
        own = np.sqrt(((fractions - fractions.mean(axis=0)) ** 2).mean())
        assert scores["rows"] == len(unseen)
        assert scores["questions"]["class"]["constant"] == pytest.approx(own, rel=1e-9)


@pytest.mark.parametrize(
    "split",
    [
        {"method": "hash", "by": "field", "test": 0.2, "validation": 0.2},
        {"method": "hash", "only": {"block": "a"}, "test": 0.2, "validation": 0.2},
        {"method": "sky", "test": 0.2, "validation": 0.2},
    ],
)
def test_all_labels_are_scored_without_the_columns_of_the_split(trained, inputs, split):
    catalog, images, _ = inputs
    made = replace(load_checkpoint(trained / "tiny.safetensors"), split=split)
    assert evaluate_checkpoint(made, catalog, images, split="all")["rows"] == drawn.ROWS
    with pytest.raises(PipelineError, match="the split is by column"):
        evaluate_checkpoint(made, catalog, images, split="test")


def test_the_split_on_disk_is_the_pipeline_s(trained, inputs):
    catalog, _, pipeline = inputs
    rows = rows_of(trained / "split.csv")
    assert [row["name"] for row in rows] == catalog.files
    assert [row["split"] for row in rows] == pipeline.split.divide(catalog.files, {}).tolist()


def test_evaluating_prints_json_and_fills_the_card(trained, folder, capsys, tmp_path):
    card = tmp_path / "card.json"
    card.write_bytes((trained / "tiny.json").read_bytes())
    asked = [str(trained / "tiny.safetensors"), str(folder / "labels.csv"), "--image", str(folder / "images.zip")]
    assert main(["evaluate", *asked, "--card", str(card)]) == 0
    scores = json.loads(capsys.readouterr().out)
    assert scores["split"] == "test"
    assert json.loads(card.read_text())["test"] == scores
    assert main(["evaluate", *asked, "--split", "all", "-o", str(tmp_path / "scores.json")]) == 0
    assert capsys.readouterr().out == ""
    assert json.loads((tmp_path / "scores.json").read_text())["split"] == "all"
    assert main(["evaluate", *asked, "--split", "tset"]) == 1
    assert "did you mean 'test'?" in capsys.readouterr().err


def test_training_fits_sets_and_an_envelope(trained, inputs):
    """Twelve held-out pictures: sets of 90 % are possible from nine on; an embedding needs twenty of each part."""
    made = load_checkpoint(trained / "tiny.safetensors")
    held = int((inputs[2].split.divide(inputs[0].files, {}) == "validation").sum())
    assert made.sets.rows == held
    assert made.sets.kind == "lac"
    assert made.envelope.embedding is None
    assert made.envelope.snr[0] > 0
    assert made.envelope.rpet_px == (0.0, float("inf"))  # the pixel scale of pictures is not known
    card = json.loads((trained / "tiny.json").read_text())
    assert card["calibration"]["sets"] == made.sets.to_dict()
    assert card["calibration"]["settings"]["method"] == "temperature"


def test_a_pipeline_says_how_to_calibrate(inputs, tmp_path):
    catalog, images, pipeline = inputs
    asked = {"method": "dirichlet", "sets": "aps", "coverage": 0.7, "by_class": True}
    made = train(catalog, images, changed(pipeline, train={"epochs": 1}, calibration=asked), tmp_path / "run")
    assert (made.checkpoint.sets.kind, made.checkpoint.sets.coverage, made.checkpoint.sets.by_class) == (
        "aps",
        0.7,
        True,
    )
    assert made.card["calibration"]["settings"]["method"] == "dirichlet"
    for wrong, words in (
        ({"methd": "dirichlet"}, "did you mean 'method'"),
        ({"method": "isotonic"}, "known are dirichlet, temperature"),
        ({"sets": "raps"}, "did you mean 'aps'"),
        ({"coverage": 90}, "between 0 and 1"),
        ({"by_class": "yes"}, "by_class = 'yes', expected true or false"),
    ):
        with pytest.raises(PipelineError, match=words):
            changed(pipeline, calibration=wrong)


def test_calibrating_again_changes_what_was_fitted_and_nothing_else(trained, folder, tmp_path, capsys):
    """By the command line, with other settings; then as in training, which gives the file of training."""
    data = [str(folder / "labels.csv"), "--image", str(folder / "images.zip")]
    before, path = trained / "tiny.safetensors", tmp_path / "again.safetensors"
    asked = ["calibrate", str(before), *data, "-o", str(path)]
    assert main([*asked, "--sets", "aps", "--coverage", "0.8", "--by-class", "--method", "dirichlet"]) == 0
    assert capsys.readouterr().out == f"{path}\n"
    one, other = load_checkpoint(before), load_checkpoint(path)
    for name, weight in one.network.state_dict().items():
        assert torch.equal(weight, other.network.state_dict()[name])
    assert (other.sets.kind, other.sets.coverage) == ("aps", 0.8)
    assert (other.recipe, other.scheme, other.split) == (one.recipe, one.scheme, one.split)
    card = json.loads(path.with_suffix(".json").read_text())
    assert card["sha256"] == other.sha256
    assert card["title"] == "round and edge-on pictures"
    assert "test" not in card
    assert main(asked) == 1
    assert "--overwrite" in capsys.readouterr().err
    assert main([*asked, "--overwrite"]) == 0
    assert load_checkpoint(path).sha256 == one.sha256


def test_scores_of_another_part_do_not_stay_on_the_card(trained, inputs):
    catalog, images, _ = inputs
    old = {"title": "x", "test": {"accuracy": 1.0}, "validation": {}}
    _, card = calibrate_checkpoint(load_checkpoint(trained / "tiny.safetensors"), catalog, images, card=old)
    assert set(card) == {"title", "validation", "calibration"}
    assert card["validation"]["accuracy"] >= 0.5


def test_labels_of_other_images_cannot_calibrate(trained, inputs):
    _, images, _ = inputs
    labels = catalog_from(Table({"file": ["none.jpg"] * 30, "label": ["spiral"] * 30}))
    with pytest.raises(PipelineError, match="part of the labels has no image"):
        calibrate_checkpoint(load_checkpoint(trained / "tiny.safetensors"), labels, images)


def test_evaluating_scores_the_sets_in_votes_per_class_and_per_depth(trained, inputs):
    catalog, images, _ = inputs
    scores = evaluate_checkpoint(load_checkpoint(trained / "tiny.safetensors"), catalog, images, split="all")
    sets = scores["sets"]
    assert (sets["kind"], sets["nominal"], sets["rows"]) == ("lac", 0.9, drawn.ROWS)
    assert sum(b["rows"] for b in sets["by_snr"]) == drawn.ROWS
    assert sum(c["rows"] for c in sets["by_class"].values()) == pytest.approx(drawn.ROWS)
    assert sets["by_class"]["spiral"]["coverage"] is None
    shares = [c["coverage"] * c["rows"] for c in sets["by_class"].values() if c["rows"]]
    assert sum(shares) / drawn.ROWS == pytest.approx(sets["coverage"])
    assert "outside" not in scores


def test_a_stopped_run_resumed_equals_an_uninterrupted_one(inputs, tmp_path):
    catalog, images, pipeline = inputs
    whole = train(catalog, images, pipeline, tmp_path / "whole")

    def stop(what, done, *_):
        if what == "training" and done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(catalog, images, pipeline, tmp_path / "parts", progress=stop)
    assert not (tmp_path / "parts" / "tiny.safetensors").exists()
    resumed = train(catalog, images, pipeline, tmp_path / "parts", resume=True)
    assert_same_network(whole.checkpoint, resumed.checkpoint)
    assert resumed.card["curves"] == whole.card["curves"]
    assert resumed.card["validation"] == whole.card["validation"]


@pytest.mark.parametrize("thresholds", ["learnt", "aligned"])
def test_galaxies_without_a_label_are_learnt_from_by_thresholds_for_each_answer(inputs, tmp_path, thresholds):
    """Half of the rows lose their class; the card says how it was learnt from."""
    catalog, source, pipeline = inputs
    table = catalog.table.copy()
    table["label"] = [str(label) if row % 4 < 2 else "" for row, label in enumerate(table["label"])]
    how = {"weight": 1.0, "threshold": 0.7, "thresholds": thresholds, "warmup": 0.5}
    run = train(
        catalog_from(table), source, changed(pipeline, train={"unlabelled": how, "epochs": 3}), tmp_path / "run"
    )
    assert run.card["unlabelled"] > 0
    assert sum(run.card["rows"].values()) == sum(bool(label) for label in table["label"].tolist())
    assert run.card["settings"]["train"]["unlabelled"]["thresholds"] == thresholds
    assert all(epoch["disagreement"] >= 0 for epoch in run.card["curves"][0])


def test_the_test_part_is_not_read(inputs, tmp_path):
    catalog, images, pipeline = inputs
    parts = pipeline.split.divide(catalog.files, {})
    cut = []

    class Watched:
        """Remember which stamps are cut."""

        def __getattr__(self, name):
            return getattr(images, name)

        def cutout(self, tile, x, y, half_px):
            cut.append(images.tile_names[tile])
            return images.cutout(tile, x, y, half_px)

    train(catalog, Watched(), changed(pipeline, train={"epochs": 1}), tmp_path / "run")
    assert set(cut) == {n for n, p in zip(catalog.files, parts.tolist(), strict=True) if p != "test"}


def changed(pipeline, **sections):
    return pipeline.changed(pipeline.name, sections)


def test_a_folder_with_a_run_in_it_is_refused(trained, inputs):
    with pytest.raises(OutputError, match="--resume"):
        train(*inputs, trained)


def test_a_finished_run_resumed_is_the_same(trained, inputs):
    before = load_checkpoint(trained / "tiny.safetensors")
    assert_same_network(train(*inputs, trained, resume=True).checkpoint, before)


def test_a_class_of_another_scheme_is_refused(inputs, tmp_path):
    _, images, pipeline = inputs
    labels = catalog_from(Table({"file": ["0.jpg", "1.jpg"], "label": ["spiral", "edge_onn"]}))
    with pytest.raises(SchemeError, match="did you mean 'edge_on'"):
        train(labels, images, pipeline, tmp_path / "run")


def test_labels_of_nothing_are_refused(inputs, tmp_path):
    _, images, pipeline = inputs
    labels = catalog_from(Table({"file": ["none.jpg"] * 30, "label": ["spiral"] * 30}))
    with pytest.raises(PipelineError, match="is empty"):
        train(labels, images, pipeline, tmp_path / "run")


def test_votes_of_another_scheme_are_mapped_by_fractions():
    columns = {"smooth": [6.0, 0.0], "featured": [3.0, 8.0], "bad": [1.0, 2.0], "merger": [2.0, 12.0]}
    catalog = catalog_from(Table({"file": ["a.jpg", "b.jpg"], **columns}))
    fractions = {
        "votes": ["smooth", "featured", "bad"],
        "spheroid": ["smooth"],
        "disk": ["featured"],
        "irregular": ["merger"],
        "point_source": ["bad"],
        "unclassifiable": ["bad"],
    }
    labels = labels_from(catalog, load_scheme("candels-visual"), fractions_of(fractions, "p"))
    np.testing.assert_allclose(labels.fractions[0], [0.6, 0.3, 0.2, 0.1, 0.1])
    assert labels.fractions[1, 2] == 1.0  # never more than all
    less = fractions_of({k: v for k, v in fractions.items() if k != "disk"}, "p")
    with pytest.raises(PipelineError, match="lacks 'disk'"):
        labels_from(catalog, load_scheme("candels-visual"), less)
    other = fractions_of({**fractions, "spheroid": ["smoth"]}, "p")
    with pytest.raises(SchemeError, match="no column 'smoth'"):
        labels_from(catalog, load_scheme("candels-visual"), other)


def test_members_differ_in_their_seeds_and_are_averaged(inputs, tmp_path):
    catalog, images, pipeline = inputs
    short = {"epochs": 2}
    made = train(catalog, images, changed(pipeline, train={**short, "members": 2}), tmp_path / "both")
    first, second = members_of(made.checkpoint.network)
    seed = pipeline.train.seed
    alone = train(catalog, images, changed(pipeline, train={**short, "seed": seed + 1}), tmp_path / "second")
    weights = alone.checkpoint.network.state_dict()
    for name, weight in second.state_dict().items():
        torch.testing.assert_close(weight, weights[name], rtol=1e-3, atol=1e-6)
    assert any(not torch.equal(a, b) for a, b in zip(first.parameters(), second.parameters(), strict=True))
    assert [len(curve) for curve in made.card["curves"]] == [2, 2]
    assert (tmp_path / "both" / "log-2.csv").exists()


def test_no_members_are_refused(inputs, tmp_path):
    catalog, images, pipeline = inputs
    with pytest.raises(PipelineError, match="members = 0"):
        train(catalog, images, changed(pipeline, train={"members": 0}), tmp_path / "none")


def test_resuming_with_other_settings_is_refused(trained, inputs):
    """What differs is named: the augmentation, which the state does not hold."""
    catalog, images, pipeline = inputs
    other = changed(pipeline, augmentation={"zoom": 1.3})
    with pytest.raises(PipelineError, match=r"other settings: \[augmentation\] zoom was 1.1 and is 1.3"):
        train(catalog, images, other, trained, resume=True)
    starry = changed(pipeline, stars={"count": 3, "rpet_px": 2.0, "answer": "spiral"})
    with pytest.raises(PipelineError, match=r"\[stars\] answer was None and is 'spiral'"):
        train(catalog, images, starry, trained, resume=True)


def test_a_broken_record_is_refused(inputs, tmp_path):
    """A record that is no JSON says so."""
    (tmp_path / "pipeline.json").write_text("{")
    with pytest.raises(PipelineError, match="holds no settings"):
        train(*inputs, tmp_path, resume=True)


def test_an_observer_is_told_all_losses_after_each_epoch(inputs, tmp_path):
    """Those of the first network too while the second learns; the state on disk is that of the same epoch."""
    catalog, images, pipeline = inputs
    lengths = []

    def look(state):
        assert (state.name, state.folder) == ("tiny", tmp_path)
        assert (tmp_path / f"state{'' if len(state.histories) == 1 else '-2'}.safetensors").exists()
        assert set(state.histories[-1][-1]) == {"epoch", "train_loss", "validation_loss"}
        lengths.append([len(history) for history in state.histories])

    two = changed(pipeline, train={"epochs": 2, "members": 2})
    train(catalog, images, two, tmp_path, on_epoch=look)
    assert lengths == [[1], [2], [2, 1], [2, 2]]


def test_the_command_line_draws_the_losses(trained):
    assert (trained / "losses.svg").read_text(encoding="utf-8").startswith("<svg")


def test_tensorboard_is_written_where_it_is_asked_for(inputs, tmp_path):
    """One folder for each network."""
    pytest.importorskip("tensorboard")
    catalog, images, pipeline = inputs
    asked = changed(pipeline, train={"epochs": 1, "tensorboard": True})
    train(catalog, images, asked, tmp_path)
    assert [p.name[:6] for p in (tmp_path / "events-1").iterdir()] == ["events"]
