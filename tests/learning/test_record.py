"""Records of training runs: what is the same run goes on, what is another is refused with what differs."""

from __future__ import annotations

import json
import os

import drawn
import pytest

from galmorph.errors import OutputError, PipelineError
from galmorph.learning.pipeline import load_training
from galmorph.learning.record import check_record, check_training, prepared_folder, record_of
from galmorph.sky.catalog_input import CatalogInput


@pytest.fixture
def pipeline(tmp_path):
    """Load a pipeline with a split of blocks, which says its method."""
    blocks = 'method = "contiguous"\nblocks = 4\ntest = [0]\nvalidation = [1]'
    (tmp_path / "tiny.toml").write_text(drawn.PIPELINE.replace("test = 0.25\nvalidation = 0.25", blocks))
    return load_training(tmp_path / "tiny.toml")


def written(folder, record):
    folder.mkdir(exist_ok=True)
    (folder / "pipeline.json").write_text(json.dumps(record))
    return folder


def test_a_record_that_leaves_defaults_out_is_the_same_run(pipeline, tmp_path):
    """As those of runs that were begun before a setting existed, or that wrote down only what their file said."""
    record = record_of(pipeline)
    plain = {"recipe": {"size": 16, "planes": 3, "stretch": "display"}, "augmentation": {"zoom": 1.1}, "stars": {}}
    short = {
        **record,
        **plain,
        "train": {k: record["train"][k] for k in ("epochs", "batch", "learning_rate", "bfloat16")},
    }
    del short["calibration"]
    check_record(written(tmp_path / "run", short), record)
    check_record(written(tmp_path / "run", record), record)


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("recipe", "gain", 3.0, r"\[recipe\] gain was 3.0 and is 2.0"),
        ("train", "seed", 7, r"\[train\] seed was 7 and is 1"),
        ("calibration", "sets", "aps", r"\[calibration\] sets was 'aps' and is 'lac'"),
        ("split", "blocks", 5, r"\[split\] blocks was 5 and is 4"),
        ("simulated", "rows", 9, r"\[simulated\] rows was 9 and is None"),
    ],
)
def test_another_setting_is_another_run(pipeline, tmp_path, section, key, value, said):
    record = record_of(pipeline)
    other = {**record, section: {**record.get(section, {}), key: value}}
    with pytest.raises(PipelineError, match=said):
        check_record(written(tmp_path / "run", other), record)


def test_what_is_looked_at_while_learning_does_not_matter(pipeline):
    """Nor do name, title, inputs and the search."""
    sections = {"title": "another", "inputs": {"labels": "x.csv"}, "train": {"tensorboard": True}}
    assert record_of(pipeline.changed("other", sections)) == record_of(pipeline)


def test_a_folder_is_made_or_refused(pipeline, tmp_path):
    record = record_of(pipeline)
    with prepared_folder(tmp_path / "a" / "b", record, resume=False):
        pass
    assert json.loads((tmp_path / "a" / "b" / "pipeline.json").read_text()) == record
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(OutputError, match="cannot be made"),
        prepared_folder(tmp_path / "file" / "b", record, resume=False),
    ):
        pass
    (tmp_path / "a" / "b" / "state.safetensors").write_text("")
    with pytest.raises(OutputError, match="--resume"), prepared_folder(tmp_path / "a" / "b", record, resume=False):
        pass
    with prepared_folder(tmp_path / "a" / "b", record, resume=True):
        pass


def test_one_run_at_a_time_writes_into_a_folder(pipeline, tmp_path):
    record = record_of(pipeline)
    with (
        prepared_folder(tmp_path / "run", record, resume=False),
        pytest.raises(OutputError, match="another run is writing there"),
        prepared_folder(tmp_path / "run", record, resume=True),
    ):
        pass
    with prepared_folder(tmp_path / "run", record, resume=True):
        pass


@pytest.mark.parametrize("name", ["tiny.safetensors", "tiny.json", "log.csv", "state.safetensors"])
def test_files_of_another_run_are_not_replaced(pipeline, tmp_path, name):
    mine = pipeline.changed("tiny", {})
    (tmp_path / name).write_text("somebody else's")
    with pytest.raises(OutputError, match="--resume"):
        check_training(tmp_path, mine, resume=False)
    if not name.startswith("state"):
        with pytest.raises(OutputError, match=name):
            check_training(tmp_path, mine, resume=True)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted([name, "tiny.toml"])


@pytest.mark.parametrize("name", ["split.csv", "tiny.safetensors", "log.csv"])
def test_a_training_never_replaces_what_it_reads(pipeline, tmp_path, name):
    (tmp_path / "state.safetensors").write_text("of a run that was stopped")
    (tmp_path / name).write_text("labels, or the weights to start from")
    os.link(tmp_path / name, tmp_path / "link.csv")
    start = {"train": {"start": str(tmp_path / name)}}
    with pytest.raises(OutputError, match="never replaces its input"):
        check_training(tmp_path, pipeline.changed("tiny", start), resume=True)
    with pytest.raises(OutputError, match="never replaces its input"):
        check_training(tmp_path, pipeline.changed("tiny", {}), CatalogInput(tmp_path / "link.csv"), resume=True)
    check_training(tmp_path, pipeline.changed("tiny", {}), resume=True)
