"""Printing: answers on standard output, as text or JSON, and remarks and progress on standard error."""

from __future__ import annotations

import json
import logging
import math
import sys
import warnings
from argparse import Namespace
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import galmorph
from galmorph.progress import Bar, Lines, Progress, silent

__all__ = [
    "is_json",
    "messages",
    "print_answer",
    "print_dry_run",
    "print_outlook",
    "print_ranked",
    "print_reasons",
    "print_remark",
    "print_report",
    "print_result",
    "print_share",
    "print_table",
    "rows_of",
    "showing",
]

_LISTED = 12
"""Files named one by one; of more, each host has a line."""
_OF_DRY_RUN = {"catalog", "images", "survey", "band", "field", "archive", "hdu", "ra", "dec"}


def print_answer(options: Namespace, text: str, document: Mapping[str, Any]) -> None:
    """Print what a command was asked for on standard output: as text, or with ``--json`` as one document.

    Parameters
    ----------
    options
        What was given.
    text
        For people, and for ``$(...)`` in a shell; nothing is printed where it is empty, or a table goes there.
    document
        The same for programs. Paths, arrays and numbers of numpy are written as JSON has them, what is not finite or
        is masked as null.
    """
    if is_json(options):
        sys.stdout.write(json.dumps(_plain(document), indent=1, ensure_ascii=False) + "\n")
    elif text and not getattr(options, "streams", False):
        sys.stdout.write(f"{text}\n")


def print_remark(options: Namespace, *lines: str) -> None:
    """Print for people on standard error; with ``--json`` or ``--quiet`` nothing."""
    if not is_json(options) and not is_quiet(options):
        sys.stderr.writelines(f"{line}\n" for line in lines)


def is_json(options: Namespace) -> bool:
    """Say whether a document is wanted in place of text."""
    return bool(getattr(options, "json", False))


def is_quiet(options: Namespace) -> bool:
    """Say whether nothing is wanted but answers and errors."""
    return bool(getattr(options, "quiet", 0))


