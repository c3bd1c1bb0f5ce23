"""Curves: losses, reliability and votes against probabilities, as inline SVG."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.pages.agreement import Binned
from galmorph.pages.contact import colour_of
from galmorph.pages.figures import Axis, Frame, count_text
from galmorph.pages.losses import History, loss_axes

__all__ = ["FEW", "MOST_DOTS", "loss_curves", "reliability_diagram", "votes_diagram"]

FloatArray = npt.NDArray[np.float64]

MOST_DOTS = 500
"""Galaxies drawn as dots; more would hide one another."""
FEW = 5
"""Bins of fewer values are drawn apart: their means say little."""
_SQUARE = {"width": 258, "height": 256}
_BAR_SHARE = 0.22


def loss_curves(curves: Sequence[History]) -> Markup:
    """Draw the losses of all members of an ensemble: validation as a line, training as a dotted one.

    Parameters
    ----------
    curves
        For each member its epochs, each with ``epoch``, ``train_loss`` and ``validation_loss``.
    """
    losses = np.array([[e["train_loss"], e["validation_loss"]] for member in curves for e in member], float)
    if not np.isfinite(losses).any():
        return Markup("")
    frame = Frame(*loss_axes(curves), 560, 280)
    drawn = Markup("").join(_member(frame, member, number) for number, member in enumerate(curves))
    last = frame.across.high
    about = f"Losses of {len(curves)} network(s) over {last:g} epochs; least validation loss {_least(curves):.4g}."
    return frame.drawn(about, drawn)


def _least(curves: Sequence[History]) -> float:
    return min(float(e["validation_loss"]) for member in curves for e in member)


def _member(frame: Frame, member: History, number: int) -> Markup:
    epochs = np.array([e["epoch"] for e in member], float)
    train, validation = (np.array([e[k] for e in member], float) for k in ("train_loss", "validation_loss"))
    best = int(np.nanargmin(validation))
    dot = Markup('<circle class="dot best c{}" cx="{}" cy="{}" r="4"><title>{}</title></circle>').format(
        colour_of(number),
        frame.x(float(frame.across.shares(epochs[best]))),
        frame.y(float(frame.up.shares(validation[best]))),
        f"network {number + 1}: {validation[best]:.4g} at epoch {epochs[best]:g}",
    )
    return (
        _line(frame, epochs, train, f"curve dotted c{colour_of(number)}")
        + _line(frame, epochs, validation, f"curve c{colour_of(number)}")
        + dot
    )


def _line(frame: Frame, x: FloatArray, y: FloatArray, style: str) -> Markup:
    right, high = frame.across.shares(x), np.clip(frame.up.shares(y), 0.0, 1.0)
    places = " ".join(f"{frame.x(float(r))},{frame.y(float(h))}" for r, h in zip(right, high, strict=True) if h == h)  # noqa: PLR0124 - NaN
    return Markup('<polyline class="{}" points="{}"/>').format(style, places)


def _unit_frame(across: str, up: str) -> Frame:
    return Frame(Axis(across, 0.0, 1.0), Axis(up, 0.0, 1.0), **_SQUARE)


def _diagonal(frame: Frame) -> Markup:
    return Markup('<line class="mark" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        frame.x(0), frame.y(0), frame.x(1), frame.y(1)
    )


def _points(frame: Frame, found: Binned, low: FloatArray, high: FloatArray) -> Markup:
    bar = Markup('<line class="error" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>')
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="3.4"><title>{}</title></circle>')
    many = found.count >= FEW
    rows = zip(found.predicted, found.observed, low, high, found.count.tolist(), strict=True)
    return _line(frame, found.predicted[many], found.observed[many], "curve mean-line") + Markup("").join(
        bar.format(frame.x(p), frame.y(max(a, 0.0)), frame.y(min(b, 1.0)))
        + dot.format(
            "mean" if n >= FEW else "few",
            frame.x(p),
            frame.y(o),
            f"probability {p:.3f}, observed {o:.3f}, {count_text(n)} values",
        )
        for p, o, a, b, n in rows
    )


def _shares(frame: Frame, found: Binned) -> Markup:
    """Draw along the foot how many values each bin has, at most a fifth of the height."""
    bar = Markup('<rect class="share" x="{:.1f}" y="{}" width="{:.1f}" height="{:.1f}"/>')
    tall = _BAR_SHARE * found.count / max(int(found.count.sum()), 1)
    wide = frame.inner[0] / 10 - 2
    return Markup("").join(
        bar.format(float(frame.x(p)) - wide / 2, frame.y(float(t)), wide, float(t) * frame.inner[1])
        for p, t in zip((np.floor(np.minimum(found.predicted, 0.999) * 10) + 0.5) / 10, tall, strict=True)
    )


def reliability_diagram(found: Binned, *, observed: str) -> Markup:
    """Draw the observed share against the probability, with binomial bars; grey columns show how many values there are.

    Parameters
    ----------
    found
        The bins.
    observed
        What the left axis shows.
    """
    frame = _unit_frame("probability", observed)
    drawn = _shares(frame, found) + _diagonal(frame) + _points(frame, found, found.low, found.high)
    about = f"{observed} against probability in {len(found.count)} bins of {count_text(int(found.count.sum()))} values."
    return frame.drawn(about, drawn, empty=len(found.count) == 0)


def votes_diagram(found: Binned, predicted: FloatArray, observed: FloatArray, *, seed: int = 0) -> Markup:
    """Draw vote fractions against probabilities: a dot for each galaxy, the mean and the standard deviation in bins.

    Parameters
    ----------
    found
        The bins of all galaxies.
    predicted, observed
        (N,) of the galaxies; at most :data:`MOST_DOTS` of them, drawn by lot, get a dot.
    seed
        Of the lot.
    """
    frame = _unit_frame("probability", "vote fraction")
    rows = np.sort(np.random.default_rng(seed).permutation(len(predicted))[:MOST_DOTS])
    # One path of lines of length 0 with round ends takes a fifth of the bytes of as many circles.
    places = "".join(f"M{frame.x(float(predicted[i]))} {frame.y(float(observed[i]))}h0" for i in rows)
    dots = Markup('<path class="dots" d="{}"/>').format(places)
    drawn = (
        dots + _diagonal(frame) + _points(frame, found, found.observed - found.scatter, found.observed + found.scatter)
    )
    about = f"Vote fraction against probability of {count_text(len(predicted))} galaxies, with means in bins."
    return frame.drawn(about, drawn, empty=len(predicted) == 0)
