"""Client: asks servers for files as a guest does, and says in one line why it got none.

Requests to a host are counted and spaced, failures that may pass are tried again after a growing, random time or the
one that the host asks for, and an answer that only drips is given up. What is downloaded may come from where the host
redirects to, but never by plain HTTP where HTTPS was asked for.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError

import galmorph
from galmorph.errors import ArchiveError, BrokenReplyError, BusyHostError
from galmorph.sky.remote.ledger import Ledger

__all__ = ["Client", "Form", "Manners", "Reply", "if_same"]

log = logging.getLogger(__name__)

USER_AGENT = f"galmorph/{galmorph.__version__} (morphologies of galaxies; urllib3/{version('urllib3')})"
_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})
"""What may go away by itself: busy, broken at the moment, too many requests."""
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_MOST_REDIRECTS = 5
_PIECE = 1 << 18
Form = Mapping[str, str | tuple[str, str]]
"""Names and values; of a file its name and contents."""


@dataclass(frozen=True)
class Manners:
    """How a host is treated.

    Parameters
    ----------
    requests_per_s
        How many requests begin in a second, at most.
    connections
        How many are under way at the same time, at most.
    timeout_s
        Longest silence, when connecting and within an answer.
    attempts
        How often something is asked for before it is given up.
    longest_wait_s
        Longest time between attempts. A host that asks for a longer one is left alone.
    rest_s
        How long a host is not asked at all after it was given up, so that the rows of a catalogue do not each wait: as
        long as it asks for, at least so long, and twice as long each time that it is given up again.
    longest_rest_s
        At most, unless it asks for more.
    least_bytes_per_s
        Replies slower than this over `timeout_s` are given up.
    """

    requests_per_s: float = 10.0
    connections: int = 4
    timeout_s: float = 60.0
    attempts: int = 5
    longest_wait_s: float = 120.0
    rest_s: float = 60.0
    longest_rest_s: float = 900.0
    least_bytes_per_s: float = 1024.0

    def is_steady(self, size: int, elapsed_s: float) -> bool:
        """Tell whether so many bytes in such a time are worth asking for the rest: some came, and no mere drip."""
        return size > 0 and size >= self.least_bytes_per_s * elapsed_s


@dataclass(frozen=True)
class Reply:
    """What a server answered.

    Parameters
    ----------
    url
        Where the answer came from in the end.
    status
        200, or 206 for a part.
    headers
        With names in lower case.
    body
        Its bytes, read piece by piece.
    """

    url: str
    status: int
    headers: Mapping[str, str]
    body: Iterator[bytes]


@dataclass
class _Host:
    """A host's turn-taking."""

    places: threading.Semaphore
    lock: threading.Lock = field(default_factory=threading.Lock)
    next_s: float = 0.0
    rests_until_s: float = 0.0
    times_given_up: int = 0

    def wait(self, interval_s: float) -> None:
        """Wait for the next turn."""
        with self.lock:
            now = time.monotonic()
            turn = max(self.next_s, now)
            self.next_s = turn + interval_s
        time.sleep(turn - now)

    @property
    def rest_s(self) -> float:
        """How long it is not asked from now on."""
        return max(self.rests_until_s - time.monotonic(), 0.0)

    def give_up(self, manners: Manners, wait_s: float) -> None:
        """Ask for nothing for a while; threads that give it up together do so once."""
        if self.rest_s > 0:
            return
        usual = min(manners.rest_s * 2.0**self.times_given_up, manners.longest_rest_s)
        self.rests_until_s = time.monotonic() + max(wait_s, usual)
        self.times_given_up += 1


