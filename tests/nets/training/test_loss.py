"""The losses equal what one computes by hand or what scipy computes."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
import torch
from scipy import special, stats

from galmorph.errors import PipelineError
from galmorph.nets.architecture.network import NetworkConfig
from galmorph.nets.training.loss import make_loss, negative_log_likelihood, predictive_spread
from galmorph.nets.training.settings import LOSSES
from galmorph.sky.scheme import load_scheme

LOGITS = [[0.2, -0.3, 1.0, 0.0, -1.0], [-1.5, 0.4, 0.3, 0.3, 2.0]]
VOTES = [[7.0, 3.0, 1.0, 2.0, 0.0], [0.0, 5.0, 0.0, 1.0, 4.0]]
ASKED = [[10.0] * 2 + [3.0] * 3, [5.0] * 5]


def loss(counts: list[list[float]], totals: list[list[float]], scheme=tiny.TREE, **settings: float) -> float:
    tensors = [torch.tensor(v, dtype=torch.float64) for v in (LOGITS, counts, totals)]
    return float(negative_log_likelihood(*tensors, scheme, **settings))


def named(name: str, outputs, counts=VOTES, totals=ASKED, scheme=tiny.TREE, weight=None, **settings: float) -> float:
    tensors = [torch.as_tensor(v, dtype=torch.float64) for v in (outputs, counts, totals)]
    weights = None if weight is None else torch.tensor(weight, dtype=torch.float64)
    return float(make_loss(name, scheme, **settings)(*tensors, weights))


def softmax(values: list[float]) -> np.ndarray:
    return np.exp(values) / np.exp(values).sum()


def test_the_tree_loss_is_the_multinomial_likelihood_per_vote_on_the_first_question():
    by_hand = 0.0
    for logit, count in zip(LOGITS, VOTES, strict=True):
        p = np.concatenate([softmax(logit[:2]), softmax(logit[2:])])
        by_hand -= float((np.array(count) * np.log(p)).sum())
    assert loss(VOTES, ASKED) == pytest.approx(by_hand / 15.0)
    assert named("likelihood", LOGITS) == pytest.approx(by_hand / 15.0)


def test_a_question_nobody_was_asked_adds_nothing():
    asked = [[7.0, 3.0, 0.0, 0.0, 0.0]] * 2
    totals = [[10.0] * 2 + [0.0] * 3] * 2
    by_hand = -sum(7 * np.log(p[0]) + 3 * np.log(p[1]) for p in (softmax(v[:2]) for v in LOGITS)) / 20.0
    assert loss(asked, totals) == pytest.approx(by_hand)


@pytest.mark.parametrize("name", LOSSES)
def test_no_votes_at_all_are_no_loss(name):
    """Galaxies without a label weigh nothing in any of them, nor in the mean."""
    assert named(name, LOGITS, [[0.0] * 5] * 2, [[0.0] * 5] * 2) == 0.0
    one = named(name, LOGITS[:1], VOTES[:1], ASKED[:1])
    assert named(name, LOGITS, [VOTES[0], [0.0] * 5], [ASKED[0], [0.0] * 5]) == pytest.approx(one)


def test_independent_fractions_have_a_binomial_likelihood():
    scheme = tiny.scheme_of("independent", 5)
    counts = [[0.8, 0.6, 0.0, 1.0, 0.5], [0.0] * 5]
    totals = [[1.0] * 5, [0.0] * 5]  # the second row has no label
    p = 1 / (1 + np.exp(-np.array(LOGITS[0])))
    y = np.array(counts[0])
    by_hand = -(y * np.log(p) + (1 - y) * np.log(1 - p)).sum()
    assert loss(counts, totals, scheme) == pytest.approx(by_hand)
    assert named("cross_entropy", LOGITS, counts, totals, scheme) == pytest.approx(by_hand)
    assert named("mse", p[None], counts[:1], totals[:1], scheme) == pytest.approx(((p - y) ** 2).mean())


def test_smoothing_spreads_a_share_of_the_votes_evenly():
    counts, totals = [[10.0, 0.0, 0.0, 6.0, 0.0]] * 2, [[10.0] * 2 + [6.0] * 3] * 2
    smoothed = [[9.5, 0.5, 0.2, 5.6, 0.2]] * 2
    assert loss(counts, totals, smoothing=0.1) == pytest.approx(loss(smoothed, totals))
    for name in ("likelihood", "dirichlet", "cross_entropy"):
        assert named(name, LOGITS, counts, totals, smoothing=0.1) == pytest.approx(
            named(name, LOGITS, smoothed, totals)
        )


@pytest.mark.parametrize("name", ["likelihood", "cross_entropy"])
def test_the_loss_is_least_at_the_vote_fractions(name):
    fractions = torch.tensor([[0.7, 0.3, 0.2, 0.5, 0.3]])
    totals = torch.tensor([[10.0] * 2 + [3.0] * 3])
    logits = fractions.log().requires_grad_()
    make_loss(name, tiny.TREE)(logits, fractions * totals, totals).backward()
    assert torch.allclose(logits.grad, torch.zeros(1, 5), atol=1e-6)


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


def test_concentrations_of_any_size_give_finite_gradients():
    """Numbers far outside what single precision would bear."""
    logits = torch.tensor([[300.0, -300.0, 0.0, 80.0, -80.0]], requires_grad=True)
    counts, totals = torch.tensor(VOTES[:1]), torch.tensor(ASKED[:1])
    make_loss("dirichlet", tiny.TREE)(logits, counts, totals).backward()
    assert torch.isfinite(logits.grad).all()


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


def test_cross_entropy_counts_galaxies_alike_however_many_voted():
    """Ten times the votes of one galaxy change nothing."""
    p = [np.concatenate([softmax(v[:2]), softmax(v[2:])]) for v in LOGITS]
    y = np.array(VOTES) / np.array(ASKED)
    by_hand = -(y * np.log(p)).sum() / 2
    assert named("cross_entropy", LOGITS) == pytest.approx(by_hand)
    more, asked = np.array(VOTES), np.array(ASKED)
    more[0], asked[0] = 10 * more[0], 10 * asked[0]
    assert named("cross_entropy", LOGITS, more, asked) == pytest.approx(by_hand)


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


@pytest.mark.parametrize("name", LOSSES)
def test_a_weight_of_two_is_the_same_galaxy_twice(name):
    """In every loss."""
    outputs = np.abs(LOGITS).tolist() if name == "mse" else LOGITS
    twice = [[row[0], row[0], row[1]] for row in (outputs, VOTES, ASKED)]
    assert named(name, outputs, weight=[2.0, 1.0]) == pytest.approx(named(name, *twice), rel=1e-6)
    assert named(name, outputs, weight=[2.0, 1.0]) != pytest.approx(named(name, outputs), rel=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_marginals_are_probabilities_multiplied_down_the_tree(name):
    """Whatever a loss compares."""
    network, stamps = tiny.network(), torch.from_numpy(tiny.stamps(3))
    loss_of = make_loss(name, tiny.TREE)
    marginals = loss_of.marginals(loss_of.outputs(network, stamps)).detach()
    assert torch.allclose(marginals[:, :2].sum(1), torch.ones(3))
    assert torch.allclose(marginals[:, 2:].sum(1), marginals[:, 1])
    assert torch.allclose(marginals, network.columns(stamps))


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


def test_an_unknown_loss_names_the_nearest():
    """As everywhere."""
    with pytest.raises(PipelineError, match="did you mean 'dirichlet'"):
        make_loss("dirchlet", tiny.TREE)
