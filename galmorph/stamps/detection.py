"""Detection: the objects of an image, divided where they have several peaks, by compiled code.

The method is SExtractor's (Bertin & Arnouts 1996), and so are the objects, but for some pixels between two of them, and
some of the faintest. It takes less than half of the time of SEP's ``extract``: a blob is divided in one pass from its
brightest pixel down, and not at each of sixteen thresholds anew; and all but the first look at an image is at the
pixels above its threshold alone.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.clumps import join, touching
from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.deblending import Blobs, divide
from galmorph.stamps.isophote import (
    CFLUX,
    COLUMNS,
    CXX,
    CXY,
    CYY,
    NPIX,
    OBJECT_DTYPE,
    THRESH,
    XMAX,
    XMIN,
    YMAX,
    YMIN,
    A,
    B,
    X,
    Y,
    describe,
    grouped,
)

__all__ = ["blobs_of", "detect", "everywhere", "marked", "no_blobs", "objects_of", "table_of"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
Numbers = npt.NDArray[np.int64]
Array = npt.NDArray[np.float64]

# Pixels of the largest blob: what has more is no galaxy, but an image without a sky.
_MOST_PIXELS = 300_000
_N_COLUMNS = len(COLUMNS)
# Array farther from each other than so many of their semi-axes are not compared: SExtractor's zone of cleaning.
_CLEANING_ZONE = 10.0
# Where the light has fallen by so much there is none.
_NO_WING = 1e10
_EVEN = np.zeros((0, 0), np.float32)


def detect(
    data: FloatArray,
    limit: float,
    noise: FloatArray | None = None,
    *,
    min_area: int,
    contrast: float,
    joins: bool = False,
) -> tuple[npt.NDArray[np.void], IntArray] | None:
    """Detect and divide the objects of an image.

    Parameters
    ----------
    data
        (H, W) less the sky, zero where a pixel does not count; native, contiguous and finite.
    limit
        Brightness of the image, smoothed over 3 × 3 pixels, from which on a pixel belongs to an object.
    noise
        (H, W) what the limit of each pixel is to be multiplied by; None for the same limit everywhere.
    min_area
        Least number of pixels of a blob.
    contrast
        Least share of a blob's flux that makes a peak an object of its own.
    joins
        Give faint objects that lie within a brighter one and touch it back to it.

    Returns
    -------
    Table of the objects, as SEP's ``extract`` makes it, and their labels from 1, (H, W); None where a blob is larger
    than any galaxy.

    References
    ----------
    Bertin & Arnouts 1996, A&AS 117, 393.
    """
    varying = _EVEN if noise is None else np.ascontiguousarray(noise, np.float32)
    columns, labels, is_sky = _detect(data, limit, varying, min_area, contrast, joins)
    return (table_of(columns), labels) if is_sky else None


@compiled
def _detect(
    data: FloatArray, limit: float, noise: FloatArray, area: int, contrast: float, joins: bool
) -> tuple[Array, IntArray, bool]:
    blobs, is_sky = blobs_of(data, limit, noise, area)
    columns, labels = objects_of(blobs, everywhere(data.shape), contrast, joins)
    return columns, labels, is_sky


def table_of(columns: Array) -> npt.NDArray[np.void]:
    """Name the columns of objects, (K, columns), as SEP's ``extract`` does."""
    objects = np.zeros(len(columns), OBJECT_DTYPE)
    for name, column in zip(COLUMNS, columns.T, strict=True):
        objects[name] = column
    return objects


@inner
def blobs_of(data: FloatArray, limit: float, noise: FloatArray, area: int) -> tuple[Blobs, bool]:
    """Find the blobs of an image, as :func:`detect` says; the noise is empty where it is even.

    Returns
    -------
    The blobs; without any and False where one is larger than any galaxy.
    """
    padded, smooth = _smoothed(data)
    width, least = data.shape[1] + 2, np.float32(limit)
    above = _above(smooth, width, least, noise)
    blob, sizes = _connected(above, len(smooth), width)
    number, n, is_sky = np.full(len(sizes), -1, np.int32), 0, True
    for k in range(len(sizes)):
        is_sky &= sizes[k] <= _MOST_PIXELS
        if sizes[k] >= area:
            number[k] = n
            n += 1
    n = n if is_sky else 0
    for k in range(len(above)):
        blob[k] = number[blob[k]] if is_sky else -1
    pixels, first = grouped(blob, n)
    for k in range(len(pixels)):
        pixels[k] = above[pixels[k]]
    limits, objects, shares = np.empty(n), np.empty((n, _N_COLUMNS)), np.empty(n)
    for k in range(n):
        members = pixels[first[k] : first[k + 1]]
        limits[k] = _limit_of(members, width, least, noise)
        shares[k] = describe(objects[k], members, width, padded, smooth, limits[k], math.nan, math.nan)
    return Blobs(width, padded, smooth, noise.size == 0, area, pixels, first, limits, objects, shares), is_sky


