"""Benchmark: what reading a catalogue and writing it with 15 more columns costs; recorded, not asserted.

Usage: ``python tests/benchmarks/bench_tables.py``. It draws a FITS table of a million rows and 60 columns and an ECSV
table of a hundred thousand rows, copies each with more columns in a process of its own, with and without reading the
result back, prints processor seconds and peak memory, and writes docs/benchmarks/tables.json.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from astropy.table import Table

from galmorph.sky import catalog as catalogs
from galmorph.sky.catalog import read_catalog, write_catalog
from galmorph.sky.formats.column import Column, Provenance

RESULT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "tables.json"
TABLES = {"fits": (1_000_000, 60), "ecsv": (100_000, 20)}
ADDED = 15


def draw(path: Path, rows: int, columns: int) -> None:
    """Write a table of positions, numbers and names."""
    rng = np.random.default_rng(1)
    table = Table({"id": np.arange(rows), "ra": rng.uniform(0, 360, rows), "dec": rng.uniform(-90, 90, rows)})
    table["name"] = np.arange(rows).astype("S9")
    for number in range(columns - len(table.colnames)):
        table[f"c{number}"] = rng.normal(size=rows).astype("f4" if number % 2 else "f8")
    table.write(path, format="fits" if path.suffix == ".fits" else "ascii.ecsv")


def copy(path: Path, *, back: bool) -> dict[str, float]:
    """Read a table and write it with more columns; return what that costs in this process."""
    if not back:
        catalogs._check_written = lambda *_: None
    before, start = peak_mb(), time.process_time()
    catalog = read_catalog(path)
    rows = len(catalog)
    columns = [Column(f"gm_{n}", np.full(rows, n, np.float32), "", f"column {n}", "") for n in range(ADDED)]
    write_catalog(catalog, columns, path.with_name(f"out{path.suffix}"), provenance=Provenance(), overwrite=True)
    return {"cpu_s": round(time.process_time() - start, 2), "peak_mb": peak_mb(), "before_mb": before}


def peak_mb() -> int:
    """Return the most memory that this process had; getrusage would count that of the one that started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return round(int(status.partition("VmHWM:")[2].split()[0]) / 1024)


def main() -> None:
    """Time each table in processes of their own."""
    costs: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for ending, (rows, columns) in TABLES.items():
            path = Path(folder) / f"table.{ending}"
            draw(path, rows, columns)
            costs[ending] = {"rows": rows, "columns": columns}
            for back in (False, True):
                command = [sys.executable, __file__, str(path), "back" if back else ""]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                costs[ending]["read back" if back else "not read back"] = json.loads(done.stdout)
            path.unlink()
    RESULT.write_text(json.dumps(costs, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(costs, indent=1))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(copy(Path(sys.argv[1]), back=bool(sys.argv[2]))))
    else:
        main()
