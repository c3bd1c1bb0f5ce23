"""Benchmark: shares of CANDELS classifiers by five folds of sky cells, beside simpler predictors and people themselves.

Usage: ``python tests/benchmarks/bench_shares.py fold K`` for K from 0 to 4, which may run side by side, then
``python tests/benchmarks/bench_shares.py report``. Before that ``plain K`` trains the plain recipe of a fold alone,
``masked`` looks at stamps whose painted pixels are missing; ``counts`` learns from counts of votes in place of shares,
and puts what that gives into the report itself.
A fold trains what the pipelines say on its own training cells, the network of stamps and those of what is measured,
joins and calibrates them by the product's own functions, and classifies its test cells from their FITS files as
``galmorph classify`` does; so that each galaxy is predicted once, by networks that never saw its cell. With it go

- the constant answer: the mean of the training cells;
- classes by the rule of `candels-shares` and by that of Huertas-Company et al. (2015), with the purity and completeness
  of each against the largest share (where two tie, either counts);
- the mean of the forest and the network of stamps (with ``--alone``);
- with ``--alone`` the network of stamps alone;
- a random forest (scikit-learn) on what ``galmorph measure`` says: sizes, shape, concentration, asymmetry, S/N;
- the plain recipe: EfficientNet-lite0 from ImageNet on 64 native pixels about the catalogue's position, enlarged to
  ``--plain-size``, arcsinh, flips and quarter turns, ``--plain-epochs`` epochs; none of our measuring. It is compared
  on the folds that have it.

Needs ../shared/data/candels_h_stamps. ``--out`` holds the runs, which go on where they were stopped; the report is
docs/benchmarks/shares.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from astropy.io import fits
from astropy.table import Table
from torch.nn import functional as F  # noqa: N812 - torch's own convention

import galmorph
from galmorph.flags import Flag
from galmorph.learning.pipeline import TrainPipeline, load_pipeline
from galmorph.nets.architecture.network import Network, channels_last, load_network, planes_last
from galmorph.nets.evaluate import expected_calibration_error
from galmorph.nets.training.start import load_start
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
STAMPS = ROOT.parent / "shared" / "data" / "candels_h_stamps"
RESULT = ROOT / "docs" / "benchmarks" / "shares.json"
SCHEME = load_scheme("candels-shares")
FOLDS = 5
VALIDATION = 0.14
MEASURED = ("rpet", "r20", "r50", "r80", "conc", "asym", "ell", "snr")
BOOTSTRAPS = 2000
PAINTED = 1  # in the masks of the stamps
PEOPLE = {"deep": 5, "elsewhere": 3}
# Of the forest in its mean with ours: the best on the validation cells of fold 0, when ours were stamps alone.
FOREST_SHARE = 0.3
# Of stamps and of what is measured: on the validation cells of all folds, .3 to .5 of the latter do about as well.
SHARES = (0.6, 0.4)
# People about people (see the scheme's file): RMSE of one panel, and how often two name the same class.
HUMAN = {"rmse": 0.155, "same_class": 0.70}
FloatArray = npt.NDArray[np.float64]
# Rules beside the likeliest answer, each with the scheme that has it, and classes that stand for two answers.
RULES = {"leading-share": "candels-shares", "huertas-company-2015": "candels-visual"}
TWOFOLD = {"irregular_disk": ("irregular", "disk"), "disk_spheroid": ("disk", "spheroid")}


def labelled() -> Table:
    """Galaxies with shares, in the order of the table."""
    table = Table.read(STAMPS / "catalog.csv")
    return table[~np.ma.getmaskarray(table["spheroid"])]


def shares_of(table: Table) -> FloatArray:
    """Labels, (N, 5)."""
    return np.stack([np.asarray(table[k], np.float64) for k in SCHEME.keys], axis=1)


def fold_pipeline(name: str, fold: int) -> TrainPipeline:
    """The pipeline with the cells of one fold for its test."""
    after = (fold + 1) % FOLDS / FOLDS
    split = {"test": [fold / FOLDS, (fold + 1) / FOLDS], "validation": [after, after + VALIDATION]}
    pipeline = load_pipeline(name, {"split": split})
    assert isinstance(pipeline, TrainPipeline)
    return pipeline


def run_fold(options: argparse.Namespace) -> None:
    """Train and predict one fold by all predictors; what was done before is kept."""
    fold, out = options.fold, options.out
    table = labelled()[: options.rows]
    pipeline = fold_pipeline(options.pipeline, fold)
    parts = pipeline.split.divide([str(i) for i in table["id"]], table)
    test, files = np.flatnonzero(parts == "test"), [str(STAMPS / str(name)) for name in table["image"]]
    truth = shares_of(table)
    found = {"rows": test, "constant": np.repeat(truth[parts == "train"].mean(axis=0)[None], len(test), axis=0)}
    folder = out / f"fold-{fold}"
    alone = trained(table, files, pipeline, folder, options)
    company = trained(table, files, fold_pipeline(options.measured, fold), out / f"measured-{fold}", options)
    answers = classified(table[test], joined(alone, company, table, files, folder), files, options)
    found["ours"] = predicted(answers)
    if options.alone:
        found["alone"] = predicted(classified(table[test], alone, files, options))
    found["sets"] = np.asarray(answers["gm_set"]).astype(str)
    found["flags"] = np.asarray(answers["gm_flags"])
    if options.forest:
        found["forest"] = forest(measured(table, files, out / "measured.fits"), parts, truth)
    if options.plain_epochs:
        kept_plain(files, parts, truth, options)
    np.savez(out / f"fold-{fold}.npz", **found)


def run_plain(options: argparse.Namespace) -> None:
    """Train and predict one fold by the plain recipe alone."""
    table = labelled()[: options.rows]
    parts = fold_pipeline(options.pipeline, options.fold).split.divide([str(i) for i in table["id"]], table)
    kept_plain([str(STAMPS / str(name)) for name in table["image"]], parts, shares_of(table), options)


def run_masked(options: argparse.Namespace) -> None:
    """Predict all folds again on stamps whose painted pixels are missing (NaN): by the same networks, and the forest.

    Painted are pixels that a figure's ellipses hid; without this they have the values that were painted over them.
    """
    table = labelled()
    files = [masked_stamp(str(name), options.out / "masked") for name in table["image"]]
    of_all = measured(table, files, options.out / "measured-masked.fits")
    for fold in range(FOLDS):
        if not (checkpoint := options.out / f"fold-{fold}" / "joined.safetensors").exists():
            continue
        parts = fold_pipeline(options.pipeline, fold).split.divide([str(i) for i in table["id"]], table)
        said = predicted(classified(table[parts == "test"], checkpoint, files, options))
        guesses = {"ours": said, "forest": forest(of_all, parts, shares_of(table))}
        np.savez(options.out / f"masked-{fold}.npz", **guesses)


def run_counts(options: argparse.Namespace) -> None:
    """Train the networks of what is measured of all folds from counts of votes too, and predict by both.

    How many people looked at a galaxy cannot be told from its shares: five are taken where the images are deep, three
    elsewhere, as few as there were at least.
    """
    table = labelled()
    deep = ["deep" in str(name).lower() for name in table["kartaltepe_id"]]
    table["people"] = np.where(deep, PEOPLE["deep"], PEOPLE["elsewhere"])
    files = [str(STAMPS / str(name)) for name in table["image"]]
    for fold in range(FOLDS):
        if (path := options.out / f"counts-{fold}.npz").exists():
            continue
        pipeline = fold_pipeline(options.measured, fold)
        counted = pipeline.changed(
            pipeline.name, {"fractions": {"shares_of": "people", **{k: [k] for k in SCHEME.keys}}}
        )
        parts = pipeline.split.divide([str(i) for i in table["id"]], table)
        test = table[parts == "test"]
        shares = trained(table, files, pipeline, options.out / f"measured-{fold}", options)
        counts = trained(table, files, counted, options.out / f"measured-counts-{fold}", options)
        both = {"shares": shares, "counts": counts}
        np.savez(path, **{name: predicted(classified(test, each, files, options)) for name, each in both.items()})
    result = json.loads(RESULT.read_text()) | {"counts": beside_counts(options)}
    RESULT.write_text(json.dumps(result, indent=1) + "\n")


def masked_stamp(name: str, folder: Path) -> str:
    """Write a stamp whose painted pixels are NaN; return its file."""
    folder.mkdir(exist_ok=True)
    path = folder / name
    if not path.exists():
        with fits.open(STAMPS / name) as hdus:
            pixels = np.where(hdus["MASK"].data == PAINTED, np.nan, hdus[0].data).astype(np.float32)
            fits.PrimaryHDU(pixels, hdus[0].header).writeto(path)
    return str(path)


def trained(table: Table, files: list[str], pipeline: TrainPipeline, folder: Path, options: argparse.Namespace) -> Path:
    """Train unless that was done before."""
    path = folder / f"{pipeline.name}.safetensors"
    if not path.exists():
        resume = (folder / "state.safetensors").exists()
        galmorph.train(table, files, pipeline, folder, resume=resume, device=options.device, epochs=options.epochs)
    return path


def joined(alone: Path, company: Path, table: Table, files: list[str], folder: Path) -> Path:
    """Join two checkpoints, and fit calibration, sets and envelope to what they say together."""
    path = folder / "joined.safetensors"
    if not path.exists():
        both = folder / "both.safetensors"
        galmorph.ensemble([alone, company], both, shares=SHARES, name=alone.stem, overwrite=True)
        galmorph.calibrate(both, table, files, path)
    return path


def classified(table: Table, checkpoint: Path, files: list[str], options: argparse.Namespace) -> Table:
    """Classify galaxies on their stamps, end to end."""
    return galmorph.classify(table, files, survey="candels", band="H", checkpoint=checkpoint, device=options.device)


def predicted(answers: Table) -> FloatArray:
    """Shares that a classified table holds, (N, 5)."""
    return np.stack([np.asarray(answers[f"gm_p_{k}"], np.float64) for k in SCHEME.keys], axis=1)


def measured(table: Table, files: list[str], path: Path) -> Table:
    """Measure all galaxies, once for all folds."""
    if not path.exists():
        galmorph.measure(table, files, survey="candels", band="H", output=path)
    return Table.read(path)


def forest(table: Table, parts: npt.NDArray[np.str_], truth: FloatArray) -> FloatArray:
    """Shares by a random forest on measured features, (T, 5)."""
    from sklearn.ensemble import RandomForestRegressor  # noqa: PLC0415 - for this predictor alone

    names = [name for name in table.colnames if name.removeprefix("gm_") in MEASURED]
    values = np.stack([np.ma.filled(np.ma.asarray(table[name], np.float64), np.nan) for name in names], axis=1)
    values = np.where(np.isfinite(values), values, -1.0)
    trees = RandomForestRegressor(500, min_samples_leaf=5, max_features=0.4, n_jobs=-1, random_state=1)
    trees.fit(values[parts == "train"], truth[parts == "train"])
    return np.asarray(trees.predict(values[parts == "test"]))


def native(files: list[str], side: int = 64) -> torch.Tensor:
    """Middle pixels of all stamps, (N, 1, 64, 64), arcsinh of their noise; nothing past their edges."""
    stamps = np.zeros((len(files), side, side), np.float32)
    for stamp, file in zip(stamps, files, strict=True):
        pixels = np.nan_to_num(fits.getdata(file).astype(np.float32))
        noise = 1.4826 * np.median(np.abs(pixels - np.median(pixels)))
        pixels = np.arcsinh((pixels - np.median(pixels)) / max(noise, 1e-9)) / 3.0
        height, width = pixels.shape
        rows, columns = (slice(max((n - side) // 2, 0), max((n - side) // 2, 0) + side) for n in (height, width))
        middle = pixels[rows, columns]
        top, left = (side - middle.shape[0]) // 2, (side - middle.shape[1]) // 2
        stamp[top : top + middle.shape[0], left : left + middle.shape[1]] = middle
    return torch.from_numpy(stamps[:, None])


def kept_plain(
    files: list[str], parts: npt.NDArray[np.str_], truth: FloatArray, options: argparse.Namespace
) -> FloatArray:
    """Shares by the plain recipe, (T, 5), whose training of many minutes is done once."""
    path = plain_path(options, options.fold)
    if not path.exists():
        np.save(path, plain(files, parts, truth, options))
    return np.asarray(np.load(path))


def plain_path(options: argparse.Namespace, fold: int) -> Path:
    """Name the file of what the plain recipe says of a fold."""
    return Path(options.out / f"plain-{fold}-{options.plain_size}-{options.plain_epochs}.npy")


def plain(files: list[str], parts: npt.NDArray[np.str_], truth: FloatArray, options: argparse.Namespace) -> FloatArray:
    """Shares by the plain recipe, (T, 5), averaged over the eight orientations of the square."""
    torch.manual_seed(options.fold)
    device, size = options.device, options.plain_size
    stamps, wanted = native(files).to(device), torch.from_numpy(truth).float().to(device)
    recipe, config = Recipe(size=size), load_network("lite0")
    network = Network(config, recipe, SCHEME)
    network.load_state_dict({**network.state_dict(), **load_start("imagenet", config, recipe, SCHEME).member(1)})
    network = channels_last(network.to(device)).train()
    rows = torch.from_numpy(np.flatnonzero(parts == "train"))
    steps = options.plain_epochs * (len(rows) // 32)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 1e-3, total_steps=steps, pct_start=0.1)
    for _ in range(options.plain_epochs):
        for batch in rows[torch.randperm(len(rows))].split(32)[: len(rows) // 32]:
            seen = turned_at_random(stamps[batch])
            loss = F.cross_entropy(network(enlarged(seen, size)).float(), wanted[batch])
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            schedule.step()
    network.eval()
    with torch.inference_mode():
        test = stamps[np.flatnonzero(parts == "test")]
        views = [torch.rot90(v, k, (2, 3)) for v in (test, test.flip(3)) for k in range(4)]
        answers = [torch.cat([network(enlarged(p, size)).float().softmax(1) for p in v.split(64)]) for v in views]
    return torch.stack(answers).mean(dim=0).double().cpu().numpy()


def turned_at_random(stamps: torch.Tensor) -> torch.Tensor:
    """Turn a batch by a random quarter, and mirror it or not."""
    stamps = torch.rot90(stamps, int(torch.randint(4, ())), (2, 3))
    return stamps.flip(3) if torch.rand(()) < 0.5 else stamps


def enlarged(stamps: torch.Tensor, size: int) -> torch.Tensor:
    """Interpolate stamps to another size, linearly."""
    return planes_last(F.interpolate(stamps, size=(size, size), mode="bilinear", align_corners=False))


def scores(guess: FloatArray, truth: FloatArray, constant: FloatArray) -> dict[str, float]:
    """Figures of one predictor."""
    hit = truth[np.arange(len(truth)), guess.argmax(axis=1)] >= truth.max(axis=1) - 1e-6
    clear = truth.max(axis=1) >= 0.75
    mean2, base2 = ((guess - truth) ** 2).mean(), ((constant - truth) ** 2).mean()
    spread = np.ptp(guess, axis=0) > 1e-9
    r = {
        f"r_{k}": float(np.corrcoef(guess[:, i], truth[:, i])[0, 1]) if spread[i] else float("nan")
        for i, k in enumerate(SCHEME.keys)
    }
    return {
        "rmse": float(mean2**0.5),
        "S": float(1.0 - (mean2 - SCHEME.noise**2) / (base2 - SCHEME.noise**2)),
        "likeliest": float(hit.mean()),
        "clear": float(hit[clear].mean()),
        "calibration_error": expected_calibration_error(guess.ravel(), truth.ravel()),
        **r,
    }


def report(options: argparse.Namespace) -> None:
    """Pool the folds, and compare on the same galaxies; errors by bootstrap."""
    truth = shares_of(labelled())
    files = {fold: options.out / f"fold-{fold}.npz" for fold in range(FOLDS)}
    folds = [dict(np.load(file)) for file in files.values() if file.exists()]
    for number, fold in zip([n for n, file in files.items() if file.exists()], folds, strict=True):
        if (path := plain_path(options, number)).exists():
            fold["plain"] = np.load(path)
    rows = np.concatenate([fold["rows"] for fold in folds])
    names = [n for n in ("constant", "forest", "alone", "ours") if all(n in fold for fold in folds)]
    guesses = {n: np.concatenate([fold[n] for fold in folds]) for n in names}
    if "forest" in names:
        guesses["mean"] = FOREST_SHARE * guesses["forest"] + (1.0 - FOREST_SHARE) * guesses.get(
            "alone", guesses["ours"]
        )
    answered = np.isfinite(np.stack(list(guesses.values()))).all(axis=(0, 2))
    guesses, label = {n: g[answered] for n, g in guesses.items()}, truth[rows][answered]
    drawn = np.random.default_rng(1).integers(0, len(label), (BOOTSTRAPS, len(label)))
    result: dict[str, Any] = {"folds": len(folds), "galaxies": len(rows), "answered": len(label), "human": HUMAN}
    result["plain_recipe"] = beside_plain(folds, truth, options)
    for name, guess in guesses.items():
        result[name] = with_errors(guess, label, guesses["constant"], drawn)
    for other in [name for name in guesses if name != "ours"]:
        error2 = ((guesses["ours"] - label) ** 2).mean(axis=1) - ((guesses[other] - label) ** 2).mean(axis=1)
        away = [float(error2[d].mean()) for d in drawn]
        each = [((guesses[n] - label) ** 2).mean(axis=1) for n in ("ours", other)]
        result[f"ours_less_{other}"] = {
            "mean_square": float(error2.mean()),
            "err": float(np.std(away)),
            "rmse": rmse_less(*each, drawn),
        }
    result["masked"] = beside_masked(files, truth, options)
    result["counts"] = json.loads(RESULT.read_text())["counts"]
    sets = np.concatenate([fold["sets"] for fold in folds])[answered]
    held = [sum(y[SCHEME.keys.index(k)] for k in s.split("|") if k) for s, y in zip(sets, label, strict=True)]
    result["sets"] = {"coverage": float(np.mean(held)), "err": float(np.std(held) / len(held) ** 0.5)}
    flags = np.concatenate([fold["flags"] for fold in folds])
    outside = (flags & int(Flag.OUT_OF_ENVELOPE)) != 0
    result["out_of_envelope"] = float(outside.mean())
    apart = unfitted(options.pipeline)[rows[answered]]
    result["rules"] = {"galaxies": int(apart.sum()), **ruled(guesses["ours"][apart], label[apart])}
    text = json.dumps(result, indent=1).replace("NaN", "null")
    print(text)
    RESULT.write_text(text + "\n")


def beside_plain(folds: list[dict[str, Any]], truth: FloatArray, options: argparse.Namespace) -> dict[str, Any] | None:
    """Compare with the plain recipe on the folds that have it; None where none does."""
    some = [fold for fold in folds if "plain" in fold]
    if not some:
        return None
    label = truth[np.concatenate([fold["rows"] for fold in some])]
    guesses = {n: np.concatenate([f[n] for f in some]) for n in ("plain", "ours", "forest", "constant")}
    answered = np.isfinite(np.stack(list(guesses.values()))).all(axis=(0, 2))
    guesses, label = {n: g[answered] for n, g in guesses.items()}, label[answered]
    drawn = np.random.default_rng(1).integers(0, len(label), (BOOTSTRAPS, len(label)))
    errors2 = {n: ((g - label) ** 2).mean(axis=1) for n, g in guesses.items()}
    away = errors2["ours"] - errors2["plain"]
    by_fold = [{n: round(float(((f[n] - truth[f["rows"]]) ** 2).mean() ** 0.5), 4) for n in guesses} for f in some]
    return {
        "size": options.plain_size,
        "epochs": options.plain_epochs,
        "folds": len(some),
        "galaxies": len(label),
        "plain": with_errors(guesses["plain"], label, guesses["constant"], drawn),
        "rmse": {name: round(float(each.mean() ** 0.5), 4) for name, each in errors2.items()},
        "rmse_by_fold": by_fold,
        "ours_less_plain": {
            "mean_square": float(away.mean()),
            "err": float(np.std([away[d].mean() for d in drawn])),
            "rmse": rmse_less(errors2["ours"], errors2["plain"], drawn),
        },
    }


def beside_masked(files: dict[int, Path], truth: FloatArray, options: argparse.Namespace) -> dict[str, Any] | None:
    """Compare predictions on stamps with painted pixels missing with those on stamps as they are; None without any."""
    pairs = [(dict(np.load(files[n])), options.out / f"masked-{n}.npz") for n in range(FOLDS) if files[n].exists()]
    pairs = [(fold, dict(np.load(path))) for fold, path in pairs if path.exists()]
    if not pairs:
        return None
    label = truth[np.concatenate([fold["rows"] for fold, _ in pairs])]
    # Where the pixel at the position itself is missing, no image covers the galaxy.
    kept = np.isfinite(np.concatenate([after["ours"] for _, after in pairs])).all(axis=1)
    result: dict[str, Any] = {"folds": len(pairs), "galaxies": len(kept), "answered": int(kept.sum())}
    for name in ("ours", "forest"):
        before, after = (np.concatenate([pair[i][name] for pair in pairs])[kept] for i in (0, 1))
        result[name] = paired({"masked": after, "as_they_are": before}, label[kept])
    return result


def beside_counts(options: argparse.Namespace) -> dict[str, Any]:
    """Compare networks of what is measured that learnt from counts with those that learnt from shares."""
    table, labels, folds = labelled(), [], []
    for fold in range(FOLDS):
        parts = fold_pipeline(options.measured, fold).split.divide([str(i) for i in table["id"]], table)
        labels.append(shares_of(table)[parts == "test"])
        folds.append(dict(np.load(options.out / f"counts-{fold}.npz")))
    guesses = {name: np.concatenate([fold[name] for fold in folds]) for name in ("counts", "shares")}
    label = np.concatenate(labels)
    return {"folds": len(folds), "galaxies": len(label), "people": PEOPLE, **paired(guesses, label)}


def paired(guesses: dict[str, FloatArray], label: FloatArray) -> dict[str, Any]:
    """RMSE of two predictors on the same galaxies, and by how much the first's is less."""
    errors2 = {name: ((guess - label) ** 2).mean(axis=1) for name, guess in guesses.items()}
    drawn = np.random.default_rng(1).integers(0, len(label), (BOOTSTRAPS, len(label)))
    rmse = {name: round(float(e.mean() ** 0.5), 4) for name, e in errors2.items()}
    return {"rmse": rmse, "rmse_less": rmse_less(*errors2.values(), drawn)}


