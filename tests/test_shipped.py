"""Errors, flags and the files that ship."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from galmorph import errors
from galmorph.errors import GalmorphError, UnknownNameError, unknown_name
from galmorph.flags import MEANINGS, UNCLASSIFIABLE, Flag, flag_names
from galmorph.nets.checkpoint.file import read_envelope
from galmorph.nets.checkpoint.lookup import checkpoint_names
from galmorph.pages.descriptions import KINDS, describers, names, show
from galmorph.shipped import named_files, shipped
from galmorph.sky.survey import load_survey, survey_names

ROOT = Path(__file__).resolve().parents[1]


def test_every_error_is_a_galmorph_error_and_a_builtin_one():
    for name in errors.__all__:
        kind = getattr(errors, name)
        if not isinstance(kind, type):
            continue
        assert issubclass(kind, GalmorphError)
        if kind is not GalmorphError:
            assert issubclass(kind, ValueError | TypeError | LookupError | OSError), name


def test_the_tree_in_the_docstring_names_every_error():
    for name in errors.__all__:
        if name.endswith("Error"):
            assert name in (errors.__doc__ or "")


def test_an_unknown_name_lists_what_exists_and_the_nearest():
    message = unknown_name("band", "F16W", ["F160W", "J"])
    assert message == "unknown band 'F16W': known are F160W, J; did you mean 'F160W'?"
    assert unknown_name("band", "zzz", []) == "unknown band 'zzz': known are none"


def test_every_flag_is_one_bit_with_a_meaning():
    assert list(MEANINGS) == list(Flag)
    assert all(int(f).bit_count() == 1 for f in Flag)
    assert all(MEANINGS.values())
    assert flag_names(int(Flag.BLEND | Flag.NO_IMAGE)) == ["NO_IMAGE", "BLEND"]
    assert flag_names(0) == []
    assert max(Flag) > UNCLASSIFIABLE


def test_flags_fit_the_column_s_type():
    assert sum(int(f) for f in Flag) < 2**31


def test_bits_keep_their_meaning():
    assert int(Flag.NO_POSITION) == 1
    assert int(Flag.OFF_EDGE) == 8
    assert int(Flag.BLEND) == 1024
    assert int(Flag.UNRESOLVED) == 131072
    assert int(Flag.NO_ANSWER) == 262144


def test_shipped_folders_are_found():
    assert shipped("catalogs").is_dir()
    assert shipped("pipelines").is_dir()


def test_the_wheel_takes_both_folders_along():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wheel = settings["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["force-include"] == {"catalogs": "galmorph/catalogs", "pipelines": "galmorph/pipelines"}


def test_folders_with_an_underscore_are_parts_and_not_listed(tmp_path):
    (tmp_path / "_parts").mkdir()
    (tmp_path / "_parts" / "base.toml").write_text("")
    (tmp_path / "a.toml").write_text("")
    assert list(named_files(tmp_path, ".toml")) == ["a"]


@pytest.mark.parametrize("kind", KINDS)
def test_everything_that_ships_can_be_shown(kind):
    known = describers(kind)
    assert known
    for name in known:
        text = show(f"{kind}/{name}")
        # A pipeline is printed as a file that can be run, its title as a comment.
        first = f"{kind.removesuffix('s')} {name}: {names(kind)[name]}"
        assert text.removeprefix("# ").partition("\n")[0] == first
        assert len(text.splitlines()) > 2


def test_a_kind_of_nothing_says_which_kinds_there_are():
    with pytest.raises(UnknownNameError, match="unknown kind 'galaxies': known are checkpoints, networks"):
        names("galaxies")
    with pytest.raises(UnknownNameError, match="unknown kind 'survey'"):
        show("survey/candels")


def test_a_file_that_is_not_there_is_no_name():
    with pytest.raises(UnknownNameError, match=r"file 'mine.toml' does not exist"):
        show("mine.toml")


def test_showing_nothing_says_what_there_is():
    with pytest.raises(UnknownNameError, match="did you mean 'gz2'"):
        show("gz22")


@pytest.mark.parametrize("name", survey_names())
def test_every_usual_checkpoint_ships_and_is_for_those_images(name):
    known = load_survey(name)
    for band, checkpoint in known.checkpoints.items():
        assert checkpoint in checkpoint_names()
        envelope = read_envelope(checkpoint)
        assert (envelope.survey, envelope.band) == (name, band)
        assert known.checkpoint(envelope.bands) == checkpoint
        assert f"usual checkpoint for {band}: {checkpoint}" in show(f"surveys/{name}")


def test_a_survey_shows_where_its_images_come_from():
    survey = load_survey("sdss")
    assert survey.pictures.url in show("surveys/sdss")
    assert survey.frames.url in show("surveys/sdss")


def test_weights_and_samples_stay_small():
    checkpoints = list((shipped("catalogs") / "checkpoints").glob("*.safetensors"))
    assert len(checkpoints) >= 3
    assert max(p.stat().st_size for p in checkpoints) <= 8_000_000
    samples = [p for p in (shipped("catalogs") / "samples").rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in samples) <= 6_000_000
    everything = [p for folder in ("catalogs", "pipelines") for p in shipped(folder).rglob("*") if p.is_file()]
    assert sum(p.stat().st_size for p in everything) <= 30_000_000
