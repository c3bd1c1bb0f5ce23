"""Neighbours: the nearest points exactly, places among them, and how far a map can be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.manifold import trustworthiness as of_sklearn

from galmorph.pages.maps.neighbours import nearest, places_among, trustworthiness


def test_the_nearest_are_those_of_all_distances():
    rng = np.random.default_rng(0)
    points, asked = (rng.normal(size=(n, 7)).astype(np.float32) for n in (900, 700))
    numbers, distances = nearest(points, asked, 6)
    apart = np.linalg.norm(asked[:, None].astype(float) - points[None], axis=2)
    assert (numbers == np.argsort(apart, axis=1)[:, :6]).mean() > 0.999
    assert distances == pytest.approx(np.sort(apart, axis=1)[:, :6], abs=1e-4)


def test_a_galaxy_between_two_islands_goes_to_one_of_them():
    positions = np.array([[[0, 0], [0.1, 0], [0, 0.1], [10, 10], [10, 10.1]]], np.float32)
    (place,) = places_among(positions, np.full((1, 5), 0.5, np.float32))
    assert np.hypot(*place) < 0.2


def test_the_likest_neighbours_count_most():
    positions = np.array([[[0, 0], [0.1, 0], [10, 10], [10, 10.1], [10.1, 10]]], np.float32)
    (place,) = places_among(positions, np.array([[0.05, 0.06, 0.3, 1.2, 1.3]], np.float32))
    assert np.hypot(*place) < 0.2


def test_a_copy_of_a_galaxy_does_not_break_the_weights():
    places = places_among(np.zeros((1, 5, 2), np.float32), np.zeros((1, 5), np.float32))
    assert places.tolist() == [[0.0, 0.0]]


def test_trustworthiness_is_that_of_scikit_learn():
    rng = np.random.default_rng(1)
    features = rng.normal(size=(200, 5)).astype(np.float32)
    places = features[:, :2] + rng.normal(size=(200, 2)).astype(np.float32)
    assert trustworthiness(features, places, 7) == pytest.approx(of_sklearn(features, places, n_neighbors=7), abs=1e-6)
