"""Ensembles: several networks in one checkpoint."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tiny
import torch

from galmorph.nets.checkpoint import load_checkpoint, save_checkpoint
from galmorph.nets.network import Ensemble, Network, load_network, members_of, n_weights
from galmorph.sky.scheme import load_scheme
from galmorph.stamps.recipe import Recipe
from galmorph.stamps.views import read_views


def stamps(n: int = 4) -> np.ndarray:
    return np.random.default_rng(5).normal(size=(n, 1, 16, 16)).astype(np.float32)


def test_an_ensemble_averages_the_probabilities_of_its_members():
    networks = [tiny.network(seed) for seed in (1, 2, 3)]
    flat = (1.0, 1.0)
    alone = [tiny.checkpoint(network=n, temperatures=flat).predict(stamps()) for n in networks]
    together = tiny.checkpoint(network=Ensemble(networks), temperatures=flat).predict(stamps())
    np.testing.assert_allclose(together, np.mean(alone, axis=0), atol=1e-6)
    assert np.abs(alone[0] - alone[1]).max() > 1e-3


def test_one_network_is_an_ensemble_of_itself():
    network = tiny.network(1)
    assert members_of(network) == [network]
    assert members_of(Ensemble([network, network])) == [network, network]


def test_an_ensemble_survives_its_file_in_half_precision(tmp_path):
    both = tiny.checkpoint(network=Ensemble([tiny.network(1), tiny.network(2)]))
    path = save_checkpoint(both, tmp_path / "two.safetensors")
    loaded = load_checkpoint(path)
    assert len(members_of(loaded.network)) == 2
    assert n_weights(loaded.network) == 2 * n_weights(tiny.network(1))
    assert {p.dtype for p in loaded.network.parameters()} == {torch.float32}
    np.testing.assert_allclose(loaded.predict(stamps()), both.predict(stamps()), atol=5e-3)


def test_equal_checkpoints_have_equal_files(tmp_path):
    contents = {save_checkpoint(tiny.checkpoint(), tmp_path / f"{i}.safetensors").read_bytes() for i in range(4)}
    assert len(contents) == 1


def test_the_spread_is_over_networks_and_views():
    """With P answers of equal weight it is the sample standard deviation of the calibrated marginals; one has none."""
    members = [tiny.network(seed, config=replace(tiny.CONFIG, views="one")) for seed in (1, 2, 3)]
    both = tiny.checkpoint(network=Ensemble(members))
    views = np.stack([stamps(), stamps()[:, :, ::-1].copy()], axis=1)
    each = [
        both.scheme.marginals(tiny.checkpoint(network=m).predict(np.ascontiguousarray(views[:, v])))
        for m in members
        for v in range(2)
    ]
    np.testing.assert_allclose(both.answer(views).spread, np.std(each, axis=0, ddof=1), atol=1e-6)
    assert np.isnan(tiny.checkpoint(network=members[0]).answer(views[:, :1]).spread).all()
    assert np.isfinite(tiny.checkpoint().answer(views[:, :1]).spread).all()  # eight orientations


def test_views_have_shares():
    """A view with a share of 1 is the only one that counts; the average is taken before the calibration."""
    flat = tiny.checkpoint(temperatures=(1.0, 1.0))
    views = np.stack([stamps(), 2.0 * stamps()], axis=1)
    one, two = (flat.predict(np.ascontiguousarray(views[:, v])) for v in range(2))
    np.testing.assert_allclose(flat.answer(views, np.array([0.0, 1.0])).conditional, two, atol=1e-6)
    np.testing.assert_allclose(
        flat.answer(views, np.array([0.25, 0.75])).conditional, 0.25 * one + 0.75 * two, atol=1e-6
    )


def test_a_network_that_sees_all_orientations_is_spared_turned_views():
    """Sixty views are fifteen for it, and sixty for one that is not invariant."""
    eight, one = tiny.checkpoint(), tiny.checkpoint(network=tiny.network(config=replace(tiny.CONFIG, views="one")))
    assert len(eight.seen(read_views("dieleman60"))[0]) == 15
    assert len(one.seen(read_views("dieleman60"))[0]) == 60
    square = load_network("galmorph")
    assert Network(square, Recipe(planes=3), load_scheme("gz2-simple")).invariant
    assert square.views == "one"
