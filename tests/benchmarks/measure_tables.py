"""Tables: the benchmark of measuring in Markdown, with its definitions."""

from __future__ import annotations

from typing import Any

from mocks import SKY_OFFSETS

_HEAD = """# Centres and Petrosian radii, side by side

Made by `make bench-measure` on {date} from {numbers}
(`tests/benchmarks/mocks.py` says how they are drawn), with
{versions}.

![bias, scatter, cost and pulls](measure.png)

- **Truth:** the noiseless convolved image of the galaxy alone, in the definition that the code uses (statmorph: local
  eta; all others: SDSS). In mock B it is about the centre of bulge and disc.
- **Each code** starts from the raw pixels and the requested position, and is charged for its own sky, detection and
  deblending:
{how}
- **Bias:** median of r / truth - 1. **Scatter:** half the range from 16 to 84 % of it, over all that have a value.
  **Fail:** no value, or off by more than 50 %.
- **Centroid:** median distance from the true centre. **Over the limit:** median of distance / sqrt(var x + var y), the
  variances from the inverse Fisher matrix of the noiseless galaxy. An estimator at the limit has {ideal:.2f}, as a
  median is less than a root mean square. In mock B clumps move the centroid of the light away from the centre.
- **Cost:** processor time per galaxy of one thread on mocks of 128 to {small} px, median of {repeats} rounds in
  turn, and its ratio to statmorph's.
- **What limits the scatter** of mock A: {scatter:.1f} % is left to who knows the law of the profile, the point-spread
  function and from what r_e and n are drawn, but neither flux, r_e, n nor sky (Fisher matrix; dotted in the figure)."""

_TITLES = {
    "A": "Mock A: single Sérsic galaxies",
    "B": "Mock B: bulge, disc, ring and clumps; S/N from 20, clumps up to 18 % of the light",
    "B hard": "Mock B, harder: S/N from 10, clumps up to 30 %",
}

_KIND_HEAD = """| | all | | | | | with neighbours | | | |
|---|---|---|---|---|---|---|---|---|---|
| code | bias % | scatter % | fail % | centroid px | over the limit | bias % | scatter % | fail % | cost |"""

_CROWDED_NOTE = """\
Edges, masked columns, saturated stars and a gradient; noise and galaxies are the same under each sky.
Whoever measures the sky on the cutout takes a constant out again, to the rounding of single precision."""

_PULL_HEAD = """\
(value - truth) / error: its median, its standard deviation after clipping at 5, half its range from 16 to 84 %,
and the share beyond 5. The truth is the mock's or, where it says "itself", what galmorph measures of the galaxy alone
in a hundredth of the noise.

| value | mock | truth | median | std | half 16-84 | beyond 5, % | number |
|---|---|---|---|---|---|---|---|"""


def markdown(result: dict[str, Any]) -> str:
    """Write the whole result as tables with their definitions."""
    parts = [_definitions(result)]
    for kind, title in _TITLES.items():
        parts += [f"## {title}", "\n".join([_KIND_HEAD, *_kind_rows(result, kind)])]
    parts += ["## Mock C: crowded tiles under a sky that is off", _CROWDED_NOTE, "\n".join(_crowded_rows(result))]
    parts += ["## Pulls of galmorph's error bars", "\n".join([_PULL_HEAD, *_pull_rows(result)])]
    return "\n\n".join(parts) + "\n"


def _definitions(result: dict[str, Any]) -> str:
    limits = result["limits"]
    return _HEAD.format(
        date=result["date"],
        numbers=", ".join(f"{n} galaxies of mock {kind}" for kind, n in result["number"].items()),
        versions=", ".join(f"{name} {version}" for name, version in result["versions"].items()),
        how="\n".join(f"  - {name}: {said}." for name, said in result["how"].items()),
        ideal=limits["ideal_centroid_ratio"],
        scatter=limits["scatter_percent"],
        small=result["small_px"],
        repeats=result["repeats"],
    )


def _kind_rows(result: dict[str, Any], kind: str) -> list[str]:
    return [
        f"| {name} | {_three(row)} | {row['centroid_median_px']:.3f} | {row['centroid_over_limit']:.2f} "
        f"| {_three(row['with_neighbours'])} | {_cost(result, name)} |"
        for name, row in result[kind].items()
    ]


def _three(row: dict[str, float]) -> str:
    return f"{row['bias_percent']:+.1f} | {row['scatter_percent']:.1f} | {row['fail_percent']:.1f}"


def _cost(result: dict[str, Any], name: str) -> str:
    mine, reference = result["cost_ms"][name], result["cost_ms"].get("statmorph")
    ratio = "" if reference is None else f", 1/{reference / mine:.0f}"
    return f"{mine:.2f} ms{ratio}"


def _crowded_rows(result: dict[str, Any]) -> list[str]:
    lines = [
        "| code | sky off by | bias % | scatter % | fail % | raised | change of bias |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, rows in result["C"].items():
        for offset in (f"{o:+.2f}" for o in SKY_OFFSETS):
            row, change = rows[offset], rows["change_of_bias_percent"]
            lines.append(f"| {name} | {offset} σ | {_three(row)} | {row['raised']} | {change:.2f} |")
    return lines


def _pull_rows(result: dict[str, Any]) -> list[str]:
    return [
        f"| {name} | {kind} | {row['truth']} | {row['median']:+.2f} | {row['std_clipped']:.2f} "
        f"| {row['half_16_84']:.2f} | {row['beyond_5_percent']:.1f} | {row['number']} |"
        for kind, rows in result["pulls"].items()
        for name, row in rows.items()
    ]
