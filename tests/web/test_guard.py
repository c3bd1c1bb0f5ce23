"""The guard: keys, hosts, sizes and headers, before anything reads a request."""

from __future__ import annotations

import asyncio
import logging

import pytest

from galmorph.web import guard
from galmorph.web.guard import Guard, cookie_of
from galmorph.web.service_settings import ServiceSettings

SDSS = {"survey": "sdss", "band": "RGB", "model": "colour"}
SECRET = "gm_0123456789abcdef"


class Keys:
    """A store that knows one key, and how often it was asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def check_key(self, secret: str) -> str | None:
        self.asked.append(secret)
        return "ana" if secret == SECRET else None

    def models(self):
        return []

    def jobs(self, service):  # noqa: ARG002
        return self

    def requeue(self):
        return 0

    def expired(self):
        return []

    def start_next(self):
        return None


@pytest.fixture(scope="module")
def keys():
    return Keys()


@pytest.fixture
def closed(client, keys):
    """Start a service that wants keys."""
    keys.asked.clear()
    service = client(store=keys, is_open=False)
    service.cookies.clear()
    return service


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {SECRET}"},
        {"authorization": f"bearer {SECRET}"},
        {"x-api-key": SECRET},
        {"cookie": f"galmorph_key={SECRET}"},
    ],
)
def test_a_key_opens(closed, headers, picture):
    assert closed.get("/models", headers=headers).status_code == 200
    answer = closed.post("/classify", data=SDSS, files={"image": ("a.jpg", picture)}, headers=headers)
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"authorization": "Bearer gm_other"},
        {"authorization": f"Basic {SECRET}"},
        {"authorization": "Bearer "},
        {"x-api-key": ""},
        {"cookie": f"other={SECRET}"},
        {"authorization": "Bearer " + "x" * 5000},
    ],
)
@pytest.mark.parametrize("path", ["/models", "/metrics", "/jobs", "/openapi.json", "/docs", "/"])
def test_without_a_key_nothing_is_said(closed, path, headers):
    answer = closed.get(path, headers=headers)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"


def test_health_and_readiness_need_none(closed):
    assert closed.get("/health").status_code == closed.get("/ready").status_code == 200


def test_a_browser_is_led_to_where_it_says_its_key(closed):
    answer = closed.get("/", headers={"accept": "text/html"}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert "HttpOnly; SameSite=Strict" in cookie_of(SECRET, secure=True)
    assert cookie_of(SECRET, secure=True).endswith("Secure")


def test_a_key_is_looked_up_once_in_a_while(closed):
    for _ in range(3):
        closed.get("/models", headers={"x-api-key": SECRET})
    assert len(closed.app.state.service.store.asked) <= 1


def test_keys_and_images_are_in_no_log(closed, picture, caplog):
    caplog.set_level(logging.DEBUG)
    closed.post("/classify", data=SDSS, files={"image": ("a.jpg", picture)}, headers={"x-api-key": SECRET})
    closed.post("/classify", data=SDSS, files={"image": ("a.jpg", picture[:900])}, headers={"x-api-key": SECRET})
    closed.get("/models", headers={"x-api-key": SECRET + "x"})
    assert SECRET not in caplog.text
    assert "\\xff" not in caplog.text


def test_without_a_store_nobody_has_a_key(client):
    assert client(is_open=False).get("/models", headers={"x-api-key": SECRET}).status_code == 401


@pytest.mark.parametrize("host", ["evil.example", "evil.example:8000", "192.168.0.7", "localhost.evil.example", ""])
def test_an_open_service_is_this_machine_s(client, host):
    """A page of another site may call this machine by a name of its own (DNS rebinding)."""
    assert client().get("/models", headers={"host": host}).status_code == 403


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:80", "[::1]:8000"])
def test_an_open_service_answers_its_own_machine(client, host):
    assert client().get("/models", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost:81"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"origin": "http://localhost", "sec-fetch-site": "same-origin"}, 200),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
def test_pages_of_other_sites_send_nothing(client, picture, headers, status):
    answer = client().post("/classify", data=SDSS, files={"image": ("a.jpg", picture)}, headers=headers)
    assert answer.status_code == status
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize("path", ["/health", "/models", "/nowhere", "/docs", "/openapi.json", "/metrics"])
def test_every_answer_has_its_headers(client, path):
    headers = client().get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


def test_refusals_have_them_too(closed):
    assert "content-security-policy" in closed.get("/models").headers


def test_what_is_too_large_is_refused_before_it_is_read(client, picture):
    service = client(request_bytes=2000)
    answer = service.post("/classify", data=SDSS, files={"image": ("a.jpg", picture)})
    assert answer.status_code == 413
    pieces = (b"x" * 500 for _ in range(10))
    assert service.post("/classify", content=pieces).status_code == 413  # without saying how much
    assert service.post("/classify", content=b"x", headers={"content-length": "-1"}).status_code == 400


def test_memory_is_reserved_before_a_body_is_read():
    """The second of two large bodies is told to come again while the first is being read."""
    settings = ServiceSettings(is_open=True, request_bytes=1000, memory_bytes=1500)
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def app(scope, receive, send):  # noqa: ARG001
        begun.set()
        await go_on.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body"})

    async def status(guarded) -> int:
        sent = []

        async def send(message):
            sent.append(message)

        await guarded(scope_of(900), never, send)
        return sent[0]["status"]

    async def both() -> list[int]:
        guarded = Guard(app, settings)
        first = asyncio.create_task(status(guarded))
        await begun.wait()
        second = await status(guarded)
        go_on.set()
        return [await first, second, await status(guarded)]

    assert asyncio.run(both()) == [200, 429, 200]


def test_a_body_that_drips_is_given_up(monkeypatch):
    monkeypatch.setattr(guard, "_PATIENCE_S", 0.05)

    async def app(scope, receive, send):  # noqa: ARG001
        while (await receive()).get("more_body"):
            pass

    async def receive():
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    sent = []

    async def send(message):
        sent.append(message)

    asyncio.run(Guard(app, ServiceSettings(is_open=True))(scope_of(900), receive, send))
    assert sent[0]["status"] == 408


def scope_of(size: int) -> dict:
    headers = [(b"host", b"localhost"), (b"content-length", str(size).encode())]
    return {"type": "http", "method": "POST", "path": "/classify", "headers": headers}


async def never():
    await asyncio.Event().wait()
