"""Command train: a checkpoint from a table of labels and images."""

from __future__ import annotations

import sys
from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import showing

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_labels(command)
    command.add_argument("--pipeline", required=True, metavar="P", help=shared.PIPELINE)
    command.add_argument("--scheme", metavar="S", help="label scheme, instead of the pipeline's")
    shared.add_training(command, "folder for the checkpoint, its card and the state")
    command.add_argument("--seed", type=int, metavar="N", help="instead of the pipeline's")


def do(options: Namespace) -> None:
    """Train, and print where the checkpoint is."""
    with showing() as progress:
        training = galmorph.train(**arguments(options), progress=progress)
    sys.stdout.write(f"{training.path}\n")
