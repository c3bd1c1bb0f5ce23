"""Atomic files: a result appears whole under its name, or not at all."""

from __future__ import annotations

import gzip
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galmorph.errors import OutputError

__all__ = ["check_folder", "replacing"]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there when the block ends well, remove it otherwise.

    A name that ends with ``.gz`` is compressed at the end.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written.
    """
    path = path.resolve()  # a link stays one
    bare = path.name.removesuffix(".gz")
    temporary: list[Path] = []
    try:
        temporary.append(_beside(path, bare))
        yield temporary[0]
        if bare != path.name:
            temporary.append(_beside(path, path.name))
            _compress(temporary[0], temporary[1])
        _settle(temporary[-1], path)
    except OutputError:
        raise
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(
            f"Output '{path}' cannot be written ({reason}): free space or choose another folder"
        ) from error
    finally:
        for left in temporary:
            left.unlink(missing_ok=True)


def check_folder(path: Path) -> None:
    """Refuse an output whose folder is missing or cannot be written, by making a file there.

    Raises
    ------
    OutputError
        If so.
    """
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"Output '{path}': the folder '{folder}' does not exist: make it or choose another")
    try:
        _beside(path, path.name).unlink()
    except OSError as error:
        raise OutputError(
            f"Output '{path}': the folder '{folder}' cannot be written ({error.strerror}): choose another"
        ) from error


def _beside(path: Path, name: str) -> Path:
    """Make an empty hidden file in the folder of `path` whose name ends like `name`."""
    handle, temporary_path = tempfile.mkstemp(prefix=".galmorph-", suffix=f"-{name[-60:]}", dir=path.parent)
    os.close(handle)
    return Path(temporary_path)


def _compress(plain: Path, compressed: Path) -> None:
    with plain.open("rb") as source, gzip.open(compressed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _settle(temporary: Path, path: Path) -> None:
    """Flush a file to the disk, give it the old one's or the usual permissions, and move it to its place."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~mask)
    temporary.replace(path)
