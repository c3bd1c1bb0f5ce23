"""Streams: a table from standard input and to standard output, with nothing in between."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.table import Table

from galmorph import cli
from galmorph.cli import main


@pytest.fixture(scope="module")
def sky(tmp_path_factory) -> small_sky.Sky:
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def inputs(sky) -> list[str]:
    """Return the images of the small sky, without its catalogue."""
    return [str(word) for word in sky.inputs[1:]]


@pytest.fixture
def come(monkeypatch, sky):
    """Let the catalogue come by standard input, in a format of astropy."""

    def enter(form: str, ending: str, tmp_path: Path) -> None:
        path = tmp_path / f"in{ending}"
        Table.read(sky.catalog).write(path, format=form)
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))

    return enter


@pytest.mark.parametrize(
    ("form", "ending", "start"),
    [
        ("ascii.csv", ".csv", ""),
        ("ascii.ecsv", ".ecsv", "# %ECSV"),
        ("votable", ".vot", "<?xml"),
        ("fits", ".fits", "# %ECSV"),
    ],
)
def test_a_filter_answers_in_the_format_that_came(form, ending, start, come, inputs, capsys, tmp_path):
    come(form, ending, tmp_path)
    assert main(["measure", "-", *inputs]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith(start)
    (tmp_path / "out").write_text(printed.out)
    names = {"": "ascii.csv", "# %ECSV": "ascii.ecsv", "<?xml": "votable"}
    table = Table.read(tmp_path / "out", format=names[start])
    assert len(table) == 7
    assert "gm_rpet" in table.colnames
    assert printed.err.startswith("7 rows\n")


def test_another_format_may_be_asked_for(sky, inputs, capsys):
    assert main(["measure", str(sky.catalog), *inputs, "-o", "-.csv", "-q"]) == 0
    printed = capsys.readouterr()
    assert "gm_flags" in printed.out.splitlines()[0].split(",")
    assert (len(printed.out.splitlines()), printed.err) == (8, "")


def test_the_result_is_that_of_files(sky, inputs, capsys, tmp_path):
    assert main(["measure", str(sky.catalog), *inputs, "-o", str(tmp_path / "out.csv")]) == 0
    capsys.readouterr()
    assert main(["measure", str(sky.catalog), *inputs, "-o", "-.csv"]) == 0
    assert capsys.readouterr().out == (tmp_path / "out.csv").read_text()


def test_a_match_takes_one_side_from_a_pipe(come, sky, capsys, tmp_path):
    come("ascii.csv", ".csv", tmp_path)
    assert main(["match", str(sky.catalog), "-", "--radius", "1arcsec", "-o", "-"]) == 0
    printed = capsys.readouterr()
    assert printed.out.startswith("id_1,ra_1,")
    assert printed.err.startswith("7 rows")


@pytest.fixture(scope="module")
def features(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("features") / "f.fits"
    values = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
    Table({"id": np.arange(30), "gm_features": values}).write(path)
    return path


@pytest.mark.parametrize(
    ("words", "column"),
    [
        (["similar", "--to", "3", "-n", "5"], "gm_similarity"),
        (["similar", "--duplicates", "0.9"], "gm_group"),
        (["outliers", "-n", "5"], "gm_strangeness"),
        (["map", "--method", "pca"], "gm_map_x"),
    ],
)
@pytest.mark.parametrize("is_piped", [False, True])
def test_what_is_alike_or_odd_goes_on_in_a_pipe(words, column, is_piped, features, capsys, monkeypatch):
    if is_piped:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(features.read_bytes())))
    command, *rest = words
    assert main([command, "-" if is_piped else str(features), *rest, "-o", "-"]) == 0
    printed = capsys.readouterr()
    table = Table.read(printed.out, format="ascii.ecsv")
    assert table["gm_features"].shape == (len(table), 4)
    assert np.isfinite(table[column]).all()
    assert printed.err == ""


@pytest.mark.parametrize(
    ("words", "remedy"),
    [
        (["match", "-", "-", "--radius", "1arcsec"], "name a file for the other"),
        (["simulate", "-o", "-"], "name a file or folder"),
        (["export", "sdss-rgb", "-o", "-"], "name a file or folder"),
        (["measure", "c.fits", "--image", "i.fits", "-o", "-", "--json"], "or drop it"),
        (["measure", "c.fits", "--image", "i.fits", "-o", "-", "--shard", "1/2"], "name a file"),
        (["measure", "c.fits", "--image", "i.fits", "-o", "-.cvs"], "did you mean '.csv'?"),
        (["measure", "c.fits", "--image", "i.fits", "-o", "-.fits"], "name a file for other formats"),
    ],
)
def test_what_cannot_stream_says_what_to_do(words, remedy, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"ra,dec\n1,2\n")))
    assert main(words) == 1
    printed = capsys.readouterr()
    assert remedy in printed.err
    assert (printed.out, printed.err.count("\n")) == ("", 1)


def test_an_empty_pipe_is_an_empty_table(inputs, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    assert main(["measure", "-", *inputs]) == 1
    assert "'standard-input.csv' is empty" in capsys.readouterr().err.replace("/", "'")


def test_nothing_is_left_behind(come, inputs, tmp_path, monkeypatch):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    come("ascii.csv", ".csv", tmp_path)
    assert main(["measure", "-", *inputs]) == 0
    assert list(scratch.iterdir()) == []


def test_a_reader_that_leaves_early_ends_the_command_quietly(tmp_path):
    code = "import sys; from galmorph.__main__ import main; main()"
    words = [sys.executable, "-c", code, "show", "gz2"]
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(words, stdout=writing, stderr=subprocess.PIPE, check=False, cwd=tmp_path)
    os.close(writing)
    assert (done.returncode, done.stderr) == (128 + 13, b"")


def test_the_provenance_names_the_pipe():
    assert cli.parse(["measure", "-", "-o", "-"]).command_line == "galmorph measure - -o -"
