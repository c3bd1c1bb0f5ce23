"""PartialFile: a large file of another machine that lies here with holes, which are filled as they are read.

Mosaics have gigabytes, and a few rows of a catalogue need some megabytes of them. The file has its full length from the
beginning; beside it one byte for each piece says whether that is here. A download that stopped goes on where it was,
reading a part and fetching all of it are the same thing, and once all pieces are here it is a file like any other.
"""

from __future__ import annotations

import io
import json
import os
import re
import threading
import weakref
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from galmorph.errors import ArchiveError, BrokenReplyError
from galmorph.progress import Progress, silent
from galmorph.sky.remote.cache import Cache, CacheEntry, default_cache, parts_of
from galmorph.sky.remote.client import Client, Reply, if_same

__all__ = ["PIECE_BYTES", "PartialFile", "PartialReader", "partial_at"]

PIECE_BYTES = 1 << 16
GAP_BYTES = 1 << 18
"""Pieces with no more than this between them are asked for together: a request takes as long as about so many bytes."""
REQUEST_BYTES = 1 << 23
"""Longest range of one request; several are under way at the same time."""
_HEADER_BYTES = 4096
"""Of the file of pieces, before the first of them."""

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class _Origin:
    """What the pieces are of."""

    url: str
    size: int
    etag: str


