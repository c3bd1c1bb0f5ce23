"""Deblending: a blob of pixels is divided where parts of it stand apart at a higher threshold (Bertin & Arnouts 1996).

The thresholds run from the blob's own to its peak, evenly in magnitude. The way up from each pixel ends at a peak; the
pixels that share one are its basin, and what of a basin lies above a threshold hangs together. So the parts at each
threshold, the branches of a tree, are basins that touch above it: a few instead of many pixels. Two branches of a trunk
that both have enough light of their own are objects; the pixels below them are given to one of these by lot, the
likelier the more light a Gaussian fitted to it has there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import inner
from galmorph.stamps.isophote import COLUMNS, CPEAK, CXX, CXY, CYY, NPIX, A, B, X, Y, describe, grouped

__all__ = ["LEAST_PIXELS", "Blobs", "divide"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]

# SExtractor takes 32 by default. On the mocks of tests/benchmarks/mocks.py 16, 32 and 64 find the same number of
# objects; 8 miss a clump.
_LEVELS = 16
_N_COLUMNS = len(COLUMNS)
LEAST_PIXELS = 3
"""Least pixels of a part of a blob: SExtractor's."""
# A Gaussian reaches no higher above an object's peak than so many times; farther out than this many units it has no
# light.
_HIGHEST, _FARTHEST = 4.0, 70.0
# Of a generator of numbers that look random (Numerical Recipes, ch. 7): the same in every blob.
_FACTOR, _STEP, _PER_LOT = np.uint32(1664525), np.uint32(1013904223), 2.0**-32
# Less light than this is none.
_DARK = 1e-31


class Blobs(NamedTuple):
    """An image with a rim of one pixel about it, flat, and its blobs: pixels above a limit that touch.

    Parameters
    ----------
    width
        Of a row with its rim.
    data, smooth
        (P,) the image, and the same smoothed.
    is_even
        Whether the limit is the same everywhere.
    area
        Least number of pixels of a blob.
    pixels, first
        Those of one blob after the other, in their order; and where each begins, (K + 1,).
    limits
        (K,) the limit of each.
    objects, shares
        (K, columns), in the columns of :data:`galmorph.stamps.isophote.COLUMNS`, and (K,): what
        :func:`galmorph.stamps.isophote.describe` says of each as one object.
    """

    width: int
    data: FloatArray
    smooth: FloatArray
    is_even: bool
    area: int
    pixels: IntArray
    first: npt.NDArray[np.int64]
    limits: Array
    objects: Array
    shares: Array


class _Tree(NamedTuple):
    """Branches of a blob, (B,), those at the highest threshold first, the trunk of all of them last.

    Parameters
    ----------
    trunk
        The branch at the next lower threshold that each grows from.
    basin, level
        One of its basins, and its threshold.
    stands, whole
        Whether it has enough light above its threshold; and whether none of its own branches became an object.
    standing
        How many of its own branches have enough light.
    chosen
        Whether it is an object.
    """

    trunk: IntArray
    basin: IntArray
    level: IntArray
    stands: BoolArray
    whole: BoolArray
    standing: IntArray
    chosen: BoolArray


class _Land(NamedTuple):
    """Basins of a blob, (M,), joined as far as the tree has grown: by root, the number of pixels, light, and branch."""

    parent: IntArray
    size: IntArray
    light: Array
    branch: IntArray


@inner
def divide(blobs: Blobs, k: int, contrast: float, slot: IntArray) -> tuple[IntArray, Array]:
    """Divide a blob among objects.

    Parameters
    ----------
    k
        Its number.
    contrast
        Share of its light that each object has above the threshold where it stands apart.
    slot
        (P,) for notes on the pixels of the image: which of those of its blob one is; -1 before that is looked at.

    Returns
    -------
    Which object each pixel of the blob belongs to, (N,), and the places of these, (M, 2), x and y; both are empty where
    all of it is one.
    """
    members, limit = blobs.pixels[blobs.first[k] : blobs.first[k + 1]], blobs.limits[k]
    for p in range(len(members)):
        slot[members[p]] = p
    if len(members) >= 2 * LEAST_PIXELS:
        basin, m = _basins(blobs, members, slot)
        if m > 1:
            level, thresholds, light = _levels(blobs.smooth, members, limit)
            branch, tree, n = _grown(blobs, members, slot, (basin, m), level, thresholds, contrast * light)
            if not tree.whole[n - 1]:
                part, levels = _numbered(tree, n, branch)
                return part, _shared_out(blobs, members, part, thresholds, levels)
    return np.empty(0, np.int32), np.empty((0, 2))


