"""Atomic files: a result appears whole under its name, or not at all."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import socket
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galmorph.errors import OutputError

__all__ = ["check_folder", "replacing"]


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[Path]:
    """Yield a temporary path beside `path`; move it there if the block ends well, else remove it.

    A name that ends with ``.gz`` is compressed at the end. Without `overwrite` a file that another one has made in the
    meantime stays, and the block fails.

    Raises
    ------
    OutputError
        If the disk is full or the folder cannot be written.
    """
    path = _resolved(path)  # a link stays one
    bare = path.name.removesuffix(".gz")
    temporary: list[Path] = []
    try:
        temporary.append(_beside(path, bare))
        yield temporary[0]
        if bare != path.name:
            temporary.append(_beside(path, path.name))
            _compress(temporary[0], temporary[1])
        _settle(temporary[-1], path, overwrite=overwrite)
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
    """Refuse an output that is no file, or whose folder is missing or cannot be written, by making a file there.

    What killed runs on this machine left in the folder is removed.

    Raises
    ------
    OutputError
        If so.
    """
    path = _resolved(path)
    if path.exists() and not path.is_file():
        raise OutputError(f"Output '{path}' is a folder, device or pipe: expected a file; name one")
    folder = path.parent
    if not folder.is_dir():
        raise OutputError(f"Output '{path}': the folder '{folder}' does not exist: make it or choose another")
    try:
        _beside(path, path.name).unlink()
        _sweep(folder)
    except OSError as error:
        raise OutputError(
            f"Output '{path}': the folder '{folder}' cannot be written ({error.strerror}): choose another"
        ) from error


def _beside(path: Path, name: str) -> Path:
    """Make an empty hidden file in the folder of `path` whose name ends like `name`."""
    handle, temporary_path = tempfile.mkstemp(prefix=_prefix(), suffix=f"-{name[-60:]}", dir=path.parent)
    os.close(handle)
    return Path(temporary_path)


def _resolved(path: Path) -> Path:
    try:
        return path.resolve(strict=path.is_symlink() and path.exists())
    except (OSError, RuntimeError) as error:
        raise OutputError(f"Output '{path}' is a link that leads nowhere: expected a file; name one") from error


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9.]", "_", socket.gethostname())[:60]


def _started(pid: int) -> str:
    """Say when a process started, since its number is used again; '0' where the system does not tell, '' if gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[19]
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass
    return "0"


def _prefix() -> str:
    """Begin the names of temporary files with whose they are: host, process, and when that started."""
    return f".galmorph-{_host()}-{os.getpid()}-{_started(os.getpid())}-"


def _sweep(folder: Path) -> None:
    """Remove temporary files of processes of this host that are no more."""
    owned = re.compile(rf"\.galmorph-{re.escape(_host())}-(\d+)-(\d+)-")
    for left in folder.glob(".galmorph-*"):
        owner = owned.match(left.name)
        if owner is not None and left.is_file() and _started(int(owner[1])) != owner[2]:
            left.unlink(missing_ok=True)


def _compress(plain: Path, compressed: Path) -> None:
    with plain.open("rb") as source, gzip.open(compressed, "wb", compresslevel=6) as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _settle(temporary: Path, path: Path, *, overwrite: bool) -> None:
    """Flush a file to the disk, give it the old one's or the usual permissions, and move it to its place."""
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    mask = os.umask(0)
    os.umask(mask)
    temporary.chmod(stat.S_IMODE(path.stat().st_mode) if path.exists() else 0o666 & ~mask)
    if overwrite:
        temporary.replace(path)
        return
    try:
        # Unlike a test beforehand, this fails where another process has taken the name in the meantime.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
        temporary.replace(path)
    except FileExistsError as error:
        raise OutputError(f"Output '{path}' exists already: choose another name or --overwrite") from error
