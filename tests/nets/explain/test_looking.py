"""Looking into networks: filters, activations and saliency are the network's own."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from galmorph.nets.architecture.layers import ORDER, turned
from galmorph.nets.architecture.network import Network, NetworkConfig
from galmorph.nets.explain.activations import Activation, activations, last_weights, unit_responses
from galmorph.nets.explain.filters import first_filters
from galmorph.nets.explain.saliency import log_odds, smooth_gradients
from galmorph.sky.scheme import Scheme
from galmorph.stamps.recipe import Recipe

SQUARE = """
conv 16 6x6 stride 2 pad 2 square batchnorm relu
residual 32 stride 2 square
globalpool mean maximum
dropout 0.3
dense answers
"""


def built(layers: str, scheme: Scheme = tiny.TREE, planes: int = 1, **keys: object) -> Network:
    torch.manual_seed(4)
    config = NetworkConfig(layers, **keys)  # type: ignore[arg-type]
    return Network(config, Recipe(size=16, planes=planes), scheme).eval()


# Filters


def test_filters_of_a_plain_network_are_its_first_weights():
    network = tiny.network()
    found = first_filters(network)
    np.testing.assert_array_equal(found.kernels, network.state_dict()["layers.0.0.weight"].numpy())
    assert len(found.orientations) == 0


def test_filters_of_a_group_convolution_are_one_kernel_in_eight_orientations():
    network = built(SQUARE, planes=3, views="one")
    with torch.no_grad():
        network.layers[0][0].weight[1] *= 9
    found = first_filters(network)
    assert found.kernels.shape == (2, 3, 6, 6)
    assert found.shown_field == 1
    base = torch.from_numpy(found.kernels[1])
    for element in range(ORDER):
        np.testing.assert_array_equal(found.orientations[element], turned(base, element).numpy())


def test_a_network_without_convolutions_has_no_filters():
    assert first_filters(built("dense answers")) is None


# Activations


@pytest.mark.parametrize("layers", [tiny.CONFIG.layers, SQUARE])
def test_activations_are_what_leaves_each_layer_but_dropout(layers):
    network = built(layers, settings={"dropout": 0.2} if "$dropout" in layers else {})
    (stamp,) = tiny.stamps(1, 3)
    found = list(activations(network, stamp))
    assert not any("dropout" in a.line for a in found)
    assert len(found) == len(network.layers) - 1
    with torch.inference_mode():
        x = torch.from_numpy(stamp[None])
        for activation in found:
            layer = next(
                m for m, (line, _) in zip(network.layers, network.outline, strict=True) if line.text == activation.line
            )
            x = layer(x)
            np.testing.assert_array_equal(activation.values, x[0].numpy())
            x = x.clone()
        np.testing.assert_array_equal(found[-1].values, network(torch.from_numpy(stamp[None]))[0].numpy())


def test_a_network_of_parts_shows_the_first_part():
    network = built("parts 8x8\nconv 4 3x3 relu\njoin\ndense answers")
    found = list(activations(network, tiny.stamps(1)[0]))
    assert [a.values.shape for a in found] == [(1, 8, 8), (4, 6, 6), (16 * 4 * 36,), (5,)]
    assert found[1].parts == 16


def test_the_strongest_maps_are_of_different_fields_and_vary_most():
    values = np.zeros((24, 2, 2), np.float32)
    for number, spread in {3: 5.0, 4: 4.0, 9: 1.0, 17: 3.0}.items():
        values[number, 0, 0] = spread
    assert Activation("x", values, 8).strongest(2) == [3, 17]
    assert Activation("x", values, 8).strongest(9) == [3, 9, 17]
    assert Activation("x", values, 1).strongest(3) == [3, 4, 17]


def test_units_and_last_weights_give_the_logits():
    network = tiny.network()
    stamps = tiny.stamps(70)
    units = unit_responses(network, stamps)
    with torch.inference_mode():
        logits = network(torch.from_numpy(stamps)).numpy()
    bias = network.layers[-1].bias.detach().numpy()
    np.testing.assert_allclose(units @ last_weights(network).T + bias, logits, atol=1e-5)


def test_weights_before_maxout_are_not_those_of_answers():
    assert last_weights(built("globalpool mean\ndense 10 maxout 2")) is None


# Saliency


def test_log_odds_are_those_of_the_conditional_probability():
    logits = torch.tensor([[0.3, -1.0, 2.0, 0.0, 1.5]])
    for where in tiny.TREE.slices:
        p = torch.softmax(logits[:, where], dim=1)
        for i in range(where.start, where.stop):
            expected = torch.logit(p[:, i - where.start])
            torch.testing.assert_close(log_odds(logits, i, tiny.TREE), expected)
    independent = tiny.scheme_of("independent", 5)
    torch.testing.assert_close(log_odds(logits, 2, independent), logits[:, 2])


def test_saliency_of_a_linear_network_is_the_size_of_its_weights():
    scheme = tiny.scheme_of("independent")
    network = built("dense answers", scheme, planes=3, views="one")
    weights = network.state_dict()["layers.0.1.weight"][1].reshape(3, 16, 16)
    found = smooth_gradients(network, tiny.stamps(1, planes=3)[0], 1)
    np.testing.assert_allclose(found, weights.abs().sum(0).numpy(), rtol=1e-5)


@pytest.mark.parametrize("element", range(ORDER))
@pytest.mark.parametrize("views", ["one", "eight"])
def test_saliency_turns_with_the_stamp(views, element):
    # Without noise, because its pixels do not turn. Plain networks are averaged over the orientations.
    layers = SQUARE if views == "one" else SQUARE.replace(" square", "").replace("16 6x6", "8 5x5")
    network = built(layers, views=views)
    stamp = torch.from_numpy(tiny.stamps(1)[0])
    found = smooth_gradients(network, stamp.numpy(), 2, noise=0.0, copies=8)
    other = smooth_gradients(network, turned(stamp, element).numpy().copy(), 2, noise=0.0, copies=8)
    np.testing.assert_allclose(other, turned(torch.from_numpy(found), element).numpy(), atol=1e-5 * found.max())


def test_saliency_is_the_same_for_a_seed_and_leaves_the_weights_alone():
    network = tiny.network()
    stamp = tiny.stamps(1)[0]
    found = smooth_gradients(network, stamp, 0, seed=3)
    np.testing.assert_array_equal(found, smooth_gradients(network, stamp, 0, seed=3))
    assert np.abs(found - smooth_gradients(network, stamp, 0, seed=4)).max() > 0
    assert all(w.grad is None for w in network.parameters())
