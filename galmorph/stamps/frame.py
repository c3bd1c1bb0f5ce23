"""Frame: a square of good pixels about a galaxy's centre, averaged where the galaxy spans many."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import compiled, inner
from galmorph.stamps.rings import Rings, phase_of, rings

__all__ = [
    "ALL_GOOD",
    "HALVES",
    "NONE_BAD",
    "WHOLE",
    "Frame",
    "cut",
    "frame_about",
    "frame_size",
    "span",
    "square_about",
]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

HALVES = (12, 16, 24, 32, 48, 64)
"""Half-widths of frames, in frame pixels."""
ALL_GOOD = np.ones((0, 0), np.float32)
"""Stands for the shares of good pixels where all are good."""
WHOLE = 0.99
"""Share from which on a pixel counts as wholly good: shares are sums in single precision."""
NONE_BAD = np.zeros((0, 0), np.bool_)
"""Stands for a mask without bad pixels."""


class Frame(NamedTuple):
    """Pixels about a centre.

    Parameters
    ----------
    flux
        (N, N) mean flux per image pixel; zero where there is no good pixel.
    good
        (N, N) share of good image pixels, 0 to 1; empty where all are good.
    scale_px
        Image pixels along a frame pixel.
    rings
        About the centre.
    offset
        (x, y) of the centre from the middle of the middle pixel, frame pixels, each 0 to 0.5: the frame is mirrored
        where the centre lies left of or below it.
    """

    flux: FloatArray
    good: FloatArray
    scale_px: int
    rings: Rings
    offset: tuple[float, float]


@compiled
def frame_size(radius_px: float) -> tuple[int, int]:
    """Half-width in frame pixels and image pixels per frame pixel, so that a circle of the radius fits."""
    factor = max(1, math.ceil(radius_px / HALVES[-1]))
    number = 0
    while HALVES[number] * factor < radius_px:
        number += 1
    return HALVES[number], factor


def frame_about(clean: FloatArray, bad: BoolArray | None, x: float, y: float, half: int, factor: int = 1) -> Frame:
    """Cut a frame about a position; see :func:`square_about`."""
    (left, right), (bottom, up) = span(x, half, factor), span(y, half, factor)
    flux, good = cut(clean, NONE_BAD if bad is None else bad, bottom, left, half, factor, up < 0, right < 0)
    offset = abs(right), abs(up)
    return Frame(flux, good, factor, rings(half, phase_of(offset[0]), phase_of(offset[1])), offset)


@inner
def square_about(
    clean: FloatArray, bad: BoolArray, x: float, y: float, half: int, factor: int
) -> tuple[FloatArray, FloatArray, tuple[float, float]]:
    """Cut a square about a position.

    Parameters
    ----------
    clean
        (H, W) sky-subtracted flux, finite.
    bad
        (H, W) True on pixels that do not count; empty where all do.
    x, y
        Centre in pixels.
    half, factor
        Half-width in frame pixels and image pixels per frame pixel.

    Returns
    -------
    Flux (N, N), zero where there are no good pixels; share of good pixels, empty where all are good; and the centre's
    offset (x, y) from the middle of the middle pixel in frame pixels, each within half a pixel.
    """
    left, right = span(x, half, factor)
    bottom, up = span(y, half, factor)
    flux, good = cut(clean, bad, bottom, left, half, factor, False, False)
    return flux, good, (right, up)


@compiled
def span(centre: float, half: int, factor: int) -> tuple[int, float]:
    """Return the first image pixel of a frame along one axis, and the centre's offset in frame pixels."""
    first = round(centre - 0.5 * (factor - 1)) - factor * half
    return first, (centre - first - 0.5 * (factor - 1)) / factor - half


@compiled
def cut(
    clean: FloatArray,
    bad: BoolArray,
    bottom: int,
    left: int,
    half: int,
    factor: int,
    upside_down: bool,
    back_to_front: bool,
) -> tuple[FloatArray, FloatArray]:
    """Average the good ones of factor × factor image pixels; a frame pixel with less than half of them is not good."""
    side = 2 * half + 1
    within = min(bottom, left) >= 0 and bottom + side <= clean.shape[0] and left + side <= clean.shape[1]
    if factor == 1 and bad.size == 0 and within:
        return _copied(clean, bottom, left, side, upside_down, back_to_front), np.ones((0, 0), np.float32)
    flux, good = np.zeros((side, side), np.float32), np.zeros((side, side), np.float32)
    tile = factor * factor
    count = 0
    light, used = np.empty(side), np.empty(side, np.int32)
    room = np.empty(clean.shape[1], np.float32), np.empty(clean.shape[1], np.int32)
    for i in range(side):
        row = bottom + factor * (side - 1 - i if upside_down else i)
        if factor == 1:
            if 0 <= row < clean.shape[0]:
                count += _copy_row(clean, bad, row, left, back_to_front, flux[i], good[i])
            continue
        _add_tiles(clean, bad, row, left, factor, light, used, room)
        count += _divide(light, used, tile, flux[i], good[i])
        if back_to_front:
            flux[i], good[i] = flux[i, ::-1].copy(), good[i, ::-1].copy()
    return flux, np.ones((0, 0), np.float32) if count == side * side * tile else good


@inner
def _copied(clean: FloatArray, bottom: int, left: int, side: int, upside_down: bool, back_to_front: bool) -> FloatArray:
    """Copy a square inside the image."""
    flux = np.empty((side, side), np.float32)
    for i in range(side):
        line = clean[bottom + (side - 1 - i if upside_down else i), left : left + side]
        if back_to_front:
            for j in range(side):
                flux[i, side - 1 - j] = line[j]
        else:
            for j in range(side):
                flux[i, j] = line[j]
    return flux


