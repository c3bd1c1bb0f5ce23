"""Benchmark: how often the intervals of ``galmorph count`` hold the truth: of galaxies by lot, simulated, and real.

Usage: ``python tests/benchmarks/bench_count.py`` (all parts), or with the names of parts: ``drawn``, ``fields``,
``real``. Each part is entered into docs/benchmarks/count.json.

- *drawn*: classes whose likelihoods are known (Gaussians), a calibration and a confusion from 300 galaxies each, drawn
  anew for each of many catalogues, whose shares of classes are those of the calibration or others.
- *fields*: ``galmorph simulate`` renders four fields of CANDELS, which `candels-h` classifies. What it says of three of
  them is counted as it is and in planted mixes: with the card that ships; and calibrated on another of the fields,
  whose truth is known, with the confusion and the shares of that field in the card's place.
- *real*: labelled galaxies that were kept from the training of checkpoints that ship. Those of the test part are
  counted as they are, with the card as it was before it had their scores. For other mixes they and those of the
  validation part are divided by lot: the card has the confusion of one half, and galaxies of the other half are
  counted. Needs ../shared/data.

Other mixes are made in two ways, each class k having a factor f_k between 1/3 and 3 by lot. *By votes*: a galaxy has
the weight sum_k f_k y_k for its shares of votes y, as if each vote were a galaxy that is drawn: what is said of
galaxies of a class is then the same in each mix. *By leading answers*: it has the factor of the answer with most votes.
For galaxies of one class each both are the same.
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
from astropy.table import Table, vstack
from scipy.optimize import minimize

import galmorph
from galmorph.flags import RECOMMENDED_CUT
from galmorph.learning.scoring import labelled_table
from galmorph.nets.adjusted_counts import AdjustedCounts
from galmorph.nets.checkpoint.calibrate import calibrated, fit_calibration
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.nets.checkpoint.track_record import TrackRecord
from galmorph.nets.label_shift import likely_shares
from galmorph.nets.soft_confusion import SoftConfusion
from galmorph.pages.estimates import METHODS, Asked, Judge, ShareEstimate, estimates
from galmorph.sky.scheme import Labels, Scheme, load_scheme

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
RESULT = ROOT / "docs" / "benchmarks" / "count.json"
FloatArray = npt.NDArray[np.float64]

CALIBRATED_ON = 300
FIELD_ROWS = 500
FIELDS = (11, 12, 13, 14)
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
    confusion = SoftConfusion.of(chances(seen, fitted), np.eye(len(LEARNT))[classes])
    p = chances(galaxies(planted, size)[0], fitted)
    every = np.ones(size)
    asked = Asked(p, every, every, p.argmax(axis=1))
    judge = Judge.of(asked, learnt, CALIBRATED_ON, rmse, confusion, 400, rng)
    return dict(estimates(asked, judge, rng))


def estimate_in(table: Table, method: str) -> ShareEstimate:
    """Return the estimates of one method in the rows of a table of ``galmorph count``."""
    ends = ("", "_low", "_high", "_low95", "_high95", "_err", "_err_galaxies", "_err_classifier")
    return ShareEstimate(*(np.asarray(table[f"{method}{end}"], np.float64) for end in ends))


Mix = tuple[FloatArray, npt.NDArray[np.intp]]


def mix(labels: FloatArray, kind: str, seed: int) -> Mix:
    """Return weights of labelled galaxies, (N,), in a population of another mix, and rows of it by lot."""
    rng = np.random.default_rng(seed)
    factors = np.exp(rng.uniform(-np.log(3.0), np.log(3.0), labels.shape[1]))
    factor = labels @ factors if kind == BY_VOTES else factors[labels.argmax(axis=1)]
    weight = factor / factor.sum()
    return weight, rng.choice(len(labels), len(labels), p=weight)


class Galaxies:
    """Labelled galaxies, as a checkpoint sees them, by the first question that it answers."""

    def __init__(self, result: Table, shares: FloatArray, scheme: Scheme) -> None:
        first = scheme.slices[0]
        self.result, self.scheme, self.shares = result, scheme, shares
        self.labels = np.nan_to_num(shares[:, first])
        names = scheme.column_names()[first]
        self.said = np.stack([np.asarray(result[name], np.float64) for name in names], axis=1)

    def of(self, rows: npt.NDArray[np.intp]) -> Galaxies:
        """Return some of them."""
        return Galaxies(self.result[rows], self.shares[rows], self.scheme)

    def truth(self, method: str) -> FloatArray:
        """Return what an estimate is of: shares of votes, or of leading answers."""
        return np.eye(self.labels.shape[1])[self.labels.argmax(axis=1)] if method == "raw" else self.labels

    def counted(self, checkpoint: Path, draws: int) -> Table:
        """Count them by ``galmorph count``."""
        question = self.scheme.questions[0].name
        return galmorph.count(self.result, checkpoint=checkpoint, question=question, cut="none", draws=draws).table

    def scatter(self, method: str, weight: FloatArray, record: TrackRecord, rng: np.random.Generator) -> FloatArray:
        """Return by how much so few galaxies, weighted, are off their population by chance, (K,).

        The truth is that of the galaxies themselves, a sample of a population, about which their probabilities scatter.
        """
        if method != "pacc":
            said = np.eye(self.said.shape[1])[self.said.argmax(axis=1)] if method == "raw" else self.said
            return np.asarray(np.sqrt(weight**2 @ (self.truth(method) - said) ** 2))
        weights = rng.exponential(size=(40, len(weight))) * weight
        weights /= weights.sum(axis=1, keepdims=True)
        confusion = (record.confusion or {})[self.scheme.questions[0].name]
        apart = self.said - weight @ self.said
        precision = np.linalg.inv((apart.T * weight**2) @ apart + 1e-6 * np.eye(apart.shape[1]))
        matrix = np.broadcast_to(confusion.matrix, (len(weights), *confusion.matrix.shape))
        zeros = np.zeros((len(weights), apart.shape[1]))
        shares = AdjustedCounts(weights @ self.said, precision, matrix, confusion.shares, zeros).shares()
        return np.asarray((shares - weights @ self.labels).std(axis=0))


BY_VOTES, BY_LEADING = "by votes", "by leading answers"


class Mixes:
    """How well other mixes are counted, by how they were made."""

    def __init__(self) -> None:
        self.tallies = {kind: Tally() for kind in (BY_VOTES, BY_LEADING)}
        self.em: dict[str, list[FloatArray]] = {kind: [] for kind in self.tallies}

    def add(self, galaxies: Galaxies, checkpoint: Path, seed: int) -> None:
        """Count a mix of either kind."""
        record = TrackRecord.of(checkpoint, galaxies.scheme)
        source = record.shares(galaxies.scheme.keys[galaxies.scheme.slices[0]])
        for kind, tally in self.tallies.items():
            weight, rows = mix(galaxies.labels, kind, seed)
            some = galaxies.of(rows)
            counted = some.counted(checkpoint, 200)
            for method in METHODS:
                error = galaxies.scatter(method, weight, record, np.random.default_rng(seed))
                tally.add(method, weight @ galaxies.truth(method), estimate_in(counted, method), error)
            if source is not None:
                shares = likely_shares(some.said, np.ones((1, len(rows))), 1.0 / np.maximum(source, 1e-3)[None])[0]
                self.em[kind].append(shares - weight @ galaxies.labels)

    def summary(self) -> dict[str, Any]:
        """Return coverage and error of each estimate, and how far EM, which is none of them, was off."""
        return {
            kind: {**tally.summary(), "em": {"rms_deviation": round(float(np.sqrt(np.square(off).mean())), 4)}}
            for (kind, tally), off in zip(self.tallies.items(), self.em.values(), strict=True)
        }


def as_they_are(galaxies: Galaxies, checkpoint: Path) -> dict[str, Any]:
    """Compare the shares of labelled galaxies with what their labels say."""
    whole = galaxies.counted(checkpoint, 400)
    shown = {}
    for method in METHODS:
        if np.isfinite(whole[method]).all():
            of = {"truth": galaxies.truth(method).mean(axis=0), "share": whole[method], "err": whole[f"{method}_err"]}
            shown[method] = {key: np.asarray(values).round(4).tolist() for key, values in of.items()}
    return shown


def scored(galaxies: Galaxies, checkpoint: Path, many: Iterator[tuple[Galaxies, Path]]) -> dict[str, Any]:
    """Count galaxies as they are, and others, with a card each, in other mixes."""
    mixes, times = Mixes(), 0
    keys = galaxies.scheme.keys[galaxies.scheme.slices[0]]
    out = {
        "galaxies": len(galaxies.labels),
        "answers": [key.rpartition("__")[2] for key in keys],
        "as they are": as_they_are(galaxies, checkpoint),
    }
    for times, (some, path) in enumerate(many, 1):
        mixes.add(some, path, times)
    return {**out, "other mixes": {"times": times, **mixes.summary()}}


def simulated_field(seed: int, scheme: Scheme) -> Galaxies:
    """Render a field, classify it, and leave out rows with flags."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "field"
        place.mkdir()
        galmorph.simulate("candels", "H", rows=FIELD_ROWS, seed=seed).write(place)
        result = galmorph.classify(
            place / "catalog.fits", place / "image.fits", weight=place / "weight.fits", survey="candels", band="H"
        )
        truth = scheme.labels(Table.read(place / "truth.fits")).fractions
    kept = (np.asarray(result["gm_flags"]) & int(RECOMMENDED_CUT)) == 0
    return Galaxies(result[kept], truth[kept], scheme)


