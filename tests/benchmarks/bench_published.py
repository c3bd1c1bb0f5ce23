"""Benchmark: two published systems repeated by their recipes, on the few galaxies with all votes that are at hand.

Usage: ``python tests/benchmarks/bench_published.py strings`` and ``challenge``. It needs ../shared/data.

``strings``: `train_class13`, thirteen classes by a network of 176 077 weights, which was published with 55 % of its
test part right after 100 000 pictures in three rotations (de Vries 2017). Here 656 galaxies, by five folds of fields,
so that each is classified once.

``challenge``: `dieleman`, whose network alone scored .0749 on the leaderboard (Dieleman, Willett & Dambre 2015) after
1.56 million steps on 55 420 galaxies. Here the last tenth of 656 galaxies after 300 steps of Adam on the other nine,
which is the mean still, as it is by gradient descent at the published rate.

Both sets are hundred times smaller and rich in cigars, edge-on discs and mergers, so that the figures tell that the
recipes run and learn, and no more; beside each is what always answers the commonest class or the mean. Writes
docs/benchmarks/published.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from astropy.table import Table
from colour_tables import TREE, join, voted

import galmorph
from galmorph.learning.pipeline import TrainPipeline, load_pipeline
from galmorph.sky.scheme import load_scheme

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "published.json"
FOLDS = 5
STRINGS = load_scheme("gz2-class13")
ADAM = {"optimiser": "adamw", "learning_rate": 0.001, "average": 0.9}


def strings(options: argparse.Namespace) -> dict[str, Any]:
    """Classify each galaxy by the network of the other folds, and count the right ones."""
    table = Table.read(options.out / "votes.csv")["file", "field"]
    table["gz2class"] = voted()["gz2_class"]
    truth = STRINGS.labels(table).counts.argmax(axis=1)
    guess, constant = np.full(len(table), -1), np.full(len(table), -1)
    for fold in range(FOLDS):
        pipeline = _fold(fold)
        parts = pipeline.split.divide([str(name) for name in table["file"]], table)
        test = np.flatnonzero(parts == "test")
        checkpoint = _trained(table, pipeline, options.out / f"strings-{fold}", options)
        answers = galmorph.classify(
            table[test], [options.out / "images.zip"], survey="sdss", band="RGB", checkpoint=checkpoint, device="cpu"
        )
        shares = np.stack([answers[name] for name in STRINGS.column_names()], axis=1)
        guess[test] = np.nan_to_num(shares).argmax(axis=1)
        constant[test] = np.bincount(truth[parts == "train"]).argmax()
    return {
        "published_accuracy": 0.55,
        "galaxies": len(table),
        "accuracy": _share(guess == truth),
        "constant": _share(constant == truth),
        "recall": {key: _share((guess == truth)[truth == n]) for n, key in enumerate(STRINGS.keys) if n in truth},
    }


def _fold(fold: int) -> TrainPipeline:
    after = (fold + 1) % FOLDS / FOLDS
    split = {"by": "field", "test": [fold / FOLDS, (fold + 1) / FOLDS], "validation": [after, after + 0.1]}
    pipeline = load_pipeline("train_class13", {"split": split})
    assert isinstance(pipeline, TrainPipeline)
    return pipeline


def _trained(table: Table, pipeline: TrainPipeline, folder: Path, options: argparse.Namespace) -> Path:
    """Train unless that was done before."""
    path = folder / f"{pipeline.name}.safetensors"
    if not path.exists():
        resume = (folder / "state.safetensors").exists()
        images = [options.out / "images.zip"]
        galmorph.train(table, images, pipeline, folder, file="file", resume=resume, device="cpu", epochs=options.epochs)
    return path


def _share(right: np.ndarray) -> list[float]:
    """Return the share that is right, and its binomial error."""
    share = float(right.mean())
    return [round(share, 4), round((share * (1 - share) / len(right)) ** 0.5, 4)]


def challenge(options: argparse.Namespace) -> dict[str, Any]:
    """Score the last tenth by the RMSE of 37 shares, beside the mean of the others."""
    table = Table.read(options.out / "votes.csv")
    pipeline = load_pipeline("dieleman", {"train": ADAM})
    assert isinstance(pipeline, TrainPipeline)
    checkpoint = _trained(table, pipeline, options.out / "challenge", options)
    scores = galmorph.evaluate(checkpoint, table, [options.out / "images.zip"], split="validation")
    truth = np.stack([np.asarray(table[key], np.float64) for key in TREE.keys], axis=1)
    parts = pipeline.split.divide([str(name) for name in table["file"]], table)
    off = truth[parts == "train"].mean(axis=0) - truth[parts == "validation"]
    return {
        "published_rmse": 0.0749,
        "galaxies": scores["rows"],
        "rmse": scores["weighted"]["rmse"],
        "constant": round(float(np.sqrt((off**2).mean())), 4),
        "epochs": options.epochs,
    }


def main() -> None:
    """Repeat one of the two, and keep what is known of the other."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("strings", "challenge"))
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "published")
    parser.add_argument("--epochs", type=int, help="instead of the pipeline's")
    options = parser.parse_args()
    if not (options.out / "images.zip").exists():
        join(options.out)
    known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
    known[options.what] = {"strings": strings, "challenge": challenge}[options.what](options)
    RESULT.write_text(json.dumps(known, indent=1) + "\n")
    print(json.dumps(known[options.what], indent=1))


if __name__ == "__main__":
    main()
