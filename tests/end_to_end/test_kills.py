"""Runs that are killed at any moment: after the next run there is the old output or the new one, and nothing else.

A process that has loaded everything forks a run for each kill, so that a hundred of them take minutes, not hours.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import drawn
import numpy as np
import pytest
import small_sky

import galmorph
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.sky.catalog import read_catalog

ENDINGS = ("fits", "vot", "parquet", "ecsv", "csv")
SIGNALS = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
SEED = 12

# Reads jobs, answers with exit statuses. A job is a command line, a folder for temporary files, and perhaps a signal
# and the seconds after which it comes.
SERVER = """
import contextlib, json, os, signal, sys, tempfile, time
from galmorph.cli import main

def run(arguments, folder):
    tempfile.tempdir = folder
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
        return main(arguments)

for line in sys.stdin:
    job = json.loads(line)
    begin = time.monotonic()
    if job["here"]:  # loads and compiles
        status = run(job["arguments"], job["temporary"])
    else:
        child = os.fork()
        if child == 0:
            status = 1
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                status = run(job["arguments"], job["temporary"])
            except KeyboardInterrupt:  # before the command has begun, or after its end
                status = 130
            finally:
                os._exit(status)
        if job["signal"]:
            time.sleep(job["after"])
            os.kill(child, job["signal"])
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([status, time.monotonic() - begin]), flush=True)
"""


@dataclass
class Server:
    """A process that runs commands."""

    process: subprocess.Popen[str]

    def run(self, arguments: list[Any], temporary: Path, *, number: int = 0, after: float = 0.0, here: bool = False):
        """Run a command, perhaps kill it; return exit status and seconds."""
        job = {"arguments": [str(a) for a in arguments], "temporary": str(temporary), "here": here}
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(json.dumps({**job, "signal": number, "after": after}) + "\n")
        self.process.stdin.flush()
        return tuple(json.loads(self.process.stdout.readline()))


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    root = str(Path(galmorph.__file__).parents[1])
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": root}
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", SERVER],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield Server(process)
        process.stdin.close()


@dataclass(frozen=True)
class Place:
    """Where a run writes: its output and the temporary files."""

    output: Path
    temporary: Path

    @classmethod
    def new(cls, root: Path) -> Place:
        place = cls(root / "output", root / "temporary")
        place.output.mkdir(parents=True)
        place.temporary.mkdir()
        return place

    def names(self) -> list[str]:
        """List all that lies there."""
        return sorted(
            p.relative_to(self.output.parent).as_posix() for p in self.output.parent.rglob("*") if p.is_file()
        )


class Classifying:
    """Runs that write a catalogue and a report."""

    def __init__(self, ending: str, sky: small_sky.Sky, checkpoint: Path, catalog: Path) -> None:
        self.ending = ending
        self.inputs = [catalog, *sky.inputs[1:], "--survey", "candels", "--band", "H", "--checkpoint", checkpoint]
        self.expected: Any = None

    def command(self, place: Place, *, overwrite: bool) -> list[Any]:
        report = ["--report", place.output / "report"] if self.ending == "csv" else []
        replace = ["--overwrite"] if overwrite else []
        return ["classify", *self.inputs, "-o", self.file(place), *report, *replace]

    def file(self, place: Place) -> Path:
        return place.output / f"out.{self.ending}"

    def put_old(self, place: Place) -> None:
        self.file(place).write_text("old")

    def check_between(self, place: Place) -> str:
        """Check what is there after the kill; say what it is."""
        path = self.file(place)
        if not path.exists():
            return "none"
        if path.read_bytes() == b"old":
            return "old"
        self.check_new(place)
        return "new"

    def next(self, place: Place) -> list[Any]:
        return self.command(place, overwrite=True)

    def check_new(self, place: Place) -> None:
        table = read_catalog(self.file(place)).table
        values = np.asarray(table["gm_snr"], float), list(map(str, table["gm_class"]))
        if self.expected is None:
            self.expected = values
        assert np.allclose(values[0], self.expected[0], rtol=1e-6, equal_nan=True)
        assert values[1] == self.expected[1]

    def check_after(self, place: Place) -> None:
        self.check_new(place)
        report = ["output/report/index.html"] if self.ending == "csv" else []
        assert place.names() == sorted([f"output/out.{self.ending}", *report])
        if report:
            assert (place.output / "report" / "index.html").read_text().rstrip().endswith("</html>")


class Training:
    """Runs that write a checkpoint and what belongs to it."""

    FILES = (
        "log.csv",
        "losses.svg",
        "pipeline.json",
        "split.csv",
        "state.safetensors",
        "tiny.json",
        "tiny.safetensors",
    )

    def __init__(self, root: Path) -> None:
        self.root = root
        self.expected: Any = None

    def command(self, place: Place, *, overwrite: bool) -> list[Any]:  # noqa: ARG002 - goes on instead
        inputs = [self.root / "labels.csv", "--image", self.root / "images.zip", "--pipeline", self.root / "tiny.toml"]
        return ["train", *inputs, "--epochs", 3, "--threads", 1, "-o", place.output / "run"]

    def put_old(self, place: Place) -> None:
        """Nothing: a training never replaces another."""

    def check_between(self, place: Place) -> str:
        path = place.output / "run" / "tiny.safetensors"
        if path.exists():
            load_checkpoint(path)
        return "new" if path.exists() else "none"

    def next(self, place: Place) -> list[Any]:
        is_begun = (place.output / "run" / "state.safetensors").exists()
        return [*self.command(place, overwrite=False), *(["--resume"] if is_begun else [])]

    def check_after(self, place: Place) -> None:
        assert place.names() == [f"output/run/{name}" for name in self.FILES]
        weights = (place.output / "run" / "tiny.safetensors").read_bytes()
        self.expected = self.expected or weights
        assert weights == self.expected, "a training that was stopped is the same as another"


@pytest.fixture(scope="module")
def kinds(sky, h_checkpoint, tmp_path_factory) -> dict[str, Classifying | Training]:
    """Make the runs; catalogues in the output's format are extended, and VOTables written anew."""
    root = tmp_path_factory.mktemp("inputs")
    catalogs = {e: small_sky.write_table(small_sky.table(), root / f"cat.{e}") for e in ENDINGS if e != "vot"}
    runs = {e: Classifying(e, sky, h_checkpoint, catalogs.get(e, sky.catalog)) for e in ENDINGS}
    return {**runs, "train": Training(drawn.write(root))}


