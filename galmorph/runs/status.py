"""Status: how far a run is whose parts lie beside its output."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from galmorph.errors import OutputError
from galmorph.text_file import read_json, read_text

__all__ = ["HEADER", "SUFFIX", "Status", "folder_of", "read_header", "read_status"]

HEADER = "run.json"
"""File that says of which run the parts in a folder are, and how many rows each has."""
SUFFIX = ".npz"
"""Of the files of parts, which are called by their numbers."""
# Speed is that of the last minutes: a run that was stopped overnight is not slow.
_RECENT_S = 300.0


def folder_of(output: str | Path) -> Path:
    """Return the folder in which the parts of a result lie while it is being made: ``OUTPUT.parts``."""
    return Path(output).with_name(f"{Path(output).name}.parts")


@dataclass(frozen=True)
class Status:
    """How far a run is.

    Parameters
    ----------
    rows, of_rows, parts, of_parts
        How many are done, and of how many.
    rows_per_s
        Of the last minutes; NaN where none were done.
    """

    rows: int
    of_rows: int
    parts: int
    of_parts: int
    rows_per_s: float

    def __str__(self) -> str:
        text = f"{self.rows} of {self.of_rows} rows in {self.parts} of {self.of_parts} parts"
        if not self.rows_per_s > 0:
            return text
        minutes = (self.of_rows - self.rows) / self.rows_per_s / 60.0
        return f"{text}, {self.rows_per_s:.3g} rows a second, {minutes:.3g} minutes left"


def read_status(output: str | Path) -> Status:
    """Say how far the run that makes an output is.

    Raises
    ------
    OutputError
        If there is no such run: none was begun, or it is done.
    """
    folder = folder_of(output)
    if not (folder / HEADER).exists():
        why = "it is done" if Path(output).exists() else "none was begun, or it has but one part"
        raise OutputError(f"Output '{output}' has no run with parts in '{folder}' ({why}): expected one under way")
    header = read_header(folder)
    sizes, now = header["rows"], time.time()
    done = {int(path.stem): path.stat().st_mtime for path in folder.glob(f"[0-9]*{SUFFIX}")}
    since = max(header["begun"], now - _RECENT_S)
    recent = sum(sizes[number] for number, when in done.items() if when >= since)
    rows = sum(sizes[number] for number in done)
    return Status(rows, sum(sizes), len(done), len(sizes), recent / max(now - since, 1e-3) if recent else float("nan"))


def read_header(folder: Path) -> dict[str, Any]:
    """Return what a folder of parts says of its run.

    Raises
    ------
    OutputError
        If it says nothing that can be read.
    """
    try:
        header = read_json(read_text(folder / HEADER))
    except (OSError, ValueError) as error:
        raise OutputError(
            f"folder '{folder}' has no readable {HEADER} ({error}): expected the parts of a run; remove the folder"
        ) from error
    if not (isinstance(header, dict) and isinstance(header.get("run"), dict) and isinstance(header.get("rows"), list)):
        raise OutputError(f"folder '{folder}': {HEADER} says of no run: remove the folder")
    return header
