"""The command line: what it prints where, and its exit status."""

from __future__ import annotations

import io
import json
import logging
import sys
import warnings
from argparse import Namespace

import numpy as np
import pytest
import small_sky
from astropy.table import Table

import galmorph
from galmorph.cli import main
from galmorph.cli.printing import messages, showing
from galmorph.cli.summary import next_line, summary_lines, summary_of
from galmorph.flags import RECOMMENDED_CUT
from galmorph.learning.pipeline import pipeline_names
from galmorph.sky.scheme import scheme_names
from galmorph.sky.survey import survey_names


@pytest.mark.parametrize(
    ("kind", "names"), [("surveys", survey_names()), ("schemes", scheme_names()), ("pipelines", pipeline_names())]
)
def test_list_prints_one_line_for_each_thing(capsys, kind, names):
    assert main(["list", kind]) == 0
    printed = capsys.readouterr()
    assert [line.split()[0] for line in printed.out.splitlines()] == names
    assert printed.err == ""


def test_list_prints_checkpoints(capsys):
    assert main(["list", "checkpoints"]) == 0
    assert capsys.readouterr().err == ""


def test_show_describes_a_survey_with_its_bands(capsys):
    assert main(["show", "candels"]) == 0
    printed = capsys.readouterr().out
    assert "F160W (= H" in printed
    assert "0.06 arcsec/pixel" in printed


def test_show_of_nothing_names_the_nearest(capsys):
    assert main(["show", "candles"]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "did you mean 'candels'?" in printed.err
    assert printed.err.count("\n") == 1


def test_version_and_help(capsys):
    for argument, expected in (("--version", f"galmorph {galmorph.__version__}\n"), ("--help", "classify")):
        with pytest.raises(SystemExit) as leaving:
            main([argument])
        assert leaving.value.code == 0
        assert expected in capsys.readouterr().out


@pytest.mark.parametrize(
    "command", ["classify", "measure", "train", "evaluate", "ensemble", "export", "simulate", "list", "show"]
)
def test_every_command_explains_itself(capsys, command):
    with pytest.raises(SystemExit) as leaving:
        main([command, "--help"])
    assert leaving.value.code == 0
    assert f"usage: galmorph {command}" in capsys.readouterr().out


def test_the_output_is_on_stdout_and_the_summary_on_stderr(capsys, tmp_path):
    sky = small_sky.write_sky(tmp_path / "sky")
    assert main(["measure", *sky.inputs, "-o", str(tmp_path / "out.csv")]) == 0
    printed = capsys.readouterr()
    assert printed.out == f"{tmp_path / 'out.csv'}\n"
    lines = printed.err.splitlines()
    assert lines[:2] == ["7 rows", "flags: none"]
    assert lines[2:] == [f"next: galmorph overlay {tmp_path / 'out.csv'} --regions out.reg for DS9"]


def test_a_command_leaves_no_logging_behind(tmp_path, capsys):
    log = logging.getLogger("galmorph")
    before = list(log.handlers)
    assert main(["measure", str(tmp_path / "none.fits"), "--image", "none.fits"]) == 1
    assert log.handlers == before
    assert capsys.readouterr().err.count("\n") == 1


def test_simulate_writes_a_field_that_measure_reads(capsys, tmp_path):
    pytest.importorskip("galsim")
    field = str(tmp_path / "field")
    assert main(["simulate", "--rows", "5", "--side", "200", "--seed", "2", "-o", field]) == 0
    written = capsys.readouterr().out.splitlines()
    assert written
    images = [p for p in written if p.endswith("image.fits")]
    catalogs = [p for p in written if p.endswith("catalog.fits")]
    assert len(images) == len(catalogs) == 1
    asked = ["--survey", "candels", "--band", "H", "-o", str(tmp_path / "out.fits")]
    assert main(["measure", catalogs[0], "--image", images[0], *asked]) == 0
    assert "5 rows" in capsys.readouterr().err
    assert main(["simulate", "--rows", "5", "--side", "200", "-o", field]) == 1
    assert "--overwrite" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--survey", "candls"], ["--band", "F16W"], ["--rows", "0"], ["--rows", "-3"]])
def test_simulate_refuses_what_it_cannot_make(capsys, tmp_path, arguments):
    pytest.importorskip("galsim")
    assert main(["simulate", *arguments, "-o", str(tmp_path / "field")]) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "field").exists()


