"""Command train: a checkpoint from a table of labels and images."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "on one's own labels": "galmorph train labels.csv --image stamps.zip --pipeline sdss-labels -o mine",
    "go on after it was stopped": (
        "galmorph train labels.csv --image stamps.zip --pipeline sdss-labels -o mine --resume"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_labels(command)
    command.add_argument("--pipeline", required=True, metavar="P", help=shared.PIPELINE)
    command.add_argument("--scheme", metavar="S", help="label scheme, instead of the pipeline's")
    shared.add_training(command, "folder for the checkpoint, its card and the state")
    command.add_argument("--seed", type=int, metavar="N", help="instead of the pipeline's")


def do(options: Namespace) -> None:
    """Train, and print where the checkpoint is."""
    with showing(options) as progress:
        training = galmorph.train(**arguments(options), progress=progress)
    print_answer(options, str(training.path), {"output": training.path})