@inner
def _copy_row(
    clean: FloatArray, bad: BoolArray, row: int, left: int, backwards: bool, flux: FloatArray, good: FloatArray
) -> int:
    """Copy the good pixels of a row from a column on, or backwards; count them."""
    side = len(flux)
    first, n = max(-left, 0), max(min(clean.shape[1] - left, side) - max(-left, 0), 0)
    line, ill = clean[row, left + first : left + first + n], np.zeros(n, np.bool_)
    if bad.size:
        ill = bad[row, left + first : left + first + n]
    light, fine = flux[first : first + n], good[first : first + n]
    if backwards:
        light, fine = flux[side - first - n : side - first], good[side - first - n : side - first]
    count = 0
    for j in range(n):
        count += 0 if ill[j] else 1
    if backwards:
        for j in range(n):
            light[n - 1 - j] = np.float32(0.0) if ill[j] else line[j]
            fine[n - 1 - j] = np.float32(0.0) if ill[j] else np.float32(1.0)
    else:
        for j in range(n):
            light[j] = np.float32(0.0) if ill[j] else line[j]
            fine[j] = np.float32(0.0) if ill[j] else np.float32(1.0)
    return count


@inner
def _divide(
    light: npt.NDArray[np.float64], used: npt.NDArray[np.int32], tile: int, flux: FloatArray, good: FloatArray
) -> int:
    """Write the means of squares and the shares of their pixels that are good, zero below a half; count those."""
    count = 0
    for j in range(len(used)):
        # Without a branch, so that several are divided at once.
        is_good = 2 * used[j] >= tile
        mean, share = light[j] / used[j], used[j] / tile
        flux[j], good[j] = np.float32(mean if is_good else 0.0), np.float32(share if is_good else 0.0)
        count += used[j] if is_good else 0
    return count


@inner
def _add_tiles(
    clean: FloatArray,
    bad: BoolArray,
    row: int,
    left: int,
    factor: int,
    light: npt.NDArray[np.float64],
    used: npt.NDArray[np.int32],
    room: tuple[FloatArray, npt.NDArray[np.int32]],
) -> None:
    """Write the sums of the good pixels of squares beside each other, and how many each has; `room` for a row."""
    light[:] = 0.0
    used[:] = 0
    n, width = len(light), clean.shape[1]
    # Squares from the first to before the last lie on the image with all their columns; the one before and the one
    # after may lie on it in part.
    first = min(max(-(left // factor), 0), n)
    last = min(max((width - left) // factor, first), n)
    start = min(max(left, 0), width)
    stop = min(max(left + factor * n, start), width)
    line, fine = room[0][: stop - start], room[1][: stop - start]
    whole, before = min(max(left + factor * first - start, 0), stop - start), max(first - 1, 0)
    for y in range(max(row, 0), min(row + factor, clean.shape[0])):
        if bad.size:
            _take_good(clean[y, start:stop], bad[y, start:stop], line, fine)
        else:
            _take_all(clean[y, start:stop], line, fine)
        if factor == 2:
            _add_pairs(line[whole:], fine[whole:], light[first:last], used[first:last])
        else:
            _add_several(line[whole:], fine[whole:], factor, light[first:last], used[first:last])
        _add_end(line, fine, left + factor * (first - 1) - start, factor, light[before:first], used[before:first])
        _add_end(line, fine, left + factor * last - start, factor, light[last : last + 1], used[last : last + 1])


@inner
def _add_end(
    line: FloatArray,
    fine: npt.NDArray[np.int32],
    first: int,
    factor: int,
    light: npt.NDArray[np.float64],
    used: npt.NDArray[np.int32],
) -> None:
    """Add the pixels of a row that it has of a square to that one's sums, if there is one."""
    if len(light) == 1:
        for x in range(max(first, 0), min(first + factor, len(line))):
            light[0] += line[x]
            used[0] += fine[x]


@inner
def _take_good(pixels: FloatArray, ill: BoolArray, line: FloatArray, fine: npt.NDArray[np.int32]) -> None:
    """Write the good pixels of a part of a row, zero for others, and which they are."""
    for x in range(len(pixels)):
        line[x] = np.float32(0.0) if ill[x] else pixels[x]
        fine[x] = 0 if ill[x] else 1


@inner
def _take_all(pixels: FloatArray, line: FloatArray, fine: npt.NDArray[np.int32]) -> None:
    """Write the pixels of a part of a row, all of which are good."""
    for x in range(len(pixels)):
        line[x], fine[x] = pixels[x], 1


@inner
def _add_pairs(
    line: FloatArray, fine: npt.NDArray[np.int32], light: npt.NDArray[np.float64], used: npt.NDArray[np.int32]
) -> None:
    """Add pairs of pixels of a row to the sums of squares, as :func:`_add_several` does, but several at once."""
    for j in range(len(light)):
        light[j] = light[j] + line[2 * j] + line[2 * j + 1]
        used[j] += fine[2 * j] + fine[2 * j + 1]


@inner
def _add_several(
    line: FloatArray,
    fine: npt.NDArray[np.int32],
    factor: int,
    light: npt.NDArray[np.float64],
    used: npt.NDArray[np.int32],
) -> None:
    """Add so many pixels each of a row to the sums of squares."""
    for k in range(factor):
        for j in range(len(light)):
            light[j] += line[factor * j + k]
            used[j] += fine[factor * j + k]
