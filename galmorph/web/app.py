"""App: the service as an ASGI application."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse
from starlette.requests import ClientDisconnect

import galmorph
from galmorph.errors import ArchiveError, BusyError, GalmorphError, NotReadyError
from galmorph.web import job_routes, pages, routes
from galmorph.web.counters import Counters, Counting
from galmorph.web.desk import Desk
from galmorph.web.guard import Guard
from galmorph.web.reference import reference_page
from galmorph.web.service import Service
from galmorph.web.service_settings import ServiceSettings

__all__ = ["create_app"]

_ABOUT = "Classifies galaxies: class, probabilities, radii and reasons for doubt of an image, a cutout or a position."


def create_app(settings: ServiceSettings, store: Any = None) -> FastAPI:
    """Make the application.

    Parameters
    ----------
    settings
        What it takes and refuses.
    store
        Of models, images, labels, keys and jobs; it stays open for as long as the application runs.

    Returns
    -------
    FastAPI
        Its ``state.service`` is the :class:`~galmorph.web.service.Service`.
    """
    service = Service(settings, store)
    app = FastAPI(
        title="galmorph", version=galmorph.__version__, description=_ABOUT, docs_url=None, redoc_url=None, lifespan=_run
    )
    app.state.service, app.state.counters = service, Counters(service)
    app.state.desk = Desk(service) if store is not None else None
    app.include_router(routes.router)
    app.include_router(job_routes.router)
    app.include_router(pages.router)
    app.add_api_route("/docs", _reference, include_in_schema=False)
    app.add_exception_handler(GalmorphError, _refused)
    app.add_exception_handler(ClientDisconnect, _gone)
    app.add_middleware(Guard, settings=settings, store=store)
    app.add_middleware(Counting, counters=app.state.counters)
    return app


@asynccontextmanager
async def _run(app: FastAPI) -> AsyncIterator[None]:
    """Load the models while requests for health are answered already."""
    service: Service = app.state.service
    tasks = [asyncio.create_task(service.load())]
    tasks[0].add_done_callback(service.note)
    if service.jobs is not None:
        tasks.append(asyncio.create_task(service.jobs.run()))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if app.state.desk is not None:
            app.state.desk.close()
        service.close()


def _reference(request: Request) -> HTMLResponse:
    return HTMLResponse(reference_page(request.app.openapi()))


def _refused(_request: Request, error: Exception) -> JSONResponse:
    """Say what a request stopped at."""
    if isinstance(error, BusyError):
        status = 503 if isinstance(error, NotReadyError) else 429
        return JSONResponse({"detail": str(error)}, status, {"retry-after": f"{error.wait_s:.0f}"})
    return JSONResponse({"detail": str(error)}, 502 if isinstance(error, ArchiveError) else 422)


def _gone(_request: Request, _error: Exception) -> JSONResponse:
    """Count a request whose sender went away while it sent it, as one that cannot be read; nobody gets the answer."""
    return JSONResponse({"detail": "the request ended before its body did: send it whole"}, 400)
