"""Compilation: loops over pixels and rings that numba turns into machine code, once on each machine.

The machine code is kept in a folder of its own (in ``NUMBA_CACHE_DIR``, or the user's cache folder) named after the
text of all modules here: numba itself looks at one module at a time, and would not notice that a function which another
one calls has changed. Where nothing can be written, each process compiles anew.
"""

from __future__ import annotations

import hashlib
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numba
from platformdirs import user_cache_dir

__all__ = ["cache_folder", "compiled", "inner", "inner_sum", "uninterrupted"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function of numbers, arrays and named tuples of them when it is first called.

    Divisions by zero give infinities and NaN, as in numpy, and rounding is that of the source.
    """
    with _kept_apart():
        made: F = numba.njit(cache=cache_folder() is not None, error_model="numpy")(function)
    return made


def inner(function: F) -> F:
    """Compile a function that compiled functions alone may call, in half of the time."""
    made: F = numba.njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True)(function)
    return made


def inner_sum(function: F) -> F:
    """Compile an inner function whose sums may be added in any order, several terms at a time."""
    made: F = numba.njit(
        error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True, fastmath={"reassoc", "contract"}
    )(function)
    return made


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the block ends: numba does not survive one while it loads code or makes a named tuple."""
    default = signal.default_int_handler
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGINT) is not default:
        yield
        return
    came: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        came.append(number)

    signal.signal(signal.SIGINT, remember)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, default)
    if came:
        raise KeyboardInterrupt


@lru_cache(maxsize=1)
def cache_folder() -> Path | None:
    """Return where machine code is kept; None where nothing can be written."""
    text = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text.update(path.read_bytes())
    base = Path(numba.config.CACHE_DIR or user_cache_dir("galmorph"))
    folder = base / f"compiled-{text.hexdigest()[:16]}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


@contextmanager
def _kept_apart() -> Iterator[None]:
    """Have numba choose our folder for the functions that are decorated meanwhile, and for no others."""
    usual = numba.config.CACHE_DIR
    numba.config.CACHE_DIR = str(cache_folder() or usual)
    try:
        yield
    finally:
        numba.config.CACHE_DIR = usual
