"""Deblending: a blob of pixels is divided where parts of it stand apart at a higher threshold (Bertin & Arnouts 1996).

The thresholds run from the blob's own to its peak, evenly in magnitude. Parts at each of them, the branches of a tree,
come out of one pass from the brightest pixels down, which joins each pixel to the brighter ones about it. Two branches
of a trunk that both have enough light of their own are objects; the pixels below them are given to one of these by lot,
the likelier the more light a Gaussian fitted to it has there.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import inner
from galmorph.stamps.isophote import COLUMNS, CPEAK, CXX, CXY, CYY, NPIX, A, B, X, Y, describe, grouped

__all__ = ["Blobs", "divide"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]

# SExtractor takes 32 by default. On the mocks of tests/benchmarks/mocks.py 16, 32 and 64 find the same number of
# objects; 8 miss a clump.
_LEVELS = 16
_N_COLUMNS = len(COLUMNS)
# Least pixels of a branch: SExtractor's.
_LEAST = 3
# A Gaussian reaches no higher above an object's peak than so many times; farther out than this many units it has no
# light.
_HIGHEST, _FARTHEST = 4.0, 70.0
# Of a generator of numbers that look random (Numerical Recipes, ch. 7): the same in every blob.
_FACTOR, _STEP, _PER_LOT = np.uint32(1664525), np.uint32(1013904223), 2.0**-32
# Less light than this is none.
_DARK = 1e-31


class Blobs(NamedTuple):
    """An image with a rim of one pixel about it, flat, and what its pixels belong to.

    Parameters
    ----------
    width
        Of a row with its rim.
    data, smooth
        (P,) the image, and the same smoothed.
    owner
        (P,) number of the object that a pixel belongs to, -1 for none.
    slot
        (P,) which of the pixels of its blob one is, once the tree of branches has grown to it; -1 before.
    places
        (K, 2) x and y of the objects that were parts of a blob; NaN for others.
    """

    width: int
    data: FloatArray
    smooth: FloatArray
    owner: IntArray
    slot: IntArray
    places: Array


class _Tree(NamedTuple):
    """Branches of a blob, (B,), those at the highest threshold first, the trunk of all of them last.

    Parameters
    ----------
    trunk
        The branch at the next lower threshold that each grows from.
    pixel, level
        One of its pixels, as a place in the blob, and its threshold.
    stands, whole
        Whether it has enough light above its threshold; and whether none of its own branches became an object.
    standing
        How many of its own branches have enough light.
    chosen
        Whether it is an object.
    """

    trunk: IntArray
    pixel: IntArray
    level: IntArray
    stands: BoolArray
    whole: BoolArray
    standing: IntArray
    chosen: BoolArray


class _Wood(NamedTuple):
    """Pixels of a blob, (P,), joined as far as the tree has grown: by root, how many, their light, and branch."""

    parent: IntArray
    size: IntArray
    light: Array
    branch: IntArray


@inner
def divide(blobs: Blobs, members: IntArray, limit: float, contrast: float, count: int) -> int:
    """Give the objects of a blob numbers, from a count on.

    Parameters
    ----------
    members
        Pixels of the blob, in their order.
    limit
        Its threshold.
    contrast
        Share of its light that each object has above the threshold where it stands apart.

    Returns
    -------
    The count with its objects.
    """
    if len(members) >= 2 * _LEAST:
        level, thresholds, light = _levels(blobs.smooth, members, limit)
        branch, tree, n = _grown(blobs, members, level, thresholds, contrast * light)
        if not tree.whole[n - 1]:
            part, levels = _numbered(tree, n, branch)
            _share_out(blobs, members, part, thresholds, levels, blobs.places[count:])
            for p in range(len(members)):
                blobs.owner[members[p]] = count + part[p]
            return count + len(levels)
    for pixel in members:
        blobs.owner[pixel] = count
    blobs.places[count, 0] = blobs.places[count, 1] = math.nan
    return count + 1


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
def _grown(
    blobs: Blobs, members: IntArray, level: IntArray, thresholds: FloatArray, enough: float
) -> tuple[IntArray, _Tree, int]:
    """Return the highest branch that each pixel of a blob belongs to, (P,), all branches, and their number."""
    tree, wood = _seeds(len(members))
    order, first = grouped(level, _LEVELS)
    branch, small = np.empty(len(members), np.int32), np.empty(len(members), np.int32)
    before, n, n_small = 0, 0, 0
    for k in range(_LEVELS - 1, 0, -1):
        if first[k] < first[k + 1]:
            _join(blobs.width, blobs.smooth, members, blobs.slot, order, first[k], first[k + 1], *wood[:3])
            start = n
            n = _sprout(tree, wood, tree.pixel, before, start, tree.trunk, start, n)
            for p in order[first[k] : first[k + 1]]:
                small[n_small] = p
                n_small += 1
            n = _sprout(tree, wood, small, 0, n_small, branch, start, n)
            n_small = _left(small, n_small, branch)
            _choose(tree, before, start, n)
            before = start
        _weigh(tree, wood, before, n, k, thresholds[k], enough)
    for b in range(before, n):
        tree.trunk[b] = n
    tree.trunk[n], tree.whole[n], tree.standing[n], tree.chosen[n] = -1, True, 0, False
    _choose(tree, before, n, n + 1)
    for p in range(len(members)):
        branch[p] = n if level[p] == 0 or branch[p] < 0 else branch[p]
    return branch, tree, n + 1


@inner
def _weigh(tree: _Tree, wood: _Wood, first: int, end: int, level: int, threshold: float, enough: float) -> None:
    """Note the level of some branches, and whether they have enough light above it."""
    for b in range(first, end):
        root = _root(wood.parent, tree.pixel[b])
        tree.level[b] = level
        tree.stands[b] = wood.light[root] - threshold * wood.size[root] > enough


@inner
def _seeds(n: int) -> tuple[_Tree, _Wood]:
    """Make room for the branches of so many pixels."""
    most = _LEVELS * n // _LEAST + 2
    numbers, marks = np.empty((4, most), np.int32), np.empty((3, most), np.bool_)
    tree = _Tree(numbers[0], numbers[1], numbers[2], marks[0], marks[1], numbers[3], marks[2])
    wood = _Wood(np.empty(n, np.int32), np.empty(n, np.int32), np.empty(n, np.float64), np.full(n, -1, np.int32))
    return tree, wood


@inner
def _join(
    width: int,
    smooth: FloatArray,
    members: IntArray,
    slot: IntArray,
    order: IntArray,
    first: int,
    end: int,
    parent: IntArray,
    size: IntArray,
    light: Array,
) -> None:
    """Join some pixels of a blob, in their order, to those about them that are there."""
    steps = np.array([-width - 1, -width, -width + 1, -1, 1, width - 1, width, width + 1])
    for p in order[first:end]:
        pixel, root = members[p], p
        slot[pixel], parent[p], size[p], light[p] = p, p, 1, smooth[pixel]
        for step in steps:
            other = slot[pixel + step]
            if other < 0 or parent[other] == root:
                continue
            other = _root(parent, other)
            if other == root:
                continue
            if size[root] < size[other]:
                root, other = other, root
            parent[other] = root
            size[root] += size[other]
            light[root] += light[other]


@inner
def _root(parent: IntArray, p: int) -> int:
    """Return the pixel that stands for all that one is joined to; and shorten the way to it."""
    while parent[p] != p:
        parent[p] = parent[parent[p]]
        p = parent[p]
    return p


@inner
def _sprout(
    tree: _Tree, wood: _Wood, pixels: IntArray, first: int, end: int, branch: IntArray, start: int, n: int
) -> int:
    """Write the branches of some pixels, those from one on, and return how many there are then; -1 for too few pixels.

    That of the k-th pixel goes to its own place, or to the k-th if these are pixels of branches.
    """
    own = len(branch) == len(wood.parent)
    for k in range(first, end):
        root = _root(wood.parent, pixels[k])
        at = pixels[k] if own else k
        if wood.size[root] < _LEAST:
            branch[at] = -1
            continue
        if wood.branch[root] < start:
            wood.branch[root] = n
            tree.trunk[n], tree.pixel[n] = -1, root
            tree.whole[n], tree.standing[n], tree.chosen[n] = True, 0, False
            n += 1
        branch[at] = wood.branch[root]
    return n


@inner
def _left(small: IntArray, n: int, branch: IntArray) -> int:
    """Keep those of some pixels that have no branch yet; return how many these are."""
    left = 0
    for k in range(n):
        if branch[small[k]] < 0:
            small[left] = small[k]
            left += 1
    return left


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
def _share_out(
    blobs: Blobs, members: IntArray, part: IntArray, thresholds: FloatArray, level: IntArray, places: Array
) -> None:
    """Give the pixels of a blob that belong to none of its parts to one of these; write where these are, (m, 2)."""
    pixels, first = grouped(part, len(level))
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
