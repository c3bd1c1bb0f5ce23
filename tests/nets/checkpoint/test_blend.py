"""Shares of a blend: as likely as can be, and those of the mixture that made the votes."""

from __future__ import annotations

import numpy as np
import pytest
import tiny
from hypothesis import given
from hypothesis import strategies as st

from galmorph.nets.checkpoint.blend import fit_shares, mean_log_likelihood
from galmorph.sky.scheme import Labels

SCHEMES = {"exclusive": tiny.scheme_of("exclusive"), "independent": tiny.scheme_of("independent"), "tree": tiny.TREE}


def predictions(scheme, n: int, k: int, seed: int) -> list[np.ndarray]:
    """Draw conditional probabilities of k networks for n galaxies."""
    generator = np.random.default_rng(seed)
    made = generator.uniform(0.02, 0.98, (k, n, len(scheme.keys)))
    if scheme.kind != "independent":
        for where in scheme.slices:
            made[..., where] /= made[..., where].sum(axis=-1, keepdims=True)
    return list(made)


def votes(scheme, p: np.ndarray, asked: int, seed: int) -> Labels:
    """Let people vote with these probabilities."""
    generator = np.random.default_rng(seed)
    totals = np.full(p.shape, float(asked))
    if scheme.kind == "independent":
        return Labels(generator.binomial(asked, p).astype(float), totals)
    counts = [generator.multinomial(asked, p[:, where]) for where in scheme.slices]
    return Labels(np.concatenate(counts, axis=1).astype(float), totals)


@given(st.sampled_from(sorted(SCHEMES)), st.integers(2, 5), st.integers(0, 999))
def test_no_other_shares_make_the_votes_likelier(kind, k, seed):
    """Neither equal ones, nor one network alone, nor some drawn at random (to the least share that is kept)."""
    scheme = SCHEMES[kind]
    given = predictions(scheme, 20, k, seed)
    labels = votes(scheme, given[0], 6, seed)
    shares = fit_shares(given, labels, scheme)
    assert sum(shares) == pytest.approx(1.0)
    assert min(shares) > 0
    best = mean_log_likelihood(given, shares, labels, scheme)
    others = [np.full(k, 1 / k), *np.eye(k), *np.random.default_rng(seed).dirichlet(np.ones(k), 10)]
    assert all(best >= mean_log_likelihood(given, other, labels, scheme) - 2e-3 for other in others)


@pytest.mark.parametrize("kind", sorted(SCHEMES))
def test_the_shares_of_the_mixture_that_voted_are_found(kind):
    """To .03: the statistical error of 2 000 galaxies with 20 votes each is below .01."""
    scheme, wanted = SCHEMES[kind], np.array([0.6, 0.3, 0.1])
    given = predictions(scheme, 2000, 3, 4)
    labels = votes(scheme, np.tensordot(wanted, np.stack(given), 1), 20, 5)
    np.testing.assert_allclose(fit_shares(given, labels, scheme), wanted, atol=0.03)


def test_the_order_of_networks_does_not_matter():
    """Shares go with their network."""
    scheme = SCHEMES["exclusive"]
    given = predictions(scheme, 60, 3, 1)
    labels = votes(scheme, given[1], 9, 2)
    forth, back = fit_shares(given, labels, scheme), fit_shares(given[::-1], labels, scheme)
    np.testing.assert_allclose(forth, back[::-1], atol=1e-6)


def test_without_votes_all_count_the_same():
    """There is nothing to fit to."""
    scheme = SCHEMES["exclusive"]
    none = Labels(np.zeros((4, 3)), np.zeros((4, 3)))
    assert fit_shares(predictions(scheme, 4, 2, 0), none, scheme) == [0.5, 0.5]
