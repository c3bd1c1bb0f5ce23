"""Counted: votes of people, as tables have them, counted for the answers of a scheme."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from galmorph.errors import PipelineError, SchemeError
from galmorph.learning.cuts import rows_where
from galmorph.learning.sections import Fractions
from galmorph.sky.catalog import Catalog
from galmorph.sky.formats.plain import as_text
from galmorph.sky.scheme import Labels, Scheme
from galmorph.sky.vote_column import ONE, read_votes

__all__ = ["counted_votes"]

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]


def counted_votes(catalog: Catalog, scheme: Scheme, fractions: Fractions) -> Labels:
    """Count votes as a section ``[fractions]`` says.

    Rows that are left out, or whose numbers are missing, have no votes. Where several rows are votes on one galaxy, the
    first that counts has all of them, and the others have none.

    Raises
    ------
    PipelineError
        If the section lacks an answer, or names a column to choose rows by that is missing.
    SchemeError
        If the table lacks another column, or one has no votes: texts, negative numbers, or shares above 1.
    """
    if missing := [key for key in scheme.keys if key not in fractions.columns]:
        expected = ", ".join([*scheme.keys, "votes"])
        raise PipelineError(f"[fractions] lacks '{missing[0]}': expected one entry each for {expected}")
    chosen = rows_where(fractions.where, catalog.table)
    counts = np.stack([_sum(catalog, fractions.columns[key], chosen) for key in scheme.keys], axis=1)
    total = _sum(catalog, (fractions.shares_of,) if fractions.shares_of else fractions.votes, chosen)
    if not (fractions.votes or fractions.shares_of):
        total = np.ones(len(catalog))
    counting = chosen & np.isfinite(total) & np.isfinite(counts).all(axis=1)
    if fractions.shares_of:
        _check_shares(counts[counting], scheme, fractions)
        counts = counts * total[:, None]
    total, counts = np.where(counting, total, 0.0), np.where(counting[:, None], counts, 0.0)
    if fractions.galaxy:
        total, counts = _of_galaxies(_names(catalog, fractions.galaxy), total, counts)
    votes = np.repeat(total[:, None], len(scheme.keys), axis=1)
    return Labels(np.minimum(counts, votes), votes)


def _sum(catalog: Catalog, names: tuple[str, ...], chosen: BoolArray) -> FloatArray:
    """Add columns up, (N,); NaN where one has no number, and in rows that are not chosen."""
    for name in names:
        _check(catalog, name)
    summed: FloatArray = np.sum([read_votes(catalog.table[name], name, chosen) for name in names], axis=0)
    return summed


def _check_shares(shares: FloatArray, scheme: Scheme, fractions: Fractions) -> None:
    """Refuse what is more than all votes, such as percent: it would count as all of them."""
    if (beyond := np.flatnonzero((shares > ONE).any(axis=0))).size:
        key = scheme.keys[beyond[0]]
        raise SchemeError(
            f"labels: {' + '.join(fractions.columns[key])} of '{key}' reach {shares[:, beyond[0]].max():g}: expected "
            f"shares of the votes in '{fractions.shares_of}', from 0 to 1; divide them, or leave out shares_of"
        )


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
