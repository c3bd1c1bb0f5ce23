"""Score tables: how a checkpoint did on each part of the labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from galmorph.pages.figures import count_text
from galmorph.sky.scheme import Scheme

__all__ = ["score_tables"]

_SCORES = (
    ("rows", "galaxies"),
    ("signal_explained", "signal explained"),
    ("rmse", "RMSE"),
    ("constant", "RMSE of the mean"),
    ("floor", "floor of the votes"),
    ("accuracy", "accuracy"),
    ("calibration_error", "calibration error"),
    ("coverage", "coverage of the sets"),
)


def score_tables(
    scheme: Scheme, card: Mapping[str, Any], scores: Mapping[str, Any] | None, split: str
) -> list[dict[str, Any]]:
    """Make a table for each part that has scores: a row for each question and one for all together.

    Parameters
    ----------
    scheme
        What was asked.
    card
        The checkpoint's, with scores of the parts it was scored on.
    scores
        Of `split`, computed anew; None where there are none. They get a table of their own unless they are the card's.
    """
    questions = [(q.name, q.title) for q in scheme.questions]
    parts = [p for p in ("validation", "test") if card.get(p)]
    titles = {p: f"{p.capitalize()} part" for p in parts}
    tables = [{"split": p, "title": titles[p], "again": False, **_table(card[p], questions)} for p in parts]
    if not scores:
        return tables
    anew = _table(scores, questions)
    for table in tables:
        if table["split"] == split and table["rows"] == anew["rows"]:
            table["again"] = True
            return tables
    return [*tables, {"split": "", "title": f"{split.capitalize()} part, for this page", "again": False, **anew}]


def _table(scores: Mapping[str, Any], questions: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Lay out the scores of one part; columns that nothing has are left out."""
    by_question = {name: scores.get("questions", {}).get(name, {}) for name, _ in questions}
    if len(questions) == 1:  # what holds for the class as a whole holds for the only question
        overall = {k: scores[k] for k in ("accuracy", "coverage") if k in scores}
        by_question = {name: {**overall, **own} for name, own in by_question.items()}
    rows = [(title, by_question[name]) for name, title in questions if by_question[name].get("rows")]
    if len(questions) > 1 and scores.get("pooled"):
        rows.append(("all answers together", {"rows": scores.get("rows"), **scores["pooled"]}))
    columns = [(key, title) for key, title in _SCORES if any(_number(s.get(key), key) != "–" for _, s in rows)]
    return {
        "columns": [title for _, title in columns],
        "rows": [(title, [_number(s.get(key), key) for key, _ in columns]) for title, s in rows],
    }


def _number(value: Any, name: str) -> str:
    if isinstance(value, Mapping):  # by class or bin, with that of all
        value = next((value[k] for k in ("all", "overall", "mean") if k in value), None)
    if not isinstance(value, int | float) or np.isnan(value) or (name == "floor" and value == 0):
        return "–"
    return count_text(int(value)) if name == "rows" else f"{value:.3f}".replace("-", "−")
