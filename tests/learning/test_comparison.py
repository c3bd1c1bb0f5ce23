"""Pipelines trained and scored side by side: by the command line, from one file, stopped and gone on with."""

from __future__ import annotations

import json
import math

import drawn
import pytest
from astropy.table import Table

from galmorph.cli import main
from galmorph.errors import DivergedError, OutputError, PipelineError
from galmorph.learning.comparison import compare, least_loss, side_by_side
from galmorph.learning.pipeline import load_training
from galmorph.nets.checkpoint.file import load_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Write pictures, labels and three pipelines: with its inputs, a wider one above it, one without inputs."""
    root = drawn.write(tmp_path_factory.mktemp("experiment"))
    (root / "named.toml").write_text(drawn.PIPELINE + drawn.INPUTS)
    (root / "slow.toml").write_text('extends = "named.toml"\n[train]\nlearning_rate = 0.0001\n')
    return root


@pytest.fixture(scope="module")
def ran(folder, tmp_path_factory):
    """Run two pipelines by the command line."""
    output = tmp_path_factory.mktemp("ran")
    asked = [str(folder / "named.toml"), str(folder / "slow.toml"), "--epochs", "3", "--threads", "1"]
    assert main(["run", *asked, "-o", str(output)]) == 0
    return output


def loaded(folder, *names):
    return [load_training(folder / f"{name}.toml", {"train": {"epochs": 3}}) for name in names]


def test_one_file_trains_and_scores(ran):
    """Each pipeline leaves a folder as of training, with the scores of the test part in its card."""
    for name in ("named", "slow"):
        card = json.loads((ran / name / f"{name}.json").read_text())
        assert card["test"]["split"] == "test"
        assert card["test"]["sha256"] == load_checkpoint(ran / name / f"{name}.safetensors").sha256
        assert (ran / name / "losses.svg").exists()


def test_the_table_holds_what_the_cards_say(ran):
    """A column for each pipeline, a row for each measure, of the whole, of each question and of each class."""
    table = Table.read(ran / "comparison.ecsv")
    assert table.colnames == ["question", "measure", "named", "slow"]
    rows = {(str(r["question"]), str(r["measure"])): r for r in table.filled("")}
    for name in ("named", "slow"):
        card = json.loads((ran / name / f"{name}.json").read_text())
        assert rows["", "accuracy"][name] == card["test"]["accuracy"]
        assert rows["", "validation_loss"][name] == min(e["validation_loss"] for e in card["curves"][0])
        assert rows["class", "rmse"][name] == card["test"]["questions"]["class"]["rmse"]
        assert rows["edge_on", "recall"][name] == card["test"]["recall"]["edge_on"]
        assert math.isnan(rows["spiral", "recall"][name])
    assert rows["", "validation_loss"]["named"] < rows["", "validation_loss"]["slow"]


def test_a_run_equals_training_and_evaluating(ran, folder, tmp_path, capsys):
    """There is one way of training: the same weights come from the other two commands, for each of two pipelines."""
    data = [str(folder / "labels.csv"), "--image", str(folder / "images.zip")]
    for name in ("named", "slow"):
        path, other = tmp_path / name / f"{name}.safetensors", ran / name / f"{name}.safetensors"
        asked = ["--pipeline", str(folder / f"{name}.toml"), "--epochs", "3", "--threads", "1", "-o", str(path.parent)]
        assert main(["train", *data, *asked]) == 0
        assert load_checkpoint(path).sha256 == load_checkpoint(other).sha256
        capsys.readouterr()
        assert main(["evaluate", str(path), *data]) == 0
        assert json.loads(capsys.readouterr().out) == json.loads(other.with_suffix(".json").read_text())["test"]


def test_pipelines_that_share_their_galaxies_measure_them_once(folder, tmp_path):
    """The second of two that differ in their learning rate takes the sets of the first."""
    measured = []
    pipelines = loaded(folder, "named", "slow")
    compare(pipelines, tmp_path, progress=lambda w, *r: measured.append(r[2].split()[0]) if w == "measuring" else None)
    assert set(measured) == {"named"}


def test_going_on_leaves_what_is_done_and_does_the_rest(ran, folder, tmp_path):
    """Stopped in the second pipeline, the first is not trained again, and the result is that of one go."""
    trained = []

    def stop(what, done, _total, remark=""):
        if what == "training":
            trained.append(remark.split()[0])
            if remark.startswith("slow") and done == 2:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compare(loaded(folder, "named", "slow"), tmp_path, progress=stop)
    assert Table.read(tmp_path / "comparison.ecsv").colnames == ["question", "measure", "named"]
    trained.clear()
    compare(
        loaded(folder, "named", "slow"), tmp_path, resume=True, progress=lambda w, *r: trained.append((w, r[2][:4]))
    )
    assert {name for what, name in trained if what == "training"} == {"slow"}
    assert len([1 for what, _ in trained if what == "training"]) == 1
    assert (tmp_path / "comparison.ecsv").read_bytes() == (ran / "comparison.ecsv").read_bytes()


def test_what_cannot_run_is_refused_before_anything_is_trained(folder, tmp_path):
    """The last of several pipelines is looked at, too."""
    good = loaded(folder, "named")[0]
    refused = {
        "does not exist": good.changed("b", {"inputs": {"labels": "none.csv"}}),
        r"pipeline 'tiny': nothing says.*labels.*--input labels=FILE": load_training(folder / "tiny.toml"),
        "no labelled row in the test part": good.changed("b", {"split": {"test": 0}}),
        "names that differ": good,
    }
    for words, bad in refused.items():
        with pytest.raises(ValueError, match=words):
            compare([good, bad], tmp_path / "out")
    with pytest.raises(PipelineError, match="did you mean 'test'"):
        compare([good], tmp_path / "out", split="tests")
    assert not (tmp_path / "out").exists()


def test_a_training_that_loses_its_numbers_is_named(folder, tmp_path):
    """Of several pipelines the one whose loss is no number any more."""
    good, bad = loaded(folder, "named")[0], loaded(folder, "slow")[0].changed("bad", {"train": {"learning_rate": 1e30}})
    with pytest.raises(DivergedError, match=r"^pipeline 'bad': network 1: the"):
        compare([good, bad], tmp_path)
    assert (tmp_path / "named" / "named.safetensors").exists()
    assert Table.read(tmp_path / "comparison.ecsv").colnames == ["question", "measure", "named"]


def test_a_folder_in_use_is_refused(ran, folder):
    """Without --resume nothing is touched; with it, other settings are refused."""
    with pytest.raises(OutputError, match="--resume"):
        compare(loaded(folder, "named"), ran)
    other = load_training(folder / "named.toml", {"train": {"epochs": 4}})
    with pytest.raises(PipelineError, match=r"\[train\] epochs was 3 and is 4"):
        compare([other], ran, resume=True)


def test_inputs_on_the_command_line_go_before_the_file(folder, tmp_path, capsys):
    """A missing file given there is what is looked for."""
    asked = ["run", str(folder / "named.toml"), "-o", str(tmp_path / "out"), "--input", "labels=elsewhere.csv"]
    assert main(asked) == 1
    assert "elsewhere.csv" in capsys.readouterr().err
    made = load_training(folder / "tiny.toml", {"inputs": {"labels": f"{folder}/labels.csv", "images": "b"}})
    assert made.inputs.images == ("b",)


def test_checkpoints_of_different_schemes_share_a_table():
    """A measure that one does not have is NaN there."""
    scores = {"rows": 3, "pooled": {}, "questions": {"a": {"rows": 0}}}
    cards = {
        "one": {"weights": 5, "curves": [[{"validation_loss": 2.0}], [{"validation_loss": 1.0}]], "test": scores},
        "two": {"weights": 6, "curves": [[{"validation_loss": math.nan}]], "test": scores | {"accuracy": 0.5}},
    }
    assert [least_loss(card) for card in cards.values()] == [1.5, math.inf]
    table = side_by_side(cards, "test")
    accuracy = table[[str(m) == "accuracy" for m in table["measure"]]][0]
    assert math.isnan(accuracy["one"])
    assert accuracy["two"] == 0.5
