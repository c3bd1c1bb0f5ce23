"""Command ensemble: one checkpoint of several."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "two that answer together, equally": "galmorph ensemble one.safetensors two.safetensors -o both.safetensors",
    "the first with twice the weight": (
        "galmorph ensemble one.safetensors two.safetensors --shares 2 1 -o both.safetensors"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("checkpoints", nargs="+", metavar="CHECKPOINT", help="names or files, two or more")
    command.add_argument("--shares", nargs="+", type=float, metavar="S", help="one for each (equal)")
    command.add_argument("--name", help="of the result (default: that of its file)")
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="result, ending in .safetensors")
    shared.add_overwrite(command, "checkpoint")


def do(options: Namespace) -> None:
    """Join, and print where the result is."""
    galmorph.ensemble(**arguments(options))
    print_answer(options, str(options.output), {"output": options.output})
