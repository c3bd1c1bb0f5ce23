"""Verdict: what a checkpoint is good for, what it is not for, and since which figures."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from galmorph.nets.checkpoint.envelope import Envelope
from galmorph.pages.agreement import Judged
from galmorph.pages.binning import wilson
from galmorph.pages.figures import count_text
from galmorph.sky.scheme import Scheme

__all__ = ["Claim", "Verdict", "verdict_of"]

_GOOD = 0.5
"""Share of the signal that is explained where a question is answered well: more than by chance is not yet useful."""
_CALIBRATED = 0.05
"""Calibration error up to which probabilities may be averaged to fractions: larger ones exceed errors of counts."""
_FEW = 30
"""Galaxies below which errors of scores are themselves not known."""
_FEW_OF_CLASS = 10
_SIGMAS = 2.0
_DRAWS = 200
_SETS_OFF = 0.01
"""By how much coverage may differ from what is promised, beside its error."""
_WARNING = re.compile(r"(?:^|[.;] )((?:Not |[^.;]* (?:was|were) not seen)[^.;]*)")


@dataclass(frozen=True)
class Claim:
    """Something that a checkpoint is or is not good for, and the figures that say so."""

    what: str
    since: str


@dataclass
class Verdict:
    """Claims; `part` names the galaxies on which scores were computed, '' for none."""

    part: str
    good: list[Claim] = field(default_factory=list)
    careful: list[Claim] = field(default_factory=list)
    bad: list[Claim] = field(default_factory=list)


def verdict_of(
    scheme: Scheme, envelope: Envelope, card: Mapping[str, Any], judged: Judged | None, split: str, *, seed: int = 0
) -> Verdict:
    """Judge a checkpoint by the scores on its card.

    A question is answered well where more than half of the signal is explained and probabilities are calibrated, by two
    standard errors; badly where less is, by as much. Errors of scores are those of galaxies drawn again (bootstrap),
    where labels came with them, else RMSE / (2 √n), which holds where squared differences scatter as much as they are
    large.

    Parameters
    ----------
    scheme, envelope
        The checkpoint's.
    card
        The test part's scores are taken, else those of the validation part.
    judged, split
        Galaxies with labels, and their part: of those of the scores, errors are drawn again.
    """
    part = next((name for name in ("test", "validation") if card.get(name, {}).get("questions")), "")
    scores = card.get(part, {})
    verdict = Verdict(part)
    _judge_fields(verdict, envelope)
    if not part:
        verdict.bad.append(Claim("Anything that is published", "it has no scores: galmorph evaluate gives them"))
    drawn = judged if judged is not None and part in (split, "") else None
    for number, question in enumerate(scheme.questions):
        if own := scores.get("questions", {}).get(question.name):
            _judge_question(verdict, question.title, own, None if drawn is None else _drawn_error(drawn, number, seed))
    _judge_classes(verdict, scheme, scores)
    _judge_sets(verdict, scores.get("sets") or {})
    text = str(card.get("data") or "")
    verdict.bad += [Claim(each[:1].upper() + each[1:], "its card says so") for each in _WARNING.findall(text)]
    return verdict


def _judge_fields(verdict: Verdict, envelope: Envelope) -> None:
    """Say which images the training galaxies are from, and how bright and large these were."""
    name = " ".join([envelope.survey, *envelope.bands]).strip()
    if not name:
        verdict.careful.append(Claim("Images of any survey", "it does not say which images it learnt from"))
        return
    ranges = list(_ranges(envelope))
    scale = f" at {envelope.scale_arcsec:g}″ per pixel" if math.isfinite(envelope.scale_arcsec) else ""
    words = f", {' and '.join(text for text, _ in ranges)}" if ranges else ""
    verdict.good.append(Claim(f"Galaxies on {name} images{scale}{words}", "99 % of its training galaxies lie there"))
    beyond = "".join(f", {below}" for _, below in ranges)
    verdict.bad.append(
        Claim(
            f"Images of another survey, band or pixel scale{beyond}",
            "it learnt from none; such rows are flagged BAND_MISMATCH, SCALE_MISMATCH or OUT_OF_ENVELOPE",
        )
    )


def _ranges(envelope: Envelope) -> Iterator[tuple[str, str]]:
    """Word the ranges of the training galaxies, and what lies below them."""
    low, high = envelope.snr
    if math.isfinite(high) and high > low:
        at = f"S/N {count_text(round(low))}"
        yield f"{at} to {count_text(round(high))}", f"galaxies fainter than {at}"
    low, high = envelope.rpet_px
    if math.isfinite(high) and high > low:
        yield f"Petrosian radii of {low:.1f} to {high:.0f} pixels", f"smaller than {low:.1f} pixels"


def _judge_question(verdict: Verdict, title: str, scores: Mapping[str, Any], error: float | None) -> None:
    """Sort one question in by how much of its signal is explained."""
    rows = int(scores.get("rows") or 0)
    if rows == 0 or "rmse" not in scores:
        return
    rmse, constant, floor = (float(scores[name]) for name in ("rmse", "constant", "floor"))
    error = rmse / (2.0 * math.sqrt(rows)) if error is None else error
    signal = scores.get("signal_explained")
    off = float(scores.get("calibration_error", 0.0))
    spread = 2.0 * rmse * error / max(constant**2 - floor**2, 1e-12)
    words = "" if signal is None else f"signal explained {signal:.2f} ± {spread:.2f}, "
    since = f"{words}RMSE {rmse:.3f} ± {error:.3f} beside {constant:.3f} of the constant answer"
    claim = Claim(title, f"{since}, calibration error {off:.3f}; {count_text(rows)} galaxies".replace("-", "−"))
    if rows < _FEW or signal is None:
        verdict.careful.append(Claim(title, claim.since + ": too few, or too much alike, to say"))
    elif signal + _SIGMAS * spread < _GOOD:
        verdict.bad.append(claim)
    elif signal - _SIGMAS * spread >= _GOOD and off <= _CALIBRATED:
        verdict.good.append(claim)
    else:
        verdict.careful.append(claim)


def _drawn_error(judged: Judged, question: int, seed: int) -> float | None:
    """Return the standard error of the RMSE over galaxies drawn again; None for too few."""
    predicted, observed = judged.answers(question)
    if len(predicted) < 2:
        return None
    squares = np.square(predicted - observed).mean(axis=1)
    draws = np.random.default_rng(seed).integers(0, len(squares), (_DRAWS, len(squares)))
    return float(np.sqrt(squares[draws].mean(axis=1)).std(ddof=1))


def _judge_classes(verdict: Verdict, scheme: Scheme, scores: Mapping[str, Any]) -> None:
    """Name the classes of which less than half of the galaxies are found, or too few were there to say."""
    titles = {answer.key: answer.title for answer in scheme.answers}
    for row, key in enumerate(scores.get("classes") or []):
        counts = scores["confusion"][row]
        hits, total = int(counts[row]), int(sum(counts))
        low, high = (float(end[0]) for end in wilson(np.array([hits / max(total, 1)]), np.array([total])))
        since = f"{hits} of {total} are found ({100 * low:.0f} to {100 * high:.0f} %)"
        claim = Claim(
            f"Single galaxies of the class “{titles.get(key, key)}”",
            since if total else "there were none to judge it by",
        )
        is_bad = total > 0 and high < _GOOD
        if is_bad:
            verdict.bad.append(claim)
        elif total < _FEW_OF_CLASS or low < _GOOD:
            verdict.careful.append(claim)


def _judge_sets(verdict: Verdict, sets: Mapping[str, Any]) -> None:
    """Compare the coverage of prediction sets with what they promise."""
    if sets.get("coverage") is None or sets.get("nominal") is None:
        return
    coverage, error, nominal = float(sets["coverage"]), float(sets.get("coverage_err") or 0.0), float(sets["nominal"])
    claim = Claim(
        f"Prediction sets that hold {100 * nominal:.0f} % of the votes",
        f"they hold {100 * coverage:.1f} ± {100 * error:.1f} %, with {float(sets.get('size') or 0):.1f} answers each",
    )
    is_kept = abs(coverage - nominal) <= _SIGMAS * error + _SETS_OFF
    (verdict.good if is_kept else verdict.careful).append(claim)
