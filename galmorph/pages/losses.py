"""Losses: the curves of a training, in a page and as an SVG file of their own.

All figures are drawn by one writer, :mod:`galmorph.pages.figures`. It writes SVG rather than pixels: a page holds it
as it is, it is sharp at any size, readable by a program that tests it, and needs neither fonts nor a plotting library.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.pages.drawing_file import write_drawing
from galmorph.pages.figures import Axis, Chart, polyline
from galmorph.pages.marks import colour_of

__all__ = ["History", "draw_losses", "least", "loss_axes", "loss_curves"]

FloatArray = npt.NDArray[np.float64]
History = Sequence[Mapping[str, Any]]
"""Epochs of a network, each with ``epoch``, ``train_loss`` and ``validation_loss``."""

_SIDES = (560, 280)
_LINE = 14
# A loss of all but zero would leave no room for the others.
_DEEPEST = 1e-6


def draw_losses(path: Path, histories: Sequence[History]) -> None:
    """Draw the losses of all networks of a run into a file, with what each has reached.

    Parameters
    ----------
    path
        File to write, ``.svg``.
    histories
        For each network its epochs, each with ``epoch``, ``train_loss`` and ``validation_loss``; values that are not
        finite are left out.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    chart = Chart(*loss_axes(histories), *_SIDES)
    picture = chart.svg(_about(histories), _curves(chart, histories) + _words(chart, histories))
    write_drawing(path, picture, chart.width, chart.height)


def loss_curves(histories: Sequence[History]) -> Markup:
    """Draw the losses of all networks: validation as a line, training as a dotted one, a dot at the best epoch.

    Parameters
    ----------
    histories
        As of :func:`draw_losses`.
    """
    if not np.isfinite(_all_losses(histories)).any():
        return Markup("")
    chart = Chart(*loss_axes(histories), *_SIDES)
    return chart.svg(_about(histories), _curves(chart, histories))


def least(history: History) -> tuple[float, float] | None:
    """Return epoch and value of the least validation loss; None where none is finite."""
    epochs, losses = _values(history, "epoch"), _values(history, "validation_loss")
    if not np.isfinite(losses).any():
        return None
    best = int(np.argmin(np.where(np.isfinite(losses), losses, np.inf)))
    return float(epochs[best]), float(losses[best])


def _values(history: History, name: str) -> FloatArray:
    return np.array([epoch[name] for epoch in history], np.float64)


def _all_losses(histories: Sequence[History]) -> FloatArray:
    losses = [_values(h, name) for h in histories for name in ("train_loss", "validation_loss")]
    return np.concatenate([*losses, np.zeros(0)])


def loss_axes(histories: Sequence[History]) -> tuple[Axis, Axis]:
    """Make the axes of epochs and of losses; logarithmic if these fall by more than two, as late epochs differ little.

    Parameters
    ----------
    histories
        As of :func:`draw_losses`.
    """
    last = max((float(h[-1]["epoch"]) for h in histories if h), default=1.0)
    losses = _all_losses(histories)
    return Axis("epoch", 0.0, max(last, 1.0), whole=True), _loss_axis(losses[np.isfinite(losses)])


def _loss_axis(losses: FloatArray) -> Axis:
    if losses.size == 0:
        return Axis("loss", 0.0, 1.0)
    # The first epochs of a random start would hide the rest.
    low, high = float(losses.min()), float(np.percentile(losses, 99.0))
    if low > 0 and high > 2.0 * low:
        low = max(low, high * _DEEPEST)
        room = (high / low) ** 0.06
        return Axis("loss", low / room, high * room, log=True)
    room = max(0.06 * (high - low), 0.01 * abs(low), 1e-6)
    return Axis("loss", low - room, high + room)


def _about(histories: Sequence[History]) -> str:
    last = max((float(h[-1]["epoch"]) for h in histories if h), default=0.0)
    reached = [best[1] for best in map(least, histories) if best]
    words = f"; least validation loss {min(reached):.4g}" if reached else ""
    return f"Losses of {len(histories)} network(s) over {last:g} epochs{words}."


def _curves(chart: Chart, histories: Sequence[History]) -> Markup:
    return Markup("").join(_network(chart, history, number) for number, history in enumerate(histories))


def _network(chart: Chart, history: History, number: int) -> Markup:
    epochs, colour = _values(history, "epoch"), f"c{colour_of(number)}"
    train = polyline(chart, epochs, _values(history, "train_loss"), f"curve dotted {colour}")
    validation = polyline(chart, epochs, _values(history, "validation_loss"), f"curve {colour}")
    return train + validation + _best(chart, history, number)


def _best(chart: Chart, history: History, number: int) -> Markup:
    best = least(history)
    if best is None:
        return Markup("")
    return Markup('<circle class="dot best c{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
        colour_of(number),
        chart.x(float(chart.across.shares(best[0]))),
        chart.y(float(np.clip(chart.up.shares(best[1]), 0.0, 1.0))),
        _reached(history, number),
    )


def _reached(history: History, number: int) -> str:
    best = least(history)
    words = f"{best[1]:.4g} at epoch {best[0]:g}" if best else "no finite loss"
    return f"network {number + 1}: {words}"


def _words(chart: Chart, histories: Sequence[History]) -> Markup:
    """Write what each network has reached into the upper right corner, where losses that fall leave room."""
    line = Markup('<text class="reached c{}" x="{}" y="{}" text-anchor="end">{}</text>')
    words = [line.format(colour_of(i), chart.x(0.99), 24 + _LINE * i, _reached(h, i)) for i, h in enumerate(histories)]
    note = line.format("none", chart.x(0.99), 24 + _LINE * len(words), "line: validation; dotted: training")
    return Markup("").join([*words, note])
