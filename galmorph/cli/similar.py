"""Command similar: the rows of a table that are most like some of them."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_ranked

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "galaxies like one": "galmorph similar features.fits --to 1234 -o like.fits",
    "like two and unlike a third, printed": "galmorph similar features.fits --to 17 25 --unlike 3 -n 10",
    "like the one at a position": "galmorph similar features.parquet --at '215.03 52.98' -o like.csv",
    "what is there twice, and artefacts": "galmorph similar features.fits --duplicates 0.99 -o twins.fits",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("table", metavar="TABLE", help="of galmorph embed, or any with a column of vectors")
    group = command.add_argument_group("examples, by the id column, files of stamps, or numbers of rows from 0")
    group.add_argument("--to", nargs="+", metavar="ID", help="rows that others should be like")
    group.add_argument("--at", action="append", metavar="'RA DEC'", help="the row within 5 arcsec; may be repeated")
    group.add_argument("--unlike", nargs="+", metavar="ID", help="rows that they should not be like")
    group.add_argument("-n", "--number", type=int, metavar="N", help="rows that are wanted (default: 20)")
    group.add_argument(
        "--by",
        choices=("rocchio", "logistic"),
        help="how examples make one direction: by their means (default), or by a regression",
    )
    group.add_argument(
        "--duplicates", type=float, metavar="S", help="instead: groups of rows at least so alike, such as 0.99"
    )
    group = command.add_argument_group("features")
    group.add_argument(
        "--features", nargs="+", metavar="COL", help="columns of vectors, joined (default: that called ...features)"
    )
    group.add_argument("--whiten", action="store_true", help="give all directions of the features the same say")
    group.add_argument("--dimensions", type=int, metavar="D", help="keep so many principal axes (default: all)")
    group.add_argument("--exact", action="store_true", help="compare all rows, however many there are")
    shared.add_ranked(command)


def do(options: Namespace) -> None:
    """Find, and print the rows or where they are."""
    chosen = arguments(options)
    print_ranked(options, galmorph.similar(**chosen, command=options.command_line), chosen)
