"""Benchmark: features by k-means with classical classifiers beside convnets, with few labels and with all.

Usage: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_features.py stamps``, then ``convnet``, ``imagenet``,
``kmeans``, ``learnt`` and ``run`` (the pipeline from its images to its report, timed) in any order, then ``report``;
``make bench-features`` does all;
``shared`` scores what ``learnt`` did alone. It needs ../shared/data, galmorph[likeness] and galmorph[pretrained].

The galaxies of the Galaxy Challenge with one of five classes are divided as for sdss-rgb. Each seed draws some labels
of the training part; all learn from the same:

- `convnet`: the network galmorph from random weights, by its pipeline's augmentation, a fixed number of steps;
- `imagenet`: the features of EfficientNet-lite0 by ImageNet, frozen, and a logistic regression;
- `logistic`, `forest`, `boosting` on two views and features of the pipeline sdss-kmeans: by k-means, with centroids of
  all training stamps without their labels, with light in rings beside; and `kmeans`, the average of the three;
- `patches`, the same without light in rings, and `light`, the same of these alone;
- `blend`: the average of `kmeans` and `convnet`; `blend_of_three`: of `imagenet`, too. With few labels `kmeans` counts
  twice, as it should by the validation part; with all of them once.

With all labels `convnet` are the networks of sdss-rgb, one by one. All see one upright view of each galaxy.

A second table has the pipeline sdss-kmeans as it is: `planes`, its logistic regression of four views; `equal`, the
plain average with its forest and boosting; `learnt`, by shares that are learnt of the galaxies that are labelled. With
all labels each start has centroids of its own, and `learnt_blend` is the average with `convnet`, whose shares make the
validation part likeliest.

Features and classifiers of k-means were chosen on the training and
validation parts; steps, maps and regularisation of the others were not tuned.
Errors are the standard errors of the mean over seeds (of the labels drawn and of the start); the binomial error of the
test part itself, which all share, stands beside them. What has not learnt yet is left out. Writes
docs/benchmarks/features.json and features.svg, and the table in docs/features.md.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from markupsafe import Markup
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import interpolate

from galmorph.learning.assembly import KeptSets, build_sets
from galmorph.learning.inputs import opened
from galmorph.learning.labelled_table import divided
from galmorph.learning.pipeline import TrainPipeline, load_training
from galmorph.nets.architecture.network import Network, NetworkConfig, members_of
from galmorph.nets.checkpoint.blend import fit_shares
from galmorph.nets.checkpoint.file import load_checkpoint
from galmorph.nets.features.classifier import Classifier, ViewSample, Votes, fit_head
from galmorph.nets.features.learnt_shares import answers_of, learnt_shares
from galmorph.nets.features.unsupervised import (
    _learn_features,
    _seen_features,
    feature_network,
    feature_parts,
)
from galmorph.nets.training.imagenet import IMAGENET
from galmorph.nets.training.loop import Trainer
from galmorph.nets.training.start import load_start
from galmorph.nets.training.training_set import TrainingSet
from galmorph.sky.catalog_input import CatalogInput
from galmorph.sky.images import ImageInput
from galmorph.sky.scheme import Labels, load_scheme

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "sdss_gz2"
PAGE = ROOT / "docs/features.md"
RESULT, FIGURE = (
    ROOT / "docs/benchmarks/features.json",
    ROOT / "docs/benchmarks/features.svg",
)
LABELS, SEEDS, STEPS, BATCH = (50, 100, 200), (1, 2, 3, 4, 5), 160, 32
ENLARGED = 96
STEP_PX = 130  # between two numbers of labels in the figure
ALL = "all"
BEGIN_SHARED = "<!-- second table by bench_features.py -->"
BEGIN, END = "<!-- table by bench_features.py -->", "<!-- end of the table -->"
TITLES = {
    "convnet": "convnet",
    "imagenet": "imagenet",
    "light": "light in rings alone",
    "patches": "k-means without light in rings",
    "logistic": "k-means with light, logistic regression",
    "forest": "k-means with light, forest",
    "boosting": "k-means with light, boosting",
    "kmeans": "k-means with light, average of the three",
    "blend": "average of k-means and convnet",
    "blend_of_three": "average of k-means, convnet and imagenet",
    "kmeans - convnet": "*k-means less convnet*",
    "blend - kmeans": "*average less k-means*",
    "blend - convnet": "*average less convnet*",
}
SHARED = {
    "planes": "logistic regression, four views",
    "equal": "average with forest and boosting, equal shares",
    "learnt": "average, learnt shares",
    "learnt_blend": "average with the convnet",
    "learnt - equal": "*learnt shares less equal ones*",
    "learnt - convnet": "*learnt shares less convnet*",
    "learnt_blend - learnt": "*with the convnet less without*",
    "learnt_blend - convnet": "*with the convnet less convnet*",
}
METHODS = (
    "convnet",
    "imagenet",
    "light",
    "patches",
    "logistic",
    "forest",
    "boosting",
    "kmeans",
    "blend",
    "blend_of_three",
)
SCHEME = load_scheme("gz2-simple")
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #222; } .title { font-weight: 600; } .grid { stroke: #ddd; }
path { fill: none; stroke-width: 2; }
.m0 { stroke: #0072b2; stroke-dasharray: 6 4; } .m1 { stroke: #999; stroke-dasharray: 2 3; } .m2 { stroke: #d55e00; }
.m3 { stroke: #009e73; } .m4 { stroke: #333; }
"""
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


