"""Benchmark: the networks that ship side by side, on real stamps; speed, memory and loss are recorded, not asserted.

Usage: ``python tests/benchmarks/bench_networks.py [--steps N] [--seconds S] [NETWORK ...]``. Every network learns the
five classes of ../shared/data/sdss_gz2 (random stamps where they are absent) for N steps or S seconds in a process of
its own with one CPU thread, and on a GPU where there is one (bfloat16, compiled). It writes
docs/benchmarks/networks.json when nothing was shortened: about twenty minutes on one core.
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from galmorph.nets.architecture.network import Network, channels_last, load_network, n_weights, network_names, views
from galmorph.nets.precision import half_convolutions
from galmorph.nets.training.loss.likelihood import Likelihood
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "sdss_gz2"
RESULT = ROOT / "docs" / "benchmarks" / "networks.json"
SCHEME = "gz2-simple"
STAMPS = 1024
STEPS, SECONDS = 300, 400.0
BATCH = {"cpu": 32, "cuda": 512}
REPEATS = 5


def real_stamps(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Read labelled pictures, (N, 3, size, size) in [0, 1], and the numbers of their classes; all show the same sky."""
    scheme = load_scheme(SCHEME)
    names = [k.rpartition("__")[2] for k in scheme.keys]
    with (DATA / "labels.csv").open(newline="") as stream:
        rows = [(r["file"], names.index(r["label"])) for r in csv.DictReader(stream) if r["label"]]
    chosen = np.random.default_rng(1).permutation(len(rows))[:STAMPS]
    pictures = []
    with zipfile.ZipFile(DATA / "images.zip") as archive:
        members = {Path(n).name: n for n in archive.namelist()}
        for i in chosen:
            with archive.open(members[rows[i][0]]) as stream:
                small = Image.open(stream).convert("RGB").resize((size, size), Image.Resampling.BOX)
            pictures.append(np.asarray(small, np.float32).transpose(2, 0, 1) / 255)
    return torch.from_numpy(np.stack(pictures)), torch.tensor([rows[i][1] for i in chosen])


def random_stamps(size: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Draw stamps and classes where there are no real ones."""
    torch.manual_seed(1)
    return torch.rand(STAMPS, 3, size, size), torch.randint(5, (STAMPS,))


def batches(n: int, size: int) -> Iterator[torch.Tensor]:
    """Yield rows for ever, in a new order each time round; the same for every network."""
    generator = torch.Generator().manual_seed(2)
    while True:
        yield from (b for b in torch.randperm(n, generator=generator).split(size) if len(b) == size)


def synchronised(device: str) -> float:
    """Read the clock when the device has done all it was told."""
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def train(
    forward: Callable[..., Any], network: Network, data: tuple[torch.Tensor, torch.Tensor], device: str, **limits: float
) -> dict[str, Any]:
    """Train for so many steps or seconds; return the speed (median step, the first left out) and the losses."""
    stamps, labels = data[0], torch.nn.functional.one_hot(data[1], 5).float()
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    likelihood, losses, times, started = Likelihood(load_scheme(SCHEME)), [], [], time.perf_counter()
    network.train()
    for step, rows in enumerate(batches(len(stamps), BATCH[device])):
        if step >= limits["steps"] or (step > 2 and time.perf_counter() - started > limits["seconds"]):
            break
        begun = synchronised(device)
        x, counts = stamps[rows].to(device), labels[rows].to(device)
        with half_convolutions(device, wanted=device == "cuda"):
            logits = forward(x.contiguous(memory_format=torch.channels_last))
        loss = likelihood(logits.float(), counts, torch.ones_like(counts))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
        times.append(synchronised(device) - begun)
    last = max(1, len(losses) // 10)
    return {
        "steps": len(losses),
        "training_stamps_per_s": round(BATCH[device] / statistics.median(times[1:]), 1),
        "loss_at_first": round(losses[0], 3),
        "loss_at_last": round(statistics.mean(losses[-last:]), 3),
    }


def infer(forward: Callable[..., Any], network: Network, stamps: torch.Tensor, device: str) -> dict[str, float]:
    """Time answers over all views, as a checkpoint gives them; medians, the first left out."""
    network.eval()
    x, times = stamps[: BATCH[device]].to(device), []
    with torch.inference_mode(), half_convolutions(device, wanted=device == "cuda"):
        for _ in range(REPEATS + 1):
            begun = synchronised(device)
            for view in views(network, x):
                forward(view.contiguous(memory_format=torch.channels_last))
            times.append(synchronised(device) - begun)
    return {"inference_stamps_per_s": round(len(x) / statistics.median(times[1:]), 1)}


def one(name: str, device: str, **limits: float) -> dict[str, Any]:
    """Run one network on one device in this process."""
    torch.set_num_threads(1)
    torch.manual_seed(3)
    config = load_network(name)
    size = config.size or 64
    data = real_stamps(size) if DATA.is_dir() else random_stamps(size)
    before_mb = peak_mb(device)
    recipe = Recipe(size=size, planes=3, stretch="display")
    network = channels_last(Network(config, recipe, load_scheme(SCHEME)).to(device))
    forward = torch.compile(network) if device == "cuda" else network
    result = {"network": name, "device": device, "weights": n_weights(network), "views": config.views, "size": size}
    result |= train(forward, network, data, device, **limits)
    result["training_mb"] = round(peak_mb(device) - (before_mb if device == "cpu" else 0))
    return result | infer(forward, network, data[0], device)


def peak_mb(device: str) -> float:
    """Most memory used so far: of the process, or of the GPU's."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def apart(name: str, device: str, steps: int, seconds: float) -> dict[str, Any]:
    """Run one network in a process of its own, so that memory is its own."""
    words = [sys.executable, __file__, name, "--device", device, "--steps", str(steps), "--seconds", str(seconds)]
    done = subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True)
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="names or files; all that ship, if none")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seconds", type=float, default=SECONDS, help="longest training of one network")
    parser.add_argument("--device", choices=("cpu", "cuda"), help="one network on this device, in this process")
    options = parser.parse_args()
    limits = {"steps": options.steps, "seconds": options.seconds}
    if options.device:
        print(json.dumps(one(options.networks[0], options.device, **limits)))
        return 0
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]
    names = options.networks or network_names()
    rows = []
    for name, device in ((n, d) for d in devices for n in names):
        rows.append(apart(name, device, **limits))
        print(json.dumps(rows[-1]), file=sys.stderr)
    result = {
        "stamps": "sdss_gz2" if DATA.is_dir() else "random",
        "gpu": torch.cuda.get_device_name() if "cuda" in devices else None,
        "networks": rows,
        "batch": BATCH,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "date": time.strftime("%Y-%m-%d"),
    }
    text = json.dumps(result, indent=1)
    print(text)
    if (names, options.steps, options.seconds) == (network_names(), STEPS, SECONDS) and DATA.is_dir():
        RESULT.parent.mkdir(parents=True, exist_ok=True)
        RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
