"""Layout: maps put like beside like, are the same each time, and take new galaxies without moving the old ones."""

from __future__ import annotations

import json
import pickle
import sys

import map_samples
import numpy as np
import pytest

from galmorph.errors import CatalogError, OutputError, PipelineError
from galmorph.likeness.feature_space import directions
from galmorph.pages.maps.layout import check_method, exaggeration, laid_out, load_layout
from galmorph.pages.maps.neighbours import trustworthiness

METHODS = ["pca", "tsne", pytest.param("umap", marks=[pytest.mark.long, pytest.mark.slow])]
ROWS, NEW = 300, 120


@pytest.fixture(scope="module", params=METHODS)
def layout(request):
    if request.param == "umap":
        pytest.importorskip("umap")
    return laid_out(map_samples.features(ROWS)[0], method=request.param)


def near_their_own(places: np.ndarray, kinds: np.ndarray, asked: np.ndarray, asked_kinds: np.ndarray) -> float:
    """Share of galaxies whose nearest other one on the map is of their kind."""
    apart = np.linalg.norm(asked[:, None] - places[None], axis=2)
    apart[apart == 0.0] = np.inf
    return float((kinds[apart.argmin(axis=1)] == asked_kinds).mean())


def test_like_lies_beside_like(layout):
    _, kinds = map_samples.features(ROWS)
    least = {"pca": 0.5, "tsne": 0.95, "umap": 0.95}[layout.method]
    assert near_their_own(layout.places, kinds, layout.places, kinds) >= least


def test_new_galaxies_lie_near_their_neighbours_and_the_old_ones_stay(layout):
    features, kinds = map_samples.features(ROWS)
    new, new_kinds = map_samples.features(NEW, seed=7)
    before = layout.places.copy()
    placed = layout.placed(new)
    assert np.array_equal(layout.places, before)
    least = {"pca": 0.5, "tsne": 0.95, "umap": 0.95}[layout.method]
    assert near_their_own(layout.places, kinds, placed, new_kinds) >= least
    alone = trustworthiness(layout.reduced, layout.places, 10)
    reduced = np.concatenate([layout.reduced, layout.space.placed(directions(new))])
    together = trustworthiness(reduced, np.concatenate([layout.places, placed]), 10)
    assert together >= alone - 0.02
    assert len(features) == len(layout.places)


def test_each_galaxy_is_placed_by_itself_alone(layout):
    new, _ = map_samples.features(9, seed=7)
    one_by_one = np.concatenate([layout.placed(row[None]) for row in new])
    assert one_by_one == pytest.approx(layout.placed(new), abs=1e-4)


@pytest.mark.parametrize("method", ["pca", "tsne"])
def test_the_same_features_give_the_same_map(method):
    features, _ = map_samples.features(120)
    first, second = (laid_out(features, method=method, seed=3).places for _ in range(2))
    assert np.array_equal(first, second)


def test_at_most_fifty_components_are_kept_whatever_the_lengths():
    features = np.random.default_rng(0).normal(size=(80, 70)).astype(np.float32)
    longer = features * np.random.default_rng(1).uniform(0.1, 9.0, (80, 1)).astype(np.float32)
    first, second = (laid_out(each, method="pca").reduced for each in (features, longer))
    assert first.shape == (80, 50)
    assert first == pytest.approx(second, abs=1e-5)


def test_a_map_is_written_and_read_back(layout, tmp_path):
    layout.save(tmp_path / "m.npz", overwrite=False)
    again = load_layout(tmp_path / "m.npz")
    assert (again.method, again.features, again.seed) == (layout.method, "gm_features", 0)
    new, _ = map_samples.features(20, seed=8)
    assert np.array_equal(again.placed(new), layout.placed(new))
    with pytest.raises(OutputError, match="exists already"):
        layout.save(tmp_path / "m.npz", overwrite=False)


def test_features_of_another_length_are_refused(layout):
    with pytest.raises(CatalogError, match="features of 3 numbers were given for a map of 24"):
        layout.placed(np.ones((2, 3), np.float32))


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("map") / "m.npz"
    laid_out(map_samples.features(30)[0], method="pca").save(path, overwrite=False)
    return path


def changed(written, tmp_path, arrays=None, **facts):
    """Return a copy of a map with other arrays, or other words about it."""
    usual = {"format": "galmorph map 1", "method": "pca", "features": "gm_features", "seed": 0} | facts
    path = tmp_path / "changed.npz"
    with np.load(written) as file:
        kept = dict(file) | (arrays or {}) | {"facts": np.frombuffer(json.dumps(usual).encode(), np.uint8)}
    np.savez(path, **kept)
    return path


def test_files_that_are_no_maps_are_refused(written, tmp_path):
    pickled = tmp_path / "p.npz"
    pickled.write_bytes(pickle.dumps({"places": np.zeros(3)}))
    cut = tmp_path / "cut.npz"
    cut.write_bytes(written.read_bytes()[:-100])
    other = tmp_path / "other.npz"
    np.savez(other, w=np.zeros(3))
    objects = tmp_path / "objects.npz"
    np.savez(objects, mean=np.array([{}], dtype=object))
    small = tmp_path / "small.npz"
    with np.load(written) as file:
        np.savez_compressed(small, **dict(file))
    paths = [
        pickled,
        cut,
        other,
        objects,
        small,
        tmp_path / "none.npz",
        changed(written, tmp_path, {"places": np.zeros((30, 3), np.float32)}),
    ]
    for path in paths:
        with pytest.raises(CatalogError, match="is no map"):
            load_layout(path)


@pytest.mark.parametrize("facts", [{"method": "magic"}, {"method": 3}, {"features": None}, {"format": "other"}])
def test_maps_of_unknown_methods_are_refused(written, tmp_path, facts):
    with pytest.raises(CatalogError, match=r"method is unknown|its format is another"):
        load_layout(changed(written, tmp_path, **facts))


def test_maps_with_what_is_no_number_are_refused(written, tmp_path):
    path = changed(written, tmp_path, {"places": np.full((30, 2), np.nan, np.float32)})
    with pytest.raises(CatalogError, match="no number"):
        load_layout(path)


def test_few_rows_and_unknown_methods_are_refused(monkeypatch):
    with pytest.raises(CatalogError, match="9 rows have features: expected 10 or more"):
        laid_out(map_samples.features(9)[0], method="pca")
    with pytest.raises(PipelineError, match="did you mean 'tsne'"):
        check_method("t-sne")
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(PipelineError, match=r"needs openTSNE: pip install 'galmorph\[likeness\]', or choose"):
        check_method("tsne")


def test_large_maps_are_pulled_together_more():
    assert [exaggeration(rows) for rows in (100, 10_000, 100_000, 1_000_000)] == pytest.approx([1.0, 1.0, 2.0, 3.0])
