"""Reply: what is said of a galaxy, as JSON."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from galmorph.flags import MEANINGS, Flag, flag_names

if TYPE_CHECKING:
    from galmorph.runs.outcome import Outcome

__all__ = ["reply_of", "reply_of_row"]


def reply_of(outcome: Outcome, id: str = "") -> dict[str, Any]:
    """Say what came of one row.

    Parameters
    ----------
    id
        How whoever asked names it.

    Returns
    -------
    dict
        Class, probabilities and measurements by name, and ``columns``, the row as ``galmorph classify`` writes it; what
        is not known is None.
    """
    units = {column.name: column.unit for column in outcome.columns if column.unit}
    row = {column.name: plain(column.values[0]) for column in outcome.columns}
    run = outcome.plan.run
    keys = run.checkpoint.scheme.keys if run.checkpoint is not None else ()
    names = run.checkpoint.scheme.column_names("gm_") if run.checkpoint is not None else ()
    return reply_of_row(row, units, dict(zip(keys, names, strict=True)), id)


def reply_of_row(row: dict[str, Any], units: dict[str, str], answers: dict[str, str], id: str = "") -> dict[str, Any]:
    """Arrange a row of new columns.

    Parameters
    ----------
    row
        Values by the names of their columns.
    units
        Of the columns that have one.
    answers
        Column of each answer.
    """
    flags = int(row["gm_flags"])
    centre = ("gm_racen", "gm_deccen") if "gm_racen" in row else ("gm_x", "gm_y")
    return {
        "id": id,
        "class": row["gm_class"] or None,
        "confidence": row["gm_conf"],
        "probabilities": {answer: row[column] for answer, column in answers.items()},
        "set": [each for each in row["gm_set"].split("|") if each],
        "rule": row.get("gm_rule"),
        "position": {name.removeprefix("gm_").removesuffix("cen"): row[name] for name in centre},
        "radii": {
            "unit": units.get("gm_rpet", ""),
            "petrosian": row["gm_rpet"],
            "petrosian_error": row["gm_rpet_err"],
            "half_light": row["gm_r50"],
        },
        "snr": row["gm_snr"],
        "flags": {
            "number": flags,
            "names": flag_names(flags),
            "words": [text for flag, text in MEANINGS.items() if Flag(flags) & flag],
        },
        "model": row["gm_model"] or None,
        "columns": row,
    }


def plain(value: Any) -> Any:
    """Return a number or text as JSON has it: NaN and infinities are None."""
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and not math.isfinite(value) else value
