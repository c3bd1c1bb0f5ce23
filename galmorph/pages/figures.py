"""Figures: histograms and scatter plots as inline SVG.

They are drawn with colours of the page's style sheet, so they follow its light and dark modes, and need nothing but
the page that they are in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.pages.marks import mark_path

__all__ = [
    "MOST_POINTS",
    "Axis",
    "Chart",
    "Mark",
    "count_text",
    "histogram",
    "polyline",
    "scatter",
]

FloatArray = npt.NDArray[np.float64]

_LEFT, _RIGHT, _TOP, _BOTTOM = 46.0, 12.0, 14.0, 42.0
_BINS = 28
# More points would hide one another (and fill the page): then cells are shaded instead.
MOST_POINTS = 1200
_CELLS = (56, 32)
_DOT = 3.0  # radius of a row's mark
_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Mark:
    """A value worth a line across a figure, and what it is."""

    value: float
    title: str


@dataclass(frozen=True)
class Axis:
    """A range of values along one side of a figure.

    Parameters
    ----------
    title
        What the values are, with their unit.
    low, high
        Ends of the axis.
    log
        Whether equal steps are equal factors; then both ends are positive.
    whole
        Whether only whole numbers are marked.
    """

    title: str
    low: float
    high: float
    log: bool = False
    whole: bool = False

    @classmethod
    def over(cls, title: str, values: FloatArray, *, log: bool = False, top_percentile: float = 100.0) -> Axis:
        """Make an axis that holds `values`, (N,); NaN, and on a logarithmic axis what is not positive, is left out."""
        finite = values[np.isfinite(values) & ((values > 0) | (not log))]
        if finite.size == 0:
            return cls(title, 1.0 if log else 0.0, 10.0 if log else 1.0, log)
        if not log:
            top = float(np.percentile(finite, top_percentile))
            return cls(title, 0.0, top * 1.02 if top > 0 else 1.0)
        low, high = float(finite.min()), float(finite.max())
        room = max((high / low) ** 0.03, 1.1)
        return cls(title, low / room, high * room, log=True)

    def shares(self, values: npt.ArrayLike) -> FloatArray:
        """Return how far along the axis values lie, from 0 at its low to 1 at its high end; NaN if nowhere."""
        places = np.asarray(values, np.float64)
        if not self.log:
            return (places - self.low) / (self.high - self.low)
        logs = np.log(places, out=np.full(places.shape, np.nan), where=places > 0)
        return np.asarray((logs - np.log(self.low)) / np.log(self.high / self.low), np.float64)

    def edges(self, n: int) -> FloatArray:
        """Return the n + 1 ends of n bins."""
        make = np.geomspace if self.log else np.linspace
        return np.asarray(make(self.low, self.high, n + 1), np.float64)

    def ticks(self, most: int = 6) -> list[tuple[float, str]]:
        """Return round values on the axis, about `most` if it is linear, and their texts."""
        values = _log_ticks(self.low, self.high) if self.log else _linear_ticks(self.low, self.high, most)
        inside = [v for v in values if -1e-9 <= float(self.shares(v)) <= 1 + 1e-9]
        return [(v, _number(v)) for v in inside if v == int(v) or not self.whole]


def _linear_ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(power * s for s in (1, 2, 5, 10) if power * s >= rough * 0.999)
    return [float(np.round(step * i, 12)) for i in range(int(np.ceil(low / step)), int(high / step + 1e-9) + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = int(np.floor(np.log10(low))), int(np.ceil(np.log10(high)))
    decades = float(np.log10(high / low))
    steps = (1, 2, 3, 5, 7) if decades < 0.8 else (1, 2, 5) if decades < 2.3 else (1, 3) if decades < 3.3 else (1,)
    every = max(round(decades / 6), 1)
    return [s * 10.0**p for p in range(first, last + 1, every) for s in steps]


def _number(value: float) -> str:
    if value != 0 and not 1e-3 <= abs(value) < 1e5:
        power = int(np.floor(np.log10(abs(value)) + 1e-9))
        lead = f"{value / 10.0**power:g}"
        return ("" if lead == "1" else f"{lead}×") + f"10{str(power).translate(_SUPERSCRIPT)}"
    return f"{value:g}"


def count_text(count: int) -> str:
    """Write a count with narrow spaces between thousands."""
    return f"{count:,}".replace(",", "\u202f")


@dataclass(frozen=True)
class Chart:
    """Two axes and the room between them; lengths are in units of the drawing, y downwards.

    Parameters
    ----------
    across, up
        The axes.
    width, height
        Of the drawing with its titles.
    lines
        About so many values are marked on the left axis.
    """

    across: Axis
    up: Axis
    width: int = 400
    height: int = 230
    lines: int = 4

    @property
    def inner(self) -> tuple[float, float]:
        """Width and height between the axes."""
        return self.width - _LEFT - _RIGHT, self.height - _TOP - _BOTTOM

    @property
    def foot(self) -> float:
        """Where the lower axis lies."""
        return self.height - _BOTTOM

    def x(self, share: float) -> str:
        """Return where a share of the way along the lower axis lies."""
        return f"{_LEFT + share * self.inner[0]:.1f}"

    def y(self, share: float) -> str:
        """Return where a share of the way up the left axis lies."""
        return f"{_TOP + (1.0 - share) * self.inner[1]:.1f}"

    def svg(self, about: str, contents: Markup, *, empty: bool = False) -> Markup:
        """Put axes around `contents`; `about` is the text for those who cannot see it."""
        note = Markup('<text class="none" x="{}" y="{}" text-anchor="middle">no values</text>').format(
            self.x(0.5), self.y(0.5)
        )
        return Markup(
            '<svg class="figure" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">{3}{4}{5}'
            '<line class="axis" x1="{6}" x2="{7}" y1="{8}" y2="{8}"/>'
            '<text class="title" x="{9}" y="{10}" text-anchor="middle">{11}</text>'
            '<text class="title" transform="translate(11 {12}) rotate(-90)" text-anchor="middle">{13}</text></svg>'
        ).format(
            self.width, self.height, about, self._side_ticks(), self._bottom_ticks(), note if empty else contents,
            self.x(0), self.x(1), self.y(0), self.x(0.5), self.height - 6, self.across.title, self.y(0.5),
            self.up.title,
        )  # fmt: skip

    def _bottom_ticks(self) -> Markup:
        tick = Markup(
            '<line class="tick" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
            '<text x="{0}" y="{3}" text-anchor="middle">{4}</text>'
        )
        foot = self.foot
        return Markup("").join(
            tick.format(self.x(float(self.across.shares(v))), foot, foot + 4, foot + 16, t)
            for v, t in self.across.ticks()
        )

    def _side_ticks(self) -> Markup:
        tick = Markup(
            '<line class="grid" x1="{0}" x2="{1}" y1="{2}" y2="{2}"/>'
            '<text x="{3}" y="{4:.1f}" text-anchor="end">{5}</text>'
        )
        return Markup("").join(
            tick.format(self.x(0), self.x(1), self.y(share), _LEFT - 5, float(self.y(share)) + 3.5, text)
            for value, text in self.up.ticks(self.lines)
            for share in [float(self.up.shares(value))]
        )


def polyline(chart: Chart, x: FloatArray, y: FloatArray, style: str) -> Markup:
    """Draw a line through points, (N,) each; values above and below the axis lie on its ends, NaN is left out.

    Parameters
    ----------
    style
        Names of the line's classes in the style sheet.
    """
    right, high = chart.across.shares(x), np.clip(chart.up.shares(y), 0.0, 1.0)
    there = np.isfinite(right) & np.isfinite(high)
    points = zip(right[there].tolist(), high[there].tolist(), strict=True)
    places = " ".join(f"{chart.x(r)},{chart.y(h)}" for r, h in points)
    return Markup('<polyline class="{}" points="{}"/>').format(style, places)


def histogram(axis: Axis, values: FloatArray, *, marks: Sequence[Mark] = ()) -> Markup:
    """Draw how many rows have which value.

    Parameters
    ----------
    axis
        Along the bottom; values beyond it are not drawn (the caller says how many).
    values
        (N,); NaN is left out.
    marks
        Lines across the figure; those beyond the axis are left out.

    Returns
    -------
    Markup
        An ``<svg>`` element with a text for those who cannot see it.
    """
    edges = axis.edges(_BINS)
    # The outermost values are not lost to the rounding of geomspace.
    edges[0], edges[-1] = axis.low, axis.high
    counts, _ = np.histogram(values[np.isfinite(values)], edges)
    upright = Axis("rows", 0.0, max(float(counts.max()) * 1.08, 1.0), whole=True)
    chart = Chart(axis, upright)
    bars = Markup("").join(_bar(chart, edges, i, int(n)) for i, n in enumerate(counts) if n)
    finite = values[np.isfinite(values)]
    middle = f", median {np.median(finite):.3g}" if finite.size else ""
    about = f"Histogram of {axis.title}: {count_text(finite.size)} rows{middle}."
    return chart.svg(about, bars + _lines(chart, marks), empty=finite.size == 0)


def _bar(chart: Chart, edges: FloatArray, i: int, count: int) -> Markup:
    left, right = chart.across.shares(edges[i : i + 2]).tolist()
    tall = float(chart.up.shares(count))
    return Markup('<rect class="bar" x="{}" y="{}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>').format(
        chart.x(left),
        chart.y(tall),
        max((right - left) * chart.inner[0] - 1.0, 1.0),
        tall * chart.inner[1],
        f"{edges[i]:.3g} to {edges[i + 1]:.3g}: {count_text(count)} rows",
    )


def scatter(
    across: Axis, up: Axis, x: FloatArray, y: FloatArray, colours: npt.NDArray[np.intp], *, marks: Sequence[Mark] = ()
) -> Markup:
    """Draw one value against another: a mark per row, or shaded cells where there are many rows.

    Parameters
    ----------
    across, up
        The axes.
    x, y
        (N,); NaN is left out.
    colours
        (N,) number of each row's colour in the style sheet, -1 for none.
    marks
        Values of x worth a line.
    """
    right, high = across.shares(x), up.shares(y)
    inside = (right >= 0) & (right <= 1) & (high >= 0) & (high <= 1)
    n = int(inside.sum())
    about = f"{up.title} against {across.title} of {count_text(n)} rows."
    draw = _dots if n <= MOST_POINTS else _cells
    chart = Chart(across, up)
    rows = draw(chart, right[inside], high[inside], colours[inside])
    return chart.svg(about, rows + _lines(chart, marks), empty=n == 0)


def _dots(chart: Chart, right: FloatArray, high: FloatArray, colours: npt.NDArray[np.intp]) -> Markup:
    dot = Markup('<path class="dot c{}" d="{}"/>')
    rows = zip(right.tolist(), high.tolist(), colours.tolist(), strict=True)
    return Markup("").join(
        dot.format(c if c >= 0 else "none", mark_path(c, float(chart.x(x)), float(chart.y(y)), _DOT))
        for x, y, c in rows
    )


def _cells(chart: Chart, right: FloatArray, high: FloatArray, _colours: npt.NDArray[np.intp]) -> Markup:
    counts, _, _ = np.histogram2d(right, high, _CELLS, ((0.0, 1.0), (0.0, 1.0)))
    wide, tall = 1.0 / _CELLS[0], 1.0 / _CELLS[1]
    cell = Markup('<rect class="cell" x="{}" y="{}" width="{:.2f}" height="{:.2f}" opacity="{:.2f}"/>')
    # The square root keeps single rows visible beside crowded cells.
    shade = 0.15 + 0.85 * np.sqrt(counts / max(counts.max(), 1.0))
    return Markup("").join(
        cell.format(
            chart.x(i * wide), chart.y((j + 1) * tall), wide * chart.inner[0], tall * chart.inner[1], shade[i, j]
        )
        for i, j in zip(*(n.tolist() for n in np.nonzero(counts)), strict=True)
    )


def _lines(chart: Chart, marks: Iterable[Mark]) -> Markup:
    placed = [(float(chart.across.shares(m.value)), m.title) for m in marks]
    inside = [(share, title) for share, title in placed if 0 <= share <= 1]
    line = Markup(
        '<line class="mark" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>'
        '<text class="halo" x="{3:.1f}" y="{4}" text-anchor="{5}">{6}</text>'
    )
    return Markup("").join(
        line.format(
            chart.x(share),
            _TOP,
            chart.foot,
            _LEFT + share * chart.inner[0] + (4 if share < 0.6 else -4),
            _TOP + 10 + 13 * number,
            "start" if share < 0.6 else "end",
            title,
        )
        for number, (share, title) in enumerate(inside)
    )
