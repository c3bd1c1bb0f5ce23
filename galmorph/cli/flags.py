"""Command flags: what the bits of gm_flags mean, and what to do about them."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict
from typing import Any

import galmorph
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_remark

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "all of them": "galmorph flags",
    "those that are set in a value": "galmorph flags 2056",
    "by their names": "galmorph flags BLEND LOW_SNR",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("flags", nargs="*", metavar="VALUE|NAME", help="of gm_flags (default: all flags)")


def do(options: Namespace) -> None:
    """Print what each flag means, and what to do."""
    entries = galmorph.describe_flags(arguments(options).get("flags") or None)
    lines = [line for entry in entries for line in _lines(entry)]
    text = "\n".join(lines) or "no flag is set: there is no reason for doubt"
    print_answer(options, text, {"flags": [asdict(entry) for entry in entries]})
    if any(entry.is_cut for entry in entries):
        print_remark(options, "cut: the recommended cuts leave such rows out")


def _lines(entry: Any) -> tuple[str, str]:
    """Write a flag with its meaning, and what to do about it below."""
    mark = "cut" if entry.is_cut else ""
    return (
        f"{entry.bit:3d} {entry.value:7d}  {entry.name:16s} {mark:4s} {entry.meaning}",
        f"{'':35s}-> {entry.remedy}",
    )
