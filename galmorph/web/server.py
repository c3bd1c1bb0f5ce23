"""Server: the service on a port of this machine, until it is told to stop."""

from __future__ import annotations

import ipaddress
import logging
import os
import socket
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from fastapi import FastAPI

import galmorph
from galmorph.errors import PipelineError
from galmorph.limits import VARIABLE, allow
from galmorph.web.app import create_app
from galmorph.web.served_map import check_map
from galmorph.web.service import Service
from galmorph.web.service_settings import ServiceSettings

if TYPE_CHECKING:
    from galmorph.store.store import Store

__all__ = ["serve"]

log = logging.getLogger(__name__)

# What strangers send has lower limits than what a user gives to a command; --limit says otherwise.
_LIMITS = {
    "stamp_bytes": 1 << 25,
    "stamp_pixels": 1 << 22,
    "image_bytes": 1 << 28,
    "image_hdus": 200,
    "image_cards": 20_000,
    "table_bytes": 1 << 28,
    "fetched_bytes": 1 << 28,
}
_CONNECTIONS_FOR_EACH_PLACE = 8


def serve(
    *,
    store: str | None = None,
    checkpoint: Sequence[str] = (),
    host: str = "127.0.0.1",
    port: int = 8000,
    open: bool = False,
    folder: str | Path | None = None,
    device: str = "auto",
    precision: str = "single",
    queue: int = ServiceSettings.queue,
    threads: int | None = None,
    map: str | Path | None = None,
) -> None:
    """Serve until a signal comes.

    Parameters
    ----------
    store
        Path or URL of the store of models, images, labels, keys and jobs; by default a file in `folder`, which is made.
    checkpoint, open
        The models, and whether nobody needs a key.
    folder, device, precision, queue, threads
        As of :class:`~galmorph.web.service_settings.ServiceSettings`.
    host, port
        Where it listens; port 0 is any that is free.
    map
        A page of ``galmorph map`` with galaxies of the store, which is shown at ``/map``.

    Raises
    ------
    PipelineError
        If it would be open to other machines, the port is taken, or the map is none.
    GalmorphError
        If a checkpoint or the store cannot be opened.
    """
    settings = ServiceSettings(
        store=store or "",
        checkpoints=tuple(checkpoint),
        folder=None if folder is None else Path(folder),
        is_open=open,
        device=device,
        precision=precision,
        queue=queue,
        threads=threads,
        map=None if map is None else Path(map),
    )
    if settings.map is not None:
        check_map(settings.map)
    if open and not _is_loopback(host):
        raise PipelineError(
            f"--open was given with --host {host}: expected 127.0.0.1, since whoever reaches an open service may use "
            "it; leave out one of them, and add keys with 'galmorph store key STORE add NAME'"
        )
    _lower_limits()
    with _listening(host, port) as listening, _store(settings) as opened:
        if not open and not any(not withdrawn for _, _, withdrawn in opened.api_keys()):
            log.warning("the store has no key: add one with 'galmorph store key STORE add NAME', or use --open")
        _run(create_app(replace(settings, store=_url(settings)), opened), listening)


def _run(app: FastAPI, listening: socket.socket) -> None:
    """Answer at a socket.

    Raises
    ------
    GalmorphError
        If the models cannot be loaded.
    """
    service: Service = app.state.service
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        log_level="error",  # what is no request is no news
        server_header=False,
        proxy_headers=False,
        limit_concurrency=service.settings.queue * _CONNECTIONS_FOR_EACH_PLACE,
        backlog=1024,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=10,
        h11_max_incomplete_event_size=32 << 10,
        ws="none",
    )
    server = uvicorn.Server(config)
    service.on_failure = partial(setattr, server, "should_exit", True)
    host, port = listening.getsockname()[:2]
    log.warning("serving at http://%s:%d; stop it with Ctrl-C", f"[{host}]" if ":" in host else host, port)
    server.run(sockets=[listening])
    if service.failure is not None:
        raise service.failure


def _store(settings: ServiceSettings) -> Store:
    """Open the store that is named, or the service's own, which is made where there is none."""
    if settings.store:
        return galmorph.open_store(settings.store)
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return galmorph.open_store(_url(settings), create=True)


def _url(settings: ServiceSettings) -> str:
    """Return the URL of the store, or its path from the root of the disk."""
    if "://" in settings.store:
        return settings.store
    return str(Path(settings.store or settings.home / "store.sqlite").resolve())


def _listening(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except (OSError, OverflowError) as error:
        listening.close()
        raise PipelineError(f"nothing can listen at {host} port {port} ({error}): choose another --port") from error
    return listening


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _lower_limits() -> None:
    """Set the limits that nobody has set."""
    chosen = {word.partition("=")[0] for word in os.environ.get(VARIABLE, "").split()}
    allow(f"{name}={number}" for name, number in _LIMITS.items() if name not in chosen)
