"""Counters: what Prometheus is told of a service."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.process_collector import ProcessCollector

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from galmorph.web.service import Service

__all__ = ["Counters", "Counting"]

_SECONDS = (0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)


class Counters:
    """The counters of one service.

    Parameters
    ----------
    service
        Whose queue and batches are counted.
    """

    def __init__(self, service: Service) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "galmorph_requests", "Requests that were answered", ("method", "route", "status"), registry=registry
        )
        self.seconds = Histogram(
            "galmorph_request_seconds", "Time from headers to answer", ("route",), buckets=_SECONDS, registry=registry
        )
        Gauge("galmorph_waiting", "Galaxies that wait or are worked on", registry=registry).set_function(
            lambda: service.waiting
        )
        Gauge("galmorph_queue", "Galaxies that may wait", registry=registry).set(service.settings.queue)
        Gauge("galmorph_ready", "Whether the models are loaded", registry=registry).set_function(
            lambda: service.is_ready
        )
        Gauge("galmorph_batches", "Batches that models were shown", registry=registry).set_function(
            lambda: service.batches.batches
        )
        Gauge("galmorph_batched", "Galaxies in these batches", registry=registry).set_function(
            lambda: service.batches.galaxies
        )
        ProcessCollector(registry=registry)

    def text(self) -> tuple[bytes, str]:
        """Return all of them as text, and its type."""
        return generate_latest(self._registry), CONTENT_TYPE_LATEST


class Counting:
    """ASGI middleware that counts answers, by the route that gave them: never by an address, of which there is no end.

    Parameters
    ----------
    app
        What answers.
    counters
        What counts.
    """

    def __init__(self, app: ASGIApp, counters: Counters) -> None:
        self._app, self._counters = app, counters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and count."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status = time.perf_counter(), 500

        async def counted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, counted)
        finally:
            route = getattr(scope.get("route"), "path", "none")
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._counters.requests.labels(method, route, status).inc()
            self._counters.seconds.labels(route).observe(time.perf_counter() - begun)


_METHODS = ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS")