def test_evaluate_refuses_an_output_it_cannot_write(capsys, tmp_path):
    made = small_sky.write_checkpoint(tmp_path / "c.safetensors")
    (tmp_path / "labels.csv").write_text("file\n1.jpg\n")
    asked = ["--image", str(tmp_path), "-o", str(tmp_path / "none" / "scores.json")]
    assert main(["evaluate", str(made), str(tmp_path / "labels.csv"), *asked]) == 1
    assert "does not exist" in capsys.readouterr().err


def test_a_card_of_random_weights_is_json(tmp_path):
    made = small_sky.write_checkpoint(tmp_path / "c.safetensors")
    assert json.loads(made.with_suffix(".json").read_text())["title"] == "random weights"


class Terminal(io.StringIO):
    """Where a bar is shown."""

    def isatty(self) -> bool:
        return True


def test_a_warning_does_not_tear_the_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    options = Namespace(command="measure")
    with messages(options), showing(options) as progress:
        progress("measuring", 1, 4)
        logging.getLogger("galmorph.sky").warning("doubt")
        warnings.simplefilter("always")
        warnings.warn("of another library", UserWarning, stacklevel=1)
        progress("measuring", 4, 4)
    lines = [line.split("\r")[-1] for line in terminal.getvalue().split("\n")]
    assert {"galmorph: doubt", "galmorph: of another library"} <= {*lines}
    assert terminal.getvalue().endswith("\n")


@pytest.mark.parametrize(
    ("loudness", "said"),
    [
        ({}, ["warning"]),
        ({"verbose": 1}, ["warning", "info"]),
        ({"verbose": 2}, ["warning", "info", "debug"]),
        ({"quiet": 1}, ["warning"]),
        ({"quiet": 2}, []),
    ],
)
def test_as_much_is_said_as_is_wanted(loudness, said, capsys):
    log = logging.getLogger("galmorph.sky")
    with messages(Namespace(**loudness)):
        for name in ("warning", "info", "debug"):
            getattr(log, name)(name)
    assert capsys.readouterr().err.splitlines() == [f"galmorph: {name}" for name in said]


def test_quiet_leaves_the_answer_alone(capsys, tmp_path):
    sky, output = small_sky.write_sky(tmp_path / "sky"), str(tmp_path / "out.csv")
    assert main(["-q", "measure", *sky.inputs, "-o", output]) == 0
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == (f"{output}\n", "")


def test_the_summary_says_what_to_do_next():
    table = Table({"gm_class": ["disk", "disk", ""], "gm_flags": np.array([0, 8 | 16384, 4 | 16384], np.int32)})
    summary = summary_of(table, "gm_")
    cut = int(RECOMMENDED_CUT)
    assert summary_lines(summary) == [
        "3 rows",
        "classes: disk 2, (none) 1",
        "flags: BAND_MISMATCH 2, FETCH_FAILED 1, OFF_EDGE 1",
        f"for statistics leave out 2 rows: keep gm_flags & {cut} == 0 (galmorph flags explains them)",
    ]
    options = Namespace(command="classify")
    assert "--retry" in next_line(options, summary, "out.fits")
    whole = summary_of(table[:2], "gm_")
    assert next_line(options, whole, "a b.fits").startswith("next: galmorph overlay 'a b.fits' --regions out.reg")
    assert "--report" in next_line(options, whole, "out.fits")
    assert "--report" not in next_line(Namespace(command="classify", report="page"), whole, "out.fits")
