"""Duplicates: groups of rows that are as good as the same, each of them near another of its group."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import scipy

__all__ = ["groups_above"]

Single = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

_AT_ONCE = 2048
"""Rows compared with all others together: 800 MB with 100 000."""


def groups_above(units: Single, above: float) -> tuple[IntArray, IntArray, Single]:
    """Find rows with a neighbour at least so near; all pairs are compared, which takes a minute for 100 000 rows.

    Parameters
    ----------
    units
        (M, D) directions.
    above
        Least product.

    Returns
    -------
    Places, (K,), group by group, those with the likest pair first; the number of each one's group, from 1; and the
    product with its nearest.
    """
    pairs = [_pairs(units, first, above) for first in range(0, len(units), _AT_ONCE)]
    left, right, products = (np.concatenate(part) for part in zip(*pairs, strict=True))
    graph = scipy.sparse.coo_array((np.ones(len(left)), (left, right)), shape=(len(units),) * 2)
    _, group = scipy.sparse.csgraph.connected_components(graph, directed=False)
    nearest = np.full(len(units), -np.inf, np.float32)
    for side in (left, right):
        np.maximum.at(nearest, side, products)
    places = np.flatnonzero(np.isfinite(nearest))
    best = np.full(group.max(initial=-1) + 1, -np.inf, np.float32)
    np.maximum.at(best, group[places], nearest[places])
    order = places[np.lexsort((places, group[places], -best[group[places]]))]
    new = np.append(True, np.diff(group[order]) != 0)[: len(order)]
    return order, np.cumsum(new), nearest[order]


def _pairs(units: Single, first: int, above: float) -> tuple[IntArray, IntArray, Single]:
    """Return pairs of some rows with those after them that are as near."""
    products = units[first : first + _AT_ONCE] @ units[first:].T
    left, right = np.nonzero(products >= above)
    later = right > left
    left, right = left[later], right[later]
    return left + first, right + first, products[left, right]
