"""Pipelines: files that extend each other, are checked, and are printed as one."""

from __future__ import annotations

import pytest

from galmorph.errors import PipelineError
from galmorph.learning.pipeline import ClassifyPipeline, load_pipeline, load_training, pipeline_names
from galmorph.learning.sections import NetworkChoice
from galmorph.learning.split import HashSplit
from galmorph.nets.architecture.network import NetworkConfig, outline
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.sky.images.opening import band_names
from galmorph.sky.scheme import load_scheme
from galmorph.sky.survey import load_survey

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
BLOCKS = PLAIN.replace(
    "test = 0.2\nvalidation = 0.3", 'method = "contiguous"\nblocks = 3\ntest = [1]\nvalidation = [0]'
)


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
    if isinstance(made, ClassifyPipeline):
        survey = load_survey(made.inputs.survey)
        assert band_names(survey, made.inputs.band)
        assert all(survey.field(field) for field in made.inputs.field)
        assert load_scheme(load_checkpoint(made.classify.checkpoint).scheme.name)
        return
    assert made.recipe.planes == (3 if made.images.band == "RGB" else 1)
    rows, weights = outline(NetworkConfig.from_dict(made.network.to_dict()), made.recipe, load_scheme(made.scheme))
    assert weights > (1_000 if rows[0][0] == "measured" else 10_000)  # twelve numbers, or thousands of pixels
    assert made.train.epochs > 1
    assert made.augmentation.zoom >= 1
    assert load_survey(made.images.survey).bands
    scheme = load_scheme(made.scheme)
    assert made.fractions is None or set(made.fractions.columns) == {*scheme.keys}
    assert made.stars is None or made.stars.answer in scheme.keys


def test_what_a_file_extends_lies_below_it(pipeline, tmp_path):
    (tmp_path / "base.toml").write_text('title = "base"\n[train]\nepochs = 3\nbatch = 9\n')
    made = pipeline('extends = "base.toml"\n' + PLAIN + "[train]\nbatch = 5\n")
    assert made.title == "a pipeline"
    assert (made.train.epochs, made.train.batch) == (3, 5)


def test_overrides_win_key_by_key(pipeline):
    made = pipeline(PLAIN + "[train]\nepochs = 3\nbatch = 5\n", {"train": {"epochs": 1}, "scheme": "gz2"})
    assert (made.train.epochs, made.train.batch) == (1, 5)
    assert made.scheme == "gz2"


def test_a_network_is_named_or_named_and_changed_or_written_out(pipeline):
    assert pipeline('network = "plain"\n' + PLAIN).network == NetworkChoice("plain")
    changed = pipeline(PLAIN + "[network]\nname = 'plain'\ndropout = 0.1\n").network
    assert changed == NetworkChoice("plain", "", {"dropout": 0.1})
    assert pipeline(PLAIN + "[network]\nlayers = 'dense answers'\n").network == NetworkChoice("", "dense answers")
    assert pipeline(PLAIN).network == NetworkChoice()


def test_settings_of_one_network_do_not_reach_another(pipeline, tmp_path):
    (tmp_path / "base.toml").write_text("network = { name = 'plain', dropout = 0.1, channels = [8, 8, 8, 8] }\n")
    extending = 'extends = "base.toml"\n' + PLAIN
    assert pipeline('network = "netsharp"\n' + extending).network == NetworkChoice("netsharp")
    changed = pipeline(extending + "[network]\ndropout = 0.4\n", {"network": {"channels": [16, 8, 8, 8]}})
    assert changed.network == NetworkChoice("plain", "", {"dropout": 0.4, "channels": (16, 8, 8, 8)})
    assert pipeline(extending, {"network": "convnext"}).network == NetworkChoice("convnext")


def test_a_network_in_a_file_lies_beside_the_pipeline(pipeline, tmp_path):
    (tmp_path / "own.toml").write_text("layers = 'dense answers'\n")
    made = NetworkConfig.from_dict(pipeline('network = "own.toml"\n' + PLAIN).network.to_dict())
    assert (made.name, made.layers) == ("own", "dense answers")


