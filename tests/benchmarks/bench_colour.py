"""Benchmark: Galaxy Zoo 2 by colour, five classes and all 37 answers, on galaxies rich in cigars, by five folds.

Usage: ``python tests/benchmarks/bench_colour.py join``, then ``report``. It needs ../shared/data. ``join`` writes
tables and files of images of 656 galaxies with the votes of all questions, as the pipelines of sdss-gz2 take them; and
`classes.csv`, clean galaxies of the Galaxy Challenge and these by shares of five classes by debiased votes::

    galmorph train votes.csv --image images.zip --pipeline sdss-gz2 -o runs/sdss-gz2
    galmorph train votes.csv --image images.zip --pipeline sdss-gz2-company -o runs/company

Their networks have the features of sdss-rgb 0.1.0 and sdss-gz1, which have seen none of the 656 but for those in fields
of sdss-gz1's training: these are learnt from and not scored. Only what makes answers of features learns. The folds
repeat that without the loop of a training, which costs too much to be done five times: each leaves out a fifth of the
fields, so that each galaxy is predicted once, by multinomial regressions on the features of the stamps as they are, one
for each network and question. How strongly these are held back is chosen on the next fold. For five classes the same is
done with the shares of these. The checkpoints themselves are scored on the galaxies of their own test parts.

Classes are those of the usual cuts, where just one holds, once on weighted fractions and once on debiased ones. Beside
the folds are what always answers the commonest class or the mean, and what the noise of the votes leaves: the votes of
as many people are drawn again from the weighted fractions, and the cuts made again. The cost is that of the networks by
default views, each beside the rest in one run. Writes docs/benchmarks/colour.json.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from astropy.table import Table, vstack
from colour_tables import CLASSES, DATA, TREE, classes, conditional, field_of, join, shares, voted
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

import galmorph
from galmorph.learning.pipeline import load_training
from galmorph.learning.split import HashSplit
from galmorph.learning.viewed import stamps_of_rows
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import ImageInput
from galmorph.stamps.views import read_views

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "colour.json"
FOLDS, BOOTSTRAPS, DRAWS = 5, 400, 200
TIMED = 64
VIEWS = "angles = [0, 45], zooms = [1.1]"  # for the features
STRENGTHS = (0.1, 0.3, 1.0)  # variance of a weight
TRUNKS = ("sdss-rgb", "sdss-gz1")
WEIGHTED, DEBIASED = "weighted_fraction", "debiased"
FloatArray = npt.NDArray[np.float64]
TextArray = npt.NDArray[np.str_]


def folds_of(table: Table) -> npt.NDArray[np.intp]:
    """Number the folds that galaxies are predicted in, (N,), by their fields."""
    number = np.full(len(table), -1)
    for fold in range(FOLDS):
        split = HashSplit((fold / FOLDS, (fold + 1) / FOLDS), (0.0, 0.0), salt="votes", by="field")
        number[split.divide([""] * len(table), table) == "test"] = fold
    return number


def heads(options: argparse.Namespace, wanted: FloatArray) -> FloatArray:
    """Predict the fractions of answers that exclude each other, (N, A), by regressions on features of other folds."""
    table, files = features(options)
    fold = folds_of(table)
    seen = np.isfinite(files).all(axis=(0, 2))
    out = np.full(wanted.shape, np.nan)
    for number in range(FOLDS):
        near = fold == (number + 1) % FOLDS
        train, test, near = (seen & mask for mask in (fold != number, fold == number, near))
        losses = {c: _loss(_answers(files, wanted, train & ~near, near, c), wanted[near]) for c in STRENGTHS}
        out[test] = _answers(files, wanted, train, test, min(losses, key=lambda c: losses[c]))
    return out


def features(options: argparse.Namespace) -> tuple[Table, FloatArray]:
    """Features of the galaxies with votes by each network of the trunks, (6, N, F), over views; NaN without image."""
    table = Table.read(options.out / "votes.csv")
    return table, np.concatenate([_features(options, name, len(table)) for name in TRUNKS])


def _features(options: argparse.Namespace, name: str, rows_n: int) -> FloatArray:
    if (kept := options.out / f"features-{name}.npy").exists():
        return np.asarray(np.load(kept))
    checkpoint = load_checkpoint(name)
    images = ImageInput(images=[options.out / "images.zip"], survey="sdss", band="RGB").open()
    gathering = Gathering(read_catalog(str(options.out / "votes.csv")), images, checkpoint.recipe.half_width_rpet)
    parts, rows = [], []
    for batch in stamps_of_rows(checkpoint, gathering, np.arange(rows_n), views=VIEWS):
        stamps = torch.from_numpy(batch.stamps)
        with torch.inference_mode():
            of_views = [
                [network.features(stamps[:, view].contiguous()).numpy() for view in range(stamps.shape[1])]
                for network in members_of(checkpoint.network)
            ]
        parts.append(np.mean(of_views, axis=1))
        rows.append(batch.rows)
    out = np.full((len(parts[0]), rows_n, parts[0].shape[2]), np.nan)
    out[:, np.concatenate(rows)] = np.concatenate(parts, axis=1)
    np.save(kept, out)
    return out


def _answers(
    features: FloatArray, wanted: FloatArray, train: npt.NDArray[np.bool_], test: npt.NDArray[np.bool_], strength: float
) -> FloatArray:
    """Fit fractions of some rows by the features of each network, and average what they say of others, (T, A)."""
    answers = []
    for each in features:
        scaled = (each - each[train].mean(axis=0)) / (each[train].std(axis=0) + 1e-9)
        scaled = np.concatenate([scaled, np.ones((len(scaled), 1))], axis=1)
        answers.append(softmax(scaled[test] @ _regression(scaled[train], wanted[train], strength), axis=1))
    return np.asarray(np.mean(answers, axis=0))


def _regression(x: FloatArray, wanted: FloatArray, strength: float) -> FloatArray:
    """Fit a multinomial regression to fractions, (N, A); the weights of the last column of x, (N, F), are free."""
    shape, asked = (x.shape[1], wanted.shape[1]), wanted.sum(axis=1, keepdims=True)
    prior = np.full((shape[0], 1), 1.0 / strength)
    prior[-1] = 0.0

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        weights = flat.reshape(shape)
        log_p = log_softmax(x @ weights, axis=1)
        slope = x.T @ (np.exp(log_p) * asked - wanted) + prior * weights
        return float(0.5 * (prior * weights**2).sum() - (wanted * log_p).sum()), slope.ravel()

    return np.asarray(
        minimize(loss, np.zeros(shape).ravel(), jac=True, options={"maxiter": 200}, method="L-BFGS-B").x
    ).reshape(shape)


def _loss(answers: FloatArray, wanted: FloatArray) -> float:
    return -float((wanted * np.log(np.maximum(answers, 1e-6))).sum())


def of_votes(tables: list[Table], names: list[str], columns: list[str]) -> FloatArray:
    """Probabilities of the galaxies with votes in their order, (N, A); NaN where there are none."""
    found = {
        str(row["file"]): [float(row[c]) for c in columns] for table in tables for row in table[["file", *columns]]
    }
    return np.array([found.get(name, [np.nan] * len(columns)) for name in names])


def with_error(figure: Callable[[npt.NDArray[np.intp]], float], n: int) -> list[float]:
    """Compute a figure of all of n galaxies, and its standard error by bootstrap."""
    rng = np.random.default_rng(1)
    again = [figure(rng.integers(0, n, n)) for _ in range(BOOTSTRAPS)]
    return [round(float(figure(np.arange(n))), 4), round(float(np.nanstd(again)), 4)]


def score(chosen: TextArray, truth: TextArray) -> dict[str, Any]:
    """Accuracy, recall and purity of each class with their errors, and which class was taken for which."""
    right = chosen == truth
    with np.errstate(invalid="ignore"):
        recall = {k: with_error(lambda d, k=k: _share(right[d], truth[d] == k), len(truth)) for k in CLASSES}
        purity = {k: with_error(lambda d, k=k: _share(right[d], chosen[d] == k), len(truth)) for k in CLASSES}
    return {
        "accuracy": with_error(lambda d: float(right[d].mean()), len(truth)),
        "recall": recall,
        "purity": purity,
        "confusion": [[int(((truth == a) & (chosen == b)).sum()) for b in CLASSES] for a in CLASSES],
    }


def _share(right: npt.NDArray[np.bool_], among: npt.NDArray[np.bool_]) -> float:
    return float(right[among].mean()) if among.any() else float("nan")


def redrawn(votes: Table, truth: TextArray) -> dict[str, Any]:
    """Accuracy and recalls of whoever knows the fractions, against the votes of as many people drawn anew."""
    rng, fractions = np.random.default_rng(1), conditional(votes)
    people = np.asarray(votes["total_classifications"]).astype(int)
    accuracy, recalls = [], []
    for _ in range(DRAWS):
        again = classes(_drawn(rng, fractions, people))
        kept = (again != "") & (truth != "")
        accuracy.append(float((again == truth)[kept].mean()))
        recalls.append([_share((again == truth)[kept], again[kept] == k) for k in CLASSES])
    means = np.mean(recalls, axis=0)
    return {
        "accuracy": [round(float(np.mean(accuracy)), 4), round(float(np.std(accuracy)), 4)],
        "recall": {k: round(float(r), 3) for k, r in zip(CLASSES, means, strict=True)},
    }


def _drawn(rng: np.random.Generator, fractions: FloatArray, people: npt.NDArray[np.intp]) -> FloatArray:
    """Draw the answers of as many people as were asked, down the tree."""
    out, counts = np.zeros_like(fractions), np.zeros(fractions.shape, int)
    for where, parents in zip(TREE.slices, TREE.parents, strict=True):
        asked = counts[:, list(parents)].sum(axis=1) if parents else people
        p = fractions[:, where] / np.maximum(fractions[:, where].sum(axis=1, keepdims=True), 1e-12)
        p[p.sum(axis=1) < 0.5] = 1.0 / p.shape[1]
        counts[:, where] = rng.multinomial(asked, p / p.sum(axis=1, keepdims=True))
        out[:, where] = counts[:, where] / np.maximum(asked, 1)[:, None]
    return out


def unseen(votes: Table) -> npt.NDArray[np.bool_]:
    """Tell which galaxies, (N,), lie in no field that sdss-gz1 learnt from."""
    table = Table.read(DATA / "sdss_gz1" / "labels.csv")
    part = load_training("sdss-gz1").split.divide([str(file) for file in table["file"]], table)
    return ~np.isin(votes["field"], [field_of(int(objid)) for objid in table["objid"][part != "test"]])


def five_classes(votes: Table, options: argparse.Namespace, kind: str) -> dict[str, Any]:
    """Score the folds on the galaxies of one class by a kind of fractions."""
    fractions = conditional(votes, kind)
    truth, guess = classes(fractions), heads(options, shares(TREE.marginals(fractions)))
    kept = (truth != "") & np.isfinite(guess).all(axis=1) & unseen(votes)
    commonest = max(CLASSES, key=lambda k: int((truth == k).sum()))
    return {
        "galaxies": int((truth != "").sum()),
        "scored": int(kept.sum()),
        "constant": round(float((truth[kept] == commonest).mean()), 4),
        **({"votes_drawn_again": redrawn(votes, truth)} if kind == WEIGHTED else {}),
        "folds": score(_likeliest(guess[kept]), truth[kept]),
    }


def _likeliest(probabilities: FloatArray) -> TextArray:
    return np.array(CLASSES)[np.nan_to_num(probabilities).argmax(axis=1)]


def both_cuts(votes: Table) -> dict[str, Any]:
    """Count classes by debiased fractions, or none, of the galaxies of each class by weighted ones."""
    weighted, debiased = (classes(conditional(votes, kind)) for kind in (WEIGHTED, DEBIASED))
    return {a: {b or "none": int(((weighted == a) & (debiased == b)).sum()) for b in (*CLASSES, "")} for a in CLASSES}


def test_part_of_all(votes: Table, options: argparse.Namespace) -> dict[str, Any]:
    """Score sdss-gz2 on its test part: fractions beside the mean of its training part, and classes."""
    names = [f"votes/{file}" for file in votes["file"]]
    part, fractions = load_training("sdss-gz2").split.divide(names, votes), conditional(votes)
    held, truth = (part == "test") & unseen(votes), TREE.marginals(fractions)
    guess = classified([n for n, is_held in zip(names, held, strict=True) if is_held], "sdss-gz2", TREE.keys, options)
    error2 = {
        "sdss-gz2": (guess - truth[held]) ** 2,
        "constant": (truth[part == "train"].mean(axis=0) - truth[held]) ** 2,
    }
    named = classes(fractions)[held]
    return {
        "galaxies": len(guess),
        **{name: with_error(lambda d, e=e: float(e[d].mean() ** 0.5), len(guess)) for name, e in error2.items()},
        "five_classes": {
            "galaxies": int((named != "").sum()),
            **score(_likeliest(shares(guess))[named != ""], named[named != ""]),
        },
    }


def test_part_of_classes(votes: Table, options: argparse.Namespace) -> dict[str, Any]:
    """Score sdss-rgb on the galaxies with votes of its test part, by both kinds of fractions."""
    names = [f"{row['field']}-{row['file']}" for row in votes]
    joined = {str(file) for file in Table.read(options.out / "classes.csv")["file"]}
    files = {name: number for number, name in enumerate(names) if name in joined}
    part = load_training("sdss-rgb").split.divide(list(files), {})
    tested = [name for name, of in zip(files, part, strict=True) if of == "test"]
    chosen = _likeliest(classified(tested, "sdss-rgb", CLASSES, options))
    result: dict[str, Any] = {}
    for kind in (WEIGHTED, DEBIASED):
        named = classes(conditional(votes, kind))[[files[name] for name in tested]]
        result[kind] = {"galaxies": int((named != "").sum()), **score(chosen[named != ""], named[named != ""])}
    return result


def classified(names: list[str], checkpoint: str, keys: tuple[str, ...], options: argparse.Namespace) -> FloatArray:
    """Probabilities of answers of images by a checkpoint, (N, A); those of an earlier report are kept."""
    kept = options.out / f"{checkpoint}-{load_checkpoint(checkpoint).sha256[:8]}.ecsv"
    tables, columns = [Table.read(kept)] if kept.exists() else [], [f"gm_p_{key}" for key in keys]
    before = {str(file) for table in tables for file in table["file"]}
    if wanted := [name for name in names if name not in before]:
        images = [options.out / ("classes.zip" if checkpoint == "sdss-rgb" else "images.zip")]
        answers = galmorph.classify(Table({"file": wanted}), images, survey="sdss", band="RGB", checkpoint=checkpoint)
        tables.append(answers["file", *columns])
        vstack(tables, metadata_conflicts="silent").write(kept, overwrite=True)
    return of_votes(tables, names, columns)


def tree(votes: Table, options: argparse.Namespace) -> dict[str, Any]:
    """Score all 37 answers by the RMSE of the Galaxy Challenge, beside the mean of the other folds."""
    truth = TREE.marginals(conditional(votes))
    answers = [heads(options, truth[:, where]) for where in TREE.slices]
    guess = TREE.marginals(np.concatenate(answers, axis=1))
    number = folds_of(votes)
    constant = np.stack([truth[number != n].mean(axis=0) for n in number])
    kept = np.isfinite(guess).all(axis=1) & unseen(votes)
    result: dict[str, Any] = {"galaxies": len(votes), "scored": int(kept.sum())}
    error2 = {
        "folds": ((guess - truth) ** 2)[kept],
        "constant": ((constant - truth) ** 2)[kept],
    }
    for name, e in error2.items():
        result[name] = with_error(lambda d, e=e: float(e[d].mean() ** 0.5), int(kept.sum()))
    gain = error2["folds"].mean(axis=1) - error2["constant"].mean(axis=1)
    result["mean_square_less_constant"] = with_error(lambda d: float(gain[d].mean()), int(kept.sum()))
    result["by_question"] = {
        q.name: {name: round(float(e[:, where].mean() ** 0.5), 4) for name, e in error2.items()}
        for q, where in zip(TREE.questions, TREE.slices, strict=True)
    }
    return result


def cost() -> dict[str, float]:
    """Time the networks by default views, in ms of the processor a stamp; the fastest of three."""
    torch.set_num_threads(1)
    found = {name: load_checkpoint(name) for name in ("sdss-rgb", "sdss-gz2", "sdss-gz1")}
    spent: dict[str, list[float]] = {name: [] for name in found}
    for _ in range(3):
        for name, checkpoint in found.items():
            matrices, shares = checkpoint.distinct_views(read_views(checkpoint.recipe.views))
            stamps = np.random.default_rng(1).random((TIMED, len(matrices), 3, 64, 64), np.float32)
            start = time.process_time()
            checkpoint.answer(stamps, shares)
            spent[name].append((time.process_time() - start) / TIMED * 1e3)
    return {name: round(min(times), 2) for name, times in spent.items()}


def report(options: argparse.Namespace) -> None:
    """Pool the folds, and write what they give."""
    votes = voted()
    result = {
        "debiased_classes_of_weighted": both_cuts(votes),
        "five_classes": {kind: five_classes(votes, options, kind) for kind in (WEIGHTED, DEBIASED)},
        "tree": tree(votes, options),
        "test_part": {"sdss-gz2": test_part_of_all(votes, options), "sdss-rgb": test_part_of_classes(votes, options)},
        "cpu_ms_a_stamp": cost(),
    }
    text = json.dumps(result, indent=1).replace("NaN", "null")
    print(text)
    RESULT.write_text(text + "\n")


def main() -> None:
    """Join the tables, or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("join", "report"))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "colour")
    options = parser.parse_args()
    join(options.out) if options.what == "join" else report(options)


if __name__ == "__main__":
    main()
