"""Command line: parses, calls one public function, prints. One module a command, loaded when its command runs.

Exit status: 0 done, 1 failed (one line on stderr says why), 2 wrong usage, 3 ``--strict`` and rows without
probabilities. Standard output is for data, standard error for progress and messages.
"""

from __future__ import annotations

import argparse
import importlib
import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from galmorph import __version__
from galmorph.cli.config import apply_config
from galmorph.cli.options import EARLY, add_general
from galmorph.cli.parser import Parser, nearest, refuse_unknown
from galmorph.cli.printing import messages, print_remark
from galmorph.cli.streams import streamed
from galmorph.errors import ConfigError, GalmorphError, UnclassifiedError
from galmorph.limits import allow

__all__ = ["ASIDE", "COMMANDS", "GROUPS", "add_command", "examples_of", "main", "parse"]

# Each command is the name of a module of this folder, too, whose EXAMPLES its help ends with.
GROUPS = {
    "look at galaxies": {
        "classify": "add classes, probabilities and Petrosian radii to a catalogue",
        "measure": "the same without the network: centroids, radii, flags",
        "embed": "add the features in which a network sees galaxies",
        "fetch": "bring what a run will need of archives, to work offline",
    },
    "work with results": {
        "similar": "find the rows that look most like some galaxies",
        "outliers": "find the rows that look least like all others",
        "match": "join catalogues by position",
        "compare": "say how classes agree with those of another catalogue",
        "count": "class fractions in bins, corrected, with errors, and a drawing",
        "map": "lay galaxies out by likeness, on a page with a lasso",
        "overlay": "show a result in DS9, Aladin or TOPCAT",
        "store": "keep images, predictions and labels in SQL, and score there",
        "serve": "classify over HTTP what is uploaded, and show a page",
    },
    "teach networks": {
        "run": "run pipelines: train and score side by side, or classify",
        "train": "train a network from a table of labels and images",
        "tune": "search a pipeline's ranges at random, and join the best",
        "evaluate": "score a checkpoint on labelled images; prints JSON",
        "inspect": "look into a checkpoint: a page of what it sees and how it errs",
        "calibrate": "fit a checkpoint's calibration, sets and envelope anew",
        "ensemble": "make one checkpoint of several, whose networks answer together",
        "export": "write a checkpoint as an ONNX file for other programs",
        "simulate": "render a field with known truth",
    },
    "find out what there is": {
        "list": "list surveys, schemes, networks, checkpoints, pipelines",
        "cite": "print BibTeX for galmorph and a checkpoint's papers",
        "flags": "say what the flags of rows mean, and what to do about them",
        "show": "show a survey, scheme, network, checkpoint or pipeline",
        "cache": "list or clear what was fetched, or say where it is",
    },
}
COMMANDS = {name: about for group in GROUPS.values() for name, about in group.items()}
ASIDE = {
    "help": "explain a command: galmorph help classify",
    "completion": "print what lets bash, zsh or fish complete commands and options",
}
_EXAMPLES = {
    "what ships, and what a survey's bands are": "galmorph list",
    "classes and radii for the rows of a table, from images of one's own": (
        "galmorph classify catalog.fits --image image.fits.gz --survey candels --band H -o out.fits"
    ),
    "the options of a command, with examples": "galmorph help classify",
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
        with messages(options), _stopped_by_signals(signals):
            return _status(options, signals)
    except KeyboardInterrupt:
        sys.stderr.write("galmorph: stopped\n")
        return 128 + (signals[0] if signals else signal.SIGINT)


def _status(options: argparse.Namespace, signals: list[int]) -> int:
    """Run a command; return its exit status after saying what went wrong."""
    try:
        allow(options.limit)
        _say_config(options)
        with streamed(options, getattr(options, "action", options.command)):
            options.do(options)
        sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return 128 + signal.SIGPIPE
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
    words = _normal(arguments)
    command = parser = _root()
    name = words[0]
    if name.startswith("-"):
        _refuse_early(parser, words)
    elif name not in COMMANDS and name not in ASIDE:
        _refuse_command(parser, name)
    else:
        commands = parser.add_subparsers(prog="galmorph", metavar="COMMAND", required=True)
        command = add_command(commands, name)
        command.refuse_unknown(words)
    says = _configured(command, name, words)
    options, rest = parser.parse_known_args(words)
    command.refuse_rest(rest)
    options.command, options.config_says = name, says
    # Behind a '#' it is still a command line, which the provenance names.
    options.command_line = shlex.join(["galmorph", *arguments]) + (f"  # {says}" if says else "")
    return options


def _configured(command: Parser, name: str, words: Sequence[str]) -> str:
    """Make the settings of ``galmorph.toml`` the defaults of a command; return which file set what."""

    def parser_of(other: str) -> Parser:
        return add_command(Parser(prog="galmorph").add_subparsers(prog="galmorph"), other)

    try:
        return apply_config(command, name, words, parser_of, [*COMMANDS]) if name in COMMANDS else ""
    except ConfigError as error:
        command.exit(2, f"galmorph: {error}\n")


def _say_config(options: argparse.Namespace) -> None:
    if options.config_says:
        print_remark(options, f"galmorph: {options.config_says}; --config none leaves that out")


def _normal(arguments: Sequence[str]) -> list[str]:
    """Put the command first: ``galmorph -q CMD`` is ``galmorph CMD -q``, ``galmorph help CMD`` ``galmorph CMD --help``.

    Examples
    --------
    >>> _normal(["-q", "list", "surveys"]), _normal(["help", "list"]), _normal([])
    (['list', '-q', 'surveys'], ['list', '--help'], ['--help'])
    """
    words, early = [*arguments], []  # not by list(), which is a module here
    while words and (words[0] in EARLY or words[0] == "help"):
        taken = 1 + (words[0] == "--config")
        early += words[:taken]
        words = words[taken:]
    asked = ["--help"] if not words or {"help", "-h", "--help"} & {*early} else []
    first = [*words, *asked]
    return [first[0], *(word for word in early if word not in ("help", "-h", "--help")), *first[1:]]


def _root() -> Parser:
    """Make the parser of what stands before the command."""
    about = "Turn a survey catalogue into a catalogue with morphologies."
    groups = [_listed(title, commands) for title, commands in (GROUPS | {"help": ASIDE}).items()]
    parser = Parser(prog="galmorph", description="\n\n".join([about, *groups]))
    parser.usage, parser.examples = "galmorph COMMAND [options]", _EXAMPLES
    group = parser.add_argument_group("general")
    group.add_argument("-h", "--help", action="help", help="show this, or with a command what it takes")
    group.add_argument("-V", "--version", action="version", version=f"galmorph {__version__}", help="say which one")
    return parser


def _listed(title: str, commands: Mapping[str, str]) -> str:
    return "\n".join([f"{title}:", *(f"  {name:10s} {about}" for name, about in commands.items())])


def add_command(commands: argparse._SubParsersAction[Parser], name: str) -> Parser:
    """Add the parser of a command: what its module says it takes, what all take, and its examples."""
    module, about = importlib.import_module(f"galmorph.cli.{name}"), {**COMMANDS, **ASIDE}[name]
    command = commands.add_parser(name, description=f"{about[0].upper()}{about[1:]}.")
    module.add_options(command)
    for parser in (command, *command.actions().values()):
        start = f"{parser.prog} " if parser is not command else ""
        parser.examples = {a: line for a, line in module.EXAMPLES.items() if line.startswith(start)}
        add_general(parser)
    command.set_defaults(do=module.do)
    return command


def examples_of(name: str) -> dict[str, str]:
    """Return the examples of a command, by what they are for."""
    return dict(importlib.import_module(f"galmorph.cli.{name}").EXAMPLES)


def _refuse_command(parser: Parser, name: str) -> NoReturn:
    """End because the first word is no command."""
    if "." in name or "/" in name:
        parser.error(f"'{name}' stands where the command should: put one before it, such as 'galmorph classify {name}'")
    refuse_unknown(parser, "command", name, [*COMMANDS, *ASIDE], _FORMER)


def _refuse_early(parser: Parser, words: Sequence[str]) -> None:
    """End if an option of a command stands before it."""
    names = ["--help", "--version", *EARLY]
    if words[0] not in [*names, "-h", "-V"]:
        hint = nearest(words[0], names) or ": options follow their command, as in 'galmorph classify --band H'"
        parser.error(f"'{words[0]}' is no option of galmorph itself{hint}")


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
