"""Keys: who may use a service, known by the hash of a secret that is shown once."""

from __future__ import annotations

import hashlib
import secrets

import sqlalchemy as sa

from galmorph.errors import StoreError, unknown_name
from galmorph.store.database import Database
from galmorph.store.schema import KEYS, now

__all__ = ["KeyRows"]

_PREFIX = "gm_"  # by which scanners of repositories, and people, know what it is


class KeyRows:
    """The table of keys.

    A secret is 32 random bytes, which nobody guesses: a plain SHA-256 keeps it, and is quick enough for every request.

    Parameters
    ----------
    database
        Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, name: str) -> str:
        """Make a key, and return its secret, which is kept nowhere.

        Raises
        ------
        StoreError
            If there was one of that name, or it is no name.
        """
        if not name.strip() or not name.isprintable() or len(name) > 200:
            raise StoreError(f"name of a key '{name[:40]}': expected some letters; give another")
        secret = _PREFIX + secrets.token_urlsafe(32)
        row = {"name": name, "sha256": _hash(secret), "created": now()}
        with self._database.writing() as connection:
            insert = self._database.insert(KEYS).values(row).on_conflict_do_nothing(index_elements=["name"])
            number = connection.scalar(insert.returning(KEYS.c.number))
        if number is None:
            raise StoreError(f"key '{name}' is there already: expected another name; give one")
        return secret

    def check(self, secret: str) -> str | None:
        """Return whose key a secret is; None for none, or one that was withdrawn."""
        wanted = sa.select(KEYS.c.name).where(KEYS.c.sha256 == _hash(secret), KEYS.c.withdrawn.is_(None))
        with self._database.reading() as connection:
            return connection.scalar(wanted)

    def withdraw(self, name: str) -> None:
        """Let a key be worth nothing from now on.

        Raises
        ------
        StoreError
            If there is none of that name, or it was withdrawn before.
        """
        change = sa.update(KEYS).where(KEYS.c.name == name, KEYS.c.withdrawn.is_(None)).values(withdrawn=now())
        with self._database.writing() as connection:
            count = connection.execute(change).rowcount
        if not count:
            names = [key for key, _, withdrawn in self.all() if not withdrawn]
            raise StoreError(f"store '{self._database.title}': {unknown_name('key', name, names)}")

    def all(self) -> list[tuple[str, str, str]]:
        """List the keys: name, when it was made, and when it was withdrawn, '' for not at all."""
        wanted = sa.select(KEYS.c.name, KEYS.c.created, KEYS.c.withdrawn).order_by(KEYS.c.number)
        with self._database.reading() as connection:
            return [(name, created, withdrawn or "") for name, created, withdrawn in connection.execute(wanted)]


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
