"""Sets for the benchmarks of likeness: real stamps, what people said of them, and the features that networks see.

EFIGI (Baillard et al. 2011): 4 458 large galaxies, whose attributes go from 0 to 1 in steps of a quarter. Galaxy Zoo 2:
the 656 galaxies with votes on all questions, which no trunk of sdss-gz2 has learnt from (15 stand in fields of
sdss-gz1's training). CEERS: 970 of the 3 230 F200W stamps, those of the blocks that nircam-f200w kept for validation
and test. Features are computed once and kept in a folder; those of an ensemble's first network by that network alone,
which gives the same numbers.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table
from colour_tables import DATA, TREE, conditional, voted
from PIL import Image

from galmorph.learning.split import BlockSplit
from galmorph.learning.viewed import stamps_of_rows
from galmorph.nets.architecture.network import members_of
from galmorph.nets.checkpoint.file import Checkpoint, load_checkpoint
from galmorph.runs.gather import Gathering
from galmorph.sky.catalog import catalog_from
from galmorph.sky.images import ImageInput
from galmorph.sky.scheme import load_scheme

__all__ = [
    "DEFECTS",
    "FEATURES",
    "LIGHT",
    "PIXELS",
    "LikenessSet",
    "ceers",
    "challenge",
    "efigi",
    "features_of",
    "gz2",
    "load",
    "with_defects",
]

FEATURES = Path(tempfile.gettempdir()) / "galmorph-likeness"
"""Where features are kept unless a folder is named."""
PIXELS = "raw pixels"
"""In place of a checkpoint: the first view of the stamp of the first one, recentred and rescaled, 32 x 32."""
LIGHT, RINGS = "light", 8
"""After the name of a checkpoint: how light is spread over so many rings of its stamps (galmorph embed --light)."""
DEFECTS = ("trail", "bleeding", "gap")
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
_SIDE = 32
_MIDDLE = 232
_ATTRIBUTES = {"type": 0, "bar": 5, "inner": 6, "outer": 7, "perturbed": 9, "inclined": 14, "near": 15, "several": 16}


@dataclass(frozen=True)
class LikenessSet:
    """Stamps and what is known of them.

    Parameters
    ----------
    table
        With a column ``file``.
    images
        The file of stamps.
    survey, band
        Of the stamps.
    checkpoints
        Whose features are compared.
    kinds
        Which rows are of a kind, (N,) each.
    votes
        (N, A) numbers of votes or fractions, and how many were asked, (N, A); None where there are none.
    """

    name: str
    table: Table
    images: Path
    survey: str
    band: str
    checkpoints: tuple[str, ...]
    kinds: dict[str, BoolArray]
    votes: tuple[FloatArray, FloatArray] | None = None


def efigi() -> LikenessSet:
    """Galaxies with EFIGI's attributes."""
    lines = (DATA / "efigi" / "attributes.txt").read_text(encoding="utf-8").splitlines()
    cells = [line.split() for line in lines if line.startswith("PGC") and len(line.split()) == 52]
    values = np.array([[float(cell) for cell in row[1::3]] for row in cells])
    of = {name: values[:, column] for name, column in _ATTRIBUTES.items()}
    disk = of["type"] >= 0
    kinds = {
        "bar": of["bar"] >= 0.75,
        "ring": np.maximum(of["inner"], of["outer"]) >= 0.75,
        "edge-on": (of["inclined"] == 1.0) & disk,
        "outer ring": of["outer"] >= 0.75,
        "perturbed": of["perturbed"] == 1.0,
        "spiral": (of["type"] >= 1) & (of["type"] <= 7) & (of["perturbed"] <= 0.25) & (of["several"] == 0)
        & (np.maximum(of["inner"], of["outer"]) <= 0.25) & (of["inclined"] <= 0.75),
    }  # fmt: skip
    table = Table({"file": [f"{row[0]}.jpg" for row in cells]})
    return LikenessSet("efigi", table, DATA / "efigi" / "images.zip", "sdss", "RGB", ("sdss-rgb", "sdss-gz1"), kinds)


