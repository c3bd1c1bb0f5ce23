"""Models: the checkpoints of a store, by name and version."""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from galmorph.errors import CheckpointError, StoreError, unknown_name
from galmorph.nets.checkpoint.card import read_card
from galmorph.nets.checkpoint.file import Checkpoint, checkpoint_of
from galmorph.nets.checkpoint.lookup import find_checkpoint
from galmorph.sky.scheme import Scheme
from galmorph.store.database import Database
from galmorph.store.schema import MODELS, now

__all__ = ["ModelRows", "StoredModel"]

_SHORTEST_SHA = 8
"""Letters by which a version may name a checkpoint by its SHA-256."""


@dataclass(frozen=True)
class StoredModel:
    """A checkpoint of a store, without its bytes.

    Parameters
    ----------
    number
        In the store.
    name, version, sha256, card
        Of the checkpoint.
    created
        When it was pushed.
    watched
        Whether images that are added are queued for it.
    """

    number: int
    name: str
    version: str
    sha256: str
    card: dict[str, Any] = field(repr=False)
    created: str = ""
    watched: bool = False

    def __str__(self) -> str:
        """Return how it is asked for."""
        return f"{self.name}@{self.version}"


class ModelRows:
    """The table of models.

    Parameters
    ----------
    database
        Where it is.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._loaded: dict[str, Checkpoint] = {}
        self._lock = threading.Lock()

    def push(self, name: str | Path) -> StoredModel:
        """Put a checkpoint by its name or file into the store; one that is there stays as it is.

        Raises
        ------
        CheckpointError
            If it is damaged, or none.
        """
        path = find_checkpoint(name)
        content = path.read_bytes()
        checkpoint, card = checkpoint_of(content, str(path)), read_card(path)
        row = {
            "name": checkpoint.name,
            "version": checkpoint.version,
            "sha256": checkpoint.sha256,
            "content": content,
            "card": json.dumps(card),
            "created": now(),
        }
        with self._database.writing() as connection:
            connection.execute(
                self._database.insert(MODELS).values(row).on_conflict_do_nothing(index_elements=["sha256"])
            )
        return self.find(f"{checkpoint.name}@{checkpoint.sha256}")

    def all(self) -> list[StoredModel]:
        """List the models, the newest last."""
        wanted = [column for column in MODELS.c if column.name != "content"]
        with self._database.reading() as connection:
            return [_stored(row) for row in connection.execute(sa.select(*wanted).order_by(MODELS.c.number))]

    def find(self, name: str) -> StoredModel:
        """Find a model by its name, of several the newest; or by ``NAME@VERSION``, or ``NAME@`` and its SHA-256.

        Raises
        ------
        StoreError
            If there is none, which lists what there is.
        """
        models = self.all()
        plain, _, version = name.partition("@")
        of_name = [model for model in models if model.name == plain and _is_of(model, version)]
        if not of_name:
            raise StoreError(
                f"store '{self._database.title}': {unknown_name('model', name, {str(model) for model in models})}; "
                "push it first"
            )
        return of_name[-1]

    def load(self, name: str) -> Checkpoint:
        """Load a model, once; its bytes must be those that were pushed.

        Raises
        ------
        StoreError
            If there is none.
        CheckpointError
            If its bytes are others by now, or no checkpoint.
        """
        model = self.find(name)
        with self._lock:
            if model.sha256 not in self._loaded:
                self._loaded[model.sha256] = self._read(model)
            return self._loaded[model.sha256]

    def scheme(self, model: StoredModel) -> Scheme:
        """Return whose answers a model gives."""
        return self.load(f"{model.name}@{model.sha256}").scheme

    def watch(self, model: StoredModel) -> None:
        """Have images that are added from now on queued for a model."""
        with self._database.writing() as connection:
            connection.execute(sa.update(MODELS).where(MODELS.c.number == model.number).values(watched=True))

    def _read(self, model: StoredModel) -> Checkpoint:
        with self._database.reading() as connection:
            content = connection.scalar(sa.select(MODELS.c.content).where(MODELS.c.number == model.number))
        if content is None or hashlib.sha256(content).hexdigest() != model.sha256:
            raise CheckpointError(
                f"model '{model}' of store '{self._database.title}' has other bytes than were pushed: it is not used; "
                "remove it, and push it again"
            )
        return checkpoint_of(bytes(content), str(model))


def _is_of(model: StoredModel, version: str) -> bool:
    is_sha = len(version) >= _SHORTEST_SHA and model.sha256.startswith(version)
    return version in ("", model.version) or is_sha


def _stored(row: Row[Any]) -> StoredModel:
    values = dict(row._mapping)  # noqa: SLF001 - how SQLAlchemy gives a row as a mapping
    return StoredModel(**(values | {"card": json.loads(values["card"] or "{}")}))
