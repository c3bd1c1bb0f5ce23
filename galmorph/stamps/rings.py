"""Rings: how the pixels of a square frame fall into circles about its centre."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

__all__ = ["Rings", "phase_of", "ring_edges", "rings"]

FloatArray = npt.NDArray[np.float32]
Array = npt.NDArray[np.float64]

# Pixels this near to the centre are divided, so that small circles are exact; further out a pixel belongs to the ring
# that holds its middle.
_FINE_PX = 8
_SUBPIXELS = 10
_PHASES = 8


@dataclass(frozen=True)
class Rings:
    """The rings of a frame of 2 * half + 1 pixels a side whose centre lies `phase` eighths of a pixel off its middle.

    Parameters
    ----------
    half
        Half-width of the frame in pixels.
    edges
        (n + 1,) radii between the rings, pixels, from 0 past the frame's corners.
    area
        (n,) geometric area of each ring.
    whole, sharp
        Which pixels fall into which ring; and the same for flux, less the smearing by a pixel that taking pixels for
        tiles of even brightness adds.
    full
        (n,) area of the pixels of each ring if all are good.
    """

    half: int
    edges: Array
    area: Array
    whole: Sorting
    sharp: Sorting
    full: Array

    @property
    def core(self) -> tuple[slice, slice]:
        """The central pixels that are divided."""
        middle = slice(self.half - _FINE_PX, self.half + _FINE_PX + 1)
        return middle, middle

    def sums(self, frame: FloatArray, *, sharp: bool = False) -> Array:
        """Add up the pixels of each ring, (n,); the frame is (2 * half + 1, 2 * half + 1)."""
        return (self.sharp if sharp else self.whole).sums(frame, len(self.area))


@dataclass(frozen=True)
class Sorting:
    """The pixels of a frame ring by ring: first those that are divided, with their shares, then all others.

    Parameters
    ----------
    order
        Flat indices of the pixels.
    share
        Of each of the first pixels, in the ring.
    starts, which
        Where each ring starts in the order, and its number.
    n_divided
        How many of the rings are of divided pixels.
    """

    order: npt.NDArray[np.intp]
    share: FloatArray
    starts: npt.NDArray[np.intp]
    which: npt.NDArray[np.intp]
    n_divided: int

    @classmethod
    def of(cls, half: int, near: FloatArray, far: npt.NDArray[np.intp], number: npt.NDArray[np.intp]) -> Sorting:
        """Sort the central pixels by their shares, (m, 289), and the `far` ones by the ring of each, by flat index."""
        middle = np.arange(half - _FINE_PX, half + _FINE_PX + 1)
        core = (middle[:, None] * (2 * half + 1) + middle).ravel()
        ring, pixel = np.nonzero(near)
        first, start = np.unique(ring, return_index=True)
        order = far[np.argsort(number[far], kind="stable")]
        which, starts = np.unique(number[order], return_index=True)
        return cls(
            np.concatenate([core[pixel], order]),
            near[ring, pixel],
            np.concatenate([start, starts + len(pixel)]),
            np.concatenate([first, which]),
            len(first),
        )

    def sums(self, frame: FloatArray, n: int) -> Array:
        """Add up the pixels of each of n rings."""
        values = frame.take(self.order)
        values[: len(self.share)] *= self.share
        added = np.add.reduceat(values, self.starts)
        total = np.zeros(n)
        total[self.which[: self.n_divided]] = added[: self.n_divided]
        total[self.which[self.n_divided :]] += added[self.n_divided :]
        return total


@lru_cache(maxsize=16)
def ring_edges(half: int) -> Array:
    """Radii between the rings: a quarter of a pixel apart to 8 px, half a pixel to 12 px, then one pixel."""
    outermost = int(1.4143 * (half + 1.0)) + 1
    edges = np.concatenate([np.arange(32) / 4.0, 8.0 + np.arange(8) / 2.0, np.arange(12.0, outermost + 1.0)])
    edges.flags.writeable = False
    return edges


def phase_of(offset: float) -> int:
    """Eighths of a pixel, 0 to 4, nearest to an offset of at most half a pixel."""
    return min(round(abs(offset) * _PHASES), _PHASES // 2)


@lru_cache(maxsize=160)
def rings(half: int, phase_x: int, phase_y: int) -> Rings:
    """Sort the pixels of a frame into rings about a centre, in eighths of a pixel right of and above its middle."""
    edges = ring_edges(half)
    centre = phase_x / _PHASES, phase_y / _PHASES
    near, sharp = _near(phase_x, phase_y)
    along = np.arange(-half, half + 1.0)
    radius = np.hypot(along[:, None] - centre[1], along[None, :] - centre[0])
    number = np.searchsorted(edges, radius.ravel(), side="right") - 1
    middle = np.abs(along) <= _FINE_PX
    far = np.flatnonzero(~(middle[:, None] & middle[None, :]).ravel())
    full = np.zeros(len(edges) - 1)
    full[: len(near)] = near.sum(axis=1)
    full += np.bincount(number[far], minlength=len(full))
    sorted_by = [Sorting.of(half, shares, far, number) for shares in (near, sharp)]
    return Rings(half, edges, np.pi * np.diff(edges**2), sorted_by[0], sorted_by[1], full)


def _sharpened(near: FloatArray) -> FloatArray:
    """Take a 24th of the Laplacian off the pixels first: a tile of one pixel has a variance of 1/12 px² per axis."""
    side = 2 * _FINE_PX + 1
    tiles = near.reshape(-1, side, side)
    sharp = tiles.copy()
    for axis in (1, 2):
        # Pairs of neighbours exchange light, so that none is lost at the block's border.
        step = np.diff(tiles, axis=axis) / np.float32(24.0)
        later, earlier = (np.s_[:, 1:, :], np.s_[:, :-1, :]) if axis == 1 else (np.s_[:, :, 1:], np.s_[:, :, :-1])
        sharp[later] += step
        sharp[earlier] -= step
    return sharp.reshape(near.shape)


@lru_cache(maxsize=32)
def _near(phase_x: int, phase_y: int) -> tuple[FloatArray, FloatArray]:
    """Shares of the central pixels in the innermost rings, the same for frames of any size; and sharpened."""
    edges, x, y = ring_edges(2 * _FINE_PX), phase_x / _PHASES, phase_y / _PHASES
    steps = (np.arange(_SUBPIXELS) + 0.5) / _SUBPIXELS - 0.5
    side = 2 * _FINE_PX + 1
    fine = (np.arange(-_FINE_PX, _FINE_PX + 1.0)[:, None] + steps).ravel()
    number = np.searchsorted(edges, np.hypot(fine[:, None] - y, fine[None, :] - x), side="right") - 1
    pixel = np.repeat(np.arange(side), _SUBPIXELS)
    pixel = pixel[:, None] * side + pixel[None, :]
    count = np.bincount((number * side**2 + pixel).ravel())
    n = int(number.max()) + 1
    share = np.zeros(n * side**2, np.float32)
    share[: len(count)] = count / _SUBPIXELS**2
    near = share.reshape(n, side**2)
    return near, _sharpened(near)
