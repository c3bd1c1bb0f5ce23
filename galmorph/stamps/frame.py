"""Frame: a square of good pixels about a galaxy's centre, averaged where the galaxy spans many."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.stamps.rings import Rings, phase_of, rings

__all__ = ["HALVES", "Frame", "frame_about", "frame_size", "square_about"]

FloatArray = npt.NDArray[np.float32]
BoolArray = npt.NDArray[np.bool_]

HALVES = (12, 16, 24, 32, 48, 64)
"""Half-widths of frames, in frame pixels."""


@dataclass(frozen=True)
class Frame:
    """Pixels about a centre.

    Parameters
    ----------
    flux
        (N, N) mean flux per image pixel; zero where there is no good pixel.
    good
        (N, N) share of good image pixels, 0 to 1; None where all are good.
    scale_px
        Image pixels along a frame pixel.
    rings
        About the centre.
    offset
        (x, y) of the centre from the middle of the middle pixel, frame pixels, each 0 to 0.5: the frame is mirrored
        where the centre lies left of or below it.
    """

    flux: FloatArray
    good: FloatArray | None
    scale_px: int
    rings: Rings
    offset: tuple[float, float]


def frame_size(radius_px: float) -> tuple[int, int]:
    """Half-width in frame pixels and image pixels per frame pixel, so that a circle of the radius fits."""
    factor = max(1, int(np.ceil(radius_px / HALVES[-1])))
    return next(half for half in HALVES if half * factor >= radius_px), factor


def frame_about(clean: FloatArray, bad: BoolArray | None, x: float, y: float, half: int, factor: int = 1) -> Frame:
    """Cut a frame about a position; see :func:`square_about`."""
    flux, good, (right, up) = square_about(clean, bad, x, y, half, factor)
    if right < 0 or up < 0:
        flip = slice(None, None, -1 if up < 0 else 1), slice(None, None, -1 if right < 0 else 1)
        flux, good = np.ascontiguousarray(flux[flip]), None if good is None else np.ascontiguousarray(good[flip])
    offset = abs(right), abs(up)
    return Frame(flux, good, factor, rings(half, phase_of(offset[0]), phase_of(offset[1])), offset)


def square_about(
    clean: FloatArray, bad: BoolArray | None, x: float, y: float, half: int, factor: int = 1
) -> tuple[FloatArray, FloatArray | None, tuple[float, float]]:
    """Cut a square about a position.

    Parameters
    ----------
    clean
        (H, W) sky-subtracted flux, finite.
    bad
        (H, W) True on pixels that do not count; None where all do.
    x, y
        Centre in pixels.
    half, factor
        Half-width in frame pixels and image pixels per frame pixel.

    Returns
    -------
    Flux (N, N), zero where there are no good pixels; share of good pixels or None; and the centre's offset (x, y)
    from the middle of the middle pixel in frame pixels, each within half a pixel.
    """
    columns, rows = _span(x, half, factor, clean.shape[1]), _span(y, half, factor, clean.shape[0])
    side = factor * (2 * half + 1)
    inside = clean[rows.here, columns.here]
    hole = bad is not None and bool(bad[rows.here, columns.here].any())
    flux, good = inside, None
    if rows.cut or columns.cut:
        flux = np.zeros((side, side), np.float32)
        flux[rows.there, columns.there] = inside
    if hole or rows.cut or columns.cut:
        good = np.zeros((side, side), np.float32)
        good[rows.there, columns.there] = 1.0 if bad is None else ~bad[rows.here, columns.here]
        flux = flux * good
    if factor > 1:
        flux, good = _averaged(flux, good, factor)
    return np.ascontiguousarray(flux), good, (columns.offset, rows.offset)


@dataclass(frozen=True)
class _Span:
    """Along one axis: pixels of the image and of the frame, the centre's offset, and whether the image ends inside."""

    here: slice
    there: slice
    offset: float
    cut: bool


def _span(centre: float, half: int, factor: int, length: int) -> _Span:
    first = round(centre - 0.5 * (factor - 1)) - factor * half
    side = factor * (2 * half + 1)
    low = min(max(first, 0), length)
    high = max(min(first + side, length), low)
    offset = (centre - first - 0.5 * (factor - 1)) / factor - half
    return _Span(slice(low, high), slice(low - first, high - first), offset, high - low < side)


def _averaged(flux: FloatArray, good: FloatArray | None, factor: int) -> tuple[FloatArray, FloatArray | None]:
    n = len(flux) // factor
    total = flux.reshape(n, factor, n, factor).mean(axis=(1, 3))
    if good is None:
        return total, None
    share = good.reshape(n, factor, n, factor).mean(axis=(1, 3))
    return np.divide(total, share, out=np.zeros_like(total), where=share > 0) * (share >= 0.5), share * (share >= 0.5)
