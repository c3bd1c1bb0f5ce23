"""Command overlay: a result for other programs of the sky."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer, print_remark

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "radii and classes as regions of DS9": "galmorph overlay out.fits --regions out.reg",
    "a coverage map, and links to pictures": "galmorph overlay out.fits --moc moc.fits --links links.vot",
    "into TOPCAT or Aladin, which run beside": "galmorph overlay out.fits --samp",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("result", metavar="RESULT", help="of 'galmorph classify' or 'galmorph measure'")
    command.add_argument("--regions", metavar="OUT.reg", help="Petrosian radii and classes as regions of DS9")
    command.add_argument("--moc", metavar="OUT.fits", help="where rows were classified, as a coverage map (MOC)")
    command.add_argument("--links", metavar="OUT", help="the result with a column of links to pictures: .fits .vot …")
    command.add_argument("--samp", action="store_true", help="send the result to TOPCAT or Aladin, which runs beside")
    command.add_argument("--survey", metavar="S", help="whose pictures are linked (default: that of the result)")
    command.add_argument("--prefix", metavar="P", help="of the result's columns (default: gm_)")
    shared.add_overwrite(command, "file")
    shared.add_positions(command)


def do(options: Namespace) -> None:
    """Write, send, and print the names of the files and receivers."""
    overlays = galmorph.overlay(**arguments(options))
    document = {"files": overlays.files, "receivers": overlays.receivers}
    print_answer(options, "\n".join(map(str, overlays.files)), document)
    print_remark(options, *(f"{path}: {what}" for path, what in overlays.files.items()))
    if overlays.receivers:
        print_remark(options, f"sent to {', '.join(overlays.receivers)}")