def _plain(value: Any) -> Any:
    """Return a value as JSON has it."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if hasattr(value, "tolist"):  # of numpy; what is masked becomes None
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)


def rows_of(table: Any) -> list[dict[str, Any]]:
    """Return the rows of a table as JSON has them."""
    columns = {name: table[name].tolist() for name in table.colnames}
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


@contextmanager
def showing(options: Namespace) -> Iterator[Progress]:
    """Yield what shows progress: a bar on a terminal, else a line now and then; nothing where quiet is wanted."""
    if is_quiet(options):
        yield silent
        return
    with closing(Bar() if sys.stderr.isatty() else _Log()) as progress, _through(progress.write):
        yield progress


class _Messages(logging.Handler):
    """What the library logs, one line each, written by whatever shows progress."""

    def __init__(self) -> None:
        super().__init__()
        self.write: Callable[[str], object] = _to_stderr
        self.setFormatter(logging.Formatter("galmorph: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        self.write(self.format(record))


def _to_stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")


@contextmanager
def _through(write: Callable[[str], object]) -> Iterator[None]:
    """Let a bar write messages, so that they do not tear it."""
    handlers = [h for h in logging.getLogger("galmorph").handlers if isinstance(h, _Messages)]
    for handler in handlers:
        handler.write = write
    try:
        yield
    finally:
        for handler in handlers:
            handler.write = _to_stderr


@contextmanager
def messages(options: Namespace) -> Iterator[None]:
    """Show what the library logs while a command runs, as much as ``-v`` and ``-q`` say, and warnings of others."""
    log, handler = logging.getLogger("galmorph"), _Messages()
    quiet, verbose, before = getattr(options, "quiet", 0), getattr(options, "verbose", 0), log.level
    log.setLevel(logging.ERROR if quiet > 1 else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)])
    log.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = lambda message, *_: log.warning("%s", " ".join(str(message).split()))
            yield
    finally:
        log.removeHandler(handler)
        log.setLevel(before)


class _Log(Lines):
    """Lines of a log, with one for each epoch of a training."""

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:
        if stage == "training":
            sys.stderr.write(f"epoch {done}/{total} {remark}\n")
        else:
            super().__call__(stage, done, total, remark)


def print_result(options: Namespace, table: Any, output: Any, document: Mapping[str, Any]) -> None:
    """Print where a result is; one that is in no file is printed itself, a line for each column."""
    if output is not None:
        print_answer(options, str(output), {"output": output, **document})
        return
    lines = [[name, *map(_cell, table[name]), str(table[name].unit or "")] for name in table.colnames]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    texts = []
    for name, *cells in lines:
        values = [cell.rjust(width) for cell, width in zip(cells[:-1], widths[1:-1], strict=True)]
        texts.append("  ".join([name.ljust(widths[0]), *values, cells[-1]]).rstrip())
    print_answer(options, "\n".join(texts), {"table": rows_of(table), **document})


def _cell(value: Any) -> str:
    """Write a number with the digits that it has: ten of those in double precision, which are positions."""
    kind = getattr(value, "dtype", None)
    if kind is None or kind.kind != "f":
        return str(value)
    return f"{value:.{10 if kind.itemsize > 4 else 4}g}"


def print_report(options: Namespace, chosen: Mapping[str, Any]) -> None:
    """Say where the page about a run is, if one was asked for."""
    if "report" in chosen:
        print_remark(options, f"report: {Path(chosen['report']) / 'index.html'}")


def print_ranked(options: Namespace, table: Any, chosen: Mapping[str, Any]) -> None:
    """Print where ranked rows are; those in no file are printed themselves, but for arrays, a line for each."""
    if "output" in chosen:
        print_answer(options, str(chosen["output"]), {"output": chosen["output"], "rows": len(table)})
        return
    plain = table[[name for name in table.colnames if table[name].ndim == 1]]
    new = plain[[name for name in plain.colnames if name in (plain.colnames[0], *plain.colnames[-2:])]]
    lines = new.pformat(max_lines=-1, max_width=-1, show_unit=False)
    print_answer(options, "\n".join(line.rstrip() for line in lines), {"table": rows_of(plain)})


def print_outlook(options: Namespace, chosen: dict[str, Any]) -> bool:
    """Print what a run would fetch, or how far it is, where that is all that was asked for; tell whether it was."""
    is_dry, is_status = bool(chosen.pop("dry_run", False)), bool(chosen.pop("status", False))
    if is_dry:
        print_dry_run(options, chosen)
    elif is_status:
        status = galmorph.status(chosen["output"])
        print_answer(options, str(status), _fields(status))
    return is_dry or is_status


def print_share(options: Namespace, chosen: Mapping[str, Any], status: Any) -> bool:
    """Say how far the whole is after a share of it; tell whether it was one."""
    if "shard" in chosen:
        remark = f"{status}; the same without --shard writes {chosen['output']}"
        print_remark(options, remark)
        print_answer(options, "", _fields(status))
    return "shard" in chosen


def _fields(status: Any) -> dict[str, Any]:
    names = ("rows", "of_rows", "parts", "of_parts", "rows_per_s")
    return {name: getattr(status, name, None) for name in names}


def print_dry_run(options: Namespace, chosen: Mapping[str, Any]) -> None:
    """Print what a command would fetch, given its arguments: a line for each file, or for each host."""
    asked = {name: value for name, value in chosen.items() if name in _OF_DRY_RUN}
    needs = [] if {"offline", "fetched"} & chosen.keys() else galmorph.dry_run(**asked)
    groups: dict[str, list[Any]] = defaultdict(list)
    for need in needs:
        groups[need["url"] if len(needs) <= _LISTED else urlsplit(need["url"]).netloc].append(need)
    lines = [f"{'files':>7s} {'to fetch':>12s} {'in the cache':>12s}  from"]
    lines += [_need_line(of_group, name) for name, of_group in groups.items()]
    lines += [_need_line(list(needs), "in all")] if len(groups) != 1 else []
    files = [{name: need[name] for name in ("url", "bytes", "here", "estimate")} for need in needs]
    print_answer(options, "\n".join(lines), {"files": files})


def _need_line(needs: Sequence[Any], name: str) -> str:
    missing, here = sum(int(n["bytes"] - n["here"]) for n in needs), sum(int(n["here"]) for n in needs)
    mark = "~" if any(n["estimate"] for n in needs) else ""
    amount = f"{mark}{missing / 1e6:.1f} MB" if not any(n["bytes"] == 0 for n in needs) else "unknown"
    return f"{len(needs):7d} {amount:>12s} {f'{here / 1e6:.1f} MB':>12s}  {name}"


def print_reasons(options: Namespace, failed: Mapping[str, str], rows: int) -> None:
    """Say how many rows could not be served, for each reason, addresses left out."""
    reasons = Counter(failed.values()).most_common(_LISTED)
    lines = [f"{count} {'row' if count == 1 else 'rows'}: {reason}" for reason, count in reasons]
    print_remark(options, f"{rows} rows, of which {len(failed)} could not be served", *lines)


def print_table(options: Namespace, table: Any, *outputs: str | Path) -> None:
    """Show a whole table to people, and print the names of the files that were written."""
    if not is_json(options):
        sys.stderr.write("\n".join(table.pformat(max_lines=-1, max_width=-1)) + "\n")
    document = {"rows": rows_of(table), "outputs": list(outputs)}
    print_answer(options, "\n".join(map(str, outputs)), document)
