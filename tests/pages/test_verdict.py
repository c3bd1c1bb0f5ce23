"""Verdicts follow from figures, and name them."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.pages.agreement import Judged
from galmorph.pages.verdict import Verdict, verdict_of
from galmorph.sky.scheme import load_scheme

SCHEME = load_scheme("gz2-simple")
TITLE = SCHEME.questions[0].title
ENVELOPE = Envelope("sdss", ("i", "r", "g"), 0.396, (120.0, 11_000.0), (5.5, 40.0))


def card(rows: int = 400, rmse: float = 0.13, calibration_error: float = 0.01, part: str = "test") -> dict:
    constant, floor = 0.36, 0.0
    signal = 1 - rmse**2 / constant**2
    scores = {"rows": rows, "rmse": rmse, "constant": constant, "floor": floor, "signal_explained": signal}
    return {part: {"rows": rows, "questions": {"class": scores | {"calibration_error": calibration_error}}}}


def judge(card: dict, envelope: Envelope = ENVELOPE) -> Verdict:
    return verdict_of(SCHEME, envelope, card, None, "test")


def whats(claims) -> list[str]:
    return [claim.what for claim in claims]


def test_a_question_that_is_answered_well_is_named_with_its_error_and_the_constant():
    verdict = judge(card())
    (claim,) = [claim for claim in verdict.good if claim.what == TITLE]
    assert "RMSE 0.130 ± 0.003 beside 0.360 of the constant answer" in claim.since
    assert "signal explained 0.87 ± 0.01" in claim.since
    assert "calibration error 0.010; 400 galaxies" in claim.since
    assert verdict.part == "test"


@pytest.mark.parametrize(
    ("scores", "where"),
    [
        (card(rmse=0.30), "bad"),
        (card(rmse=0.25), "careful"),  # half of the signal, within the errors
        (card(calibration_error=0.08), "careful"),
        (card(rows=20), "careful"),
        (card(part="validation"), "good"),
    ],
)
def test_less_signal_worse_calibration_and_few_galaxies_count_against_it(scores, where):
    assert TITLE in whats(getattr(judge(scores), where))


def test_test_parts_go_before_validation_parts():
    assert TITLE in whats(judge(card(rmse=0.30) | card(part="validation")).bad)


def test_without_scores_nothing_is_published():
    verdict = judge({})
    assert verdict.part == ""
    assert "Anything that is published" in whats(verdict.bad)


def test_images_and_galaxies_unlike_those_of_the_training_are_named():
    verdict = judge(card())
    assert whats(verdict.good)[0] == (
        "Galaxies on sdss i r g images at 0.396″ per pixel, S/N 120 to 11\u202f000 "
        "and Petrosian radii of 5.5 to 40 pixels"
    )
    assert "galaxies fainter than S/N 120, smaller than 5.5 pixels" in whats(verdict.bad)[0]
    assert "does not say" in judge(card(), Envelope()).careful[0].since


def test_classes_are_judged_by_how_many_of_them_are_found():
    scores = card()
    scores["test"] |= {
        "classes": list(SCHEME.keys),
        "confusion": [[90, 10, 0, 0, 0], [60, 40, 0, 0, 0], [0, 0, 5, 0, 2], [0, 0, 0, 0, 0], [0, 0, 0, 20, 20]],
    }
    verdict = judge(scores)
    (bad,) = [claim for claim in verdict.bad if "class" in claim.what]
    assert bad.since == "40 of 100 are found (35 to 45 %)"
    careful = [claim.since for claim in verdict.careful if "class" in claim.what]
    assert careful == [
        "5 of 7 are found (53 to 85 %)",
        "there were none to judge it by",
        "20 of 40 are found (42 to 58 %)",
    ]


@pytest.mark.parametrize(("coverage", "where"), [(0.905, "good"), (0.82, "careful")])
def test_prediction_sets_are_held_to_what_they_promise(coverage, where):
    scores = card()
    scores["test"]["sets"] = {"coverage": coverage, "coverage_err": 0.01, "nominal": 0.9, "size": 1.4}
    (claim,) = [claim for claim in getattr(judge(scores), where) if "sets" in claim.what]
    assert claim.since == f"they hold {100 * coverage:.1f} ± 1.0 %, with 1.4 answers each"


def test_warnings_of_the_card_are_repeated():
    text = (
        "656 JPEGs. Not for the statistics of populations: shares are chosen. Faint galaxies were not seen; stars were."
    )
    assert whats(judge(card() | {"data": text}).bad)[1:] == [
        "Not for the statistics of populations: shares are chosen",
        "Faint galaxies were not seen",
    ]


def test_with_labels_errors_are_those_of_galaxies_drawn_again():
    rng = np.random.default_rng(2)
    n = 400
    classes = rng.integers(0, 5, n)
    truth = np.eye(5)[classes]
    predicted = np.clip(truth + rng.normal(0, 0.13, truth.shape), 0, 1)
    table = {"class": np.array(list(SCHEME.keys))[classes]}
    judged = Judged(SCHEME, predicted, SCHEME.labels(table, column="class"))
    scores = card(rmse=float(np.sqrt(np.square(predicted - truth).mean())))
    drawn = verdict_of(SCHEME, ENVELOPE, scores, judged, "test")
    other = verdict_of(SCHEME, ENVELOPE, scores, judged, "validation")
    since = {v: next(c.since for c in verdict.good if c.what == TITLE) for v, verdict in (("d", drawn), ("o", other))}
    assert since["d"] != since["o"]  # labels of another part say nothing of these scores
    squares = np.square(predicted - truth).mean(axis=1)
    expected = squares.std() / np.sqrt(n) / (2 * np.sqrt(squares.mean()))
    assert float(since["d"].split("RMSE ")[1].split(" ")[2]) == pytest.approx(expected, abs=0.0007)


@pytest.mark.parametrize("name", ["candels-h", "nircam-f200w", "sdss-gz1", "sdss-gz2", "sdss-rgb"])
def test_checkpoints_that_ship_are_good_for_something_and_not_for_all(name):
    shipped = read_card(name)
    before = copy.deepcopy(shipped)
    verdict = verdict_of(load_scheme(shipped["scheme"]), ENVELOPE, shipped, None, "test")
    assert len(verdict.good) >= 2
    assert len(verdict.bad) >= 2
    assert all(claim.since for claims in (verdict.good, verdict.careful, verdict.bad) for claim in claims)
    assert shipped == before
