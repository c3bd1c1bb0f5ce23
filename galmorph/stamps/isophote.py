"""Isophote: place, shape and brightness of an object from the pixels of its own, weighted by the smoothed image."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import inner

__all__ = [
    "CFLUX",
    "COLUMNS",
    "CPEAK",
    "CXX",
    "CXY",
    "CYY",
    "FLUX",
    "NPIX",
    "OBJECT_DTYPE",
    "THRESH",
    "XMAX",
    "XMIN",
    "YMAX",
    "YMIN",
    "A",
    "B",
    "X",
    "Y",
    "absorb",
    "describe",
    "grouped",
]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]

COLUMNS = (
    "thresh", "npix", "tnpix", "xmin", "xmax", "ymin", "ymax", "x", "y", "x2", "y2", "xy", "a", "b", "theta",
    "cxx", "cyy", "cxy", "cflux", "flux", "cpeak", "peak", "xcpeak", "ycpeak", "xpeak", "ypeak",
)  # fmt: skip
"""What a table of objects holds, as SEP calls it, and at which column."""
(
    THRESH, NPIX, _TNPIX, XMIN, XMAX, YMIN, YMAX, X, Y, _XX, _YY, _XY, A, B, _THETA,
    CXX, CYY, CXY, CFLUX, FLUX, CPEAK, _PEAK, _XCPEAK, _YCPEAK, _XPEAK, _YPEAK,
) = range(len(COLUMNS))  # fmt: skip
_WHOLE = {"npix", "tnpix", "xmin", "xmax", "ymin", "ymax", "xcpeak", "ycpeak", "xpeak", "ypeak"}
_ERRORS = "errx2", "erry2", "errxy"  # which nobody asks for, after the moments
OBJECT_DTYPE = np.dtype(
    [(name, np.int64 if name in _WHOLE else np.float64) for name in (*COLUMNS[:12], *_ERRORS, *COLUMNS[12:])]
    + [("flag", np.int16)]
)
"""Type of a table of objects: that of SEP's."""
# Objects as narrow as a line of pixels are widened by the variance of one (SExtractor's manual, "position and shape").
_LINE, _PIXEL_VARIANCE = 0.00694, 1.0 / 12.0


@inner
def grouped(number: IntArray, n: int) -> tuple[IntArray, npt.NDArray[np.int64]]:
    """Sort the pixels of an image, (P,), by the numbers, below n, that they have; -1 for none.

    Returns the pixels, those of a number in their order; and where each number begins, (n + 1,).
    """
    first = np.zeros(n + 2, np.int64)
    for value in number:
        first[value + 2] += 1
    first[1] = 0  # those without a number
    for k in range(1, n + 1):
        first[k + 1] += first[k]
    pixels = np.empty(first[n + 1], np.int32)
    for place in range(len(number)):
        if number[place] >= 0:
            pixels[first[number[place] + 1]] = place
            first[number[place] + 1] += 1
    return pixels, first[: n + 1]


@inner
def describe(
    one: Array,
    members: IntArray,
    width: int,
    data: FloatArray,
    smooth: FloatArray,
    limit: float,
    x: float,
    y: float,
) -> float:
    """Write what there is to know of an object into a row of a table.

    Parameters
    ----------
    one
        The row, of :data:`COLUMNS`.
    members
        Its pixels, in their order.
    width, data, smooth
        Of an image with a rim of one pixel about it, flat; and the same smoothed.
    limit
        Brightness from which on pixels are its own.
    x, y
        What to take for its place; NaN for the mean of its pixels.

    Returns
    -------
    How much of the area of its ellipse a Gaussian profile would have above the limit, at most 1.
    """
    _sum_up(one, members, width, data, smooth)
    _place(one, x, y)
    half, above, bright = 0.5 * (limit + one[_PEAK]), 0, 0
    for pixel in members:
        above += 1 if data[pixel] > limit else 0
        bright += 1 if data[pixel] > half else 0
    one[THRESH], one[_TNPIX] = limit, above
    ratio = limit / half
    if not ratio > 0:
        return 1.0
    ring = min(bright - above, 0) or -1
    share: float = min(ring / (2.0 * math.pi * math.log(ratio if ratio < 1.0 else 0.99) * one[A] * one[B]), 1.0)
    return share


