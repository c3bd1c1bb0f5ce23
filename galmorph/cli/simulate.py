"""Command simulate: a field with known truth."""

from __future__ import annotations

import sys
from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("--survey", metavar="S", help="see 'galmorph list surveys' (default: candels)")
    command.add_argument("--band", metavar="B", help="a band, or three (gri, RGB); default: H")
    command.add_argument("--rows", type=int, metavar="N", help="of the catalogue (default: 300)")
    command.add_argument("--seed", type=int, metavar="N", help="the same gives the same field (default: 1)")
    command.add_argument("--side", type=int, metavar="PX", help="side of the image in pixels")
    command.add_argument("-o", "--output", required=True, metavar="DIR", help="folder for images, catalogue and truth")
    shared.add_overwrite(command, "field")


def do(options: Namespace) -> None:
    """Simulate, write, and print the names of the files."""
    chosen = arguments(options)
    field = galmorph.simulate(**chosen)
    for path in field.files(chosen["output"]):
        sys.stdout.write(f"{path}\n")
