"""Garbage: how often a process of our own, a command or a worker, looks for objects that refer to each other only.

Half a million objects are made as torch, astropy and numba are imported, and all of them stay. Python looks through
them again each time that their number has grown by a quarter, and three times more as it ends: a fifth of what a
command on a few rows takes.
"""

from __future__ import annotations

import gc

__all__ = ["collect_seldom", "leave_all"]


def collect_seldom() -> None:
    """Look at new objects by the fifty thousand, and at all of them after ten million."""
    gc.set_threshold(50_000, 20, 10)


def leave_all() -> None:
    """Let the process end without looking through what it leaves."""
    gc.freeze()
