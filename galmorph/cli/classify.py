"""Command classify: a catalogue's rows with classes, probabilities, centroids and radii."""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_outlook, print_result, print_share, showing, summarise

__all__ = ["add_options", "do"]


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_catalog(command)
    shared.add_prefix(command)
    command.add_argument("--report", metavar="DIR", help="write an HTML page to look at into this folder")
    command.add_argument("--strict", action="store_true", help="exit with 3 if a row has no probabilities")
    shared.add_images(command, required=False)
    shared.add_archive(command)
    shared.add_columns(command)
    shared.add_detection(command)
    shared.add_execution(command)
    command.add_argument("--checkpoint", metavar="C", help="name or file; default: the one for the survey and band")
    shared.add_views(command)
    command.add_argument(
        "--errors", action="store_true", help="add the spread of each probability over networks and views"
    )
    command.add_argument(
        "--rule",
        metavar="R",
        help="add a class by a rule of the scheme (galmorph show); likeliest: by none, where it has a default",
    )
    command.add_argument("--normalise", action="store_true", help="scale independent fractions so that they sum to 1")
    command.add_argument("--runtime", metavar="R", help="torch, or the .onnx file of the checkpoint (galmorph export)")
    shared.add_device(command, "answer")


def do(options: Namespace) -> None:
    """Classify, and say how many rows got which class and flag."""
    chosen = shared.with_positions(arguments(options))
    if print_outlook(chosen):
        return
    chosen.setdefault("prefix", "gm_")
    with showing() as progress:
        table = galmorph.classify(**chosen, progress=progress, command=options.command_line)
    if print_share(chosen, table):
        return
    print_result(table, chosen.get("output"))
    summarise(table, chosen["prefix"])
    if "report" in chosen:
        sys.stderr.write(f"report: {Path(chosen['report']) / 'index.html'}\n")
