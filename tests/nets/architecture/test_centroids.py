"""The encoding by centroids is what normalising, whitening and projecting one patch after the other gives."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.nets.architecture.centroids import LightPool, RingPool, SignedRoot, ring_numbers
from galmorph.nets.architecture.fused import plain
from galmorph.nets.architecture.layers import turned
from galmorph.nets.architecture.network import Network, NetworkConfig
from galmorph.nets.features.dictionary import KMeansFeatures, draw_patches
from galmorph.nets.features.spherical_kmeans import fit_whitening, normalised_patches, spherical_kmeans
from galmorph.nets.features.unsupervised import feature_parts, learn_dictionary
from galmorph.nets.precision import half_convolutions
from galmorph.stamps.recipe import Recipe

RECIPE = Recipe(size=16, planes=3)


def stamps(count: int = 6) -> np.ndarray:
    return np.random.default_rng(5).uniform(0, 1, (count, 3, 16, 16)).astype(np.float32)


def network(*, square: bool, pools: tuple[str, ...] = ("mean", "maximum"), light: int = 0) -> Network:
    sizes = {"centroids": 5, "patch": 4, "stride": 2, "rings": 2, "patches": 400}
    features = KMeansFeatures(pools=pools, square=square, light=light, root=light > 0, **sizes)
    config = NetworkConfig(features.layers() + "\ndense answers", views="one")
    encoder = Network(config, RECIPE, tiny.TREE).eval()
    learn_dictionary(encoder.layers[0], draw_patches(stamps(), 4, 400, 1), features)
    return encoder


def test_an_encoding_is_one_patch_after_the_other():
    drawn = draw_patches(stamps(), 4, 400, 1)
    whitening = fit_whitening(normalised_patches(drawn, 0.03), regulariser=0.1)
    centroids = spherical_kmeans(whitening(normalised_patches(drawn, 0.03)), 5, seed=1)
    image = stamps(1)
    with torch.inference_mode():
        maps = network(square=False).layers[0](torch.from_numpy(image))[0].numpy()  # (10, 7, 7)
    for row, column in ((0, 0), (3, 5), (6, 6)):
        patch = image[:, :, 2 * row : 2 * row + 4, 2 * column : 2 * column + 4].reshape(1, -1)
        z = (whitening(normalised_patches(patch, 0.03)) @ centroids.T)[0]
        expected = np.maximum(np.stack([z - 0.25, -z - 0.25], axis=1), 0.0).ravel()
        assert maps[:, row, column] == pytest.approx(expected, abs=5e-3)  # kernels have half precision


@pytest.mark.parametrize("element", range(8))
def test_flips_and_quarter_turns_change_no_feature(element):
    x, of_all = torch.from_numpy(stamps()), network(square=True, pools=("mean", "maximum", "spread"))
    with torch.inference_mode():
        one, other = of_all.features(x), of_all.features(turned(x, element))
    assert one.shape == (6, 5 * 2 * 3 * 3)
    assert torch.allclose(one, other, atol=1e-4)
    assert of_all.invariant


def test_written_out_and_in_batches_of_any_size_it_gives_the_same():
    x, of_all = torch.from_numpy(stamps(20)), network(square=True)
    with torch.inference_mode():
        whole = of_all(x)
        assert torch.allclose(plain(of_all)(x), whole, atol=1e-5)
        assert torch.allclose(torch.cat([of_all(part) for part in x.split(3)]), whole, atol=1e-5)


@pytest.mark.parametrize("side", [7, 8])
def test_rings_cover_each_position_once_and_pools_are_by_hand(side):
    numbers = ring_numbers(side, 3)
    assert sorted(set(numbers.tolist())) == [0, 1, 2]
    assert torch.equal(numbers.view(side, side), turned(numbers.view(side, side), 5))
    x = torch.rand(2, 4, side, side)
    pooled = RingPool(side, 3, mean=True, maximum=True)(x)
    flat = x.flatten(2)
    assert torch.allclose(pooled[:, :4], flat.mean(dim=2))
    assert torch.allclose(pooled[:, 8:12], flat[..., numbers == 1].mean(dim=2))
    assert torch.allclose(pooled[:, 16:20], flat.amax(dim=2))
    assert torch.allclose(pooled[:, 28:], flat[..., numbers == 2].amax(dim=2))


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        ("kmeans 0 4x4", "at least 1"),
        ("kmeans 4 40x40", "window of 40 x 40"),
        ("kmeans 4 5x5 stride 2 square", "leave 1 pixel"),
        ("kmeans 4 4x4 threshold -1", "threshold from 0"),
        ("kmeans 4 4x4\nrings 2", "of nothing"),
        ("kmeans 4 4x4\nrings 9 mean", "half of the side"),
        ("kmeans 4 4x4\nrings 2 spread", "add 'square'"),
        ("kmeans 4 4x4\nforest 2 9 3", "pool them first"),
        ("rings 2 mean\nforest 9 2 3", "at least one node"),
        ("rings 2 mean\nboosting 2 9 65", "depth up to 64"),
    ],
)
def test_lines_that_mean_nothing_are_named(layers, words):
    with pytest.raises(PipelineError, match=words):
        Network(NetworkConfig(f"{layers}\ndense answers"), RECIPE, tiny.TREE)


@pytest.mark.parametrize("element", range(8))
def test_light_in_rings_does_not_change_by_flips_and_quarter_turns(element):
    x, of_all = torch.from_numpy(stamps()), network(square=True, light=4)
    with torch.inference_mode():
        one, other = of_all.features(x), of_all.features(turned(x, element))
        assert torch.allclose(plain(of_all)(x), of_all(x), atol=1e-5)
    assert one.shape == (6, 5 * 2 * 2 * 3 + 7 * 4)
    assert torch.allclose(one, other, atol=1e-3)  # of roots, whose slope is steep at 0
    assert feature_parts(of_all) == [60, 28]
    assert of_all.invariant


def test_light_in_rings_is_by_hand():
    side, rings, pool = 16, 3, LightPool(16, 3)
    x = torch.rand(2, 3, side, side)
    beside = pool(torch.zeros(2, 1), x)[:, 1:]
    assert beside.shape == (2, LightPool.numbers(3, rings))
    ring = ring_numbers(side, rings).view(side, side) == 1
    assert torch.allclose(beside[:, 1], x[:, 0, ring].mean(dim=1), atol=1e-5)
    assert torch.allclose(beside[:, -2], (x - x.rot90(2, (2, 3))).abs().mean(dim=1)[:, ring].mean(dim=1), atol=1e-5)
    axis = torch.arange(side) - 7.5
    edge_on, face_on = (torch.exp(-((axis[:, None] * q) ** 2 + axis**2) / 40) for q in (3.0, 1.0))
    flat, about = (pool(torch.zeros(1, 0), image.expand(1, 1, -1, -1))[0, 3:6] for image in (edge_on, face_on))
    assert (flat > 5 * about).all()


def test_roots_keep_signs():
    assert torch.allclose(SignedRoot()(torch.tensor([4.0, -9.0, 0.0])), torch.tensor([2.0, -3.0, 0.0]), atol=1e-5)


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ("light 2\nglobalpool mean", "expected the numbers of a whole stamp"),
        ("globalpool mean\nlight 9", "from 1 to half of the side"),
        ("globalpool mean\nmorphometry 2\nlight 2", "put it above"),
    ],
)
def test_light_that_fits_nowhere_is_refused(layers, message):
    with pytest.raises(PipelineError, match=message):
        Network(NetworkConfig(f"{layers}\ndense answers"), RECIPE, tiny.TREE)


def test_likeness_to_centroids_is_of_single_precision_whatever_surrounds_it():
    """Projections that lie at a threshold are not rounded to the other side of it."""
    x, layer = torch.from_numpy(stamps()), network(square=True).layers[0]
    with torch.inference_mode():
        alone = layer(x)
        with half_convolutions("cpu", wanted=True):
            assert torch.equal(layer(x), alone)
