"""Compilation: loops over pixels and rings that numba turns into machine code, once on each machine.

The machine code is kept in a folder of its own (``NUMBA_CACHE_DIR``, or the user's cache folder), named after the text
of all modules here: numba itself looks at one module at a time, and would not notice that a function which another one
calls has changed. Where nothing can be written, each process compiles anew.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numba
from numba.core import config
from platformdirs import user_cache_dir

__all__ = ["cache_folder", "compiled", "compiled_sums"]

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function of numbers, arrays and named tuples of them when it is first called.

    Divisions by zero give infinities and NaN, as in numpy, and rounding is that of the source.
    """
    return _compiled(function, False)


def compiled_sums(function: F) -> F:
    """Compile a function whose sums may be added in any order, several terms at a time."""
    return _compiled(function, {"reassoc", "contract"})


def _compiled(function: F, fastmath: bool | set[str]) -> F:
    options = {"error_model": "numpy", "fastmath": fastmath}
    with _kept_apart():
        try:
            made: F = numba.njit(cache=True, **options)(function)
        except RuntimeError:  # no folder that numba may write to
            made = numba.njit(**options)(function)
    return made


@lru_cache(maxsize=1)
def cache_folder() -> Path:
    """Return where machine code is kept."""
    text = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text.update(path.read_bytes())
    return Path(config.CACHE_DIR or user_cache_dir("galmorph")) / f"compiled-{text.hexdigest()[:16]}"


@contextmanager
def _kept_apart() -> Iterator[None]:
    """Have numba choose our folder for the functions that are decorated meanwhile, and for no others."""
    folder, usual = str(cache_folder()), config.CACHE_DIR
    config.CACHE_DIR = folder
    try:
        yield
    finally:
        config.CACHE_DIR = usual
