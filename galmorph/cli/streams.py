"""Streams: tables from standard input and to standard output, for pipes.

What comes by a pipe can be read but once, and what is written has to be read back: both lie in a folder of their own
while the command runs. Standard output then has the table and nothing else.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from galmorph.cli.parser import nearest
from galmorph.errors import CatalogError, OutputError

__all__ = ["TABLES", "streamed"]

TABLES = ("classify", "measure", "match", "compare", "pull", "labels", "embed", "similar", "outliers", "map", "count")
"""Commands and actions whose output is a table."""
_FILTERS = ("classify", "measure")
"""Of standard input they make standard output, where no output is named."""
_INPUTS = ("catalog", "table", "labels", "other", "others", "result", "reference")
_TEXT = {".csv": ".csv", ".ecsv": ".ecsv", ".vot": ".vot", ".votable": ".vot", ".xml": ".vot"}
_HEADS = ((b"# %ECSV", ".ecsv"), (b"<?xml", ".vot"), (b"<VOTABLE", ".vot"), (b"SIMPLE  =", ".fits"))


@contextmanager
def streamed(options: Namespace, command: str) -> Iterator[None]:
    """Let a command read and write files in place of ``-``.

    Parameters
    ----------
    options
        What was given; ``-`` in it becomes the name of a file.
    command
        Name of the command, or of its action.

    Raises
    ------
    CatalogError
        If two tables should come from standard input.
    OutputError
        If what the command writes cannot go to standard output.
    """
    inputs = [name for name in _INPUTS if "-" in _words(options, name)]
    if inputs and command in _FILTERS and not hasattr(options, "output"):
        options.output = "-"
    output = str(getattr(options, "output", ""))
    if not inputs and not output.startswith("-"):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="galmorph-") as folder:
        came = [_spooled(options, name, Path(folder)) for name in inputs]
        target = _redirected(options, command, output, Path(folder), came) if output.startswith("-") else None
        try:
            yield
        finally:  # also after --strict, which complains of a result that is there
            if target is not None and target.exists():
                _copied(target)


def _words(options: Namespace, name: str) -> list[str]:
    value = getattr(options, name, None)
    return [str(each) for each in value] if isinstance(value, list) else [str(value)]


def _spooled(options: Namespace, name: str, folder: Path) -> Path:
    """Write what comes by standard input into a file, and name that in place of ``-``."""
    words = _words(options, name)
    if words.count("-") > 1 or any(folder.iterdir()):
        raise CatalogError("'-' stands for two tables: standard input is one; name a file for the other")
    head = sys.stdin.buffer.read(64)
    ending = next((e for start, e in _HEADS if head.lstrip().startswith(start)), ".csv")
    path = folder / f"standard-input{ending}"
    with open(path, "wb") as stream:
        stream.write(head)
        shutil.copyfileobj(sys.stdin.buffer, stream)
    several = [str(path) if word == "-" else word for word in words]
    setattr(options, name, several if isinstance(getattr(options, name), list) else several[0])
    return path


def _redirected(options: Namespace, command: str, output: str, folder: Path, came: list[Path]) -> Path:
    """Name a file in place of standard output, in the format that is asked for, else in that of the input."""
    if command not in TABLES:
        raise OutputError(f"Output '{output}': '{command}' does not write a table: name a file or folder")
    if getattr(options, "json", False):
        raise OutputError(f"Output '{output}': the document of --json goes to standard output: name a file, or drop it")
    if hasattr(options, "shard"):
        raise OutputError(f"Output '{output}': shares lie beside their output: name a file")
    named = next((name for name in _INPUTS if hasattr(options, name)), "catalog")
    first = came[0] if came else Path(_words(options, named)[0])
    ending = output[1:] or _TEXT.get(first.suffix.lower(), ".ecsv")
    if ending not in _TEXT:
        hint = nearest(ending, _TEXT)
        raise OutputError(f"Output '{output}': expected -, -.csv, -.ecsv or -.vot{hint}; name a file for other formats")
    target = folder / f"standard-output{ending}"
    options.output, options.streams = str(target), True
    return target


def _copied(target: Path) -> None:
    """Write a file to standard output."""
    sys.stdout.flush()
    with open(target, "rb") as stream:
        shutil.copyfileobj(stream, sys.stdout.buffer)
    sys.stdout.buffer.flush()
