"""Opening: a file of a table, compressed as a whole or not."""

from __future__ import annotations

import bz2
import gzip
from pathlib import Path
from typing import IO, cast

__all__ = ["opened"]


def opened(path: Path) -> IO[bytes]:
    """Open a file for reading, gzipped, bzipped or plain; its first bytes tell."""
    with path.open("rb") as stream:
        magic = stream.read(3)
    if magic[:2] == b"\x1f\x8b":
        return cast("IO[bytes]", gzip.open(path))
    return bz2.open(path) if magic == b"BZh" else path.open("rb")
