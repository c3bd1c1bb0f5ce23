"""Compilation: loops over pixels and rings that numba turns into machine code, once on each machine.

The machine code is kept in a folder of its own (in ``NUMBA_CACHE_DIR``, or the user's cache folder) named after the
text of all modules here: numba itself looks at one module at a time, and would not notice that a function which another
one calls has changed. When such a folder is new, those of other versions that no process has used for a day are
removed. Where nothing can be written, each process compiles anew.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numba
from platformdirs import user_cache_dir

__all__ = ["cache_folder", "compiled", "inner", "inner_sum", "uninterrupted"]

F = TypeVar("F", bound=Callable[..., Any])
_NAMED = "compiled-"
# A day: who starts a process so often finds its machine code again, and old versions do not pile up.
_UNUSED_S = 86400.0
# Set while a block keeps signals back: asking for their handler takes as long as cutting a frame.
_waiting = threading.Event()


def compiled(function: F) -> F:
    """Compile a function of numbers, arrays and named tuples of them when it is first called.

    Divisions by zero give infinities and NaN, as in numpy, and rounding is that of the source.
    """
    with _kept_apart():
        machine_code: F = numba.njit(cache=cache_folder() is not None, error_model="numpy")(function)
    return machine_code


def inner(function: F) -> F:
    """Compile a function that compiled functions alone may call, in half of the time."""
    machine_code: F = numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return machine_code


def inner_sum(function: F) -> F:
    """Compile an inner function whose sums may be added in any order, several terms at a time."""
    machine_code: F = numba.njit(
        error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"reassoc", "contract"}
    )(function)
    return machine_code


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends: numba does not survive one while it loads code or makes a named tuple.

    Whoever handles it then is who would have handled it at once: Python, with a KeyboardInterrupt (whose context is the
    error, if the block ended with one), a handler of the caller's own, or the block around this one.
    """
    handler = None if _waiting.is_set() or not _in_main_thread() else signal.getsignal(signal.SIGINT)
    if not callable(handler):
        # Within another block; in a thread to which no signals come; or what is ignored, or ends the process.
        yield
        return
    signals: list[tuple[int, FrameType | None]] = []

    def remember(number: int, frame: FrameType | None) -> None:
        signals.append((number, frame))

    signal.signal(signal.SIGINT, remember)
    try:
        # Set and cleared while nothing is raised by a signal, so that it is never left behind.
        _waiting.set()
        yield
    finally:
        _waiting.clear()
        replaced = signal.signal(signal.SIGINT, handler)
        if replaced is not remember:
            # The block itself has set another: that one stays.
            signal.signal(signal.SIGINT, replaced)
        for number, frame in signals:
            handler(number, frame)


def _in_main_thread() -> bool:
    return threading.current_thread() is threading.main_thread()


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Return where machine code is kept; None where nothing can be written."""
    text = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text.update(path.read_bytes())
    base = Path(numba.config.CACHE_DIR or user_cache_dir("galmorph"))
    folder = base / f"{_NAMED}{text.hexdigest()[:16]}"
    is_new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError:
        return None
    with suppress(OSError):  # another user's
        os.utime(folder)  # says that it is in use
    if is_new:
        _remove_unused(base, folder)
    return folder


def _remove_unused(base: Path, kept: Path) -> None:
    """Remove the folders of other versions that no process has used for a day.

    Other processes may do the same at the same time. One that runs since more than a day and whose folder goes does not
    need it: it has loaded its functions, and makes the folder again if it compiles another.
    """
    for folder in base.glob(f"{_NAMED}{'[0-9a-f]' * 16}"):
        if folder != kept and time.time() - _last_use(folder) > _UNUSED_S:
            shutil.rmtree(folder, ignore_errors=True)


def _last_use(folder: Path) -> float:
    """Return the time, in seconds, when a process last started with a folder or wrote into it; now if it is going."""
    try:
        return max(path.stat().st_mtime for path in (folder, *folder.rglob("*")))
    except OSError:
        return time.time()


@contextmanager
def _kept_apart() -> Iterator[None]:
    """Have numba choose our folder for the functions that are decorated meanwhile, and for no others."""
    usual = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder() or usual)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = usual
