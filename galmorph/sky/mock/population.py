"""Population: the sources of a field: which kind, how bright, how large and where."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from galmorph.sky.mock.galaxies import KINDS, SIZE_FACTOR, faint_neighbour
from galmorph.sky.mock.light import Shape
from galmorph.sky.mock.setting import Population

__all__ = ["MockSource", "draw_neighbours", "draw_rows"]

FloatArray = npt.NDArray[np.float64]
Rng = np.random.Generator

_CLUSTERED = 0.2
"""Share of galaxies that lie beside another, close enough that deblending has work to do."""
_TRIES = 60
"""Attempts to find a free place; a field so crowded that none helps gets overlapping galaxies."""


@dataclass(frozen=True)
class MockSource:
    """A shape with the pixel position of its centre and its magnitude in the reference band."""

    shape: Shape
    x_px: float
    y_px: float
    mag: float


def draw_rows(rng: Rng, people: Population, *, rows: int, side_px: int, scale_arcsec: float) -> list[MockSource]:
    """Draw the sources that the catalogue lists: every kind in its share, two in a hundred on the edge.

    Parameters
    ----------
    rng
        Random numbers.
    people
        What the population is like.
    rows
        How many.
    side_px
        Side of the square field in pixels.
    scale_arcsec
        Pixel scale in arcsec.
    """
    kinds = _kinds(rng, people, rows)
    mags = [_magnitude(rng, people, kind) for kind in kinds]
    sizes = [_size(rng, people, mag) * SIZE_FACTOR[kind] for kind, mag in zip(kinds, mags, strict=True)]
    places = _places(rng, np.array(sizes) / scale_arcsec, side_px)
    shapes = [KINDS[kind](rng, size) for kind, size in zip(kinds, sizes, strict=True)]
    return [MockSource(s, float(x), float(y), m) for s, (x, y), m in zip(shapes, places, mags, strict=True)]


def draw_neighbours(rng: Rng, people: Population, *, rows: int, side_px: int) -> list[MockSource]:
    """Draw the faint sources that the catalogue does not list, anywhere in the field."""
    count = round(rows * people.neighbours_per_row)
    brightest, faintest = (people.mag_range[1] + step for step in people.neighbour_mags)
    mags = _counts(rng, people.count_slope, brightest, faintest, count)
    places = rng.uniform(-0.5, side_px - 0.5, (count, 2))
    return [
        MockSource(faint_neighbour(rng, _size(rng, people, mag)), float(x), float(y), float(mag))
        for mag, (x, y) in zip(mags, places, strict=True)
    ]


def _kinds(rng: Rng, people: Population, rows: int) -> list[str]:
    """Give each kind its share, none less than one row where there are enough, in random order."""
    names, shares = list(people.kinds), np.array(list(people.kinds.values()))
    least = 1 if rows >= len(names) else 0
    counts = np.maximum(np.floor(rows * shares / shares.sum()), least).astype(int)
    while counts.sum() > rows:
        counts[counts.argmax()] -= 1
    rest = rng.choice(names, rows - int(counts.sum()), p=shares / shares.sum())
    return [str(k) for k in rng.permutation(np.concatenate([np.repeat(names, counts), rest]))]


def _magnitude(rng: Rng, people: Population, kind: str) -> float:
    """Draw from the counts; arms and tails are only ever seen in the brighter part."""
    bright, faint = people.mag_range
    limit = faint - 0.3 * (faint - bright) if kind in {"spiral", "merger"} else faint
    return float(_counts(rng, people.count_slope, bright, limit, 1)[0])


def _counts(rng: Rng, slope: float, bright: float, faint: float, size: int) -> FloatArray:
    """Draw magnitudes with log10 N growing by `slope` per magnitude between two limits."""
    low, high = 10 ** (slope * bright), 10 ** (slope * faint)
    if high - low < 1e-9 * high:
        return np.full(size, bright)
    return np.asarray(np.log10(low + (high - low) * rng.uniform(size=size)) / slope)


def _size(rng: Rng, people: Population, mag: float) -> float:
    """Half-light semi-major axis in arcsec of a disc: log-normal about the size-magnitude relation."""
    scatter = np.clip(rng.normal(), -2.2, 2.2) * people.r_e_scatter_dex
    return float(people.r_e_arcsec * 10 ** (people.r_e_slope * (mag - people.at_mag) + scatter))


def _places(rng: Rng, sizes_px: FloatArray, side_px: int) -> FloatArray:
    """Scatter positions (N, 2) with some clustering; large galaxies first, none on top of another."""
    places = np.full((len(sizes_px), 2), np.nan)
    room = 2.2 * sizes_px + 4.0
    for i in np.argsort(-sizes_px, kind="stable"):
        done = np.flatnonzero(np.isfinite(places[:, 0]))
        places[i] = _place(rng, places[done], room[done], float(room[i]), side_px)
    on_edge = rng.choice(len(places), len(places) // 50, replace=False)
    places[on_edge] = [_edge(rng, side_px) for _ in on_edge] or np.empty((0, 2))
    return places


def _place(rng: Rng, others: FloatArray, room: FloatArray, own: float, side_px: int) -> FloatArray:
    """Find a place at least the sum of both rooms from all others; after some tries take any."""
    margin = min(own, 0.25 * side_px)
    low, high = margin - 0.5, side_px - 0.5 - margin
    at = rng.uniform(low, high, 2)
    for _ in range(_TRIES):
        if len(others) and rng.uniform() < _CLUSTERED:
            near = int(rng.integers(len(others)))
            turn, far = rng.uniform(0, 2 * np.pi), (own + room[near]) * rng.uniform(1.0, 1.6)
            at = others[near] + far * np.array([np.cos(turn), np.sin(turn)])
        else:
            at = rng.uniform(low, high, 2)
        inside = bool(np.all((at >= low) & (at <= high)))
        if inside and np.all(np.hypot(*(others - at).T) > own + room):
            return at
    return np.clip(at, low, high)


def _edge(rng: Rng, side_px: int) -> FloatArray:
    """Draw a position within four pixels of one of the four sides."""
    along, depth = rng.uniform(0.05, 0.95) * (side_px - 1), rng.uniform(0, 4)
    x, y = (along, depth) if rng.uniform() < 0.5 else (depth, along)
    return np.array([x, y]) if rng.uniform() < 0.5 else side_px - 1 - np.array([x, y])
