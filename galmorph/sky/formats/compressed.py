"""Opening: a file of a table, compressed as a whole or not."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import IO, cast

from galmorph.errors import CatalogError
from galmorph.limits import LIMITS

__all__ = ["check_expanded", "opened"]

# Bytes that any compressed table may expand to, and how often its own size: real tables shrink to a fiftieth at
# best, and what is made to fill a memory to a thousandth.


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, gzipped, bzipped or plain; its first bytes tell."""
    with path.open("rb") as stream:
        magic = stream.read(3)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.open(path))
    return bz2.open(path) if magic == b"BZh" else path.open("rb")


def check_expanded(path: Path) -> None:
    """Refuse a compressed file that holds far more than tables do; a plain one is not looked at.

    Raises
    ------
    CatalogError
        If it is one.
    """
    with path.open("rb") as stream:
        magic = stream.read(3)
    if magic[:2] != b"\x1f\x8b" and magic != b"BZh":
        return
    least, ratio = LIMITS["table_bytes"], LIMITS["table_ratio"]
    limit = max(least.number, ratio.number * path.stat().st_size)
    with opened(path) as stream:
        size = 0
        while size <= limit and (piece := stream.read(1 << 20)):
            size += len(piece)
    if size > limit:
        raise CatalogError(
            f"Catalog '{path}' expands to more than {limit} bytes: expected at most {ratio} times its size, or "
            f"{least}; unpack it, if it is what it should be"
        )
