"""BLAS: how many threads numpy's linear algebra has while one galaxy is looked at."""

from __future__ import annotations

from contextlib import ContextDecorator
from functools import cache
from threading import Lock, get_ident
from types import TracebackType
from typing import Any, Self

from threadpoolctl import ThreadpoolController

__all__ = ["one_blas_thread"]


@cache
def _libraries() -> Any:
    """BLAS libraries of the process; finding them takes a millisecond, limiting them 20 microseconds."""
    return ThreadpoolController().select(user_api="blas")


class _OneThread(ContextDecorator):
    """A limit of one BLAS thread, set by the first piece of work that begins and lifted when that piece ends.

    The number belongs to the process, and pieces of work lie within each other and run in several threads at once. If
    each put back what it had come upon, the limit of another would stay for good; so only one sets and lifts it, in its
    own thread, as OpenBLAS wants it. A piece in another thread may outlast the limit, and is slower then, no more.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._owner: int | None = None
        self._pieces = 0
        self._limit: Any = None

    def __enter__(self) -> Self:
        with self._lock:
            if self._owner is None:
                self._owner, self._limit = get_ident(), _libraries().limit(limits=1)
                self._limit.__enter__()
            self._pieces += self._owner == get_ident()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            if self._owner != get_ident():
                return
            self._pieces -= 1
            if self._pieces == 0:
                self._limit.__exit__(kind, error, trace)
                self._owner = None


one_blas_thread = _OneThread()
"""Held around one piece of work, as a context or a decorator, and never across a ``yield``: the matrices of one galaxy
are small, so that further threads would mostly wait, and keep a core busy with it."""
