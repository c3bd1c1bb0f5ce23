"""Command calibrate: a checkpoint with calibration, sets and envelope fitted anew."""

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
    with showing() as progress:
        path = galmorph.calibrate(**arguments(options), progress=progress)
    sys.stdout.write(f"{path}\n")
