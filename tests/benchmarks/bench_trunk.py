"""Benchmark: one trunk for five label sets, with a head for each, beside a network for each set.

Usage: ``python tests/benchmarks/bench_trunk.py``. It needs ../shared/data. The sets, all of whose pictures are made
alike (colour as it is, one band as grey, CANDELS' counts by an arcsinh of their noise), are

- `challenge`: five classes of the Galaxy Challenge; `votes`: 37 answers of Galaxy Zoo 2; `gz1`: six of Galaxy Zoo 1;
- `f200w`: 39 answers of Galaxy Zoo CEERS, of one band; `candels`: five shares of CANDELS' classifiers, of one band.

One scheme asks the questions of all sets, each of its own galaxies: labels are missing elsewhere, and the loss leaves
them out. By ``galmorph``'s own training learn, with the same recipe and network,

- one network from all sets, and
- one from each set, with the questions of that, shown as often (``--epochs``), or
- for as many steps as the network of all sets takes, each galaxy five times as often; beside these also the network of
  all sets with each galaxy as often.

Each set is divided as its own pipeline does; of its training part ``--rows`` galaxies at most are taken, of which a
tenth chooses the epoch. Scored is the *validation* part, since the answer decides what is trained; test parts are not
read.
RMSE is that of the fractions of all answers among all people; the difference is that of mean squares, galaxy by galaxy,
averaged over seeds, with its error by bootstrap over galaxies. Writes docs/benchmarks/trunk.json.

EFIGI stays out: some of its galaxies are those of other sets, and positions to tell which are missing there.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from astropy.io import fits
from astropy.table import Table, vstack
from colour_tables import DATA, TREE, conditional, voted
from PIL import Image

from galmorph.learning.assembly import KeptSets
from galmorph.learning.pipeline import TrainPipeline, load_training
from galmorph.learning.training import train
from galmorph.learning.viewed import StampBatch, stamps_of_rows
from galmorph.nets.checkpoint.file import Checkpoint
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageInput, ImageSource
from galmorph.sky.scheme import Scheme, load_scheme
from galmorph.toml import to_text

ROOT = Path(__file__).resolve().parents[2]
RESULT = ROOT / "docs" / "benchmarks" / "trunk.json"
# Of each set: its scheme, the pipeline that divides it, and the folder of its images.
SETS = {
    "challenge": ("gz2-simple", "sdss-rgb", "sdss_gz2"),
    "votes": ("gz2", "sdss-gz2", "sdss_gz2_votes"),
    "gz1": ("gz1", "sdss-gz1", "sdss_gz1"),
    "f200w": ("gz-ceers", "nircam-f200w", "ceers_f200w"),
    "candels": ("candels-shares", "candels-h", "candels_h_stamps"),
}
ALL, LONG = "all", "-long"
NETWORK = """
conv 24 5x5 stride 2 pad 2 batchnorm relu
residual 48 stride 2
residual 96 stride 2
globalpool mean maximum
dropout 0.2
dense answers
"""
SIZE, LARGEST_PX, SCORED = 40, 160, 300
# Hashes of the two words fall into these ranges: by their column, rows train or choose the epoch.
SPLIT = {"by": "part", "test": [0.0, 0.0], "validation": [0.0, 0.5], "salt": "trunk1"}
BOOTSTRAPS = 2000
FloatArray = npt.NDArray[np.float64]


def scheme_of(names: list[str]) -> Scheme:
    """Make one scheme of the questions of some sets, each with the name of its set before it."""
    questions = []
    for name in names:
        for question in load_scheme(SETS[name][0]).to_dict()["questions"]:
            answers = [{"key": f"{name}__{a['key']}", "name": a["key"]} for a in question["answers"]]
            parents = [f"{name}__{key}" for key in question["parents"]]
            questions.append({"name": f"{name}_{question['name']}", "answers": answers, "parents": parents})
    contents = {"name": "joined", "title": ", ".join(names), "reference": "the sets", "kind": "tree"}
    return Scheme.from_dict({**contents, "questions": questions})


def table_of(name: str) -> tuple[Table, FloatArray]:
    """Read the galaxies of a set and their fractions among all people, (N, A); NaN where nobody was asked."""
    folder = DATA / SETS[name][2]
    if name == "votes":
        table = voted()
        return table, TREE.marginals(conditional(table))
    table = Table.read(folder / {"f200w": "votes.csv", "candels": "catalog.csv"}.get(name, "labels.csv"))
    scheme = load_scheme(SETS[name][0])
    if name == "candels":
        table = table[~np.ma.getmaskarray(table["spheroid"])]
        table["file"] = table["image"]
    labels = scheme.labels(table)
    kept = labels.totals[:, scheme.slices[0]].max(axis=1) > 0
    asked = labels.totals[:, scheme.slices[0]].max(axis=1, keepdims=True)
    return table[kept], (labels.counts / np.maximum(asked, 1e-9))[kept]


def parts_of(name: str, table: Table) -> npt.NDArray[np.str_]:
    """Divide a set as its pipeline does; galaxies of the votes are in no other set."""
    names = [str(i) for i in table["id"]] if name == "candels" else [str(file) for file in table["file"]]
    part = np.asarray(load_training(SETS[name][1]).split.divide(names, table))
    if name == "gz1":
        part[np.isin(np.asarray(table["objid"]), np.asarray(voted()["objid"]))] = "test"
    return part


def picked(name: str, rows: int) -> Table:
    """Pick galaxies of a set at random: `part` says whether they train, choose the epoch (`held`) or are scored."""
    table, fractions = table_of(name)
    part, rng = parts_of(name, table), np.random.default_rng(1)
    train, scored = (rng.permutation(np.flatnonzero(part == p)) for p in ("train", "validation"))
    train, scored = train[:rows], scored[:SCORED]
    chosen = np.concatenate([train, scored])
    use = ["held"] * (len(train) // 10) + ["learnt"] * (len(train) - len(train) // 10) + ["scored"] * len(scored)
    out = Table({"file": [f"{name}/{file}" for file in table["file"][chosen]], "part": use})
    for key, column in zip(scheme_of([name]).keys, fractions[chosen].T, strict=True):
        out[key] = column
    return out


def picture(pixels: bytes, file: str) -> bytes:
    """Turn an image of any set into a colour picture, of one colour where it has one band."""
    if file.endswith(".fits.gz"):
        counts = np.nan_to_num(fits.getdata(io.BytesIO(gzip.decompress(pixels))).astype(np.float64))
        noise = max(1.4826 * float(np.median(np.abs(counts - np.median(counts)))), 1e-9)
        grey = np.arcsinh((counts - np.median(counts)) / noise) / np.arcsinh(300.0)
        image = Image.fromarray(np.uint8(np.clip(0.1 + 0.9 * grey, 0.0, 1.0) * 255.0))
    else:
        image = Image.open(io.BytesIO(pixels))
        factor = min(1.0, LARGEST_PX / image.width)
        image = image.resize((round(image.width * factor), round(image.height * factor)), Image.Resampling.BOX)
    packed = io.BytesIO()
    image.convert("RGB").save(packed, "PNG")
    return packed.getvalue()


def pack(tables: dict[str, Table], path: Path) -> None:
    """Write the pictures of all sets into one zip."""
    with zipfile.ZipFile(path, "w") as images:
        for name, table in tables.items():
            folder = DATA / SETS[name][2]
            sources = None if name == "candels" else zipfile.ZipFile(folder / "images.zip")
            places = {} if sources is None else {n.rpartition("/")[2]: n for n in sources.namelist()}
            for file in table["file"]:
                bare = str(file).partition("/")[2]
                pixels = (folder / bare).read_bytes() if sources is None else sources.read(places[bare])
                images.writestr(f"{file}.png", picture(pixels, bare))


def pipeline_of(name: str, scheme: Path, epochs: int, seed: int) -> TrainPipeline:
    """Make a pipeline: that of sdss-gz2 but for the questions, a small network and small stamps."""
    training = {
        "start": "",
        "frozen": False,
        "members": 1,
        "epochs": epochs,
        "patience": epochs,
        "batch": 32,
        "learning_rate": 0.004,
        "average": 0.985,
        "seed": seed,
    }
    above = {
        "scheme": str(scheme),
        "recipe": {"size": SIZE, "views": "one"},
        "network": {"name": "small", "layers": NETWORK},
        "split": SPLIT,
        "train": training,
    }
    return load_training("sdss-gz2", above).changed(name, {})


def learn(
    name: str, tables: dict[str, Table], options: argparse.Namespace, images: ImageSource, *, is_long: bool = False
) -> dict[str, FloatArray]:
    """Train from some sets with each seed; return for each set what is said of its galaxies, (seeds, N, A)."""
    epochs, seeds = (options.epochs * len(SETS), options.long_seeds) if is_long else (options.epochs, options.seeds)
    names = list(SETS) if name == ALL else [name]
    joined, scheme = vstack([tables[n] for n in names]), scheme_of(names)
    joined = joined[joined["part"] != "scored"]
    for key in scheme.keys:
        joined[key] = np.ma.filled(np.ma.asarray(joined[key], np.float64), np.nan)
    joined["file"] = [f"{file}.png" for file in joined["file"]]
    path, kept, said = options.out / f"{name}.toml", KeptSets(), {n: [] for n in names}
    path.write_text(to_text({k: v for k, v in scheme.to_dict().items() if k != "name"}))
    for seed in range(1, seeds + 1):
        begun = time.process_time()
        with tempfile.TemporaryDirectory() as folder:
            pipeline = pipeline_of(name, path, epochs, seed)
            checkpoint = train(catalog_from(joined), images, pipeline, Path(folder) / name, kept=kept).checkpoint
        for each in names:
            said[each].append(answers(checkpoint, cut(checkpoint, each, tables[each], images), each))
        print(name, epochs, seed, f"{time.process_time() - begun:.0f} s", flush=True)
    return {each: np.stack(values) for each, values in said.items()}


_CUT: dict[str, list[StampBatch]] = {}


def cut(checkpoint: Checkpoint, name: str, table: Table, images: ImageSource) -> list[StampBatch]:
    """Cut the scored stamps of a set once: all networks see the same."""
    if name not in _CUT:
        scored = Table({"file": [f"{file}.png" for file in table["file"][table["part"] == "scored"]]})
        gathering = Gathering(catalog_from(scored), images, checkpoint.recipe.half_width_rpet)
        _CUT[name] = list(stamps_of_rows(checkpoint, gathering, np.arange(len(scored))))
    return _CUT[name]


def answers(checkpoint: Checkpoint, batches: list[StampBatch], name: str) -> FloatArray:
    """Fractions among all people of the answers of a set, (N, A), in the order of its table; NaN without a stamp."""
    keys = checkpoint.scheme.keys
    where = [keys.index(key) for key in scheme_of([name]).keys]
    rows = np.concatenate([batch.rows for batch in batches])
    said = np.concatenate([checkpoint.answer(batch.stamps, batch.shares).conditional for batch in batches])
    out = np.full((int(rows.max()) + 1, len(where)), np.nan)
    out[rows] = checkpoint.scheme.marginals(said)[:, where]
    return out


def compared(name: str, table: Table, one: FloatArray, single: FloatArray) -> dict[str, Any]:
    """Score both on a set, beside the mean of its training galaxies."""
    keys, first = scheme_of([name]).keys, load_scheme(SETS[name][0]).slices[0]
    fractions = np.stack([np.asarray(table[key], np.float64) for key in keys], axis=1)
    scored = np.asarray(table["part"] == "scored")
    truth = fractions[scored][: one.shape[1]]
    kept = np.isfinite(one).all(axis=(0, 2)) & np.isfinite(single).all(axis=(0, 2))
    truth, guesses = truth[kept], {"one_trunk": one[:, kept], "single": single[:, kept]}
    error2 = {n: ((g - truth) ** 2).mean(axis=2) for n, g in guesses.items()}
    away = error2["one_trunk"].mean(axis=0) - error2["single"].mean(axis=0)
    drawn = np.random.default_rng(1).integers(0, len(truth), (BOOTSTRAPS, len(truth)))
    top = truth[:, first] >= truth[:, first].max(axis=1, keepdims=True) - 1e-6
    hits = {n: np.take_along_axis(top[None], g[:, :, first].argmax(axis=2)[..., None], 2) for n, g in guesses.items()}
    gain = (hits["one_trunk"].mean(axis=(0, 2)) - hits["single"].mean(axis=(0, 2))).astype(np.float64)
    seeds = error2["one_trunk"].mean(axis=1) - error2["single"].mean(axis=1)
    return {
        "trained": int((table["part"] == "learnt").sum()),
        "scored": len(truth),
        "rmse_of_the_mean": round(float(((fractions[~scored].mean(axis=0) - truth) ** 2).mean() ** 0.5), 4),
        "rmse": {n: round(float(e.mean() ** 0.5), 4) for n, e in error2.items()},
        "mean_square_less": [float(f"{v:.3g}") for v in (away.mean(), away[drawn].mean(axis=1).std())],
        "by_seed": [float(f"{v:.3g}") for v in seeds],
        "likeliest_right": {n: round(float(h.mean()), 4) for n, h in hits.items()},
        "likeliest_right_more": [round(float(v), 4) for v in (gain.mean(), gain[drawn].mean(axis=1).std())],
    }


def main() -> None:
    """Pick, pack, train what is not kept yet, and compare."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=400, help="training galaxies of each set at most")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--long-seeds", type=int, default=1, help="of the networks that learn for five times as long")
    parser.add_argument("--out", type=Path, default=ROOT / "runs" / "trunk")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    tables = {name: picked(name, options.rows) for name in SETS}
    if not (options.out / "images.zip").exists():
        pack(tables, options.out / "images.zip")
    images = ImageInput(images=[options.out / "images.zip"], survey="sdss", band="RGB").open()
    for name, is_long in [*((n, False) for n in (*SETS, ALL)), *((n, True) for n in (*SETS, ALL))]:
        if not (path := options.out / f"{name}{LONG * is_long}.npz").exists():
            np.savez(path, **learn(name, tables, options, images, is_long=is_long))
    joined, longer = (dict(np.load(options.out / f"{ALL}{kind}.npz")) for kind in ("", LONG))
    result: dict[str, Any] = {name: getattr(options, name) for name in ("rows", "epochs", "seeds", "long_seeds")}
    for name, table in tables.items():
        result[name] = compared(name, table, joined[name], np.load(options.out / f"{name}.npz")[name])
        long = np.load(options.out / f"{name}{LONG}.npz")[name]
        result[name]["beside_single_of_as_many_steps"] = compared(name, table, joined[name], long)
        result[name]["both_long"] = compared(name, table, longer[name], long)
    text = json.dumps(result, indent=1)
    print(text)
    RESULT.write_text(text + "\n")


if __name__ == "__main__":
    main()
