"""Watcher: waits until images are added, on a server by listening, in SQLite by looking now and then."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any, Protocol

from galmorph.store.database import Database
from galmorph.store.triggers import CHANNEL

__all__ = ["Ear", "listening"]


class Ear(Protocol):
    """Hears that images were added."""

    def wait(self, seconds: float) -> None:
        """Return when some were, or when the time is over."""


class _Clock:
    """Of a database that tells nobody: every so often."""

    def wait(self, seconds: float) -> None:
        time.sleep(seconds)


class _Listener:
    """Of PostgreSQL: by NOTIFY."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def wait(self, seconds: float) -> None:
        for _ in self._connection.notifies(timeout=seconds, stop_after=1):
            return


@contextmanager
def listening(database: Database) -> Iterator[Ear]:
    """Listen from now on: what is added before :meth:`Ear.wait` is called is heard, too."""
    if not database.is_server:
        yield _Clock()
        return
    with database.explained(), closing(database.engine.raw_connection()) as raw:
        connection: Any = raw.driver_connection
        raw.detach()  # it is never lent to anybody else
        connection.autocommit = True
        connection.execute(f"LISTEN {CHANNEL}")
        yield _Listener(connection)
