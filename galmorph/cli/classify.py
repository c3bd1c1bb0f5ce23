"""Command classify: a catalogue's rows with classes, probabilities, centroids and radii."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_outlook, print_remark, print_report, print_result, print_share, showing
from galmorph.cli.summary import next_line, summary_lines, summary_of

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "a field of one's own, with its weights and a page to look at": (
        "galmorph classify catalog.fits --image image.fits.gz --survey candels --band H -o out.fits --report report"
    ),
    "colour, from three bands": (
        "galmorph classify catalog.fits --image g=g.fits r=r.fits i=i.fits --survey sdss --band gri -o out.vot"
    ),
    "without images: what the survey published is fetched": (
        "galmorph classify catalog.fits --survey candels --band H -o out.fits"
    ),
    "JPEG or PNG stamps, by the column 'file' of a table": (
        "galmorph classify labels.csv --image stamps.zip --survey sdss --band RGB -o out.csv"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_catalog(command)
    shared.add_columns(command)
    shared.add_images(command, required=False)
    shared.add_archive(command)
    _add_network(command)
    shared.add_detection(command)
    result = shared.add_prefix(command)
    shared.add_report(result)
    result.add_argument("--strict", action="store_true", help="exit with 3 if a row has no probabilities")
    shared.add_execution(command)


def _add_network(command: Parser) -> None:
    """Add which network answers, and how."""
    group = command.add_argument_group("checkpoint and answers")
    group.add_argument("--checkpoint", metavar="C", help="name or file; default: the one for the survey and band")
    shared.add_views(group)
    group.add_argument(
        "--errors", action="store_true", help="add the spread of each probability over networks and views"
    )
    group.add_argument("--features", action="store_true", help="add the features that the network sees of each row")
    group.add_argument(
        "--rule",
        metavar="R",
        help="add a class by a rule of the scheme (galmorph show); likeliest: by none, where it has a default",
    )
    group.add_argument("--normalise", action="store_true", help="scale independent fractions so that they sum to 1")
    group.add_argument("--runtime", metavar="R", help="torch, or the .onnx file of the checkpoint (galmorph export)")
    shared.add_precision(group)
    shared.add_device(group, "answer")


def do(options: Namespace) -> None:
    """Classify, and say how many rows got which class and flag."""
    chosen = shared.with_positions(arguments(options))
    if print_outlook(options, chosen):
        return
    chosen.setdefault("prefix", "gm_")
    with showing(options) as progress:
        table = galmorph.classify(
            **chosen, whole="output" not in chosen, progress=progress, command=options.command_line
        )
    if print_share(options, chosen, table):
        return
    summary = summary_of(table, chosen["prefix"])
    print_result(options, table, chosen.get("output"), summary)
    print_remark(options, *summary_lines(summary, chosen["prefix"]))
    if "output" in chosen and not getattr(options, "streams", False):
        print_remark(options, next_line(options, summary, str(chosen["output"])))
    print_report(options, chosen)
