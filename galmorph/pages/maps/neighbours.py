"""Neighbours: the nearest points of a map's galaxies, and where a new one belongs among them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

__all__ = ["nearest", "places_among", "trustworthiness"]

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.intp]

_AT_ONCE = 512


def nearest(points: FloatArray, asked: FloatArray, count: int) -> tuple[IntArray, FloatArray]:
    """Find the nearest points, exactly.

    Parameters
    ----------
    points
        (N, K), at least `count`.
    asked
        (M, K).
    count
        How many of each.

    Returns
    -------
    (M, count) numbers of points, the nearest first, and their distances.
    """
    squares = np.square(points).sum(axis=1)
    numbers = np.zeros((len(asked), count), np.intp)
    distances = np.zeros((len(asked), count), np.float32)
    for start in range(0, len(asked), _AT_ONCE):
        block = asked[start : start + _AT_ONCE]
        apart = squares - 2.0 * (block @ points.T) + np.square(block).sum(axis=1)[:, None]
        some = np.argpartition(apart, count - 1, axis=1)[:, :count]
        among = np.take_along_axis(apart, some, axis=1)
        order = np.argsort(among, axis=1, kind="stable")
        numbers[start : start + len(block)] = np.take_along_axis(some, order, axis=1)
        distances[start : start + len(block)] = np.sqrt(np.maximum(np.take_along_axis(among, order, axis=1), 0.0))
    return numbers, distances


def places_among(positions: FloatArray, distances: FloatArray) -> FloatArray:
    """Place new galaxies on a map, each among its neighbours.

    Neighbours may lie on several islands, and their mean in the sea between. So a galaxy goes to the one of them that
    is nearest to all others (their medoid, weighted by likeness), or rather to the mean of those about it that
    have half of the weight.

    Parameters
    ----------
    positions
        (M, k, 2) of the neighbours of each.
    distances
        (M, k) in features, the nearest first.

    Returns
    -------
    (M, 2)
    """
    weights = _weights(distances)
    apart = np.linalg.norm(positions[:, :, None] - positions[:, None, :], axis=-1)
    centre = (apart * weights[:, None, :]).sum(axis=2).argmin(axis=1)
    rows = np.arange(len(positions))
    about = apart[rows, centre]
    kept = weights * (about <= _half_reach(about, weights))
    return np.asarray((positions * kept[..., None]).sum(axis=1) / kept.sum(axis=1, keepdims=True), np.float32)


def _half_reach(about: FloatArray, weights: FloatArray) -> FloatArray:
    """Return how far one must go to have half of the weight, (M, 1)."""
    order = np.argsort(about, axis=1)
    reached = np.take_along_axis(weights, order, axis=1).cumsum(axis=1)
    half = (reached >= 0.5 * reached[:, -1:]).argmax(axis=1)[:, None]
    return np.asarray(np.take_along_axis(about, np.take_along_axis(order, half, axis=1), axis=1))


def _weights(distances: FloatArray) -> FloatArray:
    """Weigh neighbours by a Gaussian of their distance, whose width is that of the middle one."""
    width = np.maximum(distances[:, distances.shape[1] // 2, None], 1e-12)
    return np.asarray(np.exp(-0.5 * np.square(distances / width)), np.float32)


def trustworthiness(features: FloatArray, places: FloatArray, count: int) -> float:
    """Say how far neighbours on a map are neighbours in features (Venna & Kaski 2001): 1 where all of them are.

    Parameters
    ----------
    features
        (N, K) of which the distances count; some thousand rows, since all pairs are compared.
    places
        (N, 2) on the map.
    count
        Of neighbours.
    """
    rows = len(features)
    on_map, _ = nearest(places, places, count + 1)
    penalty = 0
    for row in range(rows):
        apart = np.square(features - features[row]).sum(axis=1)
        apart[row] = -1.0
        ranks = np.empty(rows, np.intp)
        ranks[np.argsort(apart, kind="stable")] = np.arange(rows)
        others = on_map[row][on_map[row] != row][:count]
        penalty += int(np.maximum(ranks[others] - count, 0).sum())
    return 1.0 - penalty * 2.0 / (rows * count * (2 * rows - 3 * count - 1))
