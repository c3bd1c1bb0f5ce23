"""Clumps: faint objects that lie within a brighter one and touch it are parts of that one, as arms and knots are."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.isophote import CXX, CXY, CYY, FLUX, X, Y, absorb

__all__ = ["is_clump", "join", "touching"]

IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

# A touching object is a clump of a brighter one if it is nearer to its middle than so many of its semi-axes and has
# less than a share of its flux.
_CLUMPS = (2.5, 0.7), (3.0, 0.3)


@inner
def touching(part: IntArray, members: IntArray, slot: IntArray, width: int, n: int) -> Numbers:
    """Return which of the n parts of a blob have pixels next to each other: n times the one plus the other.

    Parameters
    ----------
    part
        Number of the part of each pixel of the blob; -1 for none.
    members
        These pixels.
    slot
        Which of them each pixel of the image is, flat, with a rim of one pixel about it; -1 for none.
    width
        Of a row with its rim.
    """
    pairs, count = np.empty(2 * len(members), np.int64), 0
    for p in range(len(members)):
        one = part[p]
        for pixel in (members[p] + 1, members[p] + width):
            other = part[slot[pixel]] if slot[pixel] >= 0 else -1
            if one >= 0 and other >= 0 and other != one:
                pairs[count] = n * np.int64(min(one, other)) + max(one, other)
                count += 1
    return np.unique(pairs[:count])


@inner
def join(objects: Array, pairs: Numbers) -> Numbers:
    """Give clumps to the objects that they belong to, the faintest first; return of each object what it belongs to.

    Parameters
    ----------
    objects
        Their table, in the columns of :data:`galmorph.stamps.isophote.COLUMNS`; changed in place.
    pairs
        Those that touch, as of :func:`touching`.
    """
    n = len(objects)
    owner, light = np.arange(n), np.empty(len(pairs))
    for k in range(len(pairs)):
        light[k] = min(objects[pairs[k] // n, FLUX], objects[pairs[k] % n, FLUX])
    for k in np.argsort(light, kind="mergesort"):
        child, parent = owner[pairs[k] // n], owner[pairs[k] % n]
        if objects[child, FLUX] > objects[parent, FLUX]:
            child, parent = parent, child
        if child != parent and is_clump(objects[child], objects[parent]):
            absorb(objects[parent], objects[child])
            for i in range(n):
                owner[i] = parent if owner[i] == child else owner[i]
    return owner


@compiled
def is_clump(child: Array, parent: Array) -> bool:
    """Tell a part of a galaxy from a neighbour: faint for how near to the middle it lies."""
    dx, dy = child[X] - parent[X], child[Y] - parent[Y]
    away = math.sqrt(max(parent[CXX] * dx * dx + parent[CYY] * dy * dy + parent[CXY] * dx * dy, 0.0))
    nearest, fainter = _CLUMPS
    share = nearest[1] if away < nearest[0] else fainter[1] if away < fainter[0] else 0.0
    return bool(child[FLUX] < share * parent[FLUX])