def recalibrated(on: Galaxies, of: Galaxies) -> tuple[Galaxies, Galaxies]:
    """Calibrate on a field with known truth; return it and another one as they are seen then."""
    fit = fit_calibration(on.scheme, on.said, Labels(on.shares, np.ones_like(on.shares)), "dirichlet")
    anew = []
    for field in (on, of):
        result, said = field.result.copy(), calibrated(field.said, field.scheme, fit.temperatures, fit.maps)
        for i, name in enumerate(field.scheme.column_names()):
            result[name] = said[:, i]
        anew.append(Galaxies(result, field.shares, field.scheme))
    return anew[0], anew[1]


def fields(times: int) -> dict[str, Any]:
    """Simulated fields, counted by the checkpoint as it ships and calibrated on another simulated field."""
    scheme = load_scheme("candels-shares")
    each = [simulated_field(seed, scheme) for seed in FIELDS]
    pairs = [recalibrated(each[i], each[j]) for i in range(len(each)) for j in range(len(each)) if i != j]
    parts: dict[str, Any] = {"rows_of_each_field": FIELD_ROWS, "fields": len(FIELDS)}
    with tempfile.TemporaryDirectory() as folder:
        path = without_test("candels-h", Path(folder))
        as_it_ships = ((each[1 + i % (len(each) - 1)], path) for i in range(times))
        parts["as it ships"] = scored(each[1], path, as_it_ships)

        def calibrated_on_another() -> Iterator[tuple[Galaxies, Path]]:
            for i in range(times):
                on, of = pairs[i % len(pairs)]
                yield of, with_card(path, on)

        on, of = pairs[0]
        parts["calibrated on another field"] = scored(of, with_card(path, on), calibrated_on_another())
    return parts


