"""Locks: of a file, for this process and all others on the machine."""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

__all__ = ["locked"]

# There are no such locks on Windows.
_FCNTL = importlib.import_module("fcntl") if os.name == "posix" else None


class _ThreadLock:
    """A lock for the threads of this process, of which there may be a weak reference."""

    def __init__(self) -> None:
        self.lock = threading.RLock()


# As long as somebody holds or waits for one.
_THREADS: WeakValueDictionary[str, _ThreadLock] = WeakValueDictionary()
_GUARD = threading.Lock()


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock of a file, which is made where it is missing; whoever dies lets go of it."""
    with _GUARD:
        lock = _THREADS.setdefault(str(path), _ThreadLock())
    with lock.lock, path.open("ab") as file:
        if _FCNTL is not None:
            _FCNTL.flock(file, _FCNTL.LOCK_EX)
        yield
