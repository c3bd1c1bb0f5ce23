"""Benchmark: galaxies of another collection, at a scale of their own each, as elliptical, edge-on or spiral.

Usage: ``python tests/benchmarks/bench_transfer.py [--checkpoint C] [--rows N]``. It needs ../shared/data: colour images
with Galaxy Zoo 1 classes, none of which the checkpoint has seen. Measured rescaling is all that the network gets to
cope with their scales. Spirals are a tenth of these galaxies and nearly half of those that it learnt from; scores are
given as they are, and after the shares of the classes were estimated from the probabilities alone, without a label
(Saerens, Latinne & Decaestecker 2002, Neural Computation 14, 21). A checkpoint for Galaxy Zoo 1 is scored on its test
part. Writes docs/benchmarks/transfer.json, one entry for each checkpoint, when all rows are classified.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

import galmorph
from galmorph.learning.split import read_split
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.evaluate import expected_calibration_error

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT.parent / "shared" / "data" / "sdss_gz1"
RESULT = ROOT / "docs" / "benchmarks" / "transfer.json"

# Galaxy Zoo 1 asked for elliptical, spiral and edge-on. Its page told people to answer "edge-on" for thin discs;
# what Galaxy Zoo 2 calls cigar-shaped is smooth, but thin as well, so that it is counted both ways.
CLASSES = {
    "elliptical": ("smooth_round", "smooth_in_between", "smooth_cigar"),
    "edge_on": ("edge_on",),
    "spiral": ("spiral",),
}
ITS_OWN = {"elliptical": ("elliptical",), "edge_on": ("edge_on",), "spiral": ("spiral_cw", "spiral_acw")}
CIGARS_AS_EDGE_ON = {
    "elliptical": ("smooth_round", "smooth_in_between"),
    "edge_on": ("edge_on", "smooth_cigar"),
    "spiral": ("spiral",),
}


def labelled(path: Path) -> Table:
    """Read the rows with one of three classes; spirals wind either way, mergers and doubtful ones are left out."""
    table = Table.read(path)
    winding = np.asarray(table["label"]).astype(str)
    table["label"] = np.where(np.char.startswith(winding, "spiral"), "spiral", winding)
    return table[np.isin(table["label"], list(CLASSES))]


def probabilities(table: Table, classes: dict[str, tuple[str, ...]]) -> npt.NDArray[np.float64]:
    """Sum the probabilities of five classes into three, (N, 3)."""
    return np.stack(
        [np.sum([np.asarray(table[f"gm_p_{k}"]) for k in keys], axis=0) for keys in classes.values()], axis=1
    )


def with_new_shares(table: Table, learnt: npt.NDArray[np.float64], keys: list[str]) -> Table:
    """Replace the shares of classes in the training by those that make the probabilities consistent (EM)."""
    p = np.stack([np.asarray(table[f"gm_p_{k}"], np.float64) for k in keys], axis=1)
    shares = learnt
    for _ in range(500):
        changed = p * (shares / learnt)
        changed /= changed.sum(axis=1, keepdims=True)
        shares = np.nanmean(changed, axis=0)
    out = table.copy()
    for key, values in zip(keys, changed.T, strict=True):
        out[f"gm_p_{key}"] = values
    return out


def scores(table: Table, classes: dict[str, tuple[str, ...]]) -> dict[str, Any]:
    """Compare the likeliest of three classes with the label."""
    names = np.array(list(classes))
    p = probabilities(table, classes)
    known = np.isfinite(p).all(axis=1)
    p, truth = p[known], np.asarray(table["label"])[known]
    chosen = names[p.argmax(axis=1)]
    right = chosen == truth
    return {
        "rows": int(known.sum()),
        "accuracy": round(float(right.mean()), 4),
        "recall": {str(n): round(float(right[truth == n].mean()), 3) for n in names},
        "expected_calibration_error": round(expected_calibration_error(p.max(axis=1), right.astype(np.float64)), 4),
        "confusion": [[int(((truth == a) & (chosen == b)).sum()) for b in names] for a in names],
    }


def main() -> None:
    """Classify and score."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", default="sdss-rgb")
    parser.add_argument("--rows", type=int, help="so many rows, drawn at random")
    options = parser.parse_args()
    labels = labelled(FOLDER / "labels.csv")
    checkpoint, card = load_checkpoint(options.checkpoint), read_card(options.checkpoint)
    its_own = checkpoint.scheme.name == "gz1"
    if its_own:
        every = Table.read(FOLDER / "labels.csv")
        files = list(every["file"])
        parts = dict(zip(files, read_split(checkpoint.split, checkpoint.name).divide(files, every), strict=True))
        labels = labels[[parts[name] == "test" for name in labels["file"]]]
    if options.rows:
        labels = labels[np.sort(np.random.default_rng(1).permutation(len(labels))[: options.rows])]
    table = galmorph.classify(labels, images=[FOLDER / "images.zip"], survey="sdss", band="RGB", checkpoint=checkpoint)
    keys = checkpoint.scheme.keys
    learnt = np.array([card["training_means"][k] for k in keys])
    found = {"as they are": table, "with new shares": with_new_shares(table, learnt / learnt.sum(), list(keys))}
    ways = (
        {"its_own_classes": ITS_OWN}
        if its_own
        else {"cigars_are_elliptical": CLASSES, "cigars_are_edge_on": CIGARS_AS_EDGE_ON}
    )
    result = {
        "rows": len(table),
        "always_elliptical": round(float((np.asarray(labels["label"]) == "elliptical").mean()), 4),
        **{way: {name: scores(t, classes) for name, t in found.items()} for way, classes in ways.items()},
    }
    print(json.dumps({checkpoint.name: result}, indent=1))
    if not options.rows:
        known = json.loads(RESULT.read_text()) if RESULT.exists() else {}
        RESULT.write_text(json.dumps({**known, checkpoint.name: result}, indent=1) + "\n")


if __name__ == "__main__":
    main()
