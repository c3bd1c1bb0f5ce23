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
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from galmorph.errors import ArchiveError, BrokenReplyError, OtherFileError
from galmorph.progress import Progress, silent
from galmorph.sky.remote.cache import Cache, CacheEntry, default_cache, parts_of
from galmorph.sky.remote.client import Client, Reply, if_same
from galmorph.sky.remote.link import Link
from galmorph.sky.remote.many_ranges import grouped, has_many, parts_in, range_header

__all__ = ["PIECE_BYTES", "PartialFile", "PartialReader", "partial_at"]

PIECE_BYTES = 1 << 12
"""What a file system keeps together: a row of a window is about as long."""
GAP_BYTES = 1 << 18
"""Pieces with no more than this between them are asked for together: a request takes as long as about so many bytes."""
REQUEST_BYTES = 1 << 23
"""Longest range of one request; several are under way at the same time."""
_AHEAD_BYTES = 1 << 16
"""Read at least, since headers are read in small steps."""
_HEADER_BYTES = 4096
"""Of the file of pieces, before the first of them."""

BoolArray = npt.NDArray[np.bool_]
Pieces = tuple[int, int]
"""Numbers of the first piece of a run and of the one after its last."""
T = TypeVar("T")


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
        self._lock = threading.Lock()  # of who fetches
        self._state = threading.RLock()  # of the descriptors, which are closed once all is here
        self._origin = _read_origin(parts_of(path))
        # Held open: whoever removes it from the cache takes nothing away from who reads it.
        self._files = [] if self._origin is None else [_descriptor(path), _descriptor(parts_of(path))]
        self._takes_many: bool | None = None
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
        file = _known(entry.path, client, cache)
        if client.ledger is not None and file.is_whole:
            client.ledger.note_file(url, file.path.stat().st_size, is_here=True)
        return file

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
        with self._state:
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

    def cost_of(self, ranges: npt.ArrayLike) -> tuple[int, int]:
        """Tell how many bytes, in how many requests, would be asked for if ranges of bytes, (N, 2), were needed."""
        if self._origin is None:
            return 0, 0
        first, covering = _covering(ranges, self._count())
        way = self._way(_runs(covering & ~self._pieces(first, len(covering)), first))
        return _size(way), len(way)

    def need(self, start: int, end: int) -> None:
        """Fetch what is missing of bytes ``[start, end)``, in a dry run, too: headers say where pixels are.

        Raises
        ------
        ArchiveError
            If it cannot be fetched.
        """
        self._need_all([(start, end)])

    def need_all(self, ranges: Sequence[tuple[int, int]]) -> None:
        """Fetch what is missing of several ranges of bytes, those near each other together.

        A dry run only takes note of them, and reads holes.

        Raises
        ------
        ArchiveError
            If something cannot be fetched.
        """
        if self.client.ledger is None:
            self._need_all(ranges)
        elif self._origin is not None:
            here = self._pieces()
            first, covering = _covering(ranges, len(here))
            needed = np.zeros(len(here), np.bool_)
            needed[first : first + len(covering)] = covering
            self.client.ledger.note_pieces(self._origin.url, needed, here, PIECE_BYTES, self._fetched_with)

    def _fetched_with(self, missing: BoolArray) -> BoolArray:
        """Tell which pieces, (N,), are asked for to have some, with what lies between them."""
        asked = np.zeros(len(missing), np.bool_)
        for group in self._way(_runs(missing, 0)) if missing.any() else ():
            for first, last in group:
                asked[first:last] = True
        return asked

    def _need_all(self, ranges: Sequence[tuple[int, int]]) -> None:
        if not self._missing(ranges):  # whoever has what he needs waits for nobody
            return
        with self._lock:
            if missing := self._missing(ranges):
                self._fetch(missing)
                self._tell_growth(sum(last - first for first, last in missing) * PIECE_BYTES)
                self._settle()

    def _missing(self, ranges: Sequence[tuple[int, int]]) -> list[Pieces]:
        with self._state:
            if self._origin is None:
                return []
            first, covering = _covering(ranges, self._count())
            return _runs(covering & ~self._pieces(first, len(covering)), first)

    def fetch_rest(self, progress: Progress = silent) -> Path:
        """Fetch all that is missing, telling how many bytes are here.

        Raises
        ------
        ArchiveError
            If something cannot be fetched.
        """
        if self.client.ledger is not None and self._origin is not None:
            self.need_all([(0, self._origin.size)])
            return self.path
        while self._origin is not None:
            size, missing = self._origin.size, np.flatnonzero(~self._pieces())
            progress("fetching", max(size - len(missing) * PIECE_BYTES, 0), size, self.path.name)
            if not len(missing):  # another process has fetched the last one
                self._settle()
                break
            first = int(missing[0])
            self.need(first * PIECE_BYTES, min(first * PIECE_BYTES + 8 * REQUEST_BYTES, size))
        return self.path

    def _count(self) -> int:
        return -(-self._origin.size // PIECE_BYTES) if self._origin is not None else 0

    def _pieces(self, first: int = 0, count: int | None = None) -> BoolArray:
        """Tell which of some pieces are here, (N,), those that other processes fetched included."""
        with self._state:
            count = self._count() if count is None else count
            if self._origin is None:
                return np.ones(count, np.bool_)
            stored = os.pread(self._files[1], count, _HEADER_BYTES + first)
        return np.asarray(np.frombuffer(stored, np.uint8) != 0)

    def _tell_growth(self, size: int) -> None:
        if self.cache is not None and self._origin is not None:
            self.cache.added(CacheEntry(self._origin.url, self.path), size)

    def _fetch(self, missing: Sequence[Pieces]) -> None:
        """Fetch runs of pieces: many in an answer where that is quicker and the host can, or with what is between."""
        while len(missing) > 1 and len((way := self._way(missing))[0]) > 1:
            before = sum(last - first for first, last in missing)
            self._in_parallel(self._fetch_many, way)
            missing = self._still(missing)
            if sum(last - first for first, last in missing) == before:
                break
        if missing:
            self._in_parallel(self._fetch_range, _requests(missing))

    def _way(self, missing: Sequence[Pieces]) -> list[list[Pieces]]:
        """Return which runs of pieces are asked for together: the quicker of two ways."""
        together = [[request] for request in _requests(missing)]
        if self._takes_many is False or self.client.offline:
            return together
        apart = grouped(missing, REQUEST_BYTES // PIECE_BYTES)
        link, manners = Link(), self.client.manners
        times = [link.time_s(_size(way), len(way), manners) for way in (apart, together)]
        return apart if times[0] < times[1] else together

    def _still(self, missing: Sequence[Pieces]) -> list[Pieces]:
        """Return what of runs of pieces is missing still."""
        first, last = missing[0][0], missing[-1][1]
        _, covering = _covering(np.array(missing) * PIECE_BYTES, self._count())
        return _runs(covering & ~self._pieces(first, last - first), first)

    def _in_parallel(self, fetch: Callable[[T], None], what: Sequence[T]) -> None:
        # Whether a host sends many parts in an answer is asked once, before it is asked for all of them.
        alone = 1 if self._takes_many is None else 0
        for each in what[:alone]:
            fetch(each)
        with ThreadPoolExecutor(self.client.manners.connections) as pool:
            list(pool.map(fetch, what[alone:]))

    def _fetch_many(self, group: Sequence[Pieces]) -> None:
        """Fetch runs of pieces in one answer, as far as it comes; none where the host does not do that."""
        origin = self._origin
        if origin is None or self._takes_many is False:
            return
        ranges = [(first * PIECE_BYTES, min(last * PIECE_BYTES, origin.size)) for first, last in group]
        try:
            with self.client.get(origin.url, {"Range": range_header(ranges), **if_same(origin.etag)}) as reply:
                self._takes_many = has_many(reply)
                for start, data in parts_in(reply, origin.size) if self._takes_many else ():
                    self._put(start, data, origin.size)
        except ArchiveError:  # who refuses is asked for one part after the other, and says why
            self._takes_many = False

    def _put(self, start: int, data: bytes, size: int) -> None:
        """Write a part, and note every piece that lies in it."""
        file, parts = self._files
        os.pwrite(file, data, start)
        end = start + len(data)
        first, last = -(-start // PIECE_BYTES), self._count() if end == size else end // PIECE_BYTES
        os.pwrite(parts, b"\x01" * max(last - first, 0), _HEADER_BYTES + first)

    def _fetch_range(self, pieces: tuple[int, int]) -> None:
        """Fetch pieces ``[first, last)``, again where the connection breaks."""
        origin = self._origin
        if origin is None:
            return
        done, end = pieces[0] * PIECE_BYTES, min(pieces[1] * PIECE_BYTES, origin.size)
        failures = odd = 0
        while done < end:
            with self.client.get(origin.url, _range(done, end, origin.etag)) as reply:
                before, began = done, time.monotonic()
                is_part = _is_part(reply, origin, done)
                done = self._write(reply, done, end) if is_part else done
            odd += not is_part
            failures = 0 if self.client.manners.is_steady(done - before, time.monotonic() - began) else failures + 1
            if odd > 1:  # once it may have been a page that says sorry
                raise _changed(origin)
            if done < end and failures >= self.client.manners.attempts:
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
        with self._state:
            if self._origin is None or not self._pieces().all():
                return
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
        if self._partial.cost_of([(at, at + len(buffer))]) != (0, 0):
            self._partial.need(at, at + max(len(buffer), _AHEAD_BYTES))
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
    size, etag, modified = _first_asked(entry.url, client)
    header = json.dumps({"url": entry.url, "size": size, "etag": etag or modified, "piece": PIECE_BYTES}).encode()
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


def _first_asked(url: str, client: Client) -> tuple[int, str, str]:
    """Ask how long a file is, and for its ETag and time of change; twice, since pages that say sorry pass."""
    for _ in range(2):
        with client.get(url, {"Range": "bytes=0-0"}) as reply:
            total = re.fullmatch(r"bytes 0-0/(\d{1,15})", reply.headers.get("content-range", ""))
            if reply.status == 206 and total is not None:
                return int(total[1]), reply.headers.get("etag", ""), reply.headers.get("last-modified", "")
    raise ArchiveError(f"{url} gives no parts: expected a host with range requests; fetch it yourself")


def _read_origin(parts: Path) -> _Origin | None:
    """Return what pieces are of; None where the file is whole."""
    try:
        with parts.open("rb") as file:
            header = json.loads(file.read(_HEADER_BYTES))
        origin = _Origin(str(header["url"]), int(header["size"]), str(header["etag"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArchiveError(f"'{parts}' is damaged ({error}): remove it with 'galmorph cache clear'") from error
    if header.get("piece") != PIECE_BYTES:
        raise ArchiveError(f"'{parts}' was begun by another version: remove it with 'galmorph cache clear'")
    return origin


def _covering(ranges: npt.ArrayLike, count: int) -> tuple[int, BoolArray]:
    """Mark the pieces, (N,), in which ranges of bytes, (M, 2), lie, from the first on; return its number, too."""
    pairs = np.reshape(np.asarray(ranges, np.int64), (-1, 2))
    starts, ends = pairs[pairs[:, 1] > pairs[:, 0]].T
    if not len(starts):
        return 0, np.zeros(0, bool)
    starts, ends = np.minimum(starts // PIECE_BYTES, count), np.minimum(-(-ends // PIECE_BYTES), count)
    first = int(starts.min())
    edges = np.zeros(int(ends.max()) - first + 1, np.int64)
    np.add.at(edges, starts - first, 1)
    np.add.at(edges, ends - first, -1)
    return first, np.asarray(np.cumsum(edges)[:-1] > 0)


def _runs(missing: BoolArray, first: int) -> list[Pieces]:
    """Return the runs, ``[first, last)``, of missing pieces."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], missing, [False]]).astype(np.int8)))
    return [(int(begin), int(end)) for begin, end in (edges + first).reshape(-1, 2)]


def _requests(missing: Sequence[Pieces]) -> list[Pieces]:
    """Join runs of pieces that are near each other and divide long ones: pieces ``[first, last)`` of each request."""
    joined: list[Pieces] = []
    for first, last in missing:
        if joined and (first - joined[-1][1]) * PIECE_BYTES <= GAP_BYTES:
            joined[-1] = joined[-1][0], last
        else:
            joined.append((first, last))
    step = REQUEST_BYTES // PIECE_BYTES
    return [(first, min(first + step, last)) for begin, last in joined for first in range(begin, last, step)]


def _size(way: Sequence[Sequence[Pieces]]) -> int:
    return sum(last - first for group in way for first, last in group) * PIECE_BYTES


def _range(start: int, end: int, version: str) -> dict[str, str]:
    return {"Range": f"bytes={start}-{end - 1}", **if_same(version)}


def _is_part(reply: Reply, origin: _Origin, start: int) -> bool:
    """Tell whether an answer is a part of the file that was begun."""
    expected = re.fullmatch(rf"bytes {start}-\d+/(\d+)", reply.headers.get("content-range", ""))
    return reply.status == 206 and expected is not None and int(expected[1]) == origin.size


def _changed(origin: _Origin) -> OtherFileError:
    return OtherFileError(
        f"{origin.url} is another file than when it was begun: expected {origin.size} bytes of version "
        f"'{origin.etag}'; remove it from the cache with 'galmorph cache clear' and fetch it again"
    )
