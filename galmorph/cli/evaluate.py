"""Command evaluate: the scores of a checkpoint."""

from __future__ import annotations

import json
from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "scores on the test part of one's own labels": "galmorph evaluate sdss-rgb labels.csv --image stamps.zip",
    "on all of them, into a file": (
        "galmorph evaluate sdss-rgb labels.csv --image stamps.zip --split all -o scores.json"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("checkpoint", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    shared.add_labels(command)
    command.add_argument("--split", metavar="S", help="of the labels: train, validation, test (default) or all")
    shared.add_views(command)
    shared.add_precision(command)
    command.add_argument("-o", "--output", metavar="JSON", help="write the scores to a file instead of standard output")
    shared.add_overwrite(command, "file of scores")
    shared.add_card(command, "the scores")


def do(options: Namespace) -> None:
    """Score, and print the scores where no file was named."""
    chosen = arguments(options)
    with showing(options) as progress:
        scores = galmorph.evaluate(**chosen, progress=progress)
    print_answer(options, "" if "output" in chosen else json.dumps(scores, indent=1), scores)
