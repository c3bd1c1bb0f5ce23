"""SharedStamps: memory in which a worker leaves the stamps of a part for the process that has the network.

A part's stamps are some 30 MB, which a socket would copy four times. The memory belongs to an open file without a name,
which both processes have mapped: nothing is left of it when they are gone, however they go.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import replace
from typing import Any

import numpy as np

from galmorph.runs.predictor import ShownStamps
from galmorph.sky.scratch import scratch_file

__all__ = ["SharedStamps"]


class SharedStamps:
    """Memory of one worker; as large as its largest part.

    Parameters
    ----------
    handle
        Number of the open file; None for a new one.
    """

    def __init__(self, handle: int | None = None) -> None:
        self.handle = _new_file() if handle is None else handle
        self._map: mmap.mmap | None = None

    def put(self, shown: ShownStamps) -> ShownStamps:
        """Leave the pixels here; return the rest, with the shape of the pixels in place of them."""
        size = shown.pixels.nbytes
        if os.fstat(self.handle).st_size < size:
            os.ftruncate(self.handle, size)
        self._array(shown.pixels.shape)[:] = shown.pixels
        return replace(shown, pixels=shown.pixels[:0])

    def get(self, shown: ShownStamps) -> ShownStamps:
        """Return what was put here: the pixels stay where they are, until the next are put."""
        return replace(shown, pixels=self._array((len(shown.rows), *shown.pixels.shape[1:])))

    def close(self) -> None:
        """Let go of it; arrays that are in use keep what they have."""
        os.close(self.handle)

    def _array(self, shape: tuple[int, ...]) -> Any:
        size = os.fstat(self.handle).st_size
        if self._map is None or len(self._map) < size:
            self._map = mmap.mmap(self.handle, size)
        return np.ndarray(shape, np.float32, buffer=self._map)


def _new_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("galmorph")
    with scratch_file() as file:
        return os.dup(file.fileno())