class Client:
    """Asks for files; it may be shared by threads.

    Parameters
    ----------
    manners
        How hosts are treated.
    offline
        Ask for nothing: whatever is not in the cache is an :class:`~galmorph.errors.ArchiveError`.
    ledger
        For a dry run: where files are written down instead of being fetched. Only headers and answers to questions are.
    """

    def __init__(self, manners: Manners | None = None, *, offline: bool = False, ledger: Ledger | None = None) -> None:
        self.manners = manners or Manners()
        self.offline, self.ledger = offline, ledger
        self._hosts: dict[str, _Host] = {}
        self._lock = threading.Lock()
        self._pool = urllib3.PoolManager(maxsize=self.manners.connections, headers={"User-Agent": USER_AGENT})

    @contextmanager
    def get(self, url: str, headers: Mapping[str, str] | None = None, *, form: Form | None = None) -> Iterator[Reply]:
        """Ask for a file; the answer is read within the block.

        Parameters
        ----------
        url
            Its address.
        headers
            More of the request, such as ``Range``.
        form
            What is asked, where that is sent along; it is sent to this address only, wherever the host redirects to.

        Raises
        ------
        ArchiveError
            If the host cannot be reached, has no such file, or asks for too much patience; while the body is read,
            if it stops or drips.
        """
        if self.offline:
            raise ArchiveError(f"{url} is not in the cache: expected it there, being offline; fetch it first")
        host = self._host(url)
        with host.places:
            response = self._asked(url, dict(headers or {}), form)
            try:
                names = {name.lower(): value for name, value in response.headers.items()}
                yield Reply(response.url or url, response.status, names, self._body(url, response))
            finally:
                response.close()
                response.release_conn()

    def size_of(self, url: str) -> int:
        """Ask how many bytes a file has; 0 where the host does not say."""
        try:
            with self.get(url, {"Range": "bytes=0-0"}) as reply:
                name = "content-range" if reply.status == 206 else "content-length"
                total = reply.headers.get(name, "").rpartition("/")[2]
        except ArchiveError:
            return 0
        return int(total) if total.isdigit() else 0

    def _host(self, url: str) -> _Host:
        name = _host_name(url)
        with self._lock:
            return self._hosts.setdefault(name, _Host(threading.Semaphore(self.manners.connections)))

    def _asked(self, url: str, headers: dict[str, str], form: Form | None) -> urllib3.BaseHTTPResponse:
        """Ask until there is an answer; a host that just was given up is not asked for a while."""
        host = self._host(url)
        if (rest_s := host.rest_s) > 0:
            raise ArchiveError(
                f"{url} was not asked for: its host did not answer a moment ago, and rests for {rest_s:.0f} s more; "
                "try again then"
            )
        attempts = self.manners.attempts
        for attempt in range(1, attempts + 1):
            try:
                response = self._followed(url, headers, form)
            except BusyHostError as reason:
                wait_s = reason.wait_s or _backoff_s(attempt, self.manners.longest_wait_s)
                if attempt == attempts or wait_s > self.manners.longest_wait_s:
                    raise self._given_up(url, reason, attempt) from reason
                time.sleep(wait_s)
            else:
                host.times_given_up = 0
                return response
        raise ArchiveError(f"{url}: expected at least one attempt")

    def _given_up(self, url: str, reason: BusyHostError, attempt: int) -> ArchiveError:
        """Let a host rest that does not answer, and say so."""
        host = self._host(url)
        host.give_up(self.manners, reason.wait_s)
        patience = f", asking for {reason.wait_s:.0f} s of patience" if reason.wait_s else ""
        log.warning("%s does not answer (%s%s): asked again in %.0f s", _host_name(url), reason, patience, host.rest_s)
        return ArchiveError(
            f"{url} does not answer ({reason}{patience}; {attempt} of {self.manners.attempts} attempts): expected a "
            "file; try again later"
        )

    def _followed(self, url: str, headers: dict[str, str], form: Form | None) -> urllib3.BaseHTTPResponse:
        """Ask once, wherever the host sends one."""
        at = url
        for _ in range(_MOST_REDIRECTS):
            response = self._once(at, headers, form)
            target = response.headers.get("Location", "")
            if response.status not in _REDIRECTS or not target:
                return self._judged(url, response)
            response.close()
            if form is not None:
                raise ArchiveError(
                    f"{url} is redirected to {target}: what is asked is sent to no other; tell the archive"
                )
            at = _allowed(at, urljoin(at, target))
        raise ArchiveError(f"{url} is redirected more than {_MOST_REDIRECTS} times: expected a file; check the address")

    def _once(self, url: str, headers: dict[str, str], form: Form | None) -> urllib3.BaseHTTPResponse:
        self._host(url).wait(1.0 / self.manners.requests_per_s)
        timeout = urllib3.Timeout(connect=self.manners.timeout_s, read=self.manners.timeout_s)
        try:
            return self._pool.request(
                "GET" if form is None else "POST", url, fields=form, headers={**self._pool.headers, **headers},
                retries=False, redirect=False, timeout=timeout, preload_content=False, decode_content=False,
            )  # fmt: skip
        except HTTPError as error:
            raise BusyHostError(_reason(error)) from error

    @staticmethod
    def _judged(url: str, response: urllib3.BaseHTTPResponse) -> urllib3.BaseHTTPResponse:
        """Pass a good answer on; raise for others."""
        if response.status in (200, 206):
            return response
        wait_s = _retry_after_s(response.headers.get("Retry-After", ""))
        status = f"{response.status} {response.reason or ''}".strip()
        response.close()
        if response.status in _PASSING:
            busy = BusyHostError(status)
            busy.wait_s = wait_s
            raise busy
        raise ArchiveError(f"{url} was refused ({status}): expected a file; check the address")

    def _body(self, url: str, response: urllib3.BaseHTTPResponse) -> Iterator[bytes]:
        """Read an answer, as long as it comes."""
        began, since, manners = time.monotonic(), 0, self.manners
        try:
            # What is there already, rather than pieces that are full: one that drips is noticed.
            while piece := response.read1(_PIECE, decode_content=False):
                yield piece
                since += len(piece)
                elapsed = time.monotonic() - began
                if elapsed > manners.timeout_s:
                    _check_speed(url, since / elapsed, manners.least_bytes_per_s)
                    began, since = time.monotonic(), 0
        except HTTPError as error:
            raise BrokenReplyError(f"{url} stopped ({_reason(error)}): expected all of it; try again") from error


