"""Command measure: a catalogue's rows with centroids, radii and flags."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_outlook, print_result, print_share, showing, summarise

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_catalog(command)
    shared.add_prefix(command)
    shared.add_images(command, required=False)
    shared.add_archive(command)
    shared.add_columns(command)
    shared.add_detection(command)
    shared.add_execution(command)
    command.add_argument(
        "--backend",
        choices=("galmorph", "sep", "photutils"),
        help="what measures (default: galmorph); sep and photutils give those libraries' textbook values",
    )


def do(options: Namespace) -> None:
    """Measure, and say how many rows got which flag."""
    chosen = shared.with_positions(arguments(options))
    if print_outlook(chosen):
        return
    chosen.setdefault("prefix", "gm_")
    with showing() as progress:
        table = galmorph.measure(**chosen, progress=progress, command=options.command_line)
    if print_share(chosen, table):
        return
    print_result(table, chosen.get("output"))
    summarise(table, chosen["prefix"])