@inner
def no_blobs(shape: tuple[int, int]) -> Blobs:
    """Return an image, (H, W), without light."""
    return blobs_of(np.zeros(shape, np.float32), 1.0, np.zeros((0, 0), np.float32), 1)[0]


@inner
def everywhere(shape: tuple[int, int]) -> Numbers:
    """Return the window, (1, 4), that is all of an image."""
    window = np.zeros((1, 4), np.int64)
    window[0, 2], window[0, 3] = shape
    return window


@inner
def marked(blobs: Blobs) -> IntArray:
    """Mark the pixels of blobs by their numbers from 1, (H, W)."""
    labels, none = np.zeros((len(blobs.smooth) // blobs.width - 2, blobs.width - 2), np.int32), np.empty(0, np.int32)
    for k in range(len(blobs.limits)):
        _mark(labels, blobs.width, blobs.pixels[blobs.first[k] : blobs.first[k + 1]], none, k + 1)
    return labels


class _Lights(NamedTuple):
    """Places, sizes and light of blobs, (K,), side by side: most are too far away, which is all that is asked of them.

    And room for the numbers of those that are not.
    """

    x: Array
    y: Array
    a: Array
    light: Array
    near: IntArray


@inner
def objects_of(blobs: Blobs, windows: Numbers, contrast: float, joins: bool) -> tuple[Array, IntArray]:
    """Divide the blobs that some windows may touch.

    What becomes of a blob is a matter of its own pixels, and of the others as they were found: it does not depend on
    which of them are divided.

    Parameters
    ----------
    windows
        (N, 4) first row, first column, height and width of each.
    contrast, joins
        As of :func:`detect`.

    Returns
    -------
    The objects in the columns of :data:`galmorph.stamps.isophote.COLUMNS`, and their labels from 1, (H, W), 0 for the
    pixels of blobs that no window touches.
    """
    n = len(blobs.limits)
    labels = np.zeros((len(blobs.smooth) // blobs.width - 2, blobs.width - 2), np.int32)
    slot, objects, count = np.full(len(blobs.smooth), -1, np.int32), np.empty((n, _N_COLUMNS)), 0
    x, y, a, light = blobs.objects[:, X], blobs.objects[:, Y], blobs.objects[:, A], blobs.objects[:, CFLUX]
    lights = _Lights(x.copy(), y.copy(), a.copy(), light.copy(), np.empty(n + 1, np.int32))
    for k in range(n):
        if not _is_touched(blobs.objects[k], windows):
            continue
        members = blobs.pixels[blobs.first[k] : blobs.first[k + 1]]
        part, places = divide(blobs, k, contrast, slot)
        if len(part):
            parts = _parts(blobs, k, (part, places, slot), lights, joins)
        elif _is_wing(blobs, k, blobs.objects[k], members, lights):
            parts = blobs.objects[:0]
        else:
            parts = blobs.objects[k : k + 1]
        objects = _with_room(objects, count + len(parts))
        for one in parts:
            count += 1
            for column in range(_N_COLUMNS):
                objects[count - 1, column] = one[column]
        _mark(labels, blobs.width, members, part, count - len(parts) + 1 if len(parts) else 0)
    return objects[:count], labels


@inner
def _with_room(objects: Array, n: int) -> Array:
    """Return a table with room for so many objects: itself, or a copy of twice the length."""
    if len(objects) >= n:
        return objects
    longer = np.empty((2 * n, objects.shape[1]))
    longer[: len(objects)] = objects
    return longer


@inner
def _is_touched(one: Array, windows: Numbers) -> bool:
    """Tell whether a window overlaps with the bounds of an object."""
    for w in range(len(windows)):
        top, left, height, width = windows[w, 0], windows[w, 1], windows[w, 2], windows[w, 3]
        if one[XMIN] < left + width and one[XMAX] >= left and one[YMIN] < top + height and one[YMAX] >= top:
            return True
    return False


@inner
def _mark(labels: IntArray, width: int, members: IntArray, part: IntArray, label: int) -> None:
    """Give the pixels of a blob a label: that one plus the number of the part, or, without parts, that one."""
    row = members[0] // width
    for p in range(len(members)):
        row += 1 if members[p] >= (row + 1) * width else 0
        column = members[p] - row * width - 1
        if len(part) == 0:
            labels[row - 1, column] = label
        elif part[p] >= 0:
            labels[row - 1, column] = label + part[p]


@inner
def _parts(blobs: Blobs, k: int, divided: tuple[IntArray, Array, IntArray], lights: _Lights, joins: bool) -> Array:
    """Return the table of the objects of a blob after cleaning, and joining if that is wanted.

    The numbers of the parts that its pixels belong to, as of :func:`divide`, become those of what is left.
    """
    (part, places, slot), members = divided, blobs.pixels[blobs.first[k] : blobs.first[k + 1]]
    pixels, first = grouped(part, len(places))
    for p in range(len(pixels)):
        pixels[p] = members[pixels[p]]
    n, limit = len(places), blobs.limits[k]
    objects, shares, faintest = np.empty((n, _N_COLUMNS)), np.empty(n), np.empty(n)
    for i in range(n):
        own, x, y = pixels[first[i] : first[i + 1]], places[i, 0], places[i, 1]
        shares[i] = describe(objects[i], own, blobs.width, blobs.data, blobs.smooth, limit, x, y)
        faintest[i] = _faintest(blobs, own, limit)
    whole = _cleaned(objects, shares, faintest)
    for i in range(n):
        if whole[i] == i and _is_wing(blobs, k, objects[i], pixels[first[i] : first[i + 1]], lights):
            whole[i] = -1
    objects = _kept(objects, whole, part)
    if joins and len(objects) > 1:
        objects = _kept(objects, join(objects, touching(part, members, slot, blobs.width, len(objects))), part)
    return objects


@inner
def _faintest(blobs: Blobs, own: IntArray, limit: float) -> float:
    """Return how bright the faintest pixel is, above the limit, that an object with some pixels needs to be one."""
    return max(_brightest(blobs.smooth, own, blobs.area) - limit, 0.0) if len(own) >= blobs.area else 0.0


@inner
def _is_wing(blobs: Blobs, k: int, one: Array, own: IntArray, lights: _Lights) -> bool:
    """Tell whether an object of a blob, with some pixels, looks like the wings of a brighter blob."""
    count, x, y, a, light = 0, one[X], one[Y], one[A], one[CFLUX]
    for i in range(len(lights.x)):
        zone, dx, dy = _CLEANING_ZONE * (lights.a[i] + a), lights.x[i] - x, lights.y[i] - y
        # Without a branch: the place after the last is written again.
        lights.near[count] = i
        count += (lights.light[i] > light) & (dx * dx + dy * dy <= zone * zone)
    faintest = math.nan
    for i in lights.near[:count]:
        wing = _wing_at(blobs.objects[i], blobs.shares[i], one) if i != k else 0.0
        if wing > 0.0:
            faintest = _faintest(blobs, own, blobs.limits[k]) if math.isnan(faintest) else faintest
            if wing > faintest:
                return True
    return False


@inner
def _limit_of(members: IntArray, width: int, limit: np.float32, noise: FloatArray) -> float:
    """Return the limit of a blob: the mean of those of its pixels."""
    if noise.size == 0:
        return float(limit)
    total, row = 0.0, members[0] // width
    for pixel in members:
        row += 1 if pixel >= (row + 1) * width else 0
        total += noise[row - 1, pixel - row * width - 1]
    return float(limit * total / len(members))


@inner
def _above(smooth: FloatArray, width: int, limit: np.float32, noise: FloatArray) -> IntArray:
    """List the pixels above the limit, in their order."""
    height, count = len(smooth) // width, 0
    above, least = np.empty(len(smooth), np.int32), np.full(width - 2, limit, np.float32)
    is_above = np.zeros((width + 5) // 8 * 8, np.uint8)
    eights = is_above.view(np.uint64)
    for i in range(1, height - 1):
        line = smooth[i * width + 1 : (i + 1) * width - 1]
        if noise.size:
            for j in range(len(line)):
                least[j] = limit * noise[i - 1, j]
        for j in range(len(line)):
            is_above[j] = line[j] > least[j]
        for eight in range(len(eights)):
            if eights[eight] == 0:
                continue  # as most of an image is sky
            for j in range(8 * eight, min(8 * eight + 8, len(line))):
                # Without a branch: the place after the last is written again.
                above[count] = i * width + j + 1
                count += is_above[j]
    return above[:count]


@inner
def _smoothed(data: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Add a rim of zeros, and average 3 × 3 pixels with the weights 1 2 1 along each axis; both flat."""
    height, width = data.shape
    padded, smooth = np.empty((height + 2, width + 2), np.float32), np.empty((height + 2, width + 2), np.float32)
    for image in (padded, smooth):
        image[0], image[height + 1], image[:, 0], image[:, width + 1] = 0.0, 0.0, 0.0, 0.0
    # Three rows that are averaged along themselves, the one before in the place of the one after next.
    rows = np.zeros((3, width + 2), np.float32)
    for i in range(1, height + 2):
        if i <= height:
            line = padded[i]
            for j in range(width):
                line[j + 1] = data[i - 1, j]
        _average(padded[i], rows[i % 3])
        if i > 1:
            _average_rows(rows[(i - 2) % 3], rows[(i - 1) % 3], rows[i % 3], smooth[i - 1])
    return padded.ravel(), smooth.ravel()


@inner
def _average(line: FloatArray, to: FloatArray) -> None:
    """Add up three pixels of a row with the weights 1 2 1, but for the first and the last."""
    for j in range(1, len(line) - 1):
        to[j] = line[j - 1] + np.float32(2.0) * line[j] + line[j + 1]


@inner
def _average_rows(before: FloatArray, row: FloatArray, after: FloatArray, to: FloatArray) -> None:
    """Average the pixels of three rows with the weights 1 2 1 along both axes, but for the first and the last."""
    for j in range(1, len(row) - 1):
        to[j] = (before[j] + np.float32(2.0) * row[j] + after[j]) * np.float32(0.0625)


@inner
def _connected(above: IntArray, size: int, width: int) -> tuple[IntArray, Numbers]:
    """Give numbers to the blobs of pixels that touch, one for each of some pixels of an image; also count each's."""
    label, up = np.zeros(size, np.int32), np.zeros(len(above) + 2, np.int32)
    count = 0
    for pixel in above:
        over = label[pixel - width]
        left, right = label[pixel - 1] or label[pixel - width - 1], label[pixel - width + 1]
        label[pixel] = over or left or right
        if label[pixel] == 0:
            count += 1
            label[pixel], up[count] = count, count
        elif over == 0 and left > 0 and right > 0:
            _unite(up, left, right)
    number, n = np.empty(count + 1, np.int32), 0
    for k in range(1, count + 1):
        # What one stands for has a lower number.
        number[k] = number[up[k]] if up[k] < k else n
        n += 1 if up[k] == k else 0
    blob, sizes = np.empty(len(above), np.int32), np.zeros(n, np.int64)
    for k in range(len(above)):
        blob[k] = number[label[above[k]]]
        sizes[blob[k]] += 1
    return blob, sizes


@inner
def _unite(up: IntArray, one: int, other: int) -> None:
    """Let the lower of two numbers stand for both."""
    while up[one] != one:
        one = up[one]
    while up[other] != other:
        other = up[other]
    up[max(one, other)] = min(one, other)


@inner
def _kept(objects: Array, whole: Numbers, part: IntArray) -> Array:
    """Keep the objects that are whole, and give the pixels of others to what they are part of, -1 for nothing."""
    number, count = np.empty(len(objects), np.int32), 0
    for k in range(len(objects)):
        if whole[k] == k:
            for column in range(_N_COLUMNS):
                objects[count, column] = objects[k, column]
            number[k] = count
            count += 1
    if count == len(objects):
        return objects
    for p in range(len(part)):
        owner = whole[part[p]] if part[p] >= 0 else -1
        part[p] = number[owner] if owner >= 0 else -1
    return objects[:count]


@inner
def _brightest(flat: FloatArray, members: IntArray, n: int) -> float:
    """Return the n-th brightest value of some pixels, of which there are so many."""
    values = np.zeros(n, np.float32)  # the brightest first
    for pixel in members:
        value = flat[pixel]
        if value <= values[n - 1]:
            continue
        k = n - 1
        while k > 0 and values[k - 1] < value:
            values[k] = values[k - 1]
            k -= 1
        values[k] = value
    return float(values[n - 1])


@inner
def _cleaned(objects: Array, share: Array, faintest: Array) -> Numbers:
    """Return the number of each object, -1 where it looks like the wings of a brighter one with a Moffat profile."""
    stays = np.ones(len(objects), np.bool_)
    # Side by side: most pairs are too far from each other, which is all that is asked of them.
    x, y, a = objects[:, X].copy(), objects[:, Y].copy(), objects[:, A].copy()
    for i in range(len(objects)):
        if not stays[i]:
            continue
        for j in range(i + 1, len(objects)):
            zone = _CLEANING_ZONE * (a[i] + a[j])
            if stays[j] and (x[i] - x[j]) ** 2 + (y[i] - y[j]) ** 2 <= zone * zone:
                faint, bright = (j, i) if objects[j, CFLUX] < objects[i, CFLUX] else (i, j)
                stays[faint] &= not _wing_at(objects[bright], share[bright], objects[faint]) > faintest[faint]
    return np.where(stays, np.arange(len(objects)), -1)


@inner
def _wing_at(bright: Array, share: float, faint: Array) -> float:
    """Return the light of an object at the place of another."""
    area = math.pi * bright[A] * bright[B]
    height = bright[CFLUX] / (2.0 * area * share)
    dx, dy = bright[X] - faint[X], bright[Y] - faint[Y]
    away = bright[CXX] * dx * dx + bright[CYY] * dy * dy + bright[CXY] * dx * dy
    fall = 1.0 + (height / bright[THRESH] - 1.0) * area / bright[NPIX] * away
    return height / fall if 1.0 < fall < _NO_WING else 0.0
