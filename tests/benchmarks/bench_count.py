"""Benchmark: how often the intervals of ``galmorph count`` hold the truth: of galaxies by lot, simulated, and real.

Usage: ``python tests/benchmarks/bench_count.py`` (all parts), or with the names of parts: ``drawn``, ``fields``,
``real``. Each part is entered into docs/benchmarks/count.json.

- *drawn*: classes whose likelihoods are known (Gaussians), a calibration and a confusion matrix from 300 galaxies
  each, drawn anew for each of many catalogues, whose shares of classes are those of the calibration or others.
- *fields*: ``galmorph simulate`` renders two fields of CANDELS, which `candels-h` classifies. What it says of the
  second is counted as it is and in planted mixes: with the card that ships; and calibrated on the first field, whose
  truth is known, with the confusion and the shares of that field in the card's place.
- *real*: the labelled galaxies of the parts that were kept for tests, of checkpoints that ship, counted as they are,
  and taken by lot so that shares of classes are others. The cards are read without the scores of the test part. Needs
  ../shared/data.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table
from scipy.optimize import minimize

import galmorph
from galmorph.flags import RECOMMENDED_CUT
from galmorph.learning.scoring import labelled_table
from galmorph.nets.checkpoint.calibrate import calibrated, fit_calibration
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.pages.estimates import METHODS, Asked, Judge, ShareEstimate, estimates
from galmorph.sky.scheme import Labels, Scheme, load_scheme

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
RESULT = ROOT / "docs" / "benchmarks" / "count.json"
FloatArray = npt.NDArray[np.float64]

CALIBRATED_ON = 300
FIELD_ROWS = 500
SEPARATION = 1.5
LEARNT = np.array([0.5, 0.3, 0.2])
PLANTED = {"the same shares": LEARNT, "others": np.array([0.2, 0.3, 0.5])}
REAL = {
    "sdss-rgb": (DATA / "sdss_gz2" / "labels.csv", DATA / "sdss_gz2" / "images.zip"),
    "sdss-gz1": (DATA / "sdss_gz1" / "labels.csv", DATA / "sdss_gz1" / "images.zip"),
    "candels-h": (DATA / "candels_h_stamps" / "catalog.csv", str(DATA / "candels_h_stamps" / "*.fits.gz")),
    "nircam-f200w": (DATA / "ceers_f200w" / "votes.csv", DATA / "ceers_f200w" / "images.zip"),
}


class Tally:
    """How often intervals held the truth, and how far estimates were off."""

    def __init__(self) -> None:
        self.rows: dict[str, list[list[FloatArray]]] = {method: [] for method in METHODS}

    def add(self, method: str, truth: FloatArray, estimate: ShareEstimate, error: FloatArray | float = 0.0) -> None:
        """Note one estimate of the shares of several classes, with the error of the truth itself."""
        apart = truth - estimate.share
        within = [
            np.abs(apart) <= np.hypot(sigmas * error, np.where(apart > 0, high, low))
            for sigmas, low, high in (
                (1.0, estimate.share - estimate.low, estimate.high - estimate.share),
                (1.96, estimate.share - estimate.low95, estimate.high95 - estimate.share),
            )
        ]
        self.rows[method].append([within[0] * 1.0, within[1] * 1.0, -apart, np.hypot(estimate.err, error)])

    def summary(self) -> dict[str, Any]:
        """Return coverage and error of each method, over all classes and of each."""
        return {method: _summed(np.array(rows)) for method, rows in self.rows.items() if rows}


def _summed(rows: npt.NDArray[np.float64]) -> dict[str, Any]:
    """Sum up (catalogues, 4, classes): coverages, deviations, errors that were stated."""
    known = np.isfinite(rows[:, 3]).all(axis=0)
    rows = rows[:, :, known]
    if not known.any():
        return {}
    return {
        "coverage68": round(float(rows[:, 0].mean()), 3),
        "coverage95": round(float(rows[:, 1].mean()), 3),
        "rms_deviation": round(float(np.sqrt((rows[:, 2] ** 2).mean())), 4),
        "rms_error_stated": round(float(np.sqrt((rows[:, 3] ** 2).mean())), 4),
        "by_class": {
            "coverage68": rows[:, 0].mean(axis=0).round(3).tolist(),
            "coverage95": rows[:, 1].mean(axis=0).round(3).tolist(),
            "mean_deviation": rows[:, 2].mean(axis=0).round(4).tolist(),
        },
    }


def drawn(catalogues: int) -> dict[str, Any]:
    """Catalogues whose classes are known, of 100, 400 and 1 600 galaxies."""
    parts: dict[str, Any] = {"catalogues": catalogues, "calibrated_on": CALIBRATED_ON}
    for title, planted in PLANTED.items():
        for size in (100, 400, 1600):
            tally = Tally()
            for seed in range(catalogues):
                for method, estimate in counted_by_lot(planted, size, seed).items():
                    tally.add(method, planted, estimate)
            parts[f"{title}, {size} galaxies"] = tally.summary()
    return parts


def counted_by_lot(planted: FloatArray, size: int, seed: int) -> dict[str, ShareEstimate]:
    """Draw a classifier that is calibrated on a few galaxies, and a catalogue; count the latter."""
    rng = np.random.default_rng(seed)
    middles = SEPARATION * np.eye(len(planted))

    def galaxies(shares: FloatArray, n: int) -> tuple[FloatArray, npt.NDArray[np.intp]]:
        classes = rng.choice(len(shares), n, p=shares)
        return middles[classes] + rng.normal(size=(n, len(shares))), classes

    def chances(seen: FloatArray, intercepts: FloatArray) -> FloatArray:
        scores = seen @ middles.T - 0.5 * (middles**2).sum(axis=1) + np.append(intercepts, 0.0)
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        return np.asarray(odds / odds.sum(axis=1, keepdims=True))

    seen, classes = galaxies(LEARNT, CALIBRATED_ON)
    rows = np.arange(CALIBRATED_ON)
    start = np.log(LEARNT[:-1] / LEARNT[-1])
    fitted = minimize(lambda b: -np.log(chances(seen, b)[rows, classes]).mean(), start).x
    rmse = float(np.sqrt(((np.eye(len(LEARNT))[classes] - chances(seen, fitted)) ** 2).mean()))
    learnt = np.bincount(classes, minlength=len(LEARNT)) / CALIBRATED_ON
    seen, classes = galaxies(LEARNT, CALIBRATED_ON)
    confusion = np.zeros((len(LEARNT), len(LEARNT)), np.int64)
    np.add.at(confusion, (classes, chances(seen, fitted).argmax(axis=1)), 1)
    p = chances(galaxies(planted, size)[0], fitted)
    every = np.ones(size)
    asked = Asked(p, every, every, every, p.argmax(axis=1))
    judge = Judge.of(asked, learnt, CALIBRATED_ON, rmse, confusion, 400, rng)
    return dict(estimates(asked, judge, rng))


def estimate_in(table: Table, method: str) -> ShareEstimate:
    """Return the estimates of one method in the rows of a table of ``galmorph count``."""
    ends = ("", "_low", "_high", "_low95", "_high95", "_err", "_err_galaxies", "_err_classifier")
    return ShareEstimate(*(np.asarray(table[f"{method}{end}"], np.float64) for end in ends))


def mixes(leading: npt.NDArray[np.intp], classes: int, times: int) -> Iterator[tuple[FloatArray, Any]]:
    """Yield populations whose shares of classes are others, each class by a factor from 1/3 to 3, and rows by lot."""
    for seed in range(times):
        rng = np.random.default_rng(seed)
        factor = np.exp(rng.uniform(-np.log(3.0), np.log(3.0), classes))[leading]
        weight = factor / factor.sum()
        yield weight, rng.choice(len(leading), len(leading), p=weight)


def scored(result: Table, shares: FloatArray, scheme: Scheme, checkpoint: Path, times: int) -> dict[str, Any]:
    """Count labelled rows as they are and in other mixes, and compare with what the labels say.

    Shares of votes are what `prob` and `em` are of, shares of galaxies by their leading answer those of `raw` and
    `bbse`; the population is the labelled galaxies themselves, from which catalogues are drawn. What few galaxies
    happen to be called is itself a matter of chance: by so much labels scatter about probabilities that the mean of
    all is off by an error, which is added to the interval in squares.
    """
    first = scheme.slices[0]
    labels = np.nan_to_num(shares[:, first])
    leading = labels.argmax(axis=1)
    names = [key.rpartition("__")[2] for key in scheme.keys[first]]
    truth = {m: labels if m in ("prob", "em") else np.eye(len(names))[leading] for m in METHODS}
    whole = galmorph.count(result, checkpoint=checkpoint, question=scheme.questions[0].name, cut="none").table
    out: dict[str, Any] = {"galaxies": len(result), "answers": names}
    out["as they are"] = {
        m: {
            "truth": truth[m].mean(axis=0).round(4).tolist(),
            **{key: np.asarray(whole[f"{m}{end}"]).round(4).tolist() for key, end in (("share", ""), ("err", "_err"))},
        }
        for m in METHODS
        if np.isfinite(whole[m]).all()
    }
    tally = Tally()
    said = np.stack([np.asarray(result[name], np.float64) for name in scheme.column_names()[first]], axis=1)
    for weight, rows in mixes(leading, len(names), times):
        counted = galmorph.count(
            result[rows], checkpoint=checkpoint, question=scheme.questions[0].name, cut="none", draws=200
        ).table
        for method in METHODS:
            error = np.sqrt(weight**2 @ (truth[method] - said) ** 2)
            tally.add(method, weight @ truth[method], estimate_in(counted, method), error)
    out["other mixes"] = {"times": times, **tally.summary()}
    return out


def fields(times: int) -> dict[str, Any]:
    """Simulated fields, counted by the checkpoint as it ships and calibrated on another simulated field."""
    scheme = load_scheme("candels-shares")
    names = scheme.column_names()
    results, truths = [], []
    for seed in (11, 12):
        with tempfile.TemporaryDirectory() as folder:
            field = galmorph.simulate("candels", "H", rows=FIELD_ROWS, seed=seed)
            place = Path(folder) / "field"
            place.mkdir()
            field.write(place)
            result = galmorph.classify(
                place / "catalog.fits", place / "image.fits", weight=place / "weight.fits", survey="candels", band="H"
            )
            truth = scheme.labels(Table.read(place / "truth.fits")).fractions
        kept = (np.asarray(result["gm_flags"]) & int(RECOMMENDED_CUT)) == 0
        results.append(result[kept])
        truths.append(truth[kept])
    said = [np.stack([np.asarray(each[name], np.float64) for name in names], axis=1) for each in results]
    parts: dict[str, Any] = {"rows_of_each_field": FIELD_ROWS}
    with tempfile.TemporaryDirectory() as folder:
        path = without_test("candels-h", Path(folder))
        parts["as it ships"] = scored(results[1], truths[1], scheme, path, times)
        fit = fit_calibration(scheme, said[0], Labels(truths[0], np.ones_like(truths[0])), "dirichlet")
        first, second = (calibrated(each, scheme, fit.temperatures, fit.maps) for each in said)
        anew = results[1].copy()
        for i, name in enumerate(names):
            anew[name] = second[:, i]
        write_card(path, first, truths[0], scheme)
        parts["calibrated on another field"] = scored(anew, truths[1], scheme, path, times)
    return parts


def write_card(path: Path, said: FloatArray, truth: FloatArray, scheme: Scheme) -> None:
    """Let a card tell of a field with known truth in place of the checkpoint's own galaxies."""
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    confusion = np.zeros((len(scheme.keys), len(scheme.keys)), np.int64)
    np.add.at(confusion, (truth.argmax(axis=1), said.argmax(axis=1)), 1)
    rmse = float(np.sqrt(((truth - said) ** 2).mean()))
    card["training_means"] = dict(zip(scheme.keys, truth.mean(axis=0).tolist(), strict=True))
    card["validation"] = {
        "questions": {scheme.questions[0].name: {"rows": len(said), "rmse": rmse}},
        "classes": list(scheme.keys),
        "confusion": confusion.tolist(),
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")


def without_test(name: str, folder: Path) -> Path:
    """Copy a checkpoint, and its card without the scores of the test part."""
    path = find_checkpoint(name)
    shutil.copy(path, folder / path.name)
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    kept = {key: value for key, value in card.items() if key != "test"}
    (folder / f"{path.stem}.json").write_text(json.dumps(kept), encoding="utf-8")
    return folder / path.name


def real(times: int) -> dict[str, Any]:
    """Galaxies that people labelled, kept from all training."""
    parts = {}
    for name, (labels, images) in REAL.items():
        checkpoint = galmorph.load_checkpoint(name)
        catalog = galmorph.read_catalog(labels)
        survey, band = checkpoint.envelope.survey, checkpoint.envelope.band
        with closing(galmorph.open_images(images, survey=survey, band=band)) as source:
            table = labelled_table(checkpoint, catalog, source, "test")
            rows = table.rows("test")
            result = galmorph.classify(catalog.table[rows], source, checkpoint=checkpoint)
        answered = np.isfinite(np.asarray(result[checkpoint.scheme.column_names()[0]], np.float64))
        shares = table.labels.take(rows).fractions
        with tempfile.TemporaryDirectory() as folder:
            path = without_test(name, Path(folder))
            parts[name] = scored(result[answered], shares[answered], checkpoint.scheme, path, times)
    return parts


def main() -> None:
    """Carry out the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["drawn", "fields", "real"])
    parser.add_argument("--catalogues", type=int, default=60)
    parser.add_argument("--times", type=int, default=30)
    options = parser.parse_args()
    carried_out = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.exists() else {}
    for part in options.parts:
        if part == "drawn":
            carried_out[part] = drawn(options.catalogues)
        elif part == "fields":
            carried_out[part] = fields(options.times)
        elif part == "real":
            carried_out[part] = real(options.times)
        RESULT.write_text(json.dumps(carried_out, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(carried_out, indent=1))


if __name__ == "__main__":
    main()
