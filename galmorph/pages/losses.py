"""Losses: the curves of a training run as a PNG picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from galmorph.pages.figures import Axis
from galmorph.sky.formats.atomic import replacing

__all__ = ["History", "draw_losses", "loss_axes"]

FloatArray = npt.NDArray[np.float64]
History = Sequence[Mapping[str, Any]]
"""Epochs of a network, each with ``epoch``, ``train_loss`` and ``validation_loss``."""
_Point = tuple[float, float]

_WIDTH, _HEIGHT = 720, 440
_LEFT, _RIGHT, _TOP, _BOTTOM = 66, 18, 18, 52
# Pillow draws lines without smooth edges: drawn so much larger, then reduced.
_FINER = 3
# A loss of all but zero would leave no room for the others.
_DEEPEST = 1e-6
_INK, _SOFT, _GRID, _PAPER = "#1b2430", "#5b6b7f", "#e3e8ef", "#ffffff"
_COLOURS = ("#2f6db5", "#c2611a", "#2c8a57", "#8450b8", "#b8336a", "#0e7f8f", "#8a7410", "#5b6b7f")
_PALE = ("#a9c5e6", "#eac09b", "#a5d3b9", "#cfb6e6", "#e6a9c1", "#9fd0d7", "#d6c98a", "#bcc5d0")


def draw_losses(path: Path, histories: Sequence[History]) -> None:
    """Draw the losses of all networks of a run: validation as a line, training as a pale one.

    Parameters
    ----------
    path
        File to write, ``.png``.
    histories
        For each network its epochs, each with ``epoch``, ``train_loss`` and ``validation_loss``; values that are not
        finite are left out.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    sheet = _Sheet(histories)
    sheet.axes()
    for number, history in enumerate(histories):
        epochs = _values(history, "epoch")
        sheet.line(epochs, _values(history, "train_loss"), _PALE[number % len(_PALE)], 1.4)
    for number, history in enumerate(histories):
        sheet.member(number, _values(history, "epoch"), _values(history, "validation_loss"))
    with replacing(path) as temporary:
        sheet.image.resize((_WIDTH, _HEIGHT), Image.Resampling.BOX).save(temporary, "PNG", optimize=True)


def _values(history: History, name: str) -> FloatArray:
    return np.array([epoch[name] for epoch in history], np.float64)


def loss_axes(histories: Sequence[History]) -> tuple[Axis, Axis]:
    """Make the axes of epochs and of losses; logarithmic if these fall by more than two, as late epochs differ little.

    Parameters
    ----------
    histories
        As of :func:`draw_losses`.
    """
    last = max((float(h[-1]["epoch"]) for h in histories if h), default=1.0)
    losses = [_values(h, name) for h in histories for name in ("train_loss", "validation_loss")]
    joined = np.concatenate([*losses, np.zeros(0)])
    return Axis("epoch", 0.0, max(last, 1.0), whole=True), _loss_axis(joined[np.isfinite(joined)])


def _loss_axis(known: FloatArray) -> Axis:
    if known.size == 0:
        return Axis("loss", 0.0, 1.0)
    # The first epochs of a random start would hide the rest.
    low, high = float(known.min()), float(np.percentile(known, 99.0))
    if low > 0 and high > 2.0 * low:
        low = max(low, high * _DEEPEST)
        room = (high / low) ** 0.06
        return Axis("loss", low / room, high * room, log=True)
    room = max(0.06 * (high - low), 0.01 * abs(low), 1e-6)
    return Axis("loss", low - room, high + room)


class _Sheet:
    """A drawing with axes; places are in pixels of the finished picture."""

    def __init__(self, histories: Sequence[History]) -> None:
        self.image = Image.new("RGB", (_WIDTH * _FINER, _HEIGHT * _FINER), _PAPER)
        self.pen = ImageDraw.Draw(self.image)
        self.font = ImageFont.load_default(12.5 * _FINER)
        self.across, self.up = loss_axes(histories)

    def _places(self, epochs: FloatArray, losses: FloatArray) -> list[_Point]:
        x = _LEFT + self.across.shares(epochs) * (_WIDTH - _LEFT - _RIGHT)
        y = _TOP + (1.0 - np.clip(self.up.shares(losses), 0.0, 1.0)) * (_HEIGHT - _TOP - _BOTTOM)
        return [(float(a), float(b)) for a, b in zip(x, y, strict=True) if np.isfinite(b)]

    def stroke(self, points: Sequence[_Point], colour: str, width: float) -> None:
        """Draw a line through points; one alone is nothing."""
        if len(points) < 2:
            return
        finer = [(x * _FINER, y * _FINER) for x, y in points]
        self.pen.line(finer, fill=colour, width=round(width * _FINER), joint="curve")

    def dot(self, point: _Point, colour: str, radius: float) -> None:
        """Draw a full circle."""
        self.pen.circle((point[0] * _FINER, point[1] * _FINER), radius * _FINER, fill=colour)

    def text(self, point: _Point, words: str, colour: str, anchor: str) -> None:
        """Write at a point; `anchor` as in Pillow."""
        self.pen.text((point[0] * _FINER, point[1] * _FINER), words, fill=colour, font=self.font, anchor=anchor)

    def axes(self) -> None:
        """Draw the grid, its values and what they are."""
        foot, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
        for value, words in self.up.ticks(5):
            y = _TOP + (1.0 - float(self.up.shares(value))) * (foot - _TOP)
            self.stroke([(_LEFT, y), (right, y)], _GRID, 1)
            self.text((_LEFT - 7, y), words, _SOFT, "rm")
        for value, words in self.across.ticks(8):
            x = _LEFT + float(self.across.shares(value)) * (right - _LEFT)
            self.stroke([(x, foot), (x, foot + 4)], _SOFT, 1)
            self.text((x, foot + 8), words, _SOFT, "ma")
        self.stroke([(_LEFT, foot), (right, foot)], _SOFT, 1)
        self.text(((_LEFT + right) / 2, _HEIGHT - 8), self.across.title, _INK, "ms")
        self.text((8, _TOP - 6), self.up.title, _INK, "la")

    def line(self, epochs: FloatArray, losses: FloatArray, colour: str, width: float) -> None:
        """Draw losses; a single epoch is a dot."""
        points = self._places(epochs, losses)
        if len(points) == 1:
            self.dot(points[0], colour, 1.5 * width)
        self.stroke(points, colour, width)

    def member(self, number: int, epochs: FloatArray, losses: FloatArray) -> None:
        """Draw the validation losses of a network, mark the least and say what it is."""
        colour = _COLOURS[number % len(_COLOURS)]
        self.line(epochs, losses, colour, 2.2)
        place = (_WIDTH - _RIGHT - 6, _TOP + 4 + 17 * number)
        if not np.isfinite(losses).any():
            self.text(place, f"network {number + 1}: no finite loss", colour, "ra")
            return
        best = int(np.nanargmin(np.where(np.isfinite(losses), losses, np.nan)))
        self.dot(self._places(epochs[best : best + 1], losses[best : best + 1])[0], colour, 4.5)
        words = f"validation {losses[best]:.4g} at epoch {epochs[best]:g} (training: pale)"
        self.text(place, f"network {number + 1}: {words}", colour, "ra")