def test_a_file_to_start_from_lies_beside_the_pipeline_that_names_it(pipeline, tmp_path):
    """Also where another extends it; names of checkpoints that ship stay names, and nothing takes it away again."""
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "base.toml").write_text('[train]\nstart = "old.safetensors"\n')
    extending = 'extends = "parts/base.toml"\n' + PLAIN
    assert pipeline(extending).train.start == str(tmp_path / "parts" / "old.safetensors")
    assert pipeline(PLAIN + '[train]\nstart = "sdss-rgb"\n').train.start == "sdss-rgb"
    assert pipeline(extending + '[train]\nstart = ""\n').train.start == ""
    absolute = str(tmp_path / "far.safetensors")
    assert pipeline(PLAIN + f'[train]\nstart = "{absolute}"\n').train.start == absolute


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PLAIN.replace("[images]", "[image]"), "did you mean 'images'"),
        (PLAIN[PLAIN.index("scheme") :], "lacks 'title'"),
        ("kind = 'trian'\n" + PLAIN, "unknown kind 'trian': known are classify, train; did you mean 'train'?"),
        ("extends = 3\n" + PLAIN, "expected the name of a file"),
        (PLAIN + "[train]\nmembers = 0\n", "'mine.toml', [train]: members = 0: expected a whole number from 1"),
        (PLAIN + "[train]\nloss = 'mae'\n", "[train]: unknown loss 'mae'"),
        (PLAIN + "[recipe]\nsize = 'big'\n", "[recipe]: size = 'big', expected a whole number"),
        (PLAIN + "[stars]\ncount = 3\n", "[stars]: lacks 'rpet_px'"),
        (BLOCKS.replace("[1]", "[3]"), "there is no block 3: expected numbers from 0 to 2"),
        (PLAIN + "[train.unlabelled]\nwieght = 1\n", "[train.unlabelled]: unknown key 'wieght'"),
        (PLAIN + "[trian]\nepochs = 1\n", "did you mean 'train'?"),
        (PLAIN.replace("validation", "validaton"), "did you mean 'validation'?"),
        (PLAIN.replace("validation = 0.3", ""), "lacks 'validation'"),
        (PLAIN.replace('survey = "sdss"', ""), "lacks 'survey'"),
        (PLAIN.replace("test = 0.2", 'method = "contiguous"'), "lacks 'blocks'"),
        (PLAIN.replace("test = 0.2", 'method = "random"'), "unknown method 'random': known are contiguous, hash"),
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


@pytest.mark.parametrize("key", ["only", "balance"])
def test_what_a_split_asks_of_columns_is_a_table_of_values(key, tmp_path):
    """A bare `true` says nothing about which rows are meant."""
    path = tmp_path / "bare.toml"
    path.write_text(PLAIN + f"{key} = true\n")
    with pytest.raises(PipelineError, match=rf"\[split\]: {key} = True, expected values of columns"):
        load_pipeline(path)


CLASSIFY = """
kind = "classify"
title = "another field"
[inputs]
catalog = "field.fits"
images = "*_f160w.fits"
survey = "candels"
band = "H"
[classify]
checkpoint = "own.safetensors"
output = "field_morphologies.fits"
"""


@pytest.mark.parametrize("name", [*pipeline_names(), "mine", "classifies"])
def test_what_is_printed_is_read_again(pipeline, name, tmp_path):
    """The whole pipeline stands in one file, which extends nothing."""
    (tmp_path / "base.toml").write_text("network = { name = 'plain', dropout = 0.1 }\n")
    more = "[train.unlabelled]\nweight = 2\n[inputs]\nimages = ['g=g.fits', 'r=r']\n"
    drawn = "[tune.train]\nbatch = [3, 4]\n[tune.recipe]\nsize = {low = 8, high = 9}\n"
    own = {"mine": 'extends = "base.toml"\n' + PLAIN + more + drawn}
    made = pipeline((own | {"classifies": CLASSIFY})[name]) if name not in pipeline_names() else load_pipeline(name)
    assert "extends" not in made.to_toml()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / f"{made.name}.toml").write_text(made.to_toml())
    assert load_pipeline(tmp_path / "again" / f"{made.name}.toml") == made


def test_all_that_holds_is_printed(pipeline):
    """Also defaults that no file mentions."""
    text = pipeline(PLAIN).to_toml()
    assert "learning_rate = 0.003\n" in text
    assert 'method = "hash"\n' in text
    assert "[calibration]\n" in text


def test_a_pipeline_may_classify(pipeline, tmp_path):
    """Files lie beside it, and the result goes where the run puts it."""
    made = pipeline(CLASSIFY, {"inputs": {"catalog": "/far/other.fits"}})
    assert isinstance(made, ClassifyPipeline)
    catalog, images = made.named_inputs()
    assert catalog.catalog == "/far/other.fits"
    assert images.images == [str(tmp_path / "*_f160w.fits")]
    assert (images.survey, images.band) == ("candels", "H")
    assert made.classify.checkpoint == str(tmp_path / "own.safetensors")
    assert made.classify.output == "field_morphologies.fits"
    with pytest.raises(PipelineError, match="'mine' classifies, expected one that trains"):
        load_training(tmp_path / "mine.toml")
    with pytest.raises(PipelineError, match=r"unknown key 'train'"):
        pipeline(CLASSIFY, {"train": {"epochs": 3}})
    with pytest.raises(PipelineError, match=r"where to find the catalog: expected --input catalog=FILE"):
        pipeline(CLASSIFY.replace("catalog =", "id =")).named_inputs()


def test_another_way_to_divide_leaves_nothing_of_the_one_below(pipeline, tmp_path):
    """Blocks mean nothing to hashes."""
    (tmp_path / "base.toml").write_text('[split]\nmethod = "contiguous"\nblocks = 9\ntest = [1]\nvalidation = [2]\n')
    made = pipeline('extends = "base.toml"\n' + PLAIN.replace("test = 0.2", 'test = 0.2\nmethod = "hash"'))
    assert made.split == HashSplit(0.2, 0.3)
