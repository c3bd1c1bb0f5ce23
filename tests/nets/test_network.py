"""The network's size, shapes and settings."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.nets.layers import ORDER, ResidualBlock, SquareConv, SquareNorm, conditional_log_probabilities, turned
from galmorph.nets.network import Network, NetworkConfig, n_weights, views


def expected_weights(channels: tuple[int, ...], planes: int, answers: int, stem: int) -> int:
    """Count by hand: one block in each stage."""
    total = planes * channels[0] * stem**2 + 2 * channels[0]
    before = channels[0]
    for stage, width in enumerate(channels):
        total += 9 * before * width + 9 * width * width + 4 * width
        total += before * width if stage or before != width else 0
        before = width
    return total + 2 * before * answers + answers


def test_the_default_network_has_a_million_weights():
    network = Network(NetworkConfig(), planes=1, answers=39)
    assert n_weights(network) == expected_weights((32, 64, 128, 192), 1, 39, 5)
    assert 0.8e6 < n_weights(network) < 1.2e6


@pytest.mark.parametrize(("planes", "answers", "size"), [(1, 5, 16), (3, 2, 24), (1, 39, 33)])
def test_stamps_become_one_logit_per_answer(planes, answers, size):
    network = tiny.network(answers=answers, planes=planes)
    assert network(torch.randn(2, planes, size, size)).shape == (2, answers)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_block_keeps_or_halves_the_resolution(stride):
    assert ResidualBlock(4, 6, stride)(torch.randn(1, 4, 8, 8)).shape == (1, 6, 8 // stride, 8 // stride)


def test_blocks_and_stages_are_as_many_as_configured():
    config = NetworkConfig(channels=(4, 8), blocks=(2, 3))
    blocks = [m for m in Network(config, 1, 2).modules() if isinstance(m, ResidualBlock)]
    assert [b.stride for b in blocks] == [1, 1, 2, 1, 1]


def test_the_configuration_survives_its_dictionary():
    config = NetworkConfig(channels=(4, 8), blocks=(1, 2), stem_width=7, dropout=0.1)
    assert NetworkConfig.from_dict(config.to_dict()) == config


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"chanels": [4]}, "did you mean 'channels'"),
        ({"channels": [4, 8], "blocks": [1]}, "2 channels and 1 blocks"),
        ({"channels": [], "blocks": []}, "one number of blocks for each stage"),
        ({"symmetry": "squar"}, "did you mean 'square'"),
        ({"symmetry": "square", "stem_width": 5}, "an even width"),
        ({"symmetry": "square", "stem_width": 6, "channels": [12], "blocks": [1]}, "multiples of 8"),
    ],
)
def test_a_wrong_configuration_is_explained(settings, words):
    with pytest.raises(PipelineError, match=words):
        NetworkConfig.from_dict(settings)


def test_the_eight_views_are_the_symmetries_of_the_square():
    stamp = torch.arange(9.0).reshape(1, 1, 3, 3)
    seen = {tuple(v.ravel().tolist()) for v in views(tiny.network(), stamp)}
    by_hand = {
        tuple(np.rot90(side, k).ravel().tolist())
        for side in (stamp[0, 0].numpy(), stamp[0, 0].numpy().T)
        for k in range(4)
    }
    assert seen == by_hand
    assert len(seen) == 8


def square_network(planes: int = 3, answers: int = 4) -> Network:
    """A small invariant network whose normalisation has seen some stamps."""
    torch.manual_seed(3)
    network = Network(NetworkConfig((8, 16), (1, 2), stem_width=6, symmetry="square"), planes, answers)
    network.train()(torch.randn(16, planes, 32, 32))
    return network.eval()


@pytest.mark.parametrize("element", range(ORDER))
def test_a_square_network_is_invariant_to_flips_and_quarter_turns(element):
    network, stamps = square_network(), torch.randn(5, 3, 32, 32)
    logits = network(stamps)
    assert (network(turned(stamps, element)) - logits).abs().max() < 1e-5
    assert logits.std(dim=0).min() > 1e-3  # the stamps do differ


def test_an_invariant_network_needs_one_view():
    stamp = torch.randn(1, 3, 32, 32)
    assert [v is not None and torch.equal(v, stamp) for v in views(square_network(), stamp)] == [True]


@pytest.mark.parametrize("element", range(ORDER))
@pytest.mark.parametrize(("width", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (1, 1, 0), (6, 2, 2)])
def test_a_square_convolution_turns_and_permutes_its_fields_with_the_image(element, width, stride, padding):
    torch.manual_seed(1)
    lift, convolve = SquareConv(2, 8, 3, 1, 1, image=True), SquareConv(8, 16, width, stride, padding)
    image = torch.randn(1, 2, 12, 12)
    straight = convolve(lift(image)).unflatten(1, (2, ORDER))
    other = convolve(lift(turned(image, element))).unflatten(1, (2, ORDER))
    # Each orientation of the turned image's answer is one of the upright image's, turned; all are used once.
    matches = [
        [h for h in range(ORDER) if torch.allclose(turned(straight[:, :, h], element), other[:, :, g], atol=1e-5)]
        for g in range(ORDER)
    ]
    assert sorted(m[0] for m in matches if len(m) == 1) == list(range(ORDER))


def test_square_normalisation_agrees_with_torch_on_equal_orientations():
    fields = torch.randn(64, 3, 5, 5).repeat_interleave(ORDER, dim=1)
    ours, theirs = SquareNorm(24), torch.nn.BatchNorm2d(24)
    assert torch.allclose(ours.train()(fields), theirs.train()(fields), atol=1e-5)
    assert torch.allclose(ours.eval()(fields), theirs.eval()(fields), atol=1e-5)


def test_conditional_probabilities_of_a_question_sum_to_one():
    logits = torch.randn(4, 5)
    p = conditional_log_probabilities(logits, tiny.TREE.slices, independent=False).exp()
    assert torch.allclose(p[:, :2].sum(1), torch.ones(4))
    assert torch.allclose(p[:, 2:].sum(1), torch.ones(4))


def test_independent_fractions_are_logistic():
    logits = torch.randn(4, 5)
    p = conditional_log_probabilities(logits, tiny.scheme_of("independent", 5).slices, independent=True).exp()
    assert torch.allclose(p, torch.sigmoid(logits))
