"""Benchmark: how many of the 20 rows most like a galaxy are of its kind, and how long a million rows take.

Usage: ``python tests/benchmarks/bench_similar.py --folder FOLDER``; features are kept in FOLDER. It needs
../shared/data. Sets and kinds: see likeness_sets.py. Each galaxy of a kind is asked for once, all others of the set are
looked through; errors are those of 200 bootstraps of the galaxies that are asked for. *Random* is the share of the kind
in the set, *raw pixels* the same search on stamps of 32 x 32 pixels that were recentred and rescaled as the network's.

Examples: 5 galaxies of a kind, and 5 of the 20 nearest to their mean that are none, where there are so many; the rows
that were shown are left out. Means over ``--draws`` draws, errors those of the mean.

With light: features joined with how light is spread over eight rings of the stamps (galmorph embed --light 8).

Latent factors: half of a set's galaxies, drawn at random, teach them; the other half are the cold start, among which
alone is looked for, by factors, by features and by the fractions that a ridge regression gives directly.

Queries are timed on 10^6 x 128 random numbers, side by side by numpy and by usearch. Writes
docs/benchmarks/similar.json.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from likeness_sets import FEATURES, LIGHT, PIXELS, LikenessSet, ceers, efigi, gz2, load

from galmorph.likeness.examples import logistic, rocchio
from galmorph.likeness.feature_space import fit_space
from galmorph.likeness.latent_factors import fit_factors, predicted_factors
from galmorph.likeness.nearest_rows import ExactNeighbours, GraphNeighbours
from galmorph.likeness.vectors import joined, unit_of
from galmorph.sky.scheme import Labels

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "similar.json"
KINDS = {
    "efigi": ("bar", "ring", "edge-on"),
    "gz2": ("cigar", "edge-on", "merger"),
    "ceers": ("merger", "edge-on"),
}
NEAREST, BOOTSTRAPS, FACTORS = 20, 200, 8
ROWS, NUMBERS, QUERIES = 1_000_000, 128, 10
Single = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


def with_error(values: FloatArray) -> list[float]:
    """Mean and its standard error by bootstraps."""
    rng = np.random.default_rng(0)
    means = [values[rng.integers(len(values), size=len(values))].mean() for _ in range(BOOTSTRAPS)]
    return [round(float(values.mean()), 4), round(float(np.std(means)), 4)]


def precision(units: Single, kind: BoolArray) -> FloatArray:
    """Share of a kind among the nearest of each galaxy of it."""
    shares = []
    for row in np.flatnonzero(kind):
        products = units @ units[row]
        products[row] = -np.inf
        shares.append(kind[np.argpartition(products, -NEAREST)[-NEAREST:]].mean())
    return np.array(shares)


def of_set(stamps: LikenessSet, folder: Path) -> dict[str, Any]:
    """Score all kinds of a set by all features."""
    out: dict[str, Any] = {"rows": len(stamps.table)}
    for name in (*stamps.checkpoints, PIXELS):
        values = load(stamps, name, folder)
        seen = np.isfinite(values).all(axis=1)
        for whiten in (False, True) if name != PIXELS else (False,):
            units = fit_space(values[seen], whiten=whiten).units(values[seen])
            title = f"{name}, whitened" if whiten else name
            for kind in KINDS[stamps.name]:
                about = out.setdefault(kind, {"galaxies": int(stamps.kinds[kind].sum())})
                about["random"] = round(float(stamps.kinds[kind][seen].mean()), 4)
                about[title] = with_error(precision(units, stamps.kinds[kind][seen]))
    return out


def with_light(stamps: LikenessSet, folder: Path) -> dict[str, Any]:
    """Score features of the last checkpoint joined with how light is spread over eight rings of its stamps."""
    name = stamps.checkpoints[-1]
    alone = replace(stamps, checkpoints=(name,))
    parts = [load(alone, each, folder) for each in (name, f"{name} {LIGHT}")]
    seen = np.isfinite(np.concatenate(parts, axis=1)).all(axis=1)
    parts = [part[seen] for part in parts]
    columns = {"features": parts[0], "with light": joined(parts, [unit_of(part) for part in parts])}
    out: dict[str, Any] = {"features": name}
    for title, values in columns.items():
        for whiten in (False, True):
            units = fit_space(values, whiten=whiten).units(values)
            for kind in KINDS[stamps.name]:
                key = f"{title}, whitened" if whiten else title
                out.setdefault(kind, {})[key] = with_error(precision(units, stamps.kinds[kind][seen]))
    return out


def examples(stamps: LikenessSet, folder: Path, draws: int) -> dict[str, Any]:
    """Score what several examples and counter-examples add, by both ways."""
    values = load(stamps, stamps.checkpoints[-1], folder)
    seen = np.isfinite(values).all(axis=1)
    units = fit_space(values[seen]).units(values[seen])
    out: dict[str, Any] = {}
    for name in KINDS[stamps.name]:
        kind, shares = stamps.kinds[name][seen], {}
        for seed in range(draws):
            for title, share in one_draw(units, kind, np.random.default_rng(seed)).items():
                shares.setdefault(title, []).append(share)
        out[name] = {title: with_error(np.array(each)) for title, each in shares.items()}
    return {"features": stamps.checkpoints[-1], **out}


def one_draw(units: Single, kind: BoolArray, rng: np.random.Generator) -> dict[str, float]:
    """Search by one example, by five, and by five with counter-examples; the same rows are left out of all."""
    liked = rng.choice(np.flatnonzero(kind), 5, replace=False)
    first = np.argsort(-(units @ rocchio(units[liked], units[:0])))
    first = first[~np.isin(first, liked)][:NEAREST]
    disliked = first[~kind[first]][:5]
    shown = np.union1d(liked, disliked)
    directions = {
        "one example": units[liked[0]],
        "five, mean": rocchio(units[liked], units[:0]),
        "five and counter-examples, rocchio": rocchio(units[liked], units[disliked]),
        "five and counter-examples, logistic": logistic(units[liked], units[disliked], units),
    }
    shares = {}
    for title, direction in directions.items():
        products = units @ direction
        products[shown] = -np.inf
        shares[title] = float(kind[np.argpartition(products, -NEAREST)[-NEAREST:]].mean())
    return shares


def factors(stamps: LikenessSet, folder: Path) -> dict[str, Any]:
    """Score latent factors of half of the galaxies on the other half."""
    assert stamps.votes is not None
    values = load(stamps, stamps.checkpoints[-1], folder)
    seen = np.isfinite(values).all(axis=1)
    counts, totals, features = stamps.votes[0][seen], stamps.votes[1][seen], values[seen]
    shares: dict[str, dict[str, list[float]]] = {}
    for seed in range(4):
        taught = np.random.default_rng(seed).random(len(features)) < 0.5
        labels = Labels(np.where(taught[:, None], counts, 0), np.where(taught[:, None], totals, 0))
        latent = predicted_factors(features, taught, fit_factors(labels, FACTORS).galaxies)
        plain = np.where(labels.totals > 0, labels.fractions, np.nan)
        filled = np.where(np.isfinite(plain), plain, np.nanmean(plain, axis=0)) - np.nanmean(plain, axis=0)
        direct = predicted_factors(features, taught, filled)
        for title, vectors in (("features", features), ("latent factors", latent), ("fractions", direct)):
            units = fit_space(vectors[~taught]).units(vectors[~taught])
            for kind in KINDS[stamps.name]:
                share = precision(units, stamps.kinds[kind][seen][~taught]).mean()
                shares.setdefault(kind, {}).setdefault(title, []).append(float(share))
    mean = {k: {t: with_error(np.array(v)) for t, v in each.items()} for k, each in shares.items()}
    return {"features": stamps.checkpoints[-1], "factors": FACTORS, **mean}


def times() -> dict[str, Any]:
    """Time queries of 10^6 rows with 128 numbers, the features being in memory."""
    rng = np.random.default_rng(0)
    units = rng.normal(size=(ROWS, NUMBERS)).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    exact, spent = ExactNeighbours(units), []
    for row in range(QUERIES):
        begun = time.perf_counter()
        exact.nearest(units[row], NEAREST)
        spent.append(1e3 * (time.perf_counter() - begun))
    return {"rows": ROWS, "numbers": NUMBERS, "exact_ms": {"median": round(float(np.median(spent)), 1),
            "least": round(min(spent), 1)}, "threads": os.environ.get("OMP_NUM_THREADS", "all")}  # fmt: skip


def graph_times(rows: int) -> dict[str, Any]:
    """Time the graph, and count how many of the exact answers it gives, on vectors that lie in groups."""
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(200, NUMBERS))
    units = (centres[rng.integers(200, size=rows)] + 0.7 * rng.normal(size=(rows, NUMBERS))).astype(np.float32)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["GALMORPH_CACHE"] = folder
        begun, busy = time.perf_counter(), time.process_time()
        graph, exact = GraphNeighbours(units), ExactNeighbours(units)
        built, spent_cpu = time.perf_counter() - begun, time.process_time() - busy
        same, spent = [], []
        for row in range(QUERIES):
            begun = time.perf_counter()
            mine, _ = graph.nearest(units[row], NEAREST)
            spent.append(1e3 * (time.perf_counter() - begun))
            same.append(len(np.intersect1d(mine, exact.nearest(units[row], NEAREST)[0])) / NEAREST)
    return {
        "rows": rows,
        "made_s": round(built, 1),
        "made_cpu_s": round(spent_cpu, 1),
        "ms": round(float(np.median(spent)), 2),
        "recall": np.mean(same),
    }


def main() -> None:
    """Score, time and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help="by default all; others keep their figures")
    parser.add_argument("--folder", type=Path, default=FEATURES, help="where features are kept")
    parser.add_argument("--draws", type=int, default=30, help="draws of examples")
    parser.add_argument("--graph", type=int, default=100_000, help="rows of the graph that is timed")
    options = parser.parse_args()
    sets = [efigi(), gz2(), ceers()]
    sections: dict[str, Callable[[], Any]] = {
        "precision_at_20": lambda: {stamps.name: of_set(stamps, options.folder) for stamps in sets},
        "with_light": lambda: {stamps.name: with_light(stamps, options.folder) for stamps in sets},
        "examples": lambda: {stamps.name: examples(stamps, options.folder, options.draws) for stamps in sets},
        "latent_factors": lambda: {stamps.name: factors(stamps, options.folder) for stamps in sets if stamps.votes},
        "query": times,
        "graph": lambda: graph_times(options.graph),
    }
    scored = {name: sections[name]() for name in options.sections or sections}
    result = (json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}) | scored
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
