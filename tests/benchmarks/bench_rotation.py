"""Benchmark: how much rotating a galaxy changes a checkpoint's probabilities; recorded, not asserted.

Usage: ``python tests/benchmarks/bench_rotation.py CHECKPOINT [--labels TABLE --image IMAGES] [--rows N]``. Images are
rotated in the one warp that makes a stamp, not as stamps. Without a table it takes ../shared/data/sdss_gz2. It prints
JSON: for each angle the median and the 95th percentile, over galaxies and answers, of the change of a probability.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.nets.checkpoint import Checkpoint, load_checkpoint
from galmorph.runs.gather import Galaxy, Gathering, gather, seed_of
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import ImageSource, open_images
from galmorph.sky.survey import survey
from galmorph.stamps.recipe import Recipe, prepare_around, stretch
from galmorph.stamps.warp import compose, stamp_matrix, turn, warp

DATA = Path(__file__).resolve().parents[3] / "shared" / "data" / "sdss_gz2"
ANGLES_DEG = (0.0, 90.0, 10.0, 22.5, 31.0, 45.0, 117.0, 200.0)
REACH = 1.5  # a square turned by 45 degrees reaches sqrt(2) times as far


def turned_stamps(galaxy: Galaxy, images: ImageSource, recipe: Recipe) -> npt.NDArray[np.float32]:
    """Make the stamp at every angle, (angles, C, S, S), stretched; each is sampled once from the pixels."""
    cutout, measured = galaxy.cutout, galaxy.measured
    assert cutout is not None
    assert measured is not None
    about = {"x": cutout.x, "y": cutout.y, "reach": REACH, "mjysr_per_unit": images.mjysr_per_unit(cutout.tile)}
    ready = prepare_around(cutout.planes, measured, recipe, seed=seed_of(cutout, images), **about)
    upright = stamp_matrix(ready.x, ready.y, ready.half_px)
    turns = [compose(upright, turn(math.radians(angle))) for angle in ANGLES_DEG]
    stamps = np.stack([warp(ready.planes, matrix, recipe.size) for matrix in turns])
    return np.asarray(stretch(stamps, np.float32(ready.brightness), recipe), dtype=np.float32)


def galaxies(checkpoint: Checkpoint, labels: Path, images: ImageSource, rows: int) -> Iterator[npt.NDArray[np.float32]]:
    """Yield the turned stamps of up to so many galaxies, drawn from the whole table."""
    catalog = read_catalog(labels)
    chosen = np.sort(np.random.default_rng(3).permutation(len(catalog))[:rows])
    for galaxy in gather(Gathering(catalog, images, None, checkpoint.recipe.half_width_rpet), chosen):
        if galaxy.cutout is not None and galaxy.measured is not None:
            yield turned_stamps(galaxy, images, checkpoint.recipe)


def changes(checkpoint: Checkpoint, stamps: npt.NDArray[np.float32]) -> dict[str, dict[str, float]]:
    """Compare the probabilities among all people at each angle with those at none.

    Parameters
    ----------
    stamps
        (N, angles, C, S, S), the first angle 0.
    """
    p = [checkpoint.scheme.marginals(checkpoint.predict(np.ascontiguousarray(v))) for v in stamps.swapaxes(0, 1)]
    return {f"{angle:g}": _quantiles(np.abs(q - p[0])) for angle, q in zip(ANGLES_DEG[1:], p[1:], strict=True)} | {
        "oblique": _quantiles(np.abs(np.stack(p[2:]) - p[0]))
    }


def _quantiles(change: npt.NDArray[np.float64]) -> dict[str, float]:
    median, high = np.quantile(change, [0.5, 0.95]).tolist()
    return {"median": float(f"{median:.2g}"), "p95": float(f"{high:.2g}"), "largest": float(f"{change.max():.2g}")}


def main() -> int:
    """Run the benchmark and print its result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint")
    parser.add_argument("--labels", type=Path, default=DATA / "labels.csv")
    parser.add_argument("--image", default=str(DATA / "images.zip"))
    parser.add_argument("--rows", type=int, default=300)
    options = parser.parse_args()
    if not options.labels.is_file():
        print(f"the table of galaxies is not here ({options.labels.name}): nothing to do", file=sys.stderr)
        return 0
    checkpoint = load_checkpoint(options.checkpoint)
    envelope = checkpoint.envelope
    band = "RGB" if len(envelope.bands) > 1 else envelope.bands[0]
    with closing(open_images(options.image, survey=survey(envelope.survey), band=band)) as images:
        stamps = np.stack(list(galaxies(checkpoint, options.labels, images, options.rows)))
    result: dict[str, Any] = {"checkpoint": checkpoint.name, "network": checkpoint.config.name, "rows": len(stamps)}
    print(json.dumps(result | {"change_of_probability": changes(checkpoint, stamps)}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
