"""Benchmark: how many labels the most uncertain first saves, with the votes of Galaxy Zoo CEERS as the oracle.

Usage: ``OMP_NUM_THREADS=1 python tests/benchmarks/bench_active.py``. It needs ../shared/data and galmorph[pretrained].

The features of all F200W stamps by EfficientNet-lite0, whose weights were learnt from photographs (no galaxy was seen),
are computed once, and reduced to the first components of the pool's. A head, a multinomial regression, learns the first
question from the labels so far, chooses the next ones, and learns anew. The oracle is one of

- `answer`: each label is the answer that most people gave, as one person gives one on the page;
- `votes`: each label is the fractions of all its some 30 votes.

The pool is the training and validation part of nircam-f200w, whole blocks of the field; scored is its test part: the
share of galaxies whose likeliest answer is that of most people, and the signal explained of the fractions (1 is all
but the votes' own noise, 0 the pool's mean). Orders: ``uncertain``, highest entropy of the head's probabilities
first, and ``random``. Each seed begins with other random labels. What is asked: with how many labels an order reaches
the score that all labels give. The strength of the regression was chosen by the validation part, with the labels of the
training part. Writes docs/benchmarks/active.json and active.svg.
"""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from astropy.table import Table
from markupsafe import Markup
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from galmorph.learning.pipeline import load_training
from galmorph.learning.training import check_settings
from galmorph.learning.viewed import stamps_of_rows
from galmorph.nets.architecture.network import Network
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.pages.figures import Axis, Chart, polyline
from galmorph.pages.look import source
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import read_catalog
from galmorph.sky.images import ImageInput
from galmorph.sky.scheme import load_scheme

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data" / "ceers_f200w"
RESULT, FIGURE = ROOT / "docs/benchmarks/active.json", ROOT / "docs/benchmarks/active.svg"
COMPONENTS, FIRST, STEP, SEEDS = 96, 60, 60, 5
STRENGTHS = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)
STYLE = """
text { font-family: system-ui, sans-serif; } svg svg { overflow: visible; }
.band { fill: currentColor; fill-opacity: .16; stroke: none; } .dashed { stroke-dasharray: 6 4; }
"""
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.intp]


def features(kept: Path) -> FloatArray:
    """Return the features of all stamps by the trunk, (N, F); NaN without an image."""
    if kept.exists():
        return np.asarray(np.load(kept))
    pipeline, scheme = load_training("nircam-lite0"), load_scheme("gz-ceers")
    config, start = check_settings(pipeline)
    assert start is not None
    network = Network(config, pipeline.recipe, scheme)
    network.load_state_dict(dict(start.member(1)), strict=False)
    network.eval()
    envelope, temperatures = Envelope("nircam", ("F200W",)), tuple(1.0 for _ in scheme.questions)
    checkpoint = Checkpoint(
        name="trunk",
        version="0",
        network=network,
        scheme=scheme,
        recipe=pipeline.recipe,
        envelope=envelope,
        temperatures=temperatures,
    )
    catalog = read_catalog(str(DATA / "votes.csv"))
    out = None
    with_images = ImageInput(images=[DATA / "images.zip"], survey="nircam", band="F200W").open()
    gathering = Gathering(catalog, with_images, pipeline.recipe.half_width_rpet)
    for batch in stamps_of_rows(checkpoint, gathering, np.arange(len(catalog)), views="one"):
        with torch.inference_mode():
            values = network.features(torch.from_numpy(batch.stamps[:, 0].copy())).numpy()
        out = np.full((len(catalog), values.shape[1]), np.nan) if out is None else out
        out[batch.rows] = values
    kept.parent.mkdir(parents=True, exist_ok=True)
    np.save(kept, out)
    return np.asarray(out)


def head(x: FloatArray, wanted: FloatArray, strength: float) -> FloatArray:
    """Fit a multinomial regression to fractions, (n, A); the weights of the last column of x are free."""
    prior = np.full((x.shape[1], 1), 1.0 / strength)
    prior[-1] = 1e-3  # free but for the first few labels, which may lack an answer

    def loss(flat: FloatArray) -> tuple[float, FloatArray]:
        weights = flat.reshape(x.shape[1], -1)
        log_p = log_softmax(x @ weights, axis=1)
        slope = x.T @ (np.exp(log_p) * wanted.sum(axis=1, keepdims=True) - wanted) + prior * weights
        return float(0.5 * (prior * weights**2).sum() - (wanted * log_p).sum()), slope.ravel()

    start = np.zeros(x.shape[1] * wanted.shape[1])
    best = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 60}).x
    return np.asarray(best).reshape(x.shape[1], -1)


