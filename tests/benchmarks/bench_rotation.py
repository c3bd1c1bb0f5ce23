"""Benchmark: how much rotating a galaxy changes a checkpoint's probabilities, and what it costs to change less.

Usage: ``python tests/benchmarks/bench_rotation.py [CHECKPOINT] [--labels TABLE --image IMAGES] [--rows N]``. Galaxies
are rotated in the one warp that makes their stamps, not as stamps; their probabilities are averaged over 1, 2, 4 or 8
oblique views as large as its own, with the stamps as it wants them and with their corners hidden (``--masks``). For
each it prints the median, the 95th percentile and the largest change, over galaxies, answers and angles, against no
rotation, and the processor time. Without a table it takes ../shared/data/sdss_gz2 and writes
docs/benchmarks/rotation.json.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from galmorph.nets.architecture.layers import Mask
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.runs.gather import Galaxy, Gathering, gather, views_of
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.survey import load_survey
from galmorph.stamps.affine import compose, turn
from galmorph.stamps.morphometry import stacked
from galmorph.stamps.recipe import stretch
from galmorph.stamps.views import read_views

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "sdss_gz2"
RESULT = ROOT / "docs" / "benchmarks" / "rotation.json"
FloatArray = npt.NDArray[np.float64]

ROTATIONS = {
    "none": turn(),
    "quarter": turn(math.pi / 2),
    "flip": turn(flip=True),
    **{f"{angle:g}": turn(math.radians(angle)) for angle in (17.0, 31.0, 40.6)},
}
EXACT = ("quarter", "flip")
ALL = read_views("turns8")
SETS = {name: [ALL.angles_deg.index(a) for a in read_views(name).angles_deg] for name in ("one", "turns2", "turns4")}
SETS["turns8"] = list(range(len(ALL)))


def zoomed(checkpoint: Checkpoint) -> FloatArray:
    """Matrices of all angles as large as the checkpoint's own views show galaxies, (V, 2, 3)."""
    zooms = read_views(checkpoint.recipe.views).zooms
    if len(zooms) != 1:
        raise SystemExit(f"checkpoint '{checkpoint.name}' averages over zooms {zooms}: this compares angles alone")
    return replace(ALL, zooms=zooms).matrices


def turned_stamps(galaxy: Galaxy, images: ImageSource, checkpoint: Checkpoint) -> npt.NDArray[np.float32]:
    """Make every view of every rotation, (rotations · views, C, S, S), stretched."""
    matrices = np.stack([compose(rotation, view) for rotation in ROTATIONS.values() for view in zoomed(checkpoint)])
    made = views_of(galaxy, images, checkpoint.recipe, matrices)
    return np.asarray(stretch(made.pixels, np.float32(made.brightness), checkpoint.recipe), dtype=np.float32)


def galaxies(checkpoint: Checkpoint, labels: Path, images: ImageSource, rows: int) -> Iterator[Galaxy]:
    """Yield up to so many measured galaxies, drawn from the whole table."""
    catalog = read_catalog(labels)
    chosen = np.sort(np.random.default_rng(3).permutation(len(catalog))[:rows])
    for galaxy in gather(Gathering(catalog, images, checkpoint.recipe.half_width_rpet), chosen):
        if galaxy.cutout is not None and galaxy.measured is not None:
            yield galaxy


def raw(checkpoint: Checkpoint, stamps: npt.NDArray[np.float32]) -> FloatArray:
    """Predict uncalibrated conditional probabilities of each stamp, (B, A)."""
    passes = checkpoint.passes(stamps, stacked([None] * len(stamps)))
    return np.tensordot(passes.weights, passes.each, axes=1)


