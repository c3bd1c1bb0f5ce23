"""Latent factors: they explain the votes that there are, and foretell those that there are not."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.table import Table

import galmorph
from galmorph.errors import SchemeError
from galmorph.likeness.latent_factors import fit_factors, predicted_factors
from galmorph.sky.scheme import Labels, load_scheme

SCHEME = load_scheme("gz1")


def of_rank(rows: int, answers: int, rank: int, voters: int, seed: int = 0) -> tuple[Labels, np.ndarray, np.ndarray]:
    """Votes that follow from so many factors, the fractions that they are drawn from, and features made of these."""
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(rows, rank))
    chances = 1.0 / (1.0 + np.exp(-0.6 * factors @ rng.normal(size=(rank, answers))))
    counts = rng.binomial(voters, chances).astype(float)
    features = factors @ rng.normal(size=(rank, 20)) + rng.normal(0, 0.1, (rows, 20))
    return Labels(counts, np.full(counts.shape, float(voters))), chances, features.astype(np.float32)


def test_factors_lie_nearer_to_the_truth_than_the_votes_do():
    labels, chances, _ = of_rank(400, 30, 3, 10)
    factors = fit_factors(labels, 4)
    assert np.abs(factors.fractions - chances).mean() < 0.6 * np.abs(labels.fractions - chances).mean()


def test_what_nobody_was_asked_counts_for_nothing():
    labels, chances, _ = of_rank(400, 30, 3, 40)
    totals = np.where(np.random.default_rng(1).random(labels.totals.shape) < 0.5, 0.0, labels.totals)
    some = Labels(np.where(totals > 0, labels.counts, 0.0), totals)
    missing = totals == 0
    factors = fit_factors(some, 4)
    assert np.abs(factors.fractions - chances)[missing].mean() < 0.5 * np.abs(factors.means - chances)[missing].mean()


def test_galaxies_without_votes_get_factors_from_features():
    labels, _, features = of_rank(400, 30, 3, 40)
    voted = np.arange(400) < 300
    taught = Labels(np.where(voted[:, None], labels.counts, 0.0), np.where(voted[:, None], labels.totals, 0.0))
    factors = fit_factors(taught, 3)
    assert not factors.galaxies[~voted].any()
    predicted = factors.means + predicted_factors(features, voted, factors.galaxies) @ factors.answers.T
    error = np.abs(predicted - labels.fractions)[~voted].mean()
    assert error < 0.5 * np.abs(factors.means - labels.fractions)[~voted].mean()


def test_a_table_gets_a_column_of_them_for_every_row():
    rng = np.random.default_rng(4)
    shares = rng.dirichlet(np.ones(len(SCHEME.keys)), 60)
    features = (shares @ rng.normal(size=(shares.shape[1], 9))).astype(np.float32)
    shares[40:] = np.nan
    features[3] = np.nan
    table = Table({**dict(zip(SCHEME.keys, shares.T, strict=True)), "gm_features": features})
    with_them = galmorph.latent_factors(table, "gz1", number=2)
    values = np.asarray(with_them["gm_factors"])
    assert values.shape == (60, 2)
    assert np.isnan(values[3]).all()
    assert np.isfinite(np.delete(values, 3, axis=0)).all()
    assert len(galmorph.similar(with_them, 50, features="gm_factors", number=5)) == 5
    with pytest.raises(SchemeError, match="expected at least 1, and fewer"):
        galmorph.latent_factors(table, "gz1", number=99)
    with pytest.raises(SchemeError, match="join them to the features first"):
        galmorph.latent_factors(table["gm_features",], "gz1")
