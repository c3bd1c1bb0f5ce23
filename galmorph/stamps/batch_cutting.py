"""BatchCutting: upright views of many galaxies of one image, cut by compiled code without Python in between.

Each stamp is that of :func:`galmorph.stamps.cutting.make_views`, to the bit, and stretched. Colours, views at other
angles, displays and softened images are cut one by one there, and so is the rare stamp that needs more than arithmetic.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner, uninterrupted
from galmorph.stamps.cutting import MARGIN_PX, compress
from galmorph.stamps.filling import corners_of, fill_planes, less, noise_field
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.spline import box_means, running_sum
from galmorph.stamps.views import reach_of
from galmorph.stamps.warp import is_upright

__all__ = ["Sights", "are_plain", "cut_batch"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int32]
DoubleArray = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]


class Sights(NamedTuple):
    """N galaxies of an image.

    Parameters
    ----------
    pixels, labels
        Linear flux, and which object each pixel belongs to, (H, W).
    correlation_px
        Of the noise.
    windows
        (N, 4) first row, first column, height and width of each cutout.
    neighbours
        (M, H, W) True on pixels of other objects, from the first pixel of a cutout on.
    numbers
        (N,) which of these maps is whose.
    centres
        (N, 2) x and y, in pixels of the cutout.
    levels
        (N,) of the sky.
    half_px
        (N,) half-widths of the stamps.
    brightness
        (N,) that their range is compressed by.
    """

    pixels: FloatArray
    labels: IntArray
    correlation_px: float
    windows: Numbers
    neighbours: BoolArray
    numbers: Numbers
    centres: DoubleArray
    levels: DoubleArray
    half_px: DoubleArray
    brightness: FloatArray


class _Cutting(NamedTuple):
    """How stamps are cut: how far views look, in half-widths; what is outside; what is filled; and noise for that.

    And the gain of their stretch.
    """

    reach: float
    is_widened: bool
    is_filled: bool
    noise: FloatArray
    corners: Numbers
    gain: np.float32


class _Views(NamedTuple):
    """Upright views.

    Parameters
    ----------
    steps
        (V, 4) half-widths along the image's x and y in each view's, and the shift of its centre, x and y.
    turns
        (V, 4) whether the view's rows are the image's columns, whether these columns and these rows run backwards, and
        the number of the first view that has the same pixels, if in another order.
    leaders
        These first views.
    """

    steps: DoubleArray
    turns: Numbers
    leaders: Numbers


def are_plain(recipe: Recipe, matrices: DoubleArray) -> bool:
    """Tell whether views, (V, 2, 3), by a recipe can be cut here."""
    is_linear = recipe.stretch != "display" and not recipe.softening_mjysr > 0
    return is_linear and recipe.planes == 1 and all(is_upright(matrix) for matrix in matrices)


@uninterrupted()
def cut_batch(
    sights: Sights, recipe: Recipe, matrices: DoubleArray, seeds: Sequence[int]
) -> tuple[FloatArray, BoolArray]:
    """Cut views, (V, 2, 3), that are plain.

    Parameters
    ----------
    seeds
        Of the noise in each stamp.

    Returns
    -------
    (N, V, 1, S, S), stretched; and which of them are done, (N,).
    """
    count = len(sights.windows)
    stamps = np.zeros((count, len(matrices), 1, recipe.size, recipe.size), np.float32)
    done = np.zeros(count, np.bool_)
    corners = corners_of(seeds).reshape(count, 1, 2)
    is_widened, is_filled = recipe.outside == "sky", recipe.neighbours == "fill"
    reach, noise = max(reach_of(matrices), 1.0), noise_field(sights.correlation_px)
    cut = _Cutting(reach, is_widened, is_filled, noise, corners, np.float32(recipe.gain))
    _cut_all(sights, cut, _views_of(matrices), running_sum(), stamps, done)
    return stamps, done


def _views_of(matrices: DoubleArray) -> _Views:
    """Describe upright views."""
    linear, shifts = matrices[:, :, :2], matrices[:, :, 2]
    is_crossed = np.abs(linear[:, 0, 1]) > np.abs(linear[:, 0, 0])
    sides = np.where(is_crossed[:, None], linear[:, [0, 1], [1, 0]], linear[:, [0, 1], [0, 1]])
    steps = np.concatenate([np.abs(sides), shifts], axis=1)
    first = (steps[:, None] == steps).all(axis=2).argmax(axis=1)
    turns = np.stack([is_crossed, sides[:, 0] < 0, sides[:, 1] < 0, first], axis=1).astype(np.int64)
    return _Views(steps, turns, np.unique(first))


@compiled
def _cut_all(
    sights: Sights, cut: _Cutting, views: _Views, running: DoubleArray, stamps: FloatArray, done: BoolArray
) -> None:
    """Cut the views of galaxies; what has numbers that are not finite is left undone."""
    for k in range(len(done)):
        half = sights.half_px[k]
        if math.isfinite(half + sights.centres[k, 0] + sights.centres[k, 1]):
            planes, x, y = _ready(sights, cut, k)
            done[k] = True
            for number in views.leaders:
                steps = half * views.steps[number]
                centre, boxes = (steps[2] + x, steps[3] + y), (steps[0], steps[1])
                stretch = sights.brightness[k], cut.gain
                done[k] = _cut_alike(planes, centre, boxes, running, views, number, stretch, stamps[k]) and done[k]


@inner
def _cut_alike(
    planes: FloatArray,
    centre: tuple[float, float],
    halves: tuple[float, float],
    running: DoubleArray,
    views: _Views,
    number: int,
    stretch: tuple[np.float32, np.float32],
    stamps: FloatArray,
) -> bool:
    """Cut a view and those that have the same pixels in another order; tell whether all are finite.

    They are stretched once, by a brightness and a gain.
    """
    size = stamps.shape[2]
    plain = box_means(running, planes, centre, (halves[0] * 2.0 / size, halves[1] * 2.0 / size), size)
    is_finite = bool(np.isfinite(plain).all())
    for row in plain[0]:
        compress(row, stretch[0], stretch[1])
    for other in range(number, len(views.turns)):
        if views.turns[other, 3] == number:
            _orient(plain[0], views.turns[other], stamps[other, 0])
    return is_finite


@inner
def _ready(sights: Sights, cut: _Cutting, k: int) -> tuple[FloatArray, float, float]:
    """Cut out what lies about a galaxy, without its sky, neighbours and gaps; return that, and where it is there."""
    top, left, height, width = sights.windows[k, 0], sights.windows[k, 1], sights.windows[k, 2], sights.windows[k, 3]
    x, y, reach = sights.centres[k, 0], sights.centres[k, 1], cut.reach * sights.half_px[k]
    # Rows and columns without data before and after those of the cutout.
    above, below, before, after = 0, 0, 0, 0
    if cut.is_widened:
        above, below = max(math.ceil(reach - y), 0), max(math.ceil(y + reach) - height + 1, 0)
        before, after = max(math.ceil(reach - x), 0), max(math.ceil(x + reach) - width + 1, 0)
    x, y, tall, wide = x + before, y + above, height + above + below, width + before + after
    i0, i1 = max(int(y - (reach + MARGIN_PX)), 0), min(int(y + (reach + MARGIN_PX)) + 2, tall)
    j0, j1 = max(int(x - (reach + MARGIN_PX)), 0), min(int(x + (reach + MARGIN_PX)) + 2, wide)
    if i0 >= i1 or j0 >= j1:
        i0, i1, j0, j1 = 0, tall, 0, wide
    else:
        x, y = x - j0, y - i0
    planes = np.full((1, i1 - i0, j1 - j0), np.float32(np.nan))
    labels, others = np.zeros(planes.shape[1:], np.int32), np.zeros(planes.shape[1:], np.bool_)
    neighbours = sights.neighbours[sights.numbers[k]]
    for i in range(max(i0, above), min(i1, above + height)):
        for j in range(max(j0, before), min(j1, before + width)):
            row, column = i - above, j - before
            planes[0, i - i0, j - j0] = sights.pixels[top + row, left + column]
            labels[i - i0, j - j0] = sights.labels[top + row, left + column]
            others[i - i0, j - j0] = cut.is_filled and neighbours[row, column]
    flux, bad, some = less(planes, np.float32(sights.levels[k]), others)
    if some:
        fill_planes(flux, bad, labels, x, y, cut.noise, cut.corners[k])
    return flux, x, y


@inner
def _orient(plain: FloatArray, turns: Numbers, stamp: FloatArray) -> None:
    """Put pixels in the order of the image's rows and columns into that of a view."""
    last = len(plain) - 1
    for i in range(last + 1):
        row = last - i if turns[2] else i
        for j in range(last + 1):
            column = last - j if turns[1] else j
            if turns[0]:
                stamp[column, row] = plain[i, j]
            else:
                stamp[row, column] = plain[i, j]
