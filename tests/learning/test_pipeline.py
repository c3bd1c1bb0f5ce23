"""Pipelines: files that extend each other, are checked, and divide labels the same way every time."""

from __future__ import annotations

import numpy as np
import pytest

from galmorph.errors import PipelineError
from galmorph.learning.pipeline import load_pipeline, pipeline_names, split_rows
from galmorph.nets.architecture.network import NetworkConfig, outline
from galmorph.nets.training.settings import Augmentation, EnsembleSettings
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey
from galmorph.stamps.recipe import Recipe
from galmorph.toml import build

PLAIN = """
title = "a pipeline"
scheme = "gz2-simple"
[images]
survey = "sdss"
band = "RGB"
[split]
test = 0.2
validation = 0.3
"""


@pytest.fixture
def pipeline(tmp_path):
    """Write a pipeline file and load it."""

    def load(text: str = PLAIN, overrides=None, name: str = "mine"):
        (tmp_path / f"{name}.toml").write_text(text)
        return load_pipeline(tmp_path / f"{name}.toml", overrides)

    return load


@pytest.mark.parametrize("name", pipeline_names())
def test_every_shipped_pipeline_is_sound(name):
    made = load_pipeline(name)
    assert made.name == name
    recipe = Recipe.from_dict(made.recipe)
    assert recipe.planes == (3 if made.images["band"] == "RGB" else 1)
    assert outline(NetworkConfig.from_dict(made.network), recipe, load_scheme(made.scheme))[1] > 10_000
    assert build(EnsembleSettings, made.train, name).epochs > 1
    assert build(Augmentation, made.augmentation, name).zoom >= 1
    assert load_survey(made.images["survey"]).bands
    scheme = load_scheme(made.scheme)
    assert not made.fractions or set(made.fractions) == {*scheme.keys, "votes"}
    assert not made.stars or made.stars["answer"] in scheme.keys


def test_what_a_file_extends_lies_below_it(pipeline, tmp_path):
    (tmp_path / "base.toml").write_text('title = "base"\n[train]\nepochs = 3\nbatch = 9\n')
    made = pipeline('extends = "base.toml"\n' + PLAIN + "[train]\nbatch = 5\n")
    assert made.title == "a pipeline"
    assert made.train == {"epochs": 3, "batch": 5}


def test_overrides_win_key_by_key(pipeline):
    made = pipeline(PLAIN + "[train]\nepochs = 3\nbatch = 5\n", {"train": {"epochs": 1}, "scheme": "gz2"})
    assert made.train == {"epochs": 1, "batch": 5}
    assert made.scheme == "gz2"


def test_a_network_is_named_or_named_and_changed_or_written_out(pipeline):
    assert pipeline('network = "plain"\n' + PLAIN).network == {"name": "plain"}
    assert pipeline(PLAIN + "[network]\nname = 'plain'\ndropout = 0.1\n").network == {"name": "plain", "dropout": 0.1}
    assert pipeline(PLAIN + "[network]\nlayers = 'dense answers'\n").network == {"layers": "dense answers"}
    assert pipeline(PLAIN).network == {}


def test_settings_of_one_network_do_not_reach_another(pipeline, tmp_path):
    (tmp_path / "base.toml").write_text("network = { name = 'plain', dropout = 0.1, channels = [8, 8, 8, 8] }\n")
    extending = 'extends = "base.toml"\n' + PLAIN
    assert pipeline('network = "netsharp"\n' + extending).network == {"name": "netsharp"}
    changed = pipeline(extending + "[network]\ndropout = 0.4\n", {"network": {"channels": [16, 8, 8, 8]}})
    assert changed.network == {"name": "plain", "dropout": 0.4, "channels": [16, 8, 8, 8]}
    assert pipeline(extending, {"network": "convnext"}).network == {"name": "convnext"}


def test_a_network_in_a_file_lies_beside_the_pipeline(pipeline, tmp_path):
    (tmp_path / "own.toml").write_text("layers = 'dense answers'\n")
    made = NetworkConfig.from_dict(pipeline('network = "own.toml"\n' + PLAIN).network)
    assert (made.name, made.layers) == ("own", "dense answers")


