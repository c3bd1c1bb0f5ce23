"""Library: the rings of all frames and the templates of some point-spread functions, in few arrays.

Compiled code that measures many galaxies takes what it needs out of these by numbers, without a call of Python.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import product
from threading import Lock
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from galmorph.stamps.compiled import inner
from galmorph.stamps.frame import HALVES, Frame, cut, span
from galmorph.stamps.petrosian import INNER, OUTER, Sampling, sampling
from galmorph.stamps.rings import MOST_PHASE, Rings, Shares, phase_of, ring_edges, rings
from galmorph.stamps.shared import read_only, shared
from galmorph.stamps.template import (
    AXIS_RATIOS,
    WIDTH_CLASSES,
    Templates,
    plane_of,
    templates,
    width_class,
    width_number,
)

__all__ = [
    "Circles",
    "Library",
    "library_with",
    "set_number",
    "take_frame",
    "take_sampling",
    "take_templates",
    "wanted_of",
]

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int32]
Array = npt.NDArray[np.float64]
Numbers = npt.NDArray[np.int64]

_PLANES = len(AXIS_RATIOS)
_PHASES = MOST_PHASE + 1
# Sets of templates, of a quarter of a megabyte, that are kept at a time.
_MOST_SETS = 96


class Circles(NamedTuple):
    """Rings and samplings of the frames of all half-widths and phases, one after the other.

    Parameters
    ----------
    edges, area
        Of the largest frame; those of smaller ones are their beginning.
    n, pixels
        (H,) rings and pixels of the frames of each half-width.
    number, number_at
        :attr:`~galmorph.stamps.rings.Rings.number` of all, and where those of each half-width begin.
    full, full_at
        Likewise.
    ring, pixel, share, shares_at
        Shares near the middle and, after each, the sharpened ones; where each begins.
    radius, place, part, sampling_at
        The samplings of each half-width; where they begin.
    """

    edges: Array
    area: Array
    n: Numbers
    pixels: Numbers
    number: IntArray
    number_at: Numbers
    full: Array
    full_at: Numbers
    ring: IntArray
    pixel: IntArray
    share: FloatArray
    shares_at: Numbers
    radius: Array
    place: npt.NDArray[np.intp]
    part: Array
    sampling_at: Numbers


class Shelf(NamedTuple):
    """Sets of templates, one after the other.

    Parameters
    ----------
    slot
        (classes * planes,) number of each set; -1 where it is not here.
    at
        (S + 1,) number of the first template of each set, and the end.
    ring_flux, mean, log_radii
        Of all sets, flat.
    groups
        As of :class:`~galmorph.stamps.template.Templates`.
    """

    slot: Numbers
    at: Numbers
    ring_flux: FloatArray
    mean: FloatArray
    log_radii: Array
    groups: npt.NDArray[np.intp]


class Library(NamedTuple):
    """What compiled measuring looks things up in."""

    circles: Circles
    shelf: Shelf


@shared(maxsize=1)
def _circles() -> Circles:
    every = [[rings(half, *phase) for phase in product(range(_PHASES), repeat=2)] for half in HALVES]
    samplings = [sampling(ring_edges(half)) for half in HALVES]
    flat = [one for of_half in every for one in of_half]
    shares = [part for one in flat for part in (one.near, one.sharp)]
    largest = flat[-1]
    return Circles(
        largest.edges,
        largest.area,
        np.array([len(of_half[0].area) for of_half in every]),
        np.array([len(of_half[0].number) for of_half in every]),
        np.concatenate([one.number for one in flat]),
        _starts([len(of_half) * len(of_half[0].number) for of_half in every]),
        np.concatenate([one.full for one in flat]),
        _starts([len(of_half) * len(of_half[0].full) for of_half in every]),
        np.concatenate([part.ring for part in shares]),
        np.concatenate([part.pixel for part in shares]),
        np.concatenate([part.share for part in shares]),
        _starts([len(part.ring) for part in shares]),
        np.concatenate([one.radius for one in samplings]),
        np.concatenate([one.ring.ravel() for one in samplings]),
        np.concatenate([one.part.ravel() for one in samplings]),
        _starts([len(one.radius) for one in samplings]),
    )


def _starts(lengths: list[int]) -> Numbers:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _shelf(numbers: tuple[int, ...]) -> Shelf:
    """Put sets of templates by their numbers, of which there is one at least, into a row."""
    sets = [templates(*divmod(number, _PLANES)) for number in numbers]
    slot = np.full(WIDTH_CLASSES * _PLANES, -1, np.int64)
    slot[list(numbers)] = np.arange(len(numbers))
    return Shelf(
        slot,
        _starts([len(one.log_radii) for one in sets]),
        np.concatenate([one.ring_flux.ravel() for one in sets]),
        np.concatenate([one.mean.ravel() for one in sets]),
        np.concatenate([one.log_radii.ravel() for one in sets]),
        sets[0].groups,
    )


class _Present:
    """The library as it is; it grows by what is missing."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers: tuple[int, ...] = ()
        self._library: Library | None = None

    def holding(self, wanted: tuple[int, ...]) -> Library:
        """Return the library with these sets of templates, at least one; it may have others."""
        with self._lock:
            missing = set(wanted).difference(self._numbers)
            if self._library is None or missing:
                kept = self._numbers if len(self._numbers) + len(missing) <= _MOST_SETS else ()
                self._numbers = tuple(dict.fromkeys((*kept, *wanted)))
                self._library = Library(_circles(), read_only(_shelf(self._numbers)))
            return self._library


