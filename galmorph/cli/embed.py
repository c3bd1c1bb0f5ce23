"""Command embed: a catalogue's rows with the features in which a checkpoint sees them."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_outlook, print_remark, print_result, print_share, showing
from galmorph.cli.summary import summary_lines, summary_of

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "features for similar, outliers and maps": (
        "galmorph embed catalog.fits --image image.fits.gz --survey candels --band H -o features.fits"
    ),
    "and how light is spread over eight rings, for outliers": (
        "galmorph embed labels.csv --image stamps.zip --survey sdss --band RGB --light 8 -o features.fits"
    ),
    "by a checkpoint of one's own, in Parquet": (
        "galmorph embed labels.csv --image stamps.zip --survey sdss --band RGB --checkpoint sdss-gz1 -o out.parquet"
    ),
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_catalog(command)
    shared.add_columns(command)
    shared.add_images(command, required=False)
    shared.add_archive(command)
    group = command.add_argument_group("checkpoint")
    group.add_argument("--checkpoint", metavar="C", help="name or file; default: the one for the survey and band")
    shared.add_views(group)
    group.add_argument(
        "--light", type=int, metavar="N", help="a column beside: how light is spread over N rings, such as 8"
    )
    group.add_argument("--runtime", metavar="R", help="torch, or the .onnx file of the checkpoint (galmorph export)")
    shared.add_precision(group)
    shared.add_device(group, "answer")
    shared.add_detection(command)
    shared.add_prefix(command)
    shared.add_execution(command)


def do(options: Namespace) -> None:
    """Embed, and say how many rows got which flag."""
    chosen = shared.with_positions(arguments(options))
    if print_outlook(options, chosen):
        return
    chosen.setdefault("prefix", "gm_")
    with showing(options) as progress:
        table = galmorph.embed(**chosen, whole="output" not in chosen, progress=progress, command=options.command_line)
    if print_share(options, chosen, table):
        return
    summary = summary_of(table, chosen["prefix"])
    print_result(options, table, chosen.get("output"), summary)
    print_remark(options, *summary_lines(summary, chosen["prefix"]))
