"""JobRows: catalogues that a service carries out one after the other, in the phases of UWS."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from galmorph.store.database import Database
from galmorph.store.schema import JOBS, now

__all__ = ["FINAL", "PHASES", "Job", "JobRows"]

PHASES = ("PENDING", "QUEUED", "EXECUTING", "COMPLETED", "ERROR", "ABORTED")
"""Of a job; Harrison & Rixon 2016, Universal Worker Service 1.1, section 2.1.3."""
FINAL = ("COMPLETED", "ERROR", "ABORTED")
"""Phases that a job does not leave."""


@dataclass(frozen=True)
class Job:
    """A catalogue that is to be classified.

    Parameters
    ----------
    id
        By which it is asked for; nobody guesses it.
    owner
        Name of the key that it came with.
    phase
        One of :data:`PHASES`.
    parameters
        What is to be done.
    created, started, ended, destruction
        When, in ISO 8601; '' for not yet. After the last one the job and its files are removed.
    done, total
        Rows.
    error
        Why it stopped.
    """

    id: str
    owner: str
    phase: str
    parameters: Mapping[str, Any]
    created: str
    started: str
    ended: str
    destruction: str
    done: int
    total: int
    error: str


class JobRows:
    """The table of jobs, as one service sees it.

    Parameters
    ----------
    database
        Where it is.
    service
        Which service's: the files of jobs lie with it, so that it alone carries them out.
    """

    def __init__(self, database: Database, service: str) -> None:
        self._database, self._service = database, service

    def add(self, owner: str, parameters: Mapping[str, Any], *, days: float) -> Job:
        """Make a job that waits to be started, and is removed after so many days."""
        name = secrets.token_hex(16)
        row = {
            "id": name,
            "kind": self._service,
            "phase": "PENDING",
            "owner": owner,
            "parameters": json.dumps(dict(parameters), sort_keys=True),
            "created": now(),
            "destruction": later(days),
        }
        with self._database.writing() as connection:
            connection.execute(sa.insert(JOBS), row)
            (job,) = connection.execute(self._of(JOBS.c.id == name)).all()
        return _job(job)

    def get(self, id: str, owner: str | None = None) -> Job | None:
        """Return a job; None if there is none, or it is another's."""
        is_owned = sa.true() if owner is None else JOBS.c.owner == owner
        with self._database.reading() as connection:
            row = connection.execute(self._of(JOBS.c.id == id, is_owned)).one_or_none()
        return None if row is None else _job(row)

    def all(self, owner: str) -> list[Job]:
        """List the jobs of an owner, from the oldest on."""
        with self._database.reading() as connection:
            rows = connection.execute(self._of(JOBS.c.owner == owner).order_by(JOBS.c.number)).all()
        return [_job(row) for row in rows]

    def queue(self, id: str) -> bool:
        """Start a job that is pending; False for others."""
        return self._change(id, ("PENDING",), phase="QUEUED")

    def start_next(self) -> Job | None:
        """Take the job that waits longest, and say that it is carried out; None for none."""
        with self._database.reading() as connection:
            waiting = connection.execute(self._of(JOBS.c.phase == "QUEUED").order_by(JOBS.c.number).limit(1))
            row = waiting.one_or_none()
        if row is None or not self._change(row.id, ("QUEUED",), phase="EXECUTING", started=row.started or now()):
            return None
        return self.get(row.id)

    def set_progress(self, id: str, done: int, total: int) -> None:
        """Say how many rows are done."""
        self._change(id, ("EXECUTING",), done=done, total=total)

    def end(self, id: str, phase: str, error: str = "") -> bool:
        """Say how a job ended, unless it has ended before."""
        return self._change(id, ("PENDING", "QUEUED", "EXECUTING"), phase=phase, ended=now(), error=error)

    def set_destruction(self, id: str, when: str) -> None:
        """Say when a job and its files are to be removed."""
        self._change(id, PHASES, destruction=when)

    def requeue(self) -> int:
        """Let what was carried out when the service ended wait to be carried on; return how many these are."""
        change = sa.update(JOBS).where(JOBS.c.kind == self._service, JOBS.c.phase == "EXECUTING")
        with self._database.writing() as connection:
            return connection.execute(change.values(phase="QUEUED")).rowcount

    def expired(self) -> list[str]:
        """List the jobs whose time is over."""
        wanted = sa.select(JOBS.c.id).where(JOBS.c.kind == self._service, JOBS.c.destruction < now())
        with self._database.reading() as connection:
            return list(connection.scalars(wanted))

    def remove(self, id: str) -> None:
        """Remove a job from the table."""
        with self._database.writing() as connection:
            connection.execute(sa.delete(JOBS).where(JOBS.c.kind == self._service, JOBS.c.id == id))

    def _of(self, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(JOBS).where(JOBS.c.kind == self._service, *conditions)

    def _change(self, id: str, phases: Sequence[str], **values: object) -> bool:
        """Change a job in one of these phases, at once or not at all."""
        change = sa.update(JOBS).where(JOBS.c.kind == self._service, JOBS.c.id == id, JOBS.c.phase.in_(phases))
        with self._database.writing() as connection:
            return connection.execute(change.values(**values)).rowcount > 0


def later(days: float) -> str:
    """Return the time after so many days, as the tables have it."""
    when = datetime.now(UTC) + timedelta(days=days)
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _job(row: Any) -> Job:
    return Job(
        row.id,
        row.owner,
        row.phase,
        json.loads(row.parameters),
        row.created,
        row.started or "",
        row.ended or "",
        row.destruction or "",
        row.done,
        row.total,
        row.error,
    )
