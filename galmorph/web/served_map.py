"""ServedMap: a page of ``galmorph map`` among the service's own, from which galaxies are chosen to be labelled."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import FileResponse

from galmorph.errors import PipelineError
from galmorph.pages.look import integrity, source

__all__ = ["check_map", "map_file"]

_HEAD = 4096
"""Bytes in which a page says what may run in it."""


def check_map(path: Path) -> None:
    """Refuse what is no page of ``galmorph map``.

    Raises
    ------
    PipelineError
        If the file cannot be read, or its script is not the one that is ours.
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        raise PipelineError(f"map '{path}' cannot be read ({error.strerror}): check the path") from error
    if integrity(source("map.js")).encode() not in head:
        raise PipelineError(
            f"'{path}' is no map that this version wrote: expected a page of galmorph map --page; make it anew"
        )


def map_file(path: Path) -> FileResponse:
    """Return the page; of all scripts ours alone may run in it, whatever the file has become."""
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src {integrity(source('map.js'))}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return FileResponse(path, media_type="text/html", headers={"content-security-policy": policy})
