"""Marks: a shape, or beyond the eighth a letter, for each class, so that nobody needs colours to tell them apart."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

__all__ = ["N_COLOURS", "colour_of", "letter_of", "mark_path", "swatch"]

N_COLOURS = 8
"""Colours of the style sheet that tell answers or networks apart; each has a shape."""

Point = tuple[float, float]

_CROSS = [(-1, 3), (1, 3), (1, 1), (3, 1), (3, -1), (1, -1), (1, -3), (-1, -3), (-1, -1), (-3, -1), (-3, 1), (-1, 1)]
# Corners for a radius of 1, y downwards. Areas are alike, lest one class look larger than another.
_SHAPES: tuple[list[Point], ...] = (
    [],  # a circle
    [(-0.86, -0.86), (0.86, -0.86), (0.86, 0.86), (-0.86, 0.86)],
    [(0.0, -1.15), (1.15, 0.85), (-1.15, 0.85)],
    [(0.0, -1.25), (1.0, 0.0), (0.0, 1.25), (-1.0, 0.0)],
    [(x / 2.7, y / 2.7) for x, y in _CROSS],
    [(0.0, 1.15), (1.15, -0.85), (-1.15, -0.85)],
    [((x - y) / 3.8, (x + y) / 3.8) for x, y in _CROSS],
    [(-1.1, -1.0), (1.1, -1.0), (-1.1, 1.0), (1.1, 1.0)],
)


def colour_of(number: int) -> int:
    """Return the number of an answer's or a network's colour in the style sheet: -1 (grey) beyond the last."""
    return number if number < N_COLOURS else -1


def mark_path(number: int, x: float = 0.0, y: float = 0.0, radius: float = 5.0) -> str:
    """Outline the shape of a class about a point, as the data of an SVG path.

    Examples
    --------
    >>> mark_path(1, 10.0, 10.0, 5.0)
    'M5.7 5.7L14.3 5.7L14.3 14.3L5.7 14.3z'
    """
    corners = _SHAPES[number] if 0 <= number < N_COLOURS else []
    if not corners:
        half = f"a{radius:g} {radius:g} 0 1 0"
        return f"M{x - radius:.1f} {y:.1f}{half} {2 * radius:g} 0{half}-{2 * radius:g} 0z"
    points = np.array(corners) * radius + np.array([x, y])
    return "M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in points.tolist()) + "z"


def swatch(number: int) -> Markup:
    """Draw the mark of a class in its colour: its shape, a letter beyond the eighth, a ring for no class (-1)."""
    if number >= N_COLOURS:
        return Markup('<svg class="key cnone" viewBox="-6 -6 12 12" aria-hidden="true">{}</svg>').format(
            Markup('<text y="4.4" text-anchor="middle">{}</text>').format(letter_of(number))
        )
    style = "ring" if number < 0 else ""
    return Markup(
        '<svg class="key c{}" viewBox="-6 -6 12 12" aria-hidden="true"><path class="{}" d="{}"/></svg>'
    ).format(number if number >= 0 else "none", style or "shape", mark_path(number, radius=4.6))


def letter_of(number: int) -> str:
    """Return the letter of a class, of which there may be more than shapes."""
    return chr(ord("A") + number % 26)
