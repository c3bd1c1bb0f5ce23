"""UploadedCatalogues: tables of positions that somebody sent: their rows join the store, and are classified in turn."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import galmorph
from galmorph.errors import CatalogError, GalmorphError, unknown_name
from galmorph.web.served_models import shipped_survey
from galmorph.web.service_settings import USUAL_COMPUTING, Computing

if TYPE_CHECKING:
    from galmorph.web.uploads import Upload

__all__ = ["ScoringState", "UploadedCatalogues"]

_SUFFIXES = (".fits", ".fit", ".fits.gz", ".vot", ".xml", ".ecsv", ".csv", ".txt", ".parquet")
_MOST_ROWS = 200_000


@dataclass(frozen=True)
class ScoringState:
    """How far a model is with the rows that wait for it; `error` says what it stopped at."""

    model: str
    done: int = 0
    total: int = 0
    error: str = ""
    is_done: bool = False


@dataclass
class UploadedCatalogues:
    """The tables that somebody sent, classified one after the other.

    Parameters
    ----------
    store
        Which their rows join.
    computing
        As of :attr:`galmorph.web.service_settings.ServiceSettings.computing`.
    """

    store: Any
    computing: Computing = field(default_factory=USUAL_COMPUTING.copy)
    _states: dict[str, ScoringState] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)
    _worker: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1, "galmorph-catalogues"))

    def add(self, file: Upload | None, fields: Mapping[str, str], model: str) -> int:
        """Add the rows of a table, and have a model classify them by images of the survey's archive; return how many.

        Parameters
        ----------
        fields
            ``survey`` and ``band``.
        model
            How a model of the store is asked for.

        Raises
        ------
        CatalogError
            If there is no table, it cannot be read, or it is too long.
        SurveyError
            If there is no such survey or band.
        """
        suffix = next((s for s in _SUFFIXES if file is not None and file.name.lower().endswith(s)), None)
        if file is None or suffix is None:
            raise CatalogError(unknown_name("ending of a table", "" if file is None else file.name[-80:], _SUFFIXES))
        survey = shipped_survey(fields.get("survey", "").strip() or None)
        count = self._added(file.content, suffix, survey.name if survey else "", fields.get("band", "").strip())
        self._note(model, ScoringState(model, 0, count))
        self._worker.submit(self._score, model)
        return count

    def state(self, model: str) -> ScoringState | None:
        """Return how far a model is; None where nothing was sent for it."""
        with self._lock:
            return self._states.get(model)

    def close(self) -> None:
        """Classify no more."""
        self._worker.shutdown(wait=False, cancel_futures=True)

    def _added(self, content: bytes, suffix: str, survey: str, band: str) -> int:
        # The name is ours, but for an ending that is one of those above.
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"catalogue{suffix}"
            path.write_bytes(content)
            table = galmorph.read_catalog(path)
            if len(table) > _MOST_ROWS:
                raise CatalogError(
                    f"it has {len(table)} rows, expected at most {_MOST_ROWS}: send parts, or use 'galmorph store'"
                )
            return int(self.store.add_images(table.table, survey=survey, band=band))

    def _score(self, model: str) -> None:
        try:
            self.store.score(
                model,
                **self.computing,
                progress=lambda _, done, total, remark="": self._progress(model, done, total, remark),
            )
        except GalmorphError as error:
            self._change(model, error=str(error), is_done=True)
            return
        self._change(model, is_done=True)

    def _progress(self, model: str, done: int, total: int, _remark: str) -> None:
        self._change(model, done=done, total=total)

    def _note(self, model: str, state: ScoringState) -> None:
        with self._lock:
            self._states[model] = state

    def _change(self, model: str, **values: Any) -> None:
        with self._lock:
            self._states[model] = replace(self._states[model], **values)
