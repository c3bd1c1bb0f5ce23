"""Spherical k-means: laws of whitening and clustering."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from galmorph.nets.features.spherical_kmeans import fit_whitening, normalised_patches, objective, spherical_kmeans

SEEDS = st.integers(0, 10_000)


def patches(seed: int, count: int = 300, numbers: int = 6) -> np.ndarray:
    rng = np.random.default_rng(seed)
    mixing = rng.normal(size=(numbers, numbers))
    return (rng.normal(size=(count, numbers)) @ mixing).astype(np.float32)


@settings(max_examples=20, deadline=None)
@given(SEEDS, st.integers(1, 40), st.floats(0.0, 3.0))
def test_centroids_have_length_one(seed, centroids, damping):
    learnt = spherical_kmeans(patches(seed), centroids, iterations=3, damping=damping, seed=seed)
    assert learnt.shape == (centroids, 6)
    assert np.allclose(np.linalg.norm(learnt, axis=1), 1.0, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_without_damping_the_objective_does_not_fall(seed):
    white = fit_whitening(patches(seed))(patches(seed))
    course = [objective(white, spherical_kmeans(white, 8, iterations=n, damping=0.0, seed=seed)) for n in range(1, 9)]
    assert (np.diff(course) >= -1e-5 * course[0]).all(), course


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.randoms(use_true_random=False))
def test_the_order_of_patches_does_not_matter(seed, random):
    # Without empty clusters, which begin anew from a patch by its number.
    some = patches(seed, 400)
    order = list(range(len(some)))
    random.shuffle(order)
    one, other = (spherical_kmeans(x, 3, iterations=2, seed=seed) for x in (some, some[order]))
    assert np.allclose(one, other, atol=1e-3)


@settings(max_examples=15, deadline=None)
@given(SEEDS)
def test_whitened_patches_have_unit_covariance(seed):
    some = patches(seed)
    white = fit_whitening(some)(some).astype(np.float64)
    assert np.allclose(np.cov(white, rowvar=False, bias=True), np.eye(white.shape[1]), atol=1e-2)
    assert np.abs(white.mean(axis=0)).max() < 1e-2


def test_whitening_leaves_out_what_has_no_variance_and_what_is_not_wanted():
    some = normalised_patches(patches(1), 0.0)  # the sum of each is 0
    assert fit_whitening(some).matrix.shape == (6, 5)
    assert fit_whitening(some, kept=0.5).matrix.shape[1] < 5


@settings(max_examples=15, deadline=None)
@given(SEEDS, st.floats(0.1, 10.0), st.floats(-5.0, 5.0))
def test_normalised_patches_know_neither_brightness_nor_contrast(seed, factor, offset):
    some = patches(seed)
    assert np.allclose(normalised_patches(factor * some + offset, 0.0), normalised_patches(some, 0.0), atol=1e-2)
    flat = np.full((1, 6), offset, np.float32)
    assert np.abs(normalised_patches(flat, 0.1)).max() < 1e-3


def test_clusters_that_lie_apart_are_learnt_and_the_same_seed_gives_the_same():
    rng = np.random.default_rng(3)
    axes = np.eye(8, dtype=np.float32)
    some = (
        axes[rng.integers(8, size=2000)] * rng.choice([-3, 3], size=(2000, 1)) + 0.1 * rng.normal(size=(2000, 8))
    ).astype(np.float32)
    learnt = spherical_kmeans(some, 24, seed=1)  # more than there are: some begin empty
    assert np.abs(learnt @ axes.T).max(axis=0) == pytest.approx(np.ones(8), abs=0.02)
    assert np.array_equal(learnt, spherical_kmeans(some, 24, seed=1))
