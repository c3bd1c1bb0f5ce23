"""Command cache: what was fetched from archives and is kept."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import galmorph
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "what is there, and how large it is": "galmorph cache list",
    "where it is": "galmorph cache path",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    actions = ("list", "clear", "path")
    command.add_argument(
        "action", nargs="?", choices=actions, default="list", metavar="ACTION", help="list (default), clear, or path"
    )


def do(options: Namespace) -> None:
    """Print a line for each file, or the folder."""
    entries = galmorph.cache(**arguments(options))
    if isinstance(entries, Path):
        print_answer(options, str(entries), {"folder": entries})
        return
    removed = options.action == "clear"
    files = [(e, "removed" if removed else "whole" if e.is_whole else "in part") for e in entries]
    lines = [f"{entry.bytes / 1e6:10.1f} MB  {state:8s} {entry.url}" for entry, state in files]
    document = [{"url": entry.url, "bytes": entry.bytes, "state": state} for entry, state in files]
    print_answer(options, "\n".join(lines), {"files": document})
