"""Benchmark: what measuring a row costs, at several densities: on blocks, and with detection on cutouts.

Usage: ``python tests/benchmarks/bench_blocks.py``. It renders a field of 2048 x 2048 pixels with weights, measures
random subsets of its galaxies both ways, and writes docs/benchmarks/blocks.json: milliseconds of processor time a row,
from reading pixels to the measurement, and how many calls of our own Python functions a row takes.
"""

from __future__ import annotations

import cProfile
import json
import pstats
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

from galmorph.runs.gather import galaxies
from galmorph.runs.plan import Plan
from galmorph.runs.run_settings import Settings
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.sky.mock import simulate

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "blocks.json"
SIDE = 2048
ROWS = 1260
COUNTS = (25, 50, 100, 168, 420, 840, 1260)
REPEATS = 3


def plan_of(catalog: Table, folder: Path, detect: str) -> Plan:
    """Plan to measure a catalogue of the field."""
    image, weight = (str(next(folder.glob(f"{name}.fits*"))) for name in ("image", "weight"))
    images = ImageInput(image, weight=[weight], survey="candels", band="H")
    return Plan(CatalogInput(catalog), images, None, Settings(detect=detect), False)


def milliseconds(catalog: Table, folder: Path, detect: str) -> float:
    """Time measuring a catalogue, a row."""
    gathering = plan_of(catalog, folder, detect).run.gathering
    _ = gathering.where  # where rows are is found for all at once
    started = time.process_time()
    n = sum(1 for _ in galaxies(gathering, np.arange(len(catalog))))
    return 1e3 * (time.process_time() - started) / n


def calls(catalog: Table, folder: Path, detect: str) -> float:
    """Count the calls of our functions, a row."""
    gathering = plan_of(catalog, folder, detect).run.gathering
    profile = cProfile.Profile()
    n = profile.runcall(lambda: sum(1 for _ in galaxies(gathering, np.arange(len(catalog)))))
    stats = pstats.Stats(profile).stats  # type: ignore[attr-defined]
    return sum(line[0] for (path, _, _), line in stats.items() if f"{Path('/')}galmorph{Path('/')}" in path) / n


def compare(catalog: Table, folder: Path, rows: int) -> dict[str, float]:
    """Time both ways on the same rows, one after the other, several times; the least of each."""
    chosen = catalog[np.sort(np.random.default_rng(rows).permutation(len(catalog))[:rows])]
    both = [[milliseconds(chosen, folder, how) for how in ("cutouts", "blocks")] for _ in range(REPEATS)]
    cutouts, blocks = (min(times) for times in zip(*both, strict=True))
    return {
        "rows_per_mpx": round(rows / (SIDE**2 / 1e6), 1),
        "cutouts_ms_per_row": round(cutouts, 2),
        "blocks_ms_per_row": round(blocks, 2),
        "ratio": round(blocks / cutouts, 2),
        "blocks_calls_per_row": round(calls(chosen, folder, "blocks"), 1),
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
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        simulate("candels", "H", rows=ROWS, seed=5, side_px=SIDE).write(folder)
        catalog = Table.read(next(folder.glob("catalog.fits*")))
        milliseconds(catalog[:50], folder, "blocks")  # what is compiled, and what is made once
        table = [compare(catalog, folder, n) for n in COUNTS if n <= len(catalog)]
    result = {"side_px": SIDE, "table": table, "crossover_per_mpx": round(crossover(table), 1)}
    text = json.dumps(result, indent=1)
    print(text)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
