"""Temperatures are recovered from votes."""

from __future__ import annotations

import numpy as np
import pytest
import tiny

from galmorph.nets.calibrate import fit_temperatures
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
    found = fit_temperatures(tiny.checkpoint(), uncalibrated, Labels(counts, np.full((600, 5), 20.0)))
    assert found == pytest.approx(truth, rel=0.06)


def test_the_temperature_of_independent_fractions_is_recovered():
    scheme = tiny.scheme_of("independent")
    logits = np.random.default_rng(4).normal(0, 2.0, (800, 3))
    uncalibrated, fractions = 1 / (1 + np.exp(-logits)), 1 / (1 + np.exp(-logits / 1.4))
    checkpoint = tiny.checkpoint(scheme, temperatures=(1.0,))
    assert fit_temperatures(checkpoint, uncalibrated, Labels(fractions, np.ones((800, 3)))) == pytest.approx(
        (1.4,), rel=0.01
    )


def test_a_question_nobody_was_asked_keeps_a_temperature_of_one():
    totals = np.repeat([[10.0, 10.0, 0.0, 0.0, 0.0]], 50, axis=0)
    counts = np.repeat([[9.0, 1.0, 0.0, 0.0, 0.0]], 50, axis=0)
    p = np.repeat([[0.6, 0.4, 0.2, 0.3, 0.5]], 50, axis=0)
    found = fit_temperatures(tiny.checkpoint(), p, Labels(counts, totals))
    assert found[1] == 1.0
    assert found[0] == pytest.approx(0.3, abs=0.01)  # would go on to 0.18: it stops at its limit


def test_calibrating_makes_the_votes_likelier():
    rng = np.random.default_rng(6)
    logits = rng.normal(0, 3.0, (300, 5))
    bold = np.concatenate([softmax(logits[:, :2]), softmax(logits[:, 2:])], axis=1)
    mild = np.concatenate([softmax(logits[:, :2] / 2), softmax(logits[:, 2:] / 2)], axis=1)
    counts = np.concatenate([rng.multinomial(10, mild[:, :2]), rng.multinomial(10, mild[:, 2:])], axis=1)
    checkpoint = tiny.checkpoint()
    fitted = checkpoint.with_temperatures(fit_temperatures(checkpoint, bold, Labels(counts, np.full((300, 5), 10.0))))
    before, after = ((counts * np.log(p)).sum() for p in (np.clip(bold, 1e-9, 1), fitted.calibrated(bold)))
    assert after > before
