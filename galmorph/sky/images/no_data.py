"""NoData: values that stand for "nothing was observed here" without being NaN.

Drizzled and resampled images hold exact zeros, or another constant, outside their footprint; others -999, -32768
or 1e30. Nothing in a header says so. What tells such a value from light is that pixels have exactly the same
number where others scatter by their noise. Constant skies and saturated stars are told apart by what surrounds
them: light rises from a constant sky smoothly, and saturation lies at the top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, reduce
from typing import Any

import numpy as np
import numpy.typing as npt

from galmorph.errors import ImageError

__all__ = ["PixelSample", "factor_of", "no_data_values", "sample_of", "sampled_rows"]

BoolArray = npt.NDArray[np.bool_]
DoubleArray = npt.NDArray[np.float64]

SAMPLED_PIXELS = 1 << 18
"""Planes of up to so many pixels are looked at as a whole, of larger ones so many."""

_STRIP_ROWS = 4  # of neighbouring pixels, so that plateaus are seen; strips lie one after the other on disk
_FEWEST_STRIPS = 32  # of very wide planes: what is smaller than a thirtieth of a mosaic may be overlooked
_ROWS_AT_ONCE = 128
_CANDIDATES = 4
_FEWEST_EQUAL = 16
_FEWEST_OTHER = 256
_FAR_SIGMA = 30.0
"""Below all light by so many times the scatter: no noise reaches there."""
_ABSURD = 100.0
"""So many times all light: about saturated pixels, which are no more than that, are others almost as bright."""
_PLATEAU_PX, _COARSE_PLATEAU_PX = (3, 3), (4, 16)
"""Sides of plateaus of equal pixels that chance does not make: of continuous values, and of few whole numbers."""
_CONTINUOUS = 0.5
"""Share of different values above which values are continuous."""
_RARE = 0.02
"""Share of pixels away from plateaus above which a value is one of few, as in stamps whose sky is quantised."""
_BRIGHT = 0.99
"""Share of values below those that tell the range of an image."""
_EITHER_SIDE = 0.1
"""Least share of pixels on each side of a value that lies within the noise."""
_CLEAR_JUMP = 3.0
"""From a plateau to what lies beside it, in scatters, where values are whole numbers, some of which chance repeats."""
_MOSTLY = 0.5
_SMALLEST, _LARGEST = 1e-12, 1e12
"""Bright pixels within which squares, inverse squares and their sums stay in single precision."""


@dataclass(frozen=True)
class PixelSample:
    """Pixels of a plane: strips of rows, each (H, W)."""

    strips: tuple[npt.NDArray[np.floating[Any]], ...]

    @cached_property
    def values(self) -> npt.NDArray[np.floating[Any]]:
        """All of them that are finite, (N,), in ascending order."""
        flat = np.concatenate([strip.ravel() for strip in self.strips])
        return np.sort(flat[np.isfinite(flat)])

    @property
    def has_repeats(self) -> bool:
        """Whether some value occurs often; of continuous values none does."""
        equal = self.values[_FEWEST_EQUAL - 1 :] == self.values[: -_FEWEST_EQUAL + 1]
        if self.values.size < 2:
            return False
        return bool(equal.any() or self.values[0] == self.values[1] or self.values[-1] == self.values[-2])


def sample_of(linear: Callable[[int, int], npt.NDArray[Any]], shape: tuple[int, int]) -> PixelSample:
    """Read a sample of a plane: all of a small one, strips of a large one, the first and last rows among them.

    Parameters
    ----------
    linear
        Returns rows ``[y0:y1]`` in flux, double precision.
    shape
        Rows and columns.
    """
    return PixelSample(tuple(_rows(linear, y0, y1) for y0, y1 in sampled_rows(shape)))


def sampled_rows(shape: tuple[int, int]) -> list[tuple[int, int]]:
    """Return ranges of rows: all of a small plane in pieces, strips of a large one from its first row to its last.

    Examples
    --------
    >>> sampled_rows((200, 10)), sampled_rows((100_000, 10_000))[-2:]
    ([(0, 128), (128, 200)], [(96770, 96774), (99996, 100000)])
    """
    height, width = shape
    if height * width <= SAMPLED_PIXELS:
        return [(y, min(y + _ROWS_AT_ONCE, height)) for y in range(0, height, _ROWS_AT_ONCE)]
    strips = max(SAMPLED_PIXELS // (width * _STRIP_ROWS), _FEWEST_STRIPS)
    firsts = np.unique(np.linspace(0, height - _STRIP_ROWS, min(strips, height // _STRIP_ROWS)).astype(int))
    return [(int(y), int(y) + _STRIP_ROWS) for y in firsts]


def _rows(linear: Callable[[int, int], npt.NDArray[Any]], y0: int, y1: int) -> npt.NDArray[Any]:
    """Read rows; none where the file is damaged, which whoever needs them is told."""
    try:
        return linear(y0, y1)
    except ImageError:
        return np.empty((0, 0))


def factor_of(sample: PixelSample) -> float:
    """Return the power of two that brings pixels near 1 if they are far from it; 1 for all usual ones.

    Examples
    --------
    >>> [factor_of(PixelSample((np.array(pixels),))) for pixels in ([[0.0, 2.5, -3.0]], [[2.0**-70, -(2.0**-70)]])]
    [1.0, 1.1805916207174113e+21]
    """
    # What stands for no data counts once, however often it occurs.
    sizes = np.unique(np.abs(sample.values))
    sizes = sizes[sizes > 0]
    bright = float(sizes[int(_BRIGHT * (sizes.size - 1))]) if sizes.size else 1.0
    if _SMALLEST < bright < _LARGEST:
        return 1.0
    return float(2.0 ** -np.round(np.log2(bright)))


def no_data_values(sample: PixelSample) -> tuple[float, ...]:
    """Return the values that stand for no data.

    Examples
    --------
    >>> image = np.random.default_rng(1).normal(0.0, 1.0, (90, 90))
    >>> image[:20] = 0.0
    >>> no_data_values(PixelSample((image,)))
    (0.0,)
    """
    if not sample.has_repeats:
        return ()
    values = sample.values
    unique, counts = np.unique(values, return_counts=True)
    if unique.size < 2:
        return ()
    candidates = _candidates(unique, counts)
    rest = values[~np.isin(values, candidates)]
    if rest.size < _FEWEST_OTHER:
        return ()
    is_continuous = unique.size - len(candidates) > _CONTINUOUS * rest.size
    middle = float(np.median(rest))
    scatter = 1.4826 * float(np.median(np.abs(rest - middle)))
    if not scatter > 0:
        return ()
    light = _Light(rest, middle, scatter, is_continuous)
    return tuple(float(value) for value in candidates if _is_no_data(float(value), sample, light))


def _candidates(unique: DoubleArray, counts: npt.NDArray[np.intp]) -> DoubleArray:
    """Choose the values that occur most often, and the extremes, if they do so often enough."""
    often = np.argsort(counts, kind="stable")[::-1][:_CANDIDATES]
    # Among few whole numbers every value is frequent: only those that stand out are candidates.
    often = often[counts[often] >= max(_FEWEST_EQUAL, 4 * float(np.median(counts)))]
    ends = np.array([end for end in (0, unique.size - 1) if counts[end] > 1], np.intp)
    candidates: DoubleArray = unique[np.unique(np.concatenate([often, ends]))]
    return candidates


@dataclass(frozen=True)
class _Light:
    """How the pixels scatter that are no candidates."""

    values: npt.NDArray[np.floating[Any]]
    middle: float
    scatter: float
    is_continuous: bool


def _is_no_data(value: float, sample: PixelSample, light: _Light) -> bool:
    distance = (value - light.middle) / light.scatter
    largest = max(abs(float(light.values[0])), abs(float(light.values[-1])))
    if value > _ABSURD * largest or distance < -_FAR_SIGMA:
        return True
    around = _surroundings(value, sample, _PLATEAU_PX)
    if not light.is_continuous or around.loose > _RARE:
        around = _surroundings(value, sample, _COARSE_PLATEAU_PX)
    if around.near.size == 0 or not around.has_plateau or around.loose > _MOSTLY:
        return False
    above = float(np.mean(around.near > value))
    if _EITHER_SIDE <= above <= 1 - _EITHER_SIDE:
        return float(np.mean(light.values > value)) > _EITHER_SIDE
    if value > light.middle and abs(float(np.median(around.near)) - light.middle) < light.scatter:
        return True  # beside saturated pixels are other bright ones, not the sky
    # All about it is brighter: the sky of a mock from which galaxies rise smoothly, or a footprint in a bright sky.
    jump = float(np.percentile(around.near, 25)) - value
    clear = light.scatter * (1.0 if light.is_continuous else _CLEAR_JUMP)
    return above > _EITHER_SIDE and around.share < _MOSTLY and jump > clear


@dataclass(frozen=True)
class _Surroundings:
    """What lies about the pixels of a value.

    Parameters
    ----------
    near
        The pixels beside them, (N,).
    has_plateau
        Whether they fill some square.
    share, loose
        Their share of all pixels, and of those away from such squares: where it is high there too, chance fills
        squares.
    """

    near: npt.NDArray[np.floating[Any]]
    has_plateau: bool
    share: float
    loose: float


def _surroundings(value: float, sample: PixelSample, side: tuple[int, int]) -> _Surroundings:
    equal = [strip == value for strip in sample.strips]
    near, squares, away, loose = [], 0, 0, 0
    for strip, here in zip(sample.strips, equal, strict=True):
        square = _opened(here, side)
        outside = ~_grown(_grown(square))
        squares, away, loose = squares + int(square.sum()), away + int(outside.sum()), loose + int(here[outside].sum())
        near.append(strip[_grown(here) & ~here & np.isfinite(strip)])
    total = sum(here.size for here in equal)
    return _Surroundings(
        np.concatenate(near), squares > 0, sum(int(here.sum()) for here in equal) / max(total, 1), loose / max(away, 1)
    )


# Of thin strips scipy's binary morphology takes twenty times as long as these do.
def _opened(here: BoolArray, side: tuple[int, int]) -> BoolArray:
    """Keep what rectangles of so many rows and columns fill.

    Examples
    --------
    >>> _opened(np.array([[1, 1, 0, 1], [1, 1, 1, 0]], bool), (2, 2)).astype(int)
    array([[1, 1, 0, 0],
           [1, 1, 0, 0]])
    """
    if here.shape[0] < side[0] or here.shape[1] < side[1]:
        return np.zeros_like(here)
    full = _over_rectangles(np.logical_and, here, side)
    return _over_rectangles(np.logical_or, np.pad(full, [(n - 1, n - 1) for n in side]), side)


def _over_rectangles(operation: np.ufunc, here: BoolArray, side: tuple[int, int]) -> BoolArray:
    """Combine the pixels of each rectangle that lies inside."""
    for n in side:
        here = reduce(operation, [here[first : len(here) - n + 1 + first] for first in range(n)]).T
    return here


def _grown(here: BoolArray) -> BoolArray:
    """Add the pixels beside, above and below."""
    grown = here.copy()
    grown[1:] |= here[:-1]
    grown[:-1] |= here[1:]
    grown[:, 1:] |= here[:, :-1]
    grown[:, :-1] |= here[:, 1:]
    return grown
