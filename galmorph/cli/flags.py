"""Command flags: what the bits of gm_flags mean, and what to do about them."""

from __future__ import annotations

import json
import sys
from argparse import Namespace, RawDescriptionHelpFormatter
from dataclasses import asdict

import galmorph
from galmorph.cli.parser import Parser, arguments

__all__ = ["add_options", "do"]

_EXAMPLES = """examples:
  galmorph flags                  all of them
  galmorph flags 2056             those that are set in a value
  galmorph flags BLEND LOW_SNR    by their names
"""


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.epilog, command.formatter_class = _EXAMPLES, RawDescriptionHelpFormatter
    command.add_argument("flags", nargs="*", metavar="VALUE|NAME", help="of gm_flags (default: all flags)")
    command.add_argument("--json", action="store_true", help="print JSON")


def do(options: Namespace) -> None:
    """Print what each flag means, and what to do."""
    chosen = arguments(options)
    as_json = chosen.pop("json", False)
    entries = galmorph.describe_flags(chosen.pop("flags", None) or None)
    if as_json:
        sys.stdout.write(json.dumps([asdict(entry) for entry in entries], indent=1) + "\n")
        return
    for entry in entries:
        mark = "cut" if entry.is_cut else ""
        sys.stdout.write(f"{entry.bit:3d} {entry.value:7d}  {entry.name:16s} {mark:4s} {entry.meaning}\n")
        sys.stdout.write(f"{'':35s}-> {entry.remedy}\n")
    if not entries:
        sys.stdout.write("no flag is set: there is no reason for doubt\n")
    elif any(entry.is_cut for entry in entries):
        sys.stderr.write("cut: the recommended cuts leave such rows out\n")
