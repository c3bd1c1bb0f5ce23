"""Shared: arrays that are made once and serve all who ask for them, so that nobody may write into them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, wraps
from typing import ParamSpec, TypeVar

import numpy as np

__all__ = ["read_only", "shared"]

P = ParamSpec("P")
T = TypeVar("T")


def shared(maxsize: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Keep what a function of hashable arguments returns for so many of them, with its arrays made read-only.

    Examples
    --------
    >>> @shared(maxsize=4)
    ... def numbers(n: int) -> np.ndarray:
    ...     return np.arange(n)
    >>> numbers(3)[0] = 7
    Traceback (most recent call last):
        ...
    ValueError: assignment destination is read-only
    """

    def keep(function: Callable[P, T]) -> Callable[P, T]:
        @wraps(function)
        def made_once(*args: P.args, **kwargs: P.kwargs) -> T:
            return read_only(function(*args, **kwargs))

        return lru_cache(maxsize=maxsize)(made_once)  # type: ignore[return-value]

    return keep


def read_only(value: T) -> T:
    """Forbid writing into an array, or into all that a tuple, named or not, holds at any depth; return it."""
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, tuple):
        for part in value:
            read_only(part)
    return value