def cut(kept: Path) -> None:
    """Measure all labelled galaxies once, and keep their canvases and upright stamps."""
    pipeline = load_training("sdss-rgb")
    images = ImageInput(images=[DATA / "images.zip"])
    with opened(CatalogInput(DATA / "labels.csv"), images, "sdss", "RGB") as (
        catalog,
        source,
    ):
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
        of_set = {
            "half": each.half_px,
            "bright": each.brightness,
            "counts": each.counts,
            "totals": each.totals,
        }
        np.savez(
            kept / f"set_{name}.npz",
            **{key: value.numpy() for key, value in of_set.items()},
        )
        blocks = torch.arange(len(each)).split(64)
        stamps += [each.stamps(block, None, torch.Generator()).numpy().astype(np.float16) for block in blocks]
        classes.append(each.counts.argmax(dim=1).numpy())
        part.append(table.splits[rows[name]])
    np.savez(
        kept / "stamps.npz",
        stamps=np.concatenate(stamps),
        y=np.concatenate(classes),
        part=np.concatenate(part),
    )


class Galaxies:
    """Upright stamps of all galaxies, (N, 3, S, S), their classes and parts."""

    def __init__(self, kept: Path) -> None:
        with np.load(kept / "stamps.npz") as arrays:
            self.stamps, self.classes, self.part = (arrays[name] for name in ("stamps", "y", "part"))
        self.train = np.flatnonzero(self.part == "train")
        self.judged = np.flatnonzero(self.part != "train")

    def drawn(self, labels: int, seed: int) -> IntArray:
        """Draw labelled rows of the training part."""
        order = np.random.default_rng(seed).permutation(self.train)
        return order[:labels]

    def draws(self) -> Iterator[tuple[Any, int, IntArray]]:
        """Yield numbers of labels, seeds and rows; of all labels there is one draw, with three starts."""
        for labels in LABELS:
            yield from ((labels, seed, self.drawn(labels, seed)) for seed in SEEDS)
        yield from ((ALL, seed, self.train) for seed in (1, 2, 3))

    def keep(self, path: Path, p: FloatArray) -> None:
        """Keep probabilities, and say how many of the validation part are right."""
        np.save(path, p)
        print(path.stem, right(p, self, "validation"), flush=True)

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
    for number, network in enumerate(members_of(load_checkpoint("sdss-rgb").network), 1):
        np.save(
            kept / f"convnet_all_{number}.npy",
            galaxies.answers(network, galaxies.judged),
        )
    for labels in LABELS:
        epochs = STEPS // max(1, labels // BATCH)  # an epoch leaves out a last batch that is not full
        settings = replace(
            pipeline.train.loop,
            epochs=epochs,
            patience=epochs,
            batch=BATCH,
            average=0.97,
        )
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
            print(
                labels,
                seed,
                right(p, galaxies, "validation"),
                f"{time.process_time() - begun:.0f} s",
                flush=True,
            )