def rmse_less(one: FloatArray, other: FloatArray, drawn: npt.NDArray[np.intp]) -> list[float]:
    """Difference of two RMSE on the same galaxies, and its error by bootstrap."""
    again = [one[d].mean() ** 0.5 - other[d].mean() ** 0.5 for d in drawn]
    return [round(float(one.mean() ** 0.5 - other.mean() ** 0.5), 4), round(float(np.std(again)), 4)]


def unfitted(pipeline: str) -> npt.NDArray[np.bool_]:
    """Galaxies to which no cut of a rule was fitted: those outside the validation cells of fold 0."""
    table = labelled()
    return np.asarray(fold_pipeline(pipeline, 0).split.divide([str(i) for i in table["id"]], table) != "validation")


def ruled(guess: FloatArray, truth: FloatArray) -> dict[str, Any]:
    """Score the likeliest answer and the classes of each rule."""
    result = {"likeliest": classes(np.array(SCHEME.keys)[guess.argmax(axis=1)], truth)}
    for name, scheme in RULES.items():
        rule = load_scheme(scheme).rule(name)
        assert rule is not None
        result[name] = classes(rule.apply(guess, guess, SCHEME.keys), truth)
    return result


def classes(named: npt.NDArray[np.str_], truth: FloatArray) -> dict[str, Any]:
    """Purity and completeness of each class with their binomial errors, how many it has, and the share of the rest."""
    largest = truth >= truth.max(axis=1, keepdims=True) - 1e-6
    result: dict[str, Any] = {}
    chosen = np.array([[k in TWOFOLD.get(name, (name,)) for k in SCHEME.keys] for name in named.tolist()])
    for answer, key in enumerate(SCHEME.keys):
        is_named, alone = chosen[:, answer], largest[:, answer] & (largest.sum(axis=1) == 1)
        pure = (largest & chosen).any(axis=1)[is_named]
        complete = is_named[alone]
        result[key] = {"named": int(is_named.sum()), "labelled": int(alone.sum())}
        for what, hits in (("purity", pure), ("completeness", complete)):
            p, n = (hits.sum() + 1) / (len(hits) + 2), len(hits) + 2  # so that none or all of a few have an error
            error = round(float((p * (1 - p) / n) ** 0.5), 3)
            result[key][what] = [round(float(hits.mean()), 3), error] if len(hits) else None
    return result | {"in_no_class": float((~chosen.any(axis=1)).mean())}


