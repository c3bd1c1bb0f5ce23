"""Pool: parts carried out by processes of this machine, each on one core.

Each worker is a process of its own (not a fork, which would inherit threads and open files; and not an import of the
caller's script, which need not be guarded), knows the plan and gets one part after the other. A worker that is killed
costs the part that it was at; whoever kills its worker again and again ends as rows with FETCH_FAILED.
"""

from __future__ import annotations

import logging
import os
import pickle
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Self

from galmorph.errors import PipelineError
from galmorph.progress import Progress
from galmorph.runs.engines.shared_stamps import SharedStamps
from galmorph.runs.parts import Part, answer_part, failed_part
from galmorph.runs.plan import Plan
from galmorph.runs.predictor import ShownStamps
from galmorph.runs.results import Results

__all__ = ["Pool"]

log = logging.getLogger(__name__)

# The second time may be for want of memory, which another worker had; the third time it is the part's own.
_TRIES = 3
# A worker whose last words are not heard for so long is not listening.
_PATIENCE_S = 5.0
# Before the imports, of which most of a worker's start consists.
_PROGRAM = """
from galmorph.garbage import collect_seldom, keep_memory
collect_seldom()
keep_memory()
from galmorph.runs.engines.worker import main
main()
"""
_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")


class Pool:
    """Carries out parts by processes.

    Parameters
    ----------
    workers
        How many.
    feeds
        Whether the workers measure and cut stamps only, and the network is in this process: a GPU has one.
    """

    def __init__(self, workers: int, *, feeds: bool = False) -> None:
        self._workers, self._feeds = workers, feeds

    def carry_out(self, plan: Plan, parts: Sequence[Part], progress: Progress) -> Iterator[tuple[Part, Results]]:
        """Yield the results of each part as it is done, the largest parts first.

        Raises
        ------
        PipelineError
            If the processes cannot be started.
        GalmorphError
            One of its kinds, where what is wrong concerns all rows.
        """
        total, done = sum(len(part) for part in parts), 0
        with _Crew(plan, self._workers, self._feeds) as crew:
            for part, results in crew.results(sorted(parts, key=len, reverse=True)):
                done += len(part)
                progress("rows", done, total)
                yield part, results


@dataclass
class _Worker:
    """A process, the channel to it, and the part that it is at."""

    process: subprocess.Popen[bytes]
    channel: Connection
    stamps: SharedStamps
    part: Part | None = None
    is_ready: bool = False


@dataclass
class _Crew:
    """The workers of a run; a context manager."""

    plan: Plan
    size: int
    feeds: bool
    _workers: dict[Connection, _Worker] = field(default_factory=dict)
    _deaths: Counter[int] = field(default_factory=Counter)
    _still_births: int = 0
    _remarks: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        self._message = pickle.dumps(("plan", self.plan.as_sent()), protocol=pickle.HIGHEST_PROTOCOL)
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers.values():
            _let_go(worker)  # who waits for a part ends at once
            if worker.part is not None or not worker.is_ready:
                worker.process.terminate()
        for worker in self._workers.values():
            _end(worker.process)
        self._workers.clear()

    def results(self, parts: Sequence[Part]) -> Iterator[tuple[Part, Results]]:
        """Yield the results of parts as they are done."""
        waiting, left = deque(parts), len(parts)
        while left:
            while len(self._workers) < min(self.size, left):
                self._start()
            for worker in self._idle():
                if waiting:
                    self._give(worker, waiting.popleft())
            for channel in wait(list(self._workers)):
                worker = self._workers[channel]  # type: ignore[index]
                answer = self._heard(worker, waiting)
                if answer is not None:
                    left -= 1
                    yield answer

    def _idle(self) -> list[_Worker]:
        return [worker for worker in self._workers.values() if worker.is_ready and worker.part is None]

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        stamps = SharedStamps()
        with theirs:
            handles = theirs.fileno(), stamps.handle
            # -P: modules come from where they come from here, and not from whatever lies in the present folder.
            command = [sys.executable, "-P", "-c", _PROGRAM, *map(str, handles)]
            path = os.pathsep.join(filter(None, sys.path))
            environment = os.environ | dict.fromkeys(_ONE_THREAD, "1") | {"PYTHONPATH": path}
            try:
                process = subprocess.Popen(  # noqa: S603 - this very interpreter
                    command, stdin=subprocess.DEVNULL, stdout=2, env=environment, pass_fds=handles
                )
            except OSError as error:
                ours.close()
                stamps.close()
                raise PipelineError(
                    f"no process can be started ({error.strerror or error}): expected room for one more; choose "
                    "fewer --workers, or --engine local"
                ) from error
        worker = _Worker(process, Connection(ours.detach()), stamps)
        self._workers[worker.channel] = worker
        with suppress(OSError):  # one that has died already is heard of
            worker.channel.send_bytes(self._message)

    def _give(self, worker: _Worker, part: Part) -> None:
        worker.part = part
        with suppress(OSError):  # one that has died is heard of
            worker.channel.send(("stamps" if self.feeds else "part", part.rows))

    def _heard(self, worker: _Worker, waiting: deque[Part]) -> tuple[Part, Results] | None:
        """Take what a worker says; return a part's results where that is what it is."""
        try:
            kind, content = worker.channel.recv()
        except (EOFError, OSError):
            return self._died(worker, waiting)
        if kind == "failed":
            raise content
        if kind == "done" and worker.part is not None:
            part, worker.part = worker.part, None
            return part, self._answered(worker, *content)
        if kind == "log":
            self._log(*content)
        else:
            worker.is_ready, self._still_births = True, 0
        return None

    def _answered(self, worker: _Worker, results: Results, shown: ShownStamps | None) -> Results:
        """Show a part's stamps to the network where it is in this process."""
        if self.feeds:
            answer_part(self.plan, results, None if shown is None else worker.stamps.get(shown))
        return results

    def _died(self, worker: _Worker, waiting: deque[Part]) -> tuple[Part, Results] | None:
        """Take note of a worker's end: its part is done again, unless it was the end of several."""
        del self._workers[worker.channel]
        _let_go(worker)
        status = _end(worker.process)
        if (part := worker.part) is None:
            self._still_births += not worker.is_ready
            if self._still_births >= _TRIES:
                raise PipelineError(
                    f"processes end before they begin to work (status {status}): expected them to start, and room in "
                    "memory for each; choose fewer --workers, or --engine local"
                )
            return None
        self._deaths[part.number] += 1
        if self._deaths[part.number] < _TRIES:
            log.info("a process ended at part %d (status %s): it is done again", part.number, status)
            waiting.append(part)
            return None
        log.warning(
            "%d rows, the first of them %d (from 0): %d processes that worked on them were killed (status %s)",
            len(part),
            part.rows[0],
            _TRIES,
            status,
        )
        return part, failed_part(self.plan.run, part.rows)

    def _log(self, name: str, level: int, template: str, text: str) -> None:
        """Say once what each worker says."""
        if template not in self._remarks:
            self._remarks.add(template)
            logging.getLogger(name).log(level, "%s", text)


def _let_go(worker: _Worker) -> None:
    worker.channel.close()
    worker.stamps.close()


def _end(process: subprocess.Popen[Any]) -> int:
    """Wait for a process to end, and see to it that it does; return its status."""
    try:
        return process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()