def imagenet(kept: Path, galaxies: Galaxies) -> None:
    """Fit a logistic regression to the frozen features of EfficientNet-lite0 by ImageNet."""
    path = kept / "imagenet_features.npy"
    if not path.exists():
        config = NetworkConfig.from_dict({"name": "lite0"})
        recipe = replace(load_training("sdss-rgb").recipe, size=ENLARGED)
        start = load_start(IMAGENET, config, recipe, SCHEME)
        network = Network(config, recipe, SCHEME).eval()
        network.load_state_dict(dict(start.member(1)), strict=False)

        def enlarged(stamps: torch.Tensor) -> torch.Tensor:
            return network.features(interpolate(stamps, size=ENLARGED, mode="bilinear", antialias=True))

        np.save(path, galaxies.through(enlarged, np.arange(len(galaxies.part))))
    features = np.load(path)
    for labels, seed, rows in galaxies.draws():
        mean, spread = features[rows].mean(axis=0), features[rows].std(axis=0) + 1e-3
        x = (features - mean) / spread
        model = LogisticRegression(C=1e-3 if labels == ALL else 1e-2, max_iter=200).fit(x[rows], galaxies.classes[rows])
        p = np.full((len(galaxies.judged), len(SCHEME.keys)), 1e-6)
        p[:, model.classes_] = model.predict_proba(x[galaxies.judged])
        galaxies.keep(kept / f"imagenet_{labels}_{seed}.npy", p)


def kmeans(kept: Path, galaxies: Galaxies) -> None:
    """Learn features without labels of all training stamps, and the classifiers of few and of all."""
    pipeline = load_training("sdss-kmeans")
    assert pipeline.features is not None
    pipeline = replace(pipeline, features=replace(pipeline.features, views=2))
    learnt = FeatureTable.of(kept, galaxies, pipeline)
    spent: dict[str, float] = {}
    about = {"classifiers_cpu_s": spent, "numbers": sum(learnt.parts), "numbers_of_light": learnt.parts[-1]}
    for labels, seed, rows in galaxies.draws():
        if (kept / f"kmeans_{labels}_{seed}.npy").exists():
            continue
        said, _ = learnt.fitted(galaxies, rows, seed, spent, f"_{labels}")
        for method, p in said.items():
            galaxies.keep(kept / f"{method}_{labels}_{seed}.npy", p)
        galaxies.keep(kept / f"kmeans_{labels}_{seed}.npy", np.mean(list(said.values()), axis=0))
        (kept / "kmeans.json").write_text(json.dumps(about))
    for name, of_kind in zip(("light", "patches"), reversed(list(learnt.alone())), strict=True):
        for labels, seed, rows in galaxies.draws():
            if (labels != ALL or seed == 1) and not (path := kept / f"{name}_{labels}_{seed}.npy").exists():
                said, _ = of_kind.fitted(galaxies, rows, seed, {}, "")
                galaxies.keep(path, np.mean(list(said.values()), axis=0))


def learnt(kept: Path, galaxies: Galaxies) -> None:
    """Learn what the pipeline does: four views, and how much each classifier counts."""
    pipeline = load_training("sdss-kmeans")
    for labels, seed, rows in galaxies.draws():
        if (kept / f"learnt_{labels}_{seed}.npy").exists():
            continue
        of_start = FeatureTable.of(kept, galaxies, pipeline, seed if labels == ALL else 1, "kmeans_views")
        spent: dict[str, float] = {}
        said, shares = of_start.fitted(galaxies, rows, seed, spent, "", is_learnt=True)
        mixtures = {
            "planes": said["logistic"],
            "equal": np.mean(list(said.values()), axis=0),
            "learnt": np.average(list(said.values()), axis=0, weights=list(shares.values())),
        }
        for method, p in mixtures.items():
            galaxies.keep(kept / f"{method}_{labels}_{seed}.npy", p)
        (kept / f"shares_{labels}_{seed}.json").write_text(json.dumps({"shares": shares, "cpu_s": spent}))