def scores(p: FloatArray, fractions: FloatArray, people: FloatArray, mean: FloatArray) -> tuple[float, float]:
    """Return the share of likeliest answers that are right, and the signal explained of the fractions."""
    floor2 = float((fractions * (1 - fractions) / people[:, None]).mean())
    rmse2, constant2 = float(((p - fractions) ** 2).mean()), float(((mean - fractions) ** 2).mean())
    right = float((p.argmax(axis=1) == fractions.argmax(axis=1)).mean())
    return right, 1.0 - (rmse2 - floor2) / (constant2 - floor2)


class Field:
    """The pool and the test part: features with a column of ones, fractions, and numbers of people."""

    def __init__(self, kept: Path) -> None:
        table, scheme = Table.read(DATA / "votes.csv"), load_scheme("gz-ceers")
        labels, first = scheme.labels(table), scheme.slices[0]
        x, self.people = features(kept), labels.totals[:, first][:, 0]
        part = np.asarray(load_training("nircam-f200w").split.divide([str(f) for f in table["file"]], table))
        seen = np.isfinite(x).all(axis=1) & (self.people > 0)
        self.fractions = np.nan_to_num(labels.fractions[:, first])
        self.pool, self.test = (np.flatnonzero(seen & mask) for mask in (part != "test", part == "test"))
        self.train, self.held = (np.flatnonzero(seen & (part == p)) for p in ("train", "validation"))
        centred = x - x[self.pool].mean(axis=0)
        _, size, axes = np.linalg.svd(centred[self.pool], full_matrices=False)
        spread = size[:COMPONENTS] / np.sqrt(len(self.pool))
        self.x = np.column_stack([centred @ axes[:COMPONENTS].T / spread, np.ones(len(x))])

    @property
    def constant(self) -> float:
        """The share of the test part that the pool's commonest answer gets right."""
        likeliest = self.fractions.argmax(axis=1)
        return float((likeliest[self.test] == np.bincount(likeliest[self.pool]).argmax()).mean())

    def wanted(self, oracle: str) -> FloatArray:
        """Return what the oracle says of all galaxies, (N, 3)."""
        return np.eye(self.fractions.shape[1])[self.fractions.argmax(axis=1)] if oracle == "answer" else self.fractions

    def score(
        self, rows: IntArray, oracle: str, strength: float, on: IntArray
    ) -> tuple[tuple[float, float], FloatArray]:
        """Learn from some rows; return the scores, and the probabilities of all galaxies."""
        weights = head(self.x[rows], self.wanted(oracle)[rows], strength)
        p = softmax(self.x @ weights, axis=1)
        mean = self.fractions[self.pool].mean(axis=0)
        return scores(p[on], self.fractions[on], self.people[on], mean), p


def course(field: Field, oracle: str, strength: float, order: str, seed: int) -> list[list[float]]:
    """Label step by step; return numbers of labels and scores."""
    rng = np.random.default_rng(seed)
    shuffled = rng.permutation(field.pool)
    rows, left, steps = shuffled[:FIRST], shuffled[FIRST:], []
    while True:
        (right, signal), p = field.score(rows, oracle, strength, field.test)
        steps.append([len(rows), round(right, 4), round(signal, 4)])
        if not len(left):
            return steps
        if order == "uncertain":
            entropy = -(p[left] * np.log(np.maximum(p[left], 1e-12))).sum(axis=1)
            left = left[np.argsort(-entropy, kind="stable")]
        rows, left = np.concatenate([rows, left[:STEP]]), left[STEP:]


def reached(courses: list[list[list[float]]], which: int) -> dict[str, Any]:
    """Say with how many labels the score of all is reached for the first time: on average over seeds, and by each."""
    steps = np.array(courses)  # (seeds, steps, 3)
    numbers, all_of_them = steps[0, :, 0], float(steps[:, -1, which].mean())
    mean = steps[:, :, which].mean(axis=0)
    each = [int(numbers[np.argmax(one[:, which] >= all_of_them)]) for one in steps]
    first = int(numbers[np.argmax(mean >= all_of_them)])
    # For good: it does not fall below again by more than half a hundredth.
    lasting = int(numbers[len(mean) - int(np.argmin(np.append((mean >= all_of_them - 0.005)[::-1], False)))])
    total = int(numbers[-1])
    return {
        "score_of_all_labels": round(all_of_them, 4),
        "labels": first,
        "share_of_labels": round(first / total, 3),
        "by_seed": each,
        "within_half_a_hundredth_for_good": lasting,
    }


