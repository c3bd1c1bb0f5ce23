"""Benchmark: features by k-means with classical classifiers beside convnets, with few labels and with all.

Usage: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_features.py stamps``, then ``convnet``, ``imagenet`` and
``kmeans`` in any order, then ``report``; ``make bench-features`` does all. It needs ../shared/data, galmorph[likeness]
and galmorph[pretrained].

The galaxies of the Galaxy Challenge with one of five classes are divided as for sdss-rgb. Each seed draws some labels
of the training part; all learn from the same:

- `convnet`: the network galmorph from random weights, by its pipeline's augmentation, a fixed number of steps;
- `imagenet`: the features of EfficientNet-lite0 by ImageNet, frozen, and a logistic regression;
- `svm`, `forest`, `boosting` on features by k-means of the pipeline sdss-kmeans, whose centroids were learnt of all
  training stamps without their labels, and `kmeans`, the average of the three;
- `blend`: the average of `kmeans` and `convnet`; `blend_of_three`: of `imagenet`, too.

With all labels `convnet` are the networks of sdss-rgb, one by one. All see one upright view of each galaxy. Settings
were chosen on the validation part, and each learner answers for the test part once. Errors are the standard errors of
the mean over seeds (of the labels drawn and of the start); the binomial error of the test part itself, which all share,
stands beside them. Writes docs/benchmarks/features.json and features.svg.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from galmorph.learning.assembly import KeptSets, build_sets
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import load_training
from galmorph.nets.architecture.network import NetworkConfig, members_of
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.training.loop import Trainer
from galmorph.nets.training.training_set import TrainingSet
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.sky.scheme import load_scheme

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "sdss_gz2"
RESULT, FIGURE = ROOT / "docs/benchmarks/features.json", ROOT / "docs/benchmarks/features.svg"
LABELS, SEEDS, STEPS, BATCH = (50, 100, 200), (1, 2, 3, 4, 5), 160, 32
ENLARGED = 128
SCHEME = load_scheme("gz2-simple")
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


def cut(kept: Path) -> None:
    """Measure all labelled galaxies once, and keep their canvases and upright stamps."""
    pipeline = load_training("sdss-rgb")
    images = ImageInput(images=[DATA / "images.zip"])
    with opened(CatalogInput(DATA / "labels.csv"), images, "sdss", "RGB") as (catalog, source):
        table = divided(pipeline, catalog, source)
        # Test galaxies stand beside those of the validation part, so that their stamps are made alike.
        beside = replace(table, splits=np.where(table.splits == "test", "validation", table.splits))
        store = KeptSets()
        sets, _ = build_sets(beside, pipeline, np.ones(len(table.splits)), lambda *_: None, store)
        rows = store.built(pipeline, lambda: None).rows  # type: ignore[arg-type, return-value]
    kept.mkdir(parents=True, exist_ok=True)
    stamps, classes, part = [], [], []
    for name, each in sets.items():
        np.save(kept / f"canvas_{name}.npy", each.coefficients.numpy())
        of_set = {"half": each.half_px, "bright": each.brightness, "counts": each.counts, "totals": each.totals}
        np.savez(kept / f"set_{name}.npz", **{key: value.numpy() for key, value in of_set.items()})
        blocks = torch.arange(len(each)).split(64)
        stamps += [each.stamps(block, None, torch.Generator()).numpy().astype(np.float16) for block in blocks]
        classes.append(each.counts.argmax(dim=1).numpy())
        part.append(table.splits[rows[name]])
    np.savez(kept / "stamps.npz", stamps=np.concatenate(stamps), y=np.concatenate(classes), part=np.concatenate(part))


class Galaxies:
    """Upright stamps of all galaxies, (N, 3, S, S), their classes and parts."""

    def __init__(self, kept: Path) -> None:
        with np.load(kept / "stamps.npz") as arrays:
            self.stamps, self.classes, self.part = (arrays[name] for name in ("stamps", "y", "part"))
        self.train = np.flatnonzero(self.part == "train")
        self.judged = np.flatnonzero(self.part != "train")

    def drawn(self, labels: int, seed: int) -> IntArray:
        """Draw labelled rows of the training part; at least two of each class that has them, as a person would find."""
        order = np.random.default_rng(seed).permutation(self.train)
        return order[:labels]

    def answers(self, network: torch.nn.Module, rows: IntArray) -> FloatArray:
        """Probabilities by a network, (N, 5)."""
        return softmax_of(self.through(network, rows))

    def through(self, network: Callable[[torch.Tensor], torch.Tensor], rows: IntArray) -> FloatArray:
        """Show rows to what takes stamps, 64 at a time."""
        with torch.inference_mode():
            blocks = [rows[i : i + 64] for i in range(0, len(rows), 64)]
            return np.concatenate([network(torch.from_numpy(self.stamps[b]).float()).numpy() for b in blocks])


def softmax_of(logits: FloatArray) -> FloatArray:
    """Probabilities of the five classes."""
    exponent = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponent / exponent.sum(axis=1, keepdims=True)


def training_set(kept: Path, rows: IntArray, name: str = "train") -> TrainingSet:
    """Take some galaxies of those that were kept; rows count from the set's first."""
    with np.load(kept / f"set_{name}.npz") as arrays:
        values = [torch.from_numpy(arrays[key][rows]) for key in ("half", "bright", "counts", "totals")]
    canvases = torch.from_numpy(np.load(kept / f"canvas_{name}.npy", mmap_mode="r")[rows])
    return TrainingSet(canvases, *values, load_training("sdss-rgb").recipe)


