"""Scratch: temporary files and folders whose names say whose they are, so that those of the dead can be removed.

What a process makes goes away with it, unless the process is killed (SIGKILL, no memory, no power). Its names begin
with its machine, its number and when it started; the next process of the same user removes what is nobody's.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import IO

__all__ = ["mark", "new_scratch_folder", "scratch_file", "scratch_folder", "sweep"]


def mark() -> str:
    """Return what the names of this process's temporary files begin with."""
    return f"galmorph-{_machine()}-{os.getpid()}-{_started(os.getpid())}-"


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """Make a folder among the temporary files, which goes away at the end."""
    folder = new_scratch_folder()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_scratch_folder() -> Path:
    """Make a folder among the temporary files, which whoever asks for it removes."""
    sweep(Path(tempfile.gettempdir()))
    return Path(tempfile.mkdtemp(prefix=mark()))


def scratch_file() -> IO[bytes]:
    """Open a temporary file that has no name, or soon none any more."""
    return tempfile.TemporaryFile(prefix=mark())


def sweep(folder: Path) -> None:
    """Remove from a folder what processes of this user and machine have left that are no more.

    Files of other users, of other machines that share the folder, and of other containers, whose processes cannot be
    seen from here, stay.
    """
    with suppress(OSError):
        with os.scandir(folder) as entries:
            left = [Path(entry.path) for entry in entries if _is_left(entry)]
        for path in left:
            _remove(path)


def _is_left(entry: os.DirEntry[str]) -> bool:
    owner = re.fullmatch(rf"\.?galmorph-{_machine()}-(\d+)-(\d+)-.*", entry.name, re.DOTALL)
    if owner is None or _started(int(owner[1])) == owner[2]:
        return False
    try:
        return not hasattr(os, "geteuid") or entry.stat(follow_symlinks=False).st_uid == os.geteuid()
    except OSError:
        return False


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
        return
    with suppress(OSError):  # another process may be as quick
        path.unlink()


@lru_cache(maxsize=1)
def _machine() -> str:
    """Tell machines, and containers on one, from each other: where processes can be seen, and have one number."""
    words = [socket.gethostname()]
    with suppress(OSError):
        words.append(Path("/etc/machine-id").read_text(encoding="ascii", errors="replace").strip())
    with suppress(OSError):
        words.append(str(Path("/proc/self/ns/pid").readlink()))
    return hashlib.sha256("\n".join(words).encode()).hexdigest()[:12]


def _started(pid: int) -> str:
    """Say when a process started, as numbers are used again; '0' where the system does not tell, '' if it ended."""
    if not Path("/proc/self/stat").exists():
        return "" if sys.platform != "win32" and _has_ended(pid) else "0"
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    # A process that was killed is listed until its parent asks for its status.
    return "" if words[0] in ("Z", "X") else words[19]


def _has_ended(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False
