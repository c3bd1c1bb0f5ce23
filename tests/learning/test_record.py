"""Records of training runs: what is the same run goes on, what is another is refused with what differs."""

from __future__ import annotations

import json

import drawn
import pytest

from galmorph.errors import OutputError, PipelineError
from galmorph.learning.pipeline import load_training
from galmorph.learning.record import check_record, prepare_folder, record_of


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
    prepare_folder(tmp_path / "a" / "b", record, resume=False)
    assert json.loads((tmp_path / "a" / "b" / "pipeline.json").read_text()) == record
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot be made"):
        prepare_folder(tmp_path / "file" / "b", record, resume=False)
    (tmp_path / "a" / "b" / "state.safetensors").write_text("")
    with pytest.raises(OutputError, match="--resume"):
        prepare_folder(tmp_path / "a" / "b", record, resume=False)
    prepare_folder(tmp_path / "a" / "b", record, resume=True)