def with_card(path: Path, galaxies: Galaxies) -> Path:
    """Let a card tell of some galaxies in place of the checkpoint's own."""
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    first = galaxies.scheme.keys[galaxies.scheme.slices[0]]
    rmse = float(np.sqrt(((galaxies.labels - galaxies.said) ** 2).mean()))
    card["training_means"] |= dict(zip(first, galaxies.labels.mean(axis=0).tolist(), strict=True))
    name = galaxies.scheme.questions[0].name
    confusion = SoftConfusion.of(galaxies.said, galaxies.labels / galaxies.labels.sum(axis=1, keepdims=True))
    card["validation"] = {
        "questions": {name: {"rows": len(galaxies.labels), "rmse": rmse}},
        "soft_confusion": {name: confusion.to_dict()},
    }
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    return path


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
    for name in REAL:
        held, tested = (labelled(name, split) for split in ("validation", "test"))
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "halves").mkdir()
            halves = in_halves(held, tested, without_test(name, Path(folder) / "halves"), times)
            parts[name] = scored(tested, without_test(name, Path(folder)), halves)
    return parts


def labelled(name: str, split: str) -> Galaxies:
    """Classify the galaxies of a part of the labels."""
    labels, images = REAL[name]
    checkpoint = galmorph.load_checkpoint(name)
    catalog = galmorph.read_catalog(labels)
    survey, band = checkpoint.envelope.survey, checkpoint.envelope.band
    with closing(galmorph.open_images(images, survey=survey, band=band)) as source:
        table = labelled_table(checkpoint, catalog, source, split)
        rows = table.rows(split)
        result = galmorph.classify(catalog.table[rows], source, checkpoint=checkpoint)
    scheme = checkpoint.scheme
    shares = table.labels.take(rows).fractions
    answered = np.isfinite(np.asarray(result[scheme.column_names()[0]], np.float64))
    answered &= np.isfinite(shares[:, scheme.slices[0]]).all(axis=1)
    return Galaxies(result[answered], shares[answered], scheme)


def in_halves(held: Galaxies, tested: Galaxies, path: Path, times: int) -> Iterator[tuple[Galaxies, Path]]:
    """Divide all by lot: the card has what is said of one half, the other one is counted."""
    result = vstack([held.result, tested.result], metadata_conflicts="silent")
    whole = Galaxies(result, np.concatenate([held.shares, tested.shares]), held.scheme)
    for seed in range(times):
        order = np.random.default_rng(seed).permutation(len(whole.labels))
        ours, others = np.array_split(order, 2)
        yield whole.of(ours), with_card(path, whole.of(others))


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
