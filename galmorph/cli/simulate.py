"""Command simulate: a field with known truth."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "300 galaxies of CANDELS in H, with their truth": "galmorph simulate -o field",
    "a small colour field of the SDSS": "galmorph simulate --survey sdss --band gri --rows 20 --seed 2 -o small",
}


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
    files = list(field.files(chosen["output"]))
    print_answer(options, "\n".join(map(str, files)), {"files": files})