@inner
def _levels(smooth: FloatArray, members: IntArray, limit: float) -> tuple[IntArray, FloatArray, float]:
    """Return the highest threshold that each pixel of a blob is above, (P,), the thresholds, and the blob's light."""
    peak, light = smooth[members[0]], 0.0
    for pixel in members:
        peak, light = max(peak, smooth[pixel]), light + smooth[pixel]
    span = max(peak / limit, 1.0)
    thresholds = np.empty(_LEVELS, np.float32)
    for k in range(_LEVELS):
        thresholds[k] = limit * span ** (k / _LEVELS)
    level = np.empty(len(members), np.int32)
    for p in range(len(members)):
        value, k = smooth[members[p]], 0
        for step in (8, 4, 2, 1):
            k += step if value > thresholds[k + step] else 0
        level[p] = k
    return level, thresholds, light


@inner
def _basins(blobs: Blobs, members: IntArray, slot: IntArray) -> tuple[IntArray, int]:
    """Return to which basin of a blob each of its pixels belongs, (P,), and how many basins there are."""
    smooth, width = blobs.smooth, blobs.width
    up, basin, count = np.empty(len(members), np.int32), np.empty(len(members), np.int32), 0
    for p in range(len(members)):
        pixel = int(np.int64(members[p]))
        higher = _uphill_of_all(smooth, width, pixel) if blobs.is_even else _uphill(smooth, slot, width, pixel)
        up[p] = slot[higher]
    for p in range(len(members)):
        top = _root(up, p)
        up[p] = top
        if top == p:
            basin[p] = count
            count += 1
    for p in range(len(members)):
        basin[p] = basin[up[p]]
    return basin, count


@inner
def _uphill(smooth: FloatArray, slot: IntArray, width: int, pixel: int) -> int:
    """Return the highest of a blob's pixels among one and those about it.

    Of pixels that are alike the last one is the higher, so that no way runs in a circle.
    """
    # The rows by themselves, so that none waits for the one before.
    below, least = _highest_of_three(smooth, slot, pixel - width - 1)
    best, most = _highest_of_three(smooth, slot, pixel - 1)
    above, other = _highest_of_three(smooth, slot, pixel + width - 1)
    best, most = below if least > most else best, max(least, most)
    return above if other >= most else best


@inner
def _uphill_of_all(smooth: FloatArray, width: int, pixel: int) -> int:
    """Return what :func:`_uphill` does where all pixels above one limit are the blob's: others are lower."""
    below, least = _highest_of_any_three(smooth, pixel - width - 1)
    best, most = _highest_of_any_three(smooth, pixel - 1)
    above, other = _highest_of_any_three(smooth, pixel + width - 1)
    best, most = below if least > most else best, max(least, most)
    return above if other >= most else best


@inner
def _highest_of_any_three(smooth: FloatArray, first: int) -> tuple[int, np.float32]:
    """Return the highest of three pixels in a row, the last of those that are alike, and how high it is."""
    one, two, three = smooth[first], smooth[first + 1], smooth[first + 2]
    best, most = first + 1 if two >= one else first, max(two, one)
    return first + 2 if three >= most else best, max(three, most)


@inner
def _highest_of_three(smooth: FloatArray, slot: IntArray, first: int) -> tuple[int, np.float32]:
    """Return the highest of three pixels in a row, as :func:`_uphill` does, and how high it is; none is at -inf."""
    best, most = first, np.float32(-np.inf)
    for other in range(first, first + 3):
        # Without a branch: which is the highest nobody can guess.
        value = smooth[other] if slot[other] >= 0 else np.float32(-np.inf)
        best, most = other if value >= most else best, max(value, most)
    return best, most


@inner
def _grown(
    blobs: Blobs,
    members: IntArray,
    slot: IntArray,
    basins: tuple[IntArray, int],
    level: IntArray,
    thresholds: FloatArray,
    enough: float,
) -> tuple[IntArray, _Tree, int]:
    """Return the highest branch that each pixel of a blob belongs to, (P,), all branches, and their number."""
    basin, m = basins
    size, light = _sums(blobs, members, basins, level)
    saddles, first = _saddles(blobs.width, members, slot, basin, level)
    tree, land = _seeds(m, len(members))
    highest = np.full((m, _LEVELS), -1, np.int32)
    before, n = 0, 0
    for k in range(_LEVELS - 1, 0, -1):
        if _flood(land, size[k], light[k]):
            for e in range(first[k], first[k + 1]):
                _join(land, basin[saddles[e, 0]], basin[saddles[e, 1]])
            start = n
            n = _sprout(tree, land, start)
            for b in range(before, start):
                tree.trunk[b] = land.branch[_root(land.parent, tree.basin[b])]
            _choose(tree, before, start, n)
            before = start
        _weigh(tree, land, before, n, k, thresholds[k], enough)
        for b in range(m):
            highest[b, k] = land.branch[_root(land.parent, b)]
    for b in range(before, n):
        tree.trunk[b] = n
    tree.trunk[n], tree.whole[n], tree.standing[n], tree.chosen[n] = -1, True, 0, False
    _choose(tree, before, n, n + 1)
    return _highest(highest, basin, level, n), tree, n + 1


