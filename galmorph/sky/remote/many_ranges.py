"""ManyRanges: several parts of a file in one request and one answer (RFC 9110, section 14).

A window of a mosaic is a short part of each of some hundred rows that lie far from each other. Hosts with Apache or
nginx send them in one answer of the type ``multipart/byteranges``; others, object stores among them, send the whole
file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress

from galmorph.errors import ArchiveError, BrokenReplyError
from galmorph.sky.remote.client import Reply

__all__ = ["RANGES_AT_ONCE", "grouped", "has_many", "parts_in", "range_header"]

RANGES_AT_ONCE = 190
"""In one request: Apache sends the whole file from 200 on (MaxRanges), and headers end at 8190 bytes."""
_MOST_HEAD = 1 << 14
"""Bytes of what stands before a part."""


def range_header(ranges: Sequence[tuple[int, int]]) -> str:
    """Return the header that asks for ranges ``[start, end)``.

    Examples
    --------
    >>> range_header([(0, 10), (500, 600)])
    'bytes=0-9,500-599'
    """
    return "bytes=" + ",".join(f"{start}-{end - 1}" for start, end in ranges)


def grouped(ranges: Sequence[tuple[int, int]], most_bytes: int) -> list[list[tuple[int, int]]]:
    """Divide ranges among requests: no more of them than hosts answer, nor more bytes than one should have.

    Examples
    --------
    >>> grouped([(0, 5), (7, 9), (20, 30)], 10)
    [[(0, 5), (7, 9)], [(20, 30)]]
    """
    groups: list[list[tuple[int, int]]] = []
    size = 0
    for start, end in ranges:
        if not groups or len(groups[-1]) == RANGES_AT_ONCE or size + end - start > most_bytes:
            groups.append([])
            size = 0
        groups[-1].append((start, end))
        size += end - start
    return groups


def has_many(reply: Reply) -> bool:
    """Tell whether an answer has several parts."""
    return reply.status == 206 and _boundary(reply) is not None


def parts_in(reply: Reply, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield the parts of an answer, as far as it comes, each with where it begins.

    Parameters
    ----------
    size
        Of the whole file.

    Raises
    ------
    ArchiveError
        If they are of a file of another size, or no parts.
    """
    boundary, waiting = _boundary(reply) or "", bytearray()
    with suppress(BrokenReplyError):  # whoever asked looks at what is here
        while (head := _head(reply.body, waiting)) is not None and f"--{boundary}--" not in head:
            match = re.search(r"(?im)^content-range:\s*bytes (\d{1,15})-(\d{1,15})/(\d{1,15})\s*$", head)
            if match is None or int(match[3]) != size or not int(match[1]) <= int(match[2]) < size:
                raise ArchiveError(f"{reply.url} sent parts of another file: expected one of {size} bytes; try again")
            start, length = int(match[1]), int(match[2]) - int(match[1]) + 1
            if not _fill(reply.body, waiting, length):
                return
            yield start, bytes(waiting[:length])
            del waiting[:length]


def _boundary(reply: Reply) -> str | None:
    match = re.match(r'(?i)multipart/byteranges\s*;.*?boundary="?([^";\s]+)', reply.headers.get("content-type", ""))
    return None if match is None else match[1]


def _head(body: Iterator[bytes], waiting: bytearray) -> str | None:
    """Take what stands before the next part; None where nothing follows."""
    while (end := waiting.find(b"\r\n\r\n")) < 0:
        if len(waiting) > _MOST_HEAD or not _fill(body, waiting, len(waiting) + 1):
            return None
    head = bytes(waiting[:end]).decode("ascii", errors="replace")
    del waiting[: end + 4]
    return head


def _fill(body: Iterator[bytes], waiting: bytearray, length: int) -> bool:
    """Read until so many bytes wait; tell whether they do."""
    while len(waiting) < length:
        piece = next(body, b"")
        if not piece:
            return False
        waiting += piece
    return True
