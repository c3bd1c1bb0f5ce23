"""Engines: whoever carries out the parts of a plan, the results are the same to the last bit, and no row is lost."""

from __future__ import annotations

import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pytest
import small_sky
from plans import plan_of
from test_parts import assert_equal

from galmorph import open_images
from galmorph.errors import GalmorphError, ImageError, PipelineError
from galmorph.flags import Flag
from galmorph.progress import silent
from galmorph.runs.classify import classify
from galmorph.runs.engines import engine_for
from galmorph.runs.engines.dask_cluster import Dask
from galmorph.runs.engines.local import Local
from galmorph.runs.engines.pool import Pool
from galmorph.runs.execution import Execution
from galmorph.runs.parts import Part, parts_of
from galmorph.runs.plan import Plan

H = {"survey": "candels", "band": "H", "device": "cpu"}


@pytest.fixture(scope="module")
def sky(tmp_path_factory):
    return small_sky.write_sky(tmp_path_factory.mktemp("sky"))


@pytest.fixture(scope="module")
def plan(sky, tmp_path_factory) -> Plan:
    """Plan to classify forty rows, among them one without image and one without position."""
    folder = tmp_path_factory.mktemp("plan")
    xy = np.concatenate([np.tile(small_sky.XY, (6, 1))[:38], [(4000.0, 4000.0), (np.nan, np.nan)]])
    small_sky.table(xy).write(folder / "rows.fits")
    checkpoint = small_sky.write_checkpoint(folder / "untaught.safetensors")
    with closing(plan_of(folder / "rows.fits", sky.image, weight=sky.weight, checkpoint=checkpoint, **H)) as plan:
        yield plan


@pytest.fixture(scope="module")
def parts() -> list[Part]:
    rows = np.random.default_rng(3).permutation(40)
    return [Part(n, piece) for n, piece in enumerate(np.split(rows, (6, 20, 21, 33)))]


@pytest.fixture(scope="module")
def whole(plan):
    return classify(plan).results


class Engines:
    """What every engine must do; a class of one of them says which in `engine`."""

    @pytest.fixture(scope="class")
    @classmethod
    def carried_out(cls, plan, parts):
        calls = []
        done = list(cls.engine().carry_out(plan, parts, lambda *call: calls.append(call[:3])))
        return done, calls

    def test_each_part_is_done_once(self, carried_out, parts):
        assert sorted(part.number for part, _ in carried_out[0]) == [part.number for part in parts]

    def test_results_are_those_of_a_run_in_one_piece(self, plan, carried_out, whole):
        results = plan.run.blank(40)
        for part, done in carried_out[0]:
            results.put_part(part.rows, done)
        assert_equal(results, whole)

    def test_progress_never_goes_back_and_ends_with_what_is_done(self, carried_out):
        done = [call[1] for call in carried_out[1]]
        assert done == sorted(done)
        assert {call[2] for call in carried_out[1]} == {40}

    def test_no_parts_are_no_work(self, plan):
        assert list(self.engine().carry_out(plan, [], silent)) == []


class TestLocal(Engines):
    @staticmethod
    def engine():
        return Local()


class TestPool(Engines):
    @staticmethod
    def engine():
        return Pool(2)


class TestFeedingPool(Engines):
    """Workers that cut stamps for the network of this process, as they do for a GPU."""

    @staticmethod
    def engine():
        return Pool(2, feeds=True)


@pytest.mark.long
class TestDask(Engines):
    @staticmethod
    def engine():
        pytest.importorskip("distributed", reason="Dask's scheduler is not installed")
        return Dask(None, 1)

    def test_another_cluster_may_have_the_usual_port(self, plan):
        with socket.socket() as other:
            with suppress(OSError):  # somebody has it already
                other.bind(("127.0.0.1", 8787))
                other.listen()
            rows = sum(len(part) for part, _ in self.engine().carry_out(plan, parts_of(plan)[:1], silent))
        assert rows == len(parts_of(plan)[0])


def customised(folder: Path, monkeypatch, text: str) -> None:
    """Let the processes that are started from here run some text first."""
    (folder / "sitecustomize.py").write_text(text)
    monkeypatch.syspath_prepend(str(folder))


KILLED = """
import os, signal, sys
if "-P" in sys.orig_argv:
    import galmorph.runs.parts as parts
    whole = parts.classify_part
    def classify_part(plan, rows, **settings):
        if {row} in rows and {is_due}:
            os.kill(os.getpid(), signal.SIGKILL)
        return whole(plan, rows, **settings)
    parts.classify_part = classify_part
"""


@pytest.mark.long
def test_what_kills_every_worker_ends_as_flagged_rows(plan, parts, whole, tmp_path, monkeypatch, caplog):
    poison = parts[2]
    customised(tmp_path, monkeypatch, KILLED.format(row=poison.rows[0], is_due="True"))
    results = plan.run.blank(40)
    for part, done in Pool(2).carry_out(plan, parts, silent):
        results.put_part(part.rows, done)
    assert (results.flags[poison.rows] == int(Flag.FETCH_FAILED)).all()
    others = np.setdiff1d(np.arange(40), poison.rows)
    np.testing.assert_array_equal(results.flags[others], whole.flags[others])
    np.testing.assert_array_equal(results.conditional[others], whole.conditional[others])
    assert f"{len(poison)} rows, the first of them {poison.rows[0]} (from 0): 3 processes" in caplog.text


