"""Guard: looks at every request before anything reads it, and at every answer before it leaves."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from galmorph.web.service_settings import ServiceSettings

__all__ = ["COOKIE", "Guard", "cookie_of"]

COOKIE = "galmorph_key"
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
_FREE = ("/health", "/ready", "/login")
_FREE_FOLDERS = ("/static/",)
_LARGE = ("/jobs", "/upload")  # what bring catalogues
_SAFE = ("GET", "HEAD", "OPTIONS")
_HERE = ("localhost", "127.0.0.1", "::1")
# A body comes at 64 kB/s at least, after a moment to begin: slower ones would hold memory for ever.
_PATIENCE_S, _SLOWEST = 20.0, 64 << 10
_REMEMBERED_S = 30.0  # so long a key is good that was withdrawn


def cookie_of(key: str, *, secure: bool) -> str:
    """Return the header that lets a browser keep a key: no script reads it, and no other site makes it be sent."""
    return f"{COOKIE}={key}; HttpOnly; SameSite=Strict; Path=/; Max-Age=2592000{'; Secure' if secure else ''}"


class Guard:
    """ASGI middleware: keys, hosts, sizes, patience, and the headers of all answers.

    Parameters
    ----------
    app
        What is guarded.
    settings
        What is allowed.
    store
        Which knows the keys; None where nobody has one.
    """

    def __init__(self, app: ASGIApp, settings: ServiceSettings, store: Any = None) -> None:
        self._app, self._settings, self._store = app, settings, store
        self._bytes = 0
        self._names: dict[bytes, tuple[str, float]] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what may pass."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # there are no web sockets here
            await receive()
            await send({"type": "websocket.close", "code": 1008})
            return
        answer = _Outgoing(scope, send)
        headers = Headers(scope=scope)
        try:
            self._check(scope, headers)
            scope.setdefault("state", {})["caller"] = await self._caller(scope, headers)
            with self._room(scope, headers) as most:
                await self._app(scope, _Body(receive, most).receive, answer.send)
        except HTTPException as refusal:
            await answer.refuse(refusal)

    def _check(self, scope: Scope, headers: Headers) -> None:
        """Refuse what another site, or a name that somebody gave this machine, sends from a browser."""
        host = headers.get("host", "")
        if self._settings.is_open and (urlsplit(f"//{host}").hostname or "") not in _HERE:
            raise HTTPException(403, "this service is for its own machine: expected the host localhost; use that name")
        if scope["method"] in _SAFE:
            return
        origin = headers.get("origin")
        is_other = headers.get("sec-fetch-site") in ("cross-site", "same-site")
        if is_other or (origin is not None and urlsplit(origin).netloc != host):
            raise HTTPException(403, "the request comes from a page of another site: expected one of this service")

    async def _caller(self, scope: Scope, headers: Headers) -> str:
        """Return whose key came with a request."""
        path = scope["path"]
        if self._settings.is_open or path in _FREE or path.startswith(_FREE_FOLDERS):
            return ""
        key = _key_of(headers)
        name = await self._name_of(key) if key else None
        if name is not None:
            return name
        if "text/html" in headers.get("accept", "") and scope["method"] == "GET":
            raise HTTPException(303, "a key is needed", {"location": "/login"})
        raise HTTPException(
            401, "a key is needed: send it as 'Authorization: Bearer KEY'", {"www-authenticate": "Bearer"}
        )

    async def _name_of(self, key: str) -> str | None:
        """Look a key up; for a moment it is not looked up again."""
        if self._store is None or len(key) > 200:
            return None
        digest, now = hashlib.sha256(key.encode()).digest(), time.monotonic()
        name, until = self._names.get(digest, ("", 0.0))
        if now < until:
            return name
        checked: str | None = await asyncio.to_thread(self._store.check_key, key)
        if checked is None:
            self._names.pop(digest, None)
            return None
        self._names[digest] = (checked, now + _REMEMBERED_S)
        return checked

    def _room(self, scope: Scope, headers: Headers) -> _Room:
        """Reserve memory for a body."""
        is_large = scope["path"].startswith(_LARGE)
        most = self._settings.upload_bytes if is_large else self._settings.request_bytes
        size = _size_of(scope, headers, most)
        if size > most:
            raise HTTPException(413, f"the request has {size} bytes: expected at most {most}; send less at once")
        if self._bytes + size > self._settings.memory_bytes and self._bytes:
            raise HTTPException(
                429, "too much is being sent at once: send the same again in a second", {"retry-after": "1"}
            )
        return _Room(self, size, most)

    def take(self, size: int) -> None:
        """Take note of memory that is reserved, or with a negative number no more."""
        self._bytes += size


def _key_of(headers: Headers) -> str:
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key:
        return key.strip()
    return headers.get("x-api-key") or cookie_parser(headers.get("cookie", "")).get(COOKIE, "")


def _size_of(scope: Scope, headers: Headers, most: int) -> int:
    """Return what a request says that it has; whoever does not say so may have all there is."""
    if scope["method"] in _SAFE:
        return 0
    text = headers.get("content-length")
    if text is None:
        return most if "transfer-encoding" in headers else 0
    if not text.isdecimal() or len(text) > 18:
        raise HTTPException(400, "Content-Length is no number: expected that of the bytes")
    return int(text)


class _Room:
    """Memory that is reserved while a request is there; a context manager."""

    def __init__(self, guard: Guard, size: int, most: int) -> None:
        self._guard, self._size, self._most = guard, size, most

    def __enter__(self) -> int:
        self._guard.take(self._size)
        return self._most

    def __exit__(self, *_: object) -> None:
        self._guard.take(-self._size)


class _Body:
    """What comes after the headers, as long as it is no more than it may be, and not too slow."""

    def __init__(self, receive: Receive, most: int) -> None:
        self._receive, self._most = receive, most
        self._bytes, self._begun, self._is_whole = 0, time.monotonic(), False

    async def receive(self) -> Message:
        """Return the next piece."""
        if self._is_whole:  # what is waited for now is the end of the connection
            return await self._receive()
        left = self._begun + _PATIENCE_S + self._bytes / _SLOWEST - time.monotonic()
        try:
            async with asyncio.timeout(max(left, 0.0)):
                message = await self._receive()
        except TimeoutError as error:
            raise HTTPException(408, "the request came too slowly: send it again", {"connection": "close"}) from error
        self._bytes += len(message.get("body", b""))
        if self._bytes > self._most:
            raise HTTPException(413, f"the request has more than {self._most} bytes: send less at once")
        self._is_whole = message["type"] == "http.disconnect" or not message.get("more_body", False)
        return message


class _Outgoing:
    """What leaves, with the headers that every answer has."""

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send, self._is_begun = scope, send, False

    async def send(self, message: Message) -> None:
        """Pass a piece on."""
        if message["type"] == "http.response.start":
            self._is_begun = True
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers.setdefault(name, value)
            if not self._scope["path"].startswith(_FREE_FOLDERS):
                headers.setdefault("cache-control", "no-store")
        await self._send(message)

    async def refuse(self, refusal: HTTPException) -> None:
        """Answer with a refusal, unless something else was begun."""
        if self._is_begun:
            return
        body = json.dumps({"detail": refusal.detail}).encode()
        headers = {"content-type": "application/json", "content-length": str(len(body)), **(refusal.headers or {})}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self.send({"type": "http.response.start", "status": refusal.status_code, "headers": raw})
        await self._send({"type": "http.response.body", "body": body})