@dataclass(frozen=True)
class FeatureTable:
    """Features of the views of training galaxies, (V, F), whose galaxies these are, and of those that are judged."""

    features: npt.NDArray[np.float32]
    galaxy: IntArray
    judged: npt.NDArray[np.float32]
    parts: list[int]
    classifier: Classifier
    weight: float

    @classmethod
    def of(
        cls, kept: Path, galaxies: Galaxies, pipeline: TrainPipeline, seed: int = 1, name: str = "kmeans_features"
    ) -> FeatureTable:
        """Learn the features of a start, or read those that were kept."""
        settings, path = pipeline.features, kept / f"{name}_{seed}.npz"
        assert settings is not None
        assert pipeline.classifier is not None
        if not path.exists():
            encoder = Network(feature_network(settings), pipeline.recipe, SCHEME).eval()
            training = training_set(kept, np.arange(len(galaxies.train)))
            _learn_features(encoder, training, settings, seed, lambda *_: None)
            rows = torch.arange(len(training))
            views, galaxy = _seen_features(
                encoder, training, rows, settings, pipeline.augmentation, seed, "cpu", lambda *_: None
            )
            judged = galaxies.through(encoder.features, galaxies.judged)
            np.savez(path, views=views, galaxy=galaxy, judged=judged, parts=feature_parts(encoder))
        with np.load(path) as arrays:
            read = (arrays[name] for name in ("views", "galaxy", "judged"))
            return cls(*read, arrays["parts"].tolist(), pipeline.classifier, 1.0 / settings.views)

    def alone(self) -> Iterator[FeatureTable]:
        """Yield the features of each kind."""
        for end, width in zip(np.cumsum(self.parts), self.parts, strict=True):
            kind = slice(int(end) - width, int(end))
            arrays = {"features": self.features[:, kind], "judged": np.ascontiguousarray(self.judged[:, kind])}
            yield replace(self, parts=[width], **arrays)

    def fitted(
        self,
        galaxies: Galaxies,
        rows: IntArray,
        seed: int,
        spent: dict[str, float],
        of: str,
        *,
        is_learnt: bool = False,
    ) -> tuple[dict[str, FloatArray], dict[str, float]]:
        """Fit each classifier to the views of some galaxies.

        Returns
        -------
        What each says of those that are judged, and its share in the average of all: equal ones unless they are learnt.
        """
        views = np.flatnonzero(np.isin(self.galaxy, rows))
        counts = np.eye(len(SCHEME.keys))[galaxies.classes[self.galaxy[views]]]
        votes = Votes(counts, np.ones_like(counts), np.full(len(views), self.weight), self.galaxy[views])
        sample, settings = ViewSample(self.features[views], votes, SCHEME, self.parts), self.classifier
        heads = {}
        for method in settings.method:
            begun = time.process_time()
            heads[method] = fit_head(method, sample, settings, seed=seed)
            spent[method + of] = round(time.process_time() - begun, 1)
        shares = [1.0 / len(heads)] * len(heads)
        if is_learnt:
            begun = time.process_time()
            shares = learnt_shares(list(heads.values()), sample, settings, seed=seed)
            spent["shares" + of] = round(time.process_time() - begun, 1)
        said = {method: answers_of(head, self.judged, SCHEME) for method, head in heads.items()}
        return said, dict(zip(heads, shares, strict=True))


def right(p: FloatArray, galaxies: Galaxies, part: str) -> float:
    """Share of a part whose likeliest class is theirs."""
    rows = galaxies.part[galaxies.judged] == part
    return round(
        float((p[rows].argmax(axis=1) == galaxies.classes[galaxies.judged][rows]).mean()),
        4,
    )


PARTS = {
    "blend": ("kmeans", "convnet"),
    "blend_of_three": ("kmeans", "convnet", "imagenet"),
    "learnt_blend": ("learnt", "convnet"),
}


