"""Command inspect: a page about a checkpoint."""

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
    command.add_argument("checkpoint", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    shared.add_labels(command, required=False)
    command.add_argument("--split", metavar="S", help="of the labels: train, validation (default), test or all")
    command.add_argument("--rows", type=int, metavar="N", help="at most so many galaxies of the split, drawn by lot")
    command.add_argument(
        "--pictures",
        choices=("all", "none", "simulated"),
        help="galaxies to show: those of the labels (default), none, or simulated ones (needs GalSim)",
    )
    command.add_argument("--seed", type=int, metavar="N", help="of all that is drawn by lot (default: 0)")
    command.add_argument("-o", "--output", required=True, metavar="OUT", help="page.html, or a folder for NAME.html")
    shared.add_overwrite(command, "page")
    shared.add_card(command, "the page")


def do(options: Namespace) -> None:
    """Write the page, and print where it is."""
    with showing() as progress:
        page = galmorph.inspect(**arguments(options), progress=progress)
    sys.stdout.write(f"{page}\n")
