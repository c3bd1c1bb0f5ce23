"""Benchmark: classify the real SDSS stamps by the command line; time and memory are recorded, not asserted.

Usage: ``python tests/benchmarks/bench_classify.py [--limit N] [--checkpoint C]``. It needs ../shared/data and the
checkpoint sdss-rgb, classifies once in each precision that the processor has, and writes
docs/benchmarks/classify.json when all stamps are classified.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from galmorph.nets.precision import computes_bfloat16
from galmorph.runs.run_settings import PRECISIONS

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "sdss_gz2"
RESULT = ROOT / "docs" / "benchmarks" / "classify.json"


def first_rows(source: Path, target: Path, limit: int | None) -> int:
    """Copy the first `limit` rows of a CSV file; return how many."""
    with source.open(newline="") as stream:
        rows = list(csv.reader(stream))
    kept = rows if limit is None else rows[: limit + 1]
    with target.open("w", newline="") as stream:
        csv.writer(stream).writerows(kept)
    return len(kept) - 1


def classify(labels: Path, output: Path, precision: str, checkpoint: str | None) -> dict[str, float]:
    """Classify in a process of its own; return what it cost."""
    words = [sys.executable, "-m", "galmorph", "classify", str(labels), "--image", str(DATA / "images.zip")]
    words += ["--survey", "sdss", "--band", "RGB", "--precision", precision, "-o", str(output), "--overwrite"]
    words += ["--checkpoint", checkpoint] if checkpoint else []
    started = time.perf_counter()
    process = subprocess.Popen(words, env={**os.environ, "PYTHONPATH": str(ROOT)})
    _, status, used = os.wait4(process.pid, 0)
    wall_s = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"galmorph ended with {process.returncode}")
    kilobyte = 1 if sys.platform == "darwin" else 1024
    return {
        "wall_s": round(wall_s, 1),
        "cpu_s": round(used.ru_utime + used.ru_stime, 1),
        "peak_rss_mb": round(used.ru_maxrss * kilobyte / 1e6),
    }


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, help="classify only the first so many stamps; nothing is recorded")
    parser.add_argument("--checkpoint", help="name or file, instead of the one that ships")
    options = parser.parse_args()
    if not DATA.is_dir():
        print(f"the real stamps are not here ({DATA.name}): nothing to do", file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        labels = Path(folder) / "labels.csv"
        stamps = first_rows(DATA / "labels.csv", labels, options.limit)
        precisions = PRECISIONS if computes_bfloat16("cpu") else PRECISIONS[:1]
        costs = {name: classify(labels, Path(folder) / "out.csv", name, options.checkpoint) for name in precisions}
    result = {
        "stamps": stamps,
        **{name: cost | {"stamps_per_s": round(stamps / cost["wall_s"], 1)} for name, cost in costs.items()},
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if options.limit is None:
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
