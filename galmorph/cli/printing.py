"""Printing: what commands write for people on standard error, and progress."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from galmorph.flags import flag_counts
from galmorph.progress import Bar, Lines, Progress

__all__ = ["print_table", "showing", "summarise"]


@contextmanager
def showing() -> Iterator[Progress]:
    """Yield what shows progress: a bar on a terminal, else a line now and then."""
    with closing(Bar() if sys.stderr.isatty() else _Log()) as progress:
        yield progress


class _Log(Lines):
    """Lines of a log, with one for each epoch of a training."""

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        if stage == "training":
            sys.stderr.write(f"epoch {done}/{total} {remark}\n")
        else:
            super().__call__(stage, done, total, remark)


def summarise(table: Any, prefix: str) -> None:
    """Print how many rows got which class and flag."""
    lines = [f"{len(table)} rows"]
    if (name := f"{prefix}class") in table.colnames:
        counts = Counter(str(value) for value in table[name])
        ordered = sorted(((n, c) for c, n in counts.items()), reverse=True)
        lines.append("classes: " + ", ".join(f"{c or '(none)'} {n}" for n, c in ordered))
    flags = flag_counts(table[f"{prefix}flags"].data)
    lines.append("flags: " + (", ".join(f"{f.name} {n}" for f, n in flags.items()) or "none"))
    sys.stderr.write("\n".join(lines) + "\n")


def print_table(table: Any) -> None:
    """Show a whole table."""
    sys.stderr.write("\n".join(table.pformat(max_lines=-1, max_width=-1)) + "\n")
