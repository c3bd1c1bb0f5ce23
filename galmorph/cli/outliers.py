"""Command outliers: the rows of a table from the strangest on."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_ranked

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "the twenty strangest rows, printed": "galmorph outliers features.fits -n 20",
    "again, after some were marked": "galmorph outliers features.fits --odd 17 93 --usual 4 8 15 16 23 -o odd.fits",
    "what a training set has not shown": "galmorph outliers features.fits --reference training.fits -o odd.fits",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("table", metavar="TABLE", help="of galmorph embed, or any with a column of vectors")
    group = command.add_argument_group("marks, by the id column, files of stamps, or numbers of rows from 0")
    group.add_argument("--odd", nargs="+", metavar="ID", help="rows that are odd")
    group.add_argument("--usual", nargs="+", metavar="ID", help="rows that are not")
    command.add_argument("--reference", metavar="TABLE", help="of usual rows (default: the table itself)")
    command.add_argument("-n", "--number", type=int, metavar="N", help="rows that are wanted (default: all)")
    command.add_argument(
        "--features", nargs="+", metavar="COL", help="columns of vectors, joined (default: that called ...features)"
    )
    shared.add_ranked(command)


def do(options: Namespace) -> None:
    """Rank, and print the rows or where they are."""
    chosen = arguments(options)
    print_ranked(options, galmorph.outliers(**chosen, command=options.command_line), chosen)
