"""Pages: the addresses at which people classify, look through, label and retrain, by a browser."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from typing import Any
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from galmorph.errors import GalmorphError, StoreError
from galmorph.web.desk import Desk
from galmorph.web.form_guard import is_own_form
from galmorph.web.guard import COOKIE, cookie_of
from galmorph.web.label_page import AUTHOR_COOKIE, label_page, labelled
from galmorph.web.served_map import map_file
from galmorph.web.site_look import rendered, seen_other, static_file
from galmorph.web.table_query import TableQuery, galaxy_address
from galmorph.web.uploads import Form, form_of

__all__ = ["router"]

_MOST_FILES = 200
_YEAR_S = 31_536_000


class _Page(APIRoute):
    """A route whose refusals are pages, too."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler that explains what it stopped at."""
        handler = super().get_route_handler()

        async def explained(request: Request) -> Response:
            try:
                return await handler(request)
            except GalmorphError as error:
                return _message(request, 404 if isinstance(error, StoreError) else 422, str(error))
            except HTTPException as error:
                return _message(request, error.status_code, str(error.detail))

        return explained


router = APIRouter(route_class=_Page, include_in_schema=False)


def _message(request: Request, status: int, text: str) -> Response:
    heading = {404: "Not there", 403: "Not allowed"}.get(status, "That did not work")
    back = request.url.path if request.method == "GET" and status != 404 else "/"
    contents = {"heading": heading, "text": text[:1].upper() + text[1:], "back": back if status == 404 else "/"}
    return rendered(request, "message.html.j2", contents, status=status)


def _desk(request: Request) -> Desk:
    """Return the desk of an application."""
    desk: Desk | None = request.app.state.desk
    if desk is None:
        raise StoreError("this service has no store, so there is nothing to look through: start it with --store")
    return desk


async def _own_form(request: Request, *, most_files: int = 1) -> Form:
    """Read a form of this page.

    Raises
    ------
    HTTPException
        403 if it is of another site.
    """
    if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
        pairs = parse_qsl((await request.body()).decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=60)
        form = Form(dict(pairs))
    else:
        form = await form_of(request, most_files=most_files)
    if not is_own_form(request.headers, request.cookies, form.fields.get("token", "")):
        raise HTTPException(403, "the form is too old, or of another site: open the page again, and send it from there")
    return form


@router.get("/static/{name}")
def static(name: str) -> Response:
    """Return the style sheet, or the script."""
    return static_file(name)


@router.get("/login")
def login(request: Request) -> Response:
    """Ask for a key, where one is needed."""
    return seen_other("/") if _is_open(request) else rendered(request, "login.html.j2", {"error": ""})


@router.post("/login")
async def enter(request: Request) -> Response:
    """Let a browser keep a key."""
    key = (await _own_form(request)).fields.get("key", "").strip()
    if await run_in_threadpool(_desk(request).store.check_key, key) is None:
        return rendered(request, "login.html.j2", {"error": "That is no key of this service."}, status=403)
    answer = seen_other("/")
    answer.headers.append("set-cookie", cookie_of(key, secure=request.url.scheme == "https"))
    return answer


@router.post("/logout")
async def leave(request: Request) -> Response:
    """Let a browser forget its key."""
    await _own_form(request)
    answer = seen_other("/login")
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer


@router.get("/")
def start(request: Request) -> Response:
    """Show the form by which pictures and catalogues are classified."""
    return rendered(request, "upload.html.j2", _desk(request).start_page())


@router.post("/upload")
async def upload(request: Request) -> Response:
    """Classify pictures; show the galaxy, or the table if there are several."""
    desk = _desk(request)
    desk.service.check_room()
    form = await _own_form(request, most_files=_MOST_FILES)
    ids, model = await run_in_threadpool(desk.take, form.files.get("images", []), form.fields)
    query = TableQuery(sort="-number", model=model)
    if len(ids) == 1:
        return seen_other(galaxy_address(ids[0], urlencode(query.parameters)))
    return seen_other(query.address())