def probabilities(kept: Path, method: str, labels: Any, seeds: list[int], truth: IntArray) -> FloatArray:
    """Return what a method says of all that are judged, (seeds, N, 5).

    Parameters
    ----------
    truth
        (N,) classes of the validation part, which the shares of `learnt_blend` are fitted to; -1 elsewhere.
    """
    parts = PARTS.get(method, (method,))
    each = [np.stack([np.load(kept / f"{part}_{labels}_{seed}.npy") for seed in seeds]) for part in parts]
    if method == "learnt_blend":
        known = truth >= 0
        votes = Labels(np.eye(len(SCHEME.keys))[truth[known]], np.ones((int(known.sum()), len(SCHEME.keys))))
        of_seeds = [fit_shares([p[known] for p in of_seed], votes, SCHEME) for of_seed in zip(*each, strict=True)]
        return np.einsum("sp,psna->sna", np.array(of_seeds), np.array(each))
    # Twice as much of k-means where labels are few: chosen on the validation part.
    shares = [2.0 if part == "kmeans" and labels != ALL else 1.0 for part in parts]
    return np.asarray(np.average(each, axis=0, weights=shares))


def seeds_of(kept: Path, labels: Any, *methods: str) -> list[int]:
    """List the seeds for which methods have learnt: a run that was stopped has fewer."""
    parts = {part for method in methods for part in PARTS.get(method, (method,))}
    return [seed for seed in SEEDS if all((kept / f"{part}_{labels}_{seed}.npy").exists() for part in parts)]


class Judge:
    """Scores on the test part."""

    def __init__(self, kept: Path, galaxies: Galaxies) -> None:
        self.kept, self.rows = kept, galaxies.part[galaxies.judged] == "test"
        classes = galaxies.classes[galaxies.judged]
        self.truth = classes[self.rows]
        self.validation = np.where(galaxies.part[galaxies.judged] == "validation", classes, -1)

    def right(self, method: str, labels: Any, seeds: list[int]) -> FloatArray:
        """Share that is right, by seed."""
        p = probabilities(self.kept, method, labels, seeds, self.validation)[:, self.rows]
        return np.asarray((p.argmax(axis=2) == self.truth).mean(axis=1))

    def curve(self, method: str) -> dict[str, Any]:
        """Scores by number of labels, where any seed has learnt."""
        curve = {}
        for labels in (*LABELS, ALL):
            if len(seeds := seeds_of(self.kept, labels, method)) > 0:
                each = self.right(method, labels, seeds)
                p = float(each.mean())
                binomial = round((p * (1 - p) / len(self.truth)) ** 0.5, 4)
                curve[str(labels)] = {
                    "seeds": len(seeds),
                    "right": round(p, 4),
                    **error(each),
                    "binomial": binomial,
                }
        return curve

    def differences(self, one: str, other: str) -> dict[str, Any]:
        """Differences seed by seed."""
        apart = {}
        for labels in (*LABELS, ALL):
            if len(seeds := seeds_of(self.kept, labels, one, other)) > 0:
                each = self.right(one, labels, seeds) - self.right(other, labels, seeds)
                apart[str(labels)] = {
                    "seeds": len(seeds),
                    "difference": round(float(each.mean()), 4),
                    **error(each),
                }
        return apart


def error(each: FloatArray) -> dict[str, float]:
    """Return the standard error of the mean over seeds; 0 of a single one, which says nothing of it."""
    return {"error": round(float(each.std(ddof=1) / len(each) ** 0.5), 4) if len(each) > 1 else 0.0}


def run(kept: Path, galaxies: Galaxies) -> None:  # noqa: ARG001
    """Run the pipeline sdss-kmeans from its images to its report, and keep what it left and how long it took."""
    inputs = [f"labels={DATA / 'labels.csv'}", f"images={DATA / 'images.zip'}"]
    command = [sys.executable, "-m", "galmorph", "run", "sdss/sdss-kmeans", "--input", *inputs]
    begun = time.perf_counter()
    shutil.rmtree(kept / "run", ignore_errors=True)
    subprocess.run([*command, "-o", str(kept / "run")], check=True)
    spent = resource.getrusage(resource.RUSAGE_CHILDREN)
    about = {"cpu_s": round(spent.ru_utime + spent.ru_stime), "wall_s": round(time.perf_counter() - begun)}
    (kept / "run.json").write_text(json.dumps(about))


