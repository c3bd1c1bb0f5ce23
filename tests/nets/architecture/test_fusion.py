"""Late fusion: what is measured joins the stamp, and neither its absence nor nonsense in it breaks an answer."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from tiny import FUSED, fused, measured

from galmorph.errors import PipelineError
from galmorph.nets.architecture.fused import plain
from galmorph.nets.architecture.fusion import LateFusion, Measured
from galmorph.nets.architecture.network import Ensemble, Network, NetworkConfig, takes_morphometry
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint
from galmorph.nets.explain.activations import activations, last_weights, unit_responses
from galmorph.nets.explain.saliency import smooth_gradients
from galmorph.stamps.morphometry import MORPHOMETRY

ALONE = NetworkConfig("measured\ndense 8 relu\ndense answers", name="alone", views="one")
K = len(MORPHOMETRY)


def logits(network: Network, values: np.ndarray | None) -> torch.Tensor:
    with torch.inference_mode():
        return network(torch.from_numpy(tiny.stamps(4)), None if values is None else torch.from_numpy(values))


def test_what_is_measured_changes_the_answers():
    network = fused()
    one, other = logits(network, measured(4)), logits(network, measured(4, 1))
    assert (one - other).abs().max() > 1e-3
    assert network.takes_morphometry
    assert takes_morphometry(FUSED, tiny.RECIPE, tiny.TREE)


def test_without_the_line_nothing_measured_is_looked_at():
    """Zero numbers are a network of stamps alone, with the same weights."""
    network = tiny.network(config=FUSED.with_settings({"morphometry": 0}))
    assert not network.takes_morphometry
    assert torch.equal(logits(network, measured(4)), logits(network, None))
    assert not any(isinstance(layer, LateFusion) for layer in network.layers)


def test_missing_values_are_absent_ones():
    network, none = fused(), np.full((4, K), np.nan, np.float32)
    assert torch.equal(logits(network, none), logits(network, None))
    assert torch.isfinite(logits(network, none)).all()


@pytest.mark.parametrize("absurd", [1e30, -1e30, np.inf, 2.0 + 0.5 * 5])
def test_an_absurd_value_counts_as_missing(absurd):
    """It lies more than four standard deviations from those of training, so that it moves nothing further."""
    network, usual = fused(), measured(4)
    missing, broken = usual.copy(), usual.copy()
    missing[:, 1], broken[:, 1] = np.nan, absurd
    assert torch.equal(logits(network, broken), logits(network, missing))


def test_a_value_at_the_mean_differs_from_a_missing_one():
    """By its indicator."""
    network = fused()
    layer = next(layer for layer in network.layers if isinstance(layer, LateFusion))
    at_mean = layer.mean.expand(4, -1).numpy().copy()
    assert (logits(network, at_mean) - logits(network, None)).abs().max() > 1e-4


def test_features_are_those_of_the_stamp():
    """So that the envelope and the units of a page are about what is seen."""
    network = fused()
    features = network.features(torch.from_numpy(tiny.stamps(4)))
    assert features.shape == (4, 8)
    values = torch.from_numpy(measured(4))
    assert torch.equal(network.answers(features, values), network(torch.from_numpy(tiny.stamps(4)), values))
    weights = last_weights(network)
    assert weights is not None
    assert weights.shape == (5, unit_responses(network, tiny.stamps(4)).shape[1])


def test_it_is_explained_with_what_was_measured():
    network, stamp, values = fused(), tiny.stamps(1)[0], measured(1)[0]
    *_, last = activations(network, stamp, values)
    with torch.inference_mode():
        expected = network(torch.from_numpy(stamp[None]), torch.from_numpy(values[None]))[0]
    np.testing.assert_array_equal(last.values, expected.numpy())
    assert smooth_gradients(network, stamp, 1, values).shape == (16, 16)
    assert smooth_gradients(network, stamp, 1).any()


def test_too_few_galaxies_leave_the_standard_alone():
    network = tiny.network(config=FUSED)
    network.standardise(torch.from_numpy(measured(5)))
    layer = next(layer for layer in network.layers if isinstance(layer, LateFusion))
    assert torch.equal(layer.mean, torch.zeros(K))
    network.standardise(torch.from_numpy(measured(500)))
    np.testing.assert_allclose(layer.mean, 2.0, atol=0.1)
    np.testing.assert_allclose(layer.deviation, 0.5, atol=0.1)


@pytest.mark.parametrize("layers", ["conv 4 3x3\nmorphometry 4\nglobalpool mean\ndense answers", "morphometry -1"])
def test_it_stands_among_plain_numbers(layers):
    with pytest.raises(PipelineError, match="right before 'dense answers'"):
        tiny.network(config=NetworkConfig(layers))


def test_a_checkpoint_keeps_it(tmp_path):
    """Figures of the standard included, alone and in an ensemble with a network of stamps alone; views share it."""
    both = tiny.checkpoint(network=Ensemble([fused(), tiny.network(1)], (3.0, 1.0)))
    back = load_checkpoint(save_checkpoint(both, tmp_path / "both.safetensors"))
    values, views = measured(4), np.stack([tiny.stamps(4), tiny.stamps(4, seed=1)], axis=1)
    np.testing.assert_allclose(back.predict(tiny.stamps(4), values), both.predict(tiny.stamps(4), values), atol=5e-3)
    assert back.takes_morphometry
    alone = tiny.checkpoint(network=fused(), temperatures=(1.0, 1.0))
    each = [alone.predict(np.ascontiguousarray(views[:, v]), values) for v in range(2)]
    np.testing.assert_allclose(alone.answer(views, morphometry=values).conditional, np.mean(each, axis=0), atol=1e-6)
    assert np.abs(alone.predict(tiny.stamps(4), values) - alone.predict(tiny.stamps(4))).max() > 1e-4


def test_it_is_written_out_as_it_is():
    network = fused()
    torch.testing.assert_close(logits(plain(network), measured(4)), logits(network, measured(4)), atol=1e-5, rtol=1e-5)


def test_what_is_measured_can_stand_alone():
    """Then no pixel counts; what is missing or absurd is absent."""
    network = fused(config=ALONE)
    assert (network.takes_morphometry, network.takes_stamps) == (True, False)
    values = torch.from_numpy(measured(4))
    with torch.inference_mode():
        one, other = (network(torch.from_numpy(tiny.stamps(4, seed=seed)), values) for seed in (0, 1))
    assert torch.equal(one, other)
    assert (one - logits(network, measured(4, 1))).abs().max() > 1e-3
    none = np.full((4, K), np.nan, np.float32)
    assert torch.equal(logits(network, none), logits(network, None))
    assert torch.equal(logits(network, none + 1e30), logits(network, None))


@pytest.mark.parametrize("layers", ["mask 1.0\nmeasured\ndense answers", "globalpool mean\nmeasured\ndense answers"])
def test_alone_it_stands_first(layers):
    with pytest.raises(PipelineError, match="put it first"):
        tiny.network(config=NetworkConfig(layers))


def in_company() -> list:
    """Make checkpoints of stamps alone and of what is measured alone, neither calibrated."""
    networks = (tiny.network(1), fused(config=ALONE))
    return [tiny.checkpoint(network=each, temperatures=(1.0, 1.0)) for each in networks]


def test_joined_with_stamps_it_is_bounded_by_its_share(tmp_path):
    """The probabilities are averaged: nothing that is measured moves one by more than the share of the measured."""
    both = ensemble(in_company(), tmp_path / "both.safetensors", shares=[3, 1])
    stamps, usual = tiny.stamps(4), measured(4)
    one, two = (part.predict(stamps, usual) for part in in_company())
    np.testing.assert_allclose(both.predict(stamps, usual), 0.75 * one + 0.25 * two, atol=5e-3)
    threefold = usual + np.float32(np.log(3.0)) * (np.arange(K) < 2)
    for wrong in (threefold, np.full_like(usual, np.nan)):
        assert 0 < np.abs(both.predict(stamps, wrong) - both.predict(stamps, usual)).max() <= 0.25
    seen, alone = (each.passes(stamps, usual).features for each in (both, in_company()[0]))
    np.testing.assert_allclose(seen, alone, atol=1e-3)  # half precision


def test_it_is_explained_without_its_stamp():
    network, stamp, values = fused(config=ALONE), tiny.stamps(1)[0], measured(1)[0]
    first, *_, last = activations(network, stamp, values)
    assert first.values.shape == (2 * K,)
    with torch.inference_mode():
        expected = network(torch.from_numpy(stamp[None]), torch.from_numpy(values[None]))[0]
    np.testing.assert_array_equal(last.values, expected.numpy())
    assert any(isinstance(layer, Measured) for layer in network.layers)