library_with = _Present().holding
"""Returns the one library that there is, with some sets of templates: see :meth:`_Present.holding`."""


@lru_cache(maxsize=64)
def wanted_of(psf_fwhm_px: float | None) -> tuple[int, ...]:
    """Return the numbers of the sets for frames of whole pixels, for a point-spread function of this width."""
    first = width_class(psf_fwhm_px) * _PLANES
    return tuple(range(first, first + _PLANES))


@inner
def take_frame(
    clean: FloatArray, bad: BoolArray, x: float, y: float, half: int, factor: int, circles: Circles
) -> Frame:
    """Cut a frame about a position as :func:`galmorph.stamps.frame.frame_about` does; `bad` may be empty."""
    left, right = span(x, half, factor)
    bottom, up = span(y, half, factor)
    flux, good = cut(clean, bad, bottom, left, half, factor, up < 0, right < 0)
    offset = abs(right), abs(up)
    return Frame(flux, good, factor, take_rings(circles, half, phase_of(offset[0]), phase_of(offset[1])), offset)


@inner
def take_rings(circles: Circles, half: int, phase_x: int, phase_y: int) -> Rings:
    """Take the rings of a frame whose half-width is one of HALVES: those of :func:`galmorph.stamps.rings.rings`."""
    h = _number_of(half)
    n, pixels, phase = circles.n[h], circles.pixels[h], phase_x * _PHASES + phase_y
    number, full = circles.number_at[h] + phase * pixels, circles.full_at[h] + phase * n
    shares = 2 * (h * _PHASES * _PHASES + phase)
    return Rings(
        half,
        circles.edges[: n + 1],
        circles.area[:n],
        circles.number[number : number + pixels],
        _shares(circles, shares),
        _shares(circles, shares + 1),
        circles.full[full : full + n],
    )


@inner
def _shares(circles: Circles, number: int) -> Shares:
    first, end = circles.shares_at[number], circles.shares_at[number + 1]
    return Shares(circles.ring[first:end], circles.pixel[first:end], circles.share[first:end])


@inner
def _number_of(half: int) -> int:
    number = 0
    while HALVES[number] < half:
        number += 1
    return number


@inner
def take_sampling(circles: Circles, half: int) -> Sampling:
    """Take the sampling of the rings of a frame."""
    h = _number_of(half)
    first, end = circles.sampling_at[h], circles.sampling_at[h + 1]
    place = circles.place[3 * first : 3 * end].reshape((3, end - first))
    part = circles.part[3 * first : 3 * end].reshape((3, end - first))
    return Sampling(circles.radius[first:end], place, part, INNER, OUTER)


@inner
def set_number(psf_fwhm: float, axis_ratio: float) -> int:
    """Return the number of the set for a width of the point-spread function in frame pixels, NaN where unknown."""
    return width_number(psf_fwhm) * _PLANES + plane_of(axis_ratio)


@inner
def take_templates(shelf: Shelf, slot: int) -> Templates:
    """Take the set in a slot of the shelf."""
    first, end = shelf.at[slot], shelf.at[slot + 1]
    count = end - first
    n, groups = len(shelf.ring_flux) // shelf.at[-1], len(shelf.mean) // shelf.at[-1]
    return Templates(
        shelf.ring_flux[first * n : end * n].reshape((count, n)),
        shelf.mean[first * groups : end * groups].reshape((groups, count)),
        shelf.groups,
        shelf.log_radii[first * 5 : end * 5].reshape((count, 5)),
    )
