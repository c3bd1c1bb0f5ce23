"""Command export: a checkpoint as an ONNX file."""

from __future__ import annotations

import sys
from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("checkpoint", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="result, ending in .onnx")
    shared.add_overwrite(command, "file")


def do(options: Namespace) -> None:
    """Export, and print where the result is and how far it is from torch."""
    difference = galmorph.export(**arguments(options))
    sys.stdout.write(f"{options.output}\n")
    sys.stderr.write(f"largest difference of a probability from torch: {difference:.1g}\n")
