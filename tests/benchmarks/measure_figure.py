"""Figures: bias and scatter of the Petrosian radius against S/N and size, against cost, and pulls."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from limits import radius_limit
from matplotlib.figure import Figure
from other_codes import CODES, Code
from verdicts import Sample, half_width, judged

DoubleArray = npt.NDArray[np.float64]
_SNR_EDGES = np.geomspace(10.0, 200.0, 6)
_RE_EDGES = np.geomspace(2.0, 15.0, 6)


def binned_lines(sample: Sample, code: Code, by: DoubleArray, edges: DoubleArray) -> tuple[DoubleArray, DoubleArray]:
    """Return bias and scatter in per cent in bins of a parameter of the mocks."""
    off = 100.0 * sample.off(code)
    groups = [off[(by >= low) & (by < high)] for low, high in itertools.pairwise(edges)]
    return np.array([np.nanmedian(g) for g in groups]), np.array([half_width(g) for g in groups])


def draw(path: Path, sample: Sample, codes: list[Code], cost: dict[str, float], pulled: dict[str, Any]) -> None:
    """Draw bias and scatter against S/N and r_e, scatter against cost, and the pulls."""
    figure = Figure(figsize=(15, 8.4), layout="constrained")
    axes = figure.subplots(2, 3)
    colours = {code.name: f"C{i}" for i, code in enumerate(CODES)}
    for column, (label, edges) in enumerate((("S/N", _SNR_EDGES), ("r_e (px)", _RE_EDGES))):
        by = np.array([m.snr if label == "S/N" else m.parameters["re_px"] for m in sample.mocks])
        _draw_lines(axes[:, column], sample, codes, by, edges, colours)
        axes[1, column].set_xlabel(label.replace("r_e", "$r_e$"))
    axes[0, 0].set_ylabel("bias of $r_P$ (%)")
    axes[1, 0].set_ylabel("scatter of $r_P$ (%)")
    axes[0, 0].legend(fontsize=9, ncols=2, loc="lower right")
    axes[1, 0].legend(fontsize=9)
    _draw_cost(axes[0, 2], sample, codes, cost, colours)
    _draw_pulls(axes[1, 2], pulled)
    figure.suptitle(f"Petrosian radii of {len(sample.mocks)} single Sérsic galaxies (mock A), a third with neighbours")
    figure.savefig(path, dpi=110)


_SNR_EDGES = np.geomspace(10.0, 200.0, 6)
_RE_EDGES = np.geomspace(2.0, 15.0, 6)


def _draw_lines(
    axes: Any, sample: Sample, codes: list[Code], by: DoubleArray, edges: DoubleArray, colours: dict[str, str]
) -> None:
    middle = np.sqrt(edges[1:] * edges[:-1])
    for code in codes:
        bias, scatter = binned_lines(sample, code, by, edges)
        style = {"color": colours[code.name], "lw": 2.8 if code.name == "galmorph" else 1.3, "marker": "o", "ms": 4}
        axes[0].plot(middle, bias, label=code.name, zorder=3 if code.name == "galmorph" else 2, **style)
        axes[1].plot(middle, scatter, zorder=3 if code.name == "galmorph" else 2, **style)
    limit = 100.0 * np.array([radius_limit(m) for m in sample.mocks])
    spread = np.random.default_rng(0).standard_normal((200, len(limit))) * limit
    inside = [(by >= low) & (by < high) for low, high in itertools.pairwise(edges)]
    axes[1].plot(middle, [half_width(spread[:, k].ravel()) for k in inside], "k:", label="limit of the noise")
    axes[0].axhline(0.0, color="0.6", lw=0.8)
    axes[0].set_ylim(-35, 15)
    axes[1].set_ylim(0, 35)
    for axis in axes:
        _log_ticks(axis, edges)
        axis.grid(alpha=0.25)


def _log_ticks(axis: Any, edges: DoubleArray) -> None:
    shown = [t for t in (2, 3, 5, 8, 10, 15, 20, 50, 100, 200) if edges[0] <= 1.01 * t <= 1.02 * edges[-1]]
    axis.set_xscale("log")
    axis.set_xticks(shown, [str(t) for t in shown])
    axis.set_xticks([], minor=True)


def _draw_cost(axis: Any, sample: Sample, codes: list[Code], cost: dict[str, float], colours: dict[str, str]) -> None:
    highest = 0.0
    for code in codes:
        fair = judged(sample.off(code))
        at = cost[code.name], fair["scatter_percent"]
        axis.scatter(*at, s=130, color=colours[code.name], zorder=3)
        label = f"{code.name}\n{fair['fail_percent']:.1f} % fail"
        # Both ways of SEP cost the same, and galmorph nearly so: labels above, to the right and below.
        place = {"xytext": (0, 12), "va": "bottom", "ha": "center"}
        if code.name == "SEP annuli":
            place = {"xytext": (12, 0), "va": "center", "ha": "left"}
        elif code.name == "galmorph":
            place = {"xytext": (0, -12), "va": "top", "ha": "center"}
        axis.annotate(label, at, textcoords="offset points", fontsize=9, **place)
        highest = max(highest, at[1])
    axis.set(xscale="log", xlabel="processor time per galaxy of 128² px (ms)", ylabel="scatter of $r_P$ (%)")
    axis.set_xlim(min(cost.values()) / 3, max(cost.values()) * 3)
    axis.set_ylim(0, 1.25 * highest)
    axis.grid(alpha=0.25)
    axis.set_title("cost, scatter and failures", fontsize=11)


def _draw_pulls(axis: Any, pulled: dict[str, tuple[str, DoubleArray]]) -> None:
    names = list(pulled)
    for i, name in enumerate(names):
        finite = pulled[name][1][np.isfinite(pulled[name][1])]
        if len(finite) < 3:
            continue
        low, middle, high = np.percentile(finite, [15.865, 50.0, 84.135])
        axis.plot(
            np.clip(finite, -5, 5), i + np.random.default_rng(i).uniform(-0.3, 0.3, len(finite)), ".", ms=2, c="0.7"
        )
        axis.plot([low, high], [i, i], color="C0", lw=3, solid_capstyle="butt")
        axis.plot(middle, i, "o", color="C0", mec="white")
    for at in (-1.0, 1.0):
        axis.axvline(at, color="k", lw=0.8, ls=":")
    axis.set_yticks(range(len(names)), names)
    axis.set(xlim=(-5.2, 5.2), xlabel="(value - truth) / error bar of galmorph")
    axis.set_title("pulls: bars from 16 to 84 % should end at ±1", fontsize=11)