def tabulate(result: dict[str, Any]) -> str:
    """Write the curves, and the differences seed by seed, as a table, with how long the pipeline took."""
    head = ["labels", *(str(labels) for labels in LABELS), ALL]
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    for name, title in TITLES.items():
        curve = {**result["methods"], **result["differences"]}[name]
        if not curve:
            continue  # not learnt yet
        cells = [cell(curve.get(tick), signed=" - " in name) for tick in head[1:]]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    if spent := result.get("run"):
        cpu, wall = spent["cpu_s"] / 60, spent["wall_s"] / 60
        took = f"`galmorph run sdss/sdss-kmeans`, from images to report, took {cpu:.1f} minutes of processor time, "
        lines += ["", f"{took}and {wall:.1f} by the clock of a machine with two cores."]
    return "\n".join(lines)


def cell(of: dict[str, Any] | None, *, signed: bool) -> str:
    """Write a number with its error, or of how many seeds it is."""
    if of is None:
        return ""
    value = f"{of['difference']:+.3f}" if signed else f"{of['right']:.3f}"
    value = value.replace("0.", ".").replace("-", "−")
    if of["error"] > 0:
        return f"{value} ± {of['error']:.3f}".replace(" 0.", " .")
    return f"{value} (1 start)" if of["seeds"] == 1 else value


def report(kept: Path, galaxies: Galaxies) -> None:
    """Score all on the test part, and write and draw the curve."""
    judge = Judge(kept, galaxies)
    about = kept / "kmeans.json"
    pairs = (
        ("kmeans", "convnet"),
        ("kmeans", "imagenet"),
        ("blend", "kmeans"),
        ("blend", "convnet"),
    )
    result: dict[str, Any] = {
        "rows": {part: int((galaxies.part == part).sum()) for part in ("train", "validation", "test")},
        "steps_of_convnet": STEPS,
        **(json.loads(about.read_text()) if about.exists() else {}),
        **time_of_run(kept),
        "methods": {method: judge.curve(method) for method in METHODS},
        "differences": {f"{one} - {other}": judge.differences(one, other) for one, other in pairs},
        "shared": shared(judge),
    }
    for method, curve in (*result["methods"].items(), *result["differences"].items()):
        said = {n: of.get("right", of.get("difference")) for n, of in curve.items()}
        print(
            method,
            {n: f"{p:.3f} ± {curve[n]['error']:.3f} ({curve[n]['seeds']})" for n, p in said.items()},
        )
    draw(result["methods"])
    write(result)


def report_shared(kept: Path, galaxies: Galaxies) -> None:
    """Score what the stage ``learnt`` has learnt on the test part, and say what the stage ``run`` took."""
    write(json.loads(RESULT.read_text()) | time_of_run(kept) | {"shared": shared(Judge(kept, galaxies))})


def time_of_run(kept: Path) -> dict[str, Any]:
    """Return how long the pipeline took, if it ran."""
    path = kept / "run.json"
    return {"run": json.loads(path.read_text())} if path.exists() else {}


def write(result: dict[str, Any]) -> None:
    """Write the figures, and both tables into the page."""
    RESULT.write_text(json.dumps(result, indent=1) + "\n")
    text = PAGE.read_text(encoding="utf-8")
    for begin, lines in ((BEGIN, tabulate(result)), (BEGIN_SHARED, tabulate_shared(result["shared"]))):
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n\n{lines}\n\n{END}{rest.partition(END)[2]}"
    PAGE.write_text(text, encoding="utf-8")


