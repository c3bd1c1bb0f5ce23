"""Mesh: the smooth sky of a large image, from the modes of the cells of a mesh (Bertin & Arnouts 1996, section 7.1).

The mode of a cell is 2.5 times the median of its clipped pixels less 1.5 times their mean; cells are smoothed by the
median of nine, and joined by natural cubic splines along both axes, as SExtractor does. Cells are all of one size, so
that none is a sliver at the edge.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from galmorph.stamps.background import moments
from galmorph.stamps.compiled import compiled, inner, inner_sum

__all__ = ["flattened"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]
Array = npt.NDArray[np.float64]
Counts = npt.NDArray[np.int64]

# Pixels of a cell are counted in bins of .01 sigma, out to five to each side; clipped at two to begin with, and then at
# three about the median, as long as that changes anything (SExtractor's numbers; its bins are .002 sigma wide).
_BINS, _REACH, _FIRST_CLIP, _CLIP = 1024, 5.0, 2.0, 3.0
_ROUNDS, _ALIKE = 20, 1e-4
# Where mean and median differ by so many sigma the pixels of a cell are no sky with a few sources, but a crowd: its
# median is as good as anything.
_CROWDED = 0.3
# Share of the pixels of a cell that must count; others take the sky of the cells about them.
_LEAST_SHARE = 0.5


def flattened(pixels: FloatArray, usable: BoolArray, cell_px: int) -> FloatArray:
    """Subtract the smooth sky of an image, (H, W); what is not usable becomes zero.

    Parameters
    ----------
    pixels
        Linear flux, (H, W).
    usable
        Which pixels count, (H, W).
    cell_px
        About the side of a cell.

    References
    ----------
    Bertin & Arnouts 1996, A&AS 117, 393.
    """
    height, width = pixels.shape
    rows, columns = max(round(height / cell_px), 1), max(round(width / cell_px), 1)
    return _flattened(np.ascontiguousarray(pixels, np.float32), np.ascontiguousarray(usable), rows, columns)


@compiled
def _flattened(pixels: FloatArray, usable: BoolArray, rows: int, columns: int) -> FloatArray:
    levels = _smooth(_without_gaps(_modes(pixels, usable, rows, columns)))
    height = pixels.shape[0]
    flat, bends = np.empty(pixels.shape, np.float32), np.empty(levels.shape)
    for c in range(columns):
        bends[:, c] = _bends(levels[:, c])
    across = np.empty(columns)
    for i in range(height):
        k, t = _cell(i, height, rows)
        below = min(k + 1, rows - 1)
        for c in range(columns):
            a, b, d, e = _cubic(levels[k, c], levels[below, c], bends[k, c], bends[below, c])
            across[c] = a + t * (b + t * (d + t * e))
        _subtract(pixels[i], usable[i], across, _bends(across), flat[i])
    return flat


@inner
def _modes(pixels: FloatArray, usable: BoolArray, rows: int, columns: int) -> Array:
    """Return the modes of the cells, (rows, columns), NaN where too few pixels count."""
    height, width = pixels.shape
    modes, counts, whole = np.empty((rows, columns)), np.empty(_BINS + 2, np.int64), _is_whole(usable)
    values = np.empty((height // rows + 1) * (width // columns + 1) + 1, np.float32)
    for r in range(rows):
        top, end = r * height // rows, (r + 1) * height // rows
        for c in range(columns):
            left, right = c * width // columns, (c + 1) * width // columns
            count = 0
            for i in range(top, end):
                count = _take(pixels[i, left:right], usable[i, left:right], whole, values, count)
            is_enough = count > 0 and count >= _LEAST_SHARE * (end - top) * (right - left)
            modes[r, c] = _mode(values[:count], counts) if is_enough else math.nan
    return modes


@inner
def _is_whole(usable: BoolArray) -> bool:
    """Tell whether all pixels count."""
    whole = True
    for i in range(usable.shape[0]):
        for j in range(usable.shape[1]):
            whole &= usable[i, j]
    return whole


@inner
def _take(line: FloatArray, good: BoolArray, whole: bool, values: FloatArray, count: int) -> int:
    """Write those pixels of a line that count after so many others, of which there is room for one more."""
    if whole:  # a copy, several at a time
        for j in range(len(line)):
            values[count + j] = line[j]
        return count + len(line)
    for j in range(len(line)):
        values[count] = line[j]
        count += 1 if good[j] else 0
    return count


@inner
def _mode(values: FloatArray, counts: Counts) -> float:
    """Return the mode of some pixels, of which most are sky."""
    mean, sigma = _clipped(values, -math.inf, math.inf, float(values[0]))
    mean, sigma = _clipped(values, mean - _FIRST_CLIP * sigma, mean + _FIRST_CLIP * sigma, mean)
    if not sigma > 0:
        return mean
    low, step = mean - _REACH * sigma, 2.0 * _REACH * sigma / _BINS
    _count(values, np.float32(low), np.float32(1.0 / step), counts)
    return low + step * _mode_of_bins(counts)


@inner
def _clipped(values: FloatArray, least: float, most: float, middle: float) -> tuple[float, float]:
    """Return mean and standard deviation of the values of a range, about some value inside it."""
    count, total, square = moments(values, np.float32(least), np.float32(most), np.float32(middle), 1.0)
    if count == 0:
        return middle, 0.0
    mean = total / count
    return float(np.float32(middle)) + mean, math.sqrt(max(square / count - mean * mean, 0.0))


@inner
def _count(values: FloatArray, low: np.float32, scale: np.float32, counts: Counts) -> None:
    """Count values in bins; the first and the last hold those outside."""
    counts[:] = 0
    places = np.empty(len(values), np.int32)  # first of all: several at a time
    for i in range(len(values)):
        place = min(max((values[i] - low) * scale + np.float32(1.0), np.float32(0.0)), np.float32(_BINS + 1))
        places[i] = np.int32(place)
    for i in range(len(values)):
        counts[np.uint32(places[i])] += 1


@inner
def _mode_of_bins(counts: Counts) -> float:
    """Return the mode in bins, from the lower edge of the first on."""
    sums = _running(counts)
    first, end, width = 1, _BINS + 1, math.inf
    mean, median, sigma = 0.5 * _BINS, 0.5 * _BINS, 1.0
    for _ in range(_ROUNDS):
        n = sums[0, end] - sums[0, first]
        if n == 0:
            break
        middle = (sums[1, end] - sums[1, first]) / n
        mean, median = middle - 0.5, _median(sums[0], first, end)
        sigma = math.sqrt(max((sums[2, end] - sums[2, first]) / n - middle * middle, 0.0))
        first, end = max(round(median - _CLIP * sigma) + 1, 1), min(round(median + _CLIP * sigma) + 1, _BINS + 1)
        if not sigma > 0 or abs(width / sigma - 1.0) < _ALIKE:
            break
        width = sigma
    return 2.5 * median - 1.5 * mean if abs(mean - median) < _CROWDED * sigma else median


@inner
def _running(counts: Counts) -> Counts:
    """Add up the counts of all bins before each, and these times their numbers and the squares of them, (3, bins)."""
    sums = np.empty((3, len(counts)), np.int64)
    n, total, square = 0, 0, 0
    for k in range(len(counts)):
        sums[0, k], sums[1, k], sums[2, k] = n, total, square
        n, total, square = n + counts[k], total + k * counts[k], square + k * k * counts[k]
    return sums


@inner
def _median(before: Counts, first: int, end: int) -> float:
    """Return the median of the values of some bins; so many values are in the bins before each."""
    half = 0.5 * (before[first] + before[end])
    k = int(np.searchsorted(before, half, side="left"))
    # Half of the values are reached in the bin before that one.
    return float(k - 2 + (half - before[k - 1]) / (before[k] - before[k - 1]))


@inner
def _without_gaps(modes: Array) -> Array:
    """Give cells without a mode the mean of those nearest to them; zero where none has one."""
    whole = modes.copy()
    for r in range(modes.shape[0]):
        for c in range(modes.shape[1]):
            if math.isnan(modes[r, c]):
                whole[r, c] = _nearest(modes, r, c)
    return whole


@inner
def _nearest(modes: Array, row: int, column: int) -> float:
    """Return the mean of the modes that are nearest to a cell."""
    least, total, count = np.iinfo(np.int64).max, 0.0, 0
    for r in range(modes.shape[0]):
        for c in range(modes.shape[1]):
            away = (r - row) ** 2 + (c - column) ** 2
            if math.isnan(modes[r, c]) or away > least:
                continue
            if away < least:
                least, total, count = away, 0.0, 0
            total, count = total + modes[r, c], count + 1
    return total / count if count else 0.0


@inner
def _smooth(modes: Array) -> Array:
    """Take the median of each cell and those about it."""
    smooth = np.empty(modes.shape)
    for r in range(modes.shape[0]):
        for c in range(modes.shape[1]):
            smooth[r, c] = np.median(modes[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].copy())
    return smooth


@inner
def _bends(values: Array) -> Array:
    """Return the second derivatives of the natural cubic spline through values at unit distances."""
    n = len(values)
    bends, share = np.zeros(n), np.zeros(n)
    # Elimination in the equations bends[k - 1] + 4 bends[k] + bends[k + 1] = 6 (second difference).
    for k in range(1, n - 1):
        share[k] = 1.0 / (4.0 - share[k - 1])
        bends[k] = (6.0 * (values[k - 1] - 2.0 * values[k] + values[k + 1]) - bends[k - 1]) * share[k]
    for k in range(n - 2, 0, -1):
        bends[k] -= share[k] * bends[k + 1]
    return bends


@inner
def _cubic(one: float, two: float, bend: float, next_bend: float) -> tuple[float, float, float, float]:
    """Return the polynomial, lowest power first, between two values, from their second derivatives."""
    return one, two - one - (2.0 * bend + next_bend) / 6.0, 0.5 * bend, (next_bend - bend) / 6.0


@inner
def _cell(pixel: int, size: int, cells: int) -> tuple[int, float]:
    """Return between which middle of a cell and the next a pixel lies, and how far; beyond them near the edges."""
    place = (pixel + 0.5) * cells / size - 0.5
    k = min(max(math.floor(place), 0), max(cells - 2, 0))
    return k, place - k


@inner
def _subtract(line: FloatArray, good: BoolArray, levels: Array, bends: Array, flat: FloatArray) -> None:
    """Subtract the spline through some levels from a line of pixels."""
    width, cells = len(line), len(levels)
    first = 0
    for k in range(max(cells - 1, 1)):
        following = min(k + 1, cells - 1)
        end = width if k + 2 >= cells else math.ceil((k + 1.5) * width / cells - 0.5)
        powers = _cubic(levels[k], levels[following], bends[k], bends[following])
        start, step = (first + 0.5) * cells / width - 0.5 - k, cells / width
        _subtract_cubic(line[first:end], good[first:end], powers, start, step, flat[first:end])
        first = end


@inner_sum
def _subtract_cubic(
    line: FloatArray,
    good: BoolArray,
    powers: tuple[float, float, float, float],
    start: float,
    step: float,
    flat: FloatArray,
) -> None:
    a, b = np.float32(powers[0]), np.float32(powers[1])
    c, d = np.float32(powers[2]), np.float32(powers[3])
    begin, stride = np.float32(start), np.float32(step)
    for j in range(len(line)):
        t = begin + np.float32(j) * stride
        level = a + t * (b + t * (c + t * d))
        flat[j] = line[j] - level if good[j] else np.float32(0.0)
