"""Benchmark: few labelled cigars, and what galaxies without a label add by one threshold or by one for each answer.

Usage: ``python tests/benchmarks/bench_cigars.py``. It needs ../shared/data. Of 656 galaxies with Galaxy Zoo 2 votes
those with exactly one of five classes by the usual cuts on weighted fractions have a label. Fields are divided: test
galaxies are scored once by each network, validation galaxies choose the epoch. Of the training galaxies each seed draws
``--labels`` of each class (all classes weigh alike) but only ``--cigars`` cigars; all others, and ``--others`` pictures
of the Galaxy Challenge that have no class, are without a label. By ``galmorph``'s own training learns what makes
answers of the features of sdss-gz1, which has never been told of cigars (galaxies in fields that it learnt from are not
scored),

- from the labels alone;
- by FixMatch: those without a label of which the average is as sure as .8 have its answer as their class;
- by FixMatch with lower thresholds for answers that are learnt less (`learnt`) or of which a smaller share is sure
  (`aligned`).

All of a seed see the same labels and begin with the same weights. Figures are means over seeds with their standard
errors, differences from FixMatch with one threshold are seed by seed. Writes docs/benchmarks/cigars.json.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from astropy.table import Table
from bench_colour import unseen
from colour_tables import CLASSES, DATA, classes, conditional, pack, voted

from galmorph.learning.assembly import KeptSets
from galmorph.learning.pipeline import TrainPipeline, load_training
from galmorph.learning.training import train
from galmorph.learning.viewed import StampBatch, stamps_of_rows
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageInput, ImageSource

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "cigars.json"
CIGAR = CLASSES.index("smooth_cigar")
MATCH = {"distance": "divergence", "threshold": 0.8, "temperature": 0.1}
# None differ in their sets: a share of 0 shows no galaxy without a label.
METHODS: dict[str, dict[str, Any]] = {
    "labels_alone": {"share": 0.0},
    "fixed": {"share": 2.0, **MATCH},
    "learnt": {"share": 2.0, **MATCH, "thresholds": "learnt"},
    "aligned": {"share": 2.0, **MATCH, "thresholds": "aligned"},
}
FIXED = "fixed"
FloatArray = npt.NDArray[np.float64]


def pipeline_of(name: str, how: dict[str, Any], seed: int, epochs: int) -> TrainPipeline:
    """Make the pipeline of a way to learn: sdss-gz2 but for five classes, another start and small stamps."""
    train_section = {
        "start": "sdss-gz1",
        "members": 1,
        "class_weights": "balanced",
        "epochs": epochs,
        "patience": epochs,
        "batch": 16,
        "seed": seed,
        "unlabelled": how,
    }
    above = {
        "scheme": "gz2-simple",
        "recipe": {"size": 48, "half_width_rpet": 1.5, "views": "one"},  # the scale of its start, and fewer pixels
        "split": {
            "test": [0.0, 0.45],
            "validation": [0.45, 0.6],
            "salt": "cigars",
            "only": {"origin": "votes"},  # others train
        },
        "train": train_section,
    }
    return load_training("sdss-gz2", above).changed(name, {})


def galaxies(others: int) -> tuple[Table, npt.NDArray[np.str_]]:
    """Galaxies with votes, and others of the challenge without a class; the class of each, (N,), or ''."""
    votes = voted()
    named = classes(conditional(votes))
    more = Table.read(DATA / "sdss_gz2" / "labels.csv")
    more = more[np.ma.getmaskarray(more["label"])]
    more = more[np.sort(np.random.default_rng(0).permutation(len(more))[:others])]
    names = [*(str(file) for file in votes["file"]), *(str(file) for file in more["file"])]
    fields = [*votes["field"], *(str(file) for file in more["file"])]
    origin = ["votes"] * len(votes) + ["challenge"] * len(more)
    return Table({"file": names, "field": fields, "origin": origin}), np.array([*named, *[""] * len(more)])


def drawn(named: npt.NDArray[np.str_], part: npt.NDArray[np.str_], seed: int, options: argparse.Namespace) -> list[str]:
    """Keep the labels of a few training galaxies of each class, and of all validation galaxies."""
    rng, labels = np.random.default_rng(seed), np.where(part == "validation", named, "")
    for key in CLASSES:
        rows = rng.permutation(np.flatnonzero((named == key) & (part == "train")))
        wanted = options.cigars if key == CLASSES[CIGAR] else options.labels
        labels[rows[:wanted]] = key
    return [str(label) for label in labels]


def seen(checkpoint: Checkpoint, table: Table, images: ImageSource, rows: npt.NDArray[np.intp]) -> list[StampBatch]:
    """Cut the stamps of the test galaxies, which are the same for all networks."""
    gathering = Gathering(catalog_from(table), images, checkpoint.recipe.half_width_rpet)
    return list(stamps_of_rows(checkpoint, gathering, rows))


def answers(checkpoint: Checkpoint, batches: list[StampBatch]) -> npt.NDArray[np.intp]:
    """Likeliest class of each stamp."""
    said = [checkpoint.answer(batch.stamps, batch.shares).conditional for batch in batches]
    return np.concatenate(said).argmax(axis=1)


def figures(guess: npt.NDArray[np.intp], truth: npt.NDArray[np.intp]) -> dict[str, float]:
    """Accuracy, the mean recall of the classes, and recall and purity of cigars."""
    right, cigars = guess == truth, truth == CIGAR
    named = guess == CIGAR
    return {
        "accuracy": float(right.mean()),
        "mean_recall": float(np.mean([right[truth == k].mean() for k in np.unique(truth)])),
        "cigar_recall": float(right[cigars].mean()),
        "cigar_purity": float(right[named].mean()) if named.any() else float("nan"),
    }


def one_seed(seed: int, options: argparse.Namespace, images: ImageSource) -> dict[str, dict[str, float]]:
    """Train all ways on the same labels, and score each on the test galaxies."""
    table, named = galaxies(options.others)
    split = pipeline_of("cigars", METHODS[FIXED], seed, options.epochs).split
    part = np.asarray(split.divide([str(f) for f in table["file"]], table))
    table["label"] = drawn(named, part, seed, options)
    new = np.concatenate([unseen(voted()), np.zeros(options.others, bool)])
    test = np.flatnonzero((part == "test") & (named != "") & new)
    kept, batches, result = KeptSets(), None, {}
    for name, how in METHODS.items():
        begun = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            pipeline = pipeline_of(name, how, seed, options.epochs)
            run = train(catalog_from(table), images, pipeline, Path(folder) / name, kept=kept)
        batches = batches or seen(run.checkpoint, table, images, test)
        rows = np.concatenate([batch.rows for batch in batches])
        truth = np.array([CLASSES.index(str(named[row])) for row in rows])
        result[name] = figures(answers(run.checkpoint, batches), truth)
        spent = time.process_time() - begun
        print(seed, name, {k: round(v, 3) for k, v in result[name].items()}, f"{spent:.0f} s", flush=True)
    return result


def summary(seeds: list[dict[str, dict[str, float]]]) -> dict[str, Any]:
    """Mean figures over seeds, and differences from one threshold for all, with their standard errors."""
    out: dict[str, Any] = {}
    for name in METHODS:
        for key in seeds[0][name]:
            values = np.array([seed[name][key] for seed in seeds])
            away = values - np.array([seed[FIXED][key] for seed in seeds])
            out.setdefault(name, {})[key] = _mean(values)
            if name != FIXED:
                out.setdefault(f"{name}_less_{FIXED}", {})[key] = _mean(away)
    return out


def _mean(values: FloatArray) -> list[float]:
    values = values[np.isfinite(values)]
    return [round(float(values.mean()), 4), round(float(values.std(ddof=1) / len(values) ** 0.5), 4)]


def main() -> None:
    """Run all seeds, and write what they give."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--labels", type=int, default=20, help="of each class but cigars")
    parser.add_argument("--cigars", type=int, default=10, help="labelled ones")
    parser.add_argument("--others", type=int, default=400, help="pictures of the challenge without a class")
    parser.add_argument("--epochs", type=int, default=24)
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "cigars")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    table, _ = galaxies(options.others)
    folders = {"votes": DATA / "sdss_gz2_votes", "challenge": DATA / "sdss_gz2"}
    pictures = {str(row["file"]): (folders[str(row["origin"])], str(row["file"])) for row in table}
    pack(options.out / "images.zip", pictures)
    images = ImageInput(images=[options.out / "images.zip"], survey="sdss", band="RGB").open()
    seeds: list[dict[str, dict[str, float]]] = []
    for seed in range(1, options.seeds + 1):
        path = options.out / f"seed-{seed}.json"
        if not path.exists():
            path.write_text(json.dumps(one_seed(seed, options, images)))
        seeds.append(json.loads(path.read_text()))
    settings = {name: getattr(options, name) for name in ("seeds", "labels", "cigars", "others", "epochs")}
    text = json.dumps({**settings, **summary(seeds)}, indent=1)
    print(text)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()
