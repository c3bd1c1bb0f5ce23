"""Reference: the service's addresses as a plain page, which needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

__all__ = ["reference_page"]


def reference_page(openapi: Mapping[str, Any]) -> str:
    """Write a page about what ``/openapi.json`` says."""
    parts = [
        _operation(path, method, operation)
        for path, methods in openapi["paths"].items()
        for method, operation in methods.items()
    ]
    title = escape(openapi["info"]["title"])
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"></head>'
        f"<body><main><h1>{title}</h1><p>{escape(openapi['info'].get('description', ''))}</p>{''.join(parts)}"
        "</main></body></html>"
    )


def _operation(path: str, method: str, operation: Mapping[str, Any]) -> str:
    fields = [
        f"<dt><code>{escape(name)}</code></dt><dd>{escape(what.get('description', ''))}</dd>"
        for content in operation.get("requestBody", {}).get("content", {}).values()
        for name, what in content.get("schema", {}).get("properties", {}).items()
    ]
    answers = [
        f"<dt>{escape(status)}</dt><dd>{escape(what.get('description', ''))}</dd>"
        for status, what in operation.get("responses", {}).items()
    ]
    return (
        f"<section><h2><code>{method.upper()} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', operation.get('summary', '')))}</p>"
        f"<dl>{''.join(fields)}</dl><h3>Answers</h3><dl>{''.join(answers)}</dl></section>"
    )
