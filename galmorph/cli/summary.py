"""Summary: what there is to say of a result: rows, classes, doubts, and what to do next."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections import Counter
from collections.abc import Mapping
from typing import Any

from galmorph.flags import RECOMMENDED_CUT, UNCLASSIFIABLE, flag_counts, flag_names, shared_mismatches

__all__ = ["next_line", "summary_lines", "summary_of"]

_LISTED = 8
"""Classes and flags that are named; of the rest their number is."""


def summary_of(table: Any, prefix: str) -> dict[str, Any]:
    """Count the rows of a result by class and flag, for ``--json``.

    What all rows share (:func:`galmorph.flags.shared_mismatches`) is no doubt about a row: it has a list of its own.
    """
    summary: dict[str, Any] = {"rows": len(table)}
    if (name := f"{prefix}class") in table.colnames:
        counts = Counter(str(value) for value in table[name])
        summary["classes"] = dict(sorted(counts.items(), key=lambda item: (item[1], item[0]), reverse=True))
    bits = table[f"{prefix}flags"].data
    shared = shared_mismatches(bits)
    cut = RECOMMENDED_CUT & ~shared
    return summary | {
        "flags": {str(f.name): n for f, n in flag_counts(bits).items() if not f & shared},
        "shared_flags": flag_names(shared),
        "without_stamp": int(((bits & int(UNCLASSIFIABLE)) != 0).sum()),
        "cut": int(cut),
        "rows_cut": int(((bits & int(cut)) != 0).sum()),
    }


def summary_lines(summary: Mapping[str, Any], prefix: str = "gm_") -> list[str]:
    """Write a summary for people: what there is, what is doubtful, and which rows to leave out of statistics."""
    lines = [f"{summary['rows']} rows"]
    if "classes" in summary:
        lines.append("classes: " + (_counts({c or "(none)": n for c, n in summary["classes"].items()}) or "none"))
    lines.append("flags: " + (_counts(summary["flags"]) or "none"))
    if summary["shared_flags"]:
        lines.append(f"of the whole run: {', '.join(summary['shared_flags'])}")
    if summary["rows_cut"]:
        lines.append(
            f"for statistics leave out {summary['rows_cut']} rows: keep {prefix}flags & {summary['cut']} == 0 "
            "(galmorph flags explains them)"
        )
    return lines


def next_line(options: Namespace, summary: Mapping[str, Any], output: str) -> str:
    """Say what to do with a result: ask again for what could not be had, or look at it.

    Parameters
    ----------
    options
        What was asked for.
    summary
        Of :func:`summary_of`.
    output
        The file of the result.
    """
    lost = summary["flags"].get("FETCH_FAILED", 0)
    if lost:
        return f"next: the same with '{output}' as CATALOG, --retry and another -o asks again for {lost} rows"
    has_page = options.command != "classify" or hasattr(options, "report")
    page = "" if has_page else "; --report DIR makes a page of pictures"
    return f"next: galmorph overlay {shlex.quote(output)} --regions out.reg for DS9{page}"


def _counts(counts: Mapping[str, int]) -> str:
    """Name the commonest, and say how many others there are."""
    ordered = sorted(counts.items(), key=lambda item: item[1], reverse=True)
    others = len(ordered) - _LISTED
    return ", ".join([*(f"{name} {n}" for name, n in ordered[:_LISTED]), *([f"{others} more"] if others > 0 else [])])
