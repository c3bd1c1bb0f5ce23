"""Progress: a bar for people, lines for logs, nothing for those who want none."""

from __future__ import annotations

import io
import re

import pytest

from galmorph.progress import Bar, Lines, reporting, silent


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 100.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def log():
    stream, clock = io.StringIO(), Clock()
    return Lines(stream, 30.0, clock), stream, clock


def test_a_line_every_half_minute_says_rate_and_time_left(log):
    lines, stream, clock = log
    for second in range(65):
        clock.seconds = 100.0 + second
        lines("measuring", 10 * second, 1000)
    assert stream.getvalue().splitlines() == [
        "measuring: 300 of 1000, 10 a second, 1 min 10 s left",
        "measuring: 600 of 1000, 10 a second, 40 s left",
    ]


def test_short_work_writes_nothing(log):
    lines, stream, clock = log
    for done in range(11):
        clock.seconds += 2.0
        lines("rows", done, 10)
    assert stream.getvalue() == ""


def test_the_end_of_a_stage_needs_no_line(log):
    lines, stream, clock = log
    clock.seconds += 40.0
    lines("rows", 10, 10)
    assert stream.getvalue() == ""


def test_a_new_stage_has_a_rate_of_its_own(log):
    lines, stream, clock = log
    lines("measuring", 1000, 2000)
    clock.seconds += 31.0
    lines("training", 5, 20, "loss 0.3")
    clock.seconds += 31.0
    lines("training", 6, 20, "loss 0.2")
    assert stream.getvalue().splitlines() == [
        "training: 5 of 20, loss 0.3",
        "training: 6 of 20, 0.0323 a second, 7 min 14 s left, loss 0.2",
    ]


def test_a_bar_moves_and_a_stage_begins_another(capsys):
    bar = Bar()
    bar("measuring", 1, 4)
    bar("measuring", 4, 4)
    bar("predicting", 2, 8, "on cpu")
    bar.close()
    shown = capsys.readouterr().err
    assert "measuring" in shown
    assert "4/4" in shown
    assert "predicting" in shown
    assert "on cpu" in shown


def test_a_bar_says_rate_and_time_left(capsys):
    bar = Bar()
    bar("measuring", 50, 100, "loss 0.3")
    bar("measuring", 60, 100, "loss 0.3")
    bar.close()
    shown = capsys.readouterr().err.split("\r")[-1]
    assert re.search(r"measuring  60% \|.*\| 60/100, [\d.?]+/s, \d\d:\d\d left, loss 0.3", shown)


def test_what_is_written_beside_a_bar_has_lines_of_its_own(capsys):
    bar = Bar()
    bar.write("before")
    bar("measuring", 1, 4)
    bar.write("between")
    bar("measuring", 2, 4)
    bar.close()
    lines = [line.split("\r")[-1] for line in capsys.readouterr().err.split("\n")]
    assert {"before", "between"} <= {*lines}


def test_what_is_written_beside_lines_is_a_line(log):
    lines, stream, _ = log
    lines.write("doubt")
    assert stream.getvalue() == "doubt\n"


def test_who_asks_for_a_bar_gets_one():
    with reporting(True) as progress:
        assert isinstance(progress, Bar)


@pytest.mark.parametrize("nothing", [None, False])
def test_who_asks_for_nothing_gets_nothing(nothing, capsys):
    with reporting(nothing) as progress:
        assert progress is silent
        progress("rows", 1, 2)
    assert capsys.readouterr().err == ""


def test_who_gives_a_function_is_called():
    calls = []
    with reporting(lambda *call: calls.append(call)) as progress:
        progress("rows", 1, 2)
    assert calls == [("rows", 1, 2)]


def test_what_cannot_be_called_is_refused():
    with pytest.raises(TypeError, match="expected True for a bar"), reporting("yes"):
        pass
