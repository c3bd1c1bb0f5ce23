"""Benchmark: a mosaic read in parts against the whole of it, over a line of a stated latency and rate.

Usage: ``python tests/benchmarks/bench_ranges.py``. A server on this machine plays an archive of a sparse mosaic of
20 480 x 20 480 pixels, as GOODS-N has, behind a line of 0.15 s and 10 MB/s. Blocks of detection (896 x 896 pixels with
their margins) are fetched in parts: from a host that sends many parts in an answer, and from one that does not. The
whole file is not fetched, since its time is its size over the rate; of 32 MB of it the time is measured. It writes
docs/benchmarks/ranges.json.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from loopback import serving  # noqa: E402 - the tests' server

from galmorph.runs.blocks import BLOCK_PX, MARGIN_PX  # noqa: E402
from galmorph.sky.remote import Cache, Client, PartialFile  # noqa: E402
from galmorph.sky.remote.link import Link  # noqa: E402

RESULT = ROOT / "docs" / "benchmarks" / "ranges.json"
SIDE = 20480
ROW = 4 * SIDE
SIZE = 2880 * 3 + SIDE * ROW
SPAN = BLOCK_PX + 2 * MARGIN_PX
COUNTS = (1, 4, 8)
WHOLE_SAMPLE = 1 << 25


def ranges_of(block: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the bytes of a block and its margin, by its row and column."""
    top, left = (max(n * BLOCK_PX - MARGIN_PX, 0) for n in block)
    starts = 2880 * 3 + (top + np.arange(min(SPAN, SIDE - top))) * ROW + 4 * left
    return [(int(start), int(start) + 4 * min(SPAN, SIDE - left)) for start in starts]


@dataclass(frozen=True)
class Line:
    """What one way of reading blocks cost, and what the model says of it."""

    blocks: int
    many_in_an_answer: bool
    seconds: float
    model_s: float
    megabytes: float
    requests: int


def timed(mosaic: Path, folder: Path, blocks: Sequence[tuple[int, int]], *, many: bool) -> Line:
    """Fetch blocks one after the other, as a run does."""
    link = Link()
    with serving() as archive:
        archive.files["/mosaic.fits"] = mosaic
        archive.has_many_ranges, archive.latency_s, archive.bytes_per_s = many, link.latency_s, link.bytes_per_s
        file = PartialFile.open(f"{archive.base}/mosaic.fits", client := Client(), Cache(folder))
        archive.requests.clear()
        before, started, model = file.missing_bytes, time.perf_counter(), 0.0
        for block in blocks:
            model += link.time_s(*file.cost_of(ranges_of(block)), client.manners)
            file.need_all(ranges_of(block))
        seconds = time.perf_counter() - started
        return Line(
            len(blocks), many, round(seconds, 2), round(model, 2), round((before - file.missing_bytes) / 1e6, 1),
            len(archive.requests),
        )  # fmt: skip


def whole_rate(mosaic: Path, folder: Path) -> float:
    """Return the bytes per second at which a file is downloaded as a whole."""
    link = Link()
    with serving() as archive:
        archive.files["/mosaic.fits"] = mosaic
        archive.latency_s, archive.bytes_per_s = link.latency_s, link.bytes_per_s
        file = PartialFile.open(f"{archive.base}/mosaic.fits", Client(), Cache(folder))
        started = time.perf_counter()
        file.need(0, WHOLE_SAMPLE)
        return WHOLE_SAMPLE / (time.perf_counter() - started)


def crossover(lines: Sequence[Line], whole_s: float) -> dict[str, float]:
    """Return how many blocks cost as much as the whole file, by the time of the most blocks that were fetched."""
    last = {line.many_in_an_answer: line for line in lines}
    return {("many" if many else "one"): round(whole_s * line.blocks / line.seconds) for many, line in last.items()}


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    places = np.random.default_rng(2).permutation(SIDE // BLOCK_PX * (SIDE // BLOCK_PX))
    blocks = [(int(n) // (SIDE // BLOCK_PX), int(n) % (SIDE // BLOCK_PX)) for n in places]
    with tempfile.TemporaryDirectory() as folder:
        mosaic = Path(folder) / "mosaic.fits"
        with mosaic.open("wb") as file:
            file.truncate(SIZE)
        lines = [
            timed(mosaic, Path(folder) / f"{many}{count}", blocks[:count], many=many)
            for many in (True, False)
            for count in COUNTS
        ]
        rate = whole_rate(mosaic, Path(folder) / "whole")
    result = {
        "line": vars(Link()),
        "megabytes": round(SIZE / 1e6),
        "whole_s": round(SIZE / rate, 1),
        "table": [vars(line) for line in lines],
        "blocks": len(blocks),
        "crossover_blocks": crossover(lines, SIZE / rate),
    }
    text = json.dumps(result, indent=1)
    print(text)
    RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
