"""Retraining: learning from a store's labels by ``galmorph run``, as jobs of their own, one at a time."""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import galmorph
from galmorph.errors import GalmorphError, PipelineError
from galmorph.web.service_settings import USUAL_COMPUTING, Computing

__all__ = ["RetrainJob", "Retraining", "label_pipelines"]

_LAST_WORDS, _NICE = 400, 10
_OF_LABELS = "-labels"


@functools.cache
def label_pipelines() -> dict[str, str]:
    """Return the pipelines that ship and train on a scheme's own labels, with the scheme; those for stores first."""
    pipelines = [(name, galmorph.load_pipeline(name)) for name in galmorph.names("pipelines")]
    suited = [(name, p.scheme) for name, p in pipelines if p.kind == "train" and not (p.fractions or p.inputs.labels)]
    return dict(sorted(suited, key=lambda pair: not pair[0].endswith(_OF_LABELS)))


@dataclass(frozen=True)
class RetrainJob:
    """A training from labels.

    Parameters
    ----------
    id, title
        What it is called, and the pipeline and number of galaxies.
    phase
        As of UWS: EXECUTING, COMPLETED, ERROR or ABORTED.
    started
        When.
    said
        What came of it, or the last it said.
    done, total
        Epochs.
    """

    id: str
    title: str
    phase: str = "EXECUTING"
    started: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"))
    said: str = ""
    done: int = 0
    total: int = 0


class Retraining:
    """The trainings of a service.

    Parameters
    ----------
    store
        Of labels and pictures, into which the models go.
    folder
        Receives a folder for each.
    computing
        As of :attr:`galmorph.web.service_settings.ServiceSettings.computing`; for the predictions of a trained model.
    """

    def __init__(self, store: Any, folder: Path, computing: Computing = USUAL_COMPUTING) -> None:
        self._store, self._folder, self._computing = store, folder, computing
        self._jobs: dict[str, RetrainJob] = {}
        self._lock = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    @property
    def jobs(self) -> list[RetrainJob]:
        """All of them, the newest first."""
        with self._lock:
            jobs = list(reversed(self._jobs.values()))
        return [self._with_epochs(job) if job.phase == "EXECUTING" else job for job in jobs]

    @property
    def is_running(self) -> bool:
        """Whether one is at work."""
        with self._lock:
            return any(job.phase == "EXECUTING" for job in self._jobs.values())

    def start(self, pipeline: str) -> RetrainJob:
        """Start a training; it goes on by itself.

        Raises
        ------
        PipelineError
            If there is no such pipeline, there are no labels for it, or another one is at work.
        """
        if pipeline not in label_pipelines():
            raise PipelineError(
                f"pipeline '{pipeline[:80]}': expected one that trains and ships; choose it from the list"
            )
        chosen: Any = galmorph.load_pipeline(pipeline)
        labels = self._store.labels(chosen.scheme)
        if len(labels) == 0:
            raise PipelineError(f"there are no labels of scheme '{chosen.scheme}': label some galaxies first")
        epochs = chosen.train.epochs * chosen.train.members
        job = RetrainJob(uuid4().hex[:12], f"{chosen.name}, {len(labels)} galaxies", total=epochs)
        with self._lock:
            if any(other.phase == "EXECUTING" for other in self._jobs.values()):
                raise PipelineError("another training is at work: wait for it, then start this one")
            self._jobs[job.id] = job
        threading.Thread(target=self._carry_out, args=(job, pipeline, chosen.name, labels), daemon=True).start()
        return job

    def close(self) -> None:
        """Stop the training that is at work."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def _carry_out(self, job: RetrainJob, pipeline: str, name: str, labels: Any) -> None:
        with self._noted(job):
            folder = self._folder / job.id
            folder.mkdir(parents=True)
            labels.write(folder / "labels.ecsv", format="ascii.ecsv")
            self._store.save_pictures(folder / "pictures")
            said = self._run(folder, pipeline)
            model = self._store.push_model(folder / "runs" / name / f"{name}.safetensors")
            asked = f"{model.name}@{model.sha256}"
            count = self._store.score(asked, again=False, **self._computing)
            self._note(replace(job, phase="COMPLETED", said=f"model {model}; {count} galaxies scored. {said}"))

    def _run(self, folder: Path, pipeline: str) -> str:
        """Train in a process of its own, which gives way to the service."""
        words = ["-m", "galmorph", "run", pipeline, "--input", f"labels={folder / 'labels.ecsv'}"]
        words += ["--input", f"images={folder / 'pictures'}", "-o", str(folder / "runs"), "--threads", "1"]
        with open(folder / "log.txt", "w+", encoding="utf-8") as log:
            # The arguments are ours: a name that ships, and folders that were made here.
            self._process = subprocess.Popen(  # noqa: S603
                [sys.executable, *words], stdout=log, stderr=subprocess.STDOUT, text=True
            )
            with contextlib.suppress(ProcessLookupError):  # it ended at once
                os.setpriority(os.PRIO_PROCESS, self._process.pid, _NICE)
            code = self._process.wait()
            log.seek(0)
            said = log.read().strip().replace("\r", "\n").rpartition("\n")[2][-_LAST_WORDS:]
        if code:
            raise PipelineError(said or f"the training ended with {code}")
        return ""

    @contextlib.contextmanager
    def _noted(self, job: RetrainJob) -> Iterator[None]:
        """Note what a job stopped at."""
        try:
            yield
        except (GalmorphError, OSError) as error:
            self._note(replace(job, phase="ERROR", said=str(error)))

    def _note(self, job: RetrainJob) -> None:
        with self._lock:
            self._jobs[job.id] = job

    def _with_epochs(self, job: RetrainJob) -> RetrainJob:
        """Count the epochs that were written down so far."""
        logs = sorted((self._folder / job.id / "runs").glob("*/log*.csv"))
        done = sum(max(log.read_text(encoding="utf-8").count("\n") - 1, 0) for log in logs)
        return replace(job, done=min(done, job.total))
