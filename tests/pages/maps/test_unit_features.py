"""UnitFeatures: which column holds features, which rows have some, and their principal components."""

from __future__ import annotations

import map_samples
import numpy as np
import pytest
from astropy.table import MaskedColumn, Table

from galmorph.errors import CatalogError
from galmorph.pages.maps.unit_features import Components, feature_column, usable_rows


def test_the_column_is_named_and_others_are_listed():
    table = map_samples.table(12)
    assert feature_column(table, "gm_features", "t").shape == (12, 24)
    with pytest.raises(CatalogError, match=r"'latent' does not exist.*: gm_features does; name"):
        feature_column(table, "latent", "t")
    with pytest.raises(CatalogError, match="'mag' holds no vectors"):
        feature_column(table, "mag", "t")


def test_masked_cells_are_no_features():
    table = Table({"f": MaskedColumn(np.ones((4, 3)), mask=np.eye(4, 3, dtype=bool))})
    assert usable_rows(feature_column(table, "f", "t")).tolist() == [False, False, False, True]


def test_rows_of_zeros_and_infinities_are_no_features():
    features = np.ones((4, 3), np.float32)
    features[0], features[1, 1], features[2, 2] = 0.0, np.inf, np.nan
    assert usable_rows(features).tolist() == [False, False, False, True]


def test_components_keep_the_distances_of_directions():
    features, _ = map_samples.features(300)
    components = Components.of(features)
    reduced = components.applied(features * np.random.default_rng(0).uniform(0.1, 9.0, (300, 1)).astype(np.float32))
    units = features / np.linalg.norm(features, axis=1, keepdims=True)
    assert np.linalg.norm(reduced[0] - reduced[1:], axis=1) == pytest.approx(
        np.linalg.norm(units[0] - units[1:], axis=1), abs=2e-6
    )
    variances = reduced.var(axis=0)
    assert (np.diff(variances) <= 1e-7).all()
    assert components.axes.T @ components.axes == pytest.approx(np.eye(24), abs=1e-5)


def test_at_most_fifty_components_are_kept():
    features = np.random.default_rng(0).normal(size=(80, 70)).astype(np.float32)
    assert Components.of(features).applied(features).shape == (80, 50)
