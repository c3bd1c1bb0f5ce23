"""Ensembles: several networks in one checkpoint."""

from __future__ import annotations

import numpy as np
import tiny
import torch

from galmorph.nets.checkpoint import load_checkpoint, save_checkpoint
from galmorph.nets.network import Ensemble, members_of, n_weights


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
