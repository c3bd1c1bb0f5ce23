"""Look: the one style of all pages, and how a page gets onto the disk, whole or not at all."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import galmorph
from galmorph.errors import OutputError
from galmorph.pages.figures import count_text
from galmorph.sky.formats.atomic import replacing

__all__ = ["check_place", "environment", "style_sheet", "write_page"]

_TEMPLATES = Path(__file__).parent / "templates"


def style_sheet(name: str) -> str:
    """Read one of the style sheets."""
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def environment() -> Environment:
    """Make the environment in which every page is rendered."""
    # autoescape: names in catalogues, cards and files may hold anything, also HTML.
    pages = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["count"] = count_text
    pages.globals["version"] = galmorph.__version__
    return pages


def check_place(page: Path, *, option: str, overwrite: bool) -> None:
    """Make sure that a page can be written, whose folder need not exist yet; leaves nothing behind.

    Parameters
    ----------
    page
        The file.
    option
        By which another place is chosen, for the message.
    overwrite
        Whether an earlier page may be replaced.

    Raises
    ------
    OutputError
        If it exists and may not be replaced, or cannot be written.
    """
    try:
        taken = page.is_dir() or (page.exists() and not overwrite)
        root = next(p for p in (page.parent, *page.absolute().parents) if p.exists())
        if root.is_dir():
            tempfile.TemporaryDirectory(prefix=".galmorph-", dir=root).cleanup()
    except OSError as error:
        raise _unwritable(page, option, error) from error
    if not root.is_dir():
        raise OutputError(
            f"page '{page}' cannot be written: '{root}' is a file, expected a folder; choose another with {option}"
        )
    if taken:
        raise OutputError(
            f"page '{page}' exists already: expected none; choose another place with {option}, or --overwrite"
        )


def _unwritable(page: Path, option: str, error: OSError) -> OutputError:
    return OutputError(
        f"page '{page}' cannot be written ({error.strerror}): expected a folder that can; choose another with {option}"
    )


def write_page(page: Path, template: str, contents: dict[str, Any], *, option: str) -> None:
    """Render a page into a file; an earlier one stays untouched where that fails.

    Parameters
    ----------
    page
        The file; its folder is made where it does not exist.
    template
        Name of the template.
    contents
        What it shows.
    option
        As of :func:`check_place`.

    Raises
    ------
    OutputError
        If it cannot be written or the disk is full.
    """
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(page, option, error) from error
    rendered = environment().get_template(template).stream(contents)
    with replacing(page) as temporary, open(temporary, "w", encoding="utf-8", errors="replace") as stream:
        stream.writelines(rendered)
