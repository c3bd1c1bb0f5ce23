"""Command cache: what was fetched from archives and is kept."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import galmorph
from galmorph.cli.parser import Parser, arguments

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    actions = ("list", "clear", "path")
    command.add_argument("action", choices=actions, metavar="|".join(actions), help="list, remove, or say where")


def do(options: Namespace) -> None:
    """Print a line for each file, or the folder."""
    entries = galmorph.cache(**arguments(options))
    if isinstance(entries, Path):
        sys.stdout.write(f"{entries}\n")
        return
    for entry in entries:
        state = "removed" if options.action == "clear" else "whole" if entry.is_whole else "in part"
        sys.stdout.write(f"{entry.bytes / 1e6:10.1f} MB  {state:8s} {entry.url}\n")
