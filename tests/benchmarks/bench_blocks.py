"""Benchmark: detection on cutouts against detection on whole blocks; where the one becomes cheaper than the other.

Usage: ``python tests/benchmarks/bench_blocks.py``. It renders a field of 2048 x 2048 pixels, measures random subsets of
its galaxies both ways, and writes docs/benchmarks/blocks.json.
"""

from __future__ import annotations

import json
import statistics
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

from galmorph import measure
from galmorph.sky.mock import simulate

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "blocks.json"
SIDE = 2048
ROWS = 1200
COUNTS = (25, 50, 100, 200, 400, 800, 1200)
REPEATS = 3


def seconds(catalog: Table, image: Path, weight: Path, detect: str) -> float:
    """Time one run over a catalogue."""
    started = time.perf_counter()
    measure(catalog, image, weight=[weight], survey="candels", band="H", detect=detect)
    return time.perf_counter() - started


def compare(catalog: Table, image: Path, weight: Path, rows: int) -> dict[str, float]:
    """Time both ways on the same rows, one after the other, several times; medians."""
    chosen = catalog[np.sort(np.random.default_rng(rows).permutation(len(catalog))[:rows])]
    both = [[seconds(chosen, image, weight, how) for how in ("cutouts", "blocks")] for _ in range(REPEATS)]
    cutouts, blocks = (statistics.median(times) for times in zip(*both, strict=True))
    return {
        "rows_per_mpx": round(rows / (SIDE**2 / 1e6), 1),
        "cutouts_ms_per_row": round(1e3 * cutouts / rows, 2),
        "blocks_ms_per_row": round(1e3 * blocks / rows, 2),
        "ratio": round(blocks / cutouts, 2),
    }


def crossover(table: list[dict[str, float]]) -> float:
    """Interpolate the density at which both cost the same; NaN where one always wins."""
    ratios = [np.log(line["ratio"]) for line in table]
    for before, after, low, high in zip(table[:-1], table[1:], ratios[:-1], ratios[1:], strict=True):
        if low > 0 >= high:
            share = low / (low - high)
            ends = np.log([before["rows_per_mpx"], after["rows_per_mpx"]])
            return float(np.exp(ends[0] + share * (ends[1] - ends[0])))
    return float("nan")


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        simulate("candels", "H", rows=ROWS, seed=5, side_px=SIDE).write(folder)
        found = {name: next(Path(folder).glob(f"{name}.fits*")) for name in ("catalog", "image", "weight")}
        catalog = Table.read(found["catalog"])
        table = [compare(catalog, found["image"], found["weight"], n) for n in COUNTS if n <= len(catalog)]
    result = {"side_px": SIDE, "table": table, "crossover_per_mpx": round(crossover(table), 1)}
    text = json.dumps(result, indent=1)
    print(text)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
