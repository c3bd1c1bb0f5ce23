"""ClassAgreement: how the classes of two catalogues agree on the galaxies that both have, in all and by magnitude."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from astropy.table import Table

from galmorph.errors import CatalogError, unknown_name
from galmorph.pages.binning import wilson
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.crossmatch import positions_together
from galmorph.sky.formats.plain import as_text
from galmorph.sky.matching.finding import find_pairs
from galmorph.sky.matching.pairs import Reach
from galmorph.sky.matching.side import Side

__all__ = ["ClassAgreement", "Classes", "agreement_of", "classes_of", "magnitudes_of"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Classes = str | Mapping[str, str]
"""A column of classes, or, by class, columns of shares of which the largest counts."""

_MOST_BINS = 12


@dataclass(frozen=True)
class ClassAgreement:
    """Galaxies counted by both of their classes.

    Parameters
    ----------
    classes
        All classes of both catalogues, K.
    counts
        (1 + B, K, K): in all, and in each bin of magnitude; rows are their classes, columns ours.
    edges
        Of the bins of magnitude, (1 + B,); none where there are no bins.
    pairs
        Galaxies that both have, also those to which one of them gives no class.
    rows
        Of both catalogues.
    """

    classes: tuple[str, ...]
    counts: IntArray
    edges: FloatArray
    pairs: int
    rows: tuple[int, int]

    @property
    def galaxies(self) -> IntArray:
        """Galaxies with both classes, in all and in each bin, (1 + B,)."""
        return np.asarray(self.counts.sum(axis=(1, 2)))

    @property
    def agreeing(self) -> FloatArray:
        """Share of galaxies with the same class, (1 + B,); NaN for none."""
        return _ratio(np.trace(self.counts, axis1=1, axis2=2), self.galaxies)

    @property
    def kappa(self) -> tuple[FloatArray, FloatArray]:
        """Agreement beyond chance and its error, (1 + B,) each (Cohen 1960, EPM 20, 37); NaN where chance is all."""
        total = np.maximum(self.galaxies, 1)
        chance = np.sum(self.counts.sum(axis=1) * self.counts.sum(axis=2), axis=1) / total**2.0
        rest = np.where((chance < 1.0) & (self.galaxies > 0), 1.0 - chance, np.nan)
        error = np.sqrt(self.agreeing * (1.0 - self.agreeing) / total) / rest
        return (self.agreeing - chance) / rest, error

    def shares(self, *, ours: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the share of each class and its 68 % binomial interval, (1 + B, K) each, ours or theirs."""
        counts, total = self.counts.sum(axis=1 if ours else 2), self.galaxies[:, None]
        share = _ratio(counts, total)
        return share, *wilson(share, np.broadcast_to(total, counts.shape))

    def table(self) -> Table:
        """Return a row for each pair of classes, in all and in each bin.

        ``share`` is that of the galaxies of their class to which ours is given, with its 68 % interval.
        """
        total = self.counts.sum(axis=2, keepdims=True)
        share = _ratio(self.counts, total)
        low, high = wilson(share, np.broadcast_to(total, self.counts.shape))
        bins, theirs, ours = (indices.ravel() for indices in np.indices(self.counts.shape))
        names = np.array(self.classes, dtype=np.str_) if self.classes else np.empty(0, dtype="U1")
        lower, upper = (np.concatenate([[np.nan], ends]) for ends in (self.edges[:-1], self.edges[1:]))
        table = Table({"magnitude_low": lower[bins], "magnitude_high": upper[bins]})
        table["theirs"], table["ours"], table["n"] = names[theirs], names[ours], self.counts.ravel()
        for name, values in (("share", share), ("share_low", low), ("share_high", high)):
            table[name] = values.ravel()
        _describe(table)
        table.meta = {"GMPAIRS": self.pairs, "GMGALAX": int(self.galaxies[0])}
        table.meta |= {"GMAGREE": _card(self.agreeing[0]), "GMKAPPA": _card(self.kappa[0][0])}
        return table


def agreement_of(
    ours: tuple[Side, Classes],
    theirs: tuple[Side, Classes],
    radius_arcsec: float,
    names: Mapping[str, str],
    magnitude: str | None,
    edges: Sequence[float],
) -> ClassAgreement:
    """Match two catalogues one to one, and count galaxies by their classes in both.

    Parameters
    ----------
    ours, theirs
        Both catalogues, and which of their columns are classes.
    radius_arcsec
        Within which a galaxy is the same.
    names
        What a class is called here, by what a catalogue calls it; those that are not named keep their names.
    magnitude, edges
        A column of either catalogue, and the edges of bins; whole magnitudes where there are none.

    Raises
    ------
    CatalogError
        If a column is missing, a name is no class of either, or there is nothing to compare.
    """
    sides = (ours[0], theirs[0])
    near, far = positions_together(sides)
    pairs = find_pairs(near, far, Reach(radius_arcsec), "best")
    rows = (pairs.first, pairs.second)
    named = [classes_of(side.catalog, classes) for side, classes in (ours, theirs)]
    _check_names(names, {*_called(ours[1], named[0]), *_called(theirs[1], named[1])})
    first, second = (_renamed(each[chosen], names) for each, chosen in zip(named, rows, strict=True))
    both = (first != "") & (second != "")
    if not both.any():
        raise CatalogError(
            f"Catalogs '{sides[0].catalog.title}' and '{sides[1].catalog.title}' have {len(pairs)} galaxies in common, "
            "and none to which both give a class: expected some; look at --radius, --ours and --theirs"
        )
    if magnitude is None and len(edges):
        raise CatalogError(f"edges {list(edges)} without a magnitude: expected its column; name it with --magnitude")
    values = np.zeros(len(pairs)) if magnitude is None else magnitudes_of(magnitude, sides, rows)
    bins = _bins(values[both], edges) if magnitude is not None else np.empty(0)
    classes = sorted({*first[both].tolist(), *second[both].tolist()})
    counts = _counted(first[both], second[both], values[both], classes, bins)
    return ClassAgreement(tuple(classes), counts, bins, len(pairs), (len(sides[0].catalog), len(sides[1].catalog)))


