"""Command match: catalogues joined by position."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_remark

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "with another catalogue, and how likely each pair is one object": (
        "galmorph match mine.fits theirs.fits --radius 1arcsec --probability -o both.fits"
    ),
    "all of mine, each with its nearest in a catalogue of VizieR": (
        "galmorph match mine.fits vizier:II/246 --radius 2arcsec --find best1 --join all1 -o mine_and_2mass.fits"
    ),
    "positions with errors, or that move": (
        "galmorph match mine.fits gaia.fits --radius 3arcsec --motion - pmra,pmdec --epoch 2000 2016 -o stars.fits"
    ),
    "groups inside one catalogue": "galmorph match mine.fits --radius 2arcsec -o groups.fits",
}

_ONE_EACH = "one for all catalogues or one for each, - for none"


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("catalog", metavar="A", help=shared.CATALOG)
    command.add_argument(
        "others",
        nargs="*",
        metavar="B",
        help="what it is joined with, also vizier:II/246 or simbad; several are joined to A, none makes groups in A",
    )
    command.add_argument("--radius", required=True, metavar="R", help="largest separation: 1arcsec, 0.5arcmin")
    command.add_argument(
        "--find",
        choices=("best", "best1", "best2", "all"),
        help="pairs: the best one to one (default), the best of each row of A, or of B, or all",
    )
    command.add_argument(
        "--join",
        choices=("1and2", "1or2", "all1", "all2", "1not2", "2not1", "1xor2"),
        help="rows: those with a pair (default), of either or both catalogues, or those without",
    )
    command.add_argument(
        "-o", "--output", metavar="OUT", help="result: .fits .vot .ecsv .csv .parquet .hats; else a summary"
    )
    shared.add_overwrite(command, "result")
    command.add_argument("--suffixes", nargs="+", metavar="S", help="for names in several catalogues (default: _1 _2)")
    command.add_argument("--probability", action="store_true", help="add the probability that each pair is one object")
    _add_columns(command)


def _add_columns(command: Parser) -> None:
    """Add what is said of the catalogues' columns."""
    group = command.add_argument_group("columns of the catalogues", _ONE_EACH)
    group.add_argument("--ra", nargs="+", metavar="COL", help="right ascension")
    group.add_argument("--dec", nargs="+", metavar="COL", help="declination")
    group.add_argument("--hdu", nargs="+", type=shared.table_hdu, metavar="HDU", help="number or name of the table")
    group.add_argument(
        "--error", nargs="+", metavar="E", help="1 sigma of the position: a column, 0.1arcsec, or MAJOR,MINOR,ANGLE"
    )
    group.add_argument(
        "--sigmas", type=float, metavar="N", help="largest separation in units of the errors (default: 3)"
    )
    group.add_argument("--motion", nargs="+", metavar="PM", help="PMRA,PMDEC: columns of proper motion")
    group.add_argument("--epoch", nargs="+", metavar="Y", help="Julian year of the positions, or a column of it")


def do(options: Namespace) -> None:
    """Match, and say how many rows there are and where."""
    chosen = arguments(options)
    table = galmorph.match(**chosen, command=options.command_line)
    print_remark(options, f"{len(table)} rows, {len(table.colnames)} columns")
    output = chosen.get("output", "")
    print_answer(options, output, {"output": output or None, "rows": len(table), "columns": table.colnames})