def draw(result: dict[str, Any]) -> None:
    """Draw the mean score and the band of the seeds against the number of labels."""
    titles = {"answer": "likeliest answer right (one answer a label)", "votes": "signal explained (all votes a label)"}
    panels = [
        panel(result[oracle]["courses"], which, titles[oracle]) for oracle, which in (("answer", 1), ("votes", 2))
    ]
    colours = dict(re.findall(r"(--[\w-]+):\s*([^;]+);", source("palette.css").partition("@media")[0]))
    style = re.sub(r"var\((--[\w-]+)\)", lambda name: colours[name[1]], source("figures.css")) + STYLE
    placed = Markup('<svg x="{}" width="440" height="300">{}</svg>')
    shifted = Markup("").join(placed.format(470 * k, each) for k, each in enumerate(panels))
    FIGURE.write_text(
        '<svg xmlns="http://www.w3.org/2000/svg" class="figure" viewBox="0 0 920 300" width="920">'
        f"<style>{style}</style>"
        f'<rect class="paper" width="920" height="300"/>{shifted}</svg>\n',
        encoding="utf-8",
    )


def panel(courses: dict[str, Any], which: int, title: str) -> Markup:
    """Draw one score."""
    every = np.array([courses["random"], courses["uncertain"]])  # (2, seeds, steps, 3)
    n, values = every[0, 0, :, 0], every[..., which]
    low, high = float(np.quantile(values[:, :, 1:], 0.01)), float(values.max())
    chart = Chart(Axis("labels", 0.0, float(n[-1])), Axis(title, low - 0.01, high + 0.01), 440, 300)
    drawn = []
    for number, (colour, style) in enumerate((("c1", " dashed"), ("c0", ""))):
        mean, ends = values[number].mean(axis=0), (values[number].min(axis=0), values[number].max(axis=0))
        outline = polyline(chart, np.append(n, n[::-1]), np.append(ends[0], ends[1][::-1]), f"band {colour}")
        drawn += [outline, polyline(chart, n, mean, f"curve {colour}{style}")]
        words = ("- - random order", "— uncertain first")[number]
        text = Markup('<text class="{}" x="{}" y="{}" text-anchor="end" style="fill:currentColor">{}</text>')
        drawn.append(text.format(colour, chart.x(0.98), chart.y(0.05 + 0.07 * number), words))
    level = np.full(2, values[:, :, -1].mean())
    drawn.append(polyline(chart, np.array([0.0, n[-1]]), level, "curve dotted cnone"))
    return chart.svg(f"{title} against labels, mean and range of {SEEDS} seeds", Markup("").join(drawn))


def main() -> None:
    """Compute, write and draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--features", type=Path, default=ROOT / "runs" / "active" / "features.npy")
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    field = Field(options.features)
    result: dict[str, Any] = {
        "pool": len(field.pool),
        "test": len(field.test),
        "first_labels": FIRST,
        "labels_a_step": STEP,
        "components": COMPONENTS,
    }
    for which, oracle in enumerate(("answer", "votes")):  # each is tuned for the score that is its own
        tried = {s: field.score(field.train, oracle, s, field.held)[0][which] for s in STRENGTHS}
        strength = max(tried, key=lambda s: tried[s])
        courses = {
            order: [course(field, oracle, strength, order, seed) for seed in range(1, SEEDS + 1)]
            for order in ("random", "uncertain")
        }
        result[oracle] = {
            "strength": strength,
            "constant_right": round(field.constant, 4),
            **{
                measure: {order: reached(each, column) for order, each in courses.items()}
                for column, measure in enumerate(("likeliest_answer_right", "signal_explained"), 1)
            },
            "courses": courses,
        }
        print(oracle, json.dumps({k: v for k, v in result[oracle].items() if k != "courses"}, indent=1))
    result["cpu_s"] = round(time.process_time() - start)
    RESULT.write_text(json.dumps(result) + "\n")
    draw(result)


if __name__ == "__main__":
    main()