@inner
def _highest(branch: IntArray, basin: IntArray, level: IntArray, trunk: int) -> IntArray:
    """Return the highest branch of each pixel, (P,), from those of each basin at each level, -1 for too few pixels."""
    for b in range(len(branch)):
        branch[b, 0] = trunk
        for k in range(1, _LEVELS):
            branch[b, k] = branch[b, k] if branch[b, k] >= 0 else branch[b, k - 1]
    own = np.empty(len(basin), np.int32)
    for p in range(len(basin)):
        own[p] = branch[basin[p], level[p]]
    return own


@inner
def _sums(blobs: Blobs, members: IntArray, basins: tuple[IntArray, int], level: IntArray) -> tuple[IntArray, Array]:
    """Return how many pixels of each basin are at each level, and their light, (levels, M)."""
    basin, m = basins
    size, light = np.zeros((_LEVELS, m), np.int32), np.zeros((_LEVELS, m))
    for p in range(len(members)):
        size[level[p], basin[p]] += 1
        light[level[p], basin[p]] += blobs.smooth[members[p]]
    return size, light


@inner
def _saddles(
    width: int, members: IntArray, slot: IntArray, basin: IntArray, level: IntArray
) -> tuple[IntArray, npt.NDArray[np.int64]]:
    """List touching pixels of two basins, (E, 2), by the lower level of the two; and where each level begins."""
    pairs, height, count = np.empty((4 * len(members), 2), np.int32), np.empty(4 * len(members), np.int32), 0
    for p in range(len(members)):
        below = members[p] + width
        for other in (members[p] + 1, below - 1, below, below + 1):
            q = slot[other]
            if q >= 0 and basin[q] != basin[p]:
                pairs[count, 0], pairs[count, 1], height[count] = p, q, min(level[p], level[q])
                count += 1
    order, first = grouped(height[:count], _LEVELS)
    ordered = np.empty((count, 2), np.int32)
    for e in range(count):
        ordered[e, 0], ordered[e, 1] = pairs[order[e], 0], pairs[order[e], 1]
    return ordered, first


@inner
def _flood(land: _Land, size: IntArray, light: Array) -> bool:
    """Add pixels of a level to their basins, as many as each has of them; tell whether there are any."""
    some = False
    for b in range(len(size)):
        if size[b]:
            root, some = _root(land.parent, b), True
            land.size[root] += size[b]
            land.light[root] += light[b]
    return some


@inner
def _join(land: _Land, one: int, other: int) -> None:
    """Join two basins."""
    root, other = _root(land.parent, one), _root(land.parent, other)
    if root == other:
        return
    if land.size[root] < land.size[other]:
        root, other = other, root
    land.parent[other] = root
    land.size[root] += land.size[other]
    land.light[root] += land.light[other]


@inner
def _sprout(tree: _Tree, land: _Land, n: int) -> int:
    """Write the branches of all basins that are joined, from a number on; return how many there are then."""
    start = n
    for b in range(len(land.parent)):
        root = _root(land.parent, b)
        if land.size[root] < LEAST_PIXELS:
            land.branch[root] = -1
        elif land.branch[root] < start:
            land.branch[root] = n
            tree.trunk[n], tree.basin[n] = -1, root
            tree.whole[n], tree.standing[n], tree.chosen[n] = True, 0, False
            n += 1
    return n


@inner
def _weigh(tree: _Tree, land: _Land, first: int, end: int, level: int, threshold: float, enough: float) -> None:
    """Note the level of some branches, and whether they have enough light above it."""
    for b in range(first, end):
        root = _root(land.parent, tree.basin[b])
        tree.level[b] = level
        tree.stands[b] = land.light[root] - threshold * land.size[root] > enough


