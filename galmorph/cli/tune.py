"""Command tune: a random search of a pipeline's ranges."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_remark, print_table, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "ten trials, of which the best three are joined": "galmorph tune mine.toml --trials 10 --blend 3 -o tuned",
    "on other labels": "galmorph tune mine.toml --input labels=labels.csv images=stamps.zip -o tuned",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("pipeline", metavar="PIPELINE", help="name or file, with a table [tune] of ranges")
    shared.add_inputs(command)
    shared.add_training(command, "folder for trials.ecsv, the trials and the blend")
    command.add_argument("--trials", type=int, metavar="N", help="instead of the pipeline's")
    command.add_argument("--seed", type=int, metavar="N", help="of the search, instead of the pipeline's")
    command.add_argument("--blend", type=int, metavar="N", help="join the N best into one checkpoint")
    command.add_argument(
        "--fit-shares", action="store_true", help="of the networks in the blend, to the validation part"
    )


def do(options: Namespace) -> None:
    """Search, and print the trials, the best one and where the result is."""
    chosen = arguments(options)
    chosen["inputs"] = shared.joined(chosen.get("inputs", ()))
    with showing(options) as progress:
        search = galmorph.tune(**chosen, progress=progress)
    print_table(options, search.table, search.blend or Path(chosen["output"]) / "trials.ecsv")
    print_remark(options, f"best: {search.ranking[0]}")
