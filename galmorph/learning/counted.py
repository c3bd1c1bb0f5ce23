"""Counted: votes of people, as tables have them, counted for the answers of a scheme."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, SchemeError
from galmorph.learning.cuts import rows_where
from galmorph.learning.sections import Fractions
from galmorph.sky.catalog import Catalog, reals
from galmorph.sky.formats.plain import as_text
from galmorph.sky.scheme import Labels, Scheme

__all__ = ["counted_votes"]

FloatArray = npt.NDArray[np.float64]


def counted_votes(catalog: Catalog, scheme: Scheme, fractions: Fractions) -> Labels:
    """Count votes as a section ``[fractions]`` says.

    Rows that are left out, or whose numbers are missing, have no votes. Where several rows are votes on one galaxy, the
    first that counts has all of them, and the others have none.

    Raises
    ------
    PipelineError
        If the section lacks an answer, or names a column to choose rows by that is missing.
    SchemeError
        If the table lacks another column.
    """
    if missing := [key for key in scheme.keys if key not in fractions.columns]:
        expected = ", ".join([*scheme.keys, "votes"])
        raise PipelineError(f"[fractions] lacks '{missing[0]}': expected one entry each for {expected}")
    counts = np.stack([_sum(catalog, fractions.columns[key]) for key in scheme.keys], axis=1)
    total = _sum(catalog, (fractions.shares_of,) if fractions.shares_of else fractions.votes)
    if not (fractions.votes or fractions.shares_of):
        total = np.ones(len(catalog))
    counting = rows_where(fractions.where, catalog.table) & np.isfinite(total) & np.isfinite(counts).all(axis=1)
    if fractions.shares_of:
        counts = counts * total[:, None]
    total, counts = np.where(counting, total, 0.0), np.where(counting[:, None], counts, 0.0)
    if fractions.galaxy:
        total, counts = _of_galaxies(_names(catalog, fractions.galaxy), total, counts)
    votes = np.repeat(total[:, None], len(scheme.keys), axis=1)
    return Labels(np.minimum(counts, votes), votes)


def _sum(catalog: Catalog, names: tuple[str, ...]) -> FloatArray:
    """Add columns up, (N,); NaN where one has no number."""
    for name in names:
        _check(catalog, name)
    summed: FloatArray = np.sum([reals(catalog.table[name]) for name in names], axis=0)
    return summed


def _names(catalog: Catalog, name: str) -> npt.NDArray[np.str_]:
    _check(catalog, name)
    return np.char.strip(as_text(catalog.table[name]))


def _check(catalog: Catalog, name: str) -> None:
    if name not in catalog.table.colnames:
        raise SchemeError(f"the labels have no column '{name}', which [fractions] of the pipeline names")


def _of_galaxies(names: npt.NDArray[np.str_], total: FloatArray, counts: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Give the first row of each galaxy the votes of all of its rows; rows without a name have none."""
    rows = np.flatnonzero((total > 0) & (names != ""))
    _, start, of = np.unique(names[rows], return_index=True, return_inverse=True)
    first = rows[start][of]
    totals, sums = np.zeros_like(total), np.zeros_like(counts)
    np.add.at(totals, first, total[rows])
    np.add.at(sums, first, counts[rows])
    return totals, sums
