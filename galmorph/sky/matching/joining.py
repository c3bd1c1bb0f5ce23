"""Joining: which rows of two catalogues stand in the table that joins them; the words are those of STILTS."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.matching.pairs import Pairs
from galmorph.sky.matching.separations import BoolArray, FloatArray, IntArray

__all__ = ["JOINS", "JoinedRows", "check_join", "groups_of", "groups_of_rows", "join_rows"]

NONE = -1
"""In place of a row number: the catalogue has no row there."""


@dataclass(frozen=True)
class _Join:
    """Whether a table has the rows that match, and those of either catalogue that do not."""

    pairs: bool
    first: bool
    second: bool
    about: str


JOINS = {
    "1and2": _Join(pairs=True, first=False, second=False, about="pairs"),
    "1or2": _Join(pairs=True, first=True, second=True, about="pairs, and all other rows of both"),
    "all1": _Join(pairs=True, first=True, second=False, about="pairs, and all other rows of the first"),
    "all2": _Join(pairs=True, first=False, second=True, about="pairs, and all other rows of the second"),
    "1not2": _Join(pairs=False, first=True, second=False, about="rows of the first without a pair"),
    "2not1": _Join(pairs=False, first=False, second=True, about="rows of the second without a pair"),
    "1xor2": _Join(pairs=False, first=True, second=True, about="rows of both without a pair"),
}


@dataclass(frozen=True)
class JoinedRows:
    """The rows of a joined table.

    Parameters
    ----------
    first, second
        Row numbers in both catalogues, -1 for none.
    pair
        Number of the pair that a row is, -1 for rows without one.
    has_first, has_second, has_pairs
        Whether the table has columns of either catalogue, and of pairs.
    """

    first: IntArray
    second: IntArray
    pair: IntArray
    has_first: bool
    has_second: bool
    has_pairs: bool

    def of_pairs(self, values: FloatArray) -> FloatArray:
        """Return values of pairs as values of rows, NaN for rows that are none."""
        return np.append(values, np.nan)[self.pair]


def check_join(join: str) -> None:
    """Refuse a join that there is not.

    Raises
    ------
    CatalogError
        If so.
    """
    if join not in JOINS:
        raise CatalogError(unknown_name("join", join, JOINS))


def join_rows(pairs: Pairs, n_first: int, n_second: int, join: str) -> JoinedRows:
    """Return the rows of a joined table: in the order of the first catalogue, then those of the second alone.

    Where all rows of the second are wanted, but not of the first, they are in the order of the second.
    """
    kind = JOINS[join]
    numbers = np.arange(len(pairs)) if kind.pairs else np.empty(0, dtype=np.int64)
    lone1 = _lone(pairs.first, n_first) if kind.first else numbers[:0]
    lone2 = _lone(pairs.second, n_second) if kind.second else numbers[:0]
    first = np.concatenate([pairs.first[numbers], lone1, np.full(len(lone2), NONE)])
    second = np.concatenate([pairs.second[numbers], np.full(len(lone1), NONE), lone2])
    pair = np.concatenate([numbers, np.full(len(lone1) + len(lone2), NONE)])
    leading = second if kind.second and not kind.first else first
    order = np.lexsort((pair, np.where(leading == NONE, np.iinfo(np.int64).max, leading)))
    return JoinedRows(
        first[order],
        second[order],
        pair[order],
        has_first=join != "2not1",
        has_second=join != "1not2",
        has_pairs=kind.pairs,
    )


def groups_of(pairs: Pairs, n_first: int, n_second: int) -> tuple[IntArray, IntArray]:
    """Return of each pair the number of its group, from 1, and how many pairs that has; 0 and 1 where it is alone.

    Pairs that share a row are of one group, and so are those that share one with a third.
    """
    return numbered(_components(pairs.first, pairs.second + n_first, n_first + n_second)[pairs.first])


def groups_of_rows(pairs: Pairs, count: int) -> tuple[IntArray, IntArray]:
    """Return of each row of one catalogue, whose pairs are given, the number of its group and how many rows that has.

    They are counted as those of :func:`groups_of`.
    """
    return numbered(_components(pairs.first, pairs.second, count))


def _components(first: IntArray, second: IntArray, count: int) -> IntArray:
    """Return a number for each of so many rows, the same for those that links between rows connect."""
    links = scipy.sparse.coo_matrix((np.ones(len(first), dtype=np.int8), (first, second)), shape=(count, count))
    return np.asarray(scipy.sparse.csgraph.connected_components(links, directed=False)[1].astype(np.int64))


def numbered(members: IntArray) -> tuple[IntArray, IntArray]:
    """Return numbers, from 1 in the order in which they come, and sizes of groups; 0 for those of one member."""
    if not len(members):
        return members, members
    sizes = np.bincount(members)[members]
    shared = np.flatnonzero(sizes > 1)
    _, at, which = np.unique(members[shared], return_index=True, return_inverse=True)
    rank = np.empty(len(at), dtype=np.int64)
    rank[np.argsort(at)] = np.arange(1, len(at) + 1)
    numbers = np.zeros(len(members), dtype=np.int64)
    numbers[shared] = rank[which] if len(at) else 0
    return numbers, sizes


def _lone(rows: IntArray, count: int) -> IntArray:
    """Return the rows that are in no pair."""
    is_lone: BoolArray = np.ones(count, dtype=bool)
    is_lone[rows] = False
    return np.flatnonzero(is_lone)
