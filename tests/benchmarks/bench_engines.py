"""Benchmark: torch and onnxruntime side by side on the checkpoints that ship; recorded, not asserted.

Usage: ``python tests/benchmarks/bench_engines.py [CHECKPOINT ...] [--rounds N]``. Each is exported, then both
predict the same 64 stamps, in turns, on one thread; 'as trained' is torch without writing out group convolutions and
norms as ordinary convolutions. It prints medians of processor milliseconds a stamp and writes
docs/benchmarks/engines.json.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from galmorph.errors import CheckpointError
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.checkpoint.lookup import checkpoint_names
from galmorph.nets.checkpoint.onnx_file import library, with_onnx, write_onnx

RESULT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "engines.json"
STAMPS = 64


def compared(name: str, folder: Path, rounds: int) -> dict[str, Any]:
    """Export one checkpoint and time each way of predicting."""
    checkpoint = load_checkpoint(name)
    recipe = checkpoint.recipe
    started = time.process_time()
    path, worst = write_onnx(checkpoint, folder / f"{checkpoint.name}.onnx")
    export_s = time.process_time() - started
    shape = (STAMPS, recipe.planes, recipe.size, recipe.size)
    stamps = np.random.default_rng(0).normal(0.3, 0.5, shape).astype(np.float32)
    trained, onnx = members_of(checkpoint.network), with_onnx(checkpoint, path)
    ways: dict[str, Callable[[], object]] = {
        "torch": lambda: checkpoint.predict(stamps),
        "torch, as trained": lambda: checkpoint.through(trained, torch.from_numpy(stamps)),
        "onnxruntime": lambda: onnx.predict(stamps),
    }
    spent = timed(ways, rounds)
    return {
        "ms_a_stamp": {way: round(1e3 * s / STAMPS, 2) for way, s in spent.items()},
        "onnxruntime_over_torch": round(spent["onnxruntime"] / spent["torch"], 2),
        "largest_difference": float(f"{worst:.1g}"),
        "export_s": round(export_s, 1),
        "file_mb": round(path.stat().st_size / 1e6, 1),
    }


def timed(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Return the median processor time of each way in seconds; they take turns."""
    found: dict[str, list[float]] = {way: [] for way in ways}
    with torch.inference_mode():
        for number in range(rounds + 1):
            for way, predict in ways.items():
                started = time.process_time()
                predict()
                found[way] += [time.process_time() - started] if number else []  # the first round warms up
    return {way: float(np.median(times)) for way, times in found.items()}


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="*", default=checkpoint_names())
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        versions = {"onnxruntime": library("onnxruntime").__version__, "torch": torch.__version__}
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = {Path(c).stem: compared(c, Path(folder), options.rounds) for c in options.checkpoints}
    text = json.dumps({"stamps": STAMPS, "threads": 1, "checkpoints": found, **versions}, indent=1)
    print(text)
    RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
