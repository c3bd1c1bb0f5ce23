"""ServedModels: the checkpoints that a service answers with, each loaded once."""

from __future__ import annotations

import io
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from astropy.table import Table
from PIL import Image

import galmorph
from galmorph.errors import CheckpointError, NotReadyError, SurveyError, unknown_name
from galmorph.web.service_settings import USUAL_COMPUTING, Computing

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint
    from galmorph.sky.survey import Survey

__all__ = ["ServedModels", "card_of", "shipped_survey"]

log = logging.getLogger(__name__)


@dataclass
class ServedModels:
    """The checkpoints that a service answers with.

    Parameters
    ----------
    store
        Where models may be; None for none.
    asked
        Names or files; by default all of the store, or else all that ship.
    computing
        As of :attr:`galmorph.web.service_settings.ServiceSettings.computing`.
    url
        Of the store, for processes that open it themselves.
    """

    store: Any
    asked: tuple[str, ...] = ()
    computing: Computing = field(default_factory=USUAL_COMPUTING.copy)
    url: str = ""
    _loaded: dict[str, Checkpoint] = field(default_factory=dict)
    _origins: dict[str, dict[str, str]] = field(default_factory=dict)

    def load(self) -> None:
        """Load all of them, and show each a stamp: what is compiled at first use is then ready.

        Raises
        ------
        GalmorphError
            If one of them cannot be loaded.
        """
        stored = [f"{model.name}@{model.version}" for model in self.store.models()] if self.store is not None else []
        loaded = {}
        for name in self.asked or tuple(stored) or tuple(galmorph.names("checkpoints")):
            is_stored = name in stored
            checkpoint = self.store.load_model(name) if is_stored else galmorph.load_checkpoint(name)
            loaded[checkpoint.name] = checkpoint
            path = str(Path(name).resolve()) if Path(name).exists() else name
            self._origins[checkpoint.name] = {"checkpoint": name if is_stored else path, "store": self.url * is_stored}
            _warm(checkpoint, self.computing)
        self._loaded = loaded
        log.info("models: %s", ", ".join(loaded))

    def origin(self, name: str) -> dict[str, str]:
        """Say where another process finds a model: ``checkpoint``, and the ``store`` that it is in, '' for none."""
        return self._origins[name]

    @property
    def names(self) -> list[str]:
        """Of all that are loaded."""
        return list(self._loaded)

    def get(self, name: str) -> Checkpoint:
        """Return a checkpoint by its name.

        Raises
        ------
        CheckpointError
            If there is none.
        NotReadyError
            If none is loaded yet.
        """
        if not self._loaded:
            raise NotReadyError("the models are being loaded: send the same in some seconds")
        if name not in self._loaded:
            raise CheckpointError(unknown_name("model", name[:100], self._loaded))
        return self._loaded[name]

    def chosen(self, name: str | None, survey: str | None, band: str | None) -> Checkpoint:
        """Return the checkpoint that is named, else the only one, else the usual one for a survey and band.

        Raises
        ------
        GalmorphError
            If there is none, or several and none of them named.
        """
        if name is not None:
            return self.get(name)
        if len(self._loaded) == 1:
            return next(iter(self._loaded.values()))
        try:
            return self.get(_usual(survey, band))
        except CheckpointError as error:
            raise CheckpointError(f"no model was named: expected one of {', '.join(self._loaded)}; name one") from error


@lru_cache(maxsize=64)
def _usual(survey: str | None, band: str | None) -> str:
    return galmorph.usual_checkpoint(shipped_survey(survey), band)


@lru_cache(maxsize=64)
def shipped_survey(name: str | None) -> Survey | None:
    """Return a survey that ships by its name or an alias, never one that a path leads to; None for no name.

    Raises
    ------
    SurveyError
        If none is called so.
    """
    if name is None:
        return None
    names = galmorph.names("surveys")
    if not name.replace("-", "").replace("_", "").replace(" ", "").isalnum():
        raise SurveyError(unknown_name("survey", name[:100], names))
    return galmorph.load_survey(name)


def _warm(checkpoint: Checkpoint, computing: Computing) -> None:
    """Classify noise."""
    shape = (64, 64) if checkpoint.recipe.planes == 1 else (64, 64, 3)
    stream = io.BytesIO()
    Image.fromarray(np.random.default_rng(1).integers(0, 60, shape, np.uint8)).save(stream, "PNG")
    images = {"noise.png": stream.getvalue()}
    rows = galmorph.prepare(Table({"file": list(images)}), images, checkpoint=checkpoint, **computing)
    galmorph.answer([rows])
    rows.close()


def card_of(checkpoint: Checkpoint) -> Mapping[str, Any]:
    """Return what is said of a model: name, version, scheme with its answers, and the images that it is for."""
    envelope = checkpoint.envelope
    return {
        "name": checkpoint.name,
        "version": checkpoint.version,
        "sha256": checkpoint.sha256,
        "scheme": checkpoint.scheme.name,
        "answers": list(checkpoint.scheme.keys),
        "survey": envelope.survey,
        "band": envelope.band,
        "planes": checkpoint.recipe.planes,
        "rules": [rule.name for rule in checkpoint.scheme.rules],
    }