@inner
def _seeds(m: int, pixels: int) -> tuple[_Tree, _Land]:
    """Make room for the branches of so many basins, which have so many pixels."""
    most = _LEVELS * min(m, pixels // LEAST_PIXELS) + 2
    numbers, marks = np.empty((4, most), np.int32), np.empty((3, most), np.bool_)
    tree = _Tree(numbers[0], numbers[1], numbers[2], marks[0], marks[1], numbers[3], marks[2])
    land = _Land(np.arange(m).astype(np.int32), np.zeros(m, np.int32), np.zeros(m), np.full(m, -1, np.int32))
    return tree, land


@inner
def _root(parent: IntArray, p: int) -> int:
    """Return what stands for all that one is joined to; and shorten the way to it."""
    while parent[p] != p:
        parent[p] = parent[parent[p]]
        p = parent[p]
    return p


@inner
def _choose(tree: _Tree, before: int, start: int, n: int) -> None:
    """Choose those of the branches of a level, from one on, that are objects, as their trunks from another on tell."""
    for b in range(before, start):
        trunk = tree.trunk[b]
        tree.standing[trunk] += 1 if tree.stands[b] else 0
        tree.whole[trunk] &= tree.whole[b]
    for b in range(before, start):
        tree.chosen[b] = tree.standing[tree.trunk[b]] > 1 and tree.stands[b] and tree.whole[b]
    for b in range(start, n):
        tree.whole[b] &= tree.standing[b] < 2


@inner
def _numbered(tree: _Tree, n: int, branch: IntArray) -> tuple[IntArray, IntArray]:
    """Return which of a blob's parts each of its pixels belongs to, (P,), -1 for none, and the level of each part."""
    number, level, m = np.full(n, -1, np.int32), np.empty(n, np.int32), 0
    for b in range(n - 1, -1, -1):
        if tree.chosen[b]:
            number[b], level[m] = m, tree.level[b]
            m += 1
        elif tree.trunk[b] >= 0:
            number[b] = number[tree.trunk[b]]
    part = np.empty(len(branch), np.int32)
    for p in range(len(branch)):
        part[p] = number[branch[p]]
    return part, level[:m]


@inner
def _shared_out(blobs: Blobs, members: IntArray, part: IntArray, thresholds: FloatArray, level: IntArray) -> Array:
    """Give the pixels of a blob that belong to none of its parts to one of these; return where these are, (M, 2)."""
    pixels, first = grouped(part, len(level))
    places = np.empty((len(level), 2))
    gaussians, one = np.empty((len(level), 6)), np.empty(_N_COLUMNS)
    for k in range(len(level)):
        own = pixels[first[k] : first[k + 1]]
        for p in range(len(own)):
            own[p] = members[own[p]]
        share = describe(one, own, blobs.width, blobs.data, blobs.smooth, thresholds[level[k]], math.nan, math.nan)
        places[k, 0], places[k, 1] = one[X], one[Y]
        _fit(gaussians[k], one, share, thresholds[0])
    lot, light = np.uint32(1), np.empty(len(level))
    row = members[0] // blobs.width
    for p in range(len(members)):
        row += 1 if members[p] >= (row + 1) * blobs.width else 0
        if part[p] < 0:
            lot = np.uint32(lot * _FACTOR + _STEP)
            part[p] = _drawn(gaussians, members[p] - row * blobs.width - 1, row - 1, lot * _PER_LOT, light)
    return places


@inner
def _fit(gaussian: Array, one: Array, share: float, limit: float) -> None:
    """Write place, exponents (xx, yy, xy) and height of the Gaussian that an object looks like."""
    exponent, most = one[NPIX] / (2.0 * math.pi * share * one[A] * one[B]), _HIGHEST * one[CPEAK]
    height = limit * math.exp(exponent) if exponent < _FARTHEST else most
    gaussian[0], gaussian[1], gaussian[5] = one[X], one[Y], min(height, most)
    narrow = 0.5 / share
    gaussian[2], gaussian[3], gaussian[4] = narrow * one[CXX], narrow * one[CYY], narrow * one[CXY]


@inner
def _drawn(gaussians: Array, x: int, y: int, lot: float, light: Array) -> int:
    """Draw the Gaussian that a pixel belongs to, by its share of the light there; the nearest where there is none."""
    total, nearest, least = 0.0, 0, math.inf
    for k in range(len(gaussians)):
        dx, dy = x - gaussians[k, 0], y - gaussians[k, 1]
        away = gaussians[k, 2] * dx * dx + gaussians[k, 3] * dy * dy + gaussians[k, 4] * dx * dy
        if away < least:
            nearest, least = k, away
        total += gaussians[k, 5] * math.exp(-away) if away < _FARTHEST else 0.0
        light[k] = total
    if total > _DARK:
        for k in range(len(gaussians)):
            if light[k] >= lot * total:
                return k
    return nearest
