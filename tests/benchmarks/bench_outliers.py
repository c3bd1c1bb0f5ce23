"""Benchmark: oddities planted at one in a hundred among spirals, found without a label and after twenty marks.

Usage: ``python tests/benchmarks/bench_outliers.py --folder FOLDER``; features are kept in FOLDER. It needs
../shared/data. Features are those of sdss-gz1, which has learnt from none of these galaxies but for 15 fields. Spirals
are those of EFIGI (types 1 to 7, hardly perturbed, without rings, no edge-ons) and of the Galaxy Challenge; planted are

- among EFIGI's spirals: rings (an attribute of .75 or more), outer rings alone, edge-on discs, perturbed galaxies (an
  attribute of 1) and faults drawn into other spirals' stamps (trails, bleeding stars, gaps);
- among those of the Galaxy Challenge: mergers by the votes of Galaxy Zoo 2, and such faults.

Each of ``--plantings`` draws other oddities; figures are means with their standard errors over plantings. AUROC is that
of the planted against all spirals. *No label*: strangeness. *Twenty marks, searching*: four times the five rows at the
top are marked, odd where planted and usual where not, and all are ranked anew; rows that were marked are not scored,
or, *all rows*, are by the place that their marks give them.
*Twenty marks, examples*: ten other oddities of the kind and ten spirals drawn at random were marked before.
Writes docs/benchmarks/outliers.json.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from likeness_sets import FEATURES, challenge, efigi, load, with_defects

from galmorph.likeness.strangeness import fit_strangeness

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "outliers.json"
CHECKPOINT, SHARE, ROUNDS, EACH, GIVEN = "sdss-gz1", 100, 4, 5, 10
Single = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.intp]


def auroc(scores: npt.NDArray[np.floating[Any]], odd: BoolArray) -> float:
    """Chance that an odd row is ranked before a usual one; NaN where one of both is missing."""
    ranks = np.argsort(np.argsort(scores))
    count = int(odd.sum())
    if not 0 < count < len(odd):
        return float("nan")
    return float((ranks[odd].sum() - count * (count - 1) / 2) / (count * (len(odd) - count)))


def searching(values: Single, odd: BoolArray) -> tuple[float, float, int]:
    """Mark what is at the top, again and again; return the scores of other rows and of all, and how many were odd."""
    strangeness, marked = fit_strangeness(values), np.zeros(0, np.intp)
    scores = strangeness.share(values, is_own=True).astype(np.float64)
    for _ in range(ROUNDS):
        order = np.argsort(-scores, kind="stable")
        marked = np.append(marked, order[~np.isin(order, marked)][:EACH])
        scores = strangeness.marked(values, marked[odd[marked]], marked[~odd[marked]])
    rest = np.setdiff1d(np.arange(len(values)), marked)
    return auroc(scores[rest], odd[rest]), auroc(scores, odd), int(odd[marked].sum())


def examples(values: Single, odd: BoolArray, others: Single, rng: np.random.Generator) -> float:
    """Mark other oddities, (10, F), and as many spirals; return the score of the rows that were not."""
    usual = rng.choice(np.flatnonzero(~odd), GIVEN, replace=False)
    both = np.concatenate([values, others])
    given = np.arange(len(values), len(both))
    scores = fit_strangeness(values).marked(both, given, usual)[: len(values)]
    rest = np.setdiff1d(np.arange(len(values)), usual)
    return auroc(scores[rest], odd[rest])


def planted(spirals: Single, oddities: Single, plantings: int) -> dict[str, Any]:
    """Score plantings of one kind."""
    count = max(len(spirals) // (SHARE - 1), 2)
    scores: dict[str, list[float]] = {}
    for seed in range(plantings):
        rng = np.random.default_rng(seed)
        drawn = oddities[rng.permutation(len(oddities))]
        values = np.concatenate([spirals, drawn[:count]])
        odd = np.arange(len(values)) >= len(spirals)
        plain = auroc(fit_strangeness(values).share(values, is_own=True), odd)
        rest, whole, marked = searching(values, odd)
        given = examples(values, odd, drawn[count : count + GIVEN], rng)
        named = {"no label": plain, "searching": rest, "searching, all rows": whole, "marked odd": marked}
        for name, value in (named | {"examples": given}).items():
            scores.setdefault(name, []).append(float(value))
    errors = {name: [round(float(np.nanmean(v)), 3), round(float(np.nanstd(v, ddof=1) / len(v) ** 0.5), 3)]
              for name, v in scores.items()}  # fmt: skip
    return {"spirals": len(spirals), "planted": count, "of": len(oddities), **errors}


def sets(folder: Path) -> Iterator[tuple[str, Single, Single]]:
    """Yield the name of a kind, the spirals' features, and those of all that may be planted."""
    for stamps in (efigi(), challenge(folder)):
        stamps = replace(stamps, checkpoints=(CHECKPOINT,))  # noqa: PLW2901
        values = load(stamps, CHECKPOINT, folder)
        seen = np.isfinite(values).all(axis=1)
        spirals = np.flatnonzero(stamps.kinds["spiral"] & seen)
        damaged = np.flatnonzero(stamps.kinds["spiral"])[::10]
        for kind, rows in stamps.kinds.items():
            if kind in ("spiral", "bar") or (rows & seen).sum() < 2 * GIVEN + 2:
                continue
            yield f"{stamps.name}: {kind}", values[spirals], values[rows & ~stamps.kinds["spiral"] & seen]
        faults = load(with_defects(stamps, damaged, folder), CHECKPOINT, folder)
        others = np.setdiff1d(spirals, damaged)
        yield f"{stamps.name}: faults", values[others], faults[np.isfinite(faults).all(axis=1)]


def main() -> None:
    """Score and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=FEATURES, help="where features are kept")
    parser.add_argument("--plantings", type=int, default=20)
    options = parser.parse_args()
    kinds = {name: planted(spirals, odd, options.plantings) for name, spirals, odd in sets(options.folder)}
    result = {"features": CHECKPOINT, "plantings": options.plantings, "kinds": kinds}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