def killed(server: Server, kinds: dict[str, Classifying | Training], root: Path, count: int) -> Counter[str]:
    """Kill so many runs, of the kinds in turn; return how often what was left."""
    rng, seconds, outcomes = random.Random(SEED), {}, Counter()
    for number in range(count):
        turn, kind = number // len(kinds), list(kinds)[number % len(kinds)]
        number_of = SIGNALS[(number + turn) % len(SIGNALS)]
        run, place = kinds[kind], Place.new(root / str(number))
        if kind not in seconds:
            first = Place.new(root / kind)
            assert server.run(run.command(first, overwrite=False), first.temporary, here=True)[0] == 0
            again = Place.new(root / f"{kind}-again")
            status, seconds[kind] = server.run(run.command(again, overwrite=False), again.temporary)
            assert status == 0
            run.check_after(first)
            run.check_after(again)
        has_old = turn % 2 == 0
        if has_old:
            run.put_old(place)
        after = rng.random() * 1.05 * seconds[kind]
        status, _ = server.run(run.command(place, overwrite=has_old), place.temporary, number=number_of, after=after)
        left = run.check_between(place)
        # A library may crash when it is stopped in a fork: that is no more than another kill.
        assert status in (0, -number_of, 128 + number_of, -signal.SIGSEGV), (kind, number_of, status)
        if status > 0:
            assert not list(place.temporary.iterdir())
            assert not list(place.output.rglob(".*"))
        outcomes[f"{signal.Signals(-status).name if status < 0 else number_of.name} {left if status else 'late'}"] += 1
        command = run.next(place)
        status, took = server.run(command, place.temporary)
        assert status == 0
        if "--resume" not in command:  # a whole run, as fast as the machine is now: other work on it comes and goes
            seconds[kind] = took
        run.check_after(place)
    return outcomes


@pytest.mark.long
def test_after_a_kill_there_is_the_old_output_or_the_new_one(server, kinds, tmp_path):
    few = {kind: kinds[kind] for kind in ("fits", "csv", "train")}
    assert killed(server, few, tmp_path, 6).total() == 6


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_kills_leave_the_old_output_or_the_new_one(server, kinds, tmp_path, capsys):
    outcomes = killed(server, kinds, tmp_path, 100)
    with capsys.disabled():
        print(dict(sorted(outcomes.items())))
    assert outcomes.total() == 100
    assert sum(n for what, n in outcomes.items() if "late" not in what) > 60
