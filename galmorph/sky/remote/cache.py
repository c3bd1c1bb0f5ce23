"""Cache: files that were fetched, each in a folder of its own below the user's cache folder, up to a total size.

The folder of an entry is named after its address, so that the same request finds it again; beside the file lies where
it came from. A file that is fetched piece by piece is there from the beginning, with holes, and beside it which pieces
are.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import urlsplit

from platformdirs import user_cache_path

from galmorph.errors import ArchiveError
from galmorph.sky.locks import locked

__all__ = ["FOLDER_VARIABLE", "SIZE_VARIABLE", "Cache", "CacheEntry", "default_cache"]

FOLDER_VARIABLE, SIZE_VARIABLE = "GALMORPH_CACHE", "GALMORPH_CACHE_GB"
_DEFAULT_GB = 40.0
_ORIGIN = "origin.json"
_LOCK = "lock"
_UNSEEN = 1e-3
"""Share of the room that new entries may take before the others are looked at."""
_BLOCK = 512  # st_blocks counts in this unit, whatever the file system's own


@dataclass(frozen=True)
class CacheEntry:
    """A file of the cache.

    Parameters
    ----------
    url
        Where it is from.
    path
        Where it is, whole or with holes.
    etag, modified
        What the host said of its version; '' where it did not.
    date
        When it came, in UTC; '' where it is not here.
    """

    url: str
    path: Path
    etag: str = ""
    modified: str = ""
    date: str = ""

    @property
    def bytes(self) -> int:
        """Room that it takes; the holes of a file take none."""
        with suppress(OSError):
            return sum(each.stat().st_blocks * _BLOCK for each in self.path.parent.iterdir())
        return 0

    @property
    def used_s(self) -> float:
        """When it was last asked for, in seconds since 1970."""
        with suppress(OSError):
            return (self.path.parent / _ORIGIN).stat().st_mtime
        return 0.0

    @property
    def is_whole(self) -> bool:
        """Whether all of it is there."""
        return self.path.exists() and not parts_of(self.path).exists()


def parts_of(path: Path) -> Path:
    """Return the file that says which pieces of another are there."""
    return path.with_name(path.name + ".parts")


@dataclass(frozen=True)
class Cache:
    """Files that were fetched.

    Parameters
    ----------
    folder
        Where they are.
    most_bytes
        Room that they may take together; those that were not used for longest are removed first.
    behind
        Another cache, whose files are copied rather than fetched again.
    """

    folder: Path
    most_bytes: int = int(_DEFAULT_GB * 1e9)
    behind: Cache | None = None
    _unseen: list[int] = field(default_factory=list, repr=False, compare=False)

    def entry(self, url: str) -> CacheEntry:
        """Return the entry of an address, whether it is there or not, and note that it was used."""
        parts = urlsplit(url)
        digest = hashlib.sha256(url.encode()).hexdigest()[:24]
        name = re.sub(r"[^\w.+-]", "_", PurePosixPath(parts.path).name)[-120:] or "file"
        path = self.folder / re.sub(r"[^\w.-]", "_", parts.netloc) / digest / name
        origin = _origin(path.parent)
        _used_now(path.parent)
        return CacheEntry(url, path, *_version(origin))

    def note(self, entry: CacheEntry) -> None:
        """Write down where an entry is from.

        Raises
        ------
        ArchiveError
            If the cache cannot be written.
        """
        date = entry.date or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        text = json.dumps(asdict(entry) | {"path": entry.path.name, "date": date})
        with self._writing(entry) as folder:
            temporary = folder / f"{_ORIGIN}.{os.getpid()}"
            temporary.write_text(text, encoding="utf-8")
            temporary.replace(folder / _ORIGIN)
        _used_now(entry.path.parent)

    @contextmanager
    def lock(self, entry: CacheEntry) -> Iterator[None]:
        """Let no other process or thread fetch an entry at the same time.

        Raises
        ------
        ArchiveError
            If the cache cannot be written.
        """
        with self._writing(entry) as folder, locked(folder / _LOCK):
            yield

    @contextmanager
    def _writing(self, entry: CacheEntry) -> Iterator[Path]:
        try:
            entry.path.parent.mkdir(parents=True, exist_ok=True)
            yield entry.path.parent
        except OSError as error:
            if isinstance(error, ArchiveError):
                raise
            raise ArchiveError(
                f"the cache '{self.folder}' cannot be written ({error.strerror or error}): expected a folder with "
                f"room; free some, or name another in {FOLDER_VARIABLE}"
            ) from error

    def entries(self) -> list[CacheEntry]:
        """List what there is, the longest unused first."""
        origins = [(each.parent, _origin(each.parent)) for each in self.folder.glob(f"*/*/{_ORIGIN}")]
        entries = [CacheEntry(o["url"], folder / o["path"], *_version(o)) for folder, o in origins if o]
        return sorted(entries, key=lambda entry: entry.used_s)

    def other(self, entry: CacheEntry) -> CacheEntry | None:
        """Return the entry of the same address in the cache behind; None where there is no such cache."""
        return None if self.behind is None else self.behind.entry(entry.url)

    def copy(self, other: CacheEntry, entry: CacheEntry) -> None:
        """Copy the whole file of the cache behind.

        Raises
        ------
        ArchiveError
            If the cache cannot be written.
        """
        with self._writing(entry):
            temporary = entry.path.with_name(entry.path.name + ".part")
            shutil.copyfile(other.path, temporary)
            self.note(replace(other, path=entry.path))
            temporary.replace(entry.path)

    def remove(self, entry: CacheEntry) -> None:
        """Forget an entry; whoever has it open keeps it."""
        # First, so that it is never there without what says which pieces of it are.
        entry.path.unlink(missing_ok=True)
        shutil.rmtree(entry.path.parent, ignore_errors=True)
        with suppress(OSError):
            entry.path.parent.parent.rmdir()

    def added(self, entry: CacheEntry, size: int | None = None) -> None:
        """Make room for an entry, or for so many bytes more of it.

        For small ones only now and then, since looking at all takes time.
        """
        _used_now(entry.path.parent)
        self._unseen.append(entry.bytes if size is None else size)
        if len(self._unseen) == 1 or sum(self._unseen) > _UNSEEN * self.most_bytes:
            self._unseen[:] = [0]
            self.make_room(keep=entry)

    def make_room(self, keep: CacheEntry | None = None) -> list[CacheEntry]:
        """Remove the longest unused entries until the others fit; return those removed."""
        entries = self.entries()
        total, removed = sum(entry.bytes for entry in entries), []
        for entry in entries:
            if total <= self.most_bytes:
                break
            if keep is None or entry.path != keep.path:
                total -= entry.bytes
                self.remove(entry)
                removed.append(entry)
        return removed


def _version(origin: dict[str, Any]) -> tuple[str, str, str]:
    """Return ETag, time of change and date of what is written about an entry."""
    etag, modified, date = (str(origin.get(key, "")) for key in ("etag", "modified", "date"))
    return etag, modified, date


def _used_now(folder: Path) -> None:
    # Of files that are written, the kernel keeps the time to some milliseconds only.
    now = time.time_ns()
    with suppress(OSError):
        os.utime(folder / _ORIGIN, ns=(now, now))


def default_cache() -> Cache:
    """Return the user's cache, or the one that the environment names.

    Raises
    ------
    ArchiveError
        If the environment's size is no number.
    """
    folder = os.environ.get(FOLDER_VARIABLE)
    text = os.environ.get(SIZE_VARIABLE) or str(_DEFAULT_GB)
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < 1e9:
        raise ArchiveError(f"{SIZE_VARIABLE} is '{text}': expected a number of gigabytes; set or unset it")
    return Cache(Path(folder) if folder else user_cache_path("galmorph") / "archives", int(size * 1e9))


def _origin(folder: Path) -> dict[str, Any]:
    """Return what is written about an entry; {} where it is not there or damaged."""
    try:
        origin = json.loads((folder / _ORIGIN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    sound = isinstance(origin, dict) and all(isinstance(origin.get(key), str) for key in ("url", "path"))
    return origin if sound and "/" not in origin["path"] else {}
