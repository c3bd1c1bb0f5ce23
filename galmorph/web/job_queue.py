"""JobQueue: carries out the jobs of a service, one after the other, and removes those whose time is over."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import shutil
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from galmorph.errors import GalmorphError

if TYPE_CHECKING:
    from galmorph.store.job_rows import Job, JobRows
    from galmorph.web.served_models import ServedModels

__all__ = ["JobQueue"]

log = logging.getLogger(__name__)

_IDLE_S = 2.0
_REMOVE_EVERY_S = 60.0
_PATIENCE_S = 5.0


class JobQueue:
    """The jobs of a service.

    Parameters
    ----------
    rows
        Of the store.
    models
        What answers.
    folder
        For the files: a folder for each job.
    """

    def __init__(self, rows: JobRows, models: ServedModels, folder: Path) -> None:
        self.rows, self._models, self.folder = rows, models, folder
        self._wake = asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._running = ""

    def home(self, job_id: str) -> Path:
        """Return the folder of a job."""
        return self.folder / job_id

    def wake(self) -> None:
        """Look for jobs now."""
        self._wake.set()

    async def run(self) -> None:
        """Carry out jobs until cancelled; what is carried out then goes on when the service is started again."""
        try:
            await asyncio.to_thread(self.rows.requeue)
            while True:
                await self._carry_out_next()
        finally:
            await self._stop()

    async def abort(self, job_id: str) -> bool:
        """Stop a job; False if it has ended before."""
        is_stopped = await asyncio.to_thread(self.rows.end, job_id, "ABORTED")
        if job_id == self._running:
            await self._stop()
        return is_stopped

    async def remove(self, job_id: str) -> None:
        """Stop a job, and remove it and its files."""
        await self.abort(job_id)
        await asyncio.to_thread(self.rows.remove, job_id)
        await asyncio.to_thread(shutil.rmtree, self.home(job_id), True)

    async def _carry_out_next(self) -> None:
        try:
            for job_id in await asyncio.to_thread(self.rows.expired):
                await self.remove(job_id)
            job = await asyncio.to_thread(self.rows.start_next) if self._models.names else None
            if job is not None:
                await self._carry_out(job)
                return
        except GalmorphError as error:  # the database may be back in a moment
            log.warning("jobs: %s", error)
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(_IDLE_S):
                await self._wake.wait()

    async def _carry_out(self, job: Job) -> None:
        log.info("job %s: begins", job.id)
        self._running = job.id
        self._process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",
            "-m",
            "galmorph.web.job_process",
            cwd=self.home(job.id),
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        with suppress(OSError):  # one that has died already is heard of
            await self._tell(process, json.dumps(self._task(job)))
        error = await self._heard(process, job)
        status = await process.wait()
        self._process, self._running = None, ""
        if status and not error:
            error = f"its process ended (status {status}): there may not be enough memory; send less at once"
        await asyncio.to_thread(self.rows.end, job.id, "ERROR" if error else "COMPLETED", error)
        log.info("job %s: %s", job.id, error or "done")

    async def _tell(self, process: asyncio.subprocess.Process, task: str) -> None:
        if process.stdin is not None:
            process.stdin.write(task.encode())
            await process.stdin.drain()
            process.stdin.close()

    async def _heard(self, process: asyncio.subprocess.Process, job: Job) -> str:
        """Take note of progress until the process ends; return what went wrong."""
        error = ""
        while process.stdout is not None and (line := await process.stdout.readline()):
            said: dict[str, Any] = json.loads(line)
            if "done" in said:
                await asyncio.to_thread(self.rows.set_progress, job.id, said["done"], said["total"])
            error = said.get("error", error)
        return error

    def _task(self, job: Job) -> dict[str, Any]:
        """Say what the process is to do."""
        task = job.parameters["task"]
        options = {**task["options"], **self._models.computing}
        return {"id": job.id, **task, "options": options, **self._models.origin(task["model"])}

    async def _stop(self) -> None:
        """End the process, if there is one."""
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_PATIENCE_S):
                await process.wait()
        except TimeoutError:
            process.kill()
