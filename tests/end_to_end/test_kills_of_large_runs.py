"""A hundred kills of processes, workers, schedulers and clients, over two hundred parts: no row is lost or doubled."""

from __future__ import annotations

import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import numpy as np
import pytest
import small_sky
from astropy.table import Table

ROWS, PART_ROWS = 2100, 10
KILLS = int(os.environ.get("GALMORPH_KILLS", "100"))
SEED = int(os.environ.get("GALMORPH_KILLS_SEED", "2026"))

RUN = f"""
import sys
from galmorph.cli import main
from galmorph.runs import parts
parts.PART_ROWS = {PART_ROWS}
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""

pytestmark = [pytest.mark.long, pytest.mark.timeout(7200)]


@pytest.fixture(scope="module")
def command(tmp_path_factory) -> list[str]:
    """Measure some two thousand rows, on cutouts, so that each part has its ten rows."""
    folder = tmp_path_factory.mktemp("sky")
    sky = small_sky.write_sky(folder)
    rows = small_sky.table(np.tile(small_sky.XY, (ROWS // len(small_sky.XY), 1)))
    rows["number"] = np.arange(ROWS)
    rows.write(folder / "rows.fits")
    (folder / "run.py").write_text(RUN)
    words = ["measure", str(folder / "rows.fits"), "--image", str(sky.image), "--weight", str(sky.weight)]
    return [sys.executable, str(folder / "run.py"), *words, "--survey", "candels", "--band", "H", "--detect", "cutouts"]


def bytes_of(path: Path) -> bytes:
    table = Table.read(path)
    assert table["number"].tolist() == list(range(ROWS))
    return b"".join(np.ascontiguousarray(table[name]).tobytes() for name in table.colnames)


@pytest.fixture(scope="module")
def whole(command, tmp_path_factory) -> bytes:
    output = tmp_path_factory.mktemp("whole") / "out.fits"
    subprocess.run([*command, "-o", str(output), "--engine", "local"], check=True, capture_output=True)
    return bytes_of(output)


def processes_below(pid: int) -> list[int]:
    """Numbers of the processes that a process has started."""
    numbers = []
    for path in Path("/proc").iterdir():
        with suppress(OSError, ValueError):
            if path.name.isdigit() and int((path / "stat").read_text().rpartition(")")[2].split()[1]) == pid:
                numbers.append(int(path.name))
    return numbers


def parts_in(output: Path) -> int:
    return len(list(output.with_name(f"{output.name}.parts").glob("0*.npz")))


def killed_at_random(command: list[str], output: Path, rng: random.Random, most: int, targets: str) -> Counter[str]:
    """Run a command again and again until it is through, killing it or one of its workers at random times."""
    kills: Counter[str] = Counter()
    while True:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            begun, status = parts_in(output), None
            while status is None and kills.total() < most:
                time.sleep(rng.uniform(0.0, 1.5))
                workers = processes_below(process.pid)
                target = rng.choice([name for name in targets.split() if name != "worker" or workers])
                if process.poll() is None and (parts_in(output) > begun or rng.random() < 0.2):
                    with suppress(ProcessLookupError):
                        os.kill(process.pid if target == "process" else rng.choice(workers), signal.SIGKILL)
                        kills[target] += 1
                status = process.poll()
            if process.wait() == 0:
                return kills
            if output.exists():  # it was killed once the output was whole, perhaps before its parts were removed
                shutil.rmtree(output.with_name(f"{output.name}.parts"), ignore_errors=True)
                return kills


@pytest.mark.parametrize("engine", [["--engine", "local"], ["--engine", "pool", "--workers", "2"]])
def test_kills_of_processes_and_workers(command, whole, tmp_path, engine):
    rng, kills, runs = random.Random(SEED), Counter[str](), 0
    wanted = KILLS * 2 // 5
    targets = "process" if "local" in engine else "process worker worker"
    while kills.total() < wanted:
        output = tmp_path / f"out-{runs}.fits"
        kills += killed_at_random([*command, "-o", str(output), *engine], output, rng, wanted - kills.total(), targets)
        assert bytes_of(output) == whole
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted(f"out-{n}.fits" for n in range(runs + 1))
        runs += 1
    print(f"{dict(kills)} in {runs} runs")


@contextmanager
def cluster(port: int) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """A scheduler and two workers of Dask, each a process of its own, which others may kill and start again."""
    running: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name in ("scheduler", "worker-1", "worker-2"):
            running[name] = started(name, port)
        yield running
    finally:
        for process in running.values():
            process.kill()
            process.wait()


def started(name: str, port: int) -> subprocess.Popen[bytes]:
    loopback = ["--host", "127.0.0.1"]
    words = {
        "scheduler": ["scheduler", *loopback, "--port", str(port), "--no-dashboard"],
        "worker": ["worker", f"tcp://127.0.0.1:{port}", *loopback, "--nthreads", "1", "--no-nanny", "--no-dashboard"],
    }[name.partition("-")[0]]
    return subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_" + words[0], *words[1:]],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_kills_of_schedulers_workers_and_clients(command, whole, tmp_path):
    pytest.importorskip("distributed", reason="Dask's scheduler is not installed")
    rng, kills, runs, port = random.Random(SEED), Counter[str](), 0, free_port()
    wanted = KILLS - 2 * (KILLS * 2 // 5)
    with cluster(port) as running:
        while kills.total() < wanted:
            output = tmp_path / f"out-{runs}.fits"
            client = [*command, "-o", str(output), "--scheduler", f"tcp://127.0.0.1:{port}"]
            while True:
                with subprocess.Popen(client, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
                    while process.poll() is None and kills.total() < wanted:
                        time.sleep(rng.uniform(2.0, 8.0))
                        name = rng.choice(["client", "scheduler", "worker-1", "worker-2"])
                        if process.poll() is not None:
                            break
                        kill(process if name == "client" else running[name])
                        kills[name.partition("-")[0]] += 1
                        if name != "client":
                            running[name] = started(name, port)
                        if name == "scheduler":  # its workers give up when it is gone, and the client says so
                            assert process.wait(300) == (0 if output.exists() else 1)
                            for other in ("worker-1", "worker-2"):
                                kill(running[other])
                                running[other] = started(other, port)
                    if process.wait(600) == 0 or output.exists():
                        break
            assert bytes_of(output) == whole
            runs += 1
    print(f"{dict(kills)} in {runs} runs")


def kill(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