def test_a_worker_that_is_killed_once_costs_nothing(plan, parts, whole, tmp_path, monkeypatch, caplog):
    once = f"os.path.exists({str(tmp_path / 'due')!r}) and os.unlink({str(tmp_path / 'due')!r}) is None"
    (tmp_path / "due").touch()
    customised(tmp_path, monkeypatch, KILLED.format(row=parts[1].rows[3], is_due=once))
    results = plan.run.blank(40)
    for part, done in Pool(1).carry_out(plan, parts, silent):
        results.put_part(part.rows, done)
    assert not (tmp_path / "due").exists()
    assert_equal(results, whole)
    assert "killed" not in caplog.text


def test_workers_that_never_begin_are_told_in_one_line(plan, parts, tmp_path, monkeypatch):
    customised(tmp_path, monkeypatch, "import os, sys\nif '-P' in sys.orig_argv: os._exit(9)\n")
    with pytest.raises(PipelineError, match=r"processes end before they begin to work \(status 9\)"):
        list(Pool(2).carry_out(plan, parts, silent))


def test_what_is_wrong_with_all_rows_is_raised_here(sky, parts, tmp_path):
    image = tmp_path / "image.fits"
    image.write_bytes(sky.image.read_bytes())
    with closing(plan_of(small_sky.table(np.tile(small_sky.XY, (6, 1))[:40]), image, network=False)) as plan:
        plan.check()
        image.unlink()
        with pytest.raises(GalmorphError, match=r"image\.fits"):
            list(Pool(1).carry_out(plan, parts, silent))


def test_workers_end_with_whoever_wanted_them(plan, parts):
    done = Pool(2).carry_out(plan, parts, silent)
    next(done)
    workers = [pid for pid in children(os.getpid()) if b"galmorph.runs.engines.worker" in command_of(pid)]
    assert workers
    done.close()
    assert not [pid for pid in workers if command_of(pid)]


def children(of: int) -> list[int]:
    numbers = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [number for number in numbers if parent_of(number) == of]


def parent_of(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


ABANDONED = """
import pickle, sys
from galmorph.progress import silent
from galmorph.runs.engines.pool import Pool
plan, parts = pickle.load(open(sys.argv[1], "rb"))
for part, _ in Pool(1).carry_out(plan, parts, silent):
    print("begun", flush=True)
    sys.stdin.read()
"""


@pytest.mark.long
def test_workers_of_a_killed_process_go_too(plan, parts, tmp_path):
    (tmp_path / "plan").write_bytes(pickle.dumps((plan, parts)))
    command = [sys.executable, "-c", ABANDONED, str(tmp_path / "plan")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as abandoned:
        assert abandoned.stdout is not None
        assert abandoned.stdout.readline() == b"begun\n"
        workers = children(abandoned.pid)
        assert workers
        abandoned.send_signal(signal.SIGKILL)
    late = time.monotonic() + 60.0
    while any(command_of(pid) for pid in workers) and time.monotonic() < late:
        time.sleep(0.05)
    assert not any(command_of(pid) for pid in workers)


def test_open_images_stay_in_this_process(sky):
    with closing(open_images(sky.image)) as source:
        plan = plan_of(small_sky.table(), source, network=False)
        parts = [Part(0, np.arange(7))] * 2
        assert isinstance(engine_for(Execution(workers=2), plan, parts), Local)
        with pytest.raises(ImageError, match="cannot be handed to another process"):
            list(Pool(1).carry_out(plan, parts, silent))


@pytest.mark.parametrize(
    ("asked", "kind"),
    [
        (Execution(), Local),
        (Execution(workers=2), Pool),
        (Execution(workers=1), Local),
        (Execution("pool"), Pool),
        (Execution("pool", 1), Pool),
        (Execution("local"), Local),
        (Execution("dask"), Dask),
        (Execution(scheduler="tcp://127.0.0.1:1"), Dask),
    ],
)
def test_engines_are_chosen_as_asked_or_as_it_pays(plan, parts, asked, kind):
    assert isinstance(engine_for(asked, plan, parts), kind)


def test_many_rows_get_a_process_for_each_core(plan, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    assert isinstance(engine_for(Execution(), plan, [Part(n, np.arange(1000)) for n in range(3)]), Pool)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)
    assert isinstance(engine_for(Execution(), plan, [Part(n, np.arange(1000)) for n in range(3)]), Local)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"engine": "slurm"}, "engine 'slurm'"),
        ({"workers": 0}, "expected 1 or more"),
        ({"engine": "pool", "scheduler": "tcp://x:1"}, "expected engine 'dask'"),
        ({"engine": "local", "workers": 2}, "expected one"),
        ({"shard": "0/4"}, "expected I/N"),
        ({"shard": "5/4"}, "expected I/N"),
        ({"shard": "a/4"}, "expected I/N"),
    ],
)
def test_impossible_executions_are_refused(asked, message):
    with pytest.raises(PipelineError, match=message):
        Execution(**asked).check(has_output=True)


def test_a_shard_needs_an_output():
    with pytest.raises(PipelineError, match="name one with -o"):
        Execution(shard="1/2").check(has_output=False)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50])
def test_shares_are_all_the_parts_once(plan, count):
    parts = parts_of(plan, 3)
    shares = [Execution(shard=f"{n + 1}/{count}").of(parts) for n in range(count)]
    assert [part.number for share in shares for part in share] == [part.number for part in parts]
    sizes = [sum(map(len, share)) for share in shares]
    assert max(sizes) - min(sizes) <= 2 * max(map(len, parts))


def test_an_address_where_nobody_is_is_told_in_one_line(plan, parts, monkeypatch):
    pytest.importorskip("distributed", reason="Dask's scheduler is not installed")
    monkeypatch.setattr("galmorph.runs.engines.dask_cluster._PATIENCE_S", 1)
    with pytest.raises(PipelineError, match=r"scheduler 'tcp://127\.0\.0\.1:9' does not answer"):
        list(Dask("tcp://127.0.0.1:9", 1).carry_out(plan, parts, silent))
