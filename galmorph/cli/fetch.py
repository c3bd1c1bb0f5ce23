"""Command fetch: what a later run will need of archives."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_dry_run, print_reasons, showing

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "how much would be fetched, and from where": "galmorph fetch catalog.fits --survey candels --band H --dry-run",
    "into a folder, for a machine without a network": (
        "galmorph fetch catalog.fits --survey candels --band H -o images"
    ),
    "a FITS stamp of each row": "galmorph fetch catalog.fits --survey candels --band H --stamps stamps --side 129",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("catalog", metavar="CATALOG", help=shared.CATALOG)
    command.add_argument("--survey", metavar="S", help="survey of the images; see 'galmorph list surveys'")
    command.add_argument("--band", required=True, metavar="B", help="band (H, r), or three (gri, RGB) for colour")
    command.add_argument("--field", metavar="F", help="only this field of the survey")
    shared.add_way(command)
    command.add_argument(
        "-o", "--output", metavar="DIR", help="folder for the files and their manifest (default: the cache)"
    )
    command.add_argument(
        "--stamps", metavar="DIR", help="instead, a FITS stamp of each row and a table of them into this folder"
    )
    command.add_argument("--side", type=int, metavar="PX", help="width and height of stamps, odd (default: 257)")
    shared.add_overwrite(command, "stamp that is another one's")
    shared.add_positions(command)
    shared.add_dry_run(command)


def do(options: Namespace) -> None:
    """Fetch, print where things are, and say what could not be had."""
    chosen = arguments(options)
    if chosen.pop("dry_run", False):
        print_dry_run(options, chosen)
        return
    with showing(options) as progress:
        manifest = galmorph.fetch(**chosen, progress=progress, command=options.command_line)
    folder = chosen.get("stamps", chosen.get("output", galmorph.cache("path")))
    document = {"folder": folder, "rows": manifest.n_rows, "failed": manifest.failed}
    print_answer(options, str(folder), document)
    print_reasons(options, manifest.failed, manifest.n_rows)
