"""AnsweredRows: the rows of a result that are counted, with their probabilities and bins, and why others are not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import CatalogError
from galmorph.flags import MEANINGS, Flag
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.scheme import Scheme

__all__ = ["AnsweredRows", "BinEdges", "Bins", "number_or_edges"]

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
BinEdges = int | Sequence[float]
"""So many bins with as many galaxies each, or the edges of bins."""

_USUAL = {1: 5, 2: 3}
"""Bins of each column, by how many columns there are."""
_MOST_COLUMNS = 2
_MOST = 1000
"""Bins in all: more are a slip of the pen."""


@dataclass(frozen=True)
class Bins:
    """Bins in one or two columns, or one of all rows.

    Parameters
    ----------
    names
        Of the columns.
    edges
        Of each, (E,), increasing.
    """

    names: tuple[str, ...] = ()
    edges: tuple[FloatArray, ...] = ()

    def __len__(self) -> int:
        return int(np.prod(self.shape)) if self.names else 1

    @property
    def shape(self) -> tuple[int, ...]:
        """Bins of each column."""
        return tuple(len(edges) - 1 for edges in self.edges)

    def number(self, values: FloatArray) -> IntArray:
        """Return the bin of each row, (N,), of values (N, columns); -1 for none. The last edge belongs to the last."""
        inside, number = np.ones(len(values), np.bool_), np.zeros(len(values), np.int64)
        for column, edges in zip(values.T, self.edges, strict=True):
            place = np.searchsorted(edges, column, side="right") - 1
            place = np.where(column == edges[-1], len(edges) - 2, place)
            inside &= (place >= 0) & (place < len(edges) - 1) & np.isfinite(column)
            number = number * (len(edges) - 1) + np.clip(place, 0, len(edges) - 2)
        return np.where(inside, number, -1)

    def ends(self, column: int) -> tuple[FloatArray, FloatArray]:
        """Return the ends of all bins in a column, (bins,) each."""
        place = np.unravel_index(np.arange(len(self)), self.shape)[column]
        return self.edges[column][place], self.edges[column][place + 1]


@dataclass(frozen=True)
class AnsweredRows:
    """Rows that are counted.

    Parameters
    ----------
    marginals
        (N, A) probabilities among all galaxies, in the order of the scheme's keys.
    weight
        (N,) what each counts.
    values
        (N, columns) of what the bins are in.
    rows
        Of the whole catalogue.
    left_out
        Why others are not counted, each once: reason and number of rows.
    cut_by
        Number of rows with each flag of the cut; a row may have several.
    """

    marginals: FloatArray
    weight: FloatArray
    values: FloatArray
    rows: int
    left_out: Mapping[str, int]
    cut_by: Mapping[Flag, int]

    @classmethod
    def of(
        cls, catalog: Catalog, scheme: Scheme, prefix: str, by: Sequence[str], weight: str | None, cut: Flag
    ) -> AnsweredRows:
        """Take the rows of a result that have probabilities, values and none of the flags of a cut.

        Raises
        ------
        CatalogError
            If it is no result of the scheme's answers, or lacks a column.
        """
        if len(by) > _MOST_COLUMNS or len(set(by)) < len(by):
            raise CatalogError(f"bins in {', '.join(by)}: expected one or two columns; name each once in --by")
        marginals = _marginals(catalog, scheme, prefix)
        values = np.stack([_values(catalog, n) for n in by], axis=1) if by else np.zeros((len(catalog), 0))
        weights = np.ones(len(catalog)) if weight is None else _values(catalog, weight)
        flags = _flags(catalog, f"{prefix}flags", cut)
        with np.errstate(invalid="ignore"):
            reasons = {
                "cut by flags": (flags & int(cut)) != 0,
                "no probabilities": ~np.isfinite(marginals).all(axis=1),
                **{f"no value of {name}": ~np.isfinite(values[:, i]) for i, name in enumerate(by)},
                f"no positive {weight}": ~(np.isfinite(weights) & (weights > 0)),
            }
        left, counts = _reasoned(reasons)
        by_flag = {f: int(((flags & int(f) & int(cut)) != 0).sum()) for f in MEANINGS}
        some = {flag: count for flag, count in by_flag.items() if count}
        return cls(marginals[left], weights[left], values[left], len(catalog), counts, some)

    def bins(self, names: Sequence[str], asked: Mapping[str, BinEdges]) -> Bins:
        """Make the bins that were asked for: with as many galaxies each, or of given edges.

        Raises
        ------
        CatalogError
            If edges do not increase, or are of a column that there is not.
        """
        if astray := next((name for name in asked if name not in names), None):
            raise CatalogError(
                f"bins of '{astray}': expected one of {', '.join(names) or 'no columns'}; add it to --by"
            )
        usual = _USUAL.get(len(names), 1)
        edges = tuple(_edges(name, asked.get(name, usual), self.values[:, i]) for i, name in enumerate(names))
        bins = Bins(tuple(names), edges)
        if len(bins) > _MOST:
            raise CatalogError(f"{len(bins)} bins: expected at most {_MOST}; ask for fewer with --bins")
        return bins


def _reasoned(reasons: Mapping[str, BoolArray]) -> tuple[BoolArray, dict[str, int]]:
    """Return which rows are left, and for how many each reason was the first."""
    left, counts = np.ones(len(next(iter(reasons.values()))), np.bool_), {}
    for reason, rows in reasons.items():
        if (count := int((left & rows).sum())) > 0:
            counts[reason] = count
        left &= ~rows
    return left, counts


def _marginals(catalog: Catalog, scheme: Scheme, prefix: str) -> FloatArray:
    """Return the probabilities of all answers, (N, A)."""
    names = scheme.column_names(prefix)
    if absent := next((name for name in names if name not in catalog.table.colnames), None):
        raise CatalogError(
            f"Catalog '{catalog.title}' has no column {absent}: expected a result of 'galmorph classify' with those of "
            f"scheme '{scheme.name}'; give one, or name its --prefix or --scheme"
        )
    values = np.stack([reals(catalog.table[name]) for name in names], axis=1)
    with np.errstate(invalid="ignore"):
        is_chance = np.isfinite(values) & (values >= 0.0) & (values <= 1.0 + 1e-5)
    return np.where(is_chance, values, np.nan)


def _values(catalog: Catalog, name: str) -> FloatArray:
    """Return a column of numbers, (N,)."""
    if name not in catalog.table.colnames:
        columns = ", ".join(catalog.table.colnames[:12])
        raise CatalogError(f"Catalog '{catalog.title}' has no column '{name}': known are {columns}; name one of these")
    if np.ndim(catalog.table[name]) > 1:
        raise CatalogError(f"Catalog '{catalog.title}': column '{name}' has several values in each row; name another")
    values = reals(catalog.table[name])
    if len(values) and not np.isfinite(values).any():
        raise CatalogError(f"Catalog '{catalog.title}': column '{name}' has no numbers, expected some; name another")
    return values


def _flags(catalog: Catalog, name: str, cut: Flag) -> IntArray:
    """Return the flags of all rows; a cell without a value has none."""
    if name not in catalog.table.colnames and not cut:
        return np.zeros(len(catalog), np.int64)
    return np.nan_to_num(_values(catalog, name)).astype(np.int64)


def _edges(name: str, asked: BinEdges, values: FloatArray) -> FloatArray:
    """Return the edges of bins in a column."""
    if isinstance(asked, int):
        if asked < 1:
            raise CatalogError(f"{asked} bins of '{name}': expected at least 1; ask for more, or give edges")
        if not len(values):
            return np.array([0.0, 1.0])
        edges = np.unique(np.quantile(values, np.linspace(0.0, 1.0, asked + 1)))
        return edges if len(edges) > 1 else np.array([edges[0], np.nextafter(edges[0], np.inf)])
    edges = np.array(list(asked), dtype=np.float64)
    if len(edges) < 2 or not np.isfinite(edges).all() or (np.diff(edges) <= 0).any():
        raise CatalogError(f"edges of bins of '{name}': expected two or more numbers that increase, such as 18,20,22")
    return edges


def number_or_edges(text: str) -> Any:
    """Read what `BinEdges` is from words: ``5``, or ``18,20,22``.

    Raises
    ------
    ValueError
        If it is neither.
    """
    return [float(word) for word in text.split(",")] if "," in text else int(text)
