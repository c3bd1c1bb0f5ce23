"""Detection: the objects of an image, divided where they have several peaks, by compiled code.

The method is SExtractor's (Bertin & Arnouts 1996), and so are the objects, but for some pixels between two of them, and
some of the faintest. It takes less than half of the time of SEP's ``extract``: a blob is divided in one pass from its
brightest pixel down, and not at each of sixteen thresholds anew; and all but the first look at an image is at the
pixels above its threshold alone.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from galmorph.stamps.clumps import join, touching
from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.deblending import LEAST_PIXELS, Blobs, divide
from galmorph.stamps.isophote import (
    CFLUX,
    COLUMNS,
    CXX,
    CXY,
    CYY,
    NPIX,
    OBJECT_DTYPE,
    THRESH,
    A,
    B,
    X,
    Y,
    describe,
    grouped,
)

__all__ = ["detect", "objects_of", "table_of"]

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
    columns, labels, is_sky = objects_of(data, limit, varying, min_area, contrast, joins)
    return (table_of(columns), labels) if is_sky else None


def table_of(columns: Array) -> npt.NDArray[np.void]:
    """Name the columns of objects, (K, columns), as SEP's ``extract`` does."""
    objects = np.zeros(len(columns), OBJECT_DTYPE)
    for name, column in zip(COLUMNS, columns.T, strict=True):
        objects[name] = column
    return objects


@compiled
def objects_of(
    data: FloatArray, limit: float, noise: FloatArray, area: int, contrast: float, joins: bool
) -> tuple[Array, IntArray, bool]:
    """Detect as :func:`detect` does; the noise is empty where it is even.

    Returns
    -------
    The objects in the columns of :data:`galmorph.stamps.isophote.COLUMNS`, their labels, and False where a blob is
    larger than any galaxy.
    """
    blobs, above, is_sky = _blobs(data, np.float32(limit), noise, area, contrast)
    if not is_sky:
        return np.zeros((0, _N_COLUMNS)), np.zeros(data.shape, np.int32), False
    columns, labels = _described(blobs, above, data.shape, area, joins)
    return columns, labels, True


@inner
def _blobs(
    data: FloatArray, limit: np.float32, noise: FloatArray, area: int, contrast: float
) -> tuple[Blobs, IntArray, bool]:
    """Divide the pixels of an image among objects; list those above the limit; tell whether no blob is too large."""
    padded, smooth = _smoothed(data)
    width = data.shape[1] + 2
    above = _above(smooth, width, limit, noise)
    blob, n_blobs = _connected(above, len(smooth), width)
    pixels, first = grouped(blob, n_blobs)
    for k in range(len(pixels)):
        pixels[k] = above[pixels[k]]
    none = np.full((2, len(smooth)), -1, np.int32)
    is_even, places = noise.size == 0, np.empty((len(pixels) // LEAST_PIXELS + 1, 3))
    blobs = Blobs(width, padded, smooth, none[0], none[1], places, is_even)
    count = 0
    for k in range(n_blobs):
        members = pixels[first[k] : first[k + 1]]
        if len(members) > _MOST_PIXELS:
            return blobs, above, False
        if len(members) >= area:
            before, lowest = count, _limit_of(members, width, limit, noise)
            count = divide(blobs, members, lowest, contrast, count)
            blobs.places[before:count, 2] = lowest
    return Blobs(width, padded, smooth, none[0], none[1], places[:count], is_even), above, True


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
def _connected(above: IntArray, size: int, width: int) -> tuple[IntArray, int]:
    """Give numbers to the blobs of pixels that touch, one for each of some pixels of an image; also count them."""
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
    blob = np.empty(len(above), np.int32)
    for k in range(len(above)):
        blob[k] = number[label[above[k]]]
    return blob, n


@inner
def _unite(up: IntArray, one: int, other: int) -> None:
    """Let the lower of two numbers stand for both."""
    while up[one] != one:
        one = up[one]
    while up[other] != other:
        other = up[other]
    up[max(one, other)] = min(one, other)


@inner
def _described(blobs: Blobs, above: IntArray, shape: tuple[int, int], area: int, joins: bool) -> tuple[Array, IntArray]:
    """Return the table of the objects that are left after cleaning, and joining if that is wanted; and their labels."""
    objects, share, faintest = _isophotes(blobs, above, area)
    objects = _kept(objects, _cleaned(objects, share, faintest), blobs.owner, above)
    if joins and len(objects) > 1:
        objects = _kept(
            objects, join(objects, touching(blobs.owner, above, blobs.width, len(objects))), blobs.owner, above
        )
    labels, row = np.zeros(shape, np.int32), 0
    for pixel in above:
        while pixel >= (row + 2) * blobs.width:
            row += 1
        labels[row, pixel - (row + 1) * blobs.width - 1] = blobs.owner[pixel] + 1
    return objects, labels


@inner
def _isophotes(blobs: Blobs, above: IntArray, area: int) -> tuple[Array, Array, Array]:
    """Return the table of objects, what `describe` says of each, and how bright the faintest pixel is that it needs."""
    n, owner = len(blobs.places), np.empty(len(above), np.int32)
    for k in range(len(above)):
        owner[k] = blobs.owner[above[k]]
    pixels, first = grouped(owner, n)
    for k in range(len(pixels)):
        pixels[k] = above[pixels[k]]
    objects, share, faintest = np.empty((n, _N_COLUMNS)), np.empty(n), np.zeros(n)
    for k in range(n):
        members, limit = pixels[first[k] : first[k + 1]], blobs.places[k, 2]
        share[k] = describe(
            objects[k], members, blobs.width, blobs.data, blobs.smooth, limit, blobs.places[k, 0], blobs.places[k, 1]
        )
        if len(members) >= area:
            faintest[k] = _brightest(blobs.smooth, members, area) - limit
    return objects, share, faintest


@inner
def _kept(objects: Array, whole: Numbers, owner: IntArray, above: IntArray) -> Array:
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
    for pixel in above:
        part = whole[owner[pixel]] if owner[pixel] >= 0 else -1
        owner[pixel] = number[part] if part >= 0 else -1
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
