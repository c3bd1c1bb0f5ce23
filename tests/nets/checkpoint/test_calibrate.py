"""Temperatures and maps are recovered from votes."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from galmorph.errors import CheckpointError, PipelineError
from galmorph.nets.checkpoint.calibrate import calibrated, checked_maps, fit_calibration, fit_temperatures
from galmorph.sky.scheme import Labels


def softmax(values: np.ndarray) -> np.ndarray:
    odds = np.exp(values)
    return odds / odds.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("truth", [(0.6, 1.0), (1.0, 1.8), (1.5, 0.7)])
def test_the_temperatures_of_overconfident_questions_are_recovered(truth):
    rng = np.random.default_rng(2)
    logits = rng.normal(0, 1.5, (600, 5))
    uncalibrated = np.concatenate([softmax(logits[:, :2]), softmax(logits[:, 2:])], axis=1)
    honest = np.concatenate([softmax(logits[:, :2] / truth[0]), softmax(logits[:, 2:] / truth[1])], axis=1)
    counts = np.concatenate([rng.multinomial(20, honest[:, :2]), rng.multinomial(20, honest[:, 2:])], axis=1).astype(
        float
    )
    found = fit_temperatures(tiny.TREE, uncalibrated, Labels(counts, np.full((600, 5), 20.0)))
    assert found == pytest.approx(truth, rel=0.06)


def test_the_temperature_of_independent_fractions_is_recovered():
    scheme = tiny.scheme_of("independent")
    logits = np.random.default_rng(4).normal(0, 2.0, (800, 3))
    uncalibrated, fractions = 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-logits / 1.4))
    assert fit_temperatures(scheme, uncalibrated, Labels(fractions, np.ones((800, 3)))) == pytest.approx(
        (1.4,), rel=0.01
    )


def test_a_question_nobody_was_asked_keeps_a_temperature_of_one():
    totals = np.repeat([[10.0, 10.0, 0.0, 0.0, 0.0]], 50, axis=0)
    counts = np.repeat([[9.0, 1.0, 0.0, 0.0, 0.0]], 50, axis=0)
    p = np.repeat([[0.6, 0.4, 0.2, 0.3, 0.5]], 50, axis=0)
    found = fit_temperatures(tiny.TREE, p, Labels(counts, totals))
    assert found[1] == 1.0
    assert found[0] == pytest.approx(0.3, abs=0.01)  # would go on to 0.18: it stops at its limit


def test_calibrating_makes_the_votes_likelier():
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 3.0, (300, 5))
    bold = np.concatenate([softmax(logits[:, :2]), softmax(logits[:, 2:])], axis=1)
    mild = np.concatenate([softmax(logits[:, :2] / 2), softmax(logits[:, 2:] / 2)], axis=1)
    counts = np.concatenate([rng.multinomial(10, mild[:, :2]), rng.multinomial(10, mild[:, 2:])], axis=1)
    checkpoint = tiny.checkpoint()
    fitted = checkpoint.with_temperatures(fit_temperatures(tiny.TREE, bold, Labels(counts, np.full((300, 5), 10.0))))
    before, after = ((counts * np.log(p)).sum() for p in (np.clip(bold, 1e-9, 1), fitted.calibrated(bold)))
    assert after > before


def dirichlet(scheme, p, counts):
    """Calibrate by maps where they are better."""
    return fit_calibration(scheme, p, Labels(counts.astype(float), np.full(p.shape, counts[0].sum())), "dirichlet")


def test_a_map_is_chosen_where_answers_are_confused_and_makes_new_votes_likelier():
    """The network gives the third answer a third of its due: no temperature mends that."""
    rng = np.random.default_rng(8)
    scheme, true = tiny.scheme_of("exclusive"), softmax(rng.normal(0, 1.5, (1200, 3)))
    shown = true * [1.0, 1.0, 1 / 3]
    shown /= shown.sum(1, keepdims=True)
    counts = rng.multinomial(20, true)
    found = dirichlet(scheme, shown[:600], counts[:600])
    assert found.held_out["only"]["dirichlet"] < found.held_out["only"]["temperature"]
    assert found.maps[0].shape == (1, 3, 4)
    mended = calibrated(shown[600:], scheme, found.temperatures, found.maps)
    tempered = calibrated(shown[600:], scheme, found.temperatures)
    assert np.abs(mended - true[600:]).mean() < 0.2 * np.abs(tempered - true[600:]).mean()
    assert np.allclose(mended.sum(1), 1.0)


def test_no_map_is_chosen_where_a_temperature_is_the_truth():
    """Fitted to 40 galaxies of 1 vote, twelve free numbers only follow the noise."""
    rng = np.random.default_rng(9)
    logits = rng.normal(0, 1.5, (40, 3))
    counts = rng.multinomial(1, softmax(logits / 1.3))
    found = dirichlet(tiny.scheme_of("exclusive"), softmax(logits), counts)
    assert found.maps == ()
    assert found.held_out["only"]["temperature"] <= found.held_out["only"]["dirichlet"]


def test_maps_of_independent_fractions_mend_each_answer():
    """The second answer is shown at half its odds, the others as they are."""
    rng = np.random.default_rng(10)
    scheme, odds = tiny.scheme_of("independent"), np.exp(rng.normal(-1, 1.5, (900, 3)))
    shown, true = (o / (1 + o) for o in (odds * [1.0, 0.5, 1.0], odds))
    counts = rng.binomial(30, true).astype(float)
    found = fit_calibration(scheme, shown[:600], Labels(counts[:600], np.full((600, 3), 30.0)), "dirichlet")
    assert found.maps[0].shape == (3, 2, 3)
    mended = calibrated(shown[600:], scheme, found.temperatures, found.maps)
    assert np.abs(mended - true[600:]).max() < 0.03


def test_each_question_of_a_tree_is_calibrated_alone():
    """The second question is distorted, the first needs nothing: votes of a hundred people say so."""
    rng = np.random.default_rng(11)
    a, b = softmax(rng.normal(0, 1.5, (500, 2))), softmax(rng.normal(0, 1.5, (500, 3)))
    counts = np.concatenate([rng.multinomial(100, a), rng.multinomial(100, b)], axis=1).astype(float)
    shown = np.concatenate([a, softmax(np.log(b) + np.array([1.0, 0.0, 0.0]))], axis=1)
    found = fit_calibration(tiny.TREE, shown, Labels(counts, np.full((500, 5), 100.0)), "dirichlet")
    assert found.maps[1] is not None
    mended = calibrated(shown, tiny.TREE, found.temperatures, found.maps)
    assert np.abs(mended[:, 2:] - b).mean() < 0.01
    assert np.abs(mended[:, :2] - a).max() < 0.03


def test_a_question_nobody_was_asked_has_no_map():
    counts = np.zeros((60, 5))
    counts[:, :2] = 5.0
    totals = np.repeat([[10.0, 10.0, 0.0, 0.0, 0.0]], 60, axis=0)
    found = fit_calibration(tiny.TREE, np.full((60, 5), 0.4), Labels(counts, totals), "dirichlet")
    assert found.held_out["b"] == {}
    assert found.temperatures[1] == 1.0


def test_maps_that_do_not_fit_the_scheme_are_refused():
    with pytest.raises(CheckpointError, match="does not fit the questions"):
        checked_maps([[[[1.0, 0.0, 0.0]]], None], tiny.TREE)
    with pytest.raises(CheckpointError, match="does not fit the questions"):
        checked_maps([None], tiny.TREE)
    assert checked_maps([None, None], tiny.TREE) == (None, None)


def test_an_unknown_method_is_refused():
    with pytest.raises(PipelineError, match="did you mean 'dirichlet'"):
        fit_calibration(tiny.TREE, np.full((4, 5), 0.4), Labels(np.ones((4, 5)), np.ones((4, 5))), "dirichlett")
