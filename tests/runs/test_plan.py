"""Plan: which checkpoint a run takes where nobody names one."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import small_sky
from plans import plan_of

from galmorph.errors import CheckpointError
from galmorph.shipped import shipped


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture
def another(tmp_path, monkeypatch) -> Path:
    """Ship one more checkpoint for CANDELS in H, the first by alphabet; return the folder of all."""
    catalogs = tmp_path / "catalogs"
    (catalogs / "checkpoints").mkdir(parents=True)
    for path in shipped("catalogs").iterdir():
        if path.name != "checkpoints":
            (catalogs / path.name).symlink_to(path)
    for path in (shipped("catalogs") / "checkpoints").iterdir():
        (catalogs / "checkpoints" / path.name).symlink_to(path)
    small_sky.write_checkpoint(catalogs / "checkpoints" / "another.safetensors")
    monkeypatch.setattr("galmorph.shipped._PACKAGE", tmp_path)
    return catalogs


@pytest.fixture
def silent_survey(tmp_path) -> str:
    """Write the survey CANDELS without its usual checkpoints."""
    text = (shipped("catalogs") / "surveys" / "candels.toml").read_text()
    path = tmp_path / "silent.toml"
    path.write_text(text.partition("[checkpoints]")[0])
    return str(path)


def _chosen(sky, **settings) -> str:
    with closing(plan_of(sky.catalog, sky.image, **settings)) as plan:
        return plan.run.checkpoint.name


def test_the_survey_names_the_checkpoint(sky):
    assert _chosen(sky, survey="candels", band="H") == "candels-h"


@pytest.mark.parametrize("band", ["H", "J"])
def test_one_more_checkpoint_that_fits_does_not_change_which_is_taken(sky, another, band):
    assert (another / "checkpoints" / "another.safetensors").is_file()
    assert _chosen(sky, survey="candels", band=band) == "candels-h"


def test_a_survey_that_names_none_takes_the_only_one_that_fits(sky, silent_survey):
    assert _chosen(sky, survey=silent_survey, band="H") == "candels-h"


def test_several_that_fit_and_none_named_are_listed(sky, another, silent_survey):
    assert another.is_dir()
    with pytest.raises(CheckpointError, match=r"--checkpoint, another or candels-h$"):
        plan_of(sky.catalog, sky.image, survey=silent_survey, band="H").check()


def test_none_that_fits_lists_all(sky):
    with pytest.raises(CheckpointError, match=r"no checkpoint ships for survey 'legacy'.*sdss-rgb"):
        plan_of(sky.catalog, sky.image, survey="legacy", band="r").check()
