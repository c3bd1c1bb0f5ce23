"""Look: the one style of all pages, and how a page gets onto the disk, whole or not at all."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import galmorph
from galmorph.errors import OutputError
from galmorph.pages.figures import count_text
from galmorph.pages.marks import swatch
from galmorph.sky.formats.atomic import replacing

__all__ = ["environment", "integrity", "source", "write_page"]

_TEMPLATES = Path(__file__).parent / "templates"


def source(name: str) -> Markup:
    """Read one of the style sheets or scripts, to stand in a page as it is."""
    return Markup((_TEMPLATES / name).read_text(encoding="utf-8"))  # noqa: S704 - it is ours


def integrity(text: str) -> Markup:
    """Return how a content security policy names a style sheet or script that stands in the page (CSP 3, 2.3.1).

    Examples
    --------
    >>> str(integrity("a {}"))[:16]
    "'sha256-mkSHzL7f"
    """
    digest = base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")
    return Markup("'sha256-{}'").format(Markup(digest))  # noqa: S704 - letters, digits, +, / and =


def environment(*folders: Path) -> Environment:
    """Make the environment in which every page is rendered.

    Parameters
    ----------
    folders
        Of templates of one's own, which may use those that are here.
    """
    # autoescape: names in catalogues, cards and files may hold anything, also HTML.
    pages = Environment(
        loader=FileSystemLoader([*folders, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters["count"] = count_text
    pages.filters["integrity"] = integrity
    pages.globals |= {"mark": swatch, "source": source}
    pages.globals["version"] = galmorph.__version__
    return pages


def _unwritable(page: Path, option: str, error: OSError) -> OutputError:
    return OutputError(
        f"page '{page}' cannot be written ({error.strerror}): expected a folder that can; choose another with {option}"
    )


def write_page(page: Path, template: str, contents: dict[str, Any], *, option: str, overwrite: bool) -> None:
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
        By which another place is chosen, for the message.
    overwrite
        Whether an earlier page may be replaced.

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
    with (
        replacing(page, overwrite=overwrite) as temporary,
        open(temporary, "w", encoding="utf-8", errors="replace") as stream,
    ):
        stream.writelines(rendered)
