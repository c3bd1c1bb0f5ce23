"""Command show: one of the things that ship, in words."""

from __future__ import annotations

import sys
from argparse import Namespace

import galmorph
from galmorph.cli.parser import Parser, arguments

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("name", metavar="NAME", help="of what ships, KIND/NAME where one kind is meant; or a file")


def do(options: Namespace) -> None:
    """Print it."""
    sys.stdout.write(galmorph.show(**arguments(options)) + "\n")