def _host_name(url: str) -> str:
    return urlsplit(url).netloc


def if_same(version: str) -> dict[str, str]:
    """Return the header by which a part is only sent of the same version; none where a host calls versions alike."""
    return {"If-Range": version} if version and not version.startswith("W/") else {}


def _check_speed(url: str, speed: float, least: float) -> None:
    if speed < least:
        raise BrokenReplyError(f"{url} drips at {speed:.0f} bytes/s: expected {least:.0f} at least; try again later")


def _backoff_s(attempt: int, longest_s: float) -> float:
    """Return a random time that doubles with every attempt, so that many clients do not come back together."""
    return min(random.uniform(0.5, 1.0) * 2.0 ** (attempt - 1), longest_s)  # noqa: S311 - no secret


def _retry_after_s(text: str) -> float:
    """Return the seconds that a host asks for; 0 where it does not, or in words that are none of HTTP's."""
    try:
        return urllib3.Retry().parse_retry_after(text) if text else 0.0
    except HTTPError:
        return 0.0


def _allowed(origin: str, target: str) -> str:
    if urlsplit(target).scheme not in ("http", "https"):
        raise ArchiveError(f"{origin} is redirected to {target}: expected http or https; check the address")
    if urlsplit(origin).scheme == "https" and urlsplit(target).scheme == "http":
        raise ArchiveError(
            f"{origin} is redirected to {target}, which is not encrypted: expected https; tell the archive"
        )
    return target


def _reason(error: Exception) -> str:
    """Say what happened to a connection, without the objects that urllib3 names."""
    return str(error).rpartition(">: ")[2].partition("(")[0].strip(" :,") or type(error).__name__
