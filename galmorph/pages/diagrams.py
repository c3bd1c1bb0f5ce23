"""Diagrams: reliability, and votes against probabilities, as inline SVG."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.pages.binning import Binned
from galmorph.pages.figures import Axis, Chart, count_text, polyline

__all__ = ["FEW", "MOST_DOTS", "reliability_diagram", "votes_diagram"]

FloatArray = npt.NDArray[np.float64]

MOST_DOTS = 500
"""Galaxies drawn as dots; more would hide one another."""
FEW = 5
"""Bins of fewer values are drawn apart: their means say little."""
_SIDES = (258, 256)
_BAR_SHARE = 0.22


def _square(across: str, up: str) -> Chart:
    return Chart(Axis(across, 0.0, 1.0), Axis(up, 0.0, 1.0), *_SIDES)


def _diagonal(chart: Chart) -> Markup:
    return Markup('<line class="mark" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
        chart.x(0), chart.y(0), chart.x(1), chart.y(1)
    )


def _points(chart: Chart, bins: Binned, low: FloatArray, high: FloatArray) -> Markup:
    bar = Markup('<line class="error" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>')
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="3.4"><title>{}</title></circle>')
    many = bins.count >= FEW
    rows = zip(bins.predicted, bins.observed, low, high, bins.count.tolist(), strict=True)
    return polyline(chart, bins.predicted[many], bins.observed[many], "curve mean-line") + Markup("").join(
        bar.format(chart.x(p), chart.y(max(a, 0.0)), chart.y(min(b, 1.0)))
        + dot.format(
            "mean" if n >= FEW else "few",
            chart.x(p),
            chart.y(o),
            f"probability {p:.3f}, observed {o:.3f}, {count_text(n)} values",
        )
        for p, o, a, b, n in rows
    )


def _shares(chart: Chart, bins: Binned) -> Markup:
    """Draw along the foot how many values each bin has, at most a fifth of the height."""
    bar = Markup('<rect class="share" x="{:.1f}" y="{}" width="{:.1f}" height="{:.1f}"/>')
    tall = _BAR_SHARE * bins.count / max(int(bins.count.sum()), 1)
    wide = chart.inner[0] / 10 - 2
    return Markup("").join(
        bar.format(float(chart.x(p)) - wide / 2, chart.y(float(t)), wide, float(t) * chart.inner[1])
        for p, t in zip((np.floor(np.minimum(bins.predicted, 0.999) * 10) + 0.5) / 10, tall, strict=True)
    )


def reliability_diagram(bins: Binned, *, observed: str) -> Markup:
    """Draw the observed share against the probability, with binomial bars; grey columns show how many values there are.

    Parameters
    ----------
    bins
        The bins.
    observed
        What the left axis shows.
    """
    chart = _square("probability", observed)
    points = _shares(chart, bins) + _diagonal(chart) + _points(chart, bins, bins.low, bins.high)
    about = f"{observed} against probability in {len(bins.count)} bins of {count_text(int(bins.count.sum()))} values."
    return chart.svg(about, points, empty=len(bins.count) == 0)


def votes_diagram(bins: Binned, predicted: FloatArray, observed: FloatArray, *, seed: int = 0) -> Markup:
    """Draw vote fractions against probabilities: a dot for each galaxy, the mean and the standard deviation in bins.

    Parameters
    ----------
    bins
        The bins of all galaxies.
    predicted, observed
        (N,) of the galaxies; at most :data:`MOST_DOTS` of them, drawn by lot, get a dot.
    seed
        Of the lot.
    """
    chart = _square("probability", "vote fraction")
    rows = np.sort(np.random.default_rng(seed).permutation(len(predicted))[:MOST_DOTS])
    # One path of lines of length 0 with round ends takes a fifth of the bytes of as many circles.
    places = "".join(f"M{chart.x(float(predicted[i]))} {chart.y(float(observed[i]))}h0" for i in rows)
    dots = Markup('<path class="dots" d="{}"/>').format(places)
    means = _points(chart, bins, bins.observed - bins.scatter, bins.observed + bins.scatter)
    about = f"Vote fraction against probability of {count_text(len(predicted))} galaxies, with means in bins."
    return chart.svg(about, dots + _diagonal(chart) + means, empty=len(predicted) == 0)
