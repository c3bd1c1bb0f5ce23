"""Command fetch: what a later run will need of archives."""

from __future__ import annotations

import sys
from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_dry_run, print_reasons, showing

__all__ = ["add_options", "do"]


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
        print_dry_run(chosen)
        return
    with showing() as progress:
        manifest = galmorph.fetch(**chosen, progress=progress, command=options.command_line)
    folder = chosen.get("stamps", chosen.get("output", galmorph.cache("path")))
    sys.stdout.write(f"{folder}\n")
    print_reasons(manifest.failed, manifest.n_rows)
