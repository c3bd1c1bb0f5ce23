"""Chance: the probability that a pair is one object, and not two that happen to be near one another.

After Sutherland & Saunders (1992): of a row's candidates, that at a separation s is real with a likelihood of
Q f(s) / n, against 1 - Q that none of them is. f is how real pairs scatter, a Gaussian in both directions; n the
density of the second catalogue about the row; Q how many rows of the first have a counterpart at all. Where positions
have no errors, the width of f is learnt from the pairs themselves together with Q, by expectation and maximisation.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from galmorph.sky.matching.pairs import Pairs, tree_of
from galmorph.sky.matching.position_errors import sigmas_arcsec
from galmorph.sky.matching.separations import ARCSEC, FloatArray, IntArray, SkyPositions, chord_of, unit_vectors

__all__ = ["probabilities"]

_NEIGHBOURS = 50
"""Rows by which a density is known to 14 %."""
_SAMPLE = 1000
_ROUNDS = 200
_CHANGE = 1e-6


@dataclass(frozen=True)
class _Candidates:
    """All pairs within a radius, and what chance has to do with them.

    Parameters
    ----------
    row
        Of each pair, which of the rows with pairs it belongs to, from 0.
    separation, score
        Of each pair.
    density
        Of the second catalogue about it, per square arcsec.
    radius
        Within which all pairs are there.
    count
        Rows of the first catalogue that could have had pairs.
    """

    row: IntArray
    separation: FloatArray
    score: FloatArray
    density: FloatArray
    radius: float
    count: int

    def real(self, fraction: float, scatter: FloatArray) -> FloatArray:
        """Return the probabilities of all pairs, given the fraction of real ones and how these scatter."""
        likelihood = fraction * scatter / self.density
        return np.asarray(likelihood / (np.bincount(self.row, weights=likelihood)[self.row] + 1.0 - fraction))


def probabilities(pairs: Pairs, first: SkyPositions, second: SkyPositions, radius_arcsec: float) -> FloatArray:
    """Return of each pair the probability that it is one object, (M,).

    Parameters
    ----------
    pairs
        All within the radius: those of a row share what probability there is.
    first, second
        Positions of both catalogues; with errors, scatter is not learnt but theirs.
    radius_arcsec
        Within which pairs were looked for.
    """
    if not len(pairs):
        return np.empty(0)
    rows, row = np.unique(pairs.first, return_inverse=True)
    density = _densities(first[rows], second[second.finite_rows], radius_arcsec)[row]
    count = len(first.finite_rows)
    candidates = _Candidates(row, pairs.separation_arcsec, pairs.score, density, radius_arcsec, count)
    sigmas = sigmas_arcsec(first[pairs.first], second[pairs.second])
    return _learnt(candidates) if sigmas is None else _with_errors(candidates, sigmas)


def _with_errors(candidates: _Candidates, sigmas: FloatArray) -> FloatArray:
    """Learn how many are real, given how each scatters."""
    with np.errstate(divide="ignore", invalid="ignore"):
        scatter = np.exp(-0.5 * candidates.score**2) / (2.0 * np.pi * sigmas**2)
    scatter = np.where(sigmas > 0.0, scatter, np.finfo(float).max ** 0.25)
    fraction = 0.5
    for _ in range(_ROUNDS):
        real = candidates.real(fraction, scatter)
        former, fraction = fraction, min(float(real.sum()) / candidates.count, 1.0 - 1e-9)
        if abs(fraction - former) < _CHANGE:
            break
    return candidates.real(fraction, scatter)


def _learnt(candidates: _Candidates) -> FloatArray:
    """Learn how many are real and how they scatter."""
    separation = candidates.separation
    fraction, variance = 0.5, max(float(np.median(separation)) ** 2 / 1.386, _least(candidates))
    for _ in range(_ROUNDS):
        real = candidates.real(fraction, _gaussian(separation, variance, candidates.radius))
        former, fraction = fraction, min(float(real.sum()) / candidates.count, 1.0 - 1e-9)
        square = float(real @ separation**2) / max(float(real.sum()), 1e-300)
        variance = max(_untruncated(square, variance, candidates.radius), _least(candidates))
        if abs(fraction - former) < _CHANGE:
            break
    return candidates.real(fraction, _gaussian(separation, variance, candidates.radius))


def _least(candidates: _Candidates) -> float:
    """Return the least variance that is believed: rows that coincide have one of nought."""
    return float((candidates.radius * 1e-3) ** 2)


def _gaussian(separation: FloatArray, variance: float, radius: float) -> FloatArray:
    """Return the density of real pairs per square arcsec, all of which lie within the radius."""
    inside = -np.expm1(-(radius**2) / (2.0 * variance))
    return np.asarray(np.exp(-(separation**2) / (2.0 * variance)) / (2.0 * np.pi * variance * inside))


def _untruncated(square: float, variance: float, radius: float) -> float:
    """Return the variance in one direction that has this mean square of separations within the radius."""
    edge = np.exp(-(radius**2) / (2.0 * variance))
    # Separations without end would have a variance near the radius at most: flatter is as good as chance.
    return float(min((square + radius**2 * edge / (1.0 - edge)) / 2.0, radius**2))


def _densities(at: SkyPositions, of: SkyPositions, radius_arcsec: float) -> FloatArray:
    """Count rows in a ring about positions, outside the radius, where real pairs are; per square arcsec.

    At the edge of a field part of the ring is empty, and the density up to half of what it is inside.
    """
    vectors = unit_vectors(at.ra_deg, at.dec_deg)
    tree = tree_of(of)
    nearest = min(_NEIGHBOURS, len(of))
    sample = vectors[:: max(len(vectors) // _SAMPLE, 1)]
    distance = float(np.median(tree.query(sample, k=[nearest])[0]))
    outer = max(2.0 * ARCSEC * np.arcsin(min(distance / 2.0, 1.0)), 3.0 * radius_arcsec)
    inside, all_of_them = (
        tree.query_ball_point(vectors, chord_of(radius), return_length=True) for radius in (radius_arcsec, outer)
    )
    area = np.pi * (outer**2 - radius_arcsec**2)
    return np.asarray(np.maximum(all_of_them - inside, 0.5) / area)