@inner
def _sum_up(one: Array, members: IntArray, width: int, data: FloatArray, smooth: FloatArray) -> None:
    """Write sums, peaks and bounds; the moments are about the first pixel, before they are about their mean."""
    left, right, peak, at, cpeak, cat = width, 0, -math.inf, 0, -math.inf, 0
    flux, cflux, x, y, xx, yy, xy = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    bottom = members[0] // width
    row, column = bottom, members[0] - bottom * width
    for pixel in members:
        # The pixels are in the order of their rows.
        while pixel >= (row + 1) * width:
            row += 1
        dx, dy = pixel - row * width - column, row - bottom
        left, right = min(left, dx), max(right, dx)
        value, light = data[pixel], smooth[pixel]
        if value > peak:
            peak, at = value, pixel
        if light > cpeak:
            cpeak, cat = light, pixel
        flux, cflux = flux + value, cflux + light
        x, y = x + light * dx, y + light * dy
        xx, yy, xy = xx + light * dx * dx, yy + light * dy * dy, xy + light * dx * dy
    x, y = x / cflux, y / cflux
    column, bottom = column - 1, bottom - 1  # without the rim
    one[NPIX], one[FLUX], one[CFLUX], one[_PEAK], one[CPEAK] = len(members), flux, cflux, peak, cpeak
    one[XMIN], one[XMAX], one[YMIN], one[YMAX] = column + left, column + right, bottom, row - 1
    one[_XPEAK], one[_YPEAK] = at % width - 1, at // width - 1
    one[_XCPEAK], one[_YCPEAK] = cat % width - 1, cat // width - 1
    one[X], one[Y] = column + x, bottom + y
    one[_XX], one[_YY], one[_XY] = xx / cflux - x * x, yy / cflux - y * y, xy / cflux - x * y


@inner
def _place(one: Array, x: float, y: float) -> None:
    """Take second moments to be about another centre, if that is one, and write the ellipse that they describe."""
    if math.isfinite(x):
        dx, dy = one[X] - x, one[Y] - y
        one[_XX], one[_YY], one[_XY] = one[_XX] + dx * dx, one[_YY] + dy * dy, one[_XY] + dx * dy
        one[X], one[Y] = x, y
    if one[_XX] * one[_YY] - one[_XY] * one[_XY] < _LINE:
        one[_XX], one[_YY] = one[_XX] + _PIXEL_VARIANCE, one[_YY] + _PIXEL_VARIANCE
    xx, yy, xy = one[_XX], one[_YY], one[_XY]
    spread = math.sqrt(0.25 * (xx - yy) ** 2 + xy * xy)
    one[A], one[B] = math.sqrt(0.5 * (xx + yy) + spread), math.sqrt(max(0.5 * (xx + yy) - spread, 0.0))
    one[_THETA] = 0.5 * math.atan2(2.0 * xy, xx - yy) if xx != yy else 0.25 * math.pi
    area = xx * yy - xy * xy
    one[CXX], one[CYY], one[CXY] = yy / area, xx / area, -2.0 * xy / area


@inner
def absorb(one: Array, two: Array) -> None:
    """Add the light and the pixels of another object to one."""
    part = two[FLUX] / (one[FLUX] + two[FLUX])
    dx, dy = two[X] - one[X], two[Y] - one[Y]
    both = part * (1.0 - part)
    one[_XX] = (1.0 - part) * one[_XX] + part * two[_XX] + both * dx * dx
    one[_YY] = (1.0 - part) * one[_YY] + part * two[_YY] + both * dy * dy
    one[_XY] = (1.0 - part) * one[_XY] + part * two[_XY] + both * dx * dy
    one[X], one[Y] = one[X] + part * dx, one[Y] + part * dy
    _widen(one)
    for column in (NPIX, _TNPIX, FLUX, CFLUX):
        one[column] += two[column]
    for column in (XMIN, YMIN):
        one[column] = min(one[column], two[column])
    for column in (XMAX, YMAX):
        one[column] = max(one[column], two[column])
    _raise(one, two, _PEAK, _XPEAK, _YPEAK)
    _raise(one, two, CPEAK, _XCPEAK, _YCPEAK)


@inner
def _raise(one: Array, two: Array, peak: int, x: int, y: int) -> None:
    """Take the peak of another object if that is the higher."""
    if two[peak] > one[peak]:
        one[peak], one[x], one[y] = two[peak], two[x], two[y]


@inner
def _widen(one: Array) -> None:
    """Write the ellipse that the second moments of an object with several parts describe."""
    xx, yy, xy = one[_XX], one[_YY], one[_XY]
    spread = math.hypot(0.5 * (xx - yy), xy)
    one[A], one[B] = math.sqrt(0.5 * (xx + yy) + spread), math.sqrt(max(0.5 * (xx + yy) - spread, _PIXEL_VARIANCE))
    one[_THETA] = 0.5 * math.atan2(2.0 * xy, xx - yy)
    area = max(xx * yy - xy * xy, _PIXEL_VARIANCE * _PIXEL_VARIANCE)
    one[CXX], one[CYY], one[CXY] = yy / area, xx / area, -2.0 * xy / area
