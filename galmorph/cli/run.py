"""Command run: pipelines, side by side."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_table, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "two pipelines side by side, on one's own labels": (
        "galmorph run sdss-rgb sdss-gz1 --input labels=labels.csv images=stamps.zip -o runs"
    ),
    "a quick trial": "galmorph run sdss-rgb --input labels=labels.csv images=stamps.zip --epochs 1 -o trial",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("pipelines", nargs="+", metavar="PIPELINE", help=shared.PIPELINE)
    shared.add_inputs(command)
    shared.add_training(
        command, "folder for comparison.ecsv and a folder for each pipeline, or for the classified catalogues"
    )
    command.add_argument("--seed", type=int, metavar="N", help="instead of the pipelines'")
    command.add_argument("--split", metavar="S", help="labels to score: test (default) or validation")
    shared.add_overwrite(command, "result of a pipeline that classifies")


def do(options: Namespace) -> None:
    """Run pipelines; print the scores of those that train, or the counts of others, and where they are."""
    chosen = arguments(options)
    chosen["inputs"] = shared.joined(chosen.get("inputs", ()))
    with showing(options) as progress:
        table = galmorph.run(**chosen, progress=progress, command=options.command_line)
    outputs = table["output"] if "output" in table.colnames else [Path(chosen["output"]) / "comparison.ecsv"]
    print_table(options, table, *map(str, outputs))