def gz2() -> LikenessSet:
    """Galaxies with all votes of Galaxy Zoo 2."""
    votes = voted()
    chances = conditional(votes)
    shares = TREE.marginals(chances)
    asked = np.asarray(votes["total_classifications"], np.float64)[:, None]
    keys = TREE.keys
    odd = shares[:, keys.index("odd__yes")]
    kinds = {
        "cigar": shares[:, keys.index("roundness__cigar")] >= 0.5,
        "edge-on": shares[:, keys.index("edge_on__yes")] >= 0.5,
        "bar": shares[:, keys.index("bar__yes")] >= 0.4,
        "merger": shares[:, [k.startswith("odd_feature") and "merger" in k for k in keys].index(True)] >= 0.3,
        "ring": chances[:, keys.index("odd_feature__ring")] * odd >= 0.3,
        "spiral": (shares[:, keys.index("spiral__yes")] >= 0.5) & (odd < 0.5),
    }
    totals = np.repeat(asked, len(keys), axis=1)
    for where, parents in zip(TREE.slices, TREE.parents, strict=True):
        if parents:
            totals[:, where] *= shares[:, list(parents)].sum(axis=1, keepdims=True)
    table = Table({"file": votes["file"]})
    images = DATA / "sdss_gz2_votes" / "images.zip"
    return LikenessSet("gz2", table, images, "sdss", "RGB", ("sdss-rgb", "sdss-gz1"), kinds, (chances * totals, totals))


def challenge(folder: Path) -> LikenessSet:
    """Clean spirals of the Galaxy Challenge, with the galaxies of Galaxy Zoo 2 cut to the same 232 pixels."""
    labels, votes = Table.read(DATA / "sdss_gz2" / "labels.csv"), gz2()
    spirals = [str(row["file"]) for row in labels if str(row["label"]) == "spiral"]
    path = folder / "challenge.zip"
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"challenge/{file}" for file in spirals] + [f"votes/{file}" for file in votes.table["file"]]
    if not path.exists():
        with zipfile.ZipFile(path, "w") as target:
            _copy_middles(DATA / "sdss_gz2" / "images.zip", spirals, target, "challenge")
            _copy_middles(votes.images, [str(file) for file in votes.table["file"]], target, "votes")
    none, of = np.zeros(len(spirals), bool), votes.kinds
    kinds = {name: np.append(none, of[name]) for name in ("merger", "ring")}
    kinds["spiral"] = np.append(~none, np.zeros(len(votes.table), bool))
    return LikenessSet("challenge", Table({"file": names}), path, "sdss", "RGB", ("sdss-gz1",), kinds)


def _copy_middles(source: Path, files: list[str], target: zipfile.ZipFile, folder: str) -> None:
    """Copy the middle 232 pixels of pictures, all of them compressed anew in the same way."""
    with zipfile.ZipFile(source) as pictures:
        for file in files:
            picture = Image.open(io.BytesIO(pictures.read(file)))
            edge = (picture.width - _MIDDLE) // 2
            stream = io.BytesIO()
            picture.crop((edge, edge, edge + _MIDDLE, edge + _MIDDLE)).save(stream, "JPEG", quality=90)
            target.writestr(f"{folder}/{file}", stream.getvalue())


def ceers() -> LikenessSet:
    """Galaxies of CEERS that nircam-f200w has not learnt from, with all votes of Galaxy Zoo CEERS."""
    table, scheme = Table.read(DATA / "ceers_f200w" / "votes.csv"), load_scheme("gz-ceers")
    names = sorted(table["file"], key=lambda name: int(str(name).removeprefix("F200W_").removesuffix(".jpg")))
    split = BlockSplit(20, (2, 9, 16), (4, 11, 18))
    part = dict(zip(names, split.divide(names, Table({"file": names})), strict=True))
    table = table[[part[name] != "train" for name in table["file"]]]
    counts = np.stack([np.asarray(table[answer.source], np.float64) for answer in scheme.answers], axis=1)
    totals = np.zeros_like(counts)
    for where in scheme.slices:
        totals[:, where] = counts[:, where].sum(axis=1, keepdims=True)
    fractions = counts / np.maximum(totals, 1)
    of = {key: fractions[:, number] for number, key in enumerate(scheme.keys)}
    asked = dict(zip(scheme.keys, totals.T, strict=True))
    edge_on = "could_this_be_a_disk_viewed_edgeon__yes_edge_on_disk"
    kinds = {
        "merger": of["is_the_galaxy_merging_or_disturbed__merging"] >= 0.4,
        "edge-on": (of[edge_on] >= 0.5) & (asked[edge_on] >= 8),
    }
    images = DATA / "ceers_f200w" / "images.zip"
    return LikenessSet(
        "ceers", Table({"file": table["file"]}), images, "nircam", "F200W", ("nircam-f200w",), kinds, (counts, totals)
    )


