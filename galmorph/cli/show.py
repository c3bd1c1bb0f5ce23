"""Command show: one of the things that ship, in words."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli.list import KINDS
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import is_json, print_answer
from galmorph.errors import UnknownNameError

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "a survey: its bands, their names and scales": "galmorph show candels",
    "a checkpoint: what it was trained on, and how well it does": "galmorph show checkpoints/sdss-rgb",
    "for scripts": "galmorph show candels --json",
    "a pipeline as a file to start from": "galmorph show pipelines/sdss/sdss-rgb",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("name", metavar="NAME", help="of what ships, KIND/NAME where one kind is meant; or a file")


def do(options: Namespace) -> None:
    """Print it."""
    if options.name in KINDS:
        raise UnknownNameError(f"'{options.name}' are of one kind: 'galmorph list {options.name}' names them; show one")
    text = galmorph.show(**arguments(options))
    contents = galmorph.contents(options.name) if is_json(options) else {}
    print_answer(options, text, {"name": options.name, "text": text, **contents})
