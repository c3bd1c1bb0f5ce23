"""Threads: how many of the processor's cores torch computes with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

__all__ = ["one_less", "one_thread", "use_threads"]


def use_threads(threads: int | None) -> None:
    """Compute with so many CPU threads; None leaves torch's choice."""
    if threads is not None:
        torch.set_num_threads(max(1, threads))


def one_less() -> Callable[[], None]:
    """Return what makes another thread of this process compute with one core less than this one, with one at least.

    To be called there first: what a thread computes with is its own matter.
    """
    threads = max(torch.get_num_threads() - 1, 1)

    def start() -> None:
        torch.get_num_threads()  # a new thread takes over the number of the process once, when it first asks for it
        torch.set_num_threads(threads)

    return start


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one core: small arrays take hardly longer, and OpenMP's idle threads would keep the others busy."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
