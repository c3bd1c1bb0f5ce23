"""Loopback: a small server on this machine that plays an archive, with its faults.

Real clients ask it; nothing leaves the machine. What was asked is written down.
"""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

__all__ = ["Fault", "Loopback", "Request", "keeping_rate", "serving"]


@dataclass(frozen=True)
class Request:
    """One request: path with its query, header names in lower case, body, and when it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    time_s: float


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one answer.

    Parameters
    ----------
    status
        Instead of the file.
    headers
        More of them.
    body
        Instead of the file's bytes.
    cut_at
        Bytes after which the connection breaks.
    drip_s
        Time between single bytes.
    ignores_range
        Whether the whole file comes although a part was asked for.
    silent_s
        Time before the answer begins.
    """

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    cut_at: int | None = None
    drip_s: float = 0.0
    ignores_range: bool = False
    silent_s: float = 0.0


@dataclass
class Loopback:
    """An archive of files.

    Parameters
    ----------
    base
        Its address.
    files
        Path to bytes, to a file that is read piece by piece, or to a function of the request.
    faults
        Path to what goes wrong with the next answers, in their order.
    trouble
        Tells what goes wrong with an answer beyond that.
    most_at_once
        How many requests were under way at the same time.
    has_many_ranges
        Whether several ranges come in one answer; object stores send the whole file.
    latency_s, bytes_per_s
        Of the line.
    """

    base: str
    files: dict[str, bytes | Path | Callable[[Request], bytes]] = field(default_factory=dict)
    faults: dict[str, list[Fault]] = field(default_factory=lambda: defaultdict(list))
    trouble: Callable[[Request], Fault | None] = lambda _: None
    requests: list[Request] = field(default_factory=list)
    most_at_once: int = 0
    has_many_ranges: bool = True
    latency_s: float = 0.0
    bytes_per_s: float = math.inf
    _line: threading.Lock = field(default_factory=threading.Lock)
    _now: list[Request] = field(default_factory=list)

    @contextmanager
    def answering(self, request: Request) -> Iterator[None]:
        """Note a request, and that it is under way."""
        self.requests.append(request)
        self._now.append(request)
        self.most_at_once = max(self.most_at_once, len(self._now))
        try:
            yield
        finally:
            self._now.remove(request)

    def fault_of(self, request: Request) -> Fault:
        """Tell what goes wrong with an answer."""
        waiting = self.faults[request.path.partition("?")[0]]
        return (waiting.pop(0) if waiting else self.trouble(request)) or Fault()

    def carry(self, body: bytes) -> None:
        """Take as long as the line does, which all answers share."""
        if math.isfinite(self.bytes_per_s):
            with self._line:
                time.sleep(len(body) / self.bytes_per_s)

    def asked(self, path: str) -> list[Request]:
        """Return the requests of a path, without regard to the query."""
        return [request for request in self.requests if request.path.partition("?")[0] == path]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    loopback: Loopback

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer()

    def log_message(self, *words: object) -> None:
        """Say nothing."""

    def _answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        body = self.rfile.read(int(headers.get("content-length", 0)))
        request = Request(self.command, self.path, headers, body, time.monotonic())
        with self.loopback.answering(request), suppress(ConnectionError):  # clients that hang up: some tests do
            self._give(request, headers)

    def _give(self, request: Request, headers: dict[str, str]) -> None:
        fault = self.loopback.fault_of(request)
        time.sleep(self.loopback.latency_s + fault.silent_s)
        content = self.loopback.files.get(self.path.partition("?")[0])
        if fault.status or content is None:
            self._send(fault.status or 404, fault.headers, fault.body or b"sorry")
            return
        whole = fault.body if fault.body is not None else content(request) if callable(content) else content
        self._send_file(whole, headers, fault)

    def _send_file(self, whole: bytes | Path, headers: dict[str, str], fault: Fault) -> None:
        size = whole.stat().st_size if isinstance(whole, Path) else len(whole)
        more = {"ETag": f'"{size:x}"', "Accept-Ranges": "bytes"} | fault.headers
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", headers.get("range", ""))
        many = re.findall(r"(\d+)-(\d+)", headers.get("range", ""))
        same = headers.get("if-range", more["ETag"]) == more["ETag"]
        if asked and same and not fault.ignores_range:
            start, end = int(asked[1]), min(int(asked[2] or size - 1) + 1, size)
            self._send(
                206, more | {"Content-Range": f"bytes {start}-{end - 1}/{size}"}, _part(whole, start, end), fault
            )
        elif len(many) > 1 and same and self.loopback.has_many_ranges and not fault.ignores_range:
            spans = [(int(start), min(int(end) + 1, size)) for start, end in many]
            more["Content-Type"] = "multipart/byteranges; boundary=3d6b6a416f9b5"
            self._send(206, more, _parts(whole, spans, size), fault)
        elif isinstance(whole, Path) and not fault.drip_s and fault.cut_at is None:
            self._stream(whole, more | {"Content-Length": str(size)})
        else:
            self._send(200, more, _part(whole, 0, size), fault)

    def _stream(self, path: Path, headers: dict[str, str]) -> None:
        """Send a file piece by piece, for as long as somebody listens."""
        self.send_response(200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with path.open("rb") as file:
            while piece := file.read(1 << 16):
                self.loopback.carry(piece)
                try:
                    self.wfile.write(piece)
                except OSError:
                    self.close_connection = True
                    return

    def _send(self, status: int, headers: dict[str, str], body: bytes, fault: Fault = Fault()) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | headers).items():
            self.send_header(name, value)
        self.end_headers()
        if fault.drip_s:
            self._drip(body, fault.drip_s)
            return
        self.loopback.carry(body)
        self.wfile.write(body if fault.cut_at is None else body[: fault.cut_at])
        if fault.cut_at is not None:
            self.close_connection = True

    def _drip(self, body: bytes, interval_s: float) -> None:
        self.close_connection = True
        for n in range(len(body)):
            try:
                self.wfile.write(body[n : n + 1])
            except OSError:
                return
            time.sleep(interval_s)


def _part(whole: bytes | Path, start: int, end: int) -> bytes:
    if isinstance(whole, bytes):
        return whole[start:end]
    with whole.open("rb") as file:
        file.seek(start)
        return file.read(end - start)


def _parts(whole: bytes | Path, spans: list[tuple[int, int]], size: int) -> bytes:
    """Put parts together as Apache does."""
    head = "\r\n--3d6b6a416f9b5\r\nContent-type: application/fits\r\nContent-range: bytes {}-{}/{}\r\n\r\n"
    parts = [head.format(start, end - 1, size).encode() + _part(whole, start, end) for start, end in spans]
    return b"".join([*parts, b"\r\n--3d6b6a416f9b5--\r\n"])


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of clients that hang up: some tests are about that."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


@contextmanager
def serving() -> Iterator[Loopback]:
    """Serve to this machine alone."""
    handler = type("Handler", (_Handler,), {})
    with _Server(("127.0.0.1", 0), handler) as server:
        loopback = Loopback(f"http://127.0.0.1:{server.server_port}")
        handler.loopback = loopback
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield loopback
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def keeping_rate(server: Loopback, requests_per_s: float) -> Iterator[None]:
    """Check that requests come no faster.

    Times count from the beginning: the first request may take its time to come, but no later one comes before its turn.
    """
    begin = time.monotonic()
    yield
    times = [request.time_s for request in server.requests]
    assert max(times) - begin >= (len(times) - 1) / requests_per_s
