"""Tuning: trials that follow from a seed, go on after a kill, and become one checkpoint."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import drawn
import numpy as np
import pytest
from astropy.table import Table

import galmorph
from galmorph.cli import main
from galmorph.errors import DivergedError, OutputError, PipelineError
from galmorph.learning.pipeline import load_training
from galmorph.learning.scoring import calibrate_checkpoint
from galmorph.learning.tuning import Blend, tune
from galmorph.nets.architecture.network import shares_of
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.sky.survey import load_survey

SEARCH = """
[inputs]
labels = "labels.csv"
images = "images.zip"
[tune]
trials = 3
seed = 4
[tune.train]
epochs = 3
learning_rate = { low = 3e-3, high = 3e-2, log = true }
[tune.augmentation]
zoom = [1.05, 1.2]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write pictures, labels and a pipeline with ranges."""
    root = drawn.write(tmp_path_factory.mktemp("tuning"))
    (root / "search.toml").write_text(drawn.PIPELINE + SEARCH)
    return root


@pytest.fixture(scope="module")
def tuned(folder, tmp_path_factory):
    """Tune by the command line, and join the best two with fitted weights."""
    output = tmp_path_factory.mktemp("tuned")
    asked = ["--blend", "2", "--fit-shares", "--threads", "1", "-o", str(output)]
    assert main(["tune", str(folder / "search.toml"), *asked]) == 0
    return output


@pytest.fixture
def pipeline(folder):
    """Load the pipeline."""
    return load_training(folder / "search.toml")


def cards(folder: Path) -> list[dict]:
    return [json.loads(p.read_text()) for p in sorted(folder.glob("trials/*/search-*.json"))]


def test_the_table_says_what_each_trial_was_and_gave(tuned):
    """Values as in the cards; the first trial is the pipeline as it is; ranks follow the least validation loss."""
    table = Table.read(tuned / "trials.ecsv")
    assert table["trial"].tolist() == [0, 1, 2]
    assert table["train.learning_rate"][0] == 0.01
    assert table["augmentation.zoom"][0] == 1.1
    for row, card in zip(table, cards(tuned), strict=True):
        assert card["settings"]["train"]["learning_rate"] == row["train.learning_rate"]
        assert card["settings"]["augmentation"]["zoom"] == row["augmentation.zoom"]
        assert row["validation_loss"] == min(e["validation_loss"] for e in card["curves"][0])
        assert row["validation_accuracy"] == card["validation"]["accuracy"]
        assert row["epochs"] == 3
        assert (tuned / row["checkpoint"]).exists()
    assert np.argsort(table["validation_loss"]).tolist() == np.argsort(table["rank"]).tolist()


def test_the_test_part_is_not_scored(tuned):
    """Neither the trials nor the blend know it."""
    blend = json.loads((tuned / "search.json").read_text())
    assert all("test" not in card for card in [*cards(tuned), blend])
    assert blend["validation"]["split"] == "validation"


def test_the_blend_is_the_best_two(tuned):
    """With the shares that make the votes of the validation part likeliest."""
    table = Table.read(tuned / "trials.ecsv")
    card = json.loads((tuned / "search.json").read_text())
    best = [f"search-{n:03d}" for n in table["trial"][np.argsort(table["rank"])][:2]]
    assert [part["name"] for part in card["joined"]] == best
    made = load_checkpoint(tuned / "search.safetensors")
    assert made.split == load_checkpoint(tuned / table["checkpoint"][0]).split
    np.testing.assert_allclose(shares_of(made.network), [p["share"] for p in card["joined"]], atol=1e-5)
    assert card["blend"]["log_likelihood_fitted"] >= card["blend"]["log_likelihood_equal"] - 1e-3


def test_the_blend_is_calibrated_as_a_training_is(tuned, folder):
    """Its temperatures, sets and envelope are those that `galmorph calibrate` would fit to it."""
    made, card = load_checkpoint(tuned / "search.safetensors"), json.loads((tuned / "search.json").read_text())
    assert card["sha256"] == card["validation"]["sha256"] == made.sha256
    assert made.sets is not None
    assert card["calibration"]["sets"] == made.sets.to_dict()
    assert card["validation"]["sets"]["nominal"] == 0.9
    catalog = galmorph.read_catalog(folder / "labels.csv")
    with closing(galmorph.open_images(folder / "images.zip", survey=load_survey("sdss"), band="RGB")) as images:
        fitted, _ = calibrate_checkpoint(made, catalog, images)
    assert (fitted.temperatures, fitted.sets) == (made.temperatures, made.sets)
    assert fitted.envelope.to_dict() == made.envelope.to_dict()


def test_states_of_finished_trials_are_removed(tuned):
    """They are several times as large as the checkpoints."""
    assert not list(tuned.rglob("state*"))


def test_a_trial_is_the_training_of_its_pipeline(tuned, folder, tmp_path):
    """The values of a row, written into a pipeline, give the same weights."""
    row = Table.read(tuned / "trials.ecsv")[1]
    text = f'extends = "{folder}/tiny.toml"\n[train]\nepochs = 3\nlearning_rate = {row["train.learning_rate"]}\n'
    (tmp_path / "search-001.toml").write_text(text + f"[augmentation]\nzoom = {row['augmentation.zoom']}\n")
    data = [str(folder / "labels.csv"), "--image", str(folder / "images.zip")]
    asked = ["--pipeline", str(tmp_path / "search-001.toml"), "--threads", "1", "-o", str(tmp_path / "run")]
    assert main(["train", *data, *asked]) == 0
    made = load_checkpoint(tmp_path / "run" / "search-001.safetensors")
    assert made.sha256 == load_checkpoint(tuned / row["checkpoint"]).sha256


def test_more_trials_leave_those_that_are_done(tuned, pipeline, tmp_path):
    """Two trials, then three: as three at once, and only the third is trained."""
    tune(pipeline, tmp_path, trials=2)
    trained = []
    tune(pipeline, tmp_path, resume=True, progress=lambda w, _d, _n, r: trained.append(r[:7]) if w == "training" else 0)
    assert set(trained) == {"trial 2"}
    assert (tmp_path / "trials.ecsv").read_bytes() == (tuned / "trials.ecsv").read_bytes()


@pytest.mark.long
def test_killed_and_gone_on_equals_one_go(tuned, folder, tmp_path):
    """Killed without warning in the second trial."""
    root = str(Path(galmorph.__file__).parents[1])
    words = ["tune", str(folder / "search.toml"), "--threads", "1", "-o", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "galmorph", *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root},
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 200
    while not (tmp_path / "trials" / "001" / "state.safetensors").exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait(timeout=60)
    assert (tmp_path / "trials" / "000" / "search-000.json").exists()
    assert main([*words, "--resume", "--blend", "2", "--fit-shares"]) == 0
    for name in ("trials.ecsv", "search.safetensors"):
        assert (tmp_path / name).read_bytes() == (tuned / name).read_bytes(), name


def test_equal_weights_without_fitting(tuned, pipeline, tmp_path):
    """The default joins with equal shares; trials that are there already are taken."""
    (tmp_path / "trials").symlink_to(tuned / "trials")
    made = tune(pipeline, tmp_path, blend=Blend(3), resume=True)
    assert made.blend == tmp_path / "search.safetensors"
    np.testing.assert_allclose(shares_of(load_checkpoint(made.blend).network), 1 / 3, atol=1e-6)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"trial": 3}, r"\[tune\]: unknown key 'trial'.*did you mean 'trials'"),
        ({"trials": 0}, "whole number from 1"),
        ({"measure": "acuracy"}, "did you mean 'accuracy'"),
        ({"train": {"learning_rate": 0.1}, "augmentation": {"zoom": 1.0}}, "nothing to draw"),
        ({"train": {"loss": ["mse", "likelihood"]}}, "do not compare"),
        ({"train": {"optimiser": ["adam"]}}, "trial 0 .*optimiser"),
        ({"network": {"dropout": [1, 2]}}, "trial 1 .*network.dropout"),
    ],
)
def test_a_search_that_cannot_work_is_refused_before_it_starts(pipeline, tmp_path, changes, expected):
    """One line, and no folder."""
    with pytest.raises(PipelineError, match=expected):
        tune(pipeline.changed("search", {"tune": changes}), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_blends_that_cannot_be_are_refused_before_anything_is_trained(pipeline, tmp_path):
    """More than there are, or of different stamps."""
    with pytest.raises(PipelineError, match="from 2 to the number of trials, 3"):
        tune(pipeline, tmp_path / "out", blend=Blend(4))
    wide = pipeline.changed("search", {"tune": {"recipe": {"half_width_rpet": [1.5, 2.5]}}})
    with pytest.raises(PipelineError, match="differ in their recipe"):
        tune(wide, tmp_path / "out", blend=Blend(2))
    assert not (tmp_path / "out").exists()


def test_another_search_s_folder_is_refused(tuned, pipeline):
    """Without --resume, and with another seed."""
    with pytest.raises(OutputError, match="--resume"):
        tune(pipeline, tuned)
    with pytest.raises(PipelineError, match="other settings"):
        tune(pipeline, tuned, seed=5, resume=True)


def test_a_pipeline_without_ranges_says_what_to_add(folder, tmp_path, capsys):
    """One line; weights without a blend are refused, too."""
    with pytest.raises(PipelineError, match=r"no \[tune\] table"):
        tune(load_training(folder / "tiny.toml"), tmp_path / "out")
    assert main(["tune", str(folder / "search.toml"), "--fit-shares", "-o", str(tmp_path / "out")]) == 1
    assert "--blend N" in capsys.readouterr().err


def test_a_trial_that_loses_its_numbers_is_ranked_last_and_the_search_goes_on(folder, tmp_path, caplog):
    """Of two learning rates one is far too high; a search that goes on does not try it again."""
    text = SEARCH.replace("{ low = 3e-3, high = 3e-2, log = true }", "[0.01, 1e30]").replace("epochs = 3", "epochs = 1")
    (folder / "wide.toml").write_text(drawn.PIPELINE + text.replace("trials = 3", "trials = 4"))
    wide = load_training(folder / "wide.toml")
    tuned = tune(wide, tmp_path / "out")
    lost = tuned.table["train.learning_rate"] == 1e30
    assert 0 < lost.sum() < 4
    assert np.isnan(tuned.table["validation_loss"]).tolist() == lost.tolist()
    assert tuned.table["rank"][lost].min() > tuned.table["rank"][~lost].max()
    assert (tuned.table["checkpoint"] == "").tolist() == lost.tolist()
    assert len(tuned.ranking) == (~lost).sum()
    assert all(path.exists() for path in tuned.ranking)
    first = int(tuned.table["trial"][lost][0])
    said = (tmp_path / "out" / "trials" / f"{first:03d}" / "diverged.txt").read_text()
    assert "network 1: the" in said
    assert "step" in said
    assert f"trial {first} (" in caplog.text
    caplog.clear()
    again = tune(wide, tmp_path / "out", resume=True)
    assert [str(v) for v in again.table["checkpoint"]] == [str(v) for v in tuned.table["checkpoint"]]
    assert caplog.text == ""
    too_few = int((~lost).sum()) + 1
    with pytest.raises(DivergedError, match=f"{too_few - 1} trials kept their numbers, expected at least {too_few}"):
        tune(wide, tmp_path / "out", blend=Blend(too_few), resume=True)


def test_a_search_that_loses_all_its_trials_says_so(folder, tmp_path):
    """There is no best one; the table is there, and no traceback."""
    text = SEARCH.replace("{ low = 3e-3, high = 3e-2, log = true }", "1e30").replace("epochs = 3", "epochs = 1")
    (folder / "lost.toml").write_text(drawn.PIPELINE + text)
    with pytest.raises(DivergedError, match="0 trials kept their numbers"):
        tune(load_training(folder / "lost.toml"), tmp_path / "out", trials=2)
    assert len(Table.read(tmp_path / "out" / "trials.ecsv")) == 2
