"""Command measure: a catalogue's rows with centroids, radii and flags."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_outlook, print_remark, print_report, print_result, print_share, showing
from galmorph.cli.summary import next_line, summary_lines, summary_of

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "radii, centroids and shapes": (
        "galmorph measure catalog.fits --image image.fits.gz --survey candels --band H -o shapes.fits"
    ),
    "with weights and a map of the objects": (
        "galmorph measure catalog.fits --image sci.fits --weight wht.fits --segmentation seg.fits --survey "
        "nircam --band F115W -o shapes.fits "
    ),
    "two positions, printed": "galmorph measure --at '53.1 -27.8' --at '03:32:38 -27:48:00' --band H",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    shared.add_catalog(command)
    shared.add_columns(command)
    shared.add_images(command, required=False)
    shared.add_archive(command)
    measuring = shared.add_detection(command)
    measuring.add_argument(
        "--backend",
        choices=("galmorph", "sep", "photutils"),
        help="what measures (default: galmorph); sep and photutils give those libraries' textbook values",
    )
    shared.add_report(shared.add_prefix(command))
    shared.add_execution(command)


def do(options: Namespace) -> None:
    """Measure, and say how many rows got which flag."""
    chosen = shared.with_positions(arguments(options))
    if print_outlook(options, chosen):
        return
    chosen.setdefault("prefix", "gm_")
    with showing(options) as progress:
        table = galmorph.measure(
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
