"""Command serve: a service that classifies galaxies over HTTP, with its page."""

from __future__ import annotations

import importlib
from argparse import Namespace

from galmorph.cli import options as shared
from galmorph.cli.parser import Parser, arguments
from galmorph.errors import PipelineError

__all__ = ["EXAMPLES", "add_options", "do"]

EXAMPLES = {
    "for this machine alone, at http://127.0.0.1:8000": "galmorph serve --open",
    "with a map, from which galaxies are chosen for labelling": (
        "galmorph serve --store kept.sqlite --map field.html --open"
    ),
    "one model, at another port": "galmorph serve --checkpoint sdss-rgb --port 8080 --open",
}


def add_options(command: Parser) -> None:
    """Add what the command takes."""
    command.add_argument(
        "--store", metavar="STORE", help="file of SQLite, or postgresql+psycopg://... (default: a file in the folder)"
    )
    command.add_argument(
        "--checkpoint",
        nargs="+",
        metavar="C",
        help=f"models that answer, {shared.CHECKPOINT} (default: those of the store, or all that ship)",
    )
    command.add_argument("--host", help="address to listen at (default: 127.0.0.1, this machine alone)")
    command.add_argument("--port", type=int, metavar="N", help="port to listen at (default: 8000; 0: any that is free)")
    command.add_argument("--open", action="store_true", help="without keys, for this machine alone")
    command.add_argument("--folder", metavar="DIR", help="for what the service keeps (default: in the user's data)")
    shared.add_device(command, "compute")
    shared.add_precision(command)
    command.add_argument(
        "--queue", type=int, metavar="N", help="galaxies that may wait; whoever comes then gets 429 (default: 128)"
    )
    command.add_argument("--map", metavar="MAP.html", help="page of 'galmorph map' with galaxies of the store")
    command.add_argument("--threads", type=int, metavar="N", help="that measure (default: one for each core but one)")


def do(options: Namespace) -> None:
    """Serve until a signal comes."""
    try:
        server = importlib.import_module("galmorph.web.server")
    except ModuleNotFoundError as error:
        raise PipelineError(f"serving needs the library {error.name}: pip install 'galmorph[web]'") from error
    server.serve(**arguments(options))
