"""Triggers: SQL that a server runs when images are added, as ``postgresql.sql`` beside this module has it."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Connection

__all__ = ["CHANNEL", "create_triggers", "trigger_sql"]

CHANNEL = "galmorph"
"""On which listeners hear that images were queued."""


def trigger_sql() -> str:
    """Return the function and the trigger, for a DBA to read or to run."""
    return Path(__file__).with_name("postgresql.sql").read_text(encoding="utf-8")


def create_triggers(connection: Connection) -> None:
    """Make them on a server; in SQLite, which has no listeners, whoever watches asks now and then."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(trigger_sql().replace("%", "%%"))