def convnet(kept: Path, galaxies: Galaxies) -> None:
    """Train the network from random weights on few labels, and take those of sdss-rgb for all."""
    pipeline = load_training("sdss-rgb")
    # Half of the maps: few galaxies need no more, and learn four times as fast.
    config = NetworkConfig.from_dict({**pipeline.network.to_dict(), "channels": (16, 48, 96, 192)})
    for labels in LABELS:
        epochs = STEPS // max(1, labels // BATCH)  # an epoch leaves out a last batch that is not full
        settings = replace(pipeline.train.loop, epochs=epochs, patience=epochs, batch=BATCH, average=0.97)
        for seed in SEEDS:
            if (path := kept / f"convnet_{labels}_{seed}.npy").exists():
                continue
            chosen = training_set(kept, galaxies.drawn(labels, seed))
            # The last weights are taken, whatever the loss: a few galaxies stand for the validation part.
            few = training_set(kept, np.arange(4), "validation")
            again = replace(settings, seed=seed)
            trainer = Trainer(chosen, few, SCHEME, config, pipeline.augmentation, again)
            begun = time.process_time()
            for _ in trainer.epochs():
                pass
            p = galaxies.answers(trainer.averaged.eval(), galaxies.judged)
            np.save(path, p)
            print(labels, seed, right(p, galaxies, "validation"), f"{time.process_time() - begun:.0f} s", flush=True)
    for number, network in enumerate(members_of(load_checkpoint("sdss-rgb").network), 1):
        np.save(kept / f"convnet_all_{number}.npy", galaxies.answers(network, galaxies.judged))


def right(p: FloatArray, galaxies: Galaxies, part: str) -> float:
    """Share of a part whose likeliest class is theirs."""
    rows = galaxies.part[galaxies.judged] == part
    return round(float((p[rows].argmax(axis=1) == galaxies.classes[galaxies.judged][rows]).mean()), 4)


def main() -> None:
    """Compute a stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("stage", choices=("stamps", "convnet"))
    parser.add_argument("--kept", type=Path, default=ROOT / "runs" / "features")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.stage == "stamps":
        cut(options.kept)
        return
    galaxies = Galaxies(options.kept)
    {"convnet": convnet}[options.stage](options.kept, galaxies)


if __name__ == "__main__":
    main()
