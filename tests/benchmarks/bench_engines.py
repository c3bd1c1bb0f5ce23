"""Benchmark: ways to compute the networks of the checkpoints that ship, side by side; recorded, not asserted.

Usage: ``python tests/benchmarks/bench_engines.py [CHECKPOINT ...] [--rounds N] [--device cuda]``. Each is exported,
then all ways answer the same 64 stamps, in turns, on one thread: torch as galmorph runs it (eager, group convolutions
and norms written out as ordinary convolutions), torch without that ('as trained'), compiled by torch.compile, in
bfloat16 where the device computes it, and onnxruntime. It records medians of processor milliseconds a stamp (of the
wall on a GPU), galaxies a second by the views that are the checkpoint's default, and the largest difference of a
probability from eager torch, in docs/benchmarks/engines.json, and writes the page engines.md beside it.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from galmorph.errors import CheckpointError
from galmorph.nets.architecture.network import members_of, n_weights
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.nets.checkpoint.lookup import checkpoint_names, find_checkpoint
from galmorph.nets.checkpoint.onnx_file import Answering, library, with_onnx, write_onnx
from galmorph.nets.precision import computes_bfloat16, half_convolutions
from galmorph.runs.export import sample_stamps
from galmorph.stamps.views import read_views

RESULT = Path(__file__).resolve().parents[2] / "docs" / "benchmarks" / "engines.json"
STAMPS = 64
EAGER, TRAINED, COMPILED, HALF, ONNX = "eager", "as trained", "compiled", "bfloat16", "ONNX"
WAYS = (EAGER, TRAINED, COMPILED, HALF, ONNX)
FloatArray = npt.NDArray[np.float32]
Way = Callable[[], npt.NDArray[Any]]


@dataclass(frozen=True)
class Inputs:
    """Stamps, (64, C, S, S), of which the first are galaxies of a sample and the others noise, and morphometry."""

    stamps: FloatArray
    morphometry: FloatArray

    @classmethod
    def of(cls, checkpoint: Checkpoint) -> Inputs:
        """Take what the checkpoint's networks need."""
        stamps, morphometry = sample_stamps(checkpoint.recipe)
        shape = (STAMPS - len(stamps), *stamps.shape[1:])
        noise = np.random.default_rng(0).normal(0.3, 0.5, shape).astype(np.float32)
        rest = np.resize(morphometry, (len(noise), morphometry.shape[1]))
        return cls(np.concatenate([stamps, noise]), np.concatenate([morphometry, rest]))

    def on(self, device: str) -> tuple[torch.Tensor, torch.Tensor]:
        """Move them to a device."""
        return torch.from_numpy(self.stamps).to(device), torch.from_numpy(self.morphometry).to(device)


def compared(name: str, folder: Path, rounds: int, device: str) -> dict[str, Any]:
    """Export one checkpoint, and time and compare each way of predicting."""
    checkpoint = load_checkpoint(name)
    started = time.process_time()
    path, _ = write_onnx(checkpoint, folder / f"{checkpoint.name}.onnx")
    export_s = time.process_time() - started
    ways, compile_s = ways_of(checkpoint, path, Inputs.of(checkpoint), device)
    answers = {way: predict() for way, predict in ways.items()}
    spent = timed(ways, rounds, device)
    views = len(checkpoint.distinct_views(read_views(checkpoint.recipe.views))[1])
    return {
        "version": checkpoint.version,
        "networks": len(members_of(checkpoint.network)),
        "weights": n_weights(checkpoint.network),
        "views": views,
        "ms_a_stamp": {way: round(1e3 * s / STAMPS, 2) for way, s in spent.items()},
        "galaxies_a_second": {way: round(STAMPS / s / views, 1) for way, s in spent.items()},
        "largest_difference": {
            way: float(f"{np.abs(p - answers[EAGER]).max():.1g}") for way, p in answers.items() if way != EAGER
        },
        "export_s": round(export_s, 1),
        "compile_s": round(compile_s, 1),
        "file_mb": round(find_checkpoint(name).stat().st_size / 1e6, 2),
        "onnx_mb": round(path.stat().st_size / 1e6, 2),
    }


def ways_of(checkpoint: Checkpoint, path: Path, inputs: Inputs, device: str) -> tuple[dict[str, Way], float]:
    """Return what predicts in each way that the device has, and the seconds that compiling took."""
    given, weights = inputs.on(device), torch.tensor(checkpoint.weights).float().to(device)
    eager = Answering(checkpoint).eval().to(device)
    trained = [member.to(device) for member in members_of(checkpoint.network)]
    compiled = torch.compile(lambda *numbers: checkpoint.through(list(eager.members), *numbers)[0], dynamic=False)

    def mean(passes: torch.Tensor) -> npt.NDArray[Any]:
        return (passes * weights[:, None, None]).sum(dim=0).float().cpu().numpy()

    def half() -> npt.NDArray[Any]:
        with half_convolutions(device, wanted=True):
            return mean(checkpoint.through(list(eager.members), *given)[0])

    ways: dict[str, Way] = {
        EAGER: lambda: mean(checkpoint.through(list(eager.members), *given)[0]),
        TRAINED: lambda: mean(checkpoint.through(trained, *given)[0]),
        COMPILED: lambda: mean(compiled(*given)),
    }
    if computes_bfloat16(device):
        ways[HALF] = half
    if device == "cpu":
        onnx = with_onnx(checkpoint, path)
        ways[ONNX] = lambda: onnx.passes(inputs.stamps, inputs.morphometry).mean
    started = time.perf_counter()
    with torch.inference_mode():
        ways[COMPILED]()
    return {way: inferring(predict) for way, predict in ways.items()}, time.perf_counter() - started