def with_errors(
    guess: FloatArray, truth: FloatArray, constant: FloatArray, drawn: npt.NDArray[np.intp]
) -> dict[str, list[float]]:
    """Each figure with its standard error."""
    value = scores(guess, truth, constant)
    again = [scores(guess[d], truth[d], constant[d]) for d in drawn[:400]]
    return {k: [round(v, 4), round(float(np.std([a[k] for a in again])), 4)] for k, v in value.items()}


def main() -> None:
    """Run one fold, or report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("fold", "plain", "masked", "counts", "report"))
    parser.add_argument("fold", type=int, nargs="?", default=0, help="0 to 4")
    parser.add_argument("--pipeline", default="candels-h")
    parser.add_argument("--measured", default="candels-measured", help="pipeline of the networks in company")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "shares")
    parser.add_argument("--rows", type=int, help="only the first galaxies, for a trial")
    parser.add_argument("--epochs", type=int, help="of ours, instead of the pipeline's, for a trial")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--forest", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--alone", action="store_true", help="classify by the stamps alone as well")
    parser.add_argument("--plain-size", type=int, default=96)
    parser.add_argument("--plain-epochs", type=int, default=60, help="0 leaves the plain recipe out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    runs = {"fold": run_fold, "plain": run_plain, "masked": run_masked, "counts": run_counts, "report": report}
    runs[options.what](options)


if __name__ == "__main__":
    main()
