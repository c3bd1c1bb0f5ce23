"""Threads: how many of the processor's cores torch computes with.

Each thread of a process computes with a number of its own, which it takes over from the process when it first asks for
it. All in here change it for one thread and leave the process, and all threads to come, as they were.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Lock

import torch

__all__ = ["limited", "one_less"]

# While one thread sets its number, that of threads to come is the same for a moment: no other may read it then.
_SETTING = Lock()


@contextmanager
def limited(threads: int | None) -> Iterator[None]:
    """Compute with so many CPU threads, at least one; None leaves torch's choice."""
    before = torch.get_num_threads()
    if threads is not None:
        _set_here(max(1, threads))
    try:
        yield
    finally:
        if threads is not None:
            _set_here(before)


def one_less() -> Callable[[], None]:
    """Return what makes another thread of this process compute with one core less than this one, with one at least.

    To be called there first: what a thread computes with is its own matter.
    """
    threads = max(torch.get_num_threads() - 1, 1)

    def start() -> None:
        torch.get_num_threads()  # takes over the number of the process now, and not in the midst of the work
        _set_here(threads)

    return start


def _set_here(threads: int) -> None:
    """Set the number of this thread alone: torch's own setter also sets with what threads to come begin."""
    with _SETTING, ThreadPoolExecutor(1) as to_come:
        usual = to_come.submit(torch.get_num_threads).result()
        torch.set_num_threads(threads)
        to_come.submit(torch.set_num_threads, usual).result()