def inferring(predict: Way) -> Way:
    """Let a way of predicting keep no gradients."""

    def answer() -> npt.NDArray[Any]:
        with torch.inference_mode():
            return predict()

    return answer


def timed(ways: dict[str, Way], rounds: int, device: str) -> dict[str, float]:
    """Return the median time of each way in seconds; they take turns."""
    # The answers are copied to the processor, so that the clock of the wall waits for a GPU.
    clock = time.process_time if device == "cpu" else time.perf_counter
    spent: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, predict in ways.items():
            started = clock()
            predict()
            spent[way] += [clock() - started] if number else []  # the first round warms up
    return {way: float(np.median(times)) for way, times in spent.items()}


def markdown(result: dict[str, Any]) -> str:
    """Write the result as one page."""
    half = _BFLOAT16 if result["computes_bfloat16"] else _NO_BFLOAT16
    head = f"| checkpoint | networks | weights | views | {' | '.join(WAYS)} | file, MB | as ONNX, MB |"
    rows = [_row(name, found) for name, found in result["checkpoints"].items()]
    agreement = [_agreement(name, found) for name, found in result["checkpoints"].items()]
    parts = (
        _HEAD.format(**result, half=half),
        "\n".join([head, "|---" * (len(WAYS) + 6) + "|", *rows]),
        _AGREEMENT,
        "\n".join([f"| checkpoint | {' | '.join(WAYS[1:])} |", "|---" * len(WAYS) + "|", *agreement]),
    )
    return "\n\n".join(parts) + "\n"


def _row(name: str, found: dict[str, Any]) -> str:
    ms, rate = found["ms_a_stamp"], found["galaxies_a_second"]
    cells = [f"{ms[way]:.2f} ({rate[way]:.0f})" if way in ms else "-" for way in WAYS]
    what = [f"`{name}` {found['version']}", found["networks"], f"{found['weights'] / 1e6:.2f} M", found["views"]]
    return "| " + " | ".join(map(str, [*what, *cells, found["file_mb"], found["onnx_mb"]])) + " |"


def _agreement(name: str, found: dict[str, Any]) -> str:
    cells = [f"{found['largest_difference'].get(way, float('nan')):.0e}" for way in WAYS[1:]]
    return f"| `{name}` | {' | '.join(cells).replace('nan', '-')} |"


_HEAD = """# Checkpoints by each framework

Made by `make bench-engines` on {date}: {device}, {threads} thread, torch {torch}, onnxruntime {onnxruntime}, {machine}.

Milliseconds of processor for a stamp, and in brackets galaxies a second by the views over which the checkpoint averages
by default. The making of stamps is not in it. **eager** is what `galmorph classify` runs, **ONNX** what it runs with
`--runtime`; **as trained** is torch with group convolutions and norms as they stand in the text of the network,
**compiled** is `torch.compile` (its minutes of compiling are not in it).{half}"""
_AGREEMENT = """## Agreement

The largest difference of a probability from eager torch, uncalibrated, over all answers and 64 stamps, of which twelve
are galaxies of a sample that ships and the others noise."""
_BFLOAT16 = """ **bfloat16** is what it runs
with `--precision bfloat16`."""
_NO_BFLOAT16 = """ **bfloat16** was not run: this processor has
no instructions for it (AVX-512), and emulates it at some ten times the cost of single precision."""


def main() -> int:
    """Run the benchmark, write its result and print the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoints", nargs="*", default=checkpoint_names())
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    options = parser.parse_args()
    torch.set_num_threads(1)
    try:
        versions = {"onnxruntime": library("onnxruntime").__version__, "torch": torch.__version__}
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 0
    with tempfile.TemporaryDirectory() as folder:
        found = {Path(c).stem: compared(c, Path(folder), options.rounds, options.device) for c in options.checkpoints}
    result = {
        "stamps": STAMPS,
        "threads": 1,
        "device": options.device,
        "machine": platform.machine(),
        "computes_bfloat16": computes_bfloat16(options.device),
        "checkpoints": found,
        "date": datetime.now(UTC).strftime("%Y-%m-%d"),
        **versions,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    RESULT.with_suffix(".md").write_text(markdown(result), encoding="utf-8")
    print(markdown(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