@router.post("/catalogue")
async def catalogue(request: Request) -> Response:
    """Add the rows of a table, and show them while they are classified."""
    desk = _desk(request)
    form = await _own_form(request)
    model = await run_in_threadpool(desk.take_catalogue, form.file("catalog"), form.fields)
    return seen_other(TableQuery(sort="-number", model=model).address())


@router.get("/galaxies")
def galaxies(request: Request) -> Response:
    """Show a table of galaxies."""
    return rendered(request, "galaxies.html.j2", _desk(request).table_page(TableQuery.of(request.query_params)))


@router.get("/galaxies/table")
def table(request: Request) -> Response:
    """Return the rows that are shown, all pages of them, as a file."""
    query = TableQuery.of(request.query_params)
    name, content = _desk(request).table_file(query, request.query_params.get("format", "fits"))
    return _download(name, content)


def _download(name: str, content: bytes) -> Response:
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type="application/octet-stream", headers=headers)


@router.get("/galaxy")
def galaxy_of_query(request: Request) -> Response:
    """Show a galaxy whose id is no part of a path."""
    return galaxy(request, request.query_params.get("id", ""))


@router.get("/galaxies/{id}")
def galaxy(request: Request, id: str) -> Response:
    """Show a galaxy."""
    contents = _desk(request).galaxy_page(id, TableQuery.of(request.query_params), request.query_params)
    return rendered(request, "galaxy.html.j2", contents)


@router.get("/picture")
def picture(request: Request) -> Response:
    """Draw a galaxy."""
    asked = request.query_params
    png = _desk(request).pictures.png(
        asked.get("id", ""), asked.get("model", ""), asked.get("kind", "stretched"), dict(asked)
    )
    if png is None:
        return Response(status_code=404)
    return Response(png, media_type="image/png", headers={"cache-control": "private, max-age=60"})


@router.get("/map")
def galaxy_map(request: Request) -> Response:
    """Show the map of the store's galaxies."""
    path = _desk(request).service.settings.map
    if path is None:
        raise StoreError("this service has no map: make one with 'galmorph map --page', and start it with --map")
    return map_file(path)


@router.get("/label")
def label(request: Request) -> Response:
    """Ask the next question about a galaxy."""
    desk, author = _desk(request), _author(request)
    answer = rendered(
        request, "label.html.j2", label_page(desk, author, request.query_params, is_open=_is_open(request))
    )
    if author and _is_open(request):
        answer.set_cookie(AUTHOR_COOKIE, author.encode().hex(), max_age=_YEAR_S, httponly=True, samesite="strict")
    return answer


@router.post("/label")
async def take_label(request: Request) -> Response:
    """Note an answer, pass a galaxy over, or take the last step back."""
    form = await _own_form(request)
    return seen_other(await run_in_threadpool(labelled, _desk(request), _author(request), form.fields))


@router.get("/labels")
def labels(request: Request) -> Response:
    """Return the labels as a table that ``galmorph train`` reads."""
    asked = request.query_params
    name, content = _desk(request).label_file(asked.get("scheme", ""), asked.get("format", "ecsv"))
    return _download(name, content)


@router.get("/retrain")
def retrain(request: Request) -> Response:
    """Show what can be learnt from the labels, and the trainings."""
    return rendered(request, "retrain.html.j2", _desk(request).retrain_page(request.query_params.get("scheme", "")))


@router.post("/retrain")
async def start_training(request: Request) -> Response:
    """Start a training."""
    form = await _own_form(request)
    await run_in_threadpool(_desk(request).retraining.start, form.fields.get("pipeline", ""))
    return seen_other("/retrain")


def _is_open(request: Request) -> bool:
    """Whether nobody needs a key, so that people say who they are."""
    return bool(request.app.state.service.settings.is_open)


def _author(request: Request) -> str:
    """Return who labels: the name of the key, or what somebody calls oneself."""
    if not _is_open(request):
        return str(getattr(request.state, "caller", ""))
    name = request.query_params.get("author", "").strip()
    if not name:
        with contextlib.suppress(ValueError):
            name = bytes.fromhex(request.cookies.get(AUTHOR_COOKIE, "")).decode()
    return name[:80] if name.isprintable() else ""
