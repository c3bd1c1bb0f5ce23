"""Command calibrate: a checkpoint with calibration, sets and envelope fitted anew."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "temperatures and sets for one's own labels": (
        "galmorph calibrate sdss-rgb labels.csv --image stamps.zip -o mine.safetensors"
    ),
    "sets that hold 95 % of each class": (
        "galmorph calibrate sdss-rgb labels.csv --image stamps.zip --coverage 0.95 --by-class -o mine.safetensors"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("checkpoint", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    shared.add_labels(command)
    command.add_argument("--method", choices=("temperature", "dirichlet"), help="of calibration (default: temperature)")
    command.add_argument("--sets", choices=("lac", "aps"), help="kind of prediction sets (default: lac)")
    command.add_argument("--coverage", type=float, metavar="C", help="of the sets (default: 0.9)")
    command.add_argument("--by-class", action="store_true", help="the same coverage for each class")
    command.add_argument(
        "--false-alarms", type=float, metavar="S", help="share flagged by the embedding (default: 0.01)"
    )
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="checkpoint; its card lies beside it")
    shared.add_overwrite(command, "checkpoint")


def do(options: Namespace) -> None:
    """Calibrate, and print where the result is."""
    with showing(options) as progress:
        path = galmorph.calibrate(**arguments(options), progress=progress)
    print_answer(options, str(path), {"output": path})
