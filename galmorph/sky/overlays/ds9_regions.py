"""Ds9Regions: a result as a region file of SAOImage DS9, which Aladin and astropy's regions read, too."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

import galmorph
from galmorph.sky.formats.atomic import replacing
from galmorph.sky.overlays.placed_rows import PlacedRows

__all__ = ["write_regions"]

_COLOURS = ("red", "cyan", "yellow", "magenta", "green", "orange", "blue", "white")
"""In the order in which classes come in the alphabet."""
_ROUND = 1e-3
"""Ellipticity below which a circle is drawn."""


def write_regions(rows: PlacedRows, path: Path, *, overwrite: bool = False) -> int:
    """Write an ellipse or circle of each row at its Petrosian radius, with its class; return how many.

    An ellipse has the area of the circle. Rows without a radius are points, those with a flag are dashed, and rows that
    are nowhere are left out.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    classes = sorted({each for each in rows.classes if each})
    colours = {each: _COLOURS[n % len(_COLOURS)] for n, each in enumerate(classes)}
    placed = np.flatnonzero(rows.are_placed).tolist()
    lines = [
        "# Region file format: DS9 version 4.1",
        f"# galmorph {galmorph.__version__}: Petrosian radii as circles, or ellipses of the same area",
        'global color=green dashlist=8 3 width=1 font="helvetica 10 normal roman" select=1 edit=1 move=0 delete=1',
        "icrs",
        *(f"{_shape(rows, row)} # {_words(rows, row, colours)}" for row in placed),
    ]
    with replacing(path, overwrite=overwrite) as temporary:
        temporary.write_text("\n".join(lines) + "\n", encoding="ascii")
    return len(placed)


def _shape(rows: PlacedRows, row: int) -> str:
    place = f"{rows.ra_deg[row]:.7f},{rows.dec_deg[row]:.7f}"
    radius, ellipticity, angle = rows.rpet_arcsec[row], rows.ellipticity[row], rows.position_angle_deg[row]
    if not radius > 0:
        return f"point({place})"
    if not (_ROUND < ellipticity < 1 and np.isfinite(angle)):
        return f'circle({place},{radius:.3f}")'
    ratio = np.sqrt(1 - ellipticity)
    # DS9 counts from the axis that points west, astronomers from north; both towards east.
    return f'ellipse({place},{radius / ratio:.3f}",{radius * ratio:.3f}",{(angle + 90) % 360:.2f})'


def _words(rows: PlacedRows, row: int, colours: dict[str, str]) -> str:
    name = rows.classes[row]
    words = [f"color={colours[name]}", f"text={{{_plain(name)}}}", f"tag={{{_plain(name)}}}"] if name else []
    words += ["dash=1"] if rows.flags[row] else []
    words += [] if rows.rpet_arcsec[row] > 0 else ["point=x"]
    return " ".join([*words, f"tag={{id {_plain(rows.ids[row])}}}"])


def _plain(text: str) -> str:
    """Return text that ends no property: printable ASCII without braces, semicolons or number signs."""
    return re.sub(r"[^ -~]|[{}#;|\"']", "_", text)
