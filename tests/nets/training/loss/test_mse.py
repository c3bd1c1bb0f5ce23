"""The squared error is Dieleman's: of fractions among all people."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from loss_tests import ASKED, SCHEMES, VOTES, LossTests, named

from galmorph.nets.architecture.network import NetworkConfig
from galmorph.nets.training.loss.interface import make_loss
from galmorph.sky.scheme import load_scheme


class TestSquaredError(LossTests):
    """What every loss keeps; its outputs are fractions."""

    name = "mse"
    takes_smoothing = False

    def outputs(self, n, seed=1):
        """Fractions among all people."""
        return torch.rand(n, 5, generator=torch.Generator().manual_seed(seed))

    def truthful(self, fractions):
        """Those of the second question among all people."""
        return torch.cat([fractions[:, :2], fractions[:, 2:] * fractions[:, 1:2]], dim=1)

    def extremes(self):
        """Certain answers."""
        return torch.tensor([[1.0, 0.0, 0.0, 1.0, 0.0]])


def test_the_squared_error_of_independent_fractions_is_theirs():
    counts, totals = [[0.8, 0.6, 0.0, 1.0, 0.5]], [[1.0] * 5]
    p = np.random.default_rng(3).uniform(0, 1, (1, 5))
    found = named("mse", p, counts, totals, SCHEMES["independent"])
    assert found == pytest.approx(((p - np.array(counts)) ** 2).mean())


def test_the_squared_error_is_of_fractions_among_all_people():
    """Dieleman's: the second question has the weight of the answer that leads to it."""
    y = np.array(VOTES) / np.array(ASKED)
    y[:, 2:] *= y[:, 1:2]
    p = np.random.default_rng(1).uniform(0, 1, (2, 5))
    assert named("mse", p) == pytest.approx(((p - y) ** 2).mean())
    assert named("mse", y) == pytest.approx(0.0)


def test_the_squared_error_counts_a_question_nobody_reached_as_zero():
    """Nobody chose the answer that leads to it; but where somebody did and was not asked, its fractions are unknown."""
    counts, totals = [[10.0, 0.0, 0.0, 0.0, 0.0]], [[10.0] * 2 + [0.0] * 3]
    p = np.array([[0.9, 0.1, 0.1, 0.0, 0.0]])
    assert named("mse", p, counts, totals) == pytest.approx((0.1**2 * 3) / 5)
    assert named("mse", p, [[6.0, 4.0, 0.0, 0.0, 0.0]], totals) == pytest.approx((0.3**2 * 2) / 2)


def test_published_weighted_fractions_give_the_same_error_as_votes():
    """Columns of the Galaxy Challenge hold fractions among all people; labels made of them are the same truth."""
    scheme = load_scheme("gz2")
    rng = np.random.default_rng(2)
    conditional = np.concatenate([rng.dirichlet(np.ones(w.stop - w.start)) for w in scheme.slices])
    columns = scheme.marginals(conditional[None])
    labels = scheme.labels(dict(zip(scheme.keys, columns.T, strict=True)))
    guess = rng.uniform(0, 1, columns.shape)
    found = named("mse", guess, labels.counts, labels.totals, scheme)
    assert found == pytest.approx(((guess - columns) ** 2).mean())


def test_dielemans_error_starts_with_clipped_numbers():
    """For its first steps clip(z, 0, 1) is compared; afterwards rectified, normalised and weighted numbers."""
    config = NetworkConfig("globalpool mean\ndense answers bias 0.4 std 0.3\nrectify clip 1", name="rectified")
    network = tiny.network(config=config).train()
    stamps, loss_of = torch.from_numpy(tiny.stamps(4)), make_loss("mse", tiny.TREE)
    first, second = (loss_of.outputs(network, stamps).detach() for _ in range(2))
    assert not torch.allclose(first[:, :2].sum(1), torch.ones(4), atol=1e-3)
    assert torch.allclose(second[:, :2].sum(1), torch.ones(4), atol=1e-6)
    assert float(first.min()) >= 0.0
    assert float(first.max()) <= 1.0
