"""A service in a process of its own: it starts, answers, stops, and says in one line why it does not."""

from __future__ import annotations

import importlib
import re
import signal
import socket

import httpx
import pytest
from real_service import served

from galmorph import cli
from galmorph.limits import LIMITS, VARIABLE
from galmorph.web import server

SDSS = {"survey": "sdss", "band": "RGB", "model": "colour"}


def test_a_service_starts_answers_and_stops(tmp_path, checkpoints, picture):
    with served(tmp_path, ["--open", "--folder", str(tmp_path / "kept"), "--checkpoint", *checkpoints]) as service:
        answer = httpx.post(f"{service.url}/classify", data=SDSS, files={"image": ("a.jpg", picture)}, timeout=60)
        assert answer.json()["model"] == "colour 0.0"
        assert "server" not in answer.headers
        assert refused(service.port, b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 5_000_000)
        assert refused(service.port, b"GET /health\r\n\r\n")
        assert httpx.get(f"{service.url}/health").status_code == 200
        log = service.log.read_text()
    assert service.process.returncode in (0, 128 + signal.SIGTERM)
    assert log.splitlines() == [f"galmorph: serving at {service.url}; stop it with Ctrl-C"]
    assert "Traceback" not in service.log.read_text()


def refused(port: int, request: bytes) -> bool:
    """Tell whether what is no request gets 4xx, or no answer at all."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as raw:
        try:
            raw.sendall(request)
            return re.match(rb"HTTP/1.1 4\d\d|$", raw.recv(100)) is not None
        except ConnectionError:
            return True


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--open", "--host", "0.0.0.0"], "--open was given with --host 0.0.0.0: expected 127.0.0.1"),
        (["--open", "--host", "galaxies.example"], "--open was given with"),
        (["--open", "--port", "99999"], "nothing can listen"),
        (["--open", "--host", "192.0.2.1"], "--open was given with"),
        (["--open", "--queue", "0"], "queue = 0: expected at least 1"),
        (["--open", "--port", "0", "--checkpoint", "no-such"], "no-such"),
    ],
)
def test_what_cannot_be_served_is_one_line(words, reason, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    assert cli.main(["serve", *words, "--folder", str(tmp_path / "kept")]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert "Traceback" not in error


def test_a_port_that_is_taken_is_said(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, "")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        assert cli.main(["serve", "--open", "--port", port, "--folder", str(tmp_path)]) == 1
    assert f"nothing can listen at 127.0.0.1 port {port}" in capsys.readouterr().err


def test_a_missing_library_is_named(monkeypatch, capsys):
    def missing(name: str):
        if name == "galmorph.web.server":
            raise ModuleNotFoundError(name="uvicorn")
        return original(name)

    original = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", missing)
    assert cli.main(["serve", "--open"]) == 1
    assert "serving needs the library uvicorn: pip install 'galmorph[web]'" in capsys.readouterr().err


def test_limits_are_lower_than_those_of_commands_unless_said_otherwise(monkeypatch):
    monkeypatch.setenv(VARIABLE, "stamp_pixels=7")
    server._lower_limits()
    assert LIMITS["stamp_pixels"].number == 7
    assert LIMITS["stamp_bytes"].number < LIMITS["stamp_bytes"].usual
    assert LIMITS["image_bytes"].number < LIMITS["image_bytes"].usual
