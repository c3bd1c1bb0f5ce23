"""Garbage: how often a process of our own, a command or a worker, looks for it, and what becomes of its memory.

Objects that refer to each other only have to be looked for. Half a million are made as torch, astropy and numba are
imported, and all of them stay. Python looks through them again each time that their number has grown by a quarter, and
three times more as it ends: a fifth of what a command on a few rows takes.

Memory of large arrays goes back to the system when they do, unless that is said otherwise, and comes again page by
page, emptied, for those that follow: on a mosaic a twentieth of what measuring a row takes.
"""

from __future__ import annotations

import ctypes
import gc
import os

__all__ = ["collect_seldom", "keep_memory", "leave_all"]

# Numbers of glibc's mallopt(3). Larger arrays than the one still go back; so does what is free beyond the other.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LARGEST_BYTES, _MOST_FREE_BYTES = 1 << 25, 1 << 27


def collect_seldom() -> None:
    """Look at new objects by the fifty thousand, and at all of them after ten million."""
    gc.set_threshold(50_000, 20, 10)


def keep_memory() -> None:
    """Keep the memory of arrays that went, up to 128 MB, for others; where there is glibc, and the user has no wish."""
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another library of C
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST_BYTES)
    mallopt(_TRIM_THRESHOLD, _MOST_FREE_BYTES)


def leave_all() -> None:
    """Let the process end without looking through what it leaves."""
    gc.freeze()
