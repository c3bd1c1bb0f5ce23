"""A server of PostgreSQL for tests: in a temporary folder, on a socket of its own, of the user postgres."""

from __future__ import annotations

import getpass
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["missing", "running"]

_WHERE = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)


def missing() -> str:
    """Say why there can be no server here; '' where there can."""
    if _program("initdb") is None:
        return "PostgreSQL's initdb is not installed"
    try:
        pwd.getpwnam("postgres")
    except KeyError:
        return "there is no user postgres, and PostgreSQL does not run as root" if os.geteuid() == 0 else ""
    return ""


@contextmanager
def running() -> Iterator[str]:
    """Yield the URL of a new database server, ``{name}`` for the database, until the end."""
    folder = Path(tempfile.mkdtemp(prefix="gm-pg-"))  # short: the path of a socket has at most 107 letters
    try:
        if os.geteuid() == 0:
            shutil.chown(folder, "postgres", "postgres")
        user = "postgres" if os.geteuid() == 0 else getpass.getuser()
        _run("initdb", "-D", str(folder / "data"), "-A", "trust", "-U", user, "--no-sync", "-E", "UTF8", "--locale=C")
        options = f"-k {folder} -c listen_addresses='' -c fsync=off -c full_page_writes=off -c max_connections=30"
        _run("pg_ctl", "-D", str(folder / "data"), "-o", options, "-l", str(folder / "log"), "-w", "start")
        try:
            yield f"postgresql+psycopg://{user}@/{{name}}?host={folder}"
        finally:
            _run("pg_ctl", "-D", str(folder / "data"), "-m", "immediate", "-w", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _program(name: str) -> str | None:
    return next((str(folder / name) for folder in _WHERE if (folder / name).exists()), shutil.which(name))


def _run(name: str, *words: str) -> None:
    """Run a program of the server as the user that it wants."""
    before = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    # A server that keeps a pipe open would never let go of whoever reads from it.
    subprocess.run(
        [*before, str(_program(name)), *words],
        check=True,
        cwd="/",
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        timeout=120,
    )
