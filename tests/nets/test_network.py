"""The network's size, shapes and settings."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch

from galmorph.errors import PipelineError
from galmorph.nets.layers import ResidualBlock, conditional_log_probabilities
from galmorph.nets.network import Network, NetworkConfig, eight_views, n_weights


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
    ],
)
def test_a_wrong_configuration_is_explained(settings, words):
    with pytest.raises(PipelineError, match=words):
        NetworkConfig.from_dict(settings)


def test_the_eight_views_are_the_symmetries_of_the_square():
    stamp = torch.arange(9.0).reshape(1, 1, 3, 3)
    views = {tuple(v.ravel().tolist()) for v in eight_views(stamp)}
    by_hand = {
        tuple(np.rot90(side, k).ravel().tolist())
        for side in (stamp[0, 0].numpy(), stamp[0, 0].numpy().T)
        for k in range(4)
    }
    assert views == by_hand
    assert len(views) == 8


def test_conditional_probabilities_of_a_question_sum_to_one():
    logits = torch.randn(4, 5)
    p = conditional_log_probabilities(logits, tiny.TREE.slices, independent=False).exp()
    assert torch.allclose(p[:, :2].sum(1), torch.ones(4))
    assert torch.allclose(p[:, 2:].sum(1), torch.ones(4))


def test_independent_fractions_are_logistic():
    logits = torch.randn(4, 5)
    p = conditional_log_probabilities(logits, tiny.scheme_of("independent", 5).slices, independent=True).exp()
    assert torch.allclose(p, torch.sigmoid(logits))
