"""FractionPlot: class fractions against what they are binned in, a panel for each answer, as one drawing for a paper.

Corrected shares are filled marks with a thick bar for 68 % and a thin one for 95 %; raw shares are open rings, a
little to the left. Bins of a second column have marks of other shapes as well as colours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table
from markupsafe import Markup

from galmorph.pages.class_fractions import ClassFractions
from galmorph.pages.drawing_file import write_drawing
from galmorph.pages.figures import Axis, Chart, count_text
from galmorph.pages.marks import colour_of, mark_path

__all__ = ["draw_fractions", "fraction_panels"]

FloatArray = npt.NDArray[np.float64]

_SIDES = (280, 210)
_MOST_ACROSS = 3
_ROOM = 22
"""Height of a panel's title, and of a line of the legend."""
_STEP = 0.028
"""Distance of neighbouring marks of a bin, as a share of the axis."""
_NAMES = {"raw": "counts", "prob": "mean probability", "pacc": "adjusted mean probability (PACC)"}
_RADIUS = 3.8


@dataclass(frozen=True)
class _Series:
    """Shares of one answer in bins of the first column; one of the bins of the second."""

    title: str
    number: int
    place: FloatArray
    rows: Table


def draw_fractions(fractions: ClassFractions, path: Path, question: str = "", *, overwrite: bool = False) -> None:
    """Draw the answers to one question into a file.

    Parameters
    ----------
    path
        File to write, ``.svg``.
    question
        By default the first that was counted.
    overwrite
        Whether an earlier file may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    picture, width, height = fraction_panels(fractions, question)
    write_drawing(path, picture, width, height, overwrite=overwrite)


def fraction_panels(fractions: ClassFractions, question: str = "") -> tuple[Markup, int, int]:
    """Draw a panel for each answer, with a legend; return the drawing and its sides."""
    table = fractions.table
    name = question or (str(table["question"][0]) if len(table) else "")
    table = table[np.asarray(table["question"] == name, np.bool_)]
    answers = list(dict.fromkeys(table["answer"].tolist()))
    across = min(_MOST_ACROSS, max(len(answers), 1))
    down = -(-len(answers) // across)
    legend = _legend(fractions)
    wide, tall = across * _SIDES[0], down * (_SIDES[1] + _ROOM) + len(legend) * _ROOM
    panels = Markup("").join(
        _panel(fractions, table, answer, (i % across) * _SIDES[0], (i // across) * (_SIDES[1] + _ROOM))
        for i, answer in enumerate(answers)
    )
    foot = down * (_SIDES[1] + _ROOM)
    lines = Markup("").join(
        Markup('<g transform="translate(14 {})">{}</g>').format(foot + _ROOM * i + 10, line)
        for i, line in enumerate(legend)
    )
    about = (
        f"Shares of {len(answers)} answers in {len(fractions.bins)} bins of {count_text(fractions.counted)} galaxies."
    )
    drawing = Markup('<svg class="figure" viewBox="0 0 {} {}" role="img" aria-label="{}">{}{}</svg>')
    return drawing.format(wide, tall, about, panels, lines), wide, tall


def _legend(fractions: ClassFractions) -> list[Markup]:
    """Say what the marks are, in lines."""
    corrected = _NAMES[fractions.method]
    first = Markup(
        '<path class="mean" d="{0}"/><line class="error" x1="0" x2="0" y1="-8" y2="8"/>'
        '<text x="10" y="4">{1}, 68 % (thick) and 95 %</text>'
    ).format(mark_path(0, radius=_RADIUS), corrected)
    if fractions.method != "raw":
        first += Markup(
            '<g transform="translate(330 0)"><circle class="few" r="3"/>'
            '<text x="10" y="4">counts, not corrected, 68 %</text></g>'
        )
    lines = [first]
    if len(fractions.bins.names) > 1:
        entry = Markup(
            '<g class="c{0}" transform="translate({1} 0)"><path fill="currentColor" d="{2}"/>'
            '<text x="9" y="4">{3}</text></g>'
        )
        lines.append(
            Markup("").join(
                entry.format(colour_of(i), 150 * i, mark_path(i, radius=_RADIUS), title)
                for i, title in enumerate(_second_titles(fractions))
            )
        )
    return lines


def _second_titles(fractions: ClassFractions) -> list[str]:
    """Name the bins of the second column."""
    name, edges = fractions.bins.names[1], fractions.bins.edges[1]
    return [
        f"{low:.4g} ≤ {name} < {high:.4g}" for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True)
    ]


def _panel(fractions: ClassFractions, table: Table, answer: str, left: int, top: int) -> Markup:
    some = table[np.asarray(table["answer"] == answer, np.bool_)]
    chart = Chart(_axis(fractions), Axis("share", 0.0, _top(table, fractions.method)), *_SIDES, lines=6)
    series = list(_series(fractions, some))
    marks = Markup("").join(_drawn(chart, each, fractions.method, i, len(series)) for i, each in enumerate(series))
    inner = str(chart.svg(f"Share of {answer}.", marks, empty=not len(some)))
    placed = inner.replace("<svg ", f'<svg y="{_ROOM}" width="{_SIDES[0]}" height="{_SIDES[1]}" ', 1)
    title = Markup('<text class="title" x="{}" y="16" text-anchor="middle">{}</text>').format(chart.x(0.5), answer)
    return Markup('<g transform="translate({} {})">{}{}</g>').format(left, top, title, Markup(placed))  # noqa: S704 - ours


def _axis(fractions: ClassFractions) -> Axis:
    """Return the lower axis: the first column, or the one bin of all."""
    if not fractions.bins.names:
        return Axis("all galaxies", 0.0, 1.0)
    name, edges = fractions.bins.names[0], fractions.bins.edges[0]
    unit = fractions.table[f"{name}_low"].unit
    return Axis(f"{name} ({unit})" if unit else name, float(edges[0]), float(edges[-1]))


def _top(table: Table, method: str) -> float:
    """Return the end of the left axis, the same in all panels."""
    highest = [
        float(np.nanmax(values))
        for name in (f"{method}_high95", "raw_high")
        if np.isfinite(values := np.asarray(table[name])).any()
    ]
    return min(max([0.1, *highest]) * 1.05, 1.0)


def _series(fractions: ClassFractions, rows: Table) -> Sequence[_Series]:
    """Divide the rows of an answer by the bins of the second column."""
    bins = fractions.bins
    if not bins.names:
        return [_Series("", 0, np.full(len(rows), 0.5), rows)]
    low, high = (np.asarray(rows[f"{bins.names[0]}_{end}"], np.float64) for end in ("low", "high"))
    middle = (low + high) / 2.0
    if len(bins.names) == 1:
        return [_Series("", 0, middle, rows)]
    second = np.asarray(rows[f"{bins.names[1]}_low"], np.float64)
    titles = _second_titles(fractions)
    chosen = [np.flatnonzero(second == edge) for edge in bins.edges[1][:-1]]
    return [_Series(titles[i], i, middle[some], rows[some]) for i, some in enumerate(chosen)]


def _drawn(chart: Chart, series: _Series, method: str, number: int, count: int) -> Markup:
    """Draw one series: raw shares as rings, corrected ones beside them with both bars."""
    shift = (number - (count - 1) / 2.0) * _STEP
    places = [float(share) + shift for share in chart.across.shares(series.place)]
    rows = list(zip(places, series.rows, strict=True))
    raw = [_mark(chart, x - 0.4 * _STEP, row, "raw", _ring(), bars=(("raw_low", "raw_high", 0.8),)) for x, row in rows]
    if method == "raw":
        raw = []
    bars = ((f"{method}_low95", f"{method}_high95", 0.8), (f"{method}_low", f"{method}_high", 2.4))
    shape = Markup('<path fill="currentColor" d="{}"/>').format(mark_path(series.number, radius=_RADIUS))
    marks = [_mark(chart, x + 0.4 * _STEP * (method != "raw"), row, method, shape, bars=bars) for x, row in rows]
    return Markup('<g class="c{}">{}</g>').format(colour_of(series.number), Markup("").join([*raw, *marks]))


def _ring() -> Markup:
    return Markup('<circle r="2.6" fill="none" stroke="currentColor" stroke-opacity=".7"/>')


def _mark(
    chart: Chart, place: float, row: Table.Row, method: str, shape: Markup, bars: Sequence[tuple[str, str, float]]
) -> Markup:
    """Draw a share with its bars; nothing where it is not known."""
    share = float(row[method])
    if not np.isfinite(share):
        return Markup("")
    x = chart.x(place)
    line = Markup('<line x1="{0}" x2="{0}" y1="{1}" y2="{2}" stroke="currentColor" stroke-width="{3}"/>')
    heights = [
        [chart.y(float(np.clip(chart.up.shares(float(row[end])), 0.0, 1.0))) for end in ends] for *ends, _ in bars
    ]
    drawn = Markup("").join(line.format(x, *ends, wide) for ends, (_, _, wide) in zip(heights, bars, strict=True))
    words = f"{share:.3f} of {count_text(int(row['n']))} galaxies"
    dot = Markup('<g transform="translate({} {})">{}<title>{}</title></g>')
    return drawn + dot.format(x, chart.y(float(chart.up.shares(share))), shape, words)
