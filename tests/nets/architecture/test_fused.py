"""Networks written out: the same answers from ordinary convolutions."""

from __future__ import annotations

import pytest
import tiny
import torch
from torch import nn

from galmorph.nets.architecture.fused import plain
from galmorph.nets.architecture.layers import Convolution, SquareConv, SquareNorm
from galmorph.nets.architecture.network import NetworkConfig

ORDINARY = NetworkConfig(
    """
    conv 6 3x3 pad 1 batchnorm relu
    conv 6 3x3 pad 1 relu untied
    residual 8 stride 2
    globalpool mean
    dense answers
    """,
    name="ordinary",
    views="eight",
)
# Zeros on one side alone where strides are 2 and sides even (16, 8), on both where they are odd.
INVERTED = NetworkConfig(
    """
    mbconv 6 3x3 expand 1
    mbconv 6 3x3 stride 2
    mbconv 8 5x5 stride 2
    mbconv 8 5x5
    conv 6 2x2 relu
    mbconv 8 5x5 stride 2
    globalpool mean
    dense answers
    """,
    name="inverted",
    views="one",
)


@pytest.mark.parametrize("config", [tiny.SQUARE, ORDINARY, INVERTED], ids=lambda config: config.name)
def test_a_network_written_out_gives_the_same(config):
    """Norms in the middle of training's range are taken in by the convolutions; the network itself stays as it was."""
    network = tiny.network(config=config).train()
    for _ in range(3):
        network(torch.from_numpy(tiny.stamps(8)))  # moves the statistics of the norms
    network.eval()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    copy = plain(network)
    with torch.inference_mode():
        stamps = torch.from_numpy(tiny.stamps(5))
        torch.testing.assert_close(copy(stamps), network(stamps), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(copy.features(stamps), network.features(stamps), atol=1e-5, rtol=1e-5)
    assert not any(isinstance(m, SquareConv | SquareNorm | nn.BatchNorm2d) for m in copy.modules())
    assert all(m.padding[0] == m.padding[1] for m in copy.modules() if isinstance(m, Convolution) and m.groups > 1)
    assert copy.views == network.views
    for name, value in network.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)


def test_a_network_in_training_is_written_out_as_it_answers():
    network = tiny.network(config=tiny.SQUARE).train()
    copy = plain(network)
    assert network.training
    with torch.inference_mode():
        stamps = torch.from_numpy(tiny.stamps(5))
        torch.testing.assert_close(copy(stamps), network.eval()(stamps), atol=1e-5, rtol=1e-5)
