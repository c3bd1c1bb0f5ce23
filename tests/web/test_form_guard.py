"""FormGuard: forms of other sites are refused."""

from __future__ import annotations

import pytest

from galmorph.web.form_guard import TOKEN_COOKIE, is_own_form, token_of

TOKEN = "x" * 43
HOST = {"host": "localhost:8000"}


def test_a_visitor_keeps_the_token():
    assert token_of({TOKEN_COOKIE: TOKEN}) == TOKEN
    fresh = token_of({})
    assert len(fresh) == 43
    assert token_of({}) != fresh
    assert token_of({TOKEN_COOKIE: "short"}) != "short"


@pytest.mark.parametrize(
    ("headers", "cookies", "token"),
    [
        (HOST, {}, TOKEN),
        (HOST, {TOKEN_COOKIE: TOKEN}, ""),
        (HOST, {TOKEN_COOKIE: TOKEN}, "y" * 43),
        (HOST, {TOKEN_COOKIE: ""}, ""),
        (HOST, {TOKEN_COOKIE: TOKEN}, "é" * 43),
        ({**HOST, "origin": "https://example.org"}, {TOKEN_COOKIE: TOKEN}, TOKEN),
        ({**HOST, "origin": "null"}, {TOKEN_COOKIE: TOKEN}, TOKEN),
        ({**HOST, "origin": "http://localhost:8001"}, {TOKEN_COOKIE: TOKEN}, TOKEN),
        ({**HOST, "sec-fetch-site": "cross-site"}, {TOKEN_COOKIE: TOKEN}, TOKEN),
        ({**HOST, "sec-fetch-site": "same-site"}, {TOKEN_COOKIE: TOKEN}, TOKEN),
    ],
)
def test_a_form_from_elsewhere_is_refused(headers, cookies, token):
    assert not is_own_form(headers, cookies, token)


@pytest.mark.parametrize("origin", [{}, {"origin": "http://localhost:8000", "sec-fetch-site": "same-origin"}])
def test_a_form_of_the_page_is_taken(origin):
    assert is_own_form({**HOST, **origin}, {TOKEN_COOKIE: TOKEN}, TOKEN)