def with_defects(stamps: LikenessSet, rows: npt.NDArray[np.intp], folder: Path) -> LikenessSet:
    """Copy the stamps of some rows with a fault of the image drawn into each: a trail, a bleeding star or a gap."""
    kinds = {name: np.arange(len(rows)) % len(DEFECTS) == number for number, name in enumerate(DEFECTS)}
    path = folder / f"{stamps.name}-defects.zip"
    files = [str(file) for file in stamps.table["file"][rows]]
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(stamps.images) as source, zipfile.ZipFile(path, "w") as target:
        for number, file in enumerate(files):
            picture = Image.open(io.BytesIO(source.read(file)))
            stream = io.BytesIO()
            pixels = _damaged(np.array(picture), DEFECTS[number % len(DEFECTS)], number)
            Image.fromarray(pixels).save(stream, "JPEG", quality=95)
            target.writestr(file, stream.getvalue())
    return replace(stamps, name=f"{stamps.name}-defects", table=Table({"file": files}), images=path, kinds=kinds)


def _damaged(pixels: npt.NDArray[np.uint8], defect: str, seed: int) -> npt.NDArray[np.uint8]:
    """Draw a fault across the middle half of a stamp, where the galaxy is."""
    rng, side = np.random.default_rng(seed), len(pixels)
    out, place = pixels.copy(), side * rng.uniform(0.3, 0.7)
    y, x = np.mgrid[:side, :side]
    if defect == "trail":
        angle = rng.uniform(0, np.pi)
        away = np.abs((x - place) * np.sin(angle) - (y - side / 2) * np.cos(angle))
        out[away < side / 60] = 220
    elif defect == "bleeding":
        star = np.hypot(x - place, y - side * rng.uniform(0.3, 0.7)) < side / 14
        out[star | (np.abs(x - place) < side / 70)] = 255
    else:
        out[:, int(place) :] = 0
    return out


def load(stamps: LikenessSet, name: str, folder: Path) -> npt.NDArray[np.float32]:
    """Return features, (N, F), of a checkpoint, its light, or raw pixels; NaN where is no stamp; computed once."""
    path = folder / f"{stamps.name}-{name.replace(' ', '-')}.npy"
    if not path.exists():
        features_of(stamps, folder)
    return np.asarray(np.load(path), np.float32)


def features_of(stamps: LikenessSet, folder: Path) -> None:
    """Compute the features of a set by all its checkpoints, and raw pixels, and keep them."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(stamps.checkpoints):
        loaded = load_checkpoint(name)
        alone = replace(loaded, network=members_of(loaded.network)[0])
        features, light, pixels = _computed(stamps, alone)
        np.save(folder / f"{stamps.name}-{name}.npy", features)
        np.save(folder / f"{stamps.name}-{name}-{LIGHT}.npy", light)
        if number == 0:
            np.save(folder / f"{stamps.name}-{PIXELS.replace(' ', '-')}.npy", pixels)


def _computed(stamps: LikenessSet, checkpoint: Checkpoint) -> tuple[npt.NDArray[np.float32], ...]:
    count = len(stamps.table)
    pixels = np.full((count, checkpoint.recipe.planes * _SIDE**2), np.nan, np.float32)
    features = np.full((count, checkpoint.n_features), np.nan, np.float32)
    light = np.full((count, checkpoint.n_light(RINGS)), np.nan, np.float32)
    with closing(ImageInput(str(stamps.images), survey=stamps.survey, band=stamps.band).open()) as images:
        gathering = Gathering(catalog_from(stamps.table), images, checkpoint.recipe.half_width_rpet)
        for batch in stamps_of_rows(checkpoint, gathering, np.arange(count)):
            answers = checkpoint.answer(batch.stamps, batch.shares, morphometry=batch.morphometry)
            features[batch.rows] = answers.features
            light[batch.rows] = checkpoint.light(batch.stamps, batch.shares, RINGS)
            step = checkpoint.recipe.size // _SIDE
            blocks = batch.stamps[:, 0].reshape(len(batch.rows), checkpoint.recipe.planes, _SIDE, step, _SIDE, step)
            pixels[batch.rows] = blocks.mean(axis=(3, 5)).reshape(len(batch.rows), -1)
    return features, light, pixels
