"""The Dirichlet-multinomial likelihood equals scipy's."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from loss_tests import LOGITS, VOTES, LossTests, named
from scipy import special, stats

from galmorph.errors import PipelineError
from galmorph.nets.training.loss.dirichlet import predictive_spread
from galmorph.nets.training.loss.interface import make_loss


class TestDirichlet(LossTests):
    """What every loss keeps."""

    name = "dirichlet"
    kinds = ("tree", "exclusive")

    def truthful(self, fractions):
        """Concentrations so large that the distribution has no width."""
        return fractions.log() + 14.0


def test_the_dirichlet_loss_is_that_of_scipy():
    """Negative log probability of the votes, but for the number of their orders, per vote on the first question."""
    by_hand = 0.0
    for logit, votes in zip(LOGITS, VOTES, strict=True):
        for where in tiny.TREE.slices:
            k, alpha = np.array(votes[where]), np.exp(logit[where])
            orders = special.gammaln(k.sum() + 1) - special.gammaln(k + 1).sum()
            by_hand -= stats.dirichlet_multinomial(alpha, int(k.sum())).logpmf(k) - orders
    # The result is in single precision.
    assert named("dirichlet", LOGITS) == pytest.approx(by_hand / 15.0, rel=1e-6)


def test_with_large_concentrations_the_dirichlet_loss_is_the_likelihood():
    """A distribution without width gives every vote the same probabilities."""
    certain = torch.tensor(LOGITS) + 13.0
    assert named("dirichlet", certain) == pytest.approx(named("likelihood", certain), rel=1e-4)


def test_the_predictive_spread_is_that_of_the_dirichlet_distribution():
    """Against scipy's variance; and it narrows as concentrations grow."""
    spread = predictive_spread(torch.tensor(LOGITS), tiny.TREE).numpy()
    for logit, found in zip(LOGITS, spread, strict=True):
        for where in tiny.TREE.slices:
            assert found[where] == pytest.approx(np.sqrt(stats.dirichlet(np.exp(logit[where])).var()), rel=1e-6)
    assert (predictive_spread(torch.tensor(LOGITS) + 2.0, tiny.TREE).numpy() < spread).all()


def test_independent_fractions_have_no_dirichlet_distribution():
    """They need not sum to anything."""
    with pytest.raises(PipelineError, match='take loss = "likelihood"'):
        make_loss("dirichlet", tiny.scheme_of("independent"))