def shared(judge: Judge) -> dict[str, Any]:
    """Score the pipeline as it is, and say how much each classifier counted and what learning took."""
    kept = {
        str(labels): [json.loads(path.read_text()) for path in sorted(judge.kept.glob(f"shares_{labels}_*.json"))]
        for labels in (*LABELS, ALL)
    }
    return {
        "shares": {labels: means([of["shares"] for of in each]) for labels, each in kept.items()},
        "cpu_s": {labels: means([of["cpu_s"] for of in each]) for labels, each in kept.items()},
        **{name: judge.differences(*name.split(" - ")) if " - " in name else judge.curve(name) for name in SHARED},
    }


def means(each: list[dict[str, float]]) -> dict[str, float]:
    """Return the mean of each number over seeds."""
    return {name: round(float(np.mean([of[name] for of in each])), 3) for name in (each[0] if each else {})}


def tabulate_shared(of: dict[str, Any]) -> str:
    """Write the second table."""
    ticks = [str(labels) for labels in (*LABELS, ALL)]
    lines = ["| " + " | ".join(["labels", *ticks]) + " |", "|---" * (len(ticks) + 1) + "|"]
    for name, title in SHARED.items():
        cells = [cell(of[name].get(tick), signed=" - " in name) for tick in ticks]
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    for method in of["shares"][ALL]:
        cells = [f"{of['shares'][tick][method]:.2f}".replace("0.", ".") for tick in ticks]
        lines.append(f"| *share of {method}* | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def draw(methods: dict[str, Any]) -> None:
    """Draw the share that is right against the number of labels, evenly spaced, with errors over seeds."""
    shown = ("convnet", "imagenet", "kmeans", "blend", "blend_of_three")
    places = {str(tick): 90 + STEP_PX * k for k, tick in enumerate((*LABELS, ALL))}
    low = min(of["right"] for m in shown for of in methods[m].values()) - 0.05
    title = "Share of the test part that is right, by number of labels"
    parts = [Markup('<text class="title" x="60" y="24">{}</text>').format(title)]
    for tick, x in places.items():
        parts.append(Markup('<text x="{}" y="330" text-anchor="middle">{}</text>').format(x, tick))
    for level in np.arange(np.ceil(low * 20) / 20, 1.001, 0.05):
        y = 310 - 270 * (level - low) / (1.0 - low)
        line = '<path class="grid" d="M60 {0:.1f}H520"/><text x="54" y="{1:.1f}" text-anchor="end">{2:.2f}</text>'
        parts.append(Markup(line).format(y, y + 4, level))
    for number, method in enumerate(shown):
        points = [
            (
                places[tick],
                310 - 270 * (of["right"] - low) / (1.0 - low),
                270 * of["error"] / (1.0 - low),
            )
            for tick, of in methods[method].items()
        ]
        for (x, y, _), (x2, y2, _) in pairwise(points):
            if x2 - x == STEP_PX:  # nothing is drawn across what is not measured
                parts.append(Markup('<path class="m{}" d="M{} {:.1f}L{} {:.1f}"/>').format(number, x, y, x2, y2))
        for x, y, half in points:
            parts.append(Markup('<path class="m{}" d="M{} {:.1f}V{:.1f}"/>').format(number, x, y - half, y + half))
        key = Markup('<path class="m{0}" d="M540 {1}h28"/><text x="574" y="{2}">{3}</text>')
        parts.append(key.format(number, 60 + 24 * number, 64 + 24 * number, method.replace("_", " ")))
    body = Markup("").join(parts)
    FIGURE.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 350" width="720"><style>{STYLE}</style>'
        f'<rect width="720" height="350" fill="#fff"/>{body}</svg>\n',
        encoding="utf-8",
    )


def main() -> None:
    """Compute a stage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "stage", choices=("stamps", "convnet", "imagenet", "kmeans", "learnt", "run", "report", "shared")
    )
    parser.add_argument("--kept", type=Path, default=ROOT / "runs" / "features")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.stage == "stamps":
        cut(options.kept)
        return
    galaxies = Galaxies(options.kept)
    stages = {
        "convnet": convnet,
        "imagenet": imagenet,
        "kmeans": kmeans,
        "learnt": learnt,
        "run": run,
        "report": report,
        "shared": report_shared,
    }
    stages[options.stage](options.kept, galaxies)


if __name__ == "__main__":
    main()
