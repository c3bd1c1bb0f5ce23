"""Command cite: whom to cite, as BibTeX."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import asdict

import galmorph
from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "galmorph alone": "galmorph cite",
    "with a checkpoint's network, labels and data": "galmorph cite candels-h",
    "for what made a table": "galmorph cite --result out.fits",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument("checkpoints", nargs="*", metavar="CHECKPOINT", help=shared.CHECKPOINT)
    command.add_argument("--result", metavar="TABLE", help="of galmorph classify, whose header names its checkpoint")


def do(options: Namespace) -> None:
    """Print an entry of BibTeX for each."""
    citations = galmorph.cite(**arguments(options))
    document = {"citations": [asdict(citation) | {"bibtex": citation.bibtex} for citation in citations]}
    print_answer(options, "\n\n".join(citation.bibtex for citation in citations), document)
