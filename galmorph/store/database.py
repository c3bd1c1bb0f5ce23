"""Database: where the tables of a store are, opened, checked, and explained in one line where it fails."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import ArgumentError, DatabaseError, SQLAlchemyError

from galmorph.errors import StoreError
from galmorph.store.schema import METADATA, STORE, VERSION
from galmorph.store.triggers import create_triggers

__all__ = ["Database", "Insert", "open_database"]

Insert = sqlite.Insert | postgresql.Insert
"""An INSERT that may say what happens on a conflict."""
_BUSY_S = 60
"""How long a writer waits for another one."""
_CONNECTIONS = 20
"""How many more than five a process may hold to a server, which usually allows a hundred in all."""
_LONGEST = 300
"""Letters of what a database says."""


class Database:
    """The tables of a store, for any number of threads.

    Parameters
    ----------
    engine
        Of SQLAlchemy.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        plain = engine.url.set(query={})  # which may have a password, too
        self.title = plain.render_as_string(hide_password=True) if self.is_server else str(plain.database)

    @property
    def is_server(self) -> bool:
        """Whether it is PostgreSQL, where rows are locked one by one; in SQLite one process writes at a time."""
        return self.engine.dialect.name == "postgresql"

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yield a connection for statements that change nothing."""
        with self.explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection whose changes are made together at the end, or not at all."""
        with self.explained(), self.engine.connect().execution_options(writes=True) as connection, connection.begin():
            yield connection

    @contextmanager
    def explained(self) -> Iterator[None]:
        """Turn what a database raises into one line.

        Raises
        ------
        StoreError
            If it does.
        """
        try:
            yield
        except SQLAlchemyError as error:
            raise StoreError(f"store '{self.title}': {_reason_of(error)}") from error
        except (UnicodeEncodeError, OverflowError) as error:
            raise StoreError(
                f"store '{self.title}' was asked for half a letter, or a number beyond 64 bits: expected neither; "
                "correct it"
            ) from error
        except self.engine.dialect.loaded_dbapi.Error as error:  # of a listener, which SQLAlchemy does not wrap
            raise StoreError(f"store '{self.title}': {' '.join(str(error).split())[:_LONGEST]}") from error

    def insert(self, table: sa.Table) -> Insert:
        """Return an INSERT that may say what happens on a conflict."""
        return postgresql.insert(table) if self.is_server else sqlite.insert(table)

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()


def open_database(url: str | Path, *, create: bool) -> Database:
    """Open the tables of a store, and check that they are ours.

    Parameters
    ----------
    url
        The path of a file of SQLite, or a URL: ``postgresql+psycopg://user@host/database``.
    create
        Whether to make them where there are none.

    Raises
    ------
    StoreError
        If there is no store, it is a newer one, or it cannot be opened.
    """
    database = Database(_engine(_url_of(url), create=create))
    try:
        with database.explained():
            tables = set(sa.inspect(database.engine).get_table_names())
        if STORE.name not in tables:
            _create(database, tables, create=create)
        _check_version(database)
    except StoreError:
        database.close()
        raise
    return database


def _url_of(url: str | Path) -> URL:
    """Understand a URL, or the path of a file."""
    if "://" not in str(url):
        return URL.create("sqlite", database=str(url))
    try:
        parsed = make_url(str(url))
    except (ArgumentError, ValueError) as error:
        raise StoreError("the URL of a store cannot be read: expected DIALECT://USER@HOST/DATABASE") from error
    if parsed.drivername in ("postgresql", "postgres"):
        parsed = parsed.set(drivername="postgresql+psycopg")
    if parsed.drivername not in ("sqlite", "postgresql+psycopg"):
        raise StoreError(
            f"a store by {parsed.drivername}: expected the path of a file, sqlite:///FILE or postgresql+psycopg://…; "
            "give one"
        )
    if parsed.drivername != "sqlite" and importlib.util.find_spec("psycopg") is None:
        raise StoreError("a store in PostgreSQL needs psycopg: pip install 'galmorph[postgresql]'")
    return parsed


def _engine(url: URL, *, create: bool) -> Engine:
    if url.drivername != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, max_overflow=_CONNECTIONS)
    path = Path((url.database or "").removeprefix("file:"))  # of a URL with uri=true
    if not url.database or url.database == ":memory:":
        raise StoreError("a store in memory: expected the path of a file; name one")
    if not path.is_file() and (path.exists() or not create):
        what = "is no file" if path.exists() else "does not exist"
        raise StoreError(f"store '{path}' {what}: expected a store; name one, or make one with --create")
    if not path.parent.is_dir():
        raise StoreError(f"store '{path}': its folder does not exist; make it first")
    engine = sa.create_engine(url, connect_args={"timeout": _BUSY_S}, max_overflow=-1)  # files open quickly
    event.listen(engine, "connect", _on_connect)
    event.listen(engine, "begin", _on_begin)
    return engine


def _on_connect(connection: Any, _record: object) -> None:
    """Begin transactions ourselves, and check references."""
    connection.isolation_level = None
    connection.execute("PRAGMA foreign_keys = ON")
    connection.execute("PRAGMA synchronous = NORMAL")  # whole after a crash, in WAL


def _on_begin(connection: Connection) -> None:
    # Who reads first and writes then would be refused when another has written meanwhile.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")


def _create(database: Database, tables: set[str], *, create: bool) -> None:
    """Make the tables of a store where there are none of another kind."""
    others = tables & set(METADATA.tables) if database.is_server else tables
    if others or not create:
        has = f"a database with the table '{min(tables)}'" if tables else "a database without tables"
        raise StoreError(
            f"store '{database.title}' is {has}: expected a store; name one, or make one elsewhere with --create"
        )
    if not database.is_server:
        with database.explained(), closing(database.engine.raw_connection()) as raw:
            raw.cursor().execute("PRAGMA journal_mode = WAL")  # so that others read while one writes
    with database.writing() as connection:
        METADATA.create_all(connection)
        create_triggers(connection)
        connection.execute(sa.insert(STORE), {"name": "version", "value": str(VERSION)})


def _check_version(database: Database) -> None:
    with database.reading() as connection:
        number = connection.scalar(sa.select(STORE.c.value).where(STORE.c.name == "version"))
    if number != str(VERSION):
        raise StoreError(
            f"store '{database.title}' has version {number}, this galmorph reads {VERSION}: "
            + ("update galmorph" if str(number).isdigit() and int(str(number)) > VERSION else "make a new store")
        )


def _reason_of(error: SQLAlchemyError) -> str:
    """Say what the database said: without the statement, whose values may be megabytes or secrets."""
    reason = str(error.orig) if isinstance(error, DatabaseError) and error.orig is not None else str(error)
    words = " ".join(reason.split())[:_LONGEST]
    hints = {
        "readonly": "the file or its folder cannot be written; allow it, or copy it",
        "not a database": "it is no database of SQLite; name a store",
        "database or disk is full": "free some space",
        "database is locked": "another process writes; try again",
        "unable to open": "the file or its folder cannot be read",
        "no such table": "it is no whole store; make a new one",
    }
    hint = next((hint for part, hint in hints.items() if part in words), "")
    return f"{words}: {hint}" if hint else words
