"""SiteLook: how the service's pages are rendered, and the files that they load."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from galmorph.pages.look import environment, source
from galmorph.web.form_guard import TOKEN_COOKIE, token_of

__all__ = ["rendered", "seen_other", "static_file"]

_HERE = Path(__file__).parent
_SHEETS = ("palette.css", "style.css", "figures.css", "controls.css")
_SCRIPTS = ("sliders.js",)
"""That reports have, too."""


@cache
def _environment() -> Environment:
    return environment(_HERE / "templates")


def rendered(request: Request, template: str, contents: dict[str, Any], *, status: int = 200) -> HTMLResponse:
    """Render a page, with the token that its forms carry."""
    token = token_of(request.cookies)
    here = "/" + request.url.path.strip("/").partition("/")[0]
    common = {
        "token": token,
        "here": here,
        "caller": getattr(request.state, "caller", ""),
        "has_map": request.app.state.service.settings.map is not None,
    }
    page = _environment().get_template(template).render(common | contents)
    # Text of catalogues may hold lone surrogates, which no encoding has.
    answer = HTMLResponse(page.encode("utf-8", "replace"), status)
    is_secure = request.url.scheme == "https"
    answer.set_cookie(TOKEN_COOKIE, token, httponly=True, samesite="strict", secure=is_secure)
    return answer


def seen_other(address: str) -> RedirectResponse:
    """Answer a form with the page that shows what came of it."""
    return RedirectResponse(address, 303)


@cache
def _static(name: str) -> tuple[str, bytes] | None:
    kinds = {"page.css": ("text/css", _SHEETS), "page.js": ("text/javascript", _SCRIPTS)}
    if name not in kinds:
        return None
    kind, shared = kinds[name]
    own = (_HERE / "static" / name).read_text(encoding="utf-8")
    return kind, "\n".join([*(source(each) for each in shared), own]).encode()


def static_file(name: str) -> Response:
    """Return a file that pages load; there are two."""
    if (file := _static(name)) is None:
        return Response(status_code=404)
    kind, content = file
    return Response(content, media_type=kind, headers={"cache-control": "no-cache"})
