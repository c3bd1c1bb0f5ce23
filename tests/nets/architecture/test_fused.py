"""Networks written out: the same answers from ordinary convolutions."""

from __future__ import annotations

import pytest
import tiny
import torch
from torch import nn

from galmorph.nets.architecture.fused import plain
from galmorph.nets.architecture.layers import SquareConv, SquareNorm
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


@pytest.mark.parametrize("config", [tiny.SQUARE, ORDINARY], ids=lambda config: config.name)
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
