"""Command list: what ships."""

from __future__ import annotations

from argparse import Namespace

import galmorph
from galmorph.cli.parser import Parser, arguments
from galmorph.cli.printing import print_answer

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "all that ships": "galmorph list",
    "one kind": "galmorph list checkpoints",
    "for scripts": "galmorph list surveys --json",
}


KINDS = ("surveys", "schemes", "networks", "checkpoints", "pipelines")


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument(
        "kind", nargs="?", choices=KINDS, metavar="KIND", help=f"{', '.join(KINDS)}; without one, all of them"
    )


def do(options: Namespace) -> None:
    """Print a line for each name; of several kinds, each under its own."""
    chosen = arguments(options)
    kinds = [chosen["kind"]] if "kind" in chosen else KINDS
    things = {kind: dict(galmorph.names(kind)) for kind in kinds}
    texts = ["\n".join(f"{name:16s} {title}" for name, title in of_kind.items()) for of_kind in things.values()]
    if len(kinds) > 1:
        texts = [f"{kind}:\n{text}\n" for kind, text in zip(kinds, texts, strict=True)]
    print_answer(options, "\n".join(texts), things)
