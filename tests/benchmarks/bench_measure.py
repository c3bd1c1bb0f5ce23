"""Benchmark: galmorph, SEP, photutils, SExtractor and statmorph measure the same mock galaxies, side by side.

Usage: ``python tests/benchmarks/bench_measure.py [--limit N] [--only NAME,NAME] [--seed S]``. Without options it writes
docs/benchmarks/measure.json, .md and .png; with any of them it prints the tables and records nothing. Processor time
is counted over all threads: run it with OMP_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import datetime as dt
import importlib.metadata
import json
import platform
import sys
from pathlib import Path
from typing import Any

import numpy as np
from limits import ideal_centroid_ratio, radius_limit
from measure_figure import draw
from measure_tables import markdown
from mocks import SKY_OFFSETS, Mock, Tile, clumpy, crowded, single_sersic
from other_codes import CODES, Code
from verdicts import Sample, half_width, judged, pull_width, pulls, verdict

# No setting was chosen on the mocks of this seed; those below 40 served for that.
SEED = 101
ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "benchmarks"
SMALL_PX = 132
N_TIMED, N_REPEATS = 40, 3
CROWDED_CODES = ("galmorph", "SEP annuli")
_PACKAGES = ("numpy", "scipy", "sep", "photutils", "statmorph", "galsim")


def read_all(name: str, mocks: list[Mock], codes: list[Code]) -> Sample:
    """Let every code measure every mock."""
    sample = Sample(name, mocks, {}, {})
    for code in codes:
        print(f"mock {name}: {code.name} measures {len(mocks)} galaxies", file=sys.stderr, flush=True)
        sample.readings[code.name], sample.seconds[code.name] = code.measure_all(mocks)
        for raised in sorted({r.raised for r in sample.readings[code.name]} - {""}):
            print(f"  {code.name} raised {raised}", file=sys.stderr)
    return sample


def cost_ms(codes: list[Code], mocks: list[Mock]) -> dict[str, float]:
    """Return processor time per mock of about 128² pixels: the mean over mocks of the median over repeats in turn."""
    small = [m for m in mocks if max(m.pixels.shape) <= SMALL_PX][:N_TIMED]
    spent: dict[str, list[list[float]]] = {code.name: [] for code in codes}
    for i in range(N_REPEATS):
        print(f"timing: round {i + 1} of {N_REPEATS}", file=sys.stderr, flush=True)
        for code in codes:
            spent[code.name].append(code.measure_all(small)[1])
    return {name: 1e3 * float(np.median(rounds, axis=0).mean()) for name, rounds in spent.items()}


def sky_offsets(tiles: list[tuple[Tile, ...]], codes: list[Code]) -> dict[str, Any]:
    """Return bias, scatter and failures on crowded tiles at each offset of the sky, and the change of the bias."""
    return {code.name: _at_offsets(tiles, code) for code in codes if code.name in CROWDED_CODES}


def _at_offsets(tiles: list[tuple[Tile, ...]], code: Code) -> dict[str, Any]:
    result: dict[str, Any] = {}
    for i, offset in enumerate(SKY_OFFSETS):
        sample = read_all(f"C {offset:+.2f}", [m for seed in tiles for m in seed[i].mocks], [code])
        raised = sum(bool(r.raised) for r in sample.readings[code.name])
        result[f"{offset:+.2f}"] = {**judged(sample.off(code)), "raised": raised}
    biases = [result[f"{offset:+.2f}"]["bias_percent"] for offset in SKY_OFFSETS]
    result["change_of_bias_percent"] = round(max(abs(b - biases[1]) for b in biases), 3)
    return result


def chosen_codes(only: str | None) -> list[Code]:
    """Return the codes that are installed (and asked for); say what is missing."""
    wanted = [c for c in CODES if only is None or c.name.lower() in only.lower().split(",")]
    if not wanted:
        sys.exit(f"no code named {only!r}; there are {', '.join(c.name for c in CODES)}")
    for code in wanted:
        if code.missing():
            print(f"{code.name}: left out, {code.missing()}", file=sys.stderr)
    return [c for c in wanted if not c.missing()]


def measured(codes: list[Code], limit: int | None, seed: int) -> tuple[dict[str, Any], Sample, dict[str, Any]]:
    """Run everything; return the result, mock A and galmorph's pulls on it."""
    print("drawing mocks", file=sys.stderr, flush=True)
    kinds = {
        "A": single_sersic(limit or 900, seed),
        "B": clumpy(limit or 200, seed),
        "B hard": clumpy(limit or 100, seed, least_snr=10.0, most_clumps=0.3),
    }
    tiles = [crowded(seed + i) for i in range(3 if limit is None else 1)]
    samples = {name: read_all(name, mocks, codes) for name, mocks in kinds.items()}
    pulled = {
        name: pulls(sample, code) for name, sample in samples.items() for code in codes if code.name == "galmorph"
    }
    radius = np.array([radius_limit(m) for m in kinds["A"]])
    spread = np.random.default_rng(0).standard_normal((200, len(radius))) * radius
    result: dict[str, Any] = {
        "date": dt.datetime.now(tz=dt.UTC).date().isoformat(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in _PACKAGES},
        "seed": seed,
        "number": {**{k: len(v) for k, v in kinds.items()}, "C": sum(len(t[0].mocks) for t in tiles)},
        "repeats": N_REPEATS,
        "small_px": SMALL_PX,
        "how": {code.name: code.how for code in codes},
        "limits": {
            "ideal_centroid_ratio": round(ideal_centroid_ratio(kinds["A"]), 3),
            "scatter_percent": round(100.0 * half_width(spread.ravel()), 2),
        },
        "cost_ms": cost_ms(codes, kinds["A"]),
        **{name: {code.name: verdict(sample, code) for code in codes} for name, sample in samples.items()},
        "C": sky_offsets(tiles, codes),
        "pulls": {
            name: {value: {"truth": kind, **pull_width(pull)} for value, (kind, pull) in found.items()}
            for name, found in pulled.items()
        },
    }
    return result, samples["A"], pulled.get("A", {})


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "absent"


def main() -> int:
    """Run the benchmark, print the tables, record them when it was complete."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, help="only so many galaxies of mocks A and B; nothing is recorded")
    parser.add_argument("--only", help="names of codes, joined by commas; nothing is recorded")
    parser.add_argument("--seed", type=int, help=f"other mocks than those of seed {SEED}; nothing is recorded")
    parser.add_argument("--figure", type=Path, help="where to draw the figure of a run that is not recorded")
    options = parser.parse_args()
    codes = chosen_codes(options.only)
    result, sample, pulled = measured(codes, options.limit, options.seed or SEED)
    print(markdown(result))
    complete = options.limit is None and options.only is None and options.seed is None
    if complete:
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "measure.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
        (FOLDER / "measure.md").write_text(markdown(result))
    if complete or options.figure:
        draw(options.figure or FOLDER / "measure.png", sample, codes, result["cost_ms"], pulled)
    return 0


if __name__ == "__main__":
    sys.exit(main())
