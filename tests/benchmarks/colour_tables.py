"""Tables for the benchmark of colour: galaxies with the votes of all questions of Galaxy Zoo 2 (Hart et al. 2016).

They are rich in cigars, edge-on discs and mergers. From their votes follow shares of five classes, and classes by cuts.
Rows keep to one side of a split by their field: the run, camcol and field of the objid.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.sky.scheme import load_scheme

__all__ = ["CLASSES", "TREE", "classes", "conditional", "join", "shares", "voted"]

FloatArray = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT.parent / "shared" / "data"
CLASSES = load_scheme("gz2-simple").keys
TREE = load_scheme("gz2")
# Columns of the votes, with their questions and answers by their numbers.
_WEIGHTED = re.compile(r"t(\d\d)_\w+_a(\d\d)_\w+_weighted_fraction")
_SHARE = {
    "smooth_round": "roundness__round",
    "smooth_in_between": "roundness__in_between",
    "smooth_cigar": "roundness__cigar",
    "edge_on": "edge_on__yes",
    "spiral": "spiral__yes",
}
_OBJECT_BITS = 16  # the last of an objid; before them sky version, rerun, run, camcol and field


def voted() -> Table:
    """Read the galaxies with votes on all questions; `field` is where they stand."""
    table = Table.read(DATA / "sdss_gz2_votes" / "labels.csv")
    table["field"] = [str(int(objid) >> _OBJECT_BITS) for objid in table["objid"]]
    return table


def conditional(table: Table) -> FloatArray:
    """Fractions of those who were asked, (N, 37), in the order of the tree; 0 where nobody was."""
    columns: dict[str, list[str]] = {}
    for question, _, name in sorted((m[1], m[2], m[0]) for m in map(_WEIGHTED.fullmatch, table.colnames) if m):
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
    """Write `votes.csv`, with the fractions that gave each answer among all, and `images.zip`."""
    out.mkdir(parents=True, exist_ok=True)
    votes = voted()
    marginals = np.round(TREE.marginals(conditional(votes)), 9)
    table = Table({"file": [f"votes/{file}" for file in votes["file"]], "field": votes["field"]})
    for key, column in zip(TREE.keys, marginals.T, strict=True):
        table[key] = column
    table.write(out / "votes.csv", overwrite=True)
    with (
        zipfile.ZipFile(out / "images.zip", "w") as images,
        zipfile.ZipFile(DATA / "sdss_gz2_votes" / "images.zip") as packed,
    ):
        for name in packed.namelist():
            images.writestr(f"votes/{name.rpartition('/')[2]}", packed.read(name))
