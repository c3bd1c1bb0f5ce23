"""Benchmark: oddities planted at one in a hundred among spirals, found without a label and after twenty marks.

Usage: ``python tests/benchmarks/bench_outliers.py [choice] [report] --folder FOLDER``; features are kept in FOLDER. It
needs ../shared/data. Features are those of sdss-gz1, which has learnt from none of these galaxies but for 15 fields,
and how light is spread over eight rings of the same stamps, joined as galmorph outliers joins columns; *features alone*
are scored as well.
Spirals are those of EFIGI (types 1 to 7, hardly perturbed, without rings, no edge-ons) and of the Galaxy Challenge;
planted are

- among EFIGI's spirals: rings (an attribute of .75 or more), outer rings alone, edge-on discs, perturbed galaxies (an
  attribute of 1) and faults drawn into other spirals' stamps (trails, bleeding stars, gaps);
- among those of the Galaxy Challenge: mergers by the votes of Galaxy Zoo 2, and such faults.

All galaxies, spirals too, are in one of two halves by the checksum of the name of their stamp. *choice* tries all of
GRID on one half and keeps the best by the mean of all figures, with light and without; those of the class ``Belief``
are its. *report* scores what the package does on the other half, from which nothing was chosen. For both halves it is
written, so that one sees how much choosing flatters.

Each of ``--plantings`` draws other oddities. AUROC is that of the planted against all spirals; figures are means, and
errors those of the galaxies that were planted: each has the mean of the shares of spirals that it was ranked before.

- *No label*: strangeness.
- *Searching*: four times the five rows at the top are marked, odd where planted and usual where not, and all are ranked
  anew, those that were marked as well; *searching, others* scores those alone that were not.
- *One example*: the same as searching, and one galaxy of the kind that is known from elsewhere was marked before.
- *Ten examples*: ten galaxies of the kind that are known from elsewhere, and ten spirals drawn at random, were marked;
  these spirals are not scored.
- *Twenty examples*: twenty of the kind that are known from elsewhere, and no spiral, were marked, where there are as
  many.
- *All known*: what these features can tell at best: a logistic regression that was taught all spirals and oddities of
  one half, on the other.

Writes docs/benchmarks/outliers.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import zlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from likeness_sets import FEATURES, LIGHT, LikenessSet, challenge, efigi, load, with_defects
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from galmorph.likeness.strangeness import Belief, fit_strangeness
from galmorph.likeness.vectors import joined, unit_of

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "outliers.json"
CHECKPOINT, SHARE, ROUNDS, EACH, GIVEN = "sdss-gz1", 100, 4, 5, 10
PARTS = ("choice", "report")
GRID: dict[str, tuple[float, ...]] = {
    "shrinkage": (0.35, 0.5, 0.65),
    "slope": (0.25,),
    "reach": (2.0,),
    "noise": (0.5, 2.0),
    "unmarked": (5.0, 10.0),
    "ridge": (25.0, 50.0),
}
WANTED = {"no label": 0.75, "searching": 0.85, "one example": 0.85, "ten examples": 0.85, "twenty examples": 0.85}
FEWEST = 18  # of a kind in each half: planted ones and examples
Single = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Kind:
    """Features of spirals and of what is planted among them, and in which half each galaxy is."""

    name: str
    spirals: Single
    oddities: Single
    parts: tuple[BoolArray, BoolArray]

    def part(self, name: str) -> tuple[Single, Single]:
        """Return those of one half."""
        is_report = name == "report"
        return self.spirals[self.parts[0] == is_report], self.oddities[self.parts[1] == is_report]


def is_for_report(stamps: LikenessSet) -> BoolArray:
    """Tell which galaxies are in the half from which nothing is chosen."""
    return np.array([zlib.crc32(str(file).encode()) % 2 == 1 for file in stamps.table["file"]])


def shares(scores: npt.NDArray[np.floating[Any]], odd: BoolArray) -> FloatArray:
    """Return before which share of the usual rows each odd one is ranked; their mean is the AUROC."""
    usual = np.sort(scores[~odd])
    return np.asarray(np.searchsorted(usual, scores[odd], side="left") / len(usual))


def searching(values: Single, odd: BoolArray, example: Single, belief: Belief) -> tuple[FloatArray, BoolArray]:
    """Mark what is at the top, again and again, after an example, (0 or 1, F); return scores, and who was marked."""
    strangeness, rows = fit_strangeness(values, belief), len(values)
    both, is_odd = np.concatenate([values, example]), np.append(odd, np.ones(len(example), bool))
    marked = np.arange(rows, len(both))
    scores = strangeness.share(values, is_own=True).astype(np.float64)
    for number in range(ROUNDS + 1):
        if len(marked):
            scores = strangeness.marked(both, marked[is_odd[marked]], marked[~is_odd[marked]])[:rows]
        if number < ROUNDS:
            order = np.argsort(-scores, kind="stable")
            marked = np.append(marked, order[~np.isin(order, marked)][:EACH])
    return scores, np.isin(np.arange(rows), marked)


def examples(values: Single, odd: BoolArray, others: Single, spirals: int, belief: Belief, seed: int) -> FloatArray:
    """Mark other oddities, (M, F), and some spirals; return the shares of the planted among the other spirals."""
    usual = np.random.default_rng(seed).choice(np.flatnonzero(~odd), spirals, replace=False)
    both = np.concatenate([values, others])
    scores = fit_strangeness(values, belief).marked(both, np.arange(len(values), len(both)), usual)[: len(values)]
    rest = np.setdiff1d(np.arange(len(values)), usual)
    return shares(scores[rest], odd[rest])


def planted(spirals: Single, oddities: Single, plantings: int, belief: Belief) -> dict[str, Any]:
    """Score plantings of one kind: means, and errors from the scatter between the galaxies that are planted."""
    count = max(len(spirals) // (SHARE - 1), 2)
    of_galaxies: dict[str, list[list[float]]] = {}
    for seed in range(plantings):
        drawn = np.random.default_rng(seed).permutation(len(oddities))
        values = np.concatenate([spirals, oddities[drawn[:count]]])
        odd, others = np.arange(len(values)) >= len(spirals), oddities[drawn[count : count + 2 * GIVEN]]
        for name, of_planted in scored(values, odd, others, belief, seed).items():
            galaxies = of_galaxies.setdefault(name, [[] for _ in oddities])
            for galaxy, share in zip(drawn[:count], of_planted, strict=True):
                galaxies[galaxy] += [float(share)] if np.isfinite(share) else []
    figures = {name: with_error(galaxies) for name, galaxies in of_galaxies.items()}
    return {"spirals": len(spirals), "planted": count, "of": len(oddities), **figures}


def scored(values: Single, odd: BoolArray, others: Single, belief: Belief, seed: int) -> dict[str, FloatArray]:
    """Score one planting in all ways: the share of each that was planted, NaN where it is not scored."""
    searched, marked = searching(values, odd, others[:0], belief)
    unscored = np.full(int(odd.sum()), np.nan)
    unmarked = unscored.copy()
    unmarked[~marked[odd]] = shares(searched[~marked], odd[~marked])
    return {
        "no label": shares(fit_strangeness(values, belief).share(values, is_own=True), odd),
        "searching": shares(searched, odd),
        "searching, others": unmarked,
        "one example": shares(searching(values, odd, others[:1], belief)[0], odd),
        "ten examples": examples(values, odd, others[:GIVEN], GIVEN, belief, seed),
        "twenty examples": examples(values, odd, others, 0, belief, seed) if len(others) == 2 * GIVEN else unscored,
    }


def with_error(galaxies: list[list[float]]) -> list[float] | None:
    """Return the mean of all shares, and its standard error by the scatter between galaxies; None without any."""
    if not any(galaxies):
        return None
    means = np.array([np.mean(each) for each in galaxies if each])
    whole = np.mean([share for each in galaxies for share in each])
    return [round(float(whole), 3), round(float(means.std(ddof=1) / len(means) ** 0.5), 3)]


def all_known(kind: Kind) -> list[float] | None:
    """Score a regression that was taught all of the choice part on the report part."""
    taught, asked = (kind.part(name) for name in PARTS)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, class_weight="balanced", max_iter=2000))
    model.fit(np.concatenate(taught), np.repeat([False, True], [len(each) for each in taught]))
    odd = np.repeat([False, True], [len(each) for each in asked])
    return with_error([[share] for share in shares(model.decision_function(np.concatenate(asked)), odd)])


def kinds_of(folder: Path, *, with_light: bool = True) -> Iterator[Kind]:
    """Yield the kinds that are planted; columns have the units of the spirals."""
    names = (CHECKPOINT, f"{CHECKPOINT} {LIGHT}") if with_light else (CHECKPOINT,)
    for stamps in (efigi(), challenge(folder)):
        stamps = replace(stamps, checkpoints=(CHECKPOINT,))  # noqa: PLW2901
        parts, report = [load(stamps, name, folder) for name in names], is_for_report(stamps)
        seen = np.isfinite(parts[0]).all(axis=1)
        spirals = np.flatnonzero(stamps.kinds["spiral"] & seen)
        units = [unit_of(part[spirals]) for part in parts]
        values = joined(parts, units)
        damaged = np.flatnonzero(stamps.kinds["spiral"])[::10]
        for name, of_kind in stamps.kinds.items():
            rows = np.flatnonzero(of_kind & ~stamps.kinds["spiral"] & seen)
            if name in ("spiral", "bar") or min(report[rows].sum(), (~report[rows]).sum()) < FEWEST:
                continue
            yield Kind(f"{stamps.name}: {name}", values[spirals], values[rows], (report[spirals], report[rows]))
        drawn = with_defects(stamps, damaged, folder)
        faults = joined([load(drawn, name, folder) for name in names], units)
        good, others = np.isfinite(faults).all(axis=1), np.setdiff1d(spirals, damaged)
        name = f"{stamps.name}: faults"
        yield Kind(name, values[others], faults[good], (report[others], report[damaged[good]]))


def choice(kinds: list[Kind], plantings: int) -> dict[str, Any]:
    """Try all of the grid on the choice part."""
    tried = {}
    for numbers in itertools.product(*GRID.values()):
        belief = Belief(**dict(zip(GRID, numbers, strict=True)))
        of_kinds = [planted(*kind.part("choice"), plantings, belief) for kind in kinds]
        tried[belief] = {
            name: round(float(np.mean([each[name][0] for each in of_kinds if each[name] is not None])), 4)
            for name in WANTED
        }
    order = sorted(tried, key=lambda belief: -sum(tried[belief].values()))
    best = [{**asdict(belief), "means": tried[belief]} for belief in order[:5]]
    return {"plantings": plantings, "tried": len(tried), "best": best}


def report(kinds: list[Kind], plantings: int) -> dict[str, Any]:
    """Score what the package does."""
    out: dict[str, Any] = {}
    for kind in kinds:
        of_parts = {part: planted(*kind.part(part), plantings, Belief()) for part in PARTS}
        of_parts["report"]["all known"] = all_known(kind)
        out[kind.name] = of_parts
    return out


def main() -> None:
    """Choose or score, and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sections", nargs="*", choices=[[], *PARTS], help="by default the report alone")
    parser.add_argument("--folder", type=Path, default=FEATURES, help="where features are kept")
    parser.add_argument("--plantings", type=int, default=60, help="a fifth of them for each that is tried")
    options = parser.parse_args()
    kinds = list(kinds_of(options.folder))
    result = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    result |= {"features": CHECKPOINT, "plantings": options.plantings, "wanted": WANTED, "belief": asdict(Belief())}
    if "choice" in options.sections:
        result["choice"] = choice(
            kinds + list(kinds_of(options.folder, with_light=False)), max(options.plantings // 5, 2)
        )
    if not options.sections or "report" in options.sections:
        result["kinds"] = report(kinds, options.plantings)
        result["features_alone"] = report(list(kinds_of(options.folder, with_light=False)), options.plantings)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