class PartialFile:
    """A file in the cache, of which some pieces may be missing.

    Parameters
    ----------
    path
        Where it is.
    client
        Who fetches what is missing.
    cache
        What makes room for it as it grows; None for nothing.
    """

    def __init__(self, path: Path, client: Client, cache: Cache | None = None) -> None:
        self.path, self.client, self.cache = path, client, cache
        self._lock = threading.Lock()
        self._origin = _read_origin(parts_of(path))
        # Held open: whoever removes it from the cache takes nothing away from who reads it.
        self._files = [] if self._origin is None else [_descriptor(path), _descriptor(parts_of(path))]
        self._close = weakref.finalize(self, _close_all, self._files)

    @classmethod
    def open(cls, url: str, client: Client, cache: Cache) -> PartialFile:
        """Return the file of an address, which becomes an entry of the cache if it is none yet.

        Raises
        ------
        ArchiveError
            If there is no such file, or its host does not say how long it is and give parts of it.
        """
        entry = cache.entry(url)
        if not entry.path.exists():
            with cache.lock(entry):
                if not entry.path.exists() and not _borrow(entry, cache):
                    _begin(entry, client, cache)
            cache.make_room(keep=entry)
        return _known(entry.path, client, cache)

    @property
    def is_whole(self) -> bool:
        """Whether it is known to be all here."""
        return self._origin is None

    @property
    def is_current(self) -> bool:
        """Whether it is still the file at its path, not one that was removed there or begun again."""
        try:
            there = parts_of(self.path).stat()
        except OSError:
            return self._origin is None
        return self._origin is not None and os.path.samestat(there, os.fstat(self._files[1]))

    @property
    def pieces(self) -> BoolArray | None:
        """Which pieces are here, (N,); None for a file that is whole."""
        return None if self._origin is None else self._pieces()

    @property
    def missing_bytes(self) -> int:
        """How much is not here yet, to a piece."""
        missing = ~self._pieces() if self._origin is not None else np.zeros(0, bool)
        return int(missing.sum()) * PIECE_BYTES

    def bytes_to_fetch(self, ranges: Sequence[tuple[int, int]]) -> int:
        """Tell how many bytes would be asked for if some ranges of bytes were needed."""
        if self._origin is None:
            return 0
        missing = _covering(ranges, self._count()) & ~self._pieces()
        size = self._origin.size
        requests = _requests(missing) if missing.any() else []
        return sum(min(last * PIECE_BYTES, size) - first * PIECE_BYTES for first, last in requests)

    def need(self, start: int, end: int) -> None:
        """Fetch what is missing of bytes ``[start, end)``.

        Raises
        ------
        ArchiveError
            If it cannot be fetched.
        """
        self.need_all([(start, end)])

    def need_all(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Fetch what is missing of several ranges of bytes, those near each other together.

        Raises
        ------
        ArchiveError
            If something cannot be fetched.
        """
        if self._origin is None:
            return
        with self._lock:
            missing = _covering(ranges, self._count()) & ~self._pieces()
            if missing.any():
                self._fetch(_requests(missing))
                self._tell_growth(int(missing.sum()) * PIECE_BYTES)
            self._settle()

    def fetch_rest(self, progress: Progress = silent) -> Path:
        """Fetch all that is missing, telling how many bytes are here.

        Raises
        ------
        ArchiveError
            If something cannot be fetched.
        """
        while self._origin is not None:
            size, missing = self._origin.size, np.flatnonzero(~self._pieces())
            progress("fetching", max(size - len(missing) * PIECE_BYTES, 0), size, self.path.name)
            first = int(missing[0]) if len(missing) else 0
            self.need(first * PIECE_BYTES, min(first * PIECE_BYTES + 8 * REQUEST_BYTES, size))
        return self.path

    def _count(self) -> int:
        return -(-self._origin.size // PIECE_BYTES) if self._origin is not None else 0

    def _pieces(self) -> BoolArray:
        """Tell which pieces are here, (N,), those that other processes fetched included."""
        stored = os.pread(self._files[1], self._count(), _HEADER_BYTES)
        return np.asarray(np.frombuffer(stored, np.uint8) != 0)

    def _tell_growth(self, size: int) -> None:
        if self.cache is not None and self._origin is not None:
            self.cache.added(CacheEntry(self._origin.url, self.path), size)

    def _fetch(self, requests: Sequence[tuple[int, int]]) -> None:
        with ThreadPoolExecutor(self.client.manners.connections) as pool:
            list(pool.map(self._fetch_range, requests))

    def _fetch_range(self, pieces: tuple[int, int]) -> None:
        """Fetch pieces ``[first, last)``, again where the connection breaks."""
        origin = self._origin
        if origin is None:
            return
        done, end = pieces[0] * PIECE_BYTES, min(pieces[1] * PIECE_BYTES, origin.size)
        failures = 0
        while done < end:
            before = done
            with self.client.get(origin.url, _range(done, end, origin.etag)) as reply:
                _check_reply(reply, origin, done)
                done = self._write(reply, done, end)
            failures = 0 if done > before else failures + 1
            if failures >= self.client.manners.attempts:
                raise ArchiveError(f"{origin.url} stops again and again at byte {done}: expected more; try again later")

    def _write(self, reply: Reply, at: int, end: int) -> int:
        """Write what comes as far as it goes, and note every piece that is complete; return up to where."""
        start, (file, parts) = at, self._files
        with suppress(BrokenReplyError):  # it broke off; whoever asked goes on from there
            for piece in reply.body:
                at += os.pwrite(file, piece[: end - at], at)
        at -= at % PIECE_BYTES if at < end else 0
        first, last = start // PIECE_BYTES, -(-at // PIECE_BYTES)
        os.pwrite(parts, b"\x01" * max(last - first, 0), _HEADER_BYTES + first)
        return at

    def _settle(self) -> None:
        """Let it be a file like any other once all pieces are here."""
        if bool(self._pieces().all()):
            if self.is_current and os.access(self.path.parent, os.W_OK):
                parts_of(self.path).unlink(missing_ok=True)
            self._origin = None
            self._close()


class PartialReader(io.RawIOBase):
    """A file with holes, read like any other: what is read is fetched first.

    Parameters
    ----------
    partial
        The file.
    """

    def __init__(self, partial: PartialFile) -> None:
        super().__init__()
        self._partial, self._file = partial, partial.path.open("rb", buffering=0)

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of the file with its holes."""
        return self._file.fileno()

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte."""
        return self._file.seek(offset, whence)

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Fetch what is not here and read it."""
        at = self._file.tell()
        self._partial.need(at, at + len(buffer))
        return self._file.readinto(buffer)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


_FILES: dict[str, PartialFile] = {}
_GUARD = threading.Lock()


def _known(path: Path, client: Client, cache: Cache | None = None) -> PartialFile:
    """Return one object for one file, so that threads of this process wait for each other; the last client asks."""
    with _GUARD:
        file = _FILES.get(str(path))
        if file is None or not file.is_current:
            file = _FILES[str(path)] = PartialFile(path, client)
        file.client, file.cache = client, cache or file.cache
        return file


def partial_at(path: Path) -> PartialFile | None:
    """Return the partial file at a path; None where the file is whole, or is none of a cache that is in use.

    Nothing is fetched because of what lies beside a file elsewhere.
    """
    if not parts_of(path).exists():
        return None
    with _GUARD:
        file = _FILES.get(str(path))
    if file is not None and file.is_current:
        return file
    return _known(path, Client()) if path.is_relative_to(default_cache().folder) else None


def _descriptor(path: Path) -> int:
    """Open a file to be changed, or only to be read where that is all that may be."""
    return os.open(path, os.O_RDWR if os.access(path, os.W_OK) else os.O_RDONLY)


def _close_all(files: list[int]) -> None:
    while files:
        os.close(files.pop())


def _borrow(entry: CacheEntry, cache: Cache) -> bool:
    """Take over what lies in the cache behind, whole or in pieces; tell whether there is something."""
    other = cache.other(entry)
    if other is None or not other.path.exists():
        return False
    pieces = PartialFile(other.path, Client(offline=True)).pieces
    if pieces is None:
        cache.copy(other, entry)
        return True
    temporary = entry.path.with_name(entry.path.name + ".part")
    _copy_pieces(other.path, temporary, pieces)
    with parts_of(other.path).open("rb") as parts:
        parts_of(entry.path).write_bytes(parts.read(_HEADER_BYTES) + pieces.astype(np.uint8).tobytes())
    cache.note(replace(other, path=entry.path))
    temporary.replace(entry.path)
    return True


def _copy_pieces(source: Path, target: Path, pieces: BoolArray) -> None:
    """Copy pieces, (N,), of a file, and leave holes between them."""
    with target.open("wb") as file, source.open("rb") as stream:
        file.truncate(stream.seek(0, io.SEEK_END))
        for number in np.flatnonzero(pieces).tolist():
            file.seek(stream.seek(number * PIECE_BYTES))
            file.write(stream.read(PIECE_BYTES))


def _begin(entry: CacheEntry, client: Client, cache: Cache) -> None:
    """Make a file of the right length with nothing in it."""
    with client.get(entry.url, {"Range": "bytes=0-0"}) as reply:
        total = re.fullmatch(r"bytes 0-0/(\d{1,15})", reply.headers.get("content-range", ""))
        if reply.status != 206 or total is None:
            raise ArchiveError(f"{entry.url} gives no parts: expected a host with range requests; fetch it yourself")
        etag = reply.headers.get("etag", "")
        modified = reply.headers.get("last-modified", "")
    size = int(total[1])
    header = json.dumps({"url": entry.url, "size": size, "etag": etag or modified}).encode()
    if len(header) > _HEADER_BYTES:
        raise ArchiveError(f"{entry.url[:80]}... is longer than an address: expected fewer letters")
    with parts_of(entry.path).open("wb") as parts:
        parts.write(header.ljust(_HEADER_BYTES))
        parts.truncate(_HEADER_BYTES + -(-size // PIECE_BYTES))
    cache.note(replace(entry, etag=etag, modified=modified))
    temporary = entry.path.with_name(entry.path.name + ".part")
    with temporary.open("wb") as file:
        file.truncate(size)
    temporary.replace(entry.path)


def _read_origin(parts: Path) -> _Origin | None:
    """Return what pieces are of; None where the file is whole."""
    try:
        with parts.open("rb") as file:
            header = json.loads(file.read(_HEADER_BYTES))
        return _Origin(str(header["url"]), int(header["size"]), str(header["etag"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"'{parts}' is damaged ({error}): remove it with 'galmorph cache clear'") from error


def _covering(ranges: Sequence[tuple[int, int]], count: int) -> BoolArray:
    """Mark the pieces, (N,), in which ranges of bytes lie."""
    edges = np.zeros(count + 1, np.int64)
    for start, end in ranges:
        if end > start:
            np.add.at(edges, np.minimum([start // PIECE_BYTES, -(-end // PIECE_BYTES)], count), [1, -1])
    return np.asarray(np.cumsum(edges)[:count] > 0)


def _requests(missing: BoolArray) -> list[tuple[int, int]]:
    """Join missing pieces that are near each other and divide long ranges: pieces ``[first, last)`` of each request."""
    numbers = np.flatnonzero(missing)
    breaks = np.flatnonzero(np.diff(numbers) > GAP_BYTES // PIECE_BYTES) + 1
    step = REQUEST_BYTES // PIECE_BYTES
    joined = [(int(run[0]), int(run[-1]) + 1) for run in np.split(numbers, breaks)]
    return [(first, min(first + step, last)) for begin, last in joined for first in range(begin, last, step)]


def _range(start: int, end: int, version: str) -> dict[str, str]:
    return {"Range": f"bytes={start}-{end - 1}", **if_same(version)}


def _check_reply(reply: Reply, origin: _Origin, start: int) -> None:
    """Refuse parts of another file than the one that was begun."""
    expected = re.fullmatch(rf"bytes {start}-\d+/(\d+)", reply.headers.get("content-range", ""))
    if reply.status != 206 or expected is None or int(expected[1]) != origin.size:
        raise ArchiveError(
            f"{origin.url} is another file than when it was begun: expected {origin.size} bytes of version "
            f"'{origin.etag}'; remove it from the cache with 'galmorph cache clear' and fetch it again"
        )
