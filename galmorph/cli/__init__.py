"""Command line: parses, calls one public function, prints. One module a command, loaded when its command runs.

Exit status: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 3 ``--strict`` and rows without
probabilities. Standard output is for data, standard error for progress and messages.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

from galmorph import __version__
from galmorph.cli.parser import Parser, refuse_unknown
from galmorph.errors import GalmorphError, UnclassifiedError
from galmorph.limits import allow

__all__ = ["COMMANDS", "main", "parse"]

# Each is the name of a module of this folder, too.
COMMANDS = {
    "classify": "add classes, probabilities, centroids and Petrosian radii to a catalogue",
    "measure": "the same without the network: centroids, radii, flags",
    "train": "train a network from a table of labels and images",
    "run": "run pipelines: train and score them, side by side, or classify",
    "tune": "search a pipeline's ranges at random, and join the best",
    "evaluate": "score a checkpoint on labelled images; prints JSON",
    "inspect": "look into a checkpoint: one HTML page of what it sees and how it errs",
    "calibrate": "fit a checkpoint's calibration, sets and envelope anew",
    "ensemble": "make one checkpoint of several, whose networks answer together",
    "export": "write a checkpoint as an ONNX file for other programs",
    "simulate": "render a field with known truth",
    "match": "join catalogues by position",
    "compare": "say how classes agree with those of another catalogue",
    "fetch": "bring what a run will need of archives, for machines without a network",
    "store": "keep models, images, predictions and labels in SQL, and score beside it",
    "overlay": "show a result in DS9, Aladin or TOPCAT: regions, coverage, links, SAMP",
    "serve": "serve over HTTP: classify galaxies that are uploaded, and show the page",
    "cache": "what was fetched from archives: list it, clear it, or say where it is",
    "flags": "say what the flags of rows mean, and what to do about them",
    "list": "list what ships: surveys, schemes, networks, checkpoints, pipelines",
    "show": "show a survey, scheme, network, checkpoint or pipeline",
}
_FORMER = {"join": "ensemble"}
_LIMITS = {
    MemoryError: "there is not enough memory: expected room for the input; use less of it",
    RecursionError: "the input is nested too deep: expected a few levels; use a plainer file",
}


def main(arguments: Sequence[str]) -> int:
    """Run one command and return its exit status.

    Raises
    ------
    SystemExit
        With 2 for wrong usage, with 0 for ``--help`` and ``--version``.
    """
    _replace_closed_streams()
    signals: list[int] = []
    try:
        options = parse(arguments)
        with _messages(), _stopped_by_signals(signals):
            return _status(options, signals)
    except KeyboardInterrupt:
        sys.stderr.write("galmorph: stopped\n")
        return 128 + (signals[0] if signals else signal.SIGINT)


def _status(options: argparse.Namespace, signals: list[int]) -> int:
    """Run a command; return its exit status after saying what went wrong."""
    try:
        allow(options.limit)
        options.do(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
    except UnclassifiedError as error:
        return _complain(options, error, 3)
    except (GalmorphError, OSError, MemoryError, RecursionError) as error:
        if signals:  # a library has made an error of its own of it
            raise KeyboardInterrupt from error
        return _complain(options, error, 1)
    return 0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Understand a command line; ``do`` of the result runs it.

    An option that is not given is no attribute of the result: its default stands in :mod:`galmorph.api` alone.
    """
    parser = Parser(prog="galmorph", description="Turn a survey catalogue into a catalogue with morphologies.")
    parser.add_argument("--version", action="version", version=f"galmorph {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    chosen = next((word for word in arguments if not word.startswith("-")), "")
    for name, about in COMMANDS.items():
        command = commands.add_parser(name, help=about, description=f"{about[0].upper()}{about[1:]}.")
        if name == chosen:
            _complete(command, name)
            command.refuse_unknown(arguments)
    if chosen and chosen not in COMMANDS:
        refuse_unknown(parser, "command", chosen, COMMANDS, _FORMER)
    options = parser.parse_args(arguments)
    options.command_line = shlex.join(["galmorph", *arguments])
    return options


def _complete(command: Parser, name: str) -> None:
    """Give a command's parser its options: those in its module, and those that all have."""
    module = importlib.import_module(f"galmorph.cli.{name}")
    module.add_options(command)
    command.add_argument("--debug", action="store_true", default=False, help="show the traceback of an error")
    command.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=NUMBER",
        help="allow an input to have more than it usually may; messages name what",
    )
    command.set_defaults(do=module.do)


@contextmanager
def _messages() -> Iterator[None]:
    """Show what the library logs, one line each on standard error, while a command runs."""
    log = logging.getLogger("galmorph")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("galmorph: %(message)s"))
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


@contextmanager
def _stopped_by_signals(signals: list[int]) -> Iterator[None]:
    """Let SIGTERM and SIGHUP clean up as Ctrl-C does, and note which signals came.

    Only the main thread may, and what was ignored (nohup) stays so.
    """

    def stop(number: int, _frame: FrameType | None) -> None:
        signals.append(number)
        raise KeyboardInterrupt

    former = {}
    if threading.current_thread() is threading.main_thread():
        numbers = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]
        usual = (signal.SIG_DFL, signal.default_int_handler)
        former = {n: signal.signal(n, stop) for n in numbers if signal.getsignal(n) in usual}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _replace_closed_streams() -> None:
    """Let messages go nowhere where a standard stream is closed (``>&-``)."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - until the process ends


def _complain(options: argparse.Namespace, error: Exception, status: int) -> int:
    if options.debug:
        raise error
    message = next((words for kind, words in _LIMITS.items() if isinstance(error, kind)), str(error))
    sys.stderr.write(f"galmorph: {' '.join(message.split())}\n")
    return status


def _silence_stdout() -> None:
    """Keep Python from complaining at its end that nobody reads what is left (``galmorph list ... | head``)."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
