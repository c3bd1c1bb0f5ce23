"""ClassPage: the page of how two catalogues' classes agree: confusion, and shares of each class by magnitude."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from galmorph.pages.binning import wilson
from galmorph.pages.class_agreement import ClassAgreement
from galmorph.pages.figures import Axis, Chart, count_text, polyline
from galmorph.pages.look import write_page

__all__ = ["magnitude_diagram", "write_class_page"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def write_class_page(
    agreement: ClassAgreement, titles: Sequence[str], magnitude: str, page: Path, *, overwrite: bool
) -> None:
    """Write the page.

    Parameters
    ----------
    agreement
        What it shows.
    titles
        Of both catalogues.
    magnitude
        What the bins are of, '' for none.
    page
        The file.
    overwrite
        Whether an earlier one may be replaced.

    Raises
    ------
    OutputError
        If it cannot be written.
    """
    kappa, error = agreement.kappa
    contents: dict[str, Any] = {
        "titles": tuple(titles),
        "agreement": agreement,
        "right": float(agreement.agreeing[0]),
        "kappa": float(kappa[0]),
        "kappa_error": float(error[0]),
        "matrix": _matrix(agreement),
        "magnitude": magnitude,
        "panels": list(_panels(agreement, magnitude)) if len(agreement.edges) else [],
    }
    write_page(page, "classes.html.j2", contents, option="--report", overwrite=overwrite)


def _matrix(agreement: ClassAgreement) -> list[dict[str, Any]]:
    """Return the rows of the table of counts."""
    counts = agreement.counts[0]
    totals = counts.sum(axis=1)
    shares = counts / np.maximum(totals, 1)[:, None]
    return [
        {"name": name, "total": int(total), "cells": list(zip(count.tolist(), share.tolist(), strict=True))}
        for name, total, count, share in zip(agreement.classes, totals, counts, shares, strict=True)
    ]


def _panels(agreement: ClassAgreement, magnitude: str) -> list[dict[str, Any]]:
    """Draw agreement, and the share of each class in both catalogues, against magnitude."""
    galaxies = agreement.galaxies[1:]
    right = agreement.agreeing[1:]
    panels = [{"title": "same class", "svg": magnitude_diagram(agreement.edges, [(right, galaxies)], magnitude)}]
    ours, theirs = agreement.shares(ours=True)[0][1:], agreement.shares(ours=False)[0][1:]
    for number, name in enumerate(agreement.classes):
        curves = [(ours[:, number], galaxies), (theirs[:, number], galaxies)]
        panels.append({"title": name, "svg": magnitude_diagram(agreement.edges, curves, magnitude)})
    return panels


def magnitude_diagram(edges: FloatArray, curves: Sequence[tuple[FloatArray, IntArray]], magnitude: str) -> Markup:
    """Draw shares in bins of magnitude with their 68 % intervals: the first curve with dots, the second with rings.

    Parameters
    ----------
    edges
        Of the bins.
    curves
        Of each, the share and the number of galaxies in each bin.
    magnitude
        Title of the lower axis.
    """
    chart = Chart(Axis(magnitude, float(edges[0]), float(edges[-1])), Axis("share", 0.0, 1.0), 300, 220)
    middle = (edges[1:] + edges[:-1]) / 2.0
    drawn = [_curve(chart, middle, *curve, style) for curve, style in zip(curves, ("mean", "few"), strict=False)]
    total = count_text(int(curves[0][1].sum()))
    return chart.svg(f"Shares in {len(middle)} bins of {magnitude} of {total} galaxies.", Markup("").join(drawn))


def _curve(chart: Chart, middle: FloatArray, share: FloatArray, galaxies: IntArray, style: str) -> Markup:
    low, high = wilson(share, galaxies.astype(np.intp))
    bar = Markup('<line class="error" x1="{0}" x2="{0}" y1="{1}" y2="{2}"/>')
    dot = Markup('<circle class="{}" cx="{}" cy="{}" r="3.4"><title>{}</title></circle>')
    places = [chart.x(float(p)) for p in chart.across.shares(middle)]
    rows = zip(places, share.tolist(), low.tolist(), high.tolist(), galaxies.tolist(), strict=True)
    marks = Markup("").join(
        bar.format(x, chart.y(a), chart.y(b))
        + dot.format(style, x, chart.y(s), f"{s:.3f} ({a:.3f} to {b:.3f}) of {count_text(n)} galaxies")
        for x, s, a, b, n in rows
        if n
    )
    line = polyline(chart, middle, share, "curve mean-line") if style == "mean" else Markup("")
    return line + marks
