"""Fingerprint: all that decides what a run's rows get, so that parts of two runs are never put together."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

import galmorph
from galmorph.runs.plan import Plan
from galmorph.runs.run_settings import TORCH
from galmorph.sky.catalog import Catalog
from galmorph.sky.images import ImageInput
from galmorph.sky.images.image_input import GIVEN
from galmorph.sky.images.image_like import ImageFile
from galmorph.sky.images.paths import files_of, without_band
from galmorph.sky.survey import Survey

__all__ = ["fingerprint_of", "image_stamps", "warn_of_changes"]

log = logging.getLogger(__name__)

# These say how the columns are called and which there are: what is measured and predicted is the same.
_OF_COLUMNS = ("prefix", "errors", "rule", "probabilities")


def fingerprint_of(plan: Plan) -> dict[str, str]:
    """Name what decides a run's results, each thing with its value or its hash.

    Files of images are known by name, size and time of change, since mosaics are too large to be read for this.
    """
    run = plan.run
    settings = {name: str(value) for name, value in asdict(run.settings).items() if name not in _OF_COLUMNS}
    checkpoint = run.checkpoint
    return {
        "version of galmorph": galmorph.__version__,
        "catalogue": _catalog(run.catalog, plan.images),
        "images": _images(plan.images),
        "survey": _survey(run.survey),
        "band": run.band,
        "field": plan.images.field or "",
        "archive": plan.images.archive,
        "checkpoint": f"{checkpoint.name} {checkpoint.sha256[:16]}" if checkpoint is not None else "none",
        **settings,
        "device": run.device,
        "views": run.views,
        "ONNX file": _bytes(run.settings.runtime),
    }


def image_stamps(images: ImageInput) -> dict[Path, str]:
    """Note size and time of change of each file of images, weights and maps."""
    return {path: _line(path) for name in GIVEN for path in _paths(getattr(images, name))}


def warn_of_changes(stamps: Mapping[Path, str]) -> None:
    """Say which files have changed since they were noted: some rows may be of what they were, some of what they are."""
    changed = [path for path, line in stamps.items() if not path.exists() or _line(path) != line]
    if changed:
        log.warning(
            "%d files of images have changed while they were in use, '%s' is the first: rows may be of either; run the "
            "same again",
            len(changed),
            changed[0],
        )


def _survey(survey: Survey | None) -> str:
    """Name a survey, with a hash of all that its file says: zero points and pixel scales decide results."""
    if survey is None:
        return ""
    said = json.dumps(asdict(survey), sort_keys=True, default=repr)
    return f"{survey.name}, sha256 {_digest([said])}"


def _bytes(runtime: str) -> str:
    return "none" if runtime == TORCH else hashlib.sha256(Path(runtime).read_bytes()).hexdigest()[:16]


def _paths(value: Any) -> Iterable[Path]:
    """Return the files that are named by what may stand for images."""
    if isinstance(value, str | os.PathLike) and not isinstance(value, ImageFile):
        yield from files_of(without_band(os.fspath(value)))
    if isinstance(value, Mapping | list | tuple):
        several = value.values() if isinstance(value, Mapping) else value
        yield from (path for each in several for path in _paths(each))


def _catalog(catalog: Catalog, images: ImageInput) -> str:
    """Hash where the rows are; the other columns change nothing, unless an archive looks at them."""
    digest = hashlib.sha256()
    if not images.are_named:
        digest.update(catalog.origin.encode())
    for values in (catalog.ra_deg, catalog.dec_deg, *([] if catalog.xy is None else [catalog.xy])):
        digest.update(np.ascontiguousarray(values, "<f8").tobytes())
    digest.update("\n".join(catalog.files or ()).encode())
    return f"{len(catalog)} rows, sha256 of their positions {digest.hexdigest()[:16]}"


def _images(images: ImageInput) -> str:
    if not images.are_named:
        return f"of the archive, fetched to '{images.fetched}'" if images.fetched is not None else "of the archive"
    lines = [line for name in GIVEN for line in _lines(getattr(images.stored, name))]
    return f"{len(lines)} files, sha256 of names, sizes and times {_digest(lines)}"


def _lines(value: Any) -> Iterable[str]:
    """Describe each file of what may stand for images: names, lists of them, or either for each band."""
    if isinstance(value, ImageFile):
        # Written anew by each process that has it in memory: what counts is what is in it.
        with open(value, "rb") as stream:
            yield hashlib.file_digest(stream, "sha256").hexdigest()
        return
    if isinstance(value, bytes):
        yield hashlib.sha256(value).hexdigest()
    if isinstance(value, str | os.PathLike):
        yield from map(_line, _paths(value))
    if isinstance(value, Mapping):
        yield from (f"{band} {line}" for band, each in value.items() for line in _lines(each))
    if isinstance(value, list | tuple):
        yield from (line for each in value for line in _lines(each))


def _line(path: Path) -> str:
    status = path.stat()
    return f"{path.name} {status.st_size} {status.st_mtime_ns}"


def _digest(lines: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]
