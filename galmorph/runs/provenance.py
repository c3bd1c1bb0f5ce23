"""Provenance: what made the columns of a run, as header cards and lines of history."""

from __future__ import annotations

import hashlib
import json
import platform
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import galmorph
from galmorph.flags import MEANINGS
from galmorph.sky.catalog import Catalog, Provenance
from galmorph.sky.images import ImageSource
from galmorph.sky.rules import Rule

if TYPE_CHECKING:
    from galmorph.nets.checkpoint.file import Checkpoint

__all__ = ["provenance_of"]

_SOFTWARE = ("numpy", "astropy", "sep", "torch")
_IMAGES_NAMED = 20


def provenance_of(
    catalog: Catalog,
    images: ImageSource,
    checkpoint: Checkpoint | None,
    *,
    survey: str,
    band: str,
    views: str,
    centroid: str,
    rule: Rule | None,
    command: str,
) -> Provenance:
    """Say what made a run's columns: versions, checkpoint, recipe, inputs and the meaning of the flags.

    Parameters
    ----------
    survey, band
        Names; '' where they were not given.
    views
        Over which the probabilities were averaged.
    centroid
        What the positions are, by its word.
    rule
        What gave the classes in ``gm_rule``; None for no such column.
    command
        The command line, or the function that was called.
    """
    cards = [
        ("GMVERS", galmorph.__version__, "version of galmorph"),
        ("GMDATE", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"), "when it ran"),
        ("GMSURVEY", survey, "survey of the images"),
        ("GMBAND", band, "band of the images"),
        ("GMCENTRD", centroid, "what the positions are"),
        *(_checkpoint_cards(checkpoint, views, rule) if checkpoint is not None else ()),
        *((f"GMFLAG{number:02d}", str(f.name), f"bit {number}, value {int(f)}") for number, f in enumerate(MEANINGS)),
    ]
    history = [
        f"galmorph {galmorph.__version__}: {command}",
        f"catalog: {_described(catalog)}",
        *(f"image: {name}" for name in _named(images)),
        *(f"flag {int(f)} {f.name}: {meaning}" for f, meaning in MEANINGS.items()),
        f"software: {', '.join(f'{n} {_version(n)}' for n in _SOFTWARE)}, Python {platform.python_version()}",
    ]
    return Provenance(tuple(cards), tuple(history))


def _checkpoint_cards(checkpoint: Checkpoint, views: str, rule: Rule | None) -> list[tuple[str, str, str]]:
    recipe = json.dumps(checkpoint.recipe.to_dict(), sort_keys=True)
    return [
        ("GMMODEL", checkpoint.name, "checkpoint"),
        ("GMMODVER", checkpoint.version, "version that trained it"),
        ("GMSHA256", checkpoint.sha256, "of the checkpoint"),
        ("GMRECIPE", hashlib.sha256(recipe.encode()).hexdigest()[:16], "hash of the stamp recipe"),
        ("GMSCHEME", checkpoint.scheme.name, "label scheme"),
        ("GMVIEWS", views, "views averaged over"),
        *([("GMRULE", rule.name, "rule of the second column of classes")] if rule is not None else []),
    ]


def _described(catalog: Catalog) -> str:
    path = catalog.path
    if path is None:
        return "in memory"
    try:
        with open(path, "rb") as stream:
            return f"{path.name} sha256 {hashlib.file_digest(stream, 'sha256').hexdigest()}"
    except OSError:  # it is gone by now, which the result survives
        return path.name


def _named(images: ImageSource) -> list[str]:
    names = images.tile_names
    if not images.is_linear:
        return [f"{len(names)} display stamps"]
    more = len(names) - _IMAGES_NAMED
    return [*(Path(n).name for n in names[:_IMAGES_NAMED]), *([f"and {more} more"] if more > 0 else [])]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "absent"
