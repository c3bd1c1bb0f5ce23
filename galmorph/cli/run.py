"""Command run: pipelines, side by side."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_table, showing

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("pipelines", nargs="+", metavar="PIPELINE", help=shared.PIPELINE)
    shared.add_inputs(command)
    shared.add_training(command, "folder for comparison.ecsv and a folder for each pipeline")
    command.add_argument("--seed", type=int, metavar="N", help="instead of the pipelines'")
    command.add_argument("--split", metavar="S", help="labels to score: test (default) or validation")


def do(options: Namespace) -> None:
    """Train and score, and print the scores and where they are."""
    chosen = arguments(options)
    chosen["inputs"] = shared.joined(chosen.get("inputs", ()))
    with showing() as progress:
        table = galmorph.run(**chosen, progress=progress)
    print_table(table)
    sys.stdout.write(f"{Path(chosen['output']) / 'comparison.ecsv'}\n")
