"""ServiceSettings: how much a service takes, and for how long."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from platformdirs import user_data_path

from galmorph.errors import PipelineError

__all__ = ["USUAL_COMPUTING", "Computing", "ServiceSettings"]


class Computing(TypedDict):
    """How networks compute: parameters of whatever asks them."""

    device: str
    precision: str


USUAL_COMPUTING = Computing(device="auto", precision="single")


@dataclass(frozen=True)
class ServiceSettings:
    """What a service offers and what it refuses.

    Parameters
    ----------
    store
        Path or URL of the store.
    checkpoints
        Names or files of the models; by default those of the store, or else all that ship.
    folder
        For files of jobs, and for the store where none is named; by default a folder of the user's.
    is_open
        Whether nobody needs a key; for this machine alone.
    device, precision
        Where networks compute, and in what precision.
    queue
        Requests that may wait; whoever comes then is told to come again (429).
    archive_queue
        Of these, requests for images of an archive, which take longer.
    threads
        That measure; by default a core is left to the network.
    window_s
        How long a galaxy waits for company.
    timeout_s
        How long a request may take.
    request_bytes, upload_bytes
        What a request may have, and one that brings a catalogue.
    memory_bytes
        What all requests that are being read may have together.
    jobs
        Of one key, that are kept.
    keep_days
        After so many a job and its files are removed.
    map
        A page of ``galmorph map`` with galaxies of the store.
    """

    store: str = ""
    checkpoints: tuple[str, ...] = ()
    folder: Path | None = None
    is_open: bool = False
    device: str = USUAL_COMPUTING["device"]
    precision: str = USUAL_COMPUTING["precision"]
    queue: int = 128
    archive_queue: int = 8
    threads: int | None = None
    window_s: float = 0.01
    timeout_s: float = 60.0
    request_bytes: int = 16 << 20
    upload_bytes: int = 256 << 20
    memory_bytes: int = 1 << 30
    jobs: int = 50
    keep_days: float = 7.0
    map: Path | None = None

    def __post_init__(self) -> None:
        for name in ("queue", "archive_queue", "request_bytes", "upload_bytes", "jobs"):
            if getattr(self, name) < 1:
                raise PipelineError(f"{name} = {getattr(self, name)}: expected at least 1; give a larger number")

    @property
    def home(self) -> Path:
        """Where its files are."""
        return self.folder if self.folder is not None else user_data_path("galmorph") / "service"

    @property
    def computing(self) -> Computing:
        """How networks compute, for whatever asks them: single galaxies, jobs and the store."""
        return Computing(device=self.device, precision=self.precision)

    @property
    def measuring(self) -> int:
        """How many threads measure."""
        if self.threads is not None:
            return max(self.threads, 1)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return min(max(cores - 1, 1), 8)
