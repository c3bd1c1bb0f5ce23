"""FormGuard: tells forms of the page from those that another site sends in a visitor's name (CSRF).

A form carries the token of a cookie that other sites cannot read, and the browser says where it comes from.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from urllib.parse import urlsplit

__all__ = ["TOKEN_COOKIE", "is_own_form", "token_of"]

TOKEN_COOKIE = "gm_form"  # noqa: S105 - the name of a cookie, not its value
_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")


def token_of(cookies: Mapping[str, str]) -> str:
    """Return a visitor's token: that of the cookie, or a new one."""
    token = cookies.get(TOKEN_COOKIE, "")
    return token if _TOKEN.fullmatch(token) else secrets.token_urlsafe(32)


def is_own_form(headers: Mapping[str, str], cookies: Mapping[str, str], token: str) -> bool:
    """Whether a form is one of this page: its token is the cookie's, and no header says that it is from elsewhere.

    Examples
    --------
    >>> token = "a" * 43
    >>> is_own_form({"host": "localhost:8000"}, {TOKEN_COOKIE: token}, token)
    True
    >>> is_own_form({"host": "localhost:8000", "origin": "https://example.org"}, {TOKEN_COOKIE: token}, token)
    False
    """
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host", ""):
        return False
    if headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return False
    cookie = cookies.get(TOKEN_COOKIE, "")
    return bool(_TOKEN.fullmatch(cookie)) and secrets.compare_digest(cookie.encode(), token.encode())