def classes_of(catalog: Catalog, classes: Classes) -> npt.NDArray[np.str_]:
    """Return the class of each row, '' where it has none, or where two shares are the largest.

    Raises
    ------
    CatalogError
        If a column is missing.
    """
    if isinstance(classes, str):
        return np.char.strip(as_text(_column(catalog, classes)))
    shares = np.stack([np.nan_to_num(reals(_column(catalog, name)), nan=-np.inf) for name in classes.values()], axis=1)
    top = shares.max(axis=1, keepdims=True)
    is_clear = np.isfinite(top[:, 0]) & (np.sum(shares == top, axis=1) == 1)
    return np.where(is_clear, np.array(list(classes), dtype=np.str_)[shares.argmax(axis=1)], "")


def magnitudes_of(name: str, sides: Sequence[Side], rows: Sequence[IntArray]) -> FloatArray:
    """Return a column of the first of the catalogues that has it, in some of its rows.

    Raises
    ------
    CatalogError
        If none has it.
    """
    has = next((number for number, side in enumerate(sides) if name in side.catalog.table.colnames), 0)
    return reals(_column(sides[has].catalog, name))[rows[has]]


def _column(catalog: Catalog, name: str) -> Any:
    if name in catalog.table.colnames:
        return catalog.table[name]
    columns = catalog.table.colnames
    listed = ", ".join(columns[:12]) + (", …" if len(columns) > 12 else "")
    raise CatalogError(
        f"Catalog '{catalog.title}' has no column '{name}': expected one of {listed}; name it with --ours, --theirs or "
        "--magnitude"
    )


def _called(classes: Classes, named: npt.NDArray[np.str_]) -> set[str]:
    """Return what a catalogue calls its classes: those of its rows, or those that have columns."""
    return set(named.tolist()) - {""} if isinstance(classes, str) else set(classes)


def _check_names(names: Mapping[str, str], called: set[str]) -> None:
    """Refuse to call otherwise what is not there: it would be left as it was without a word."""
    for name in names:
        if name not in called:
            raise CatalogError(f"{unknown_name('class', name, called)}; correct --names")


def _renamed(classes: npt.NDArray[np.str_], names: Mapping[str, str]) -> npt.NDArray[np.str_]:
    return np.array([names.get(name, name) for name in classes.tolist()], dtype=np.str_)


def _bins(values: FloatArray, edges: Sequence[float]) -> FloatArray:
    """Return the edges of bins: those that are asked for, or whole magnitudes."""
    if len(edges):
        asked = np.asarray(edges, dtype=np.float64)
        if len(asked) < 2 or not np.all(np.diff(asked) > 0):
            raise CatalogError(f"edges {list(edges)}: expected at least two, each larger than the one before")
        return asked
    finite = values[np.isfinite(values)]
    if not len(finite):
        raise CatalogError("no galaxy with both classes has a magnitude: expected some; name another --magnitude")
    low, high = np.floor(finite.min()), np.floor(finite.max()) + 1.0
    return np.arange(low, high + 0.5, max(np.ceil((high - low) / _MOST_BINS), 1.0))


def _counted(
    ours: npt.NDArray[np.str_],
    theirs: npt.NDArray[np.str_],
    values: FloatArray,
    classes: Sequence[str],
    edges: FloatArray,
) -> IntArray:
    """Count galaxies by both classes, in all and in bins."""
    order = np.array(classes, dtype=np.str_)
    row, column = np.searchsorted(order, theirs), np.searchsorted(order, ours)
    counts = np.zeros((max(len(edges), 1), len(classes), len(classes)), dtype=np.int64)
    np.add.at(counts[0], (row, column), 1)
    number = np.searchsorted(edges, values, side="right")
    inside = (number > 0) & (number < len(edges)) & np.isfinite(values)
    np.add.at(counts, (number[inside], row[inside], column[inside]), 1)
    return counts


def _ratio(part: npt.ArrayLike, whole: npt.ArrayLike) -> FloatArray:
    parts, wholes = np.broadcast_arrays(np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64))
    return np.asarray(np.divide(parts, wholes, out=np.full(parts.shape, np.nan), where=wholes > 0))


def _card(value: float) -> float | str:
    """Return a number for a header, which has none for NaN."""
    return float(value) if np.isfinite(value) else ""


def _describe(table: Table) -> None:
    for name, about, ucd in (
        ("magnitude_low", "lower end of the bin, none: all", "phot.mag;stat.min"),
        ("magnitude_high", "upper end of the bin, none: all", "phot.mag;stat.max"),
        ("theirs", "class in the other catalogue", "src.morph.type"),
        ("ours", "class in the first catalogue", "src.morph.type"),
        ("n", "galaxies with these classes", "meta.number"),
        ("share", "of the galaxies of their class", "stat.value"),
        ("share_low", "lower end of the 68 % interval", "stat.value;stat.min"),
        ("share_high", "upper end of the 68 % interval", "stat.value;stat.max"),
    ):
        table[name].description, table[name].meta["ucd"] = about, ucd
