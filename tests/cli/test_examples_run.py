"""The examples of the help that need no more than the sample that ships, and no network: they do what they say."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from galmorph import cli
from galmorph.shipped import shipped

# In this order: what one writes, others read.
RUN = (
    "galmorph list",
    "galmorph list checkpoints",
    "galmorph list surveys --json",
    "galmorph show candels",
    "galmorph show checkpoints/sdss-rgb",
    "galmorph show pipelines/sdss/sdss-rgb",
    "galmorph flags",
    "galmorph flags 2056",
    "galmorph flags BLEND LOW_SNR",
    "galmorph cache list",
    "galmorph cache path",
    "galmorph completion fish > ~/.config/fish/completions/galmorph.fish",
    "galmorph classify catalog.fits --image image.fits.gz --survey candels --band H -o out.fits --report report",
    "galmorph measure catalog.fits --image image.fits.gz --survey candels --band H -o shapes.fits",
    "galmorph overlay out.fits --regions out.reg",
    "galmorph match mine.fits --radius 2arcsec -o groups.fits",
    "galmorph match mine.fits theirs.fits --radius 1arcsec --probability -o both.fits",
    "galmorph store push survey.db sdss-rgb --create",
    "galmorph store list survey.db",
    "galmorph store list survey.db --json",
)


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """Lay out the sample as the examples call its files."""
    folder, sample = tmp_path_factory.mktemp("desk"), shipped("catalogs") / "samples" / "candels-h"
    for name in ("catalog.fits", "mine.fits", "theirs.fits"):
        shutil.copy(sample / "catalog.fits", folder / name)
    (folder / "image.fits.gz").symlink_to(sample / "image.fits.gz")
    return folder


@pytest.mark.parametrize("line", RUN)
def test_an_example_runs_as_it_stands(line, desk, monkeypatch, capsys):
    monkeypatch.chdir(desk)
    monkeypatch.setenv("GALMORPH_CACHE", str(desk / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(desk / "none"))
    words = shlex.split(line.partition(" > ")[0])[1:]
    assert cli.main(words) == 0
    printed = capsys.readouterr()
    assert printed.out or words[:2] == ["cache", "list"]
    named = [words[n + 1] for n, word in enumerate(words) if word in ("-o", "--report", "--regions")]
    assert [name for name in named if not (desk / name).exists()] == []


def test_they_are_the_examples_of_the_help():
    shown = {line for name in (*cli.COMMANDS, "completion") for line in cli.examples_of(name).values()}
    assert [line for line in RUN if line not in shown] == []
