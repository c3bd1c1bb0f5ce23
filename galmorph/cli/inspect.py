"""Command inspect: a page about a checkpoint."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "what it sees, on simulated galaxies": "galmorph inspect candels-h --pictures simulated -o candels-h.html",
    "how it errs, on one's own labels": (
        "galmorph inspect sdss-rgb labels.csv --image stamps.zip --rows 500 -o page.html"
    ),
}


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
    with showing(options) as progress:
        page = galmorph.inspect(**arguments(options), progress=progress)
    print_answer(options, str(page), {"output": page})