def test_a_file_to_start_from_lies_beside_the_pipeline_that_names_it(pipeline, tmp_path):
    """Also where another extends it; names of checkpoints that ship stay names, and nothing takes it away again."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "base.toml").write_text('[train]\nstart = "old.safetensors"\n')
    extending = 'extends = "parts/base.toml"\n' + PLAIN
    assert pipeline(extending).train["start"] == str(tmp_path / "parts" / "old.safetensors")
    assert pipeline(PLAIN + '[train]\nstart = "sdss-rgb"\n').train["start"] == "sdss-rgb"
    assert pipeline(extending + '[train]\nstart = ""\n').train["start"] == ""
    absolute = str(tmp_path / "far.safetensors")
    assert pipeline(PLAIN + f'[train]\nstart = "{absolute}"\n').train["start"] == absolute


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace("[images]", "[image]"), "lacks 'images'"),
        (PLAIN + "[trian]\nepochs = 1\n", "did you mean 'train'?"),
        (PLAIN.replace("validation", "validaton"), "did you mean 'validation'?"),
        (PLAIN.replace("validation = 0.3", ""), "lacks 'validation'"),
        (PLAIN.replace('survey = "sdss"', ""), "lacks 'survey'"),
        (PLAIN.replace("test = 0.2", 'method = "contiguous"'), "lacks 'blocks'"),
        (PLAIN.replace("test = 0.2", 'method = "random"'), "unknown method of a split 'random'"),
        (PLAIN.replace('title = "a pipeline"', "title = 5"), "expected a text"),
        ("recipe = 3\n" + PLAIN, "expected a table"),
        ("network = 3\n" + PLAIN, "expected a table"),
        ("[images\n", "cannot be read"),
        ('extends = "none.toml"\n' + PLAIN, "none.toml"),
        ('extends = "mine.toml"\n' + PLAIN, "extends itself"),
        ("\0", "cannot be read"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(pipeline, text, said):
    with pytest.raises(PipelineError) as caught:
        pipeline(text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_pipeline_names_the_nearest():
    with pytest.raises(PipelineError, match="did you mean 'sdss-rgb'"):
        load_pipeline("sdss-rbg")


def test_contiguous_parts_are_whole_blocks_in_the_order_of_the_numbers():
    names = [f"ceers_{n}.jpg" for n in (30, 4, 11, 2, 25, 18, 39, 7)]
    split = {"method": "contiguous", "blocks": 4, "validation": [1], "test": [3]}
    parts = split_rows(split, names, {})
    by_number = parts[np.argsort([int(n[6:-4]) for n in names])]
    assert by_number.tolist() == ["train"] * 2 + ["validation"] * 2 + ["train"] * 2 + ["test"] * 2


def test_hashed_parts_do_not_depend_on_the_other_rows():
    names = [f"{n}.jpg" for n in range(2000)]
    split = {"test": 0.2, "validation": 0.3}
    parts = split_rows(split, names, {})
    assert (parts == "test").mean() == pytest.approx(0.2, abs=0.03)
    assert (parts == "validation").mean() == pytest.approx(0.3, abs=0.03)
    assert split_rows(split, names[700:], {}).tolist() == parts[700:].tolist()
    assert split_rows({**split, "salt": "another"}, names, {}).tolist() != parts.tolist()


def test_rows_that_are_not_eligible_always_train():
    names = [f"{n}.jpg" for n in range(400)]
    block = np.array(["a", "b"] * 200)
    split = {"test": 0.5, "validation": 0.5, "only": {"block": "a"}}
    parts = split_rows(split, names, {"block": block})
    assert set(parts[block == "a"]) == {"test", "validation"}
    assert set(parts[block == "b"]) == {"train"}


@pytest.mark.parametrize("key", ["only", "balance"])
def test_what_a_split_asks_of_columns_is_a_table_of_values(key, tmp_path):
    """A bare `true` says nothing about which rows are meant."""
    path = tmp_path / "bare.toml"
    path.write_text(PLAIN + f"{key} = true\n")
    with pytest.raises(PipelineError, match=f"{key} = True in .split., expected values of columns"):
        load_pipeline(path)


def test_a_split_by_a_column_that_is_not_there_is_refused():
    with pytest.raises(PipelineError, match="did you mean 'block'"):
        split_rows({"test": 0.5, "validation": 0.5, "only": {"blok": "a"}}, ["1.jpg"], {"block": ["a"]})


@pytest.mark.parametrize(
    "split", [{"test": 0.5, "validation": 0.5}, {"method": "contiguous", "blocks": 3, "validation": [0], "test": [1]}]
)
def test_no_rows_divide_into_no_parts(split):
    assert split_rows(split, [], {}).tolist() == []


def test_a_pair_of_shares_is_a_range_of_hashes():
    """The same rows fall between the same hashes, however the shares are written."""
    ids = [str(i) for i in range(2000)]
    numbers = split_rows({"test": 0.3, "validation": 0.2}, ids, {})
    pairs = split_rows({"test": [0.0, 0.3], "validation": [0.3, 0.5]}, ids, {})
    assert numbers.tolist() == pairs.tolist()
    moved = split_rows({"test": [0.5, 0.6], "validation": [0.1, 0.3]}, ids, {})
    assert abs((moved == "test").mean() - 0.1) < 0.03
    assert not ((moved == "test") & (numbers != "train")).any()


@pytest.mark.parametrize(
    ("test", "validation", "words"),
    [
        ([0.2, 0.5], [0.4, 0.6], "overlap"),
        ([0.5, 0.2], 0.1, "pair of rising numbers"),
        ("half", 0.1, "expected a number"),
        (0.8, 0.4, "expected a number"),
    ],
)
def test_shares_that_make_no_split_are_explained(test, validation, words):
    """Parts that overlap, run backwards, are text or make more than all."""
    with pytest.raises(PipelineError, match=words):
        split_rows({"test": test, "validation": validation}, ["a", "b"], {})
