"""Whole files: fetched once, continued where they stopped, looked at, and only then put into the cache."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from galmorph.errors import ArchiveError, BrokenReplyError, NotFetchedError
from galmorph.limits import LIMITS
from galmorph.sky.remote.cache import Cache, CacheEntry
from galmorph.sky.remote.client import Client, Form, Manners, Reply, if_same
from galmorph.sky.remote.ledger import Ledger

__all__ = ["fetch"]

_MOST_PIECES = 100
"""How often a connection may break while something comes every time."""


def fetch(
    url: str,
    client: Client,
    cache: Cache,
    *,
    check: Callable[[Path], None] | None = None,
    form: Form | None = None,
    usual_bytes: int = 0,
    is_question: bool = False,
) -> Path:
    """Return the file of an address, from the cache or fetched now.

    Parameters
    ----------
    url
        The address.
    client, cache
        Who asks, and where files are kept.
    check
        Raises :class:`~galmorph.errors.ArchiveError` of a file that is not what was asked for: a page that says
        sorry, an image without a pixel. Such a file is asked for once more, and not kept.
    form
        What is asked, where that is sent along: the answer to another question is another file.
    usual_bytes
        What such a file usually has, for a dry run; 0 where only its host knows.
    is_question
        Whether the answer says what to fetch: a dry run asks, too.

    Raises
    ------
    ArchiveError
        If there is no such file to be had; a :class:`~galmorph.errors.NotFetchedError` in a dry run.
    """
    entry = cache.entry(url if form is None else f"{url}?{_digest(form)}")
    if client.ledger is not None and not is_question:
        _note(client.ledger, entry, cache, usual_bytes)
    if entry.is_whole:
        return entry.path
    with cache.lock(entry):
        if entry.is_whole or _borrowed(entry, cache):  # another process was faster, or another cache has it
            return entry.path
        _fetch_checked(entry, _Question(partial(client.get, url, form=form), client.manners), cache, check)
    cache.added(entry)
    return entry.path


@dataclass(frozen=True)
class _Question:
    """How a file is asked for, with headers, and with how much patience."""

    ask: Callable[[dict[str, str]], AbstractContextManager[Reply]]
    manners: Manners


def _note(ledger: Ledger, entry: CacheEntry, cache: Cache, usual_bytes: int) -> None:
    """Take note of a file, and go no further unless it is here."""
    here = next((each for each in (entry, cache.other(entry)) if each is not None and each.is_whole), None)
    if here is None:
        ledger.note_file(entry.url, usual_bytes)
        raise NotFetchedError(f"{entry.url} is not fetched by a dry run: leave out --dry-run to have it")
    ledger.note_file(entry.url, here.path.stat().st_size, is_here=True)


def _borrowed(entry: CacheEntry, cache: Cache) -> bool:
    """Take a file over that lies in the cache behind; tell whether it does."""
    other = cache.other(entry)
    if other is None or not other.is_whole:
        return False
    cache.copy(other, entry)
    return True


def _digest(form: Form) -> str:
    return hashlib.sha256(repr(sorted(form.items())).encode()).hexdigest()


def _fetch_checked(entry: CacheEntry, question: _Question, cache: Cache, check: Callable[[Path], None] | None) -> None:
    part = entry.path.with_name(entry.path.name + ".part")
    for attempt in (1, 2):
        entry = _continued(entry, part, question)
        try:
            if check is not None:
                check(part)
        except ArchiveError:
            part.unlink(missing_ok=True)
            if attempt == 2:
                raise
        else:
            break
    cache.note(entry)
    part.replace(entry.path)


def _continued(entry: CacheEntry, part: Path, question: _Question) -> CacheEntry:
    """Fetch the rest of a file, again and again while some more of it comes."""
    failures, etag = 0, ""
    for _ in range(_MOST_PIECES):
        before = part.stat().st_size if part.exists() else 0
        with question.ask(_rest(before, etag)) as reply:
            began = time.monotonic()
            etag = reply.headers.get("etag", "")
            if _take(reply, part, before):
                return replace(entry, etag=etag, modified=reply.headers.get("last-modified", ""))
        came = part.stat().st_size - before
        failures = 0 if question.manners.is_steady(came, time.monotonic() - began) else failures + 1
        if failures >= question.manners.attempts:
            break
    raise ArchiveError(f"{entry.url} is cut short every time: expected all of it; try again later")


def _rest(before: int, etag: str) -> dict[str, str]:
    """Ask for what is missing, if the file is still the same."""
    same = if_same(etag)
    return {"Range": f"bytes={before}-", **same} if before and same else {}


def _take(reply: Reply, part: Path, before: int) -> bool:
    """Append an answer to what is there, or begin anew; tell whether the file is whole now."""
    begins_anew = reply.status != 206 or not reply.headers.get("content-range", "").startswith(f"bytes {before}-")
    size = reply.headers.get("content-length", "")
    expected = (0 if begins_anew else before) + int(size) if size.isdigit() else None
    if (expected or 0) > LIMITS["fetched_bytes"].number:
        raise _too_long(reply.url, expected)
    with part.open("wb" if begins_anew else "ab") as file:
        is_whole = _saved(reply, file)
        return is_whole and (expected is None or file.tell() == expected)


def _saved(reply: Reply, file: IO[bytes]) -> bool:
    """Write what comes; tell whether it came to its end."""
    try:
        for piece in reply.body:
            file.write(piece)
            if file.tell() > LIMITS["fetched_bytes"].number:
                raise _too_long(reply.url, "an endless number of")
    except BrokenReplyError:  # it is asked for again
        return False
    return True


def _too_long(url: str, size: object) -> ArchiveError:
    return ArchiveError(f"{url} has {size} bytes: expected at most {LIMITS['fetched_bytes']}; fetch it yourself")
