"""A service in a process of its own, as users start it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

import galmorph

ROOT = Path(galmorph.__file__).parents[1]
PATIENCE_S = 120.0


@dataclass
class Served:
    """A service that runs."""

    url: str
    process: subprocess.Popen[str]
    log: Path
    started_s: float
    """Seconds until it answered."""
    ready_s: float
    """Seconds until its models were loaded."""

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def cpu_s(self) -> float:
        """Processor time of the service so far, of all its threads."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def memory_mb(self) -> float:
        """Resident memory."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024


@contextmanager
def served(folder: Path, words: Sequence[str], *, cwd: Path | None = None) -> Iterator[Served]:
    """Run ``galmorph serve`` with some options until the block ends."""
    log = folder / "log"
    begun = time.monotonic()
    with log.open("w") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "galmorph", "serve", "--port", "0", *words],
            stderr=stream,
            stdout=stream,
            text=True,
            cwd=cwd or folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        )
    try:
        url = _address(process, log, begun)
        started = _until(process, log, lambda: httpx.get(f"{url}/health").status_code == 200, begun)
        ready = _until(process, log, lambda: httpx.get(f"{url}/ready").status_code == 200, begun)
        yield Served(url, process, log, started, ready)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[str], log: Path, begun: float) -> str:
    found: list[str] = []

    def is_said() -> bool:
        found.extend(re.findall(r"serving at (http://\S+);", log.read_text()))
        return bool(found)

    _until(process, log, is_said, begun)
    return found[0]


def _until(process, log: Path, is_so, begun: float) -> float:
    while time.monotonic() - begun < PATIENCE_S:
        assert process.poll() is None, log.read_text()
        try:
            if is_so():
                return time.monotonic() - begun
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    raise AssertionError(log.read_text())
