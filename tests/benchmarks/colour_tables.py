"""Tables for the benchmark of colour: galaxies with the votes of all questions of Galaxy Zoo 2 (Hart et al. 2016).

They are rich in cigars, edge-on discs and mergers. From their votes follow shares of five classes, and classes by cuts.
Rows keep to one side of a split by their field: the run, camcol and field of the objid.

Fractions are of two kinds. *Weighted* ones are what people saw; *debiased* ones are what they would have seen were the
galaxy near (Willett et al. 2013, section 3.3). The classes of the Galaxy Challenge's galaxies are cuts on the latter:
of the galaxies here that are cigars by what people saw, most are edge-on discs by the challenge's classes.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.sky.scheme import load_scheme

__all__ = [
    "CLASSES",
    "DATA",
    "TREE",
    "classes",
    "classified_galaxies",
    "conditional",
    "field_of",
    "join",
    "pack",
    "shares",
    "voted",
]

FloatArray = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
VOTES, CLEAN = DATA / "sdss_gz2_votes", DATA / "sdss_gz2"
CLASSES = load_scheme("gz2-simple").keys
TREE = load_scheme("gz2")
# Columns of the votes, with their questions and answers by their numbers.
_VOTES = re.compile(r"t(\d\d)_\w+_a(\d\d)_\w+_(weighted_fraction|debiased)")
_SHARE = {
    "smooth_round": "roundness__round",
    "smooth_in_between": "roundness__in_between",
    "smooth_cigar": "roundness__cigar",
    "edge_on": "edge_on__yes",
    "spiral": "spiral__yes",
}
_UNBIASED = "kaggle_tail_complete"
_OBJECT_BITS = 16  # the last of an objid; before them sky version, rerun, run, camcol and field


def voted() -> Table:
    """Read the galaxies with votes on all questions; `field` is where they stand."""
    table = Table.read(VOTES / "labels.csv")
    table["field"] = [field_of(int(objid)) for objid in table["objid"]]
    return table


def field_of(objid: int) -> str:
    """Name the field where an object of the SDSS stands."""
    return str(objid >> _OBJECT_BITS)


def conditional(table: Table, kind: str = "weighted_fraction") -> FloatArray:
    """Fractions of those who were asked, (N, 37), in the order of the tree; 0 where nobody was.

    The kind is ``weighted_fraction`` or ``debiased``.
    """
    columns: dict[str, list[str]] = {}
    of_kind = (m for m in map(_VOTES.fullmatch, table.colnames) if m and m[3] == kind)
    for question, _, name in sorted((m[1], m[2], m[0]) for m in of_kind):
        columns.setdefault(question, []).append(name)
    # the source of an answer is Class5.2: its question by number, its place in that
    numbers = [a.source.removeprefix("Class").split(".") for a in TREE.answers]
    names = [columns[f"{int(question):02}"][int(place) - 1] for question, place in numbers]
    fractions = np.stack([np.asarray(table[name], np.float64) for name in names], axis=1)
    for where in TREE.slices:  # rounded ones may sum to a little more than 1
        fractions[:, where] /= np.maximum(fractions[:, where].sum(axis=1, keepdims=True), 1.0)
    return fractions


def shares(marginals: FloatArray) -> FloatArray:
    """Shares of five classes that the votes of a tree amount to, (N, 5); the rest went elsewhere."""
    return np.stack([marginals[:, TREE.keys.index(_SHARE[key])] for key in CLASSES], axis=1)


def classes(fractions: FloatArray) -> npt.NDArray[np.str_]:
    """Classes by the usual cuts on fractions of those who were asked, (N,); '' where none holds, or several do."""
    rule = TREE.rule("clean-2013")
    assert rule is not None
    held = np.stack(
        [np.logical_and.reduce([c.holds(fractions, TREE.keys) for c in kind.comparisons]) for kind in rule.classes]
    )
    names = np.array([kind.name for kind in rule.classes])
    return np.where(held.sum(axis=0) == 1, names[held.argmax(axis=0)], "")


def join(out: Path) -> None:
    """Write `votes.csv` and `images.zip` for sdss-gz2, `classes.csv` and `classes.zip` for five classes."""
    out.mkdir(parents=True, exist_ok=True)
    votes, marginals = voted(), np.round(TREE.marginals(conditional(voted())), 9)
    table = Table({"file": [f"votes/{file}" for file in votes["file"]], "field": votes["field"]})
    for key, column in zip(TREE.keys, marginals.T, strict=True):
        table[key] = column
    table.write(out / "votes.csv", overwrite=True)
    of_classes = classified_galaxies()
    of_classes["file", "block", *CLASSES].write(out / "classes.csv", overwrite=True)
    pack(out / "images.zip", {f"votes/{file}": (VOTES, str(file)) for file in votes["file"]})
    pictures = zip(of_classes["file"], of_classes["folder"], of_classes["picture"], strict=True)
    pack(out / "classes.zip", {str(file): (DATA / str(folder), str(picture)) for file, folder, picture in pictures})


def classified_galaxies() -> Table:
    """Galaxies with shares of the five classes: an unbiased part of the challenge by its classes, others by votes.

    The names of the latter begin with their field. Those of the former are as in the challenge, so that the hashes of
    their names put them into the parts in which they are for sdss-rgb.
    """
    votes, clean = voted(), Table.read(CLEAN / "labels.csv")
    votes = votes[np.sort(np.unique(votes["field"], return_index=True)[1])]  # two fields have two
    clean = clean[[str(row["label"]) in CLASSES and row["block"] == _UNBIASED for row in clean]]
    of_votes = shares(TREE.marginals(conditional(votes, "debiased")))
    of_clean = np.array([[float(str(label) == key) for key in CLASSES] for label in clean["label"]])
    table = Table(
        {
            "file": [*clean["file"], *(f"{row['field']}-{row['file']}" for row in votes)],
            "block": [*clean["block"], *["votes"] * len(votes)],
            "folder": [*[CLEAN.name] * len(clean), *[VOTES.name] * len(votes)],
            "picture": [*clean["file"], *votes["file"]],
        }
    )
    for key, column in zip(CLASSES, np.concatenate([of_clean, of_votes]).T, strict=True):
        table[key] = np.round(column, 9)
    return table


def pack(path: Path, pictures: dict[str, tuple[Path, str]]) -> None:
    """Write a zip of pictures under new names, from the folders and names that they have."""
    packed = {folder: zipfile.ZipFile(folder / "images.zip") for folder, _ in pictures.values()}
    places = {folder: {n.rpartition("/")[2]: n for n in each.namelist()} for folder, each in packed.items()}
    with zipfile.ZipFile(path, "w") as images:
        for name, (folder, picture) in pictures.items():
            images.writestr(name, packed[folder].read(places[folder][picture]))
