"""Mapped: large arrays that lie in files, and are in memory only as far as somebody looks at them.

What a run of a million rows holds of each would fill the memory of a small machine, though it is written and read in
pieces. In a file that is mapped into memory the system keeps the pieces that it has room for; :func:`forget` lets go
of them at once, so that the memory that a process is charged for does not grow with its rows.
"""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterable, Sequence
from itertools import accumulate
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import OutputError
from galmorph.sky.scratch import mark

__all__ = ["ROWS_AT_ONCE", "SMALL_BYTES", "forget", "is_mapped", "mapped_file", "new_arrays"]

SMALL_BYTES = 1 << 25
"""What is smaller is simply in memory."""
ROWS_AT_ONCE = 1 << 15
"""Rows that are looked at together: some ten megabytes."""
_ALIGNED = 64  # bytes, as what begins with them is computed with fastest
Kind = tuple[np.dtype[Any], tuple[int, ...]]


def new_arrays(kinds: Sequence[Kind], rows: int, folder: Path | None) -> list[npt.NDArray[Any]]:
    """Make arrays of zeros, large ones in one file without a name, which goes away with them.

    Parameters
    ----------
    kinds
        Type of each, and shape of a row of it.
    rows
        Of all.
    folder
        Where the file may be; None for nowhere.

    Raises
    ------
    OutputError
        If there is no room for it.
    """
    sizes = [-(-rows * kind.itemsize * prod(shape) // _ALIGNED) * _ALIGNED for kind, shape in kinds]
    size = sum(sizes)
    if folder is None or size < SMALL_BYTES or os.name != "posix":
        return [np.zeros((rows, *shape), kind) for kind, shape in kinds]
    try:
        with tempfile.TemporaryFile(prefix=f".{mark()}", dir=folder) as stream:
            _make_room(stream.fileno(), size)
            mapping = mmap.mmap(stream.fileno(), size)
    except OSError as error:
        raise OutputError(
            f"folder '{folder}' has no room for {size >> 20} MB of results ({error.strerror or error}): free space, or "
            "choose another with -o"
        ) from error
    places = accumulate(sizes, initial=0)
    return [
        np.ndarray((rows, *shape), kind, mapping, place) for (kind, shape), place in zip(kinds, places, strict=False)
    ]


def mapped_file(stream: IO[bytes]) -> mmap.mmap:
    """Map an open file; what is written to its arrays stays in this process, until it is forgotten."""
    return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


def is_mapped(array: Any) -> bool:
    """Tell whether an array, or a column of a table, lies in a file."""
    return _mapping_of(array) is not None


def forget(arrays: Iterable[Any]) -> None:
    """Let go of the memory of arrays that lie in files, which are read again when somebody looks at them."""
    mappings = {id(mapping): mapping for array in arrays if (mapping := _mapping_of(array)) is not None}
    for mapping in mappings.values():
        mapping.madvise(mmap.MADV_DONTNEED)


def _make_room(handle: int, size: int) -> None:
    """Have the disk set the room aside: one that fills up later would end the process."""
    os.truncate(handle, size)
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, 0, size)


def _mapping_of(array: Any) -> mmap.mmap | None:
    """Return what an array is a view of."""
    base = array
    while isinstance(base, np.ndarray):
        base = base.base
    return base if isinstance(base, mmap.mmap) else None
