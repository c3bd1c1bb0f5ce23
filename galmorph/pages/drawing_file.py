"""DrawingFile: a figure as an SVG file of its own, with its style, that any viewer and any paper takes."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import Markup

from galmorph.pages.look import source
from galmorph.sky.formats.atomic import replacing

__all__ = ["write_drawing"]

_ENLARGED = 1.5
"""Pixels of one unit of a drawing, whose letters are of 11 units: legible where a viewer shows it as it is."""


def write_drawing(path: Path, picture: Markup, width: float, height: float, *, overwrite: bool = True) -> None:
    """Write an ``<svg>`` element into a file, whole or not at all.

    Parameters
    ----------
    path
        File to write, ``.svg``.
    picture
        The element, with a view box.
    width, height
        Of its view box.
    overwrite
        Whether an earlier file may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    head, rest = str(picture).split(">", 1)
    text = (
        f'{head} width="{_ENLARGED * width:g}" height="{_ENLARGED * height:g}" xmlns="http://www.w3.org/2000/svg">'
        f'<style>{_style()}</style><rect class="paper" width="100%" height="100%"/>{rest}\n'
    )
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _style() -> str:
    """Write the figures' style with the colours of the light palette in place of their names.

    Viewers of pictures other than browsers know no custom properties.
    """
    light = source("palette.css").partition("@media")[0]
    colours = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", light))
    plain = re.sub(r"var\((--[\w-]+)\)", lambda name: colours[name[1]], source("figures.css"))
    return f"text {{ font-family: system-ui, sans-serif; }}\n{plain}"
