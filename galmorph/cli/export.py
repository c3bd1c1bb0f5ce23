"""Command export: a checkpoint as an ONNX file."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_remark

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "for programs that read ONNX": "galmorph export sdss-rgb -o sdss-rgb.onnx",
    "and used by galmorph itself": (
        "galmorph classify labels.csv --image stamps.zip --survey sdss --band RGB --checkpoint sdss-rgb "
        "--runtime sdss-rgb.onnx -o out.csv "
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("checkpoint", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    command.add_argument("-o", "--output", required=True, metavar="FILE", help="result, ending in .onnx")
    shared.add_overwrite(command, "file")


def do(options: Namespace) -> None:
    """Export, and print where the result is and how far it is from torch."""
    difference = galmorph.export(**arguments(options))
    print_answer(options, options.output, {"output": options.output, "largest_difference": difference})
    print_remark(options, f"largest difference of a probability from torch: {difference:.1g}")
