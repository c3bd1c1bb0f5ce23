"""Finding: which of all pairs are kept; the words are those of STILTS."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from galmorph.errors import CatalogError, unknown_name
from galmorph.sky.matching.pairs import Pairs, Reach, pairs_within
from galmorph.sky.matching.separations import BoolArray, SkyPositions

__all__ = ["FINDS", "find_pairs", "kept"]


def find_pairs(first: SkyPositions, second: SkyPositions, reach: Reach, find: str) -> Pairs:
    """Return the pairs that are asked for, by row of the first, then of the second.

    Parameters
    ----------
    first, second
        Positions of both catalogues.
    reach
        How far apart they may be.
    find
        One of `FINDS`.

    Raises
    ------
    CatalogError
        If there is no such way, or there are too many pairs.
    """
    check_find(find)
    if find == "best2":
        return find_pairs(second, first, reach, "best1").mirrored
    if find == "best1":
        return pairs_within(first, second, reach, best_of_first)
    return kept(pairs_within(first, second, reach), find)


def check_find(find: str) -> None:
    """Refuse a way that there is not.

    Raises
    ------
    CatalogError
        If so.
    """
    if find not in FINDS:
        raise CatalogError(unknown_name("way to choose among pairs (--find)", find, FINDS))


def kept(pairs: Pairs, find: str) -> Pairs:
    """Choose among all pairs: see `FINDS`."""
    return FINDS[find](pairs)


def best_of_first(pairs: Pairs) -> Pairs:
    """Keep the best pair of each row of the first catalogue; of equally good ones that with the earlier row."""
    is_kept = _is_alone(pairs.first)
    rest = np.flatnonzero(~is_kept)  # few as a rule: the others need no sorting
    order = rest[np.lexsort((pairs.second[rest], pairs.score[rest], pairs.first[rest]))]
    rows = pairs.first[order]
    is_kept[order] = np.concatenate([np.ones(min(len(rows), 1), dtype=bool), rows[1:] != rows[:-1]])
    return pairs[is_kept]


def _best_of_second(pairs: Pairs) -> Pairs:
    return best_of_first(pairs.mirrored).mirrored


def _one_to_one(pairs: Pairs) -> Pairs:
    """Keep the best pair of all, then the best of the rows that are left, and so on.

    Of equally good pairs, the one with the least sum of row numbers comes first, then the one whose row numbers are
    nearer: no pair of those that are still equal shares a row, so that the order of the catalogues makes no difference.
    """
    alone = _is_alone(pairs.first) & _is_alone(pairs.second)
    rest = np.flatnonzero(~alone)
    i, j = pairs.first[rest], pairs.second[rest]
    order = rest[np.lexsort((np.abs(i - j), i + j, pairs.score[rest]))]
    is_kept = alone.copy()
    taken1: set[int] = set()
    taken2: set[int] = set()
    for at, row1, row2 in zip(order.tolist(), pairs.first[order].tolist(), pairs.second[order].tolist(), strict=True):
        if row1 not in taken1 and row2 not in taken2:
            taken1.add(row1)
            taken2.add(row2)
            is_kept[at] = True
    return pairs[is_kept]


def _is_alone(rows: np.ndarray[tuple[int], np.dtype[np.int64]]) -> BoolArray:
    """Tell which row numbers occur once."""
    if not len(rows):
        return np.ones(0, dtype=bool)
    return np.asarray(np.bincount(rows)[rows] == 1)


def _all(pairs: Pairs) -> Pairs:
    return pairs


FINDS: dict[str, Callable[[Pairs], Pairs]] = {
    "best": _one_to_one,
    "best1": best_of_first,
    "best2": _best_of_second,
    "all": _all,
}
"""Symmetric one-to-one; the best of each row of the first, or of the second; all pairs."""