def changes(checkpoint: Checkpoint, each: FloatArray) -> dict[str, Any]:
    """Compare the probabilities among all people after each rotation with those before, for each set of views.

    Parameters
    ----------
    each
        (N, rotations, views, A) uncalibrated.
    """
    found = {}
    for name, members in SETS.items():
        mean = each[:, :, members].mean(axis=2)
        p = checkpoint.scheme.marginals(checkpoint.calibrated(mean.reshape(-1, mean.shape[-1]))).reshape(mean.shape)
        change = {key: np.abs(p[:, i] - p[:, 0]) for i, key in enumerate(ROTATIONS)}
        oblique = np.stack([v for k, v in change.items() if k not in (*EXACT, "none")])
        found[name] = {
            "oblique": _quantiles(oblique),
            "quarter_and_flip_largest": float(f"{max(change[k].max() for k in EXACT):.2g}"),
        }
    return found


def _quantiles(change: FloatArray) -> dict[str, float]:
    median, high = np.quantile(change, [0.5, 0.95]).tolist()
    return {"median": float(f"{median:.2g}"), "p95": float(f"{high:.2g}"), "largest": float(f"{change.max():.2g}")}


def costs(checkpoint: Checkpoint, found: list[Galaxy], images: ImageSource) -> dict[str, Any]:
    """Time each set of views: warping, and the networks on so many galaxies at once; processor ms a galaxy."""
    result, matrices = {}, zoomed(checkpoint)
    for name, members in SETS.items():
        started = time.process_time()
        made = [views_of(g, images, checkpoint.recipe, matrices[members]) for g in found]
        between = time.process_time()
        brightness = np.array([m.brightness for m in made], np.float32)[:, None, None, None, None]
        checkpoint.answer(
            np.asarray(stretch(np.stack([m.pixels for m in made]), brightness, checkpoint.recipe), np.float32)
        )
        spent = {"warp": between - started, "network": time.process_time() - between}
        result[name] = {what: round(1e3 * seconds / len(found), 2) for what, seconds in spent.items()}
    return result


def measured(checkpoint: Checkpoint, options: argparse.Namespace) -> dict[str, Any]:
    """Run it all on open images."""
    envelope = checkpoint.envelope
    band = envelope.band
    windows = {"as the network wants them": np.ones(1, np.float32)}
    windows |= {
        f"hidden outside {r:g} half-widths": Mask(checkpoint.recipe.size, r).window.numpy() for r in options.masks
    }
    probabilities: dict[str, list[FloatArray]] = {name: [] for name in windows}
    timed: list[Galaxy] = []
    with closing(open_images(options.image, survey=load_survey(envelope.survey), band=band)) as images:
        for galaxy in galaxies(checkpoint, options.labels, images, options.rows):
            stamps = turned_stamps(galaxy, images, checkpoint)
            for name, window in windows.items():
                p = raw(checkpoint, stamps * window)
                probabilities[name].append(p.reshape(len(ROTATIONS), len(ALL), -1))
            timed += [galaxy] if len(timed) < 32 else []
        cost = costs(checkpoint, timed, images)
    return {
        "rows": len(probabilities["as the network wants them"]),
        "angles_deg": [k for k in ROTATIONS if k not in (*EXACT, "none")],
        "change_of_probability": {name: changes(checkpoint, np.stack(p)) for name, p in probabilities.items()},
        "cpu_ms_a_galaxy": cost,
    }


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", nargs="?", default="sdss-rgb")
    parser.add_argument("--labels", type=Path, default=DATA / "labels.csv")
    parser.add_argument("--image", default=str(DATA / "images.zip"))
    parser.add_argument("--rows", type=int, default=100)
    parser.add_argument("--masks", type=float, nargs="*", default=[1.0], help="radii in half-widths of the stamp")
    options = parser.parse_args()
    if not options.labels.is_file():
        print(f"the table of galaxies is not here ({options.labels.name}): nothing to do", file=sys.stderr)
        return 0
    torch.set_num_threads(1)
    checkpoint = load_checkpoint(options.checkpoint)
    network = {"checkpoint": checkpoint.name, "network": checkpoint.config.name}
    text = json.dumps(network | measured(checkpoint, options) | {"date": time.strftime("%Y-%m-%d")}, indent=1)
    print(text)
    if options.labels == DATA / "labels.csv":
        RESULT.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
