"""Ensembles: several networks in one checkpoint."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch
from safetensors import safe_open

from galmorph.errors import CheckpointError
from galmorph.nets.architecture.network import Ensemble, Network, NetworkConfig, load_network, members_of, n_weights
from galmorph.nets.checkpoint import ensemble as module
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.ensemble import ensemble
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.nets.checkpoint.file import load_checkpoint, save_checkpoint
from galmorph.nets.checkpoint.prediction_sets import PredictionSets
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
    assert len(eight.distinct_views(read_views("dieleman60"))[0]) == 15
    assert len(one.distinct_views(read_views("dieleman60"))[0]) == 60
    square = load_network("galmorph")
    assert Network(square, Recipe(planes=3), load_scheme("gz2-simple")).invariant
    assert square.views == "one"


OTHER = NetworkConfig("conv 6 3x3 stride 2 pad 1 relu\nglobalpool mean\ndense answers", name="other", views="one")


def test_joined_networks_may_differ(tmp_path):
    """The result averages, with the weights given, what its parts say before calibration; its file says so again."""
    parts = [
        tiny.checkpoint(temperatures=(1.0, 1.0)),
        tiny.checkpoint(network=tiny.network(4, config=OTHER), temperatures=(1.0, 1.0)),
    ]
    made = ensemble(parts, tmp_path / "both.safetensors", shares=[1, 3])
    one, two = (p.predict(stamps()) for p in parts)
    np.testing.assert_allclose(made.predict(stamps()), 0.25 * one + 0.75 * two, atol=5e-3)  # half precision
    again = load_checkpoint(tmp_path / "both.safetensors")
    assert [m.config.name for m in members_of(again.network)] == ["tiny", "other"]
    assert again.network.shares == (0.25, 0.75)
    np.testing.assert_array_equal(again.predict(stamps()), made.predict(stamps()))
    assert (made.name, again.scheme, again.split) == ("both", tiny.TREE, parts[0].split)
    assert [p["share"] for p in read_card(tmp_path / "both.safetensors")["joined"]] == [0.25, 0.75]


def test_the_card_tells_of_the_trainings_of_all_parts(tmp_path):
    """What they agree on, the losses of each network, and beside each part its own settings."""
    about = {"rows": {"train": 9}, "unlabelled": 0, "training_means": {"x": 0.5}}
    for name, epochs, rows in (("one", 1, 9), ("two", 2, 9), ("few", 2, 3)):
        card = about | {"rows": {"train": rows}, "settings": {"epochs": epochs}, "curves": [[{"epoch": epochs}]]}
        save_checkpoint(tiny.checkpoint(), tmp_path / f"{name}.safetensors", card)
    cards = []
    for other in ("two", "few"):
        ensemble([tmp_path / f"{n}.safetensors" for n in ("one", other)], tmp_path / f"{other}-both.safetensors")
        cards.append(read_card(tmp_path / f"{other}-both.safetensors"))
    assert [p["settings"]["epochs"] for p in cards[0]["joined"]] == [1, 2]
    assert cards[0]["settings"] == {"epochs": 1}
    assert cards[0]["curves"] == [[{"epoch": 1}], [{"epoch": 2}]]
    assert {key: cards[0][key] for key in about} == about
    assert "rows" not in cards[1]
    assert cards[1]["training_means"] == about["training_means"]


def test_shares_are_those_of_their_sum_whatever_their_size():
    parts = [tiny.checkpoint(), tiny.checkpoint()]
    assert ensemble(parts, shares=[1e308, 1e308]).network.shares == (0.5, 0.5)
    with pytest.raises(CheckpointError, match="too far apart"):
        ensemble(parts, shares=[1e-300, 1e300])


def test_temperatures_are_joined_geometrically_by_their_shares():
    """As probabilities to the power of 1 / T, they act on logarithms: T of 4 and 1 by 1 : 3 are the root of 2."""
    parts = [tiny.checkpoint(temperatures=t) for t in ((4.0, 0.5), (1.0, 2.0))]
    assert ensemble(parts).temperatures == pytest.approx((2.0, 1.0))
    assert ensemble(parts, shares=[1, 3]).temperatures == pytest.approx((2.0**0.5, 2.0**0.5))
    assert ensemble(parts, shares=[2, 6]).temperatures == ensemble(parts, shares=[1, 3]).temperatures


def test_the_checksums_of_the_parts_and_of_the_result_are_those_of_their_files(tmp_path):
    paths = [save_checkpoint(tiny.checkpoint(version=v), tmp_path / f"{v}.safetensors") for v in ("7", "8")]
    joint = ensemble(paths, tmp_path / "both.safetensors")
    card = read_card(tmp_path / "both.safetensors")
    sums = [hashlib.sha256(p.read_bytes()).hexdigest() for p in (*paths, tmp_path / "both.safetensors")]
    assert [part["sha256"] for part in card["joined"]] == sums[:2]
    assert joint.sha256 == card["sha256"] == sums[2]
    assert len(set(sums)) == 3
    assert ensemble(paths).sha256 == ""  # it has no file


def test_parts_that_are_ensembles_keep_their_shares():
    """Two networks in one part and one in the other: a quarter each, and a half."""
    pair = tiny.checkpoint(network=Ensemble([tiny.network(1), tiny.network(2)]))
    made = ensemble([pair, tiny.checkpoint()])
    assert made.network.shares == (0.25, 0.25, 0.5)
    assert made.name == "tiny+tiny"


def test_sets_and_maps_do_not_outlive_the_networks_that_they_were_fitted_to():
    """The result has temperatures alone, and the ranges that its parts have in common."""
    made = tiny.checkpoint()
    ranges = replace(made.envelope, rpet_px=(3.0, 40.0)), replace(made.envelope, rpet_px=(5.0, 60.0))
    sets = PredictionSets("lac", 0.9, (0.5,) * len(made.scheme.questions[0].answers), by_class=False, rows=50)
    maps = (None,) * len(made.scheme.questions)
    both = ensemble([replace(made, envelope=envelope, sets=sets, maps=maps) for envelope in ranges])
    assert (both.sets, both.maps, both.envelope.rpet_px) == (None, (), (5.0, 40.0))


def test_networks_of_one_text_and_weight_are_written_as_before(tmp_path):
    """A file of equal networks has no new entries, so that earlier versions read it."""
    made = ensemble([tiny.checkpoint(), tiny.checkpoint(network=tiny.network(5))], tmp_path / "two.safetensors")
    with safe_open(tmp_path / "two.safetensors", framework="pt") as stream:
        header = json.loads(stream.metadata()["galmorph"])
    assert header["format"] == "2"
    assert not {"networks", "shares"} & set(header)
    assert made.network.shares == (0.5, 0.5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recipe": replace(tiny.RECIPE, gain=3.0)}, "differ in their recipe: gain is 2.0 and 3.0"),
        ({"envelope": Envelope("candels", ("H",), 0.396)}, "differ in their images: bands"),
        ({"observation": {"snr": [1, 2]}}, "observation"),
        ({"fractions": {"x": ["a"]}}, "votes"),
    ],
)
def test_what_does_not_fit_together_is_refused(changes, words):
    """The message names the setting and both values."""
    with pytest.raises(CheckpointError, match=words) as caught:
        ensemble([tiny.checkpoint(), tiny.checkpoint(**changes)])
    assert "\n" not in str(caught.value)


def test_other_answers_are_refused():
    """Probabilities of different answers cannot be averaged."""
    other = tiny.scheme_of("exclusive", 5)
    with pytest.raises(CheckpointError, match="differ in their scheme: answers"):
        ensemble([tiny.checkpoint(), tiny.checkpoint(scheme=other)])


@pytest.mark.parametrize("shares", [[1.0], [1.0, 0.0], [1.0, float("nan")], [1.0, -2.0]])
def test_shares_must_fit(shares):
    """One positive number for each checkpoint."""
    with pytest.raises(CheckpointError, match="one positive number each"):
        ensemble([tiny.checkpoint()] * 2, shares=shares)


def test_one_checkpoint_is_not_joined():
    """There must be two."""
    with pytest.raises(CheckpointError, match="two or more"):
        ensemble([tiny.checkpoint()])


def test_a_large_file_is_reported(tmp_path, caplog, monkeypatch):
    """A size past that of what ships is a warning, not an error."""
    monkeypatch.setattr(module, "_LARGE_MB", 0.001)
    ensemble([tiny.checkpoint()] * 2, tmp_path / "two.safetensors")
    assert "MB" in caplog.text


def test_different_splits_leave_nothing_to_test_on():
    """What one was tested on may have trained the other."""
    assert ensemble([tiny.checkpoint(), tiny.checkpoint(split={"test": 0.3})]).split == {}


def test_the_envelope_is_what_all_have_seen():
    """S/N outside any part's range is outside."""
    wide = tiny.checkpoint(envelope=Envelope("sdss", ("r",), 0.396, (2.0, 80.0)))
    assert ensemble([tiny.checkpoint(), wide]).envelope.snr == (10.0, 80.0)
