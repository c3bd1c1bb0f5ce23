"""Rings: how the pixels of a square frame fall into circles about its centre."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.shared import shared

__all__ = [
    "FINE_PX",
    "MOST_PHASE",
    "Rings",
    "Shares",
    "add_divided",
    "interpolated",
    "phase_of",
    "ring_edges",
    "ring_sums",
    "rings",
]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]

# Pixels this near to the centre are divided, so that small circles are exact; further out a pixel belongs to the ring
# that holds its middle.
FINE_PX = 8
"""How far from the middle pixel of a frame pixels are divided."""
# Parts of a divided pixel along an axis: 4 would change radii of the benchmark's mocks by .3 %, 30 by .02 %.
_SUBPIXELS = 10
# Places of a centre within a pixel that rings are kept for: it lies a sixteenth of a pixel off at most.
_PHASES = 8
MOST_PHASE = _PHASES // 2
"""Half a pixel: frames are mirrored so that their centre lies right of and above their middle."""


# Parts of a frame that are added up side by side.
_AT_ONCE = 4


class Shares(NamedTuple):
    """Which share of a central pixel lies in which ring, as lists of (P,) rings, flat indices of pixels and shares."""

    ring: IntArray
    pixel: IntArray
    share: FloatArray


class Rings(NamedTuple):
    """The rings of a frame of 2 * half + 1 pixels a side whose centre lies `phase` eighths of a pixel off its middle.

    Parameters
    ----------
    half
        Half-width of the frame in pixels.
    edges
        (n + 1,) radii between the rings, pixels, from 0 past the frame's corners.
    area
        (n,) geometric area of each ring.
    number
        (N²,) ring of each pixel by flat index; -1 for the central ones, which are divided.
    near, sharp
        How the central pixels are divided; and the same for flux, less the smearing by a pixel that taking pixels for
        tiles of even brightness adds.
    full
        (n,) area of the pixels of each ring if all are good.
    """

    half: int
    edges: Array
    area: Array
    number: IntArray
    near: Shares
    sharp: Shares
    full: Array


@inner
def ring_sums(values: FloatArray, shares: FloatArray, number: IntArray, n: int) -> tuple[Array, Array]:
    """Add up values times shares, and the shares, over the whole pixels of each of n rings; both of a frame, flat.

    Without shares, empty, the values are added up as they are.
    """
    if shares.size == 0:
        return _sums(values, number, n), np.zeros(n)
    sums = np.zeros((_AT_ONCE, n + 1, 2))
    one, two, three, four = sums[0], sums[1], sums[2], sums[3]
    part = len(number) // _AT_ONCE
    for i in range(part):
        k = number[i]
        one[k, 0] += values[i] * shares[i]
        one[k, 1] += shares[i]
        k = number[part + i]
        two[k, 0] += values[part + i] * shares[part + i]
        two[k, 1] += shares[part + i]
        k = number[2 * part + i]
        three[k, 0] += values[2 * part + i] * shares[2 * part + i]
        three[k, 1] += shares[2 * part + i]
        k = number[3 * part + i]
        four[k, 0] += values[3 * part + i] * shares[3 * part + i]
        four[k, 1] += shares[3 * part + i]
    for i in range(_AT_ONCE * part, len(number)):
        one[number[i], 0] += values[i] * shares[i]
        one[number[i], 1] += shares[i]
    light, area = np.empty(n), np.empty(n)
    for i in range(n):
        light[i] = (one[i, 0] + two[i, 0]) + (three[i, 0] + four[i, 0])
        area[i] = (one[i, 1] + two[i, 1]) + (three[i, 1] + four[i, 1])
    return light, area


@inner
def add_divided(total: Array, values: FloatArray, shares: FloatArray, divided: Shares) -> None:
    """Add the values of the central pixels to the rings that they are divided between; times shares, unless empty."""
    for i in range(len(divided.ring)):
        pixel = divided.pixel[i]
        value = values[pixel] * (shares[pixel] if shares.size else np.float32(1.0))
        total[divided.ring[i]] += value * divided.share[i]


@inner
def _sums(values: FloatArray, number: IntArray, n: int) -> Array:
    # Four parts of the frame at a time: next to each other, pixels of one ring would wait for each other's sum. The
    # last of each sum is for pixels without a ring, whose number is -1.
    sums = np.zeros((_AT_ONCE, n + 1))
    one, two, three, four = sums[0], sums[1], sums[2], sums[3]
    part = len(number) // _AT_ONCE
    for i in range(part):
        one[number[i]] += values[i]
        two[number[part + i]] += values[part + i]
        three[number[2 * part + i]] += values[2 * part + i]
        four[number[3 * part + i]] += values[3 * part + i]
    for i in range(_AT_ONCE * part, len(number)):
        one[number[i]] += values[i]
    total = np.empty(n)
    for i in range(n):
        total[i] = (one[i] + two[i]) + (three[i] + four[i])
    return total


@inner
def interpolated(x: float, points: Array, values: Array) -> float:
    """Interpolate between points in the order of x, like np.interp but compiled in a tenth of the time."""
    low, high = 0, len(points) - 1
    if not points[low] < x:
        return float(values[low])
    if x >= points[high]:
        return float(values[high])
    while high - low > 1:
        middle = (low + high) // 2
        if points[middle] <= x:
            low = middle
        else:
            high = middle
    part = (x - points[low]) / (points[high] - points[low])
    return float(values[low] + part * (values[high] - values[low]))


@shared(maxsize=16)
def ring_edges(half: int) -> Array:
    """Radii between the rings: a quarter of a pixel apart to 8 px, half a pixel to 12 px, then one pixel."""
    outermost = int(1.4143 * (half + 1.0)) + 1
    return np.concatenate([np.arange(32) / 4.0, 8.0 + np.arange(8) / 2.0, np.arange(12.0, outermost + 1.0)])


@compiled
def phase_of(offset: float) -> int:
    """Eighths of a pixel, 0 to 4, nearest to an offset of at most half a pixel."""
    return min(round(abs(offset) * _PHASES), MOST_PHASE)


@shared(maxsize=160)
def rings(half: int, phase_x: int, phase_y: int) -> Rings:
    """Sort the pixels of a frame into rings about a centre, in eighths of a pixel right of and above its middle."""
    edges = ring_edges(half)
    centre = phase_x / _PHASES, phase_y / _PHASES
    near, sharp = _near(phase_x, phase_y)
    along = np.arange(-half, half + 1.0)
    radius = np.hypot(along[:, None] - centre[1], along[None, :] - centre[0])
    number = np.searchsorted(edges, radius.ravel(), side="right") - 1
    middle = np.abs(along) <= FINE_PX
    number[(middle[:, None] & middle[None, :]).ravel()] = -1
    full = np.zeros(len(edges) - 1)
    full[: len(near)] = near.sum(axis=1)
    full += np.bincount(number[number >= 0], minlength=len(full))
    area = np.pi * np.diff(edges**2)
    return Rings(half, edges, area, number.astype(np.int32), _listed(half, near), _listed(half, sharp), full)


def _listed(half: int, near: FloatArray) -> Shares:
    """List the shares of the central pixels, (m, 289), that are not zero."""
    middle = np.arange(half - FINE_PX, half + FINE_PX + 1)
    core = (middle[:, None] * (2 * half + 1) + middle).ravel()
    ring, pixel = np.nonzero(near)
    return Shares(ring.astype(np.int32), core[pixel].astype(np.int32), near[ring, pixel])


def _sharpened(near: FloatArray) -> FloatArray:
    """Take a 24th of the Laplacian off the pixels first: a tile of one pixel has a variance of 1/12 px² per axis."""
    side = 2 * FINE_PX + 1
    tiles = near.reshape(-1, side, side)
    sharp = tiles.copy()
    for axis in (1, 2):
        # Pairs of neighbours exchange light, so that none is lost at the block's border.
        step = np.diff(tiles, axis=axis) / np.float32(24.0)
        later, earlier = (np.s_[:, 1:, :], np.s_[:, :-1, :]) if axis == 1 else (np.s_[:, :, 1:], np.s_[:, :, :-1])
        sharp[later] += step
        sharp[earlier] -= step
    return sharp.reshape(near.shape)


@shared(maxsize=32)
def _near(phase_x: int, phase_y: int) -> tuple[FloatArray, FloatArray]:
    """Shares of the central pixels in the innermost rings, the same for frames of any size; and sharpened."""
    edges, x, y = ring_edges(2 * FINE_PX), phase_x / _PHASES, phase_y / _PHASES
    steps = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    side = 2 * FINE_PX + 1
    fine = (np.arange(-FINE_PX, FINE_PX + 1.0)[:, None] + steps).ravel()
    number = np.searchsorted(edges, np.hypot(fine[:, None] - y, fine[None, :] - x), side="right") - 1
    pixel = np.repeat(np.arange(side), _SUBPIXELS)
    pixel = pixel[:, None] * side + pixel[None, :]
    count = np.bincount((number * side**2 + pixel).ravel())
    n = int(number.max()) + 1
    share = np.zeros(n * side**2, np.float32)
    share[: len(count)] = count / _SUBPIXELS**2
    near = share.reshape(n, side**2)
    return near, _sharpened(near)
