"""JobProcess: carries out one job, in a process of its own.

Run as ``python -m galmorph.web.job_process`` in the folder of the job; what is to be done comes as JSON at standard
input, and how far it is goes to standard output, a line each: ``{"done": 512, "total": 4000}``, at the end
``{"error": "..."}`` or ``{"ended": true}``.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import galmorph
from galmorph.errors import GalmorphError

__all__ = ["main"]

_NICE = 5  # single galaxies, for which somebody waits, come first
_EVERY_S = 0.5


def main() -> None:
    """Carry out the job; exit with status 1 if it cannot be done."""
    with suppress(OSError):
        os.nice(_NICE)
    try:
        _classify(json.loads(sys.stdin.read()))
    except (GalmorphError, OSError, MemoryError) as error:
        _say({"error": " ".join(str(error).split()) or type(error).__name__})
        sys.exit(1)
    _say({"ended": True})


def _classify(job: Mapping[str, Any]) -> None:
    """Classify a catalogue as the command would."""
    output = Path(job["output"])
    if output.exists():
        return  # what was stopped had been done already
    checkpoint = job["checkpoint"]
    if job.get("store"):
        with galmorph.open_store(job["store"]) as store:
            checkpoint = store.load_model(checkpoint)
    galmorph.classify(
        job["catalog"],
        job["images"],
        **job["options"],
        checkpoint=checkpoint,
        output=output,
        progress=_ProgressLines(),
        command=f"galmorph serve: job {job['id']}",
    )
    if output.is_dir():
        shutil.make_archive(str(output), "zip", output.parent, output.name)


class _ProgressLines:
    """Says how far the job is, not too often."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, stage: str, done: int, total: int, remark: str = "") -> None:  # noqa: ARG002
        if time.monotonic() - self._last > _EVERY_S or done == total:
            self._last = time.monotonic()
            _say({"done": done, "total": total})


def _say(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
