"""Worker: a process of a pool, which carries out one part after the other.

Its arguments are the number of an open socket to the process that started it, and that of the memory in which it leaves
stamps. What comes through the socket is that process's own: a plan, and then the rows of parts.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
import sys
import threading
import traceback
from contextlib import closing
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import GalmorphError
from galmorph.runs.engines.shared_stamps import SharedStamps
from galmorph.runs.parts import classify_part, measure_part
from galmorph.runs.plan import Plan
from galmorph.runs.predictor import ShownStamps
from galmorph.runs.results import Results

__all__ = ["main"]

IntArray = npt.NDArray[np.intp]


def main() -> None:
    """Work until nobody has anything to be done."""
    # Ctrl-C in a terminal comes to all of its processes; the one that started this one decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = _Channel(int(sys.argv[1]))
    tasks: queue.SimpleQueue[tuple[str, Any]] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(channel, tasks), daemon=True).start()
    log = logging.getLogger("galmorph")
    log.addHandler(_Teller(channel))
    log.propagate = False
    try:
        _work(channel, tasks, SharedStamps(int(sys.argv[2])))
    except (BrokenPipeError, ConnectionResetError):
        os._exit(1)  # whoever wanted it is gone


class _Channel:
    """The way to the process that started this one; any thread may speak.

    Parameters
    ----------
    number
        Of an open socket.
    """

    def __init__(self, number: int) -> None:
        self._connection = Connection(number)
        self._speaking = threading.Lock()

    def recv(self) -> Any:
        """Wait for what comes next."""
        return self._connection.recv()

    def say(self, kind: str, content: Any) -> None:
        """Send something of a kind."""
        with self._speaking:
            self._connection.send((kind, content))


def _listen(channel: _Channel, tasks: queue.SimpleQueue[tuple[str, Any]]) -> None:
    """Take tasks, and end the process in the midst of its work where nobody is left to hear of it."""
    try:
        while True:
            tasks.put(channel.recv())
    except (EOFError, OSError):
        os._exit(0)


def _work(channel: _Channel, tasks: queue.SimpleQueue[tuple[str, Any]], memory: SharedStamps) -> None:
    _, plan = tasks.get()
    with closing(plan):
        try:
            plan.check()
            channel.say("ready", None)
            while True:
                kind, rows = tasks.get()
                channel.say(
                    "done", _measured(plan, rows, memory) if kind == "stamps" else (classify_part(plan, rows), None)
                )
        except MemoryError:
            os._exit(1)  # another process may have more
        except GalmorphError as error:
            channel.say("failed", error)
        except Exception as error:  # noqa: BLE001 - the boundary of a process: who started it raises what it was
            channel.say("failed", RuntimeError(f"{error!r} in a worker process:\n{traceback.format_exc()}"))


def _measured(plan: Plan, rows: IntArray, memory: SharedStamps) -> tuple[Results, ShownStamps | None]:
    """Measure a part, and leave its stamps in the memory."""
    results, shown = measure_part(plan, rows)
    return results, None if shown is None else memory.put(shown)


class _Teller(logging.Handler):
    """Hands messages on to the process that started this one."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__(logging.WARNING)
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        """Send a message, and what it is a case of."""
        self._channel.say("log", (record.name, record.levelno, str(record.msg), record.getMessage()))
