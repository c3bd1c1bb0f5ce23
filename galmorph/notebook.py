"""Notebook: what Jupyter shows of an object, as a short table in HTML."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

__all__ = ["html_table"]

_LONGEST = 300


def html_table(title: str, rows: Mapping[str, object]) -> str:
    """Write a table of two columns; all text is escaped, long text cut.

    Parameters
    ----------
    title
        What stands above it.
    rows
        Names and values; those without a value are left out.

    Examples
    --------
    >>> html_table("Survey <x>", {"bands": "g, r", "fields": ""})
    '<table><caption>Survey &lt;x&gt;</caption><tr><th>bands</th><td>g, r</td></tr></table>'
    """
    texts = {name: str(value) for name, value in rows.items() if value is not None}
    cells = (f"<tr><th>{escape(name)}</th><td>{escape(_cut(text))}</td></tr>" for name, text in texts.items() if text)
    return f"<table><caption>{escape(_cut(title))}</caption>{''.join(cells)}</table>"


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
