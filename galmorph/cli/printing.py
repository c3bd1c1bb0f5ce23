"""Printing: what commands write for people on standard error, and progress."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import galmorph
from galmorph.flags import flag_counts, flag_names, shared_mismatches
from galmorph.progress import Bar, Lines, Progress

__all__ = [
    "print_dry_run",
    "print_outlook",
    "print_reasons",
    "print_result",
    "print_share",
    "print_table",
    "showing",
    "summarise",
]

_LISTED = 12
"""Files named one by one; of more, each host has a line."""
_OF_DRY_RUN = {"catalog", "images", "survey", "band", "field", "archive", "hdu", "ra", "dec"}


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
    bits = table[f"{prefix}flags"].data
    shared = shared_mismatches(bits)
    flags = {f: n for f, n in flag_counts(bits).items() if not f & shared}
    lines.append("flags: " + (", ".join(f"{f.name} {n}" for f, n in flags.items()) or "none"))
    if shared:
        lines.append(f"of the whole run: {', '.join(flag_names(shared))}")
    sys.stderr.write("\n".join(lines) + "\n")


def print_result(table: Any, output: Any) -> None:
    """Print where a result is; one that is in no file is printed itself, a line for each column."""
    if output is not None:
        sys.stdout.write(f"{output}\n")
        return
    lines = [[name, *map(_cell, table[name]), str(table[name].unit or "")] for name in table.colnames]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    for name, *cells in lines:
        values = [cell.rjust(width) for cell, width in zip(cells[:-1], widths[1:-1], strict=True)]
        sys.stdout.write("  ".join([name.ljust(widths[0]), *values, cells[-1]]).rstrip() + "\n")


def _cell(value: Any) -> str:
    """Write a number with the digits that it has: ten of those in double precision, which are positions."""
    kind = getattr(value, "dtype", None)
    if kind is None or kind.kind != "f":
        return str(value)
    return f"{value:.{10 if kind.itemsize > 4 else 4}g}"


def print_outlook(chosen: dict[str, Any]) -> bool:
    """Print what a run would fetch, or how far it is, where that is all that was asked for; tell whether it was."""
    is_dry, is_status = bool(chosen.pop("dry_run", False)), bool(chosen.pop("status", False))
    if is_dry:
        print_dry_run(chosen)
    elif is_status:
        sys.stdout.write(f"{galmorph.status(chosen['output'])}\n")
    return is_dry or is_status


def print_share(chosen: Mapping[str, Any], status: Any) -> bool:
    """Say how far the whole is after a share of it; tell whether it was one."""
    if "shard" in chosen:
        sys.stderr.write(f"{status}; the same without --shard writes {chosen['output']}\n")
    return "shard" in chosen


def print_dry_run(chosen: Mapping[str, Any]) -> None:
    """Print what a command would fetch, given its arguments: a line for each file, or for each host."""
    asked = {name: value for name, value in chosen.items() if name in _OF_DRY_RUN}
    needs = [] if {"offline", "fetched"} & chosen.keys() else galmorph.dry_run(**asked)
    groups: dict[str, list[Any]] = defaultdict(list)
    for need in needs:
        groups[need["url"] if len(needs) <= _LISTED else urlsplit(need["url"]).netloc].append(need)
    sys.stdout.write(f"{'files':>7s} {'to fetch':>12s} {'in the cache':>12s}  from\n")
    for name, of_group in groups.items():
        sys.stdout.write(_need_line(of_group, name))
    if len(groups) != 1:
        sys.stdout.write(_need_line(list(needs), "in all"))


def _need_line(needs: Sequence[Any], name: str) -> str:
    missing, here = sum(int(n["bytes"] - n["here"]) for n in needs), sum(int(n["here"]) for n in needs)
    mark = "~" if any(n["estimate"] for n in needs) else ""
    amount = f"{mark}{missing / 1e6:.1f} MB" if not any(n["bytes"] == 0 for n in needs) else "unknown"
    return f"{len(needs):7d} {amount:>12s} {f'{here / 1e6:.1f} MB':>12s}  {name}\n"


def print_reasons(failed: Mapping[str, str], rows: int) -> None:
    """Say how many rows could not be served, for each reason, addresses left out."""
    sys.stderr.write(f"{rows} rows, of which {len(failed)} could not be served\n")
    for reason, count in Counter(failed.values()).most_common(_LISTED):
        sys.stderr.write(f"{count} {'row' if count == 1 else 'rows'}: {reason}\n")


def print_table(table: Any) -> None:
    """Show a whole table."""
    sys.stderr.write("\n".join(table.pformat(max_lines=-1, max_width=-1)) + "\n")
