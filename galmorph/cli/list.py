"""Command list: what ships."""

from __future__ import annotations

import sys
from argparse import Namespace

import galmorph
from galmorph.cli.parser import Parser, arguments

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    kinds = ("surveys", "schemes", "networks", "checkpoints", "pipelines")
    command.add_argument("kind", choices=kinds, metavar="|".join(kinds), help="of what ships")


def do(options: Namespace) -> None:
    """Print a line for each name."""
    for name, title in galmorph.names(**arguments(options)).items():
        sys.stdout.write(f"{name:16s} {title}\n")
